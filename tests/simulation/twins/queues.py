"""Storage queues as the Functions host uses them, and the wake-ups that the app sends to them."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from shared import names
from shared.lifecycle.queues import VersionMessage, WakeUps
from tests.simulation.twins.world import World

LEASE = 600.0
"""Seconds for which the host hides a message while its function runs (it renews that at half time)."""
MAX_DEQUEUE_COUNT = 5
LONGEST_DELAY = 7 * 24 * 3600 - 60
POISON_SUFFIX = "-poison"


class LeaseLostError(Exception):
    """The receipt is an old one, or the message is gone: somebody else has it, or had it."""


class Message(NamedTuple):
    """`body` is the content after base64. `receipt` is who may change or delete it; it is new at every change."""

    id: str
    queue: str
    body: bytes
    inserted_at: datetime
    visible_at: datetime
    receipt: str = ""
    dequeue_count: int = 0


class Queues:
    """What all hosts and instances share. A queue that does not exist yet is made."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._messages: dict[str, dict[str, Message]] = {name: {} for name in names.QUEUES}
        self._numbers = itertools.count(1)
        self._changed = set(self._messages)

    def names(self) -> list[str]:
        return list(self._messages)

    def waiting(self, queue: str) -> list[Message]:
        """All messages, also those that are hidden; the next one to become visible first."""
        return sorted(self._messages.get(queue, {}).values(), key=lambda item: (item.visible_at, item.id))

    def changed(self) -> list[str]:
        """Queues in which something changed since this was asked last."""
        found = sorted(self._changed)
        self._changed.clear()
        return found

    def look_again(self, queue: str) -> None:
        """Count the queue among the changed ones."""
        self._changed.add(queue)

    def soonest(self, queue: str) -> datetime | None:
        """When the next message of the queue becomes visible."""
        return min((message.visible_at for message in self._messages.get(queue, {}).values()), default=None)

    def count(self, queue: str) -> int:
        return len(self._messages.get(queue, {}))

    def send(self, queue: str, body: bytes, delay: float = 0) -> Message:
        """`delay` in seconds; queues know whole ones."""
        now = self._world.now()
        visible_at = now + timedelta(seconds=min(max(0, round(delay)), LONGEST_DELAY))
        message = Message(f"{next(self._numbers):08d}", queue, body, now, visible_at)
        self._messages.setdefault(queue, {})[message.id] = message
        self._changed.add(queue)
        return message

    def receive(self, queue: str, count: int = 1, lease: float = LEASE) -> list[Message]:
        """At most so many of those that are visible, hidden from others for `lease` seconds."""
        now = self._world.now()
        visible = [message for message in self.waiting(queue) if message.visible_at <= now][:count]
        return [self._change(message, lease, message.dequeue_count + 1) for message in visible]

    def extend(self, message: Message, seconds: float) -> Message:
        """Hidden for so long from now; 0 shows it at once. Raises LeaseLostError."""
        self._require(message)
        return self._change(message, seconds, message.dequeue_count)

    def delete(self, message: Message) -> None:
        """Raises LeaseLostError."""
        self._require(message)
        del self._messages[message.queue][message.id]
        self._changed.add(message.queue)

    def _change(self, message: Message, seconds: float, dequeue_count: int) -> Message:
        visible_at = self._world.now() + timedelta(seconds=seconds)
        receipt = f"r{next(self._numbers)}"
        changed = message._replace(visible_at=visible_at, receipt=receipt, dequeue_count=dequeue_count)
        self._messages[message.queue][message.id] = changed
        self._changed.add(message.queue)
        return changed

    def _require(self, message: Message) -> None:
        found = self._messages[message.queue].get(message.id)
        if found is None or found.receipt != message.receipt:
            raise LeaseLostError(f"message {message.id} of queue {message.queue}")


@dataclass(frozen=True)
class Listener:
    """What the Functions host does with the messages of one queue, as QueueListener and QueueProcessor do.

    `take`, run the function, then `succeeded` or `failed`. Who dies in between just does not call: the message
    is seen again when its lease is over.
    """

    queues: Queues
    queue: str

    def take(self, count: int = 1, lease: float = LEASE) -> list[Message]:
        """Messages to run the function with. One that was dequeued too often already is buried on the way."""
        taken = []
        for message in self.queues.receive(self.queue, count, lease):
            if message.dequeue_count > MAX_DEQUEUE_COUNT:
                self._bury(message)
            else:
                taken.append(message)
        return taken

    def succeeded(self, message: Message) -> None:
        try:
            self.queues.delete(message)
        except LeaseLostError:
            return  # the host logs it; whoever has it now runs it once more

    def failed(self, message: Message) -> None:
        """Seen again at once, or after the fifth time moved to the poison queue."""
        if message.dequeue_count >= MAX_DEQUEUE_COUNT:
            self._bury(message)
            return
        if self.queue.endswith(POISON_SUFFIX):
            return  # without a poison queue it stays hidden until its lease ends
        try:
            self.queues.extend(message, 0)
        except LeaseLostError:
            return

    def _bury(self, message: Message) -> None:
        if self.queue.endswith(POISON_SUFFIX):
            return
        self.queues.send(self.queue + POISON_SUFFIX, message.body)
        self.succeeded(message)


class WakeUpsTwin(WakeUps):
    def __init__(self, world: World, queues: Queues) -> None:
        self._world = world
        self._queues = queues

    def tuning(self, tuning_id: str, delay: float = 0, due: str = "") -> None:
        self._put("wake_ups.tuning", names.DEPLOYMENT_PROGRESS_QUEUE, _body(tuning_id, due), delay, tuning_id)

    def smoke_test(self, tuning_id: str, delay: float = 0, due: str = "") -> None:
        self._put("wake_ups.smoke_test", names.SMOKE_TEST_QUEUE, _body(tuning_id, due), delay, tuning_id)

    def version(self, message: VersionMessage, delay: float) -> None:
        body: dict[str, object] = {
            "dataset": message.dataset,
            "version": message.version,
            "revision": message.revision,
        }
        of = f"{message.dataset}/{message.version}"
        self._put("wake_ups.version", names.DATASET_SETTLED_QUEUE, body, delay, of)

    def put_back(self, queue: str, body: bytes, delay: float) -> None:
        self._put_bytes("wake_ups.put_back", queue, body, delay, queue)

    def _put(self, operation: str, queue: str, body: dict[str, object], delay: float, of: str) -> None:
        self._put_bytes(operation, queue, json.dumps(body).encode(), delay, of)

    def _put_bytes(self, operation: str, queue: str, content: bytes, delay: float, of: str) -> None:
        self._world.effect(operation, lambda: self._queues.send(queue, content, delay), writes=True, of=of)


def _body(tuning_id: str, due: str) -> dict[str, object]:
    return {"tuning_id": tuning_id, "due": due} if due else {"tuning_id": tuning_id}
