"""`make up`, killed outright while a tuning is on its way, and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from localcloud.config import CloudConfig
from localcloud.stack import LocalCloud
from tests.e2e.playground import Playground, wait_for

pytestmark = [pytest.mark.localcloud, pytest.mark.training]
ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def up(state: Path, output: Path) -> Iterator[subprocess.Popen[bytes]]:
    with output.open("wb") as file:
        command = [sys.executable, "-u", "-m", "demo.up", "--state", str(state)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def ready(output: Path, process: subprocess.Popen[bytes]) -> bool | None:
    assert process.poll() is None, output.read_text()
    return True if "The local cloud is up" in output.read_text() else None


def test_a_make_up_that_was_killed_goes_on_where_it_was(
    small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "up"
    with up(state, tmp_path / "first.txt") as process:
        wait_for(lambda: ready(tmp_path / "first.txt", process), 60, (tmp_path / "first.txt").read_text)
        cloud = LocalCloud(CloudConfig.load(state / "cloud.json"))
        for name, value in cloud.client_environment().items():
            monkeypatch.setenv(name, value)
        playground = Playground(cloud)
        playground.upload(small_dataset, "chats")
        before = playground.until("chats", "training", deadline=60)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()

    with up(state, tmp_path / "second.txt") as process:
        wait_for(lambda: ready(tmp_path / "second.txt", process), 60, (tmp_path / "second.txt").read_text)
        after = playground.until("chats", "live", "failed", "rolled_back", deadline=240)
        assert after["state"] == "live", after["reason"]
        assert after["id"] == before["id"]
        assert len(playground.of_dataset("jobs", "chats")) == 1
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0
