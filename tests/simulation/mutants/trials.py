"""One defect before its judges: schedules until one is violated, and the tests of what was changed.

A trial runs in a forked process whose parent has loaded everything but the app, which takes as long as the rest.
"""

from __future__ import annotations

import contextlib
import io
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from tests.simulation.mutants.defects import Defect
from tests.simulation.mutants.spoiled import ROOT, install

LONGEST = 600
"""Seconds of a trial; a defect that makes something endless is caught by that."""
UNIT_TESTS = (
    "decide",
    "left_over",
    "ending",
    "intake",
    "tuning",
    "job_slots",
    "job_events",
    "names",
    "idle_gather",
    "idle_metrics",
    "idle_rule",
    "idle_sweep",
    "idle_sweep_safety",
    "canary",
    "budget",
    "books",
    "waking",
    "gateway",
    "smoke_test",
    "scoring",
)
DAYS = ("storms", "outage_day", "waiting_in_line", "stale_looks")
"""Tests of the simulation whose worlds are no drawn ones."""


class TooLongError(BaseException):
    """Nothing of ours may catch it."""


@dataclass(frozen=True)
class Catch:
    """Who caught a defect, and where; empty where nobody did."""

    simulation: str
    unit: str

    @property
    def caught(self) -> bool:
        return bool(self.simulation or self.unit)


def simulated(defect: Defect, seeds: range) -> str:
    """The invariant that the first schedule violates, and its seed."""
    return _judged(defect, lambda: _first_violation(seeds))


def tested(defect: Defect) -> str:
    """The first unit test that fails."""
    return _judged(defect, _first_failure)


def load_all_but_the_app() -> None:
    """What a trial imports, so that it is there after the fork."""
    import azure.core.messaging
    import azure.functions
    import greenlet
    import msgspec
    import pytest

    assert all((azure.core.messaging, azure.functions, greenlet, msgspec, pytest))


def _judged(defect: Defect, judge: Callable[[], str]) -> str:
    install(defect)
    try:
        with _at_most(LONGEST):
            return judge()
    except TooLongError:
        return f"it takes longer than {LONGEST} s"


def _first_violation(seeds: range) -> str:
    try:
        from tests.simulation.schedule import run
    except Exception as error:  # noqa: BLE001 - a defect may be one that nothing survives
        return f"{type(error).__name__} when it is loaded"
    for seed in seeds:
        violation = run(seed).violation
        if violation is not None:
            return f"{violation.invariant} (seed {seed})"
    return ""


def _first_failure() -> str:
    import pytest

    class Watch:
        first = ""

        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            if report.failed and not self.first:
                self.first = report.nodeid.partition("::")[2]

        def pytest_collectreport(self, report: pytest.CollectReport) -> None:
            if report.failed and not self.first:
                self.first = f"{report.nodeid} can not be loaded"

    watch = Watch()
    files = [str(ROOT / "tests/unit" / f"test_{name}.py") for name in UNIT_TESTS]
    files += [str(ROOT / "tests/simulation" / f"test_{name}.py") for name in DAYS]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        ended = pytest.main(["-x", "-q", "-p", "no:cacheprovider", f"--rootdir={ROOT}", *files], [watch])
    if ended not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED):
        raise RuntimeError(f"pytest can not run: {ended!r}")
    return watch.first


@contextmanager
def _at_most(seconds: int) -> Iterator[None]:
    def over(number: int, frame: FrameType | None) -> None:
        raise TooLongError

    before = signal.signal(signal.SIGALRM, over)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
