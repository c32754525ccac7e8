"""A canary from its smoke test to its end, over the twins: good, bad, unseen, and overtaken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from shared import names
from shared.lifecycle.tuning import State, Tuning
from tests.simulation.test_calm_day import SETTINGS, Day
from tests.simulation.twins.services import TwinServices
from tests.simulation.twins.world import Trouble

CANARY = {
    "canary_percent": 20,
    "canary_minutes": 20,
    "canary_min_requests": 5,
    "canary_deadline_hours": 2,
    "smoke_concurrency": 1,
    "idle_dry_run": True,
}


@dataclass
class Canary(Day):
    """v1 is live, v2 has passed its smoke test beside it; `calls` is what users do in a minute."""

    settings: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.services = TwinServices.of(replace(SETTINGS, **{**CANARY, **self.settings}), self.cloud, self.world)  # type: ignore[arg-type]
        self.upload("chats", "v1")
        self.pass_by(120)
        assert self.of("v1").state is State.LIVE, "without somebody live there is no canary"
        self.upload("chats", "v2")
        for _ in range(150):
            self.pass_by(1)
            found = {row.value.version: row.value for row in self.services.clients.ledger.tunings()}
            if "v2" in found and found["v2"].state is State.CANARY and found["v2"].canary_since:
                break
        assert self.traffic() == {self.of("v1").deployment: 80, self.of("v2").deployment: 20}

    def of(self, version: str) -> Tuning:
        return {row.value.version: row.value for row in self.services.clients.ledger.tunings()}[version]

    def traffic(self) -> dict[str, int]:
        (endpoint,) = self.cloud.endpoints.visible()
        return endpoint.traffic

    def call(self, version: str, status: int = 200, seconds: float = 0.5) -> None:
        tuning = self.of(version)
        self.cloud.usage.record(tuning.endpoint, tuning.deployment, status, seconds)

    def go_on(self, minutes: int, calls: Callable[[], None] = lambda: None) -> None:
        for _ in range(minutes):
            if self.of("v2").state is not State.CANARY:
                break
            calls()
            self.pass_by(1)

    def ended(self) -> Tuning:
        self.pass_by(20)
        return self.of("v2")


def test_a_good_canary_gets_all_of_the_traffic_after_its_time() -> None:
    day = Canary()
    began = day.world.now()

    def calls() -> None:
        day.call("v1")
        day.call("v2")

    day.go_on(60, calls)
    assert 20 * 60 <= (day.world.now() - began).total_seconds() < 35 * 60
    tuning = day.ended()
    assert tuning.state is State.LIVE
    assert day.traffic() == {tuning.deployment: 100}
    assert day.of("v1").state is State.SUPERSEDED
    assert any(entry.message.startswith("canary passed: 0 errors in ") for entry in tuning.history)


def test_a_bad_canary_is_rolled_back_at_once_and_the_live_one_has_everything_again() -> None:
    day = Canary()
    began = day.world.now()

    def calls() -> None:
        day.call("v1")
        day.call("v2", status=500)

    day.go_on(60, calls)
    assert (day.world.now() - began).total_seconds() < 12 * 60, "it is not watched for its whole time"
    tuning = day.ended()
    assert (tuning.state, tuning.reason and tuning.reason.code) == (State.ROLLED_BACK, "CanaryFailed")
    live = day.of("v1")
    assert live.state is State.LIVE
    assert day.traffic() == {live.deployment: 100}
    (endpoint,) = day.cloud.endpoints.visible()
    assert list(endpoint.deployments) == [live.deployment]


def test_a_slow_canary_is_rolled_back() -> None:
    day = Canary()
    day.go_on(60, lambda: day.call("v2", seconds=100))
    assert day.ended().state is State.ROLLED_BACK


def test_a_canary_that_fails_as_the_live_one_does_is_promoted() -> None:
    day = Canary()

    def calls() -> None:
        day.call("v1", status=424)
        day.call("v2", status=424)

    day.go_on(60, calls)
    assert day.ended().state is State.LIVE


def test_without_metrics_a_canary_is_never_promoted_in_silence() -> None:
    day = Canary()
    day.world.monitor = Trouble(fail=True)
    day.go_on(90, lambda: day.call("v2"))
    assert day.of("v2").state is State.CANARY
    assert "no metrics" in day.of("v2").waiting_for
    day.go_on(60)
    tuning = day.ended()
    assert (tuning.state, tuning.reason and tuning.reason.code) == (State.ROLLED_BACK, "CanaryUndecided")


def test_a_canary_that_nobody_calls_waits_for_its_deadline_and_then_the_setting_says() -> None:
    day = Canary(settings={"canary_promote_undecided": True})
    day.go_on(150)
    assert day.ended().state is State.LIVE


def test_metrics_that_come_back_decide() -> None:
    day = Canary()
    day.world.monitor = Trouble(omit_minutes=60)
    day.go_on(40, lambda: day.call("v2"))
    assert day.of("v2").state is State.CANARY
    day.world.monitor = Trouble()
    day.go_on(10)
    assert day.ended().state is State.LIVE


def test_a_newer_version_that_passes_takes_over_from_a_canary() -> None:
    day = Canary()
    day.upload("chats", "v3")
    day.pass_by(110)
    assert day.of("v2").state is State.SUPERSEDED
    newer = day.of("v3")
    assert newer.state is State.CANARY
    assert day.traffic() == {day.of("v1").deployment: 80, newer.deployment: 20}


def test_tuning_json_may_do_without() -> None:
    day = Day()
    day.services = TwinServices.of(replace(SETTINGS, **CANARY), day.cloud, day.world)  # type: ignore[arg-type]
    day.upload("chats", "v1")
    day.pass_by(120)
    day.cloud.blobs.upload(names.DATASETS, "chats/v2/tuning.json", b'{"canary": {"percent": 0}}')
    day.upload("chats", "v2")
    day.pass_by(120)
    newer = next(row.value for row in day.services.clients.ledger.tunings() if row.value.version == "v2")
    assert newer.state is State.LIVE
    assert State.CANARY not in {entry.state for entry in newer.history}
