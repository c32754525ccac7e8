"""What ships: `python -m infra.package FOLDER` builds it and says how big it is.

Standard library only: azd runs it with the Python of whoever deploys. The byte-code counts whatever a ZIP file makes of
the times of the files, and is used by the Python that compiled it: 3.11 in Azure.
"""

from __future__ import annotations

import argparse
import compileall
import io
import json
import py_compile
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ("function_app.py", "handlers", "shared", "host.json", "requirements.txt", "constraints.txt")
MAX_ZIP_KIB = 1536
"""Flex Consumption fetches the ZIP file before an instance can start."""
MAX_MODULES = 900
"""Loaded when an instance starts, Python's own and those of the triggers among them."""

_IGNORE = "# Everything here ships, byte-code too: without this file, azd would leave that out.\nlocal.settings.json\n"


@dataclass(frozen=True)
class Package:
    files: int
    kib: int
    zipped_kib: int


def build(folder: Path) -> Package:
    """Anew, whatever was there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in SHIPPED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, folder / name)
    (folder / ".funcignore").write_text(_IGNORE)
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    if not compileall.compile_dir(folder, quiet=1, invalidation_mode=mode, stripdir=str(folder)):
        raise SystemExit("the package does not compile")
    return measure(folder)


def measure(folder: Path) -> Package:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            archive.write(path, path.relative_to(folder))
    size = sum(path.stat().st_size for path in files)
    return Package(len(files), round(size / 1024), round(len(content.getvalue()) / 1024))


def modules_at_start(folder: Path, python: str = sys.executable) -> list[str] | None:
    """What importing the app loads, in a process of its own; None where its requirements are not installed."""
    code = "import json, sys, function_app; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([python, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode and "No module named 'azure" in done.stderr:
        return None
    done.check_returncode()
    found: list[str] = json.loads(done.stdout)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.package", description=__doc__)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder.resolve()
    package = build(folder)
    print(f"{folder}: {package.files} files, {package.kib} KiB, {package.zipped_kib} KiB as a ZIP file")
    if sys.version_info[:2] != (3, 11):
        print("its byte-code is of no use to Python 3.11 in Azure: build it with 3.11 for a faster start")
    modules = modules_at_start(folder)
    if modules is None:
        print("imports at start: unknown, its requirements are not installed here")
        return 0
    tops = sorted({name.partition(".")[0] for name in modules} - set(sys.stdlib_module_names) - {"__main__"})
    own = [name for name in modules if name.partition(".")[0] in ("function_app", "handlers", "shared")]
    print(f"imports at start: {len(modules)} modules; beyond Python's own: {', '.join(tops)}; ours: {', '.join(own)}")
    too_big = package.zipped_kib > MAX_ZIP_KIB or len(modules) > MAX_MODULES
    if too_big:
        print(f"over the budget of {MAX_ZIP_KIB} KiB and {MAX_MODULES} modules", file=sys.stderr)
    return int(too_big)


if __name__ == "__main__":
    sys.exit(main())
