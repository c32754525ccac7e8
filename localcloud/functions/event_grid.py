"""The webhooks that Event Grid calls: /runtime/webhooks/eventgrid and /runtime/webhooks/blobs.

Handshakes: https://learn.microsoft.com/azure/event-grid/end-point-validation-event-grid-events-schema (Event
Grid schema) and …/end-point-validation-cloud-events-schema (CloudEvents).
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from azure.core.exceptions import AzureError
from starlette.responses import PlainTextResponse, Response

from localcloud.functions.blob_trigger import BlobMessage
from localcloud.functions.engine import FunctionFailedError
from localcloud.functions.typed_data import InputData, as_json
from localcloud.responses import JSONResponse

if TYPE_CHECKING:
    from starlette.requests import Request

    from localcloud.functions.keys import Keys
    from localcloud.functions.message_queue import MessageQueue
    from localcloud.functions.metadata import FunctionMetadata
    from localcloud.functions.queue_listener import QueueListener
    from localcloud.functions.runner import FunctionRunner

log = logging.getLogger(__name__)

EVENT_GRID = "eventgrid"
BLOBS = "blobs"
_HANDSHAKE_RATE = "120"


class EventGridWebhooks:
    """`event_functions` is by name, `blob_functions` by host id: that is how Event Grid addresses them."""

    def __init__(
        self,
        event_functions: Mapping[str, FunctionMetadata],
        blob_functions: Mapping[str, FunctionMetadata],
        keys: Keys,
        runner: FunctionRunner,
        blob_queue: MessageQueue | None,
        blob_listener: QueueListener | None,
    ) -> None:
        self._functions = {EVENT_GRID: event_functions, BLOBS: blob_functions}
        self._keys = keys
        self._runner = runner
        self._blob_queue = blob_queue
        self._blob_listener = blob_listener

    async def __call__(self, request: Request) -> Response:
        extension = str(request.path_params["extension"]).lower()
        if extension not in self._functions:
            return Response(status_code=404)
        key = request.query_params.get("code") or request.headers.get("x-functions-key", "")
        if not self._keys.opens_webhook(key, extension):
            log.warning("a call of the %s webhook has no valid key", extension)
            return Response(status_code=401)
        name = request.query_params.get("functionName", "")
        function = self._functions[extension].get(name)
        if function is None:
            return PlainTextResponse(f"cannot find function: '{name}'", status_code=404)
        if request.method == "OPTIONS":
            return _cloud_events_handshake(request)
        return await self._receive(extension, function, request)

    async def _receive(self, extension: str, function: FunctionMetadata, request: Request) -> Response:
        kind = request.headers.get("aeg-event-type", "").lower()
        if kind == "unsubscribe":
            return Response(status_code=202)
        if kind not in ("subscriptionvalidation", "notification"):
            return Response(status_code=400)
        try:
            events = parse_events(await request.body())
        except ValueError as error:
            return PlainTextResponse(str(error), status_code=400)
        if kind == "subscriptionvalidation":
            return _event_grid_handshake(function, events)
        if extension == BLOBS:
            return await self._enqueue(function, events)
        return await self._run(function, events)

    async def _run(self, function: FunctionMetadata, events: list[Mapping[str, object]]) -> Response:
        """All events of a batch at once; one failure fails the batch, so Event Grid sends all of it again."""
        results = await asyncio.gather(*(self._run_one(function, event) for event in events), return_exceptions=True)
        failures = [result for result in results if isinstance(result, BaseException)]
        for failure in failures:
            if not isinstance(failure, FunctionFailedError):
                raise failure
        if failures:
            log.warning("%d of %d events for '%s' failed", len(failures), len(events), function.name)
            return PlainTextResponse(str(failures[0]), status_code=500)
        return Response(status_code=202)

    async def _run_one(self, function: FunctionMetadata, event: Mapping[str, object]) -> None:
        metadata: dict[str, InputData] = {"data": as_json(event.get("data"))}
        await self._runner.run(function, {function.trigger.name: as_json(event)}, metadata, "EventGrid trigger fired")

    async def _enqueue(self, function: FunctionMetadata, events: list[Mapping[str, object]]) -> Response:
        assert self._blob_queue is not None
        try:
            messages = [
                BlobMessage.of_event(function.host_id, data if isinstance(data, Mapping) else {})
                for data in (event.get("data") for event in events)
            ]
        except ValueError as error:
            return PlainTextResponse(str(error), status_code=400)
        try:
            for message in messages:
                await asyncio.to_thread(self._blob_queue.send, message.serialise())
        except AzureError as error:
            log.error("cannot enqueue a blob event for '%s': %s", function.name, error)
            return Response(status_code=500)
        if self._blob_listener is not None:
            self._blob_listener.wake()
        return Response(status_code=202)


def parse_events(body: bytes) -> list[Mapping[str, object]]:
    """One event or an array of events. Raises ValueError."""
    document = json.loads(body)
    events = document if isinstance(document, list) else [document]
    if not events or not all(isinstance(event, dict) for event in events):
        raise ValueError("the body must be an event or an array of events")
    return events


def _event_grid_handshake(function: FunctionMetadata, events: list[Mapping[str, object]]) -> Response:
    data = events[0].get("data")
    code = data.get("validationCode") if isinstance(data, Mapping) else None
    if not code:
        return PlainTextResponse("the validation event has no validationCode", status_code=400)
    log.info("Event Grid validated its subscription for '%s'", function.name)
    return JSONResponse({"validationResponse": code})


def _cloud_events_handshake(request: Request) -> Response:
    origin = request.headers.get("webhook-request-origin", "eventgrid.azure.net")
    return Response(
        headers={
            "Webhook-Allowed-Origin": origin,
            "Webhook-Allowed-Rate": request.headers.get("webhook-request-rate", _HANDSHAKE_RATE),
        }
    )
