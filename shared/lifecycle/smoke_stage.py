"""The stage `testing`: put samples to the new deployment and the live one, and go on by what they answer."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from shared.datasets.paths import SPLIT_SUFFIX, smoke_split
from shared.errors import PermanentError, TransientError
from shared.lifecycle.actions import CleanUp
from shared.lifecycle.canary import policy_of
from shared.lifecycle.deadlines import stage_deadlines
from shared.lifecycle.decide import decide
from shared.lifecycle.engine import overtaken
from shared.lifecycle.observe import Observer
from shared.lifecycle.own_requests import with_requests
from shared.lifecycle.perform import cleaning_up
from shared.lifecycle.tuning import MAX_MESSAGE, Reason, SmokeResult, State, Tuning
from shared.names import owner
from shared.serving.in_turn import in_turn
from shared.serving.questions import Answered, Answers
from shared.serving.smoke_report import SmokeReport
from shared.telemetry.telemetry import STATE, about, stage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from shared.lifecycle.decide import Observed
    from shared.lifecycle.engine import Lifecycle
    from shared.serving.questions import Question
    from shared.serving.sample import Sample
    from shared.serving.scoring import ScoringClient

log = logging.getLogger(__name__)

INDEX_FILE = "smoke_index.bin"
"""Where the lines of the split are from which the samples are drawn, kept with the tuning."""
ANSWERS_FILE = "smoke_answers.json"
"""What was answered by runs that had no time for all questions."""
EVAL_LOSS = "eval_loss"
RESULT_FILE = "smoke_test.json"
"""The SmokeReport of the last smoke test, kept with the tuning."""


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
        lifecycle, tuning = self.lifecycle, tuning.looked_at(now)
        try:
            observer = Observer(
                lifecycle.arm, lifecycle.ledger, lifecycle.blobs, owner(lifecycle.settings.workspace_id)
            )
            observed, _ = observer.observe(tuning, now)
            action = decide(tuning, observed, now, stage_deadlines(lifecycle.settings))
            if isinstance(action, CleanUp):
                return cleaning_up(tuning, action.outcome, action.reason, now)
            return self._test(tuning, observed)
        except TransientError as error:
            log.info("tuning %s: smoke test later: %s", tuning.id, error)
            return replace(tuning.waiting(now, error.retry_after), last_error=str(error)[:500])
        except PermanentError as error:
            return cleaning_up(tuning, State.FAILED, Reason(error.code, error.message), now)
        except Exception as error:
            log.exception("tuning %s: smoke test met an unexpected error", tuning.id)
            return lifecycle.unexpected(tuning, error, now)

    def _test(self, tuning: Tuning, observed: Observed) -> Tuning:
        from shared.serving.sample import draw_samples
        from shared.serving.smoke_test import judge, read_expectations
        from shared.serving.snapshot_lines import SnapshotLines

        lifecycle, expected = self.lifecycle, read_expectations(tuning.smoke_expectations)
        loss, reason = self._eval_loss(tuning, expected.max_eval_loss)
        if reason is not None:
            return cleaning_up(tuning, State.ROLLED_BACK, reason, lifecycle.clock())
        file = smoke_split([split.name for split in tuning.splits]) + SPLIT_SUFFIX
        snapshot = SnapshotLines(lifecycle.blobs, tuning.id, file, INDEX_FILE)
        count = expected.samples or lifecycle.settings.smoke_samples
        samples = draw_samples(snapshot, seed=int(tuning.fingerprint[:8], 16), count=count)
        limit = expected.max_latency_seconds or lifecycle.settings.smoke_max_latency_seconds
        live = _beside(tuning, observed.live)
        known = self._known(tuning)
        missing = known.missing(len(samples), side_by_side=live is not None)
        asked = self._ask(tuning, live, samples, missing, limit)
        answers = known.and_also(asked)
        tested = replace(tuning, own_requests=with_requests(tuning.own_requests, [item.at for item in asked]))
        now = lifecycle.clock()
        if len(asked) < len(missing):
            lifecycle.blobs.write_snapshot(tuning.id, ANSWERS_FILE, answers.to_json())
            left = len(missing) - len(asked)
            return replace(tested.waiting(now, 0, f"{left} more questions"), smoke_answered=len(answers.given))
        verdict = judge(samples, answers, expected, max_latency_seconds=limit)
        report = SmokeReport(
            tuning=tuning.id,
            deployment=tuning.deployment,
            at=now,
            attempt=tuning.smoke_attempts + 1,
            passed=verdict.passed,
            detail=verdict.detail,
            figures=verdict.figures,
            samples=verdict.samples,
            live_tuning=live.id if live else "",
            live=verdict.live,
            eval_loss=loss,
        )
        lifecycle.blobs.write_snapshot(tuning.id, RESULT_FILE, report.to_json())
        return self._judged(replace(tested, smoke=_result(report), smoke_attempts=report.attempt), live, now)

    def _eval_loss(self, tuning: Tuning, limit: float | None) -> tuple[float | None, Reason | None]:
        """The job's, if it has a limit, and why it fails the test: no answer that is asked for would change that."""
        if limit is None:
            return None, None
        loss = self.lifecycle.arm.job_metrics(tuning.job).get(EVAL_LOSS)
        if loss is None:
            message = f"smoke.max_eval_loss is {limit:g}, but job {tuning.job} logged no {EVAL_LOSS}"
            return None, Reason("EvalLossMissing", message)
        if loss > limit:
            return loss, Reason("EvalLossTooHigh", f"{EVAL_LOSS} {loss:.4f}, smoke.max_eval_loss is {limit:g}")
        return loss, None

    def _known(self, tuning: Tuning) -> Answers:
        """What was answered in earlier runs of this try."""
        attempt = tuning.smoke_attempts + 1
        if not tuning.smoke_answered:
            return Answers(attempt)
        return Answers.parse(self.lifecycle.blobs.read_snapshot(tuning.id, ANSWERS_FILE), attempt)

    def _ask(
        self, tuning: Tuning, live: Tuning | None, samples: Sequence[Sample], missing: Sequence[Question], limit: float
    ) -> list[Answered]:
        """Those of the missing questions that there is time for."""
        lifecycle = self.lifecycle
        endpoint = lifecycle.arm.get_endpoint(tuning.endpoint)
        if endpoint is None or not endpoint.scoring_uri:
            raise PermanentError("DeploymentVanished", f"endpoint {tuning.endpoint} was deleted outside of droptune")
        uri, key = endpoint.scoring_uri, lifecycle.arm.endpoint_key(tuning.endpoint)
        until = lifecycle.clock() + timedelta(seconds=lifecycle.settings.smoke_run_seconds)

        def ask(question: Question) -> Answered:
            deployment = live.deployment if live and question.live else tuning.deployment
            at = lifecycle.clock()
            messages = samples[question.sample].messages
            return Answered(question, at, self.scoring.score(uri, key, deployment, messages, timeout=limit + 5))

        at_once = lifecycle.settings.smoke_concurrency
        return in_turn(missing, ask, at_once=at_once, in_time=lambda: lifecycle.clock() < until)

    def _judged(self, tuning: Tuning, live: Tuning | None, now: datetime) -> Tuning:
        assert tuning.smoke is not None
        if tuning.smoke.passed:
            log.info("tuning %s: smoke test passed: %s", tuning.id, tuning.smoke.detail)
            canary = live is not None and policy_of(self.lifecycle.settings, tuning.canary_settings).percent > 0
            after = State.CANARY if canary else State.PROMOTING
            return tuning.moved(after, now, f"smoke test passed: {tuning.smoke.detail}")
        attempts = self.lifecycle.settings.smoke_test_attempts
        message = f"smoke test {tuning.smoke_attempts} of {attempts} failed: {tuning.smoke.detail}"
        log.warning("tuning %s: %s", tuning.id, message)
        if tuning.smoke_attempts >= attempts:
            return cleaning_up(tuning, State.ROLLED_BACK, Reason("SmokeTestFailed", message), now)
        again = replace(tuning, smoke_answered=0)
        return again.waiting(now, self.lifecycle.settings.poll_seconds).noted(now, message)


def _beside(tuning: Tuning, live: Tuning | None) -> Tuning | None:
    """Who is asked side by side: the tuning that is live on the same endpoint."""
    if live is None or live.state is not State.LIVE or live.endpoint != tuning.endpoint:
        return None
    return live


def _result(report: SmokeReport) -> SmokeResult:
    short = next((sample.answer.status for sample in report.samples if sample.answer.faults), 200)
    latency = report.figures.latency_p95_seconds
    return SmokeResult(
        report.passed, latency, short, report.detail[:MAX_MESSAGE], report.at, report.figures, report.live
    )
