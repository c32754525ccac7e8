"""GitHub's workflows: every action is pinned to a commit, nothing may do more than it must."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_PINNED = re.compile(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+(\.\d+)*")


def problems(folder: Path, makefile: Path) -> Iterator[str]:
    import yaml

    targets = set(re.findall(r"^([\w-]+):", makefile.read_text(), re.MULTILINE))
    files = sorted(folder.glob("*.yml"))
    if not files:
        yield f"there are no workflows in {folder}"
    for file in files:
        text = file.read_text()
        parsed: dict[Any, Any] = yaml.safe_load(text)
        for line in text.splitlines():
            if "uses: " in line and not _PINNED.fullmatch(line.strip().removeprefix("- ")):
                yield f"{file.name}: {line.strip()} is not pinned to a commit with its version beside it"
        if parsed.get("permissions") != {}:
            yield f"{file.name}: permissions: {{}} is missing; each job asks for its own"
        for name, job in parsed["jobs"].items():
            if "permissions" not in job:
                yield f"{file.name}: {name}: says nothing about permissions"
            if "timeout-minutes" not in job:
                yield f"{file.name}: {name}: may run for ever"
            for step in job["steps"]:
                for target in re.findall(r"\bmake ([\w-]+)", step.get("run", "")):
                    if target not in targets:
                        yield f"{file.name}: {name}: there is no make {target}"
