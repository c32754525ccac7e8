"""Who may have a job running: the ledger's row of job slots, and the rule of who is next."""

from __future__ import annotations

import bisect
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shared.lifecycle.tuning import Tuning


@dataclass(frozen=True, order=True)
class Waiter:
    """A tuning that is ready for its job. Ordered by the arrival of its version's content, then by id."""

    since: datetime
    tuning_id: str


@dataclass(frozen=True)
class SlotView:
    """The slots as one tuning sees them: `position` counts from 1, `waiting` includes itself."""

    held: bool
    free: bool
    queued: bool
    position: int
    waiting: int


@dataclass(frozen=True, kw_only=True)
class JobSlots:
    """One row of the ledger, changed by compare-and-swap only: who holds a slot, who waits, the oldest first.

    A holder is written before its job is submitted and taken out after its job was seen to have ended, so
    that there are never more jobs than holders.
    """

    holders: tuple[str, ...] = ()
    waiting: tuple[Waiter, ...] = ()

    def seen_by(self, tuning: Tuning, limit: int) -> SlotView:
        """With n free slots the n oldest may start, in any order: none waits for one that is slow to wake up."""
        others = self._without(tuning)
        before = bisect.bisect_left(others, _waiter(tuning))
        return SlotView(
            held=tuning.id in self.holders,
            free=before < limit - len(self.holders),
            queued=len(others) < len(self.waiting),
            position=before + 1,
            waiting=len(others) + 1,
        )

    def claimed(self, tuning: Tuning) -> JobSlots:
        return replace(self, holders=tuple(sorted({*self.holders, tuning.id})), waiting=self._without(tuning))

    def joined(self, tuning: Tuning) -> JobSlots:
        return replace(self, waiting=tuple(sorted((*self._without(tuning), _waiter(tuning)))))

    def left(self, tuning_ids: Iterable[str]) -> JobSlots:
        gone = set(tuning_ids)
        return JobSlots(
            holders=tuple(holder for holder in self.holders if holder not in gone),
            waiting=tuple(waiter for waiter in self.waiting if waiter.tuning_id not in gone),
        )

    def _without(self, tuning: Tuning) -> tuple[Waiter, ...]:
        return tuple(waiter for waiter in self.waiting if waiter.tuning_id != tuning.id)

    def next_in_line(self, limit: int) -> tuple[str, ...]:
        """Those who may start now."""
        return tuple(waiter.tuning_id for waiter in self.waiting[: max(0, limit - len(self.holders))])


def _waiter(tuning: Tuning) -> Waiter:
    return Waiter(tuning.arrived, tuning.id)
