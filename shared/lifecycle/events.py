"""Lifecycle events: one CloudEvent for each entry of a tuning's history, at least once, in order.

The history in the ledger is the outbox: `published` says how far it was sent. An event's id is the tuning's id
and the entry's number, so that a consumer can drop doubles.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from shared.errors import RaceLostError

if TYPE_CHECKING:
    from collections.abc import Callable

    from azure.core.messaging import CloudEvent

    from shared.lifecycle.ledger import Ledger, Versioned
    from shared.lifecycle.topic import Topic
    from shared.lifecycle.tuning import HistoryEntry, Tuning

log = logging.getLogger(__name__)

TYPE_PREFIX = "droptune."
"""The event's type is this and what happened: `droptune.tuning.live`, a state, or `droptune.endpoint.marked`."""


class LifecycleEvents:
    def __init__(self, ledger: Ledger, source: str, publisher: Callable[[], Topic] | None) -> None:
        """`source` is the workspace's id; `publisher` None: there is no topic, nothing is published."""
        self._ledger = ledger
        self._source = source
        self._publisher = publisher

    def publish_new(self, row: Versioned[Tuning]) -> None:
        """Publish what was not published yet. Never raises: `reconcile` tries again what did not get through."""
        tuning = row.value
        entries = [entry for entry in tuning.history if entry.seq > tuning.published]
        if not entries or self._publisher is None:
            return
        try:
            self._publisher().send([self._event(tuning, entry) for entry in entries])
        except Exception:
            log.exception("tuning %s: %d lifecycle events could not be published yet", tuning.id, len(entries))
            return
        try:
            self._ledger.put(replace(row, value=replace(tuning, published=tuning.last_seq)))
        except RaceLostError:
            log.info("tuning %s moved on while its events were published; they may come twice", tuning.id)

    def unpublished(self, tuning: Tuning) -> bool:
        return self._publisher is not None and tuning.last_seq > tuning.published

    def _event(self, tuning: Tuning, entry: HistoryEntry) -> CloudEvent[dict[str, Any]]:
        from azure.core.messaging import CloudEvent

        return CloudEvent(
            source=self._source,
            type=TYPE_PREFIX + (entry.event or f"tuning.{entry.state}"),
            subject=f"endpoints/{tuning.endpoint}" if entry.event else f"tunings/{tuning.id}",
            id=f"{tuning.id}:{entry.seq}",
            time=entry.at,
            data=event_data(tuning, entry),
        )


def event_data(tuning: Tuning, entry: HistoryEntry) -> dict[str, Any]:
    """No contents of the dataset, and no keys: names, states and reasons."""
    more = {"deletes_at": entry.until.isoformat() if entry.until else None} if entry.event else {}
    return {
        **more,
        "tuning": tuning.id,
        "dataset": tuning.dataset,
        "version": tuning.version,
        "state": str(entry.state),
        "message": entry.message,
        "job": tuning.job,
        "model": tuning.model_id,
        "endpoint": tuning.endpoint,
        "deployment": tuning.deployment,
        "reason": None if tuning.reason is None else {"code": tuning.reason.code, "message": tuning.reason.message},
    }
