"""Event Grid as a whole: accepts events from its sources and drives their delivery."""

from __future__ import annotations

import asyncio
import logging
import random as random_module
import ssl
import time
from typing import TYPE_CHECKING

import httpx

from localcloud.eventgrid import api, subscriptions, system_topics
from localcloud.eventgrid.blobs import Blobs
from localcloud.eventgrid.dead_letters import DeadLetters
from localcloud.eventgrid.delivery import Subscriber
from localcloud.eventgrid.events import system_event
from localcloud.eventgrid.handshake import Handshake, Validation
from localcloud.eventgrid.storage_topic import JOURNAL, StorageTopic
from localcloud.eventgrid.store import Accepted, Store
from localcloud.eventgrid.topics import topics_of
from localcloud.faults import EventFate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from starlette.routing import Route

    from localcloud.config import CloudConfig, EventSubscription
    from localcloud.eventgrid.events import Event
    from localcloud.eventgrid.store import LogPosition

log = logging.getLogger(__name__)


class EventGrid:
    """Implements localcloud.events.EventSink; `routes` belong into an HTTPS server, `run()` beside it.

    Raises ValueError when two event subscriptions have the same name, or one asks for what Azure refuses.
    `faults` may be replaced at any time.
    """

    def __init__(
        self,
        config: CloudConfig,
        database: Path,
        *,
        clock: Callable[[], float] = time.time,
        random: random_module.Random | None = None,
        fate: Callable[[str, str], EventFate] = lambda _event_type, _subject: EventFate(),
    ) -> None:
        """`fate` says, by type and subject, which injected fault hits an event."""
        names = [subscription.name for subscription in config.event_subscriptions]
        if len(set(names)) != len(names):
            raise ValueError(f"event subscriptions need different names: {names}")
        for subscription in config.event_subscriptions:
            subscriptions.check(subscription)
        self.faults = api.Faults(enabled=config.event_grid_enabled)
        self._config = config
        self._clock = clock
        self._random = random or random_module.Random(config.event_seed)  # noqa: S311 - nothing here is a secret
        self._fate = fate
        self._store = Store(database)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._subscribers: list[Subscriber] = []
        self._storage: StorageTopic | None = None
        self.routes: list[Route] = [
            *api.routes(self, self._store, topics_of(config), clock),
            *system_topics.routes(config, self.validations),
        ]

    def publish(self, topic: str, event_type: str, subject: str, data: Mapping[str, object]) -> None:
        self.accept([system_event(topic, event_type, subject, data, self._clock())])

    def accept(self, events: Sequence[Event], read: tuple[str, LogPosition] | None = None) -> None:
        """Record the events and what is owed for them. Thread-safe, durable on return."""
        now = self._clock()
        accepted = [self._judge(event, now) for event in events]
        self._store.accept(accepted, now, read=read)
        for item in accepted:
            fate = "lost" if item.lost else f"for {', '.join(item.recipients) or 'nobody'}"
            log.info("accepted %s %s %s: %s", item.event.id, item.event.type, item.event.subject, fate)
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._wake)

    async def publish_hierarchical(self, container: str, blob: str) -> bool:
        """See StorageTopic; False also while Event Grid does not run."""
        return self._storage is not None and await self._storage.publish_hierarchical(container, blob)

    def validations(self) -> list[tuple[EventSubscription, Validation]]:
        """How far the validation of each subscription's endpoint is; empty while Event Grid does not run."""
        return [(subscriber.subscription, subscriber.handshake.validation) for subscriber in self._subscribers]

    def confirm(self, subscription: str, token: str) -> bool:
        """A validation URL was opened. To be called in the event loop of `run`."""
        return any(
            subscriber.handshake.confirm(token)
            for subscriber in self._subscribers
            if subscriber.subscription.name.lower() == subscription.lower()
        )

    async def run(self) -> None:
        """Follow the storage account and deliver, until cancelled. What is owed from before comes first."""
        dropped = self._store.drop_all_except(s.name for s in self._config.event_subscriptions)
        if dropped:
            log.warning("dropped %d deliveries to event subscriptions that are gone", dropped)
        trusted = ssl.create_default_context(cafile=str(self._config.ca_file))
        async with httpx.AsyncClient(verify=trusted, trust_env=False, timeout=60) as client:
            blobs = Blobs(self._config, client)
            self._subscribers = [self._subscriber(each, client, blobs) for each in self._config.event_subscriptions]
            self._loop = asyncio.get_running_loop()
            try:
                async with asyncio.TaskGroup() as tasks:
                    self._storage = self._storage_topic(blobs)
                    tasks.create_task(self._storage.run())
                    for subscriber in self._subscribers:
                        tasks.create_task(subscriber.run())
            finally:
                self._loop = None
                self._storage = None

    def close(self) -> None:
        """Close the database. `run` must have ended."""
        self._store.close()

    def _judge(self, event: Event, now: float) -> Accepted:
        faults = self.faults
        if not faults.enabled or self._random.random() < faults.lose:
            return Accepted(event, (), now, lost=True)
        recipients = tuple(s.name for s in self._config.event_subscriptions if subscriptions.wants(s, event))
        if faults.duplicate:
            recipients += recipients
        delays = self._fate(event.type, event.subject).delays
        return Accepted(event, recipients, now + faults.delay, lost=not delays, delays=delays)

    def _subscriber(self, subscription: EventSubscription, client: httpx.AsyncClient, blobs: Blobs) -> Subscriber:
        scale, clock = self._config.event_retry_scale, self._clock
        base = f"{self._config.azure_url}{api.PREFIX}"
        return Subscriber(
            subscription,
            self._store,
            client,
            Handshake(subscription, client, base, scale=scale, clock=clock),
            DeadLetters(subscription, self._store, blobs, scale=scale, clock=clock),
            scale=scale,
            patience=self._config.event_acknowledge_seconds,
            clock=clock,
            random=self._random,
        )

    def _storage_topic(self, blobs: Blobs) -> StorageTopic:
        position = self._store.position(JOURNAL)
        journal = self._config.storage_journal
        return StorageTopic(journal, position, blobs, self.accept, self._store.last_data, self._clock)

    def _wake(self) -> None:
        for subscriber in self._subscribers:
            subscriber.wake()
