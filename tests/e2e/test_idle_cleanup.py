"""Endpoints that nobody calls go; those that somebody calls, or wants to keep, stay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shared.azureml.arm import ArmClient
from shared.names import TAG_KEEP
from tests.e2e.playground import Playground, wait_for

pytestmark = [pytest.mark.localcloud, pytest.mark.training]


def arm_of(playground: Playground) -> ArmClient:
    from azure.identity import ManagedIdentityCredential

    from localcloud.config import WORKSPACE_ID

    return ArmClient(playground.cloud.config.azure_url, WORKSPACE_ID, ManagedIdentityCredential())


def endpoint_of(playground: Playground, tuning: dict[str, Any]) -> dict[str, Any] | None:
    return next((item for item in playground.client.endpoints() if item["name"] == tuning["endpoint"]), None)


def test_an_unused_endpoint_is_marked_then_deleted_while_a_kept_one_and_a_foreign_one_stay(
    playground: Playground, small_dataset: Path
) -> None:
    arm = arm_of(playground)
    arm.create_endpoint("by-hand", description="somebody else's", tags={"team": "search"})
    for dataset in ("unused", "kept"):
        playground.upload(small_dataset, dataset)
    unused = playground.until("unused", "live", "failed", "rolled_back", deadline=240)
    kept = playground.until("kept", "live", "failed", "rolled_back", deadline=240)
    assert (unused["state"], kept["state"]) == ("live", "live")
    endpoint = arm.get_endpoint(kept["endpoint"])
    assert endpoint is not None
    arm.set_endpoint_tags(kept["endpoint"], {**endpoint.tags, TAG_KEEP: "true"})

    def marked() -> bool | None:
        seen = endpoint_of(playground, unused)
        return True if seen is not None and seen["idle_since"] else None

    wait_for(marked, 200, playground.client.endpoints)
    retired = playground.until("unused", "retired", deadline=120)
    assert retired["reason"]["code"] == "Idle"
    assert [item["state"] for item in playground.of_dataset("endpoints", "unused")] == ["Deleted"]
    assert len(playground.of_dataset("models", "unused")) == 1

    assert playground.until("kept", "live")["state"] == "live"
    assert arm.get_endpoint("by-hand") is not None
