"""A small soak, as `make soak` runs a large one; and the same load on a server that is killed."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import pytest

from tests.soak.cloud import soak_cloud
from tests.soak.flow import Arm, Flow, run_all
from tests.soak.soak import soak

if TYPE_CHECKING:
    from pathlib import Path

CRASHES = (
    {"operation": "Jobs_CreateOrUpdate", "after_commit": True},
    {"operation": "OnlineEndpoints_CreateOrUpdate", "skip": 1, "after_commit": True},
    {"operation": "OnlineDeployments_CreateOrUpdate", "skip": 1, "after_commit": True},
    {"operation": "OnlineEndpoints_Delete", "after_commit": False},
)
"""Moments at which the server dies as by kill -9, if it is not killed before at a random one."""
MOST_KILLS = 5


def test_main_jobs_reach_their_end_while_one_call_in_ten_goes_wrong(tmp_path: Path) -> None:
    result = soak(tmp_path, flows=6, seed=7)

    assert result.completed == 6
    assert result.impossible == ()
    assert result.complaints == ()
    assert result.left == ()
    assert not result.crashed
    assert result.faults > 5
    assert result.cost > 0


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"  # urllib3 leaves sockets whose peer died to the collector
)
def test_main_jobs_reach_their_end_while_the_server_is_killed_again_and_again(tmp_path: Path) -> None:
    chance = random.Random(3)
    with soak_cloud(tmp_path) as cloud:
        arm = Arm(cloud.config)
        flows = [Flow(arm, f"killed-{number}", scores=number == 0) for number in range(6)]
        crashes = list(CRASHES)
        kills = 0
        seen: list[str] = []
        next_kill = time.monotonic() + chance.uniform(0.2, 0.8)

        def watch() -> None:
            nonlocal kills, next_kill
            if cloud.process.poll() is None and time.monotonic() < next_kill:
                return
            cloud.restart()
            kills += 1
            seen.extend(cloud.impossible())
            if crashes:
                cloud.control("POST", "faults", [{**crashes.pop(0), "crash": True}])
            next_kill = time.monotonic() + chance.uniform(0.5, 2.5) if kills < 7 else float("inf")

        try:
            run_all(flows, 3, watch, 0.05)
        finally:
            arm.close()

        assert kills >= len(CRASHES)
        assert seen == []
        assert cloud.impossible() == []
        snapshot = cloud.control("GET", "resources")
        assert {item["state"] for item in snapshot["endpoints"]} == {"Deleted"}
        assert {item["status"] for item in snapshot["jobs"]} == {"Completed"}
