"""The worker's own event loop: an async function that blocks must stall other functions, never the host."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")


class WorkerThread:
    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        thread = threading.Thread(target=self._serve, name="functions-worker", daemon=True)
        thread.start()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Await `work` on the worker's loop, from the host's loop."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def run_blocking(self, work: Coroutine[Any, Any, T]) -> T:
        """For threads that have no event loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def run_in_background(self, work: Coroutine[Any, Any, Any]) -> None:
        """For as long as the process lives."""
        self._background = asyncio.run_coroutine_threadsafe(work, self._loop)
