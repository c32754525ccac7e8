"""What validation found out about one split."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import islice, zip_longest
from typing import TYPE_CHECKING, TypeVar

from shared.datasets.row_table import RowTable

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping

    from shared.datasets.lengths import Histogram


Finding = TypeVar("Finding")


@dataclass(frozen=True, slots=True, order=True)
class LineError:
    """`line` counts from 1, `offset` is the byte at which the line begins. `reason` never quotes the line.

    `other` is the file and line of the other place, where there are two.
    """

    line: int
    offset: int
    kind: str
    reason: str
    other: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong that stands on no line. `subject` is the blob's name or the split's."""

    kind: str
    subject: str
    reason: str


@dataclass(frozen=True, slots=True)
class SplitReport:
    """`size` is in bytes, of the content; `characters` and `tokens` are of the valid rows, `turns` their messages.

    `errors` are the first ones, `warnings` some of each kind; `error_counts` and `warning_counts` count all by kind.
    `index` is the LineIndex of a valid split. `compared_rows` is how many of them were compared for repetitions.
    """

    split: str
    rows: int
    valid_rows: int
    turns: int
    characters: int
    tokens: int
    lengths: Histogram
    roles: Mapping[str, int]
    size: int
    content: str
    errors: tuple[LineError, ...]
    error_counts: Mapping[str, int]
    warnings: tuple[LineError, ...]
    warning_counts: Mapping[str, int]
    compared_rows: int
    index: bytes = field(repr=False)
    table: RowTable = field(repr=False, compare=False, default_factory=lambda: RowTable(0))
    """Of this process only."""

    @property
    def valid(self) -> bool:
        return not self.error_counts


class Findings:
    """Keeps the first `limit` findings of each kind, by their lines, and counts all."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: dict[str, list[LineError]] = {}
        self.counts: Counter[str] = Counter()

    def add(self, kind: str, reason: str, *, line: int, offset: int, other: tuple[str, int] | None = None) -> None:
        self.counts[kind] += 1
        kept = self._kept.setdefault(kind, [])
        kept.append(LineError(line, offset, kind, reason, other))
        if len(kept) >= 2 * self._limit:
            kept.sort(key=_by_line)
            del kept[self._limit :]

    def first(self, limit: int) -> tuple[LineError, ...]:
        """The first ones of all kinds together, by their lines."""
        return tuple(sorted(self._every(), key=_by_line)[:limit])

    def mixed(self, limit: int) -> tuple[LineError, ...]:
        """Some of each kind, by their lines: many of one kind leave room for the few of another."""
        return mixed(sorted(self._every(), key=_by_line), limit, kind=lambda finding: finding.kind)

    def _every(self) -> list[LineError]:
        return [finding for kept in self._kept.values() for finding in kept]


def mixed(findings: Iterable[Finding], limit: int, kind: Callable[[Finding], Hashable]) -> tuple[Finding, ...]:
    """At most `limit` in their order; each kind has an equal share of places, and what one leaves others take."""
    every = list(findings)
    places: dict[Hashable, list[int]] = {}
    for place, finding in enumerate(every):
        places.setdefault(kind(finding), []).append(place)
    turns = zip_longest(*places.values())
    chosen = islice((place for turn in turns for place in turn if place is not None), limit)
    return tuple(every[place] for place in sorted(chosen))


def _by_line(finding: LineError) -> tuple[int, str]:
    return finding.line, finding.kind
