"""Taking, giving back and tidying job slots: every change of the row is a compare-and-swap."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shared.errors import RaceLostError
from shared.lifecycle.tuning import State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shared.lifecycle.job_slots import JobSlots, SlotView
    from shared.lifecycle.ledger import Ledger, Versioned
    from shared.lifecycle.queues import WakeUps
    from shared.lifecycle.tuning import Tuning

log = logging.getLogger(__name__)

_CAS_TRIES = 5
_MAY_HAVE_A_JOB = frozenset({State.PREPARING, State.QUEUED, State.TRAINING, State.CLEANING_UP})


@dataclass(frozen=True)
class SlotKeeper:
    """`limit` jobs at once; 0 is no limit, and then nothing is given back or tidied. May raise TransientError."""

    ledger: Ledger
    wake_ups: WakeUps
    limit: int

    def claim(self, tuning: Tuning) -> bool:
        """Whether the tuning holds a slot now; doing it twice is doing it once."""

        def change(slots: JobSlots) -> JobSlots:
            seen = slots.seen_by(tuning, self.limit)
            return slots.claimed(tuning) if seen.free and not seen.held else slots

        return tuning.id in self._change(change).holders

    def join(self, tuning: Tuning) -> SlotView:
        """Wait in the line; the place in it."""
        return self._change(lambda slots: slots.joined(tuning)).seen_by(tuning, self.limit)

    def release(self, tuning_id: str) -> None:
        """Give back the slot or the place in the line, and wake up those who may start now."""
        if not self.limit:
            return
        before = self.ledger.job_slots().value
        if before.left([tuning_id]) == before:
            return
        self._wake_next(self._change(lambda slots: slots.left([tuning_id])))

    def tidy(self, row: Versioned[JobSlots], tunings: Mapping[str, Tuning]) -> int:
        """Heal what deaths and changes of the limit left behind; returns how many tunings were woken up.

        The tunings must have been read after the row: whoever claims a slot since then has changed the row, so
        that writing it here loses the race.
        """
        training = {tuning.id for tuning in tunings.values() if tuning.state is State.TRAINING}
        gone = [holder for holder in row.value.holders if not _may_have_a_job(tunings.get(holder))]
        gone += [waiter.tuning_id for waiter in row.value.waiting if not _waits(tunings.get(waiter.tuning_id))]
        slots = row.value.left(gone)
        missing = training.difference(slots.holders)
        slots = replace(slots, holders=tuple(sorted({*slots.holders, *missing})))
        if slots != row.value:
            log.warning("job slots: forgetting %s, adding %s", gone, sorted(missing))
            row = self.ledger.put(replace(row, value=slots))
        return self._wake_next(row.value)

    def _change(self, change: Callable[[JobSlots], JobSlots]) -> JobSlots:
        for _ in range(_CAS_TRIES):
            row = self.ledger.job_slots()
            after = change(row.value)
            if after == row.value:
                return after
            try:
                return self.ledger.put(replace(row, value=after)).value
            except RaceLostError:
                continue
        raise RaceLostError("the job slots change too fast")

    def _wake_next(self, slots: JobSlots) -> int:
        following = slots.next_in_line(self.limit)
        for tuning_id in following:
            self.wake_ups.tuning(tuning_id)
        return len(following)


def _may_have_a_job(tuning: Tuning | None) -> bool:
    return tuning is not None and tuning.state in _MAY_HAVE_A_JOB


def _waits(tuning: Tuning | None) -> bool:
    """One that is `preparing` has entered the line, but did not get to record it."""
    return tuning is not None and tuning.state in (State.PREPARING, State.QUEUED)
