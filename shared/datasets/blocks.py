"""Cut a stream of chunks into blocks of whole lines, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True, slots=True)
class Block:
    """Whole lines with their ends. `first_line` counts from 1, `offset` is the byte at which it begins."""

    first_line: int
    offset: int
    lines: list[bytes]

    def offset_of(self, index: int) -> int:
        return self.offset + sum(map(len, self.lines[:index]))

    def line_by_line(self) -> Iterator[Block]:
        offset = self.offset
        for index, line in enumerate(self.lines):
            yield Block(self.first_line + index, offset, [line])
            offset += len(line)


@dataclass(frozen=True, slots=True)
class OverlongLine:
    """A line of more than the allowed bytes, of which nothing was kept. `size` is without the line feed."""

    line: int
    offset: int
    size: int


def split_blocks(
    chunks: Iterable[bytes], *, block_bytes: int, max_line_bytes: int, offset: int = 0
) -> Iterator[Block | OverlongLine]:
    """Blocks of about `block_bytes`, or of one longer line. `offset` is where the first chunk begins.

    Holds one chunk, one block and one cut line of at most `max_line_bytes`.
    """
    block_bytes = min(block_bytes, max_line_bytes)
    line = 1
    cut = _CutLine(max_line_bytes)
    for chunk in chunks:
        # BytesIO shares the chunk's memory, and its readlines is the fastest way to cut it.
        reader = BytesIO(chunk)
        if cut.size:
            cut.add(reader.readline())
            if not cut.whole:
                continue
            yield cut.take(line, offset)
            line, offset, cut = line + 1, offset + cut.size, _CutLine(max_line_bytes)
        while lines := reader.readlines(block_bytes):
            # Only the last one can be cut, or longer than a block.
            last = lines[-1]
            if not last.endswith(b"\n") or len(last) > max_line_bytes:
                cut.add(lines.pop())
            if lines:
                yield Block(line, offset, lines)
                line, offset = line + len(lines), offset + sum(map(len, lines))
            if cut.whole:
                yield cut.take(line, offset)
                line, offset, cut = line + 1, offset + cut.size, _CutLine(max_line_bytes)
    if cut.size:
        yield cut.take(line, offset)


class _CutLine:
    """A line that comes in pieces. They are dropped once it is too long."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._kept = bytearray()
        self._end = b""
        self.size = 0

    @property
    def whole(self) -> bool:
        return self._end == b"\n"

    def add(self, piece: bytes) -> None:
        if not piece:
            return
        self.size += len(piece)
        self._end = piece[-1:]
        if self._length <= self._max_bytes:
            self._kept += piece
        else:
            self._kept.clear()

    def take(self, line: int, offset: int) -> Block | OverlongLine:
        if self._length > self._max_bytes:
            return OverlongLine(line, offset, self._length)
        return Block(line, offset, [bytes(self._kept)])

    @property
    def _length(self) -> int:
        """Without the line feed."""
        return self.size - 1 if self.whole else self.size
