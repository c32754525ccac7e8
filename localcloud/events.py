"""The seam between those who cause events (storage, Azure ML) and Event Grid, which delivers them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class EventSink(Protocol):
    def publish(self, topic: str, event_type: str, subject: str, data: Mapping[str, object]) -> None:
        """Accept one event of a system topic. Thread-safe, does not block on delivery, durable on return.

        `topic` is the ARM id of the source (localcloud.config.WORKSPACE_ID, STORAGE_ACCOUNT_ID).
        """
        ...
