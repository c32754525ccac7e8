"""What the world is told of an endpoint's mark: entries of its live tuning's history, published like all others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.lifecycle.tuning import DELETING, MARKED, UNMARKED

if TYPE_CHECKING:
    from datetime import datetime

    from shared.idle.rule import Verdict
    from shared.lifecycle.tuning import Tuning


@dataclass(frozen=True)
class Notice:
    event: str
    message: str
    until: datetime | None = None


def due_notice(live: Tuning, marked: datetime | None, verdict: Verdict) -> Notice | None:
    """What the history lacks, in view of the tag; None if it says what is so.

    A mark that was moved, as by a change of the settings, is told anew with its time.
    """
    told = next((entry for entry in reversed(live.history) if entry.event), None)
    if verdict.kind in ("mark", "marked") and marked is not None and verdict.deletes_at is not None:
        if told is not None and (told.event, told.until) == (MARKED, verdict.deletes_at):
            return None
        if told is not None and told.event == DELETING:
            return None
        when = f"{verdict.deletes_at:%Y-%m-%d %H:%M} UTC"
        return Notice(
            MARKED, f"idle: its endpoint is deleted at {when} unless it is called; {verdict.reason}", verdict.deletes_at
        )
    if marked is None and told is not None and told.event == MARKED:
        return Notice(UNMARKED, f"its endpoint is no longer idle: {verdict.reason}")
    return None
