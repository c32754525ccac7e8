"""Cut a stream of chunks into blocks of whole lines, in bounded memory, without copying them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import xxhash

from shared.datasets.identity import line_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Chunk = bytes | bytearray
"""A bytearray may be overwritten when the next chunk is asked for."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_OPENING, _LINE_FEED = ord("{"), ord("\n")
_OPENED, _CLOSED = {ord("{")}, {ord("}")}


@dataclass(frozen=True, slots=True)
class Block:
    """Lines with their ends. `first_line` counts from 1, `offset` is the byte of the file at which `data` begins.

    `ends` are the places in `data` after each line's end; `data` is good until the next block is asked for.
    """

    first_line: int
    offset: int
    data: memoryview
    ends: list[int]

    def offset_of(self, index: int) -> int:
        return self.offset + (self.ends[index - 1] if index else 0)

    def line(self, index: int) -> bytes:
        return bytes(self.data[self.ends[index - 1] if index else 0 : self.ends[index]])

    def lines(self) -> list[bytes]:
        return [self.line(index) for index in range(len(self.ends))]

    def line_by_line(self) -> Iterator[Block]:
        for index in range(len(self.ends)):
            line = self.line(index)
            yield Block(self.first_line + index, self.offset_of(index), memoryview(line), [len(line)])

    def digests(self) -> bytes:
        """The lines' digests, one after another."""
        data, digest = self.data, line_digest
        return b"".join(
            [digest(data[begin:end]) for begin, end in zip([0, *self.ends], self.ends)]  # noqa: B905 - one more begin
        )

    def is_plain(self) -> bool:
        """Whether every line begins with { and ends with } and a line feed.

        Then no object goes over several lines: inside of one, } and { never stand next to each other.
        """
        data, ends = self.data, self.ends
        if data[0] != _OPENING or data[-1] != _LINE_FEED:
            return False
        before = {data[end - 2] for end in ends}
        after = {data[end] for end in ends[:-1]}
        return before == _CLOSED and after <= _OPENED


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
        begin = 0
        if cut.size:
            begin = chunk.find(b"\n") + 1 or len(chunk)
            cut.add(chunk[:begin])
            if not cut.whole:
                continue
            yield cut.take(line, offset)
            line, offset, cut = line + 1, offset + cut.size, _CutLine(max_line_bytes)
        view, find = memoryview(chunk), chunk.find
        ends: list[int] = []
        end = begin
        while following := find(b"\n", end) + 1:
            ends.append(following - begin)
            if following - begin < block_bytes:
                end = following
                continue
            # Only the last line can be too long: those before it fill less than a block.
            if following - end - 1 > max_line_bytes:
                ends.pop()
                if ends:
                    yield Block(line, offset, view[begin:end], ends)
                line, offset = line + len(ends), offset + end - begin
                yield OverlongLine(line, offset, following - end - 1, line_digest(view[end:following]))
                line, offset = line + 1, offset + following - end
            else:
                yield Block(line, offset, view[begin:following], ends)
                line, offset = line + len(ends), offset + following - begin
            begin, end, ends = following, following, []
        if ends:
            yield Block(line, offset, view[begin:end], ends)
            line, offset = line + len(ends), offset + end - begin
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
        return Block(line, offset, memoryview(bytes(self._kept)), [self.size])

    @property
    def _length(self) -> int:
        """Without the line feed."""
        return self.size - 1 if self.whole else self.size
