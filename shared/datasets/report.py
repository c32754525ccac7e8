"""`reports/{tuning id}.json`: what people read when their dataset was refused, and what was seen when not."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING

from shared.datasets.limits import DEFAULT_LIMITS, Limits
from shared.datasets.paths import REQUIRED_SPLITS, SPLIT_SUFFIX
from shared.datasets.split_report import mixed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from shared.datasets.split_report import LineError, Problem, SplitReport

MAX_FINDINGS = 100
"""Errors, and separately warnings, of all splits together that are listed. All are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionReport:
    """No contents of messages are in it: whoever may see the tuning may see it."""

    tuning_id: str
    dataset: str
    version: str
    created: datetime
    splits: tuple[SplitReport, ...] = ()
    problems: tuple[Problem, ...] = ()
    limits: Limits = DEFAULT_LIMITS

    @property
    def valid(self) -> bool:
        present = {split.split for split in self.splits}
        sound = not self.problems and all(split.valid for split in self.splits)
        return sound and present.issuperset(REQUIRED_SPLITS)

    def errors(self) -> list[tuple[str, LineError]]:
        """The first ones, each with its file."""
        return list(islice(chain.from_iterable(_with_file(split, split.errors) for split in self.splits), MAX_FINDINGS))

    def warnings(self) -> list[tuple[str, LineError]]:
        """Some of each file and kind, each with its file."""
        found = chain.from_iterable(_with_file(split, split.warnings) for split in self.splits)
        return list(mixed(found, MAX_FINDINGS, kind=lambda pair: (pair[0], pair[1].kind)))


def to_json(report: VersionReport) -> bytes:
    document = {
        "tuning": report.tuning_id,
        "dataset": report.dataset,
        "version": report.version,
        "created": report.created.isoformat(),
        "valid": report.valid,
        "max_seq_length": report.limits.max_seq_length,
        "problems": [
            {"kind": problem.kind, "subject": problem.subject, "reason": problem.reason} for problem in report.problems
        ],
        "splits": {split.split: _statistics(split) for split in report.splits},
        "errors": [_listed(file, finding) for file, finding in report.errors()],
        "warnings": [_listed(file, finding) for file, finding in report.warnings()],
    }
    # Blob names may hold what UTF-8 can not spell.
    return json.dumps(document, ensure_ascii=False, indent=1).encode(errors="replace")


def _statistics(split: SplitReport) -> dict[str, object]:
    lengths = split.lengths
    return {
        "valid": split.valid,
        "rows": split.rows,
        "valid_rows": split.valid_rows,
        "compared_rows": split.compared_rows,
        "turns": split.turns,
        "characters": split.characters,
        "estimated_tokens": split.tokens,
        "lengths": {
            "unit": "estimated tokens per row",
            "edges": list(lengths.edges),
            "rows": list(lengths.counts),
            "median": lengths.median,
            "p95": lengths.p95,
            "longest": lengths.longest,
        },
        "roles": dict(split.roles),
        "size": split.size,
        "content": split.content,
        "error_counts": dict(split.error_counts),
        "warning_counts": dict(split.warning_counts),
    }


def _with_file(split: SplitReport, findings: Iterable[LineError]) -> Iterator[tuple[str, LineError]]:
    return ((split.split + SPLIT_SUFFIX, finding) for finding in findings)


def _listed(file: str, finding: LineError) -> dict[str, object]:
    listed: dict[str, object] = {
        "file": file,
        "line": finding.line,
        "offset": finding.offset,
        "kind": finding.kind,
        "reason": finding.reason,
    }
    if finding.other:
        listed["other"] = {"file": finding.other[0], "line": finding.other[1]}
    return listed
