"""Decompress a gzip file on the way, in bounded memory, and not without end."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from shared.datasets.blocks import Chunk

_GZIP = 16 + zlib.MAX_WBITS
_PIECE_BYTES = 256 * 1024
_UNSUSPICIOUS_BYTES = 64 * 1024 * 1024
"""Up to so many bytes a high ratio is no danger."""

MAGIC = b"\x1f\x8b"


class BadArchiveError(Exception):
    """The gzip file is cut, damaged, or expands beyond what is allowed. `reason` never quotes its contents."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def expanded(chunks: Iterable[Chunk], *, max_bytes: int, max_ratio: float) -> Iterator[bytes]:
    """Pieces of at most 256 KiB of all members of the file one after another. Raises BadArchiveError.

    The checksums of gzip are compared, so a file that was damaged on the way is found.
    """
    reader = zlib.decompressobj(_GZIP)
    read = written = 0
    for chunk in chunks:
        read += len(chunk)
        pending = bytes(chunk)
        while pending:
            if reader.eof:
                if not (pending := pending.lstrip(b"\0")):
                    break
                reader = zlib.decompressobj(_GZIP)
            try:
                piece = reader.decompress(pending, _PIECE_BYTES)
            except zlib.error as error:
                raise BadArchiveError(f"the gzip file is damaged after {written} bytes of content") from error
            written += len(piece)
            if written > max_bytes:
                raise BadArchiveError(f"the content has more than {max_bytes} bytes")
            if written > _UNSUSPICIOUS_BYTES and written > max_ratio * read:
                raise BadArchiveError(f"the content is more than {max_ratio:g} times larger than the gzip file")
            if piece:
                yield piece
            pending = reader.unused_data if reader.eof else reader.unconsumed_tail
    if read and not reader.eof:
        raise BadArchiveError(f"the gzip file ends too early, after {written} bytes of content")
