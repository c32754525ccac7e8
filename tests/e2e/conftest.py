"""One local cloud with droptune in it for all end-to-end tests: real processes, real SDKs, short times."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.dialogues import write_dataset
from demo.topology import Topology
from localcloud.config import Durations
from tests.e2e.leaks import CANARY
from tests.e2e.playground import FOREIGN_ENDPOINT, UNUSED_DATASET, Playground, running

FAST = {
    "SETTLE_SECONDS": "1",
    "MISSING_SPLIT_MINUTES": "0.05",
    "POLL_SECONDS": "0.5",
    "POLL_MAX_SECONDS": "1",
    "OVERDUE_SECONDS": "3",
    "SMOKE_TEST_ATTEMPTS": "2",
    "IDLE_AFTER_MINUTES": "1",
    "IDLE_GRACE_MINUTES": "0.1",
}


@pytest.fixture(scope="session")
def small_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every row says the canary, so that test_secrets.py finds out where contents get to."""
    folder = tmp_path_factory.mktemp("dataset")
    write_dataset(folder, train=160, test=16, gen=16)
    for split in folder.glob("*.jsonl"):
        rows = [json.loads(line) for line in split.read_text().splitlines()]
        for row in rows:
            row["messages"][0]["content"] += f" {CANARY}"
        split.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture(scope="package")
def playground(tmp_path_factory: pytest.TempPathFactory, small_dataset: Path) -> Iterator[Playground]:
    topology = Topology(
        state_dir=tmp_path_factory.mktemp("cloud"),
        durations=Durations().scaled(0.1),
        settings=FAST,
        persistent=True,
        message_lease=5,
    )
    with running(topology) as found:
        found.arm.create_endpoint(FOREIGN_ENDPOINT, description="somebody else's", tags={"team": "search"})
        found.upload(small_dataset, UNUSED_DATASET)  # looked at last: its idle clock takes minutes
        yield found


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The idle tests after the other end-to-end tests: their clock runs while those do."""
    places = [place for place, item in enumerate(items) if "tests/e2e/" in item.nodeid]
    ordered = sorted((items[place] for place in places), key=lambda item: "test_idle_cleanup" in item.nodeid)
    for place, item in zip(places, ordered, strict=True):
        items[place] = item
