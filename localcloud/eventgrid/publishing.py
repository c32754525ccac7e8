"""What a publisher sends to a custom topic: limits, and the two schemas.

Limits: https://learn.microsoft.com/azure/event-grid/quotas-limits. Events are charged in steps of 64 KB, which
is no limit: one event may take the whole megabyte of a request.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from localcloud.eventgrid.events import InvalidEventError, custom_topic_id, from_cloud_event, from_event_grid_schema

if TYPE_CHECKING:
    from localcloud.eventgrid.events import Event

MAX_BODY = 1024 * 1024
"""Bytes of one request."""
MAX_EVENTS = 5000
"""Of one request."""


class RefusedError(Exception):
    """`detail` is the code in the error's details, more exact than `code`."""

    def __init__(self, status: int, code: str, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.detail = detail or code


def events_of(topic: str, content_type: str, body: bytes, now: float) -> list[Event]:
    """CloudEvents come alone or as a batch, by content type; the Event Grid schema always as an array.

    Raises RefusedError. A request is taken as a whole or not at all.
    """
    try:
        raw = json.loads(body, parse_constant=_not_json)
    except (ValueError, RecursionError):
        raise _invalid("The body is not JSON.") from None
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/cloudevents+json":
        raw = [raw]
    if not isinstance(raw, list) or not raw:
        raise _invalid("The body must be an array of events.")
    if len(raw) > MAX_EVENTS:
        raise too_large(f"A request has at most {MAX_EVENTS} events, not {len(raw)}.")
    try:
        if kind.startswith("application/cloudevents"):
            return [from_cloud_event(topic, event, now) for event in raw]
        return [_event_grid_event(topic, event) for event in raw]
    except InvalidEventError as error:
        raise _invalid(f"This is not a valid event: {error}.") from None


def too_large(message: str) -> RefusedError:
    return RefusedError(413, "RequestEntityTooLarge", message)


def _event_grid_event(topic: str, raw: object) -> Event:
    """A publisher may leave the topic out or name the right one."""
    event = from_event_grid_schema(topic, raw)
    named = raw.get("topic") if isinstance(raw, dict) else None
    if named and str(named).lower() not in (topic.lower(), custom_topic_id(topic).lower()):
        raise InvalidEventError("topic is not the one that it was published to")
    return event


def _not_json(constant: str) -> object:
    """Python reads NaN and Infinity, which JSON does not have."""
    raise ValueError(constant)


def _invalid(message: str) -> RefusedError:
    return RefusedError(400, "BadRequest", message, "InputJsonInvalid")
