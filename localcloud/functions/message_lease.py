"""Keeps one received message invisible to others for as long as its function runs."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from azure.core.exceptions import AzureError, HttpResponseError

if TYPE_CHECKING:
    from types import TracebackType

    from localcloud.functions.message_queue import MessageQueue, ReceivedMessage

log = logging.getLogger(__name__)


class MessageLease:
    """Renews at half of `seconds`, as the real host does with its 10 minutes. `receipt` is the latest one."""

    def __init__(self, queue: MessageQueue, message: ReceivedMessage, seconds: int) -> None:
        self._queue = queue
        self._message = message
        self._seconds = seconds
        self._done = asyncio.Event()
        self.receipt = message.receipt

    async def __aenter__(self) -> MessageLease:
        self._renewing = asyncio.create_task(self._renew())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # An unfinished renewal must end first: it changes the receipt that deleting needs.
        self._done.set()
        await self._renewing

    async def _renew(self) -> None:
        pause = self._seconds / 2
        while True:
            try:
                async with asyncio.timeout(pause):
                    await self._done.wait()
                return
            except TimeoutError:
                pass
            try:
                self.receipt = await asyncio.to_thread(
                    self._queue.extend, self._message.id, self.receipt, self._seconds
                )
                pause = self._seconds / 2
            except HttpResponseError as error:
                if error.status_code in (400, 404):
                    log.warning(
                        "message %s of queue '%s' is no longer ours: %s",
                        self._message.id,
                        self._queue.name,
                        error.reason,
                    )
                    return
                pause = self._retry_pause(error)
            except AzureError as error:
                pause = self._retry_pause(error)

    def _retry_pause(self, error: AzureError) -> float:
        log.warning("cannot renew message %s of queue '%s': %s", self._message.id, self._queue.name, error)
        return self._seconds / 10
