"""The stage `testing`: score a sample on the new deployment, and go on by what it answers."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shared.datasets.paths import SPLIT_SUFFIX, smoke_split
from shared.errors import PermanentError, TransientError
from shared.lifecycle.actions import CleanUp
from shared.lifecycle.decide import decide
from shared.lifecycle.engine import overtaken, stage_deadlines
from shared.lifecycle.observe import Observer
from shared.lifecycle.perform import cleaning_up
from shared.lifecycle.tuning import Reason, SmokeResult, State, Tuning
from shared.names import owner
from shared.telemetry.telemetry import STATE, about, stage

if TYPE_CHECKING:
    from datetime import datetime

    from shared.lifecycle.engine import Lifecycle
    from shared.serving.scoring import ScoringClient

log = logging.getLogger(__name__)

INDEX_FILE = "smoke_index.bin"
"""Where the lines of the split are from which the sample is drawn, kept with the tuning."""
RESULT_FILE = "smoke_test.json"
"""Question, answer, ground truth and figures of the last smoke test, kept with the tuning."""


@dataclass(frozen=True)
class SmokeStage:
    lifecycle: Lifecycle
    scoring: ScoringClient

    def run(self, tuning_id: str, due: str = "", sender: str = "") -> None:
        """Test a tuning that is `testing`; for any other this is an old message. `due` as in Lifecycle.advance."""
        lifecycle = self.lifecycle
        row = lifecycle.ledger.tuning(tuning_id)
        if row is None or row.value.state is not State.TESTING:
            log.info("tuning %s is not being tested: message ignored", tuning_id)
            return
        now, tuning = lifecycle.clock(), row.value
        if overtaken(tuning, due, now):
            return
        with lifecycle.telemetry.work(
            "smoke_test", tuning.trace, about(tuning), within=stage(tuning), sender=sender
        ) as work:
            after = self._next(tuning, now)
            work.note({f"{STATE}.after": str(after.state)})
            lifecycle.record(row, after, lifecycle.clock())

    def _next(self, tuning: Tuning, now: datetime) -> Tuning:
        lifecycle = self.lifecycle
        try:
            observer = Observer(
                lifecycle.arm, lifecycle.ledger, lifecycle.blobs, owner(lifecycle.settings.workspace_id)
            )
            observed, _ = observer.observe(tuning)
            action = decide(tuning, observed, now, stage_deadlines(lifecycle.settings))
            if isinstance(action, CleanUp):
                return cleaning_up(tuning, action.outcome, action.reason, now)
            return self._test(tuning)
        except TransientError as error:
            log.info("tuning %s: smoke test later: %s", tuning.id, error)
            return replace(tuning.waiting(now, error.retry_after), last_error=str(error)[:500])
        except PermanentError as error:
            return cleaning_up(tuning, State.FAILED, Reason(error.code, error.message), now)
        except Exception as error:
            log.exception("tuning %s: smoke test met an unexpected error", tuning.id)
            return lifecycle.unexpected(tuning, error, now)

    def _test(self, tuning: Tuning) -> Tuning:
        from shared.serving.sample import draw_sample
        from shared.serving.smoke_test import judge, smoke_document
        from shared.serving.snapshot_lines import SnapshotLines

        lifecycle = self.lifecycle
        endpoint = lifecycle.arm.get_endpoint(tuning.endpoint)
        if endpoint is None or not endpoint.scoring_uri:
            raise PermanentError("DeploymentVanished", f"endpoint {tuning.endpoint} was deleted outside of droptune")
        key = lifecycle.arm.endpoint_key(tuning.endpoint)
        file = smoke_split([split.name for split in tuning.splits]) + SPLIT_SUFFIX
        snapshot = SnapshotLines(lifecycle.blobs, tuning.id, file, INDEX_FILE)
        sample = draw_sample(snapshot, seed=int(tuning.fingerprint[:8], 16))
        limit = float(
            tuning.smoke_expectations.get("max_latency_seconds") or lifecycle.settings.smoke_max_latency_seconds
        )
        started = lifecycle.clock()
        answer = self.scoring.score(endpoint.scoring_uri, key, tuning.deployment, sample.messages, timeout=limit + 5)
        verdict = judge(answer, tuning.smoke_expectations, limit)
        lifecycle.blobs.write_snapshot(tuning.id, RESULT_FILE, smoke_document(sample, answer, verdict, started))
        result = SmokeResult(verdict.passed, answer.latency_seconds, answer.status, verdict.detail, started)
        tested = replace(
            tuning,
            smoke=result,
            smoke_attempts=tuning.smoke_attempts + 1,
            smoke_requests=(*tuning.smoke_requests, started)[-20:],
        )
        return self._judged(tested, lifecycle.clock())

    def _judged(self, tuning: Tuning, now: datetime) -> Tuning:
        assert tuning.smoke is not None
        figures = f"HTTP {tuning.smoke.status} in {tuning.smoke.latency_seconds:.2f} s"
        if tuning.smoke.passed:
            log.info("tuning %s: smoke test passed: %s", tuning.id, figures)
            return tuning.moved(State.PROMOTING, now, f"smoke test passed: {figures}")
        attempts = self.lifecycle.settings.smoke_test_attempts
        message = f"smoke test {tuning.smoke_attempts} of {attempts} failed: {tuning.smoke.detail} ({figures})"
        log.warning("tuning %s: %s", tuning.id, message)
        if tuning.smoke_attempts >= attempts:
            return cleaning_up(tuning, State.ROLLED_BACK, Reason("SmokeTestFailed", message), now)
        return tuning.waiting(now, self.lifecycle.settings.poll_seconds).noted(now, message)
