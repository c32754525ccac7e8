"""The browser of the tests; installed where it is lacking and may be."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from demo.chromium import chromium, find_chromium

AXE = Path(__file__).parents[1] / "node_modules" / "axe-core" / "axe.min.js"


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """Skips the test where there is no Chromium and none can be installed."""
    program = find_chromium() or _install()
    if not program:
        pytest.skip("there is no Chromium; as root: apt-get install chromium")
    with chromium(program) as found:
        yield found


@functools.cache
def _install() -> str:
    """Two workers of a test run do not install at once."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return ""
    with (Path(tempfile.gettempdir()) / "droptune-chromium.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not find_chromium():
            quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            for command in (["update"], ["install", "-y", "--no-install-recommends", "chromium"]):
                subprocess.run(["apt-get", "-qq", *command], env=quiet, check=False, capture_output=True, timeout=600)
    return find_chromium()
