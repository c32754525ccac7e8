"""Delivery to one subscription: prove that the endpoint wants it, then push at least once."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import logging
import uuid
from typing import TYPE_CHECKING

import httpx

from localcloud.eventgrid.blobs import StorageUnavailableError
from localcloud.eventgrid.events import DeadLetterInfo, timestamp, to_dead_letter, to_wire
from localcloud.eventgrid.retries import (
    ACKNOWLEDGE_WITHIN,
    SOCKET_ERROR,
    TIMED_OUT,
    GiveUp,
    Outcome,
    after_failure,
    outcome_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from localcloud.config import EventSubscription
    from localcloud.eventgrid.blobs import Blobs
    from localcloud.eventgrid.store import Delivery, Store

log = logging.getLogger(__name__)

DEAD_LETTER_CONTAINER = "deadletter"

_ORIGIN = "eventgrid.azure.net"
_PARALLEL = 16
_HANDSHAKE_EVERY = 0.5
_DEAD_LETTER_EVERY = 1.0


class Subscriber:
    """The worker of one subscription. `scale` is the factor on the retry schedule."""

    def __init__(
        self,
        subscription: EventSubscription,
        store: Store,
        client: httpx.AsyncClient,
        blobs: Blobs,
        *,
        scale: float,
        clock: Callable[[], float],
    ) -> None:
        self._subscription = subscription
        self._store = store
        self._client = client
        self._blobs = blobs
        self._scale = scale
        self._clock = clock
        self._wake = asyncio.Event()
        self._under_way: set[int] = set()
        self._last_refusal: int | None = None

    def wake(self) -> None:
        """Something new may be due. To be called in the event loop."""
        self._wake.set()

    async def run(self) -> None:
        """Deliver until cancelled. What is under way then is owed still and comes again after a restart."""
        while not await self._endpoint_agrees():
            await asyncio.sleep(_HANDSHAKE_EVERY)
        log.info("subscription %s: endpoint validated", self._subscription.name)
        async with asyncio.TaskGroup() as attempts:
            while True:
                self._wake.clear()
                pause = self._start_due(attempts)
                try:
                    async with asyncio.timeout(pause):
                        await self._wake.wait()
                except TimeoutError:
                    continue

    def _start_due(self, attempts: asyncio.TaskGroup) -> float | None:
        """Start what is due. Returns the seconds until more is, None when only `wake` can tell."""
        now = self._clock()
        limit = _PARALLEL + len(self._under_way)
        for delivery_id, due in self._store.schedule(self._subscription.name, limit):
            if delivery_id in self._under_way:
                continue
            if due > now:
                return due - now
            if len(self._under_way) >= _PARALLEL:
                return None
            self._under_way.add(delivery_id)
            attempts.create_task(self._deliver(self._store.delivery(delivery_id)))
        return None

    async def _deliver(self, delivery: Delivery) -> None:
        try:
            outcome = await self._attempt(delivery)
            await self._conclude(delivery, outcome)
        finally:
            self._under_way.discard(delivery.id)
            self._wake.set()

    async def _attempt(self, delivery: Delivery) -> Outcome:
        wire = to_wire(delivery.event, self._subscription.schema)
        headers = {
            "aeg-event-type": "Notification",
            "aeg-subscription-name": self._subscription.name.upper(),
            "aeg-delivery-count": str(delivery.attempts),
            "aeg-data-version": delivery.event.data_version,
            "aeg-metadata-version": "1",
        }
        if self._cloud_events:
            return await self._post(wire, {**headers, "content-type": "application/cloudevents+json"})
        return await self._post([wire], {**headers, "content-type": "application/json; charset=utf-8"})

    async def _post(self, content: object, headers: Mapping[str, str]) -> Outcome:
        try:
            async with asyncio.timeout(ACKNOWLEDGE_WITHIN):
                answer = await self._client.post(
                    self._subscription.endpoint, content=json.dumps(content).encode(), headers=dict(headers)
                )
        except (TimeoutError, httpx.TimeoutException):
            return TIMED_OUT
        except httpx.HTTPError as error:
            log.debug("subscription %s: %r", self._subscription.name, error)
            return SOCKET_ERROR
        return outcome_of(answer.status_code)

    async def _conclude(self, delivery: Delivery, outcome: Outcome) -> None:
        now = self._clock()
        attempts = delivery.attempts + 1
        event, name = delivery.event, self._subscription.name
        if outcome.delivered:
            log.info("%s to %s: delivered, attempt %d", event.id, name, attempts)
            self._store.record(
                delivery.id,
                "delivered",
                attempts=attempts,
                outcome="Delivered",
                status=outcome.status,
                now=now,
            )
            return
        verdict = after_failure(outcome, attempts, now - delivery.accepted, self._scale)
        if isinstance(verdict, GiveUp):
            info = DeadLetterInfo(verdict.reason, attempts, outcome.name, outcome.status, delivery.accepted, now)
            await self._dead_letter(delivery, info)
            log.warning("%s to %s: given up after attempt %d, %s", event.id, name, attempts, verdict.reason)
            self._store.record(
                delivery.id,
                "dead-lettered",
                attempts=attempts,
                outcome=verdict.reason,
                status=outcome.status,
                now=now,
            )
            return
        log.info("%s to %s: %s, attempt %d, again in %.1f s", event.id, name, outcome.name, attempts, verdict.delay)
        self._store.record(
            delivery.id,
            "pending",
            attempts=attempts,
            outcome=outcome.name,
            status=outcome.status,
            now=now,
            due=now + verdict.delay,
        )

    async def _dead_letter(self, delivery: Delivery, info: DeadLetterInfo) -> None:
        topic = delivery.event.topic.rsplit("/", 1)[-1]
        hour = dt.datetime.fromtimestamp(info.last_attempt, dt.UTC).strftime("%Y/%m/%d/%H")
        blob = f"{topic}/{self._subscription.name}/{hour}/{uuid.uuid4()}.json"
        letter = to_dead_letter(delivery.event, self._subscription.schema, info)
        content = json.dumps([letter]).encode()
        while True:
            try:
                return await self._blobs.put(DEAD_LETTER_CONTAINER, blob, content)
            except (httpx.HTTPError, StorageUnavailableError) as error:
                log.warning("dead letter of %s waits: %s", delivery.event.id, error)
                await asyncio.sleep(_DEAD_LETTER_EVERY)

    async def _endpoint_agrees(self) -> bool:
        try:
            async with asyncio.timeout(ACKNOWLEDGE_WITHIN):
                return await (self._cloud_events_handshake() if self._cloud_events else self._handshake())
        except (TimeoutError, httpx.HTTPError) as error:
            log.debug("subscription %s: endpoint not up yet: %r", self._subscription.name, error)
            return False

    async def _handshake(self) -> bool:
        """https://learn.microsoft.com/azure/event-grid/end-point-validation-event-grid-events-schema"""
        code = str(uuid.uuid4())
        event = {
            "id": str(uuid.uuid4()),
            "topic": self._subscription.topic,
            "subject": "",
            "data": {"validationCode": code},
            "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
            "eventTime": timestamp(self._clock()),
            "metadataVersion": "1",
            "dataVersion": "2",
        }
        headers = {
            "aeg-event-type": "SubscriptionValidation",
            "aeg-subscription-name": self._subscription.name.upper(),
            "content-type": "application/json; charset=utf-8",
        }
        answer = await self._client.post(
            self._subscription.endpoint, content=json.dumps([event]).encode(), headers=headers
        )
        try:
            body = answer.json()
        except ValueError:
            body = None
        agreed = answer.status_code == 200 and isinstance(body, dict) and body.get("validationResponse") == code
        return agreed or self._refused(answer)

    async def _cloud_events_handshake(self) -> bool:
        """https://github.com/cloudevents/spec/blob/v1.0/http-webhook.md#4-abuse-protection"""
        answer = await self._client.options(self._subscription.endpoint, headers={"WebHook-Request-Origin": _ORIGIN})
        allowed = answer.headers.get("webhook-allowed-origin")
        return (answer.status_code == 200 and allowed in ("*", _ORIGIN)) or self._refused(answer)

    def _refused(self, answer: httpx.Response) -> bool:
        if answer.status_code != self._last_refusal:
            self._last_refusal = answer.status_code
            log.warning(
                "subscription %s: endpoint did not validate, HTTP %d; asking again until it does",
                self._subscription.name,
                answer.status_code,
            )
        return False

    @property
    def _cloud_events(self) -> bool:
        return self._subscription.schema == "CloudEventSchemaV1_0"
