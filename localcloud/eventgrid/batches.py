"""One request to an endpoint: which events go into it, and how they are written.

https://learn.microsoft.com/azure/event-grid/delivery-and-retry#output-batching
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localcloud.eventgrid.events import to_wire

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from localcloud.config import EventSubscription
    from localcloud.eventgrid.store import Delivery


@dataclass(frozen=True)
class Batch:
    deliveries: tuple[Delivery, ...]
    body: bytes
    headers: Mapping[str, str]


def next_batch(subscription: EventSubscription, deliveries: Iterable[Delivery]) -> Batch:
    """Of the first deliveries as many as one request may carry: at least one, however big it is."""
    taken: list[Delivery] = []
    written: list[bytes] = []
    size = 0
    for delivery in deliveries:
        wire = json.dumps(to_wire(delivery.event, subscription.schema), separators=(",", ":")).encode()
        size += len(wire) + 1
        full = len(taken) >= subscription.max_events_per_batch
        if taken and (full or size > subscription.preferred_batch_kilobytes * 1024):
            break
        taken.append(delivery)
        written.append(wire)
    return Batch(tuple(taken), _body(subscription, written), _headers(subscription, taken))


def is_batched(subscription: EventSubscription) -> bool:
    return subscription.max_events_per_batch > 1


def _body(subscription: EventSubscription, written: list[bytes]) -> bytes:
    """The Event Grid schema is always an array; a CloudEvent comes alone unless batching is on."""
    if subscription.schema == "CloudEventSchemaV1_0" and not is_batched(subscription):
        return written[0]
    return b"[" + b",".join(written) + b"]"


def _headers(subscription: EventSubscription, taken: list[Delivery]) -> dict[str, str]:
    headers = {
        "aeg-event-type": "Notification",
        "aeg-subscription-name": subscription.name.upper(),
        "aeg-delivery-count": str(max(delivery.attempts for delivery in taken)),
        "aeg-data-version": _header_value(taken[0].event.data_version),
        "aeg-metadata-version": "1",
    }
    if subscription.schema != "CloudEventSchemaV1_0":
        return {**headers, "content-type": "application/json; charset=utf-8"}
    kind = "application/cloudevents-batch+json" if is_batched(subscription) else "application/cloudevents+json"
    return {**headers, "content-type": f"{kind}; charset=utf-8"}


def _header_value(text: str) -> str:
    """A publisher chooses it: what can not be in a header is left out."""
    return text if text.isascii() and text.isprintable() else ""
