"""What validation found out about one split."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Set


@dataclass(frozen=True, slots=True)
class LineError:
    """`line` counts from 1, `offset` is the byte at which the line begins. `reason` never quotes the line."""

    line: int
    offset: int
    kind: str
    reason: str


@dataclass(frozen=True, slots=True)
class SplitReport:
    """`size` is in bytes, `characters` counts the contents of the valid rows, `turns` their messages.

    `errors` and `warnings` are the first ones; `error_counts` and `warning_counts` count all by kind.
    `sample` holds whole valid lines, drawn uniformly; it is user content and belongs into no log or report.
    """

    split: str
    rows: int
    valid_rows: int
    turns: int
    characters: int
    roles: Mapping[str, int]
    size: int
    sha256: str
    errors: tuple[LineError, ...]
    error_counts: Mapping[str, int]
    warnings: tuple[LineError, ...]
    warning_counts: Mapping[str, int]
    sample: tuple[bytes, ...] = field(repr=False)
    conversations: Set[int] = field(repr=False, compare=False, default=frozenset())
    """Hashes of the conversations, salted per process: comparable only with reports of the same process."""

    @property
    def valid(self) -> bool:
        return not self.error_counts


def find_leaks(train: SplitReport, test: SplitReport) -> int:
    """How many distinct conversations stand in both splits: the evaluation loss of these means nothing.

    Both reports must come from this process. A lower bound for splits of more than Limits.tracked_rows.
    """
    small, large = sorted((train.conversations, test.conversations), key=len)
    return sum(1 for conversation in small if conversation in large)


class Findings:
    """Keeps the first `limit` findings and counts all."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: list[LineError] = []
        self.counts: Counter[str] = Counter()

    def add(self, kind: str, reason: str, *, line: int, offset: int) -> None:
        self.counts[kind] += 1
        if not self.full:
            self._kept.append(LineError(line, offset, kind, reason))

    def count(self, kind: str, number: int) -> None:
        """For findings that would not be kept anyway."""
        self.counts[kind] += number

    @property
    def full(self) -> bool:
        return len(self._kept) >= self._limit

    def in_line_order(self) -> tuple[LineError, ...]:
        return tuple(sorted(self._kept, key=lambda finding: finding.line))
