"""Every local cloud of the whole run writes down its exchanges; at the end they are held against the specification."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from localcloud.exchanges import VARIABLE
from tests.reference import OPENAPI

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.contract.openapi.report import Report

pytest_plugins = ("tests.workers",)

_FOLDER = pytest.StashKey[Path]()
_IS_OURS = pytest.StashKey[bool]()
_SECONDS = pytest.StashKey[float]()
_REPORT: pytest.StashKey[Report] = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    """Before any worker of pytest-xdist, all of which inherit the environment."""
    if _is_worker(config):
        return
    given = os.environ.get(VARIABLE)
    config.stash[_IS_OURS] = given is None
    config.stash[_FOLDER] = Path(given or tempfile.mkdtemp(prefix="droptune-exchanges-"))
    os.environ[VARIABLE] = str(config.stash[_FOLDER])


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """After every test and the end of every fixture, workers' too. An unexplained deviation fails the run."""
    folder = session.config.stash.get(_FOLDER, None)
    if folder is None or not OPENAPI.is_dir() or not any(folder.glob("*.jsonl")):
        return
    from tests.contract.openapi.checker import Checker
    from tests.contract.openapi.exchanges import recorded_exchanges
    from tests.contract.openapi.report import judge

    begun = time.perf_counter()
    report = judge(recorded_exchanges(folder), Checker(OPENAPI))
    session.config.stash[_REPORT] = report
    session.config.stash[_SECONDS] = time.perf_counter() - begun
    if report.unexplained and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> Generator[None]:
    report = config.stash.get(_REPORT, None)
    folder = config.stash.get(_FOLDER, None)
    if report is not None:
        terminalreporter.section(f"conformance of the local cloud, checked in {config.stash[_SECONDS]:.1f} s")
        for line in report.lines():
            terminalreporter.write_line(line, red="UNEXPLAINED" in line)
    elif folder is not None and any(folder.glob("*.jsonl")):
        terminalreporter.write_line(f"conformance not checked: there are no OpenAPI documents in {OPENAPI}")
    yield


def pytest_unconfigure(config: pytest.Config) -> None:
    if config.stash.get(_IS_OURS, False):
        shutil.rmtree(config.stash[_FOLDER], ignore_errors=True)
        os.environ.pop(VARIABLE, None)


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")
