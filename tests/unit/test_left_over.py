"""A tuning that ended, and something of it that is in the cloud all the same."""

from __future__ import annotations

import pytest

from shared.azureml.resources import Job
from shared.lifecycle.actions import CleanUpAgain, Nothing
from shared.lifecycle.decide import Observed, decide
from shared.lifecycle.tuning import State
from tests.unit.test_decide import DEADLINES, NOW, deployment, endpoint, record, tuning


@pytest.mark.parametrize(
    ("seen", "what"),
    [
        ({"record": record(), "job": Job("j", "Running", {})}, "job j"),
        ({"record": record(), "endpoint": endpoint(), "deployment": deployment("Creating")}, "deployment t-aaaaaaaa"),
        ({"record": record(name="chats-123456-g2"), "endpoint": endpoint()}, "endpoint chats-123456"),
    ],
)
def test_what_a_slow_worker_makes_after_the_clean_up_is_cleaned_up_again(seen: dict[str, object], what: str) -> None:
    assert decide(tuning(State.FAILED), Observed(**seen), NOW, DEADLINES) == CleanUpAgain(what)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "seen",
    [
        {"record": record(), "job": Job("j", "Canceled", {})},
        {"record": record(), "endpoint": endpoint(), "other_deployments": ("t-bbbbbbbb",)},
        {"record": record(name="chats-123456-g2"), "endpoint": endpoint(), "other_deployments": ("by-hand",)},
        {"record": record(name="chats-123456-g2"), "endpoint": endpoint("Deleting"), "deployment": deployment()},
        {"record": record(), "endpoint": endpoint(), "deployment": deployment(), "ours": False},
        {"record": record(), "endpoint": endpoint(), "deployment": deployment("Deleting")},
    ],
)
def test_what_is_others_or_on_its_way_out_is_not_left_over(seen: dict[str, object]) -> None:
    assert isinstance(decide(tuning(State.FAILED), Observed(**seen), NOW, DEADLINES), Nothing)  # type: ignore[arg-type]
