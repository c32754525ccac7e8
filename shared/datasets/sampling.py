"""Draw a few rows uniformly from a stream of unknown length."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence


class Reservoir:
    """Every offered line is equally likely to be among the `capacity` that stay (Li's algorithm L, 1994).

    Algorithm L computes how many lines to pass over, so that a long file costs nothing per line. A drawn line
    of more than `max_bytes` keeps its place empty: what remains is still uniform over the shorter lines.
    """

    def __init__(self, capacity: int, max_bytes: int, random: random.Random) -> None:
        self._capacity = capacity
        self._max_bytes = max_bytes
        self._random = random
        self._places: list[bytes | None] = []
        self._seen = 0
        self._next = 0 if capacity else math.inf
        self._weight = 1.0

    def offer(self, lines: Sequence[bytes]) -> None:
        end = self._seen + len(lines)
        while self._next < end:
            line = lines[int(self._next) - self._seen].rstrip(b"\r\n")
            self._place(line if len(line) <= self._max_bytes else None)
        self._seen = end

    def drawn(self) -> tuple[bytes, ...]:
        return tuple(line for line in self._places if line is not None)

    def _place(self, line: bytes | None) -> None:
        if len(self._places) < self._capacity:
            self._places.append(line)
        else:
            self._places[self._random.randrange(self._capacity)] = line
        self._next += 1
        if len(self._places) == self._capacity:
            shrink = math.exp(math.log(self._unit()) / self._capacity)
            self._weight = min(self._weight * shrink, math.nextafter(1, 0))
            self._next += math.floor(math.log(self._unit()) / math.log1p(-self._weight))

    def _unit(self) -> float:
        """In (0, 1), both ends excluded, where the logarithms exist."""
        return (self._random.getrandbits(52) + 0.5) / 2**52
