"""Which event subscription wants which event, and what a subscription may ask for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import httpx

from localcloud.eventgrid import advanced_filters

if TYPE_CHECKING:
    from localcloud.config import EventSubscription
    from localcloud.eventgrid.events import Event

ALL_TYPES = "All"

_NAME = re.compile(r"[a-zA-Z0-9-]{3,64}")
_SCHEMAS = ("EventGridSchema", "CloudEventSchemaV1_0")
# https://learn.microsoft.com/azure/event-grid/delivery-and-retry
_BOUNDS = (
    ("max_events_per_batch", 1, 5000),
    ("preferred_batch_kilobytes", 1, 1024),
    ("max_delivery_attempts", 1, 30),
    ("event_ttl_minutes", 1, 1440),
)


def wants(subscription: EventSubscription, event: Event) -> bool:
    """All filters of a subscription must let the event through."""
    if subscription.topic.lower() != event.topic.lower():
        return False
    types = subscription.event_types
    if types and event.type not in types and ALL_TYPES not in types:
        return False
    if not _subject_fits(subscription, event.subject):
        return False
    arrays = subscription.filters_on_arrays
    return all(advanced_filters.matches(each, event, arrays=arrays) for each in subscription.advanced_filters)


def check(subscription: EventSubscription) -> None:
    """Raises ValueError, naming the subscription, for what Azure refuses."""
    try:
        _check(subscription)
    except ValueError as error:
        raise ValueError(f"event subscription {subscription.name}: {error}") from None


def _subject_fits(subscription: EventSubscription, subject: str) -> bool:
    begin, end = subscription.subject_begins_with, subscription.subject_ends_with
    if not subscription.is_subject_case_sensitive:
        subject, begin, end = subject.lower(), begin.lower(), end.lower()
    return subject.startswith(begin) and subject.endswith(end)


def _is_http_url(text: str) -> bool:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        return False
    return url.scheme in ("http", "https") and bool(url.host)


def _check(subscription: EventSubscription) -> None:
    if not _NAME.fullmatch(subscription.name):
        raise ValueError("a name has 3 to 64 letters, digits and hyphens")
    if not _is_http_url(subscription.endpoint):
        raise ValueError("the endpoint is not an HTTP URL")
    if subscription.schema not in _SCHEMAS:
        raise ValueError(f"the schema is none of {', '.join(_SCHEMAS)}")
    for name, least, most in _BOUNDS:
        if not least <= getattr(subscription, name) <= most:
            raise ValueError(f"{name} must be between {least} and {most}")
    advanced_filters.check(subscription.advanced_filters)
