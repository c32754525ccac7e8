"""`reports/{tuning id}.json`: what people read when their dataset was refused, and what was seen when not."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING

from shared.datasets.paths import REQUIRED_SPLITS, SPLIT_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from shared.datasets.split_report import LineError, SplitReport

MAX_FINDINGS = 100
"""Errors, and separately warnings, of all splits together that are listed. All are counted."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong that stands on no line. `subject` is the blob's name or the split's."""

    kind: str
    subject: str
    reason: str


def build_report(
    *,
    tuning_id: str,
    dataset: str,
    version: str,
    splits: Sequence[SplitReport],
    problems: Sequence[Problem],
    created: datetime,
) -> bytes:
    """JSON in UTF-8, without any contents of messages: whoever may see the tuning may see it."""
    present = {split.split for split in splits}
    valid = not problems and all(split.valid for split in splits) and present.issuperset(REQUIRED_SPLITS)
    report = {
        "tuning": tuning_id,
        "dataset": dataset,
        "version": version,
        "created": created.isoformat(),
        "valid": valid,
        "problems": [
            {"kind": problem.kind, "subject": problem.subject, "reason": problem.reason} for problem in problems
        ],
        "splits": {split.split: _statistics(split) for split in splits},
        "errors": _listed(chain.from_iterable(_with_file(split, split.errors) for split in splits)),
        "warnings": _listed(chain.from_iterable(_with_file(split, split.warnings) for split in splits)),
    }
    # Blob names may hold what UTF-8 can not spell.
    return json.dumps(report, ensure_ascii=False, indent=1).encode(errors="replace")


def _statistics(split: SplitReport) -> dict[str, object]:
    return {
        "valid": split.valid,
        "rows": split.rows,
        "valid_rows": split.valid_rows,
        "turns": split.turns,
        "characters": split.characters,
        "roles": dict(split.roles),
        "size": split.size,
        "sha256": split.sha256,
        "error_counts": dict(split.error_counts),
        "warning_counts": dict(split.warning_counts),
    }


def _with_file(split: SplitReport, findings: Iterable[LineError]) -> Iterable[tuple[str, LineError]]:
    return ((split.split + SPLIT_SUFFIX, finding) for finding in findings)


def _listed(findings: Iterable[tuple[str, LineError]]) -> list[dict[str, object]]:
    return [
        {
            "file": file,
            "line": finding.line,
            "offset": finding.offset,
            "kind": finding.kind,
            "reason": finding.reason,
        }
        for file, finding in islice(findings, MAX_FINDINGS)
    ]
