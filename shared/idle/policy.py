"""How long an endpoint may be unused: the app's settings, and what the live tuning's `tuning.json` says instead."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from shared.idle.hours import WeeklyHours

if TYPE_CHECKING:
    from shared.config import Settings

MAX_MINUTES = 30 * 24 * 60
"""Of an override: Azure Monitor keeps 93 days, and each day costs a call."""


@dataclass(frozen=True)
class Policy:
    """In `keep_hours` nothing is marked and nothing deleted."""

    idle_after: timedelta
    grace: timedelta
    keep_hours: tuple[WeeklyHours, ...] = ()

    @property
    def window(self) -> timedelta:
        """How far back requests count: long enough to see all since a mark that is about to expire."""
        return self.idle_after + self.grace

    def kept_by(self, now: datetime) -> WeeklyHours | None:
        return next((hours for hours in self.keep_hours if hours.contains(now)), None)

    def outside(self, moment: datetime) -> datetime | None:
        """The first moment from `moment` on that is in no keep hours; None if there is none."""
        found = moment
        while hours := self.kept_by(found):
            end = hours.end(found)
            if end is None or end - moment > timedelta(days=8):
                return None
            found = end
        return found


def default_policy(settings: Settings) -> Policy:
    return Policy(
        idle_after=timedelta(minutes=settings.idle_after_minutes),
        grace=timedelta(minutes=settings.idle_grace_minutes),
    )


def orphan_policy(settings: Settings, *, serving: bool) -> Policy:
    """What has traffic may be in use, whoever forgot it: it must be as idle as all others before it is marked."""
    grace = timedelta(minutes=settings.orphan_grace_minutes)
    return Policy(timedelta(minutes=settings.idle_after_minutes) if serving else grace, grace)


def overridden(policy: Policy, overrides: Mapping[str, Any]) -> Policy:
    """Raises ValueError for what is no setting of `idle` in `tuning.json`."""
    changed = policy
    for key, value in overrides.items():
        if value is None:
            continue
        if key == "after_minutes":
            changed = replace(changed, idle_after=_minutes(key, value))
        elif key == "grace_minutes":
            changed = replace(changed, grace=_minutes(key, value))
        elif key in ("keep_hours", "awake") and isinstance(value, str):
            changed = replace(changed, keep_hours=(*changed.keep_hours, WeeklyHours.parse(value)))
        else:
            raise ValueError(f"{key}: {value!r}")
    return changed


def _minutes(key: str, value: object) -> timedelta:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{key} is no number: {value!r}")
    if not 0 <= value <= MAX_MINUTES:
        raise ValueError(f"{key} is not within 0 and {MAX_MINUTES}: {value!r}")
    return timedelta(minutes=value)
