"""Messages that the host gave up: each becomes something that an operator sees, and none is tried for ever.

A message only says what to look at, so that nothing of the tuning is lost with it. One that names a tuning or a
version on its way counts as an unexpected error of it: it is woken up again, and fails with that reason when this
happens too often or its deadline is past. What can not be understood is kept as a rejected tuning `poison-…`.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared import names
from shared.datasets.report import VersionReport, to_json
from shared.datasets.report_page import to_page
from shared.datasets.split_report import Problem
from shared.errors import DroptuneError, PermanentError, TransientError
from shared.lifecycle.deadlines import STILL_POSSIBLE, overdue, stage_deadlines
from shared.lifecycle.intake import ended_at_once
from shared.lifecycle.perform import cleaning_up
from shared.lifecycle.queues import parse_blob_message, parse_tuning_message, parse_version_message
from shared.lifecycle.tuning import Reason, State, Tuning

if TYPE_CHECKING:
    from datetime import datetime

    from shared.lifecycle.engine import Lifecycle
    from shared.lifecycle.intake import Intake
    from shared.lifecycle.queues import TuningMessage

log = logging.getLogger(__name__)

MESSAGE_FILE = "message.bin"
"""The beginning of a message that could not be understood, in the folder of its `poison-…`."""
MAX_KEPT_BYTES = 64 * 1024
RETRY_SECONDS = 300.0
"""Until the next try when the ledger can not be reached: a new message, because the host gives up after five tries."""


class PoisonMessageError(DroptuneError):
    """A queue message was given up by the host: its function failed or died at every try."""


@dataclass(frozen=True)
class PoisonMessages:
    lifecycle: Lifecycle
    intake: Intake

    def received(self, queue: str, body: bytes) -> None:
        """`queue` is the one that the message was in first. Raises TransientError if even queues can not be reached."""
        try:
            self._take(queue, body)
        except TransientError as error:
            log.warning("poison message of %s: later: %s", queue, error)
            self.lifecycle.wake_ups.put_back(names.poison_queue(queue), body, RETRY_SECONDS)

    def _take(self, queue: str, body: bytes) -> None:
        try:
            if queue == names.BLOB_TRIGGER_QUEUE:
                self.intake.file_uploaded(parse_blob_message(body))
            elif queue == names.DATASET_SETTLED_QUEUE:
                self.intake.version_poisoned(parse_version_message(body), _error(queue))
            else:
                self._tuning(queue, parse_tuning_message(body))
        except TransientError:
            raise
        except PermanentError as error:
            self._keep(queue, body, error.message)
        except Exception as error:
            log.exception("poison message of %s: unexpected error", queue)
            self._keep(queue, body, f"{type(error).__name__}: {error}"[:300])

    def _tuning(self, queue: str, message: TuningMessage) -> None:
        lifecycle = self.lifecycle
        known = names.is_tuning_id(message.tuning_id)
        row = lifecycle.ledger.tuning(message.tuning_id) if known else None
        if row is None:
            raise PermanentError("UnknownTuning", "there is no tuning of its id")
        tuning, now = row.value, lifecycle.clock()
        outdated = (
            tuning.ended
            or (message.due and message.due != tuning.due)
            or (queue == names.SMOKE_TEST_QUEUE and tuning.state is not State.TESTING)
        )
        if outdated:
            log.info("poison message of %s: tuning %s is %s and moved on since", queue, tuning.id, tuning.state)
            return
        lifecycle.record(row, self._after(tuning, _error(queue), now), now)

    def _after(self, tuning: Tuning, error: PoisonMessageError, now: datetime) -> Tuning:
        log.error("tuning %s is %s: %s", tuning.id, tuning.state, error)
        tuning = tuning.looked_at(now)
        if tuning.errors and overdue(tuning, now, stage_deadlines(self.lifecycle.settings), STILL_POSSIBLE):
            return cleaning_up(tuning, State.FAILED, Reason("PoisonMessage", str(error)), now)
        after = self.lifecycle.unexpected(tuning, error, now)
        return after if after.state is not tuning.state else after.noted(now, f"{error}; it is looked at again")

    def _keep(self, queue: str, body: bytes, why: str) -> None:
        """Doing it twice is doing it once: the id is the message's digest."""
        lifecycle, now = self.lifecycle, self.lifecycle.clock()
        fingerprint = names.digest(queue, body, length=64)
        tuning_id = f"poison-{fingerprint[:8]}"
        row = lifecycle.ledger.tuning(tuning_id)
        if row is not None:
            log.warning("poison message of %s: %s again", queue, tuning_id)
            return
        reason = Reason("PoisonMessage", f"a message of queue {queue} was given up: {why}")
        lifecycle.blobs.write_snapshot(tuning_id, MESSAGE_FILE, body[:MAX_KEPT_BYTES])
        problem = Problem(kind=reason.code, subject=queue, reason=reason.message)
        report = VersionReport(tuning_id=tuning_id, dataset="", version="", problems=(problem,), created=now)
        lifecycle.blobs.write_report(tuning_id, to_json(report))
        lifecycle.blobs.write_report_page(tuning_id, to_page(report))
        kept = ended_at_once(State.REJECTED, tuning_id, "", "", fingerprint, reason, now)
        lifecycle.events.publish_new(self.intake.insert(kept))


def _error(queue: str) -> PoisonMessageError:
    return PoisonMessageError(f"a message of queue {queue} failed at every try and was given up")
