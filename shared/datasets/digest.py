"""Size and SHA-256 of a stream while somebody else reads it."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Future

_WORTH_A_THREAD = 256 * 1024
"""Bytes from which hashing in a second thread is faster; hashlib lets go of the interpreter lock."""


class Digest:
    """Hashes each chunk beside the work that its reader does with it: at most one chunk is under way."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._size = 0
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="digest")
        self._under_way: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._worker.shutdown()

    def watch(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._wait()
            self._size += len(chunk)
            if len(chunk) < _WORTH_A_THREAD:
                self._sha256.update(chunk)
            else:
                self._under_way = self._worker.submit(self._sha256.update, chunk)
            yield chunk

    def finish(self) -> tuple[str, int]:
        """SHA-256 in hex and the size in bytes of all that was watched."""
        self._wait()
        return self._sha256.hexdigest(), self._size

    def _wait(self) -> None:
        if self._under_way:
            self._under_way.result()
            self._under_way = None
