"""What the app's validation says about a file or a folder of this machine."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cli.outcome import UnusableError
from shared.datasets.local_files import check_file, check_folder
from shared.datasets.paths import FILE_NAMES, SETTINGS_FILE, split_of
from shared.datasets.report import VersionReport, to_json
from shared.datasets.tuning_file import parse_tuning_file, sequence_length
from shared.errors import InvalidDatasetError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from shared.datasets.limits import Limits


@dataclass(frozen=True)
class Checked:
    """`report` is the app's own. A single file is valid by itself, a folder when it is a complete version."""

    path: Path
    report: VersionReport
    valid: bool

    def as_json(self) -> dict[str, Any]:
        """The app's report, with the path where the app says which tuning it is about."""
        document: dict[str, Any] = json.loads(to_json(self.report))
        for name in ("tuning", "dataset", "version"):
            del document[name]
        return {"path": str(self.path), **document, "valid": self.valid}


def check(
    path: Path,
    limits: Limits,
    now: datetime,
    *,
    split: str | None = None,
    watch: Callable[[int], None] | None = None,
) -> Checked:
    """Raises UnusableError or OSError. `split` names the rules for a file that is not named for its split."""
    if path.is_dir():
        return _check_folder(path, limits, now, watch)
    if not path.exists():
        raise UnusableError(f"{path} does not exist")
    if not path.is_file():
        raise UnusableError(f"{path} is neither a file nor a folder")
    if path.name == SETTINGS_FILE:
        raise UnusableError(f"{path} is checked together with its splits: give the folder")
    report = check_file(path, split, limits, watch)
    return Checked(path, _report((report,), (), limits, now), report.valid)


def size_of(path: Path) -> int:
    """Bytes that a check reads at least once."""
    if not path.is_dir():
        return path.stat().st_size if path.is_file() else 0
    return sum(file.stat().st_size for file in path.iterdir() if split_of(file.name))


def _check_folder(folder: Path, limits: Limits, now: datetime, watch: Callable[[int], None] | None) -> Checked:
    if not any(split_of(file.name) for file in folder.iterdir()):
        raise UnusableError(f"{folder} has none of {', '.join(name for name in FILE_NAMES if split_of(name))}")
    splits, problems = check_folder(folder, limits, watch)
    report = _report(tuple(splits), tuple(problems), _with_tuning_file(folder, limits), now)
    return Checked(folder, report, report.valid)


def _report(splits: Any, problems: Any, limits: Limits, now: datetime) -> VersionReport:
    return VersionReport(
        tuning_id="", dataset="", version="", created=now, splits=splits, problems=problems, limits=limits
    )


def _with_tuning_file(folder: Path, limits: Limits) -> Limits:
    """As check_folder applied it; a file that is missing or malformed changes nothing."""
    try:
        return sequence_length(parse_tuning_file((folder / SETTINGS_FILE).read_bytes()), limits)
    except (FileNotFoundError, InvalidDatasetError):
        return limits
