"""What is left of a main job when it is over: the same, whatever happened on the way."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient

from localcloud.stack import LocalCloud
from shared import names
from shared.lifecycle.ledger import Ledger
from shared.lifecycle.records import DatasetVersion
from shared.lifecycle.tuning import Tuning

_TIMES = re.compile(r"\d{4}-\d{2}-\d{2}T[0-9:.]+(Z|\+00:00)?|\b\d{8,14}-|\d+\.\d+ s\b")
_DIGEST = re.compile(r"(?<![0-9a-f])([0-9a-f]{64}|[0-9a-f]{32}|[0-9a-f]{16}|[0-9a-f]{8})(?![0-9a-f])")
_OF_THE_WAY = frozenset(
    {
        "history",
        "looks",
        "wake_at",
        "waiting_for",
        "published",
        "latency_seconds",
        "latency_p50_seconds",
        "latency_p95_seconds",
        "revision",
    }
)
"""How often was looked and what was noted depends on the way; the states that it went through are compared."""
_TIMES_AND_COST = frozenset(
    {
        "created",
        "created_at",
        "started",
        "ended",
        "deleted",
        "deleted_at",
        "cost",
        "compute_seconds",
        "lifetime_seconds",
    }
)


@dataclass(frozen=True)
class EndState:
    """`facts` have no times, digests or names in them that differ between datasets; `notes` are compared apart."""

    facts: Mapping[str, Any]
    notes: tuple[str, ...]

    def differences(self, other: EndState) -> list[str]:
        """Of the facts, one line each."""
        mine, theirs = _flat(self.facts), _flat(other.facts)
        return [
            f"{key}: {mine.get(key)!r} instead of {theirs.get(key)!r}"
            for key in sorted({*mine, *theirs})
            if mine.get(key) != theirs.get(key)
        ]


def end_state(
    cloud: LocalCloud, dataset: str, resources: Mapping[str, Any], events: Sequence[Mapping[str, Any]]
) -> EndState:
    """`resources` and `events` are all of the local cloud's, deleted ones too."""
    connection, verify = cloud.storage_connection_string(), str(cloud.config.ca_file)
    with TableServiceClient.from_connection_string(connection, connection_verify=verify) as service:
        ledger = Ledger(service)
        tunings = [row.value for row in ledger.tunings() if row.value.dataset == dataset]
        version = ledger.version(dataset, "v1")
        record = ledger.endpoint(dataset).value
        slots = ledger.job_slots().value
    with BlobServiceClient.from_connection_string(connection, connection_verify=verify) as blobs:
        kept = [
            f"{container}/{blob.name}"
            for container in (names.TUNINGS, names.REPORTS)
            for blob in blobs.get_container_client(container).list_blobs(name_starts_with=f"{dataset}-")
        ]
    ids = {tuning.id for tuning in tunings}
    facts = {
        "tunings": [_row(tuning) for tuning in tunings],
        "states": [_states(tuning) for tuning in tunings],
        "version": _row(version.value) if version else None,
        "endpoint record": msgspec.to_builtins(record),
        "slots held": [holder for holder in slots.holders if holder in ids],
        "waiting for a slot": [waiter.tuning_id for waiter in slots.waiting if waiter.tuning_id in ids],
        "blobs": sorted(kept),
        "cloud": {
            kind: _of_dataset(resources[kind], dataset) for kind in ("jobs", "models", "endpoints", "deployments")
        },
        "events missing": [missing for tuning in tunings for missing in _missing(tuning, events)],
        "events of another kind": _other_events(tunings, events),
    }
    shown = _plain(facts, dataset)
    notes = tuple(_plain_text(f"{entry.state}: {entry.message}", dataset) for t in tunings for entry in t.history)
    return EndState(shown, notes)


def _row(row: Tuning | DatasetVersion) -> dict[str, Any]:
    found: dict[str, Any] = _without(msgspec.to_builtins(row), _OF_THE_WAY)
    return found


def _without(value: Any, keys: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return {key: _without(item, keys) for key, item in value.items() if key not in keys}
    return value


def _states(tuning: Tuning) -> list[str]:
    """In order, each once per visit."""
    states = [str(entry.state) for entry in tuning.history]
    return [state for at, state in enumerate(states) if at == 0 or states[at - 1] != state]


def _of_dataset(items: Sequence[Mapping[str, Any]], dataset: str) -> list[Any]:
    return [
        {key: value for key, value in item.items() if key not in _TIMES_AND_COST}
        for item in items
        if item["tags"].get(names.TAG_DATASET) == dataset
    ]


def _missing(tuning: Tuning, events: Sequence[Mapping[str, Any]]) -> list[str]:
    """Entries of the history that no accepted event tells of."""
    published = {event["id"] for event in events}
    return [f"{tuning.id}:{entry.seq}" for entry in tuning.history if f"{tuning.id}:{entry.seq}" not in published]


def _other_events(tunings: list[Tuning], events: Sequence[Mapping[str, Any]]) -> list[str]:
    """Published of these tunings, but not in their history."""
    known = {
        f"{tuning.id}:{entry.seq}": f"droptune.tuning.{entry.state}" for tuning in tunings for entry in tuning.history
    }
    subjects = {f"tunings/{tuning.id}" for tuning in tunings}
    return sorted(
        {
            f"{event['id']} {event['eventType']}"
            for event in events
            if event["subject"] in subjects and known.get(event["id"]) != event["eventType"]
        }
    )


def _plain(value: Any, dataset: str) -> Any:
    return json.loads(_plain_text(json.dumps(value, default=str, sort_keys=True), dataset))


def _plain_text(text: str, dataset: str) -> str:
    """Timestamps, digests and the dataset's name replaced."""
    text = re.sub(rf"\b{re.escape(dataset)}(-[0-9a-f]{{6}}\b)?", "DATASET", text)  # an endpoint's name has a digest
    return _DIGEST.sub("#", _TIMES.sub("TIME", re.sub(r'"0x[0-9A-F]+"', '"ETAG"', text)))


def _flat(value: Any, at: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        return {k: v for key, item in value.items() for k, v in _flat(item, f"{at}.{key}" if at else key).items()}
    if isinstance(value, list):
        return {f"{at}[]": len(value)} | {
            k: v for number, item in enumerate(value) for k, v in _flat(item, f"{at}[{number}]").items()
        }
    return {at: value}
