"""Chromium without a window, as Debian packages it; installed where it is lacking and may be."""

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
from playwright.sync_api import Browser, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
AXE = Path(__file__).parents[1] / "node_modules" / "axe-core" / "axe.min.js"


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """With a profile of its own. Skips the test where there is no Chromium and none can be installed."""
    program = _find() or _install()
    if not program:
        pytest.skip("there is no Chromium; as root: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(_ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


def _find() -> str:
    return next((found for name in _NAMES if (found := shutil.which(name))), "")


@functools.cache
def _install() -> str:
    """Two workers of a test run do not install at once."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return ""
    with (Path(tempfile.gettempdir()) / "droptune-chromium.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _find():
            quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            for command in (["update"], ["install", "-y", "--no-install-recommends", "chromium"]):
                subprocess.run(["apt-get", "-qq", *command], env=quiet, check=False, capture_output=True, timeout=600)
    return _find()
