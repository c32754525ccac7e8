"""Polls one queue and runs a handler per message: batches, back-off, visibility, retries, poison queue.

The rules are those of QueueListener and QueueProcessor in the Azure Storage extension of the Functions host.
"""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING

from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError

from localcloud.functions.engine import FunctionFailedError
from localcloud.functions.message_lease import MessageLease

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from localcloud.functions.host_json import QueueOptions
    from localcloud.functions.message_queue import MessageQueue, ReceivedMessage

log = logging.getLogger(__name__)

MINIMUM_POLLING_INTERVAL = 0.1
_POISON_SUFFIX = "-poison"
_LONGEST_QUEUE_NAME = 63


def poison_queue_name(queue_name: str) -> str | None:
    """None when the queue has no poison queue: it is one itself, or the name would get too long."""
    if queue_name.endswith(_POISON_SUFFIX) or len(queue_name) + len(_POISON_SUFFIX) > _LONGEST_QUEUE_NAME:
        return None
    return queue_name + _POISON_SUFFIX


def next_delay(delay: float, found: int, longest: float, jitter: float) -> float:
    """Seconds until the next poll: none after a hit, else doubling. `jitter` is in 0–1 (± 20 %)."""
    if found:
        return 0.0
    return min(longest, max(MINIMUM_POLLING_INTERVAL, delay * 2 * (0.8 + 0.4 * jitter)))


class QueueListener:
    """`handle` raises FunctionFailedError when the message is to be tried again.

    `lease` is the visibility timeout in whole seconds of a message that is being worked on (10 minutes in
    Azure).
    """

    def __init__(
        self,
        queue: MessageQueue,
        handle: Callable[[ReceivedMessage], Awaitable[None]],
        poison_queue: Callable[[ReceivedMessage], MessageQueue | None],
        options: QueueOptions,
        lease: int,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._queue = queue
        self._handle = handle
        self._poison_queue = poison_queue
        self._options = options
        self._lease = lease
        self._jitter = jitter
        self._stopping = asyncio.Event()
        self._wake = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        self._polling: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return self._queue.url

    def start(self) -> None:
        self._polling = asyncio.create_task(self._poll())

    def wake(self) -> None:
        """This host has just put a message into the queue: look now."""
        self._wake.set()

    def stop(self) -> None:
        """Take no new messages. Those in work go on; see `drain`."""
        self._stopping.set()
        self._wake.set()

    async def drain(self) -> None:
        """Wait for the last poll and for the messages in work."""
        if self._polling is not None:
            await asyncio.wait({self._polling})
        while self._running:
            await asyncio.wait(self._running)

    async def _poll(self) -> None:
        delay = MINIMUM_POLLING_INTERVAL
        while not self._stopping.is_set():
            self._wake.clear()
            found = await self._fetch()
            for message in found:
                task = asyncio.create_task(self._process(message))
                self._running.add(task)
                task.add_done_callback(self._running.discard)
            delay = next_delay(delay, len(found), self._options.max_polling_interval, self._jitter())
            await self._wait_for_room()
            await self._pause(delay)

    async def _fetch(self) -> list[ReceivedMessage]:
        try:
            found = await asyncio.to_thread(self._queue.receive, self._options.batch_size, self._lease)
        except ResourceNotFoundError:
            await self._create()
            return []
        except AzureError as error:
            log.error("cannot read queue '%s': %s", self._queue.name, error)
            return []
        if self._stopping.is_set():
            for message in found:
                await self._release(message, message.receipt, 0)
            return []
        return found

    async def _create(self) -> None:
        try:
            await asyncio.to_thread(self._queue.create)
            log.info("created queue '%s'", self._queue.name)
        except AzureError as error:
            log.error("cannot create queue '%s': %s", self._queue.name, error)

    async def _wait_for_room(self) -> None:
        while len(self._running) > self._options.new_batch_threshold and not self._stopping.is_set():
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED, timeout=1.0)

    async def _pause(self, seconds: float) -> None:
        if seconds <= 0:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _process(self, message: ReceivedMessage) -> None:
        if message.body is None:
            log.error("message %s of queue '%s' is not base64-encoded text", message.id, self._queue.name)
            await self._bury(message, message.receipt)
            return
        if message.dequeue_count > self._options.max_dequeue_count:
            await self._bury(message, message.receipt)
            return
        async with MessageLease(self._queue, message, self._lease) as lease:
            succeeded = await self._succeeds(message)
        if succeeded:
            await self._delete(message, lease.receipt)
        elif message.dequeue_count >= self._options.max_dequeue_count:
            await self._bury(message, lease.receipt)
        elif self._poison_queue(message) is not None:
            await self._release(message, lease.receipt, int(self._options.visibility_timeout))
        # Without a poison queue a message stays invisible until its lease ends, lest it fail in a fast loop.

    async def _succeeds(self, message: ReceivedMessage) -> bool:
        try:
            await self._handle(message)
        except FunctionFailedError:
            return False  # the runner has logged it
        except Exception:
            log.exception("message %s of queue '%s' could not be handled", message.id, self._queue.name)
            return False
        return True

    async def _bury(self, message: ReceivedMessage, receipt: str) -> None:
        poison = self._poison_queue(message)
        if poison is None:
            return
        log.warning(
            "Message has reached MaxDequeueCount of %d. Moving message to queue '%s'.",
            self._options.max_dequeue_count,
            poison.name,
        )
        body = message.raw if message.body is None else message.body
        try:
            await asyncio.to_thread(poison.send, body.encode())
        except AzureError as error:
            log.error("cannot write to queue '%s': %s", poison.name, error)
            return
        await self._delete(message, receipt)

    async def _delete(self, message: ReceivedMessage, receipt: str) -> None:
        try:
            await asyncio.to_thread(self._queue.delete, message.id, receipt)
        except AzureError as error:
            self._log_lost(message, error)

    async def _release(self, message: ReceivedMessage, receipt: str, delay: int) -> None:
        try:
            await asyncio.to_thread(self._queue.extend, message.id, receipt, delay)
        except AzureError as error:
            self._log_lost(message, error)

    def _log_lost(self, message: ReceivedMessage, error: AzureError) -> None:
        if isinstance(error, HttpResponseError) and error.status_code in (400, 404):
            log.warning("message %s of queue '%s' was taken by another host meanwhile", message.id, self._queue.name)
        else:
            log.error("cannot complete message %s of queue '%s': %s", message.id, self._queue.name, error)
