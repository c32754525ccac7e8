"""How the page writes times, durations and states; all times in UTC."""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import quote, urlencode

from shared.dashboard.html import Child, Html, tag
from shared.lifecycle.tuning import State

ROOT = "/api/dashboard"

_HOUR, _DAY = 3600, 86400


def span(duration: timedelta) -> str:
    """In two units at most: `42 s`, `12 min`, `3 h 05 min`, `4 d 7 h`."""
    seconds = max(0, round(duration.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < _HOUR:
        return f"{seconds // 60} min"
    if seconds < _DAY:
        return f"{seconds // _HOUR} h {seconds % _HOUR // 60:02} min"
    return f"{seconds // _DAY} d {seconds % _DAY // _HOUR} h"


def moment(at: datetime) -> Html:
    return tag("time", f"{at:%Y-%m-%d %H:%M}", datetime=at.isoformat(timespec="seconds"), title=f"{at:%H:%M:%S} UTC")


def age(since: datetime, now: datetime) -> Html:
    exact = f"since {since:%Y-%m-%d %H:%M:%S} UTC"
    return tag("time", span(now - since), datetime=since.isoformat(timespec="seconds"), title=exact)


def until(at: datetime, now: datetime) -> Html:
    """`in 5 min`, or `5 min overdue`."""
    text = f"in {span(at - now)}" if at >= now else f"{span(now - at)} overdue"
    return tag("time", text, datetime=at.isoformat(timespec="seconds"), title=f"{at:%Y-%m-%d %H:%M:%S} UTC")


def outside(text: str) -> Html:
    """What came from outside: isolated, so that no mark in it turns round the text about it."""
    return tag("bdi", text)


def spoken(state: str) -> str:
    return state.replace("_", " ")


def badge(state: State) -> Html:
    return tag("span", spoken(state), class_=f"badge {_TONES[state]}")


_TONES = {
    **dict.fromkeys(State, "active"),
    State.QUEUED: "waiting",
    State.WAITING_FOR_BUDGET: "waiting",
    State.WAITING_FOR_BUDGET: "waiting",
    State.LIVE: "good",
    State.REJECTED: "bad",
    State.FAILED: "bad",
    State.ROLLED_BACK: "bad",
    State.SUPERSEDED: "over",
    State.RETIRED: "over",
}


def link(path: str, *children: Child, **query: str) -> Html:
    """To another page of the dashboard."""
    return tag("a", *children, href=address(path, **query))


def address(path: str, **query: str) -> str:
    """Parameters that are empty are left out. Names from outside may hold what UTF-8 can not spell."""
    given = urlencode({name: value for name, value in query.items() if value}, errors="replace")
    return f"{ROOT}{quote(path, errors='replace')}{'?' if given else ''}{given}"


def money(amount: float | None, currency: str) -> str:
    """What is not known is said, not guessed."""
    if amount is None:
        return "unknown"
    return f"{amount:,.2f} {currency}"
