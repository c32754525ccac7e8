"""`python -m tests.simulation.mutants`: makes each defect in a copy of the tree and says which tests caught it.

Per defect: a campaign of schedules that stops at the first violation, and the unit tests of what was changed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.simulation.mutants.defects import DEFECTS, Defect

ROOT = Path(__file__).parents[3]
COPIED = ("shared", "handlers", "tests", "function_app.py", "host.json", "pyproject.toml")
"""What is changed, or finds the rest from where it lies; all else is linked."""
TIMEOUT = 900
_UNIT_TESTS = (
    "decide",
    "left_over",
    "tuning",
    "job_slots",
    "job_events",
    "names",
    "idle_gather",
    "idle_metrics",
    "idle_rule",
    "idle_sweep",
    "idle_sweep_safety",
    "smoke_test",
    "scoring",
    "waking",
    "gateway",
)


@dataclass(frozen=True)
class Catch:
    """Who caught it; empty where nobody did."""

    simulation: str
    unit: str

    @property
    def caught(self) -> bool:
        return bool(self.simulation or self.unit)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.mutants", description=__doc__)
    parser.add_argument("--seeds", type=int, default=400, help="schedules per defect at most")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", default="", help="defects whose name holds this")
    given = parser.parse_args()
    chosen = [defect for defect in DEFECTS if given.only in defect.name]
    print("| defect | caught by the simulation | caught by a unit test | seconds |\n|---|---|---|--:|", flush=True)
    missed = []
    for defect in chosen:
        begun = time.monotonic()
        catch = trial(defect, given.seeds, given.jobs)
        seconds = time.monotonic() - begun
        print(f"| {defect.name} | {catch.simulation or '–'} | {catch.unit or '–'} | {seconds:.0f} |", flush=True)
        if not catch.caught:
            missed.append(defect.name)
    print(f"\n{len(chosen) - len(missed)} of {len(chosen)} defects were caught")
    for name in missed:
        print(f"NOT CAUGHT: {name}")
    return 1 if missed else 0


def trial(defect: Defect, seeds: int, jobs: int) -> Catch:
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        tree = Path(folder)
        _copy(tree)
        _spoil(tree / defect.file, defect)
        return Catch(_simulation(tree, seeds, jobs), _unit_tests(tree))


def _copy(tree: Path) -> None:
    for item in ROOT.iterdir():
        if item.name in COPIED and item.is_dir():
            shutil.copytree(item, tree / item.name, ignore=shutil.ignore_patterns("__pycache__"))
        elif item.name in COPIED:
            shutil.copy(item, tree / item.name)
        elif item.name not in (".git", ".mypy_cache", ".ruff_cache", ".pytest_cache"):
            (tree / item.name).symlink_to(item)


def _spoil(file: Path, defect: Defect) -> None:
    text = file.read_text()
    if text.count(defect.old) != 1:
        raise SystemExit(f"{defect.name}: {defect.file} holds the text {text.count(defect.old)} times:\n{defect.old}")
    file.write_text(text.replace(defect.old, defect.new))


def _simulation(tree: Path, seeds: int, jobs: int) -> str:
    arguments = ["--seeds", str(seeds), "--first", "1", "--jobs", str(jobs), "--no-table", "--stop"]
    ended = _python(tree, "-m", "tests.simulation", *arguments)
    found = re.search(r"^seed (\d+) \(\w+\): (.*?): ", ended.stdout, re.MULTILINE)
    if found:
        return f"{found[2]} (seed {found[1]})"
    return f"it ends with {ended.stderr.strip().splitlines()[-1][:80]}" if ended.returncode not in (0, 1) else ""


def _unit_tests(tree: Path) -> str:
    files = [f"tests/unit/test_{name}.py" for name in _UNIT_TESTS]
    ended = _python(tree, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *files)
    found = re.search(r"^(?:FAILED|ERROR) \S*?::(\S+)", ended.stdout, re.MULTILINE)
    return found[1] if found else ""


def _python(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, text=True, check=False, timeout=TIMEOUT
    )


if __name__ == "__main__":
    sys.exit(main())
