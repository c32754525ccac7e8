"""A Python 3.13 with Microsoft's own Functions worker, azure-functions-runtime, where one can be had.

The worker for 3.11 is not on PyPI; the one for 3.13 is, and indexes and invokes by the same rules.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".localcloud" / "py313-venv"
_HOST_PACKAGES = ("azure-functions-runtime", "azure-functions==2.*", "croniter", "httpx", "starlette", "uvicorn")


@pytest.fixture(scope="session")
def python_313() -> str:
    """The interpreter of an environment with the worker, the app's requirements and the local host's.

    It is made once and kept, until the requirements change.
    """
    python = ENVIRONMENT / "bin" / "python"
    packages = (*_HOST_PACKAGES, *_app_packages())
    wanted = hashlib.sha256(" ".join(packages).encode()).hexdigest()
    ready = ENVIRONMENT / "ready"
    if not ready.exists() or ready.read_text() != wanted:
        found = _interpreter()
        if found is None:
            pytest.skip("there is no Python 3.13: the worker of azure-functions-runtime needs one")
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        subprocess.run([found, "-m", "venv", str(ENVIRONMENT)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", *packages]
        done = subprocess.run(install, capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"azure-functions-runtime can not be installed: {done.stderr[-300:]}")
        ready.write_text(wanted)
    return str(python)


def _app_packages() -> list[str]:
    """What the app requires, but azure-functions: 1.x is for Python up to 3.12, 2.x for 3.13."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return [line for line in lines if re.match(r"\w", line) and not line.startswith("azure-functions==")]


def _interpreter() -> str | None:
    versions = Path.home() / ".pyenv" / "versions"
    candidates = [shutil.which("python3.13"), *map(str, sorted(versions.glob("3.13*/bin/python3.13")))]
    for candidate in candidates:
        # pyenv's shim is on the PATH even where its 3.13 is not the chosen one, and then fails.
        if candidate and subprocess.run([candidate, "-c", "import venv"], capture_output=True).returncode == 0:
            return candidate
    return None
