"""How long rows are: estimated tokens, their distribution."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_STEP_BITS = 3
"""Sizes are told apart in steps of 8 bytes: 2 tokens of English. Bars of 10 tokens and more hold several."""
_LOOKED_AT = 128
_COUNTED_AT_ONCE = 65_536
"""Sizes that wait for being counted: between two blocks the processor's cache has forgotten the counts."""
TEMPLATE_TOKENS = 4
"""Of a chat template, per message: markers of the turn and the role."""


def utf8_size(first: str, last: str, characters: int) -> int:
    """Bytes of a conversation in UTF-8, estimated from the beginnings of its first and last message."""
    looked_at = first[:_LOOKED_AT] + last[:_LOOKED_AT]
    return characters * len(looked_at.encode()) // len(looked_at)


@dataclass(frozen=True, slots=True)
class Histogram:
    """`counts` holds the rows by size: those of `edges[i]` to below `edges[i + 1]` estimated tokens."""

    edges: tuple[int, ...]
    counts: tuple[int, ...]
    median: int
    p95: int
    longest: int


class Lengths:
    """Counts rows by their size in tokens, estimated as bytes in UTF-8 by `token_bytes`.

    Tokenizers of the common models take 3.5 to 4.5 bytes of English for a token, and about 3 of other scripts.
    """

    def __init__(self, token_bytes: float) -> None:
        self._token_bytes = token_bytes
        self._counted: Counter[int] = Counter()
        self._waiting = array("I")
        self._bytes = 0
        self._longest = 0

    def add(self, sizes: list[int]) -> int:
        """Returns the largest. `sizes` are in bytes, with `template_bytes` for each message."""
        self._waiting.fromlist(sizes)
        if len(self._waiting) >= _COUNTED_AT_ONCE:
            self._count()
        self._bytes += sum(sizes)
        largest = max(sizes)
        self._longest = max(self._longest, largest)
        return largest

    @property
    def template_bytes(self) -> int:
        return round(TEMPLATE_TOKENS * self._token_bytes)

    @property
    def tokens(self) -> int:
        return round(self._bytes / self._token_bytes)

    def histogram(self, bars: int = 32) -> Histogram:
        """Bars of one width, a round number of tokens; what is beyond the 99.5th percentile shares the last."""
        self._count()
        rows = self._counted.total()
        step = (1 << _STEP_BITS) / self._token_bytes
        steps = sorted(self._counted.items())
        width = _round_up((self._percentile(steps, 0.995) + step) / bars)
        counts = [0] * bars
        for number, count in steps:
            counts[min(int(number * step / width), bars - 1)] += count
        while len(counts) > 1 and not counts[-1]:
            counts.pop()
        longest = round(self._longest / self._token_bytes)
        edges = [number * width for number in range(len(counts))]
        edges.append(max(len(counts) * width, longest + 1))
        half, most = (round(self._percentile(steps, share)) for share in (0.5, 0.95))
        return Histogram(tuple(edges), tuple(counts) if rows else (0,), half, most, longest)

    def _count(self) -> None:
        self._counted.update([size >> _STEP_BITS for size in self._waiting])
        del self._waiting[:]

    def _percentile(self, steps: Sequence[tuple[int, int]], share: float) -> float:
        """The middle of the step in which it lies."""
        wanted = share * self._counted.total()
        seen = 0
        for number, count in steps:
            seen += count
            if seen >= wanted:
                return (number + 0.5) * (1 << _STEP_BITS) / self._token_bytes
        return 0


def _round_up(width: float) -> int:
    for magnitude in (10, 100, 1_000, 10_000, 100_000, 1_000_000):
        for factor in (1, 2, 5):
            if factor * magnitude >= width:
                return factor * magnitude
    return round(width)
