"""Many main jobs at once against a cloud where one call in ten goes wrong, and what must be true afterwards."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.soak.cloud import soak_cloud
from tests.soak.flow import Arm, Flow, run_all

if TYPE_CHECKING:
    from pathlib import Path

THREADS = 8
SCORE_EVERY = 10


@dataclass(frozen=True)
class Soaked:
    """`impossible`: every impossible state that was seen at any time. `cost` is simulated, in dollars."""

    flows: int
    completed: int
    requests: int
    faults: int
    seconds: float
    impossible: tuple[str, ...]
    crashed: bool
    complaints: tuple[str, ...]
    left: tuple[str, ...]
    cost: float


def soak(folder: Path, flows: int, seed: int) -> Soaked:
    """Raises FlowError when a flow does not reach its end."""
    begun = time.monotonic()
    with soak_cloud(folder) as cloud:
        cloud.inject(seed)
        arm = Arm(cloud.config)
        started = [Flow(arm, f"soak-{seed}-{number:03d}", number % SCORE_EVERY == 0) for number in range(flows)]
        seen: dict[str, None] = {}

        def watch() -> None:
            seen.update(dict.fromkeys(cloud.impossible()))

        try:
            run_all(started, THREADS, watch, 0.5)
        finally:
            arm.close()
        watch()
        rules = cloud.control("GET", "faults")
        snapshot = cloud.control("GET", "resources")
        crashed = cloud.process.poll() is not None
        return Soaked(
            flows=flows,
            completed=sum(len(flow.done) == 7 for flow in started),
            requests=int(rules[0]["matched"]),
            faults=sum(int(rule["hits"]) for rule in rules),
            seconds=time.monotonic() - begun,
            impossible=tuple(seen),
            crashed=crashed,
            complaints=_complaints(cloud.log),
            left=tuple(item["name"] for item in snapshot["endpoints"] if item["state"] != "Deleted"),
            cost=float(snapshot["cost"]["total"]),
        )


def _complaints(log: Path) -> tuple[str, ...]:
    """What a server says when it is surprised."""
    lines = log.read_text(errors="replace").splitlines()
    return tuple(line for line in lines if "Traceback" in line or " ERROR " in line or "emulator failed" in line)
