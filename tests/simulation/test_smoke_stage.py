"""The smoke test of a deployment over the twins: how much is asked at a time, side by side, and what is recorded."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest

from shared import names
from shared.lifecycle.smoke_stage import RESULT_FILE
from shared.lifecycle.tuning import State, Tuning
from shared.serving.smoke_report import SmokeReport
from tests.simulation.test_calm_day import FUNCTIONS, SETTINGS, Day
from tests.simulation.twins.services import TwinServices
from tests.simulation.twins.world import Fate, Happening, Outcome

DOWN = Fate(Outcome.FAIL, 0.1, status=503)


@dataclass
class Beside(Day):
    """With version v1 live and v2 about to be tested beside it."""

    settings: dict[str, Any] = field(default_factory=dict)

    holds: bool = False
    """Whether messages of the smoke test wait in their queue."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.services = TwinServices.of(replace(SETTINGS, smoke_concurrency=1), self.cloud, self.world)
        self.upload("chats", "v1")
        self.pass_by(120)
        self.holds = True
        self.upload("chats", "v2")
        self.pass_by(110)
        assert (self.of("v1").state, self.of("v2").state) == (State.LIVE, State.TESTING)
        changed = {"smoke_concurrency": 1, **self.settings}
        self.services = TwinServices.of(replace(SETTINGS, **changed), self.cloud, self.world)
        self.world.effects.clear()

    def _read_queues(self) -> None:
        functions = {queue: item for queue, item in FUNCTIONS.items() if queue != names.SMOKE_TEST_QUEUE}
        with patch.dict(FUNCTIONS, functions if self.holds else FUNCTIONS, clear=True):
            super()._read_queues()

    def of(self, version: str) -> Tuning:
        return {row.value.version: row.value for row in self.services.clients.ledger.tunings()}[version]

    def expect(self, **smoke: Any) -> None:
        """What tuning.json would say."""
        row = self.services.clients.ledger.tuning(self.of("v2").id)
        assert row is not None
        self.services.clients.ledger.put(replace(row, value=replace(row.value, smoke_expectations=smoke)))

    def test(self) -> Tuning:
        self.services.smoke_stage.run(self.of("v2").id)
        return self.of("v2")

    def asked(self) -> list[str]:
        """Deployments, in the order in which they were asked."""
        return [of.partition("/")[2] for operation, of, _ in self.world.effects if operation == "scoring.score"]

    def report(self) -> SmokeReport:
        content = self.services.clients.blobs.read_snapshot(self.of("v2").id, RESULT_FILE)
        assert content is not None
        return SmokeReport.parse(content)


def test_the_new_and_the_live_deployment_are_asked_the_same_questions_side_by_side() -> None:
    day = Beside()
    tuning = day.test()
    assert tuning.state is State.PROMOTING, tuning.history[-1]
    assert day.asked() == [tuning.deployment, day.of("v1").deployment] * 4
    report = day.report()
    assert (report.live_tuning, len(report.samples)) == (day.of("v1").id, 4)
    assert all(sample.live is not None and sample.live.text for sample in report.samples)
    assert tuning.smoke is not None
    assert tuning.smoke.live is not None
    assert len(tuning.smoke_requests) == 8


def test_what_the_live_one_can_not_answer_does_not_fail_the_new_one() -> None:
    day = Beside()
    for _ in range(4):
        day.world.will(Happening.SCORE, Fate(seconds=0.5))
        day.world.will(Happening.SCORE, DOWN)
    assert day.test().state is State.PROMOTING
    assert [sample.live.faults for sample in day.report().samples if sample.live] == [("HTTP 503",)] * 4


def test_a_failing_new_one_is_tried_again_and_rolled_back_in_the_end() -> None:
    day = Beside()
    for attempt in (1, 2, 3):
        day.world.will(Happening.SCORE, DOWN)
        tuning = day.test()
        assert tuning.smoke_attempts == attempt
    assert (tuning.state, tuning.outcome) == (State.CLEANING_UP, State.ROLLED_BACK)
    assert tuning.reason is not None
    assert "1 of 4 answers fell short" in tuning.reason.message


def test_what_there_is_no_time_for_is_asked_by_the_next_run() -> None:
    day = Beside(settings={"smoke_run_seconds": 0})
    runs = 0
    while day.of("v2").state is State.TESTING:
        tuning = day.test()
        runs += 1
        assert len(day.asked()) == runs, "one question a run"
        if tuning.state is State.TESTING:
            assert tuning.smoke_answered == runs
            assert tuning.wake_at <= day.world.now()
    assert runs == 8
    assert len(day.report().samples) == 4
    assert len(day.of("v2").smoke_requests) == 8


def test_tuning_json_says_how_many_questions() -> None:
    day = Beside()
    day.expect(samples=2)
    day.test()
    assert len(day.report().samples) == 2


@pytest.mark.parametrize(("limit", "state"), [(0.6, State.PROMOTING), (0.4, State.CLEANING_UP)])
def test_the_evaluation_loss_of_the_job_may_be_a_gate(limit: float, state: State) -> None:
    day = Beside()
    day.expect(max_eval_loss=limit)
    tuning = day.test()
    assert tuning.state is state
    if state is State.PROMOTING:
        assert day.report().eval_loss == 0.5
        return
    assert tuning.reason is not None
    assert (tuning.reason.code, tuning.outcome) == ("EvalLossTooHigh", State.ROLLED_BACK)
    assert day.asked() == [], "no answer would change it"


def test_a_gate_without_its_metric_fails_and_says_so() -> None:
    day = Beside()
    day.expect(max_eval_loss=0.6)
    day.cloud.jobs.all[day.of("v2").job].metrics = {"loss": 0.1}
    tuning = day.test()
    assert tuning.reason is not None
    assert tuning.reason.code == "EvalLossMissing"
    assert f"job {tuning.job} logged no eval_loss" in tuning.reason.message


def test_our_own_requests_to_the_live_one_do_not_keep_its_endpoint_awake() -> None:
    day = Beside()
    for _ in range(3):
        day.world.will(Happening.SCORE, DOWN)
        day.test()
    asked_at = day.world.now()
    day.pass_by(300)
    assert day.of("v2").state is State.ROLLED_BACK
    retired = day.of("v1")
    assert retired.state is State.RETIRED
    assert retired.reason is not None
    used_until = asked_at + timedelta(minutes=1)
    assert f"no request since {used_until:%Y-%m-%d %H:%M}" not in retired.reason.message
