"""Cut a stream of chunks into blocks of whole lines, in bounded memory, without copying them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

import xxhash

from shared.datasets.identity import line_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Chunk = bytes | bytearray
"""A bytearray may be overwritten when the next chunk is asked for."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Block:
    """Lines with their ends, one after another. `first_line` counts from 1, `offset` is the byte where it begins.

    They are good until the next block is asked for.
    """

    first_line: int
    offset: int
    lines: list[memoryview]
    run: memoryview
    """All lines but the first `apart` as they lie one after another: to be decoded at once."""
    apart: int = 0

    def sizes(self) -> list[int]:
        return list(map(len, self.lines))

    def offsets(self) -> list[int]:
        """Where the lines begin."""
        return list(accumulate(map(len, self.lines[:-1]), initial=self.offset))

    def line_by_line(self) -> Iterator[Block]:
        for index, (line, offset) in enumerate(zip(self.lines, self.offsets(), strict=True)):
            yield Block(self.first_line + index, offset, [line], line)

    def digests(self) -> bytes:
        """The lines' digests, one after another."""
        return b"".join(map(line_digest, self.lines))


@dataclass(frozen=True, slots=True)
class OverlongLine:
    """A line of more than the allowed bytes, of which only a hash was kept. `size` is without the line feed."""

    line: int
    offset: int
    size: int
    digest: bytes


def split_blocks(
    chunks: Iterable[Chunk], *, block_bytes: int, max_line_bytes: int, offset: int = 0
) -> Iterator[Block | OverlongLine]:
    """Blocks of about `block_bytes`, or of one longer line. `offset` is where the first chunk begins.

    Holds one chunk and one cut line of at most `max_line_bytes`.
    """
    block_bytes = min(block_bytes, max_line_bytes)
    line = 1
    cut = _CutLine(max_line_bytes)
    for chunk in chunks:
        lines: list[memoryview] = []
        # Of this chunk; before it where the first line began in the chunk before.
        begin = end = apart = 0
        if cut.size:
            end = chunk.find(b"\n") + 1 or len(chunk)
            cut.add(chunk[:end])
            if not cut.whole:
                continue
            taken = cut.take(line, offset)
            if isinstance(taken, OverlongLine):
                yield taken
                line, offset, begin = line + 1, offset + cut.size, end
            else:
                lines, begin, apart = taken.lines, end - cut.size, 1
            cut = _CutLine(max_line_bytes)
        view, find, run = memoryview(chunk), chunk.find, end
        while following := find(b"\n", end) + 1:
            lines.append(view[end:following])
            if following - begin < block_bytes:
                end = following
                continue
            # Only the last line can be too long: those before it fill less than a block.
            if following - end - 1 > max_line_bytes:
                overlong = lines.pop()
                if lines:
                    yield Block(line, offset, lines, view[run:end], apart)
                line, offset = line + len(lines), offset + end - begin
                yield OverlongLine(line, offset, len(overlong) - 1, line_digest(overlong))
                line, offset = line + 1, offset + len(overlong)
            else:
                yield Block(line, offset, lines, view[run:following], apart)
                line, offset = line + len(lines), offset + following - begin
            begin = end = run = following
            lines, apart = [], 0
        if lines:
            yield Block(line, offset, lines, view[run:end], apart)
            line, offset = line + len(lines), offset + end - begin
        cut.add(chunk[end:])
    if cut.size:
        yield cut.take(line, offset)


class _CutLine:
    """A line that comes in pieces. They are dropped once it is too long."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._kept = bytearray()
        self._dropped = xxhash.xxh3_128()
        self._end = b""
        self.size = 0

    @property
    def whole(self) -> bool:
        return self._end == b"\n"

    def add(self, piece: Chunk) -> None:
        if not piece:
            return
        self.size += len(piece)
        self._end = bytes(piece[-1:])
        if self._length <= self._max_bytes:
            self._kept += piece
        else:
            self._dropped.update(self._kept)
            self._dropped.update(piece)
            self._kept.clear()

    def take(self, line: int, offset: int) -> Block | OverlongLine:
        if self._length > self._max_bytes:
            return OverlongLine(line, offset, self._length, self._dropped.digest())
        kept = memoryview(bytes(self._kept))
        return Block(line, offset, [kept], kept)

    @property
    def _length(self) -> int:
        """Without the line feed."""
        return self.size - 1 if self.whole else self.size
