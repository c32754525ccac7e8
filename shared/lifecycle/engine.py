"""Advancing a tuning: look, decide, act once, record by compare-and-swap, wake up again."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from shared import names
from shared.costs.budget_keeper import BudgetKeeper
from shared.errors import PermanentError, RaceLostError, TransientError
from shared.idle.series import Unavailable
from shared.lifecycle.actions import Action, Nothing, Wait
from shared.lifecycle.canary import CanaryView, assess, policy_of
from shared.lifecycle.deadlines import STILL_POSSIBLE, give_up, overdue, stage_deadlines
from shared.lifecycle.decide import decide
from shared.lifecycle.observe import Observer
from shared.lifecycle.perform import Performer, cleaning_up
from shared.lifecycle.slot_keeper import SlotKeeper
from shared.lifecycle.tuning import Reason, State, Tuning
from shared.telemetry.telemetry import STATE, Telemetry, about, stage

if TYPE_CHECKING:
    from datetime import datetime

    from shared.azureml.arm import ArmClient
    from shared.azureml.resources import OnlineEndpoint
    from shared.azureml.sdk import SdkClient
    from shared.blobs import Blobs
    from shared.clock import Clock
    from shared.config import Settings
    from shared.costs.books import Books
    from shared.lifecycle.canary_metrics import CanaryMetrics
    from shared.lifecycle.decide import Observed
    from shared.lifecycle.events import LifecycleEvents
    from shared.lifecycle.ledger import Ledger, Versioned
    from shared.lifecycle.queues import WakeUps

log = logging.getLogger(__name__)

_SPREAD_SECONDS = 12
"""Over which those who lost a race come again: longer than the host waits between two polls of a queue."""
_STALE = timedelta(minutes=5)
"""Nothing is done about what was seen so long ago: whoever stood still would undo what others, or people, did since."""
MAX_UNEXPECTED_ERRORS = 5
"""Unexpected errors in a row that are tried again; then the tuning fails with the last of them."""


def overtaken(tuning: Tuning, due: str, now: datetime) -> bool:
    """Whether another look was planned after the one that `due` stands for, and is still to come."""
    if not due or due == tuning.due or now >= tuning.wake_at or tuning.ended:
        return False
    log.info("tuning %s was looked at since; its next look is planned for %s", tuning.id, tuning.due)
    return True


@dataclass(frozen=True, kw_only=True)
class Lifecycle:
    """All of its methods may run twice, late, out of order, at the same time, and die at any line."""

    settings: Settings
    ledger: Ledger
    wake_ups: WakeUps
    arm: ArmClient
    sdk: SdkClient
    blobs: Blobs
    canary_metrics: CanaryMetrics
    events: LifecycleEvents
    books: Books
    clock: Clock
    telemetry: Telemetry = field(default_factory=Telemetry)

    def advance(self, tuning_id: str, due: str = "", sender: str = "") -> None:
        """Do the one next thing about a tuning; `due` says which planned look this is, empty: one out of turn.

        A planned look after which another one was planned is dropped: else every hint, doubled message and pass of
        `reconcile` would start one more chain of looks beside those that are under way. If the later one is past as
        well, whoever planned it may have died before sending its message. Raises TransientError when the ledger
        or the queue can not be reached, and any error about a tuning that ended: the message comes back then.
        """
        row = self.ledger.tuning(tuning_id)
        if row is None:
            log.warning("tuning %s is not in the ledger: message ignored", tuning_id)
            return
        now = self.clock()
        if overtaken(row.value, due, now):
            return
        if row.value.state is State.TESTING:
            self.wake_ups.smoke_test(tuning_id, due=due)
            return
        tuning = row.value
        with self.telemetry.work(
            "deployment_progress", tuning.trace, about(tuning), within=stage(tuning), sender=sender
        ) as work:
            after = self._next(tuning, now)
            work.note({f"{STATE}.after": str(after.state)})
            self.record(row, after, now)

    def record(self, row: Versioned[Tuning], after: Tuning, now: datetime) -> bool:
        """Write what became of a tuning, wake it up again, publish what happened to it; False if outrun."""
        before = row.value
        if after != before:
            try:
                row = self.ledger.put(replace(row, value=after))
            except RaceLostError:
                log.info("tuning %s: somebody else was first; looking again", before.id)
                self._look_after_the_winner(before.id)
                return False
        if after.state is not before.state:
            self.telemetry.moved(before, after)
        self.events.publish_new(row)
        self.wake(after, now)
        return True

    def wake(self, tuning: Tuning, now: datetime) -> None:
        """Send the message that makes the next look happen; ended ones need none, nor live ones without an error."""
        if tuning.ended or (tuning.state is State.LIVE and not tuning.last_error):
            return
        delay = (tuning.wake_at - now).total_seconds()
        if tuning.state is State.TESTING:
            self.wake_ups.smoke_test(tuning.id, delay, tuning.due)
        else:
            self.wake_ups.tuning(tuning.id, delay, tuning.due)

    def _look_after_the_winner(self, tuning_id: str) -> None:
        """What was done here, or was the reason for this look, the winner may not have seen.

        One more look is enough for all who lost: it is the winner's planned one, only earlier, so that the first of
        them makes it and the others are dropped. Looks out of turn would keep losing to each other, and double with
        each message that comes back; so would those that come at the same moment again.
        """
        row = self.ledger.tuning(tuning_id)
        delay = 1 + self.clock().microsecond % _SPREAD_SECONDS
        self.wake_ups.tuning(tuning_id, delay, due="" if row is None else row.value.due)

    def _next(self, tuning: Tuning, now: datetime) -> Tuning:
        """The tuning after the one next action, or after the error that it met. One that ended stays as it ended: the
        error is raised, so that the host has it looked at a few times more.
        """
        tuning = tuning.looked_at(now)
        action: Action | None = None
        try:
            observed, record = self._observer.observe(tuning, now)
            self._tell_the_books(tuning, observed, now)
            if tuning.state is State.DEPLOYING and observed.deployment and observed.deployment.created_at:
                tuning = tuning.counted_from(observed.deployment.created_at)
            action = decide(tuning, observed, now, stage_deadlines(self.settings))
            if not isinstance(action, Nothing | Wait) and self.clock() - now > _STALE:
                raise RaceLostError(f"what was seen is more than {_STALE} old; looking again")
            if not isinstance(action, Nothing):
                log.info("tuning %s is %s: %s", tuning.id, tuning.state, action)
            return self._performer.perform(action, tuning, observed, record, now)
        except Exception as error:
            if tuning.ended:
                raise
            return self._after_error(tuning, error, now, blind=action is None)

    def _after_error(self, tuning: Tuning, error: Exception, now: datetime, *, blind: bool) -> Tuning:
        """`blind`: nothing was seen, so that nothing was decided either."""
        match error:
            case RaceLostError():
                log.info("tuning %s: %s", tuning.id, error)
                return tuning.waiting(now, 1)
            case TransientError():
                deadlines = stage_deadlines(self.settings)
                if blind and overdue(tuning, now, deadlines, STILL_POSSIBLE):
                    end = give_up(tuning, deadlines, f"nothing can be seen: {error}")
                    return cleaning_up(tuning, end.outcome, end.reason, now)
                log.info("tuning %s is %s: later: %s", tuning.id, tuning.state, error)
                delay = max(error.retry_after, self._performer.patience(tuning))
                return replace(tuning.waiting(now, delay), last_error=str(error)[:500])
            case PermanentError():
                log.warning("tuning %s is %s: for good: %s", tuning.id, tuning.state, error)
                return self._failed(tuning, Reason(error.code, error.message), now)
        number = tuning.errors + 1
        log.error("tuning %s is %s: unexpected error number %d", tuning.id, tuning.state, number, exc_info=error)
        return self.unexpected(tuning, error, now)

    def _tell_the_books(self, tuning: Tuning, observed: Observed, now: datetime) -> None:
        """Before anything is done about it: what is deleted next must have been in them."""
        if observed.sighting is not None:
            self.books.endpoint_seen(tuning.dataset, observed.sighting, tuning)
        if observed.job is not None:
            self.books.job_seen(tuning, observed.job, now)

    def unexpected(self, tuning: Tuning, error: Exception, now: datetime) -> Tuning:
        """An error that nobody foresaw is tried again a few times, then it is the reason of the failure."""
        text = f"{type(error).__name__}: {error}"[:500]
        if tuning.errors + 1 >= MAX_UNEXPECTED_ERRORS:
            return self._failed(tuning, Reason("UnexpectedError", text), now)
        errors = tuning.errors + 1
        delay = self._performer.patience(replace(tuning, looks=errors))
        return replace(tuning.waiting(now, delay), errors=errors, last_error=text)

    def _failed(self, tuning: Tuning, reason: Reason, now: datetime) -> Tuning:
        if tuning.state not in (State.CLEANING_UP, State.LIVE):
            return cleaning_up(tuning, State.FAILED, reason, now)
        # What is live stays live, and what costs money is not given up: the look is repeated, the error shown.
        delay = self.settings.poll_max_seconds
        return replace(tuning.waiting(now, delay), last_error=f"{reason.code}: {reason.message}"[:500])

    @property
    def _observer(self) -> Observer:
        owner = names.owner(self.settings.workspace_id)
        jobs = self.settings.max_active_jobs
        return Observer(self.arm, self.ledger, self.blobs, owner, jobs, self._canary, self.budget)

    def _canary(self, tuning: Tuning, endpoint: OnlineEndpoint, live: Tuning) -> CanaryView:
        policy, since, now = policy_of(self.settings, tuning.canary_settings), tuning.canary_since, self.clock()
        if since is None:
            return CanaryView(policy)
        known = now - timedelta(minutes=self.settings.metrics_delay_minutes)
        seen = self.canary_metrics.figures(endpoint.id, tuning.deployment, live.deployment, since, known)
        verdict = assess(policy, tuning.state_since, since, seen, now)
        return CanaryView(policy, verdict, None if isinstance(seen, Unavailable) else seen)

    @property
    def _performer(self) -> Performer:
        return Performer(
            self.settings, self.arm, self.sdk, self.ledger, self.blobs, self.wake_ups, self.slots, self.books
        )

    @property
    def budget(self) -> BudgetKeeper:
        return BudgetKeeper(self.settings, self.ledger, self.books.prices)

    @property
    def slots(self) -> SlotKeeper:
        return SlotKeeper(self.ledger, self.wake_ups, self.settings.max_active_jobs)
