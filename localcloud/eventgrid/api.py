"""The HTTP side: the custom topics' endpoints, and the control interface that tests use."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Protocol

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from localcloud.eventgrid.events import InvalidEventError, from_cloud_event, from_event_grid_schema
from localcloud.identity import InvalidTokenError, audience_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from starlette.requests import Request

    from localcloud.eventgrid.events import Event
    from localcloud.eventgrid.store import EventRecord, Store

log = logging.getLogger(__name__)

MAX_BODY = 1024 * 1024
"""Bytes of one publish request, https://learn.microsoft.com/azure/event-grid/quotas-limits"""

_AUDIENCE = "https://eventgrid.azure.net"
_PAGE = 500
_SHOWN_DATA = 2048


@dataclass(frozen=True)
class Faults:
    """`delay`: seconds before the first delivery. `lose`: probability that an accepted event vanishes."""

    enabled: bool = True
    duplicate: bool = False
    delay: float = 0.0
    lose: float = 0.0


class Grid(Protocol):
    """What the endpoints need of Event Grid."""

    faults: Faults

    def accept(self, events: Sequence[Event]) -> None: ...

    async def publish_hierarchical(self, container: str, blob: str) -> bool: ...


class RequestError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    def response(self) -> Response:
        """The error body of Event Grid's data plane."""
        details = [{"code": self.code, "message": str(self)}]
        error = {"code": self.code, "message": str(self), "details": details}
        return JSONResponse({"error": error}, self.status)


def routes(grid: Grid, store: Store, topics: Collection[str], clock: Callable[[], float]) -> list[Route]:
    async def publish(request: Request) -> Response:
        try:
            _require_token(request, clock())
            topic = _require_topic(request.path_params["name"], topics)
            body = await _read(request)
            events = _parse(topic, request.headers.get("content-type", ""), body, clock())
        except RequestError as error:
            log.info("publish refused: %d %s", error.status, error.code)
            return error.response()
        grid.accept(events)
        return Response(status_code=200)

    async def list_events(request: Request) -> Response:
        try:
            since = int(request.query_params.get("since", "0"))
        except ValueError:
            return RequestError(400, "BadRequest", "since must be a number").response()
        records = store.since(since, _PAGE)
        return JSONResponse(
            {
                "events": [_shown(record) for record in records],
                "next": records[-1].sequence if records else since,
                "faults": asdict(grid.faults),
            }
        )

    async def set_faults(request: Request) -> Response:
        try:
            grid.faults = _changed(grid.faults, json.loads(await _read(request)))
        except (ValueError, RequestError) as error:
            return RequestError(400, "BadRequest", str(error)).response()
        log.info("faults: %s", grid.faults)
        return JSONResponse(asdict(grid.faults))

    async def hierarchical(request: Request) -> Response:
        try:
            wanted = json.loads(await _read(request))
            container, blob = wanted["container"], wanted["blob"]
        except (ValueError, KeyError, TypeError, RequestError) as error:
            return RequestError(400, "BadRequest", f"container and blob are needed: {error!r}").response()
        if not await grid.publish_hierarchical(str(container), str(blob)):
            return RequestError(404, "BlobNotFound", f"There is no blob {blob} in {container}.").response()
        return JSONResponse({})

    return [
        Route("/_localcloud/events/hierarchical", hierarchical, methods=["POST"]),
        Route("/eventgrid/topics/{name}/api/events", publish, methods=["POST"]),
        Route("/_localcloud/events", list_events, methods=["GET"]),
        Route("/_localcloud/events", set_faults, methods=["POST"]),
    ]


def _require_token(request: Request, now: float) -> None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise RequestError(401, "Unauthorized", "The request needs a bearer token of Microsoft Entra ID.")
    try:
        audience = audience_of(token, now)
    except InvalidTokenError as error:
        raise RequestError(401, "Unauthorized", str(error)) from None
    if audience.rstrip("/") != _AUDIENCE:
        raise RequestError(401, "Unauthorized", f"The token's audience is not {_AUDIENCE}.")


def _require_topic(name: str, topics: Collection[str]) -> str:
    for topic in topics:
        if topic.lower() == name.lower():
            return topic
    raise RequestError(404, "NotFound", f"The topic {name} does not exist.")


async def _read(request: Request) -> bytes:
    """What is too much is read to its end and thrown away: a sender that is cut off sees no answer."""
    body = bytearray()
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= MAX_BODY:
            body += chunk
    if size > MAX_BODY:
        raise RequestError(413, "RequestEntityTooLarge", f"The maximum size ({MAX_BODY}) has been exceeded.")
    return bytes(body)


def _parse(topic: str, content_type: str, body: bytes, now: float) -> list[Event]:
    """CloudEvents come alone or as a batch, by content type; the Event Grid schema always as an array."""
    try:
        raw = json.loads(body)
    except ValueError:
        raise RequestError(400, "BadRequest", "The body is not JSON.") from None
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/cloudevents+json":
        raw = [raw]
    if not isinstance(raw, list) or not raw:
        raise RequestError(400, "BadRequest", "The body must be an array of events.")
    try:
        if kind.startswith("application/cloudevents"):
            return [from_cloud_event(topic, event, now) for event in raw]
        return [from_event_grid_schema(topic, event) for event in raw]
    except InvalidEventError as error:
        raise RequestError(400, "BadRequest", f"This is not a valid event: {error}.") from None


def _changed(faults: Faults, wanted: object) -> Faults:
    """Raises ValueError for unknown names, wrong types and values out of bounds."""
    if not isinstance(wanted, dict) or (unknown := wanted.keys() - asdict(faults).keys()):
        raise ValueError(f"not a fault: {sorted(unknown)}" if isinstance(wanted, dict) else "not an object")
    for name, value in wanted.items():
        flag = name in ("enabled", "duplicate")
        if isinstance(value, bool) is not flag or not isinstance(value, int | float):
            raise ValueError(f"{name} must be a {'boolean' if flag else 'number'}")
        if value < 0 or (name == "lose" and value > 1):
            raise ValueError(f"{name} is out of bounds")
    return replace(faults, **wanted)


def _shown(record: EventRecord) -> dict[str, object]:
    event = record.event
    data = json.dumps(event.data)
    return {
        "sequence": record.sequence,
        "id": event.id,
        "topic": event.topic,
        "source": event.source,
        "eventType": event.type,
        "subject": event.subject,
        "eventTime": event.time,
        "accepted": record.accepted,
        "lost": record.lost,
        "data": event.data if len(data) <= _SHOWN_DATA else {"truncated": data[:_SHOWN_DATA]},
        "deliveries": [asdict(delivery) for delivery in record.deliveries],
    }
