"""An endpoint that is idle, marked, and due to be deleted: tests change one thing about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from shared import names
from shared.azureml.resources import OnlineDeployment, OnlineEndpoint
from shared.idle.policy import Policy
from shared.idle.rule import Facts
from shared.idle.series import MINUTE, Series
from shared.lifecycle.records import EndpointRecord, EndpointStatus
from shared.lifecycle.tuning import State, Tuning

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=10)
POLICY = Policy(idle_after=timedelta(hours=4), grace=timedelta(hours=1))
OWNER = "0123abcd"
MARKED = {names.TAG_OWNER: OWNER, names.TAG_IDLE_SINCE: (NOW - timedelta(hours=2)).isoformat()}
UNMARKED = {names.TAG_OWNER: OWNER}


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def endpoint(name: str = "chat-abc", tags: dict[str, str] = MARKED, **changes: Any) -> OnlineEndpoint:
    values: dict[str, Any] = {
        "id": f"/subscriptions/s/resourceGroups/g/providers/M/workspaces/w/onlineEndpoints/{name}",
        "name": name,
        "provisioning_state": "Succeeded",
        "scoring_uri": "https://example.invalid/score",
        "traffic": {"t-1": 100},
        "tags": dict(tags),
        "description": "",
        "auth_mode": "Key",
        "location": "eastus",
        "created_at": LONG_AGO,
        "last_modified_at": NOW,
    }
    return OnlineEndpoint(**{**values, **changes})


def deployment(name: str = "t-1", **changes: Any) -> OnlineDeployment:
    values: dict[str, Any] = {
        "endpoint": "chat-abc",
        "provisioning_state": "Succeeded",
        "model": "azureml:m:1",
        "instance_type": "Standard_NC24ads_A100_v4",
        "instance_count": 1,
        "tags": {names.TAG_OWNER: OWNER, names.TAG_TUNING: "chat-v1"},
        "created_at": LONG_AGO,
    }
    return OnlineDeployment(name=name, **{**values, **changes})


def tuning(id: str = "chat-v1", state: State = State.LIVE, **changes: Any) -> Tuning:
    values: dict[str, Any] = {
        "dataset": "chat",
        "version": "v1",
        "fingerprint": "f",
        "created_at": LONG_AGO,
        "state_since": LONG_AGO,
        "wake_at": LONG_AGO,
        "endpoint": "chat-abc",
        "deployment": "t-1",
    }
    return Tuning(id=id, state=state, **{**values, **changes})


def record(dataset: str = "chat", **changes: Any) -> EndpointRecord:
    values: dict[str, Any] = {
        "name": f"{dataset}-abc",
        "status": EndpointStatus.ACTIVE,
        "tenants": (f"{dataset}-v1",),
        "live": f"{dataset}-v1",
        "live_since": LONG_AGO,
    }
    return EndpointRecord(dataset=dataset, **{**values, **changes})


def quiet(
    used: Mapping[int, float] | None = None, *, start: datetime = NOW - POLICY.window, end: datetime = NOW
) -> Series:
    """No requests but those in `used`, by the number of the minute before NOW: 1 is the last one."""
    minutes = {start + number * MINUTE: 0.0 for number in range((end - start) // MINUTE)}
    for number, value in (used or {}).items():
        minutes[NOW - number * MINUTE] = value
    return Series.of(minutes)


def facts(**changes: Any) -> Facts:
    due = Facts(
        endpoint=endpoint(),
        ours=True,
        record=record(),
        live=tuning(),
        requests=quiet(),
        deployments=(deployment(),),
        changed_at=LONG_AGO,
        watched_since=LONG_AGO,
    )
    return replace(due, **changes)
