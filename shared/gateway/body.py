"""The body of a call: kept while it is short, so that it can be sent again; else passed on as it comes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

KEPT_BYTES = 1024 * 1024


class TooLargeError(Exception):
    """The body has more bytes than allowed."""


class Chunks(Protocol):
    def __aiter__(self) -> AsyncIterator[bytes]: ...


@dataclass(frozen=True)
class KeptBody:
    content: bytes
    again = True

    @property
    def length_header(self) -> tuple[bytes, bytes]:
        return b"content-length", b"%d" % len(self.content)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.content


class PassingBody:
    """What was read, then the rest; can be read once."""

    again = False

    def __init__(self, begun: bytes, rest: AsyncIterator[bytes], limit: int, length: int | None) -> None:
        self._begun = begun
        self._rest = rest
        self._limit = limit
        self.length_header = (
            (b"transfer-encoding", b"chunked") if length is None else (b"content-length", b"%d" % length)
        )

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = len(self._begun)
        yield self._begun
        async for chunk in self._rest:
            size += len(chunk)
            if size > self._limit:
                raise TooLargeError
            if chunk:
                yield chunk


Body = KeptBody | PassingBody


async def read_body(chunks: AsyncIterator[bytes], length: int | None, limit: int) -> Body:
    """`length` as it was announced. Raises TooLargeError."""
    if length is not None and length > limit:
        raise TooLargeError
    begun = bytearray()
    async for chunk in chunks:
        begun += chunk
        if len(begun) > limit:
            raise TooLargeError
        if len(begun) > KEPT_BYTES:
            return PassingBody(bytes(begun), chunks, limit, length)
    return KeptBody(bytes(begun))
