"""The HTTP side: the custom topics' endpoints, validation URLs, and the control interface that tests use."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Protocol

from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from localcloud.eventgrid.publishing import MAX_BODY, RefusedError, events_of, too_large
from localcloud.eventgrid.topics import NotAuthorizedError, authorize
from localcloud.responses import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from starlette.requests import Request

    from localcloud.config import EventSubscription
    from localcloud.eventgrid.events import Event
    from localcloud.eventgrid.handshake import Validation
    from localcloud.eventgrid.store import EventRecord, Store
    from localcloud.eventgrid.topics import Topic

log = logging.getLogger(__name__)

PREFIX = "/eventgrid"

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

    def validations(self) -> list[tuple[EventSubscription, Validation]]: ...

    def confirm(self, subscription: str, token: str) -> bool: ...


def routes(grid: Grid, store: Store, topics: Mapping[str, Topic], clock: Callable[[], float]) -> list[Route]:
    async def publish(request: Request) -> Response:
        try:
            topic = topics.get(request.path_params["name"].lower())
            if topic is None:
                raise RefusedError(404, "NotFound", f"The topic {request.path_params['name']} does not exist.")
            authorize(topic, request.headers, clock())
            body = await _read(request)
            events = events_of(topic.name, request.headers.get("content-type", ""), body, clock())
        except NotAuthorizedError as error:
            return _refusal(RefusedError(401, "Unauthorized", str(error)))
        except RefusedError as error:
            return _refusal(error)
        grid.accept(events)
        return Response(status_code=200)

    async def validate(request: Request) -> Response:
        """A GET in a browser is enough; a CloudEvents endpoint may POST."""
        if not grid.confirm(request.path_params["name"], request.query_params.get("token", "")):
            return PlainTextResponse("This validation URL is not valid, or not any more.", 400)
        return PlainTextResponse("Webhook successfully validated as a subscription endpoint")

    async def list_events(request: Request) -> Response:
        try:
            since = int(request.query_params.get("since", "0"))
        except ValueError:
            return _refusal(RefusedError(400, "BadRequest", "since must be a number"))
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
        except (ValueError, RefusedError) as error:
            return _refusal(RefusedError(400, "BadRequest", str(error)))
        log.info("faults: %s", grid.faults)
        return JSONResponse(asdict(grid.faults))

    async def list_subscriptions(_: Request) -> Response:
        return JSONResponse([_subscription(*each) for each in grid.validations()])

    async def hierarchical(request: Request) -> Response:
        try:
            wanted = json.loads(await _read(request))
            container, blob = wanted["container"], wanted["blob"]
        except (ValueError, KeyError, TypeError, RefusedError) as error:
            return _refusal(RefusedError(400, "BadRequest", f"container and blob are needed: {error!r}"))
        if not await grid.publish_hierarchical(str(container), str(blob)):
            return _refusal(RefusedError(404, "BlobNotFound", f"There is no blob {blob} in {container}."))
        return JSONResponse({})

    return [
        Route(f"{PREFIX}/topics/{{name}}/api/events", publish, methods=["POST"]),
        Route(f"{PREFIX}/eventsubscriptions/{{name}}/validate", validate, methods=["GET", "POST"]),
        Route("/_localcloud/events", list_events, methods=["GET"]),
        Route("/_localcloud/events", set_faults, methods=["POST"]),
        Route("/_localcloud/events/subscriptions", list_subscriptions, methods=["GET"]),
        Route("/_localcloud/events/hierarchical", hierarchical, methods=["POST"]),
    ]


def _refusal(error: RefusedError) -> Response:
    """The error body of Event Grid's data plane."""
    log.info("refused: %d %s", error.status, error.code)
    details = [{"code": error.detail, "message": str(error)}]
    return JSONResponse({"error": {"code": error.code, "message": str(error), "details": details}}, error.status)


async def _read(request: Request) -> bytes:
    """What is too much is read to its end and thrown away: a sender that is cut off sees no answer."""
    body = bytearray()
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= MAX_BODY:
            body += chunk
    if size > MAX_BODY:
        raise too_large(f"The maximum size ({MAX_BODY}) has been exceeded.")
    return bytes(body)


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


def _subscription(subscription: EventSubscription, validation: Validation) -> dict[str, object]:
    """Without the endpoint's query, in which its key is; ARM shows no more either."""
    return {
        "name": subscription.name,
        "topic": subscription.topic,
        "endpointBaseUrl": subscription.endpoint.partition("?")[0],
        "eventDeliverySchema": subscription.schema,
        "provisioningState": validation.state,
        "reason": validation.reason,
    }


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
