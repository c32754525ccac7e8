"""The app settings that say how much of what is too much."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.datasets.limits import Limits

if TYPE_CHECKING:
    from shared.config import Settings


def limits_of(settings: Settings) -> Limits:
    return Limits(
        max_seq_length=settings.max_seq_length,
        token_bytes=settings.token_bytes,
        max_long_percent=settings.max_long_percent,
        max_duplicate_percent=settings.max_duplicate_percent,
        max_leak_percent=settings.max_leak_percent,
        max_expanded_bytes=int(settings.max_expanded_gigabytes * 1e9),
    )
