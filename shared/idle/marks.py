"""The two tags that people and the sweep talk through: keep, and idle since."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from shared import names

if TYPE_CHECKING:
    from collections.abc import Mapping

CLOCK_ERROR = timedelta(hours=1)
"""A mark that lies less than this in the future was set by somebody whose clock is ahead."""

_DATE_CHARACTERS = len("2026-11-22")


def keep_reason(tags: Mapping[str, str], now: datetime) -> str:
    """Why the tag `droptune-keep` protects an endpoint; empty if it does not.

    "false" and nothing do not. A date keeps until its end in UTC, an ISO time until then. All else keeps.
    """
    value = (_tag(tags, names.TAG_KEEP) or "").strip()
    if value.lower() in ("", "false"):
        return ""
    until = _until(value)
    if until is None:
        return f"tag {names.TAG_KEEP}"
    return f"tag {names.TAG_KEEP} until {until:%Y-%m-%d %H:%M} UTC" if now < until else ""


def keeps(value: str) -> bool:
    """Whether it is a value of that tag which says what it seems to say: true, false, a date or a time."""
    return value in ("true", "false") or _until(value) is not None


def is_marked(tags: Mapping[str, str]) -> bool:
    return bool(_tag(tags, names.TAG_IDLE_SINCE))


def marked_at(tags: Mapping[str, str], now: datetime) -> datetime | None:
    """When the mark was set; None without a mark, and for one that is malformed or lies far in the future."""
    moment = _time(_tag(tags, names.TAG_IDLE_SINCE) or "")
    return moment if moment is not None and moment <= now + CLOCK_ERROR else None


def with_mark(tags: Mapping[str, str], now: datetime) -> dict[str, str]:
    return {**_others(tags), names.TAG_IDLE_SINCE: now.astimezone(UTC).isoformat(timespec="seconds")}


def without_mark(tags: Mapping[str, str]) -> dict[str, str]:
    """The mark becomes empty instead of absent: a PATCH may keep what it is not told of."""
    return {**_others(tags), names.TAG_IDLE_SINCE: ""}


def _others(tags: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in tags.items() if name.lower() != names.TAG_IDLE_SINCE}


def _tag(tags: Mapping[str, str], name: str) -> str | None:
    """Azure compares tag names without case."""
    return next((value for key, value in tags.items() if key.lower() == name), None)


def _until(value: str) -> datetime | None:
    moment = _time(value)
    if moment is not None and len(value) == _DATE_CHARACTERS:
        return moment + timedelta(days=1)
    return moment


def _time(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text.strip())
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
