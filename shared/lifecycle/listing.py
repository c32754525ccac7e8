"""Which tunings a list shows: the newest first, a page at a time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NoReturn

from shared.datasets.paths import MAX_NAME_LENGTH
from shared.errors import PermanentError
from shared.lifecycle.records import VersionState
from shared.lifecycle.tuning import State

if TYPE_CHECKING:
    from shared.lifecycle.tuning import Tuning

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
ALL_STATES = frozenset(State)

_MOMENT = "%Y%m%dT%H%M%S.%f"
_CONTINUATION = re.compile(r"(\d{8}T\d{6}\.\d{6})~([a-zA-Z0-9_-]{1,120})", re.ASCII)
_DATASET = re.compile(rf"[a-z0-9-]{{1,{MAX_NAME_LENGTH}}}", re.ASCII)


@dataclass(frozen=True, order=True)
class Place:
    """Where a tuning stands in the list for ever: neither its time of creation nor its id changes.

    So no page skips or repeats a tuning because of what was created or changed since the page before.
    """

    created_at: datetime
    tuning_id: str

    @staticmethod
    def of(tuning: Tuning) -> Place:
        return Place(tuning.created_at, tuning.id)

    def continuation(self) -> str:
        """As a client sends it back to get what comes after."""
        return f"{self.created_at.astimezone(UTC).strftime(_MOMENT)}~{self.tuning_id}"


@dataclass(frozen=True)
class Listing:
    """One page of the list. `dataset` is empty for all, `after` None for the first page."""

    limit: int = DEFAULT_LIMIT
    states: frozenset[State] = ALL_STATES
    collecting: bool = True
    """Whether versions that have no tuning yet are wanted, too."""
    dataset: str = ""
    after: Place | None = None

    @staticmethod
    def parse(query: Mapping[str, str]) -> Listing:
        """Of the parameters of a request; raises PermanentError "BadRequest"."""
        wanted = {state for state in query.get("state", "").split(",") if state} or {*State, VersionState.COLLECTING}
        states = wanted - {VersionState.COLLECTING}
        if unknown := states - ALL_STATES:
            _refuse(f"there is no state {min(unknown)[:80]!a}")
        dataset = query.get("dataset", "")
        if dataset and not _DATASET.fullmatch(dataset):
            _refuse("dataset can not be the name of one")
        return Listing(
            limit=_limit(query.get("limit", "")),
            states=frozenset(State(state) for state in states),
            collecting=VersionState.COLLECTING in wanted,
            dataset=dataset,
            after=_place(query.get("continuation", "")),
        )

    def takes(self, tuning: Tuning) -> bool:
        return (
            tuning.state in self.states
            and self.dataset in ("", tuning.dataset)
            and (self.after is None or Place.of(tuning) < self.after)
        )


def _limit(text: str) -> int:
    if not text:
        return DEFAULT_LIMIT
    if not re.fullmatch(r"\d{1,4}", text, re.ASCII) or not 1 <= int(text) <= MAX_LIMIT:
        _refuse(f"limit must be a number from 1 to {MAX_LIMIT}")
    return int(text)


def _place(text: str) -> Place | None:
    if not text:
        return None
    match = _CONTINUATION.fullmatch(text)
    try:
        if match:
            return Place(datetime.strptime(match[1], _MOMENT).replace(tzinfo=UTC), match[2])
    except ValueError:
        pass
    _refuse("continuation is not what an answer had as its next")


def _refuse(message: str) -> NoReturn:
    raise PermanentError("BadRequest", message)
