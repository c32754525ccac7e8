"""Events leave the cloud only after what they tell of is durable, and none is lost between the two databases."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localcloud.events import EventSink
    from localcloud.store import Store

_COLLECTION = "outbox"


class Outbox:
    """An EventSink before another one. An event is written with the change that caused it, and passed on after
    their common commit. A process that dies in between passes it on after its next start; one that dies after
    that and before it has noted so passes it on twice. The order is kept.
    """

    def __init__(self, store: Store, sink: EventSink) -> None:
        self._store = store
        self._sink = sink
        waiting = store.scan(_COLLECTION)
        self._numbers = itertools.count(int(waiting[-1][0]) + 1 if waiting else 0)
        self._waits = bool(waiting)
        store.after_commit(self._pass_on)

    def publish(self, topic: str, event_type: str, subject: str, data: Mapping[str, object]) -> None:
        event = {"topic": topic, "event_type": event_type, "subject": subject, "data": dict(data)}
        self._waits = True
        self._store.put(_COLLECTION, f"{next(self._numbers):012d}", event)

    def _pass_on(self) -> None:
        if not self._waits:
            return
        self._waits = False
        try:
            for key, event in self._store.scan(_COLLECTION):
                self._sink.publish(**event)
                self._store.delete(_COLLECTION, key)
        except BaseException:
            self._waits = True
            raise
