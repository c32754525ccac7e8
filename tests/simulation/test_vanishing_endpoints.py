"""Somebody deletes an endpoint just between a tuning's look at it and what the tuning then does to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import pytest

from shared.errors import TransientError
from shared.lifecycle.actions import SetTraffic
from shared.lifecycle.decide import Observed
from shared.lifecycle.tuning import State, Tuning
from tests.simulation.test_calm_day import Day
from tests.simulation.twins.calm import USUAL_SECONDS, Calm
from tests.simulation.twins.world import Happening

T = TypeVar("T")

DELETION = USUAL_SECONDS[Happening.DELETE_ENDPOINT]


@dataclass
class Meddled(Calm):
    """`before`: what somebody does, once, just before the app's next call of that operation arrives."""

    before: dict[str, Callable[[], None]] = field(default_factory=dict)

    def effect(self, operation: str, commit: Callable[[], T], *, writes: bool, of: str = "") -> T:
        if operation in self.before:
            self.before.pop(operation)()
        return super().effect(operation, commit, writes=writes, of=of)


@pytest.fixture
def world() -> Meddled:
    return Meddled()


@pytest.fixture
def day(world: Meddled) -> Day:
    day = Day(world)
    day.upload("chats", "v1")
    return day


def deletion(day: Day, seconds_ago: float) -> Callable[[], None]:
    """Of the one endpoint."""

    def happen() -> None:
        (endpoint,) = day.cloud.endpoints.visible()
        day.cloud.endpoints.delete(endpoint.name)
        day.world.advance(seconds_ago)

    return happen


def versions(day: Day) -> dict[str, Tuning]:
    return {row.value.version: row.value for row in day.services.clients.ledger.tunings()}


SINCE = pytest.mark.parametrize("seconds_ago", [0, DELETION], ids=["being deleted", "gone"])


@SINCE
def test_a_first_deployment_waits_until_the_name_of_its_deleted_endpoint_is_free(
    day: Day, world: Meddled, seconds_ago: float
) -> None:
    world.before["arm.create_deployment"] = deletion(day, seconds_ago)
    day.pass_by(150)
    assert world.before == {}
    assert versions(day)["v1"].state is State.LIVE, versions(day)["v1"]
    assert len(day.cloud.endpoints.visible()) == 1


@SINCE
def test_a_later_deployment_takes_the_next_generation_of_its_deleted_endpoint(
    day: Day, world: Meddled, seconds_ago: float
) -> None:
    day.pass_by(120)
    world.before["arm.create_deployment"] = deletion(day, seconds_ago)
    day.upload("chats", "v2")
    day.pass_by(115)
    assert world.before == {}
    first, second = versions(day)["v1"], versions(day)["v2"]
    assert second.state is State.LIVE, second
    assert [endpoint.name for endpoint in day.cloud.endpoints.visible()] == [second.endpoint]
    assert second.endpoint != first.endpoint


def test_a_promotion_whose_endpoint_is_deleted_says_so_and_makes_no_new_one(day: Day, world: Meddled) -> None:
    world.before["arm.set_traffic"] = deletion(day, DELETION)
    day.pass_by(150)
    assert world.before == {}
    after = versions(day)["v1"]
    assert after.state is State.FAILED
    assert after.reason is not None
    assert after.reason.code == "DeploymentVanished"
    assert day.cloud.endpoints.all == {}


def test_traffic_that_is_given_back_makes_no_endpoint_anew(day: Day, world: Meddled) -> None:
    day.pass_by(120)
    tuning = versions(day)["v1"]
    lifecycle, now = day.services.lifecycle, world.now()
    seen = Observed(endpoint=day.services.clients.arm.get_endpoint(tuning.endpoint))
    deletion(day, DELETION + USUAL_SECONDS[Happening.FORGET_NAME])()
    with pytest.raises(TransientError, match="was deleted meanwhile"):
        lifecycle._performer.perform(SetTraffic({tuning.deployment: 0}), tuning, seen, None, now)
    assert day.cloud.endpoints.all == {}
