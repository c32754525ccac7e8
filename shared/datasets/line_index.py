"""Where the lines of a split are: a uniform draw needs two reads of a few bytes instead of the whole file."""

from __future__ import annotations

import sys
from array import array
from itertools import compress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

ENTRY_BYTES = 8
_SIZE_BYTES = 3
_SIZE_BITS = 8 * _SIZE_BYTES
MAX_LINE_BYTES = (1 << _SIZE_BITS) - 1
"""What fits into an entry, beside offsets up to a terabyte."""


_COIN = bytes(number & 1 for number in range(256))


class LineIndex:
    """Entries of all lines, or, once these are more than `capacity`, of a part in which each line is as likely.

    Each line gets a level by tossing coins until the first tail; kept are the lines of the lowest level at
    which there are not too many. That level does not depend on the order of the lines, so none is preferred.
    """

    def __init__(self, capacity: int, random: Random) -> None:
        self._capacity = capacity
        self._random = random
        self._begins = array("Q")
        self._sizes = array("I")
        self._level = 0

    def add(self, begins: array[int], sizes: array[int]) -> None:
        """Where lines begin in the file ("Q") and their bytes ("I"); with its end none has more than MAX_LINE_BYTES."""
        for _ in range(self._level):
            begins, sizes = self._half(begins, sizes)
        self._begins.extend(begins)
        self._sizes.extend(sizes)
        while len(self._begins) > self._capacity:
            self._begins, self._sizes = self._half(self._begins, self._sizes)
            self._level += 1

    def to_bytes(self) -> bytes:
        """Little-endian 64-bit entries in the order of the file: the size in the lower 24 bits."""
        begins, sizes = _little_endian(self._begins), _little_endian(self._sizes)
        entries = bytearray(len(begins))
        for place in range(ENTRY_BYTES):
            if place < _SIZE_BYTES:
                entries[place::ENTRY_BYTES] = sizes[place :: self._sizes.itemsize]
            else:
                entries[place::ENTRY_BYTES] = begins[place - _SIZE_BYTES :: ENTRY_BYTES]
        return bytes(entries)

    def _half(self, begins: array[int], sizes: array[int]) -> tuple[array[int], array[int]]:
        """Those that had heads."""
        heads = self._random.randbytes(len(begins)).translate(_COIN)
        return array("Q", compress(begins, heads)), array("I", compress(sizes, heads))


def _little_endian(column: array[int]) -> bytes:
    if sys.byteorder == "big":
        column = column[:]
        column.byteswap()
    return column.tobytes()


def place_of(raw: bytes) -> tuple[int, int]:
    """Offset and size from the bytes of one entry."""
    value = int.from_bytes(raw, "little")
    return value >> _SIZE_BITS, value & MAX_LINE_BYTES
