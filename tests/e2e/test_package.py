"""What ships, started from the built package in an environment that holds its requirements and nothing else."""

from __future__ import annotations

import ast
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from demo.topology import ROOT, Topology
from infra.package import build
from localcloud.config import Durations
from localcloud.stack import Commands
from tests.e2e.clean_environment import closure, link, make, requirements
from tests.e2e.conftest import FAST
from tests.e2e.playground import running

OF_THE_LOCAL_HOST = ("croniter", "cryptography", "httptools", "httpx", "PyYAML", "starlette", "uvicorn")
"""What the local Functions host needs; in Azure the host is Microsoft's."""


@dataclass(frozen=True)
class Shipped:
    app: Path
    python: Path
    packages: Path


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Shipped:
    folder = tmp_path_factory.mktemp("shipped")
    build(folder / "app")
    brought = closure(requirements(folder / "app" / "requirements.txt"))
    return Shipped(folder / "app", *make(folder / "environment", brought.values()))


def imports(app: Path) -> list[str]:
    """Every module that any of its files imports, at its beginning or within a function, but for type checkers."""
    found: set[str] = set()
    for file in app.rglob("*.py"):
        for node in _run(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module)
    return sorted(found - {"__future__"})


def _run(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)):
            yield child
            yield from _run(child)


def test_its_requirements_bring_everything_that_any_of_its_files_imports(shipped: Shipped) -> None:
    code = """
import importlib, json, sys
missing = {}
for name in json.loads(sys.argv[1]):
    try:
        importlib.import_module(name)
    except ImportError as error:
        missing[name] = str(error)
print(json.dumps(missing))
"""
    done = subprocess.run(
        [shipped.python, "-W", "ignore", "-c", code, json.dumps(imports(shipped.app))],
        cwd=shipped.app,
        env={},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout.splitlines()[-1]) == {}


def test_it_would_be_seen_if_a_requirement_were_missing(shipped: Shipped) -> None:
    assert {"azure.storage.blob", "msgspec", "xxhash"} <= set(imports(shipped.app))
    done = subprocess.run([shipped.python, "-c", "import torch"], env={}, capture_output=True, check=False)
    assert done.returncode != 0


@pytest.mark.localcloud
@pytest.mark.training
def test_it_does_a_main_job_on_the_local_cloud(
    shipped: Shipped, small_dataset: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    host = tmp_path / "host"
    brought = closure(requirements(shipped.app / "requirements.txt"))
    needed = closure(Requirement(name) for name in OF_THE_LOCAL_HOST)
    link((item for name, item in needed.items() if name not in brought), host)
    (host / "localcloud").symlink_to(ROOT / "localcloud")
    (shipped.packages / "zz-host.pth").write_text(f"{host}\n")  # behind everything of the app
    topology = Topology(
        state_dir=tmp_path_factory.mktemp("cloud"),
        app_dir=shipped.app,
        durations=Durations().scaled(0.05),
        settings=FAST,
        fast_training=True,
        persistent=False,
        # -P: nothing is imported from the checkout, which is where the local cloud starts its processes.
        commands=Commands(functions=(str(shipped.python), "-P", "-m", "localcloud.functions")),
    )
    with running(topology) as playground:
        playground.upload(small_dataset, "shipped")
        tuning = playground.until("shipped", "live", "failed", "rolled_back", "rejected", deadline=180)
        log = playground.cloud.log_file("functions").read_text()
    assert tuning["state"] == "live", tuning["reason"]
    assert "ModuleNotFoundError" not in log
