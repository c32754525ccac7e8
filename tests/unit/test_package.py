"""What ships: nothing that is not needed, compiled, within its budgets."""

from __future__ import annotations

import marshal
from pathlib import Path

import pytest

from infra.package import MAX_MODULES, MAX_ZIP_KIB, Package, build, modules_at_start

NOT_SHIPPED = ("localcloud", "tests", "demo", "cli", "benchmarks", "infra", "torch", "transformers", "pytest")
HEAVY = ("azure.ai.ml", "azure.data.tables", "azure.monitor", "pandas", "numpy", *NOT_SHIPPED)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("package") / "app"


@pytest.fixture(scope="module")
def package(folder: Path) -> Package:
    folder.mkdir()
    (folder / "left_over.py").write_text("1")
    return build(folder)


def test_it_holds_the_app_and_nothing_else(package: Package, folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {
        *("function_app.py", "handlers", "shared", "host.json", "requirements.txt", "constraints.txt"),
        *(".funcignore", "__pycache__"),
    }
    assert package.zipped_kib <= MAX_ZIP_KIB
    required = (folder / "requirements.txt").read_text()
    assert [name for name in NOT_SHIPPED if name in required] == []


def test_all_of_it_is_compiled_to_byte_code_that_no_time_stamp_makes_stale(package: Package, folder: Path) -> None:
    sources = [path for path in folder.rglob("*.py")]
    for source in sources:
        (compiled,) = (source.parent / "__pycache__").glob(f"{source.stem}.cpython-*.pyc")
        content = compiled.read_bytes()
        assert content[4:8] == b"\x01\0\0\0", "an unchecked hash, not a time"
        assert str(folder) not in marshal.loads(content[16:]).co_filename
    assert package.files > 2 * len(sources)


def test_it_starts_light(package: Package, folder: Path) -> None:
    modules = modules_at_start(folder)
    assert modules is not None
    assert len(modules) <= MAX_MODULES
    assert [name for name in HEAVY if name in modules] == []


def test_an_ignore_file_keeps_azd_from_leaving_the_byte_code_out(package: Package, folder: Path) -> None:
    rules = [line for line in (folder / ".funcignore").read_text().splitlines() if not line.startswith("#")]
    assert rules == ["local.settings.json"]
