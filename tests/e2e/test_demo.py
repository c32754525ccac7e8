"""`make demo` as a user runs it: to its end, and stopped in the middle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.playground import with_smoke

pytestmark = [pytest.mark.localcloud, pytest.mark.training]
ROOT = Path(__file__).resolve().parents[2]
STATES = ROOT / ".localcloud"


@contextmanager
def demo(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-u", "-m", "demo", *arguments]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def processes_of(pid: int) -> list[str]:
    """Command lines of processes that belong to the state folder of the demo with this pid."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if f"demo-{pid}-" in line:
                found.append(line)
    return found


def nothing_is_left_of(pid: int) -> bool:
    end = time.monotonic() + 20
    while processes_of(pid):
        if time.monotonic() > end:
            return False
        time.sleep(0.2)
    return not list(STATES.glob(f"demo-{pid}-*"))


def test_the_demo_ends_well_and_leaves_nothing(small_dataset: Path, tmp_path: Path) -> None:
    folder = with_smoke(small_dataset, tmp_path / "My Chats", {"min_characters": 1})
    with demo("--data", str(folder)) as process:
        output, _ = process.communicate(timeout=500)
    assert process.returncode == 0, output
    assert "uploaded datasets/my-chats/" in output
    for told in ("evaluation loss", "smoke test passed", "curl --cacert", "deleting endpoint", "Endpoints left: none"):
        assert told in output, output
    assert nothing_is_left_of(process.pid)


def test_the_demo_of_a_bad_dataset_says_what_is_wrong(tmp_path: Path) -> None:
    folder = tmp_path / "bad"
    folder.mkdir()
    for split in ("train_sft", "test_sft"):
        (folder / f"{split}.jsonl").write_text('{"messages": []}\n')
    with demo("--data", str(folder)) as process:
        output, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "rejected" in output
    assert "line 1" in output
    assert nothing_is_left_of(process.pid)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_that_is_stopped_leaves_nothing(number: signal.Signals) -> None:
    with demo() as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "submitted" in line:
                break
        assert processes_of(process.pid)
        os.kill(process.pid, number)
        process.wait(timeout=60)
    assert process.returncode == 130
    assert nothing_is_left_of(process.pid)
