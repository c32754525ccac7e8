"""Which event subscription wants which event."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from localcloud.config import EventSubscription
    from localcloud.eventgrid.events import Event


def wants(subscription: EventSubscription, event: Event) -> bool:
    """Topics and subjects are compared case-insensitively, as Event Grid does unless told otherwise."""
    if subscription.topic.lower() != event.topic.lower():
        return False
    if subscription.event_types and event.type not in subscription.event_types:
        return False
    subject = event.subject.lower()
    return subject.startswith(subscription.subject_begins_with.lower()) and subject.endswith(
        subscription.subject_ends_with.lower()
    )
