"""`pip install .` makes a program `droptune` that needs neither the function app nor the local cloud."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a copy of the sources: building writes beside them. Dependencies are those of this environment."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("installed")
    for name in ("cli", "shared"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", source)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-deps", "--target", str(target), str(source)], check=True, timeout=180)
    return target


def test_the_program_runs_from_anywhere(installed: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(installed), "COLUMNS": "120"}
    done = subprocess.run(
        [installed / "bin" / "droptune", "--help"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    for command in ("validate", "upload", "status", "doctor", "idle"):
        assert command in done.stdout


def test_a_shell_can_complete_it(installed: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(installed), "_DROPTUNE_COMPLETE": "complete_bash", "COMP_CWORD": "1"}
    environment["COMP_WORDS"] = "droptune re"
    done = subprocess.run(
        [installed / "bin" / "droptune"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["replay"]


def test_neither_handlers_nor_local_cloud_are_installed(installed: Path) -> None:
    assert {path.name for path in installed.iterdir()} & {"handlers", "localcloud", "demo", "tests"} == set()
