"""Cut a stream of chunks into blocks of whole lines, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True, slots=True)
class Block:
    """Whole lines without their line feeds. `first_line` counts from 1, `offset` is where it begins."""

    first_line: int
    offset: int
    lines: list[bytes]

    def offset_of(self, index: int) -> int:
        return self.offset + index + sum(map(len, self.lines[:index]))

    def line_by_line(self) -> Iterator[Block]:
        offset = self.offset
        for index, line in enumerate(self.lines):
            yield Block(self.first_line + index, offset, [line])
            offset += len(line) + 1


@dataclass(frozen=True, slots=True)
class OverlongLine:
    """A line of more than the allowed bytes, of which nothing was kept."""

    line: int
    offset: int
    size: int


class _PartialLine:
    """The line that the end of a chunk has cut; its bytes are dropped once it is too long."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._kept = bytearray()
        self.size = 0

    def add(self, piece: bytes) -> None:
        self.size += len(piece)
        if self.size <= self._max_bytes:
            self._kept += piece
        else:
            self._kept.clear()

    def finish(self, line: int, offset: int) -> Block | OverlongLine:
        if self.size > self._max_bytes:
            return OverlongLine(line, offset, self.size)
        return Block(line, offset, [bytes(self._kept)])


def split_blocks(
    chunks: Iterable[bytes], *, block_bytes: int, max_line_bytes: int, offset: int = 0
) -> Iterator[Block | OverlongLine]:
    """Blocks of at most `block_bytes`, or of one longer line. `offset` is where the first chunk begins.

    Holds one chunk, one block and one cut line of at most `max_line_bytes`.
    """
    block_bytes = min(block_bytes, max_line_bytes)
    line = 1
    partial = _PartialLine(max_line_bytes)
    for chunk in chunks:
        begin = 0
        if partial.size:
            end = chunk.find(b"\n")
            if end < 0:
                partial.add(chunk)
                continue
            partial.add(chunk[:end])
            yield partial.finish(line, offset)
            line, offset, begin = line + 1, offset + partial.size + 1, end + 1
            partial = _PartialLine(max_line_bytes)
        while begin < len(chunk):
            end = chunk.rfind(b"\n", begin, begin + block_bytes)
            if end < 0:
                end = chunk.find(b"\n", begin + block_bytes)
            if end < 0:
                partial.add(chunk[begin:])
                break
            if end - begin > max_line_bytes:
                yield OverlongLine(line, offset, end - begin)
                line += 1
            else:
                lines = chunk[begin:end].split(b"\n")
                yield Block(line, offset, lines)
                line += len(lines)
            offset += end + 1 - begin
            begin = end + 1
    if partial.size:
        yield partial.finish(line, offset)
