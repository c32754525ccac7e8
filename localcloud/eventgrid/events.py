"""One event, and the two schemas in which Event Grid takes and gives it.

https://learn.microsoft.com/azure/event-grid/event-schema and .../cloud-event-schema
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from localcloud.config import RESOURCE_GROUP, SUBSCRIPTION_ID

Schema = Literal["EventGridSchema", "CloudEventSchemaV1_0"]

_CLOUD_EVENT_FIELDS = frozenset({"id", "source", "specversion", "type", "subject", "time", "data"})


class InvalidEventError(ValueError):
    """What was published is not an event in the schema that its content type names."""


@dataclass(frozen=True)
class Event:
    """`topic` is what subscriptions are attached to: an ARM id, or the name of a custom topic.

    `source` is what receivers see as topic or source. `attributes` are CloudEvents attributes beyond the
    named ones (extensions, datacontenttype, data_base64), passed through unchanged.
    """

    id: str
    topic: str
    source: str
    type: str
    subject: str
    time: str
    data: object
    data_version: str = ""
    attributes: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class DeadLetterInfo:
    """Why and how an event was given up. Times are seconds since the epoch; there may have been no attempt."""

    reason: str
    attempts: int
    outcome: str
    status: int | None
    published: float
    last_attempt: float | None


def system_event(
    topic: str, event_type: str, subject: str, data: Mapping[str, object], now: float, *, version: str = ""
) -> Event:
    return Event(str(uuid.uuid4()), topic, topic, event_type, subject, timestamp(now), data, version)


def timestamp(seconds: float) -> str:
    """Seven digits after the second, as Azure writes it."""
    moment = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"


def custom_topic_id(name: str) -> str:
    return (
        f"/subscriptions/{SUBSCRIPTION_ID}/resourceGroups/{RESOURCE_GROUP}/providers/Microsoft.EventGrid/topics/{name}"
    )


def from_event_grid_schema(topic: str, raw: object) -> Event:
    """Raises InvalidEventError when a required property is missing or not a string."""
    event = _mapping(raw)
    return Event(
        id=_text(event, "id"),
        topic=topic,
        source=custom_topic_id(topic),
        type=_text(event, "eventType"),
        subject=_text(event, "subject"),
        time=_text(event, "eventTime"),
        data=event.get("data"),
        data_version=_text(event, "dataVersion", default=""),
    )


def from_cloud_event(topic: str, raw: object, now: float) -> Event:
    """Raises InvalidEventError when a required attribute is missing or not a string."""
    event = _mapping(raw)
    if event.get("specversion") != "1.0":
        raise InvalidEventError("specversion must be 1.0")
    return Event(
        id=_text(event, "id"),
        topic=topic,
        source=_text(event, "source"),
        type=_text(event, "type"),
        subject=_text(event, "subject", default=""),
        time=_text(event, "time", default=timestamp(now)),
        data=event.get("data"),
        attributes={name: value for name, value in event.items() if name not in _CLOUD_EVENT_FIELDS},
    )


def to_wire(event: Event, schema: str) -> dict[str, object]:
    return _to_cloud_event(event) if schema == "CloudEventSchemaV1_0" else _to_event_grid_schema(event)


def to_dead_letter(event: Event, schema: str, info: DeadLetterInfo) -> dict[str, object]:
    """The event with the properties that Event Grid adds when it gives up.

    https://learn.microsoft.com/azure/event-grid/delivery-and-retry#dead-letter-events
    """
    added: dict[str, object] = {
        "deadLetterReason": info.reason,
        "deliveryAttempts": info.attempts,
        "lastDeliveryOutcome": info.outcome,
        "publishTime": timestamp(info.published),
    }
    if info.last_attempt is not None:
        added["lastDeliveryAttemptTime"] = timestamp(info.last_attempt)
    if info.status is not None:
        added["lastHttpStatusCode"] = info.status
    if schema == "CloudEventSchemaV1_0":
        added = {name.lower(): value for name, value in added.items()}
    return {**to_wire(event, schema), **added}


def _to_event_grid_schema(event: Event) -> dict[str, object]:
    return {
        "topic": event.source if event.source.startswith("/") else custom_topic_id(event.topic),
        "subject": event.subject,
        "eventType": event.type,
        "id": event.id,
        "data": event.data if event.data is not None else event.attributes.get("data_base64"),
        "dataVersion": event.data_version,
        "metadataVersion": "1",
        "eventTime": event.time,
    }


def _to_cloud_event(event: Event) -> dict[str, object]:
    wire: dict[str, object] = {
        "specversion": "1.0",
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "time": event.time,
        **event.attributes,
    }
    if event.subject:
        wire["subject"] = event.subject
    if event.data is not None:
        wire["data"] = event.data
    return wire


def _mapping(raw: object) -> Mapping[str, object]:
    if not isinstance(raw, Mapping):
        raise InvalidEventError("an event must be a JSON object")
    return raw


def _text(event: Mapping[str, object], name: str, *, default: str | None = None) -> str:
    value = event.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, str) or (not value and default is None):
        raise InvalidEventError(f"{name} must be a non-empty string")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidEventError(f"{name} is not Unicode text") from None  # a lone surrogate
    return value
