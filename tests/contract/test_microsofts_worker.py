"""The app through Microsoft's own Python worker: indexed, and the main job run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.dialogues import write_dataset
from demo.topology import Topology
from localcloud.config import Durations
from localcloud.stack import Commands
from tests.e2e.conftest import FAST
from tests.e2e.playground import Playground, running

pytest_plugins = ("tests.python313",)
pytestmark = [pytest.mark.localcloud, pytest.mark.training]


@pytest.fixture
def on_microsofts_worker(python_313: str, tmp_path: Path) -> Iterator[Playground]:
    topology = Topology(
        state_dir=tmp_path / "cloud",
        durations=Durations().scaled(0),
        settings=FAST,
        persistent=False,
        commands=Commands(functions=(python_313, "-m", "localcloud.functions", "--engine", "runtime")),
    )
    with running(topology) as found:
        yield found


def test_the_main_job_runs_through_azure_functions_runtime(on_microsofts_worker: Playground, tmp_path: Path) -> None:
    write_dataset(tmp_path / "dataset", train=160, test=16, gen=16)
    on_microsofts_worker.upload(tmp_path / "dataset", "chats")
    tuning = on_microsofts_worker.until("chats", "live", "failed", "rolled_back", "rejected", deadline=180)
    assert tuning["state"] == "live", tuning["reason"]
