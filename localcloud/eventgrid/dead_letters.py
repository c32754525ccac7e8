"""Dead letters: events that were given up, as blobs that hold one or more of them.

https://learn.microsoft.com/azure/event-grid/delivery-and-retry#dead-letter-events; the names of the blobs:
https://learn.microsoft.com/azure/event-grid/manage-event-delivery
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import logging
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx

from localcloud.eventgrid.blobs import ContainerMissingError, StorageUnavailableError
from localcloud.eventgrid.events import DeadLetterInfo, to_dead_letter
from localcloud.eventgrid.store import Result

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from localcloud.config import EventSubscription
    from localcloud.eventgrid.blobs import Blobs
    from localcloud.eventgrid.store import Delivery, State, Store

log = logging.getLogger(__name__)

WRITTEN_AFTER = 300.0
DROPPED_AFTER = 4 * 3600.0
"""Seconds, before scaling: from the last attempt to the blob, and to the end if storage does not answer."""

_MOST = 1000
_RETRY_EVERY = 1.0


class DeadLetters:
    """Writes the undeliverable events of one subscription when their time has come."""

    def __init__(
        self,
        subscription: EventSubscription,
        store: Store,
        blobs: Blobs,
        *,
        scale: float,
        clock: Callable[[], float],
    ) -> None:
        self._subscription = subscription
        self._store = store
        self._blobs = blobs
        self._scale = scale
        self._clock = clock
        self._wake = asyncio.Event()

    def give_up(self, delivery: Delivery, reason: str, now: float) -> Result:
        """What becomes of a delivery that is not tried again. `delivery` is as after the last attempt."""
        kept = bool(self._subscription.dead_letter_container)
        log.warning(
            "%s to %s: given up after attempt %d, %s%s",
            *(delivery.event.id, self._subscription.name, delivery.attempts, reason),
            "" if kept else "; dropped, there is no dead-letter container",
        )
        self._wake.set()
        result = _result(delivery, "undeliverable" if kept else "dropped")
        return replace(result, reason=reason, due=now + WRITTEN_AFTER * self._scale)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._wake.clear()
            pause = await self._write_due()
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _write_due(self) -> float | None:
        """When one is due, all that came after it go into the same blob: that is what the waiting is for.

        Returns the seconds until more may be due, None when there is nothing to wait for.
        """
        now = self._clock()
        owed = self._store.schedule(self._subscription.name, _MOST, "undeliverable")
        if not owed:
            return None
        if owed[0][1] > now:
            return owed[0][1] - now
        deliveries = self._store.deliveries([number for number, _ in owed])
        try:
            await self._write(deliveries, now)
        except ContainerMissingError:
            log.warning("subscription %s: its dead-letter container does not exist", self._subscription.name)
            self._end(deliveries, "dropped")
        except (httpx.HTTPError, StorageUnavailableError) as error:
            log.warning("%d dead letters of %s wait: %s", len(owed), self._subscription.name, error)
            due = dict(owed)
            self._end([d for d in deliveries if now - due[d.id] > DROPPED_AFTER * self._scale], "dropped")
            return _RETRY_EVERY
        else:
            self._end(deliveries, "dead-lettered")
        return 0.0

    async def _write(self, deliveries: Sequence[Delivery], now: float) -> None:
        letters = [to_dead_letter(d.event, self._subscription.schema, _info(d)) for d in deliveries]
        at = dt.datetime.fromtimestamp(now, dt.UTC)
        folder = f"{self._subscription.name.upper()}/{at.year}/{at.month}/{at.day}/{at.hour}"
        content = json.dumps(letters).encode()
        await self._blobs.put(self._subscription.dead_letter_container, f"{folder}/{uuid.uuid4()}.json", content)

    def _end(self, deliveries: Sequence[Delivery], state: State) -> None:
        self._store.record(_result(delivery, state) for delivery in deliveries)


def _result(delivery: Delivery, state: State) -> Result:
    return Result(
        delivery.id,
        state,
        delivery.attempts,
        delivery.outcome,
        delivery.status,
        delivery.last_attempt,
        delivery.reason,
    )


def _info(delivery: Delivery) -> DeadLetterInfo:
    """An event that expired before it was ever tried waited for an endpoint in probation."""
    return DeadLetterInfo(
        reason=delivery.reason or "",
        attempts=delivery.attempts,
        outcome=delivery.outcome or "Probation",
        status=delivery.status,
        published=delivery.accepted,
        last_attempt=delivery.last_attempt,
    )
