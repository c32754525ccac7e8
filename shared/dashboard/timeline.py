"""How long a tuning was in each state: from its history to bars."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, pairwise

from shared.dashboard.html import Html, tag
from shared.dashboard.words import span, spoken
from shared.lifecycle.tuning import ENDED, State, Tuning

_WIDTH = 1000
_LONGEST_LIVE = 0.25
"""Of the picture: a model is live for weeks, and got there in hours."""
_NARROWEST = 4


@dataclass(frozen=True)
class Visit:
    """One stay in a state; `running` if it lasts."""

    state: State
    begun: datetime
    ended: datetime
    running: bool

    @property
    def lasted(self) -> timedelta:
        return self.ended - self.begun


def visits(tuning: Tuning, now: datetime) -> list[Visit]:
    """In order, without those at a tuning's end: nothing goes on in them."""
    entered = [next(group) for _, group in groupby(tuning.history, key=lambda entry: entry.state)]
    if not entered:
        return []
    until = max(now, tuning.state_since)
    ends = [later.at for _, later in pairwise(entered)] + [until]
    found = [
        Visit(entry.state, entry.at, max(end, entry.at), running=end is until)
        for entry, end in zip(entered, ends, strict=True)
    ]
    return [visit for visit in found if visit.state not in ENDED]


def timeline(tuning: Tuning, now: datetime) -> Html | None:
    found = visits(tuning, now)
    if not found:
        return None
    lengths = _lengths(found)
    scale = _WIDTH / max(sum(lengths), 1e-9)
    rows, begin = [], 0.0
    for visit, length in zip(found, lengths, strict=True):
        rows.append(_row(visit, begin * scale, length * scale))
        begin += length
    return tag("ol", rows, class_="timeline")


def _lengths(found: list[Visit]) -> list[float]:
    seconds = [visit.lasted.total_seconds() for visit in found]
    others = sum(length for visit, length in zip(found, seconds, strict=True) if visit.state is not State.LIVE)
    longest = others * _LONGEST_LIVE / (1 - _LONGEST_LIVE) if others else float("inf")
    return [
        min(length, longest) if visit.state is State.LIVE else length
        for visit, length in zip(found, seconds, strict=True)
    ]


def _row(visit: Visit, x: float, width: float) -> Html:
    width = max(width, _NARROWEST)
    x = min(x, _WIDTH - width)
    bar = tag("rect", x=f"{x:.1f}", y="0", width=f"{width:.1f}", height="10", class_=f"bar {visit.state}")
    picture = tag("svg", bar, viewBox=f"0 0 {_WIDTH} 10", preserveAspectRatio="none", aria_hidden="true")
    lasted = f"{span(visit.lasted)} so far" if visit.running else span(visit.lasted)
    return tag(
        "li",
        tag("span", spoken(visit.state), class_="name"),
        picture,
        tag("span", lasted, class_="lasted"),
        class_="running" if visit.running else None,
        title=f"from {visit.begun:%Y-%m-%d %H:%M:%S} UTC",
    )
