"""Where the lines of a split are: a uniform draw needs two reads of a few bytes instead of the whole file."""

from __future__ import annotations

import sys
from array import array
from itertools import compress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

ENTRY_BYTES = 8
_SIZE_BITS = 24
MAX_LINE_BYTES = (1 << _SIZE_BITS) - 1
"""What fits into an entry, beside offsets up to a terabyte."""


class LineIndex:
    """Entries of all lines, or, once these are more than `capacity`, of a part in which each line is as likely.

    Each line gets a level by tossing coins until the first tail; kept are the lines of the lowest level at
    which there are not too many. That level does not depend on the order of the lines, so none is preferred.
    """

    def __init__(self, capacity: int, random: Random) -> None:
        self._capacity = capacity
        self._random = random
        self._begins = array("Q")
        self._ends = array("Q")
        self._level = 0

    def add(self, begins: list[int], ends: list[int]) -> None:
        """Where lines begin and end in the file; with its end none is longer than MAX_LINE_BYTES."""
        if self._level:
            chosen = self._toss(len(begins), self._level)
            begins, ends = list(compress(begins, chosen)), list(compress(ends, chosen))
        self._begins.fromlist(begins)
        self._ends.fromlist(ends)
        while len(self._begins) > self._capacity:
            chosen = self._toss(len(self._begins), 1)
            self._begins = array("Q", compress(self._begins, chosen))
            self._ends = array("Q", compress(self._ends, chosen))
            self._level += 1

    def to_bytes(self) -> bytes:
        """Little-endian 64-bit entries in the order of the file."""
        packed = [begin << _SIZE_BITS | end - begin for begin, end in zip(self._begins, self._ends, strict=True)]
        entries = array("Q", packed)
        if sys.byteorder == "big":
            entries.byteswap()
        return entries.tobytes()

    def _toss(self, lines: int, times: int) -> list[bool]:
        """Which lines had heads each of so many times."""
        bits = self._random.getrandbits
        return [not bits(times) for _ in range(lines)]


def place_of(raw: bytes) -> tuple[int, int]:
    """Offset and size from the bytes of one entry."""
    value = int.from_bytes(raw, "little")
    return value >> _SIZE_BITS, value & MAX_LINE_BYTES
