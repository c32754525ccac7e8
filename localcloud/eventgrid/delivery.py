"""Delivery to one subscription: once its endpoint is validated, push at least once."""

from __future__ import annotations

import asyncio
import logging
import socket
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx

from localcloud.eventgrid.batches import next_batch
from localcloud.eventgrid.retries import (
    EXPIRED,
    RESOLUTION_ERROR,
    SOCKET_ERROR,
    TIMED_OUT,
    GiveUp,
    Outcome,
    Probation,
    after_failure,
    outcome_of,
)
from localcloud.eventgrid.store import Result

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from localcloud.config import EventSubscription
    from localcloud.eventgrid.batches import Batch
    from localcloud.eventgrid.dead_letters import DeadLetters
    from localcloud.eventgrid.handshake import Handshake
    from localcloud.eventgrid.store import Delivery, Store

log = logging.getLogger(__name__)

LISTENS_FOR = 180.0
"""Seconds: a late answer still ends the retries, "on a best effort basis"."""

_PARALLEL = 16
_HANDSHAKE_EVERY = 0.5


class Subscriber:
    """The worker of one subscription.

    `scale` is the factor on the retry schedule, `patience` the seconds in which an endpoint must acknowledge.
    """

    def __init__(
        self,
        subscription: EventSubscription,
        store: Store,
        client: httpx.AsyncClient,
        handshake: Handshake,
        dead_letters: DeadLetters,
        *,
        scale: float,
        patience: float,
        clock: Callable[[], float],
        random: random.Random,
    ) -> None:
        self.subscription = subscription
        self.handshake = handshake
        self._store = store
        self._client = client
        self._dead_letters = dead_letters
        self._scale = scale
        self._patience = patience
        self._clock = clock
        self._random = random
        self._probation = Probation(scale)
        self._wake = asyncio.Event()
        self._under_way: set[int] = set()
        self._requests = 0

    def wake(self) -> None:
        """Something new may be due. To be called in the event loop."""
        self._wake.set()

    async def run(self) -> None:
        """Deliver until cancelled. What is under way then is owed still and comes again after a restart."""
        while not await self.handshake.ask():
            await asyncio.sleep(_HANDSHAKE_EVERY)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._dead_letters.run())
            while True:
                self._wake.clear()
                pause = self._start_due(tasks)
                try:
                    async with asyncio.timeout(pause):
                        await self._wake.wait()
                except TimeoutError:
                    continue

    def _start_due(self, tasks: asyncio.TaskGroup) -> float | None:
        """Start what is due. Returns the seconds until more is, None when only `wake` can tell."""
        now = self._clock()
        if self._probation.until > now:
            return self._probation.until - now
        while self._requests < _PARALLEL:
            limit = len(self._under_way) + self.subscription.max_events_per_batch + 1
            owed = [row for row in self._store.schedule(self.subscription.name, limit) if row[0] not in self._under_way]
            ready = [number for number, due in owed if due <= now]
            if not ready:
                return owed[0][1] - now if owed else None
            living = self._without_expired(self._store.deliveries(ready), now)
            if living:
                batch = next_batch(self.subscription, living)
                self._requests += 1
                self._under_way.update(delivery.id for delivery in batch.deliveries)
                tasks.create_task(self._deliver(batch, tasks))
        return None

    def _without_expired(self, deliveries: Sequence[Delivery], now: float) -> list[Delivery]:
        time_to_live = self.subscription.event_ttl_minutes * 60 * self._scale
        expired = [delivery for delivery in deliveries if now - delivery.accepted > time_to_live]
        if expired:
            self._store.record(self._dead_letters.give_up(each, EXPIRED.reason, now) for each in expired)
        return [delivery for delivery in deliveries if delivery not in expired]

    async def _deliver(self, batch: Batch, tasks: asyncio.TaskGroup) -> None:
        request = asyncio.ensure_future(self._post(batch))
        try:
            done, _ = await asyncio.wait({request}, timeout=self._patience)
            self._conclude(batch, request.result() if done else TIMED_OUT)
            if not done:
                tasks.create_task(self._listen(request, batch))
        except BaseException:
            request.cancel()
            raise
        finally:
            self._requests -= 1
            self._under_way.difference_update(delivery.id for delivery in batch.deliveries)
            self._wake.set()

    async def _listen(self, request: asyncio.Future[Outcome], batch: Batch) -> None:
        """For an acknowledgement that comes after the retry was planned, if it comes before it."""
        try:
            async with asyncio.timeout(LISTENS_FOR - self._patience):
                outcome = await request
        except TimeoutError:
            return
        if outcome.delivered:
            log.info("%d events to %s: acknowledged late", len(batch.deliveries), self.subscription.name)
            tried = [_after(delivery, outcome, self._clock()) for delivery in batch.deliveries]
            self._store.record(_result(delivery) for delivery in tried)

    async def _post(self, batch: Batch) -> Outcome:
        try:
            answer = await self._client.post(
                self.subscription.endpoint, content=batch.body, headers=dict(batch.headers), timeout=LISTENS_FOR
            )
        except httpx.TimeoutException:
            return TIMED_OUT
        except httpx.HTTPError as error:
            log.debug("subscription %s: %r", self.subscription.name, error)
            return RESOLUTION_ERROR if _is_about_the_name(error) else SOCKET_ERROR
        return outcome_of(answer.status_code)

    def _conclude(self, batch: Batch, outcome: Outcome) -> None:
        """A batch is delivered as a whole, or comes again as a whole."""
        now = self._clock()
        name = self.subscription.name
        if self._probation.note(outcome, now):
            seconds = self._probation.until - now
            log.warning("subscription %s: deliveries fail (%s), probation of %.1f s", name, outcome.name, seconds)
        tried = [_after(delivery, outcome, now) for delivery in batch.deliveries]
        if outcome.delivered:
            for delivery in tried:
                log.info("%s to %s: delivered, attempt %d", delivery.event.id, name, delivery.attempts)
            self._store.record(_result(delivery) for delivery in tried)
            return
        self._store.record(self._fate(delivery, outcome, now) for delivery in tried)

    def _fate(self, delivery: Delivery, outcome: Outcome, now: float) -> Result:
        attempts, most = delivery.attempts, self.subscription.max_delivery_attempts
        verdict = after_failure(outcome, attempts, most, self._random.random())
        if isinstance(verdict, GiveUp):
            return self._dead_letters.give_up(delivery, verdict.reason, now)
        delay = verdict.delay * self._scale
        log.info(
            "%s to %s: %s, attempt %d, again in %.1f s",
            *(delivery.event.id, self.subscription.name, outcome.name, attempts, delay),
        )
        return replace(_result(delivery), state="pending", due=now + delay)


def _after(delivery: Delivery, outcome: Outcome, now: float) -> Delivery:
    return replace(
        delivery,
        attempts=delivery.attempts + 1,
        outcome=outcome.name,
        status=outcome.status,
        last_attempt=now,
    )


def _result(delivery: Delivery) -> Result:
    return Result(
        delivery.id,
        "delivered",
        delivery.attempts,
        delivery.outcome,
        delivery.status,
        delivery.last_attempt,
    )


def _is_about_the_name(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, socket.gaierror):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
