"""A Python environment that holds what some requirements bring along and nothing else, linked from this one.

As `pip install -r requirements.txt` makes it, whose versions are pinned to the same, in a second and without a network.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement


def requirements(file: Path) -> list[Requirement]:
    lines = (line.partition("#")[0].strip() for line in file.read_text().splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


def closure(wanted: Iterable[Requirement]) -> dict[str, Distribution]:
    """The distributions that they need, by name. Raises PackageNotFoundError."""
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, str]] = set()
    waiting = list(wanted)
    while waiting:
        requirement = waiting.pop()
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        for extra in ("", *sorted(requirement.extras)):
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            found[name] = distribution(name)
            for text in found[name].requires or ():
                needed = Requirement(text)
                if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                    waiting.append(needed)
    return found


def link(distributions: Iterable[Distribution], folder: Path) -> None:
    for item in distributions:
        for file in item.files or ():
            if ".." in file.parts:
                continue  # a command, not a module
            target = folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                target.symlink_to(Path(str(item.locate_file(file))).resolve())


def make(folder: Path, distributions: Iterable[Distribution]) -> tuple[Path, Path]:
    """Its interpreter and its site-packages."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    link(distributions, packages)
    return folder / "bin" / "python", packages
