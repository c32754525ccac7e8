"""Puts the parts together: from an indexed app to listeners that run and a web application that answers."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.routing import Route

from localcloud.functions.admin import AdminApi
from localcloud.functions.app_settings import expand
from localcloud.functions.blob_trigger import POISON_QUEUE, BlobTriggers, trigger_queue_name
from localcloud.functions.connections import HOST_STORAGE, Connections
from localcloud.functions.event_grid import EventGridWebhooks
from localcloud.functions.host_rules import find_errors
from localcloud.functions.http_trigger import METHODS, HttpFunctions, endpoint_of
from localcloud.functions.message_queue import MessageQueue, ReceivedMessage
from localcloud.functions.metadata import FunctionMetadata, of_type
from localcloud.functions.output_bindings import OutputBindings
from localcloud.functions.queue_listener import QueueListener, poison_queue_name
from localcloud.functions.queue_trigger import run_for_message
from localcloud.functions.runner import FunctionRunner
from localcloud.functions.schedule import Schedule
from localcloud.functions.singleton import SingletonLock
from localcloud.functions.timer_status import TimerStatusStore
from localcloud.functions.timer_trigger import TimerListener

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localcloud.functions.engine import Engine
    from localcloud.functions.host_json import HostJson
    from localcloud.functions.keys import Keys
    from localcloud.functions.state import HostIdentity

log = logging.getLogger(__name__)


class Host:
    """Must be made and used on a running event loop."""

    def __init__(
        self,
        engine: Engine,
        config: HostJson,
        settings: Mapping[str, str],
        keys: Keys,
        identity: HostIdentity,
        message_lease: int,
    ) -> None:
        self._config = config
        self._settings = settings
        self._identity = identity
        self._lease = message_lease
        self.errors = find_errors(engine.functions, settings, config.route_prefix, _now())
        self.functions = tuple(f for f in engine.functions if f.name not in self.errors)
        self._connections = Connections(settings)
        self._listeners: dict[str, QueueListener] = {}
        outputs = OutputBindings(self._connections, settings, config.queues.base64, self._sent)
        self.runner = FunctionRunner(engine, outputs, config.function_timeout)
        self._blobs = BlobTriggers(
            {f.host_id: f for f in of_type(self.functions, "blobTrigger")},
            self._connections,
            settings,
            self.runner,
        )
        for function in of_type(self.functions, "queueTrigger"):
            self._add_listener(self._queue_listener(function))
        self._blob_queue, self._blob_listener = self._blob_parts()
        self._timers = [self._timer(function) for function in of_type(self.functions, "timerTrigger")]
        self.app = self._web(keys, engine.http_uri)

    def start(self) -> None:
        for part in self._parts():
            part.start()

    def stop(self) -> None:
        """Take no new messages, fire no more timers."""
        for part in self._parts():
            part.stop()

    async def drain(self, seconds: float) -> bool:
        """Wait at most `seconds` for what is running; False when something still is."""
        waits = [asyncio.ensure_future(part.drain()) for part in self._parts()]
        if not waits:
            return True
        _, pending = await asyncio.wait(waits, timeout=seconds)
        for wait in pending:
            wait.cancel()
        return not pending

    def _parts(self) -> list[QueueListener | TimerListener]:
        return [*self._listeners.values(), *self._timers]

    def _add_listener(self, listener: QueueListener) -> None:
        self._listeners[listener.url] = listener

    def _sent(self, queue_url: str) -> None:
        listener = self._listeners.get(queue_url)
        if listener is not None:
            listener.wake()

    def _queue_listener(self, function: FunctionMetadata) -> QueueListener:
        service = self._connections.queues(function.trigger.text("connection"))
        name = expand(function.trigger.text("queueName"), self._settings)
        options = self._config.queues
        queue = MessageQueue(service.get_queue_client(name), base64_bodies=options.base64)
        poison_name = poison_queue_name(name)
        poison = (
            MessageQueue(service.get_queue_client(poison_name), base64_bodies=options.base64)
            if poison_name is not None
            else None
        )

        async def handle(message: ReceivedMessage) -> None:
            await run_for_message(self.runner, function, name, message)

        return QueueListener(queue, handle, lambda _: poison, options, self._lease)

    def _blob_parts(self) -> tuple[MessageQueue | None, QueueListener | None]:
        if not of_type(self.functions, "blobTrigger"):
            return None, None
        client = self._connections.queues(HOST_STORAGE).get_queue_client(trigger_queue_name(self._identity.id))
        queue = MessageQueue(client, base64_bodies=True)

        def poison(message: ReceivedMessage) -> MessageQueue:
            service = self._connections.queues(self._blobs.connection_of(message) or HOST_STORAGE)
            return MessageQueue(service.get_queue_client(POISON_QUEUE), base64_bodies=True)

        listener = QueueListener(queue, self._blobs.handle, poison, self._config.blob_queue, self._lease)
        self._add_listener(listener)
        return queue, listener

    def _timer(self, function: FunctionMetadata) -> TimerListener:
        service = self._connections.blobs(HOST_STORAGE)
        schedule = Schedule.parse(expand(function.trigger.text("schedule"), self._settings))
        monitored = function.trigger.flag("useMonitor", default=True) and schedule.is_monitored(_now())
        return TimerListener(
            function=function,
            schedule=schedule,
            store=TimerStatusStore(service, self._identity.id, function.host_id) if monitored else None,
            lock=SingletonLock(service, self._identity.id, function.host_id, self._identity.lock_owner),
            runner=self.runner,
            clock=_now,
        )

    def _web(self, keys: Keys, http_uri: str) -> Starlette:
        http = HttpFunctions(
            [endpoint_of(f, self._config.route_prefix) for f in of_type(self.functions, "httpTrigger")],
            keys,
            self.runner,
            http_uri,
        )
        webhooks = EventGridWebhooks(
            event_functions={f.name: f for f in of_type(self.functions, "eventGridTrigger")},
            blob_functions={f.host_id: f for f in of_type(self.functions, "blobTrigger")},
            keys=keys,
            runner=self.runner,
            blob_queue=self._blob_queue,
            blob_listener=self._blob_listener,
        )
        admin = AdminApi(
            functions={f.name: f for f in self.functions},
            errors=self.errors,
            host_id=self._identity.id,
            keys=keys,
            runner=self.runner,
            blobs=self._blobs,
            clock=_now,
        )
        return Starlette(
            routes=[
                Route("/admin/host/status", admin.status, methods=["GET"]),
                Route("/admin/functions/{name}", admin.run, methods=["POST"]),
                Route(
                    "/runtime/webhooks/{extension}",
                    webhooks.__call__,
                    methods=["GET", "PUT", "POST", "DELETE", "OPTIONS"],
                ),
                Route("/{path:path}", http.__call__, methods=list(METHODS)),
            ]
        )


def _now() -> datetime:
    return datetime.now(UTC)
