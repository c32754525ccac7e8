"""Until when a tuning may stay in a state, and what it ends with if it does for longer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.lifecycle.actions import CleanUp
from shared.lifecycle.tuning import Reason, State, Tuning

if TYPE_CHECKING:
    from shared.config import Settings

Deadlines = Mapping[State, timedelta]
STILL_POSSIBLE = 2.0
"""What can still succeed (and may have cost GPU hours already) gets so many times the time of mere waiting."""


def stage_deadlines(settings: Settings) -> Deadlines:
    deploying = timedelta(minutes=settings.deploying_deadline_minutes)
    testing = timedelta(minutes=settings.testing_deadline_minutes)
    return {
        State.PREPARING: timedelta(minutes=settings.preparing_deadline_minutes),
        State.QUEUED: timedelta(hours=settings.queued_deadline_hours),
        State.TRAINING: timedelta(hours=settings.training_deadline_hours),
        State.REGISTERED: deploying,
        State.WAITING_FOR_BUDGET: timedelta(hours=settings.budget_deadline_hours),
        State.DEPLOYING: deploying,
        State.TESTING: testing,
        State.CANARY: timedelta(hours=settings.canary_deadline_hours),
        State.PROMOTING: testing,
    }


def deadline(tuning: Tuning, deadlines: Deadlines, patience: float = 1) -> datetime | None:
    """Time in which nobody could look is left out, but not of waiting for a job: that costs money meanwhile."""
    limit = deadlines.get(tuning.state)
    if limit is None:
        return None
    waits_for_job = tuning.state is State.TRAINING and patience < STILL_POSSIBLE
    return (tuning.state_since if waits_for_job else tuning.watched_since) + limit * patience


def overdue(tuning: Tuning, now: datetime, deadlines: Deadlines, patience: float = 1) -> bool:
    until = deadline(tuning, deadlines, patience)
    return until is not None and now > until


def give_up(tuning: Tuning, deadlines: Deadlines, why: str) -> CleanUp:
    message = f"still {tuning.state} after {deadlines[tuning.state]}: {why}"
    if tuning.last_error:
        message += f"; last error: {tuning.last_error}"
    return CleanUp(State.FAILED, Reason("DeadlineExceeded", message))
