"""What Event Grid does after a failed delivery."""

from __future__ import annotations

import pytest

from localcloud.eventgrid.retries import (
    SOCKET_ERROR,
    TIMED_OUT,
    GiveUp,
    Retry,
    after_failure,
    outcome_of,
)

HOUR = 3600.0


@pytest.mark.parametrize(
    ("attempts", "delay"),
    [(1, 10), (2, 30), (3, 60), (4, 300), (5, 600), (6, 1800), (7, HOUR), (8, 3 * HOUR), (9, 6 * HOUR)],
)
def test_the_pauses_grow_as_documented(attempts: int, delay: float) -> None:
    assert after_failure(outcome_of(500), attempts, age=0, scale=1) == Retry(delay)


def test_the_scale_shortens_the_schedule_and_the_time_to_live() -> None:
    assert after_failure(outcome_of(500), 1, age=0, scale=0.5) == Retry(5)
    assert after_failure(outcome_of(500), 1, age=12 * HOUR, scale=0.5) == GiveUp("TimeToLiveExceeded")


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, "UndeliverableDueToHttpBadRequest"),
        (401, "UndeliverableDueToHttpUnauthorized"),
        (403, "UndeliverableDueToHttpForbidden"),
        (413, "UndeliverableDueToHttpRequestEntityTooLarge"),
    ],
)
def test_what_a_repetition_cannot_cure_is_not_repeated(status: int, reason: str) -> None:
    assert after_failure(outcome_of(status), 1, age=0, scale=1) == GiveUp(reason)


@pytest.mark.parametrize("outcome", [outcome_of(404), outcome_of(500), outcome_of(302), TIMED_OUT, SOCKET_ERROR])
def test_everything_else_is_tried_again(outcome: object) -> None:
    assert isinstance(after_failure(outcome, 1, age=0, scale=1), Retry)  # type: ignore[arg-type]  # a table


@pytest.mark.parametrize(("status", "delay"), [(503, 30), (408, 120)])
def test_a_busy_endpoint_gets_more_time(status: int, delay: float) -> None:
    assert after_failure(outcome_of(status), 1, age=0, scale=1) == Retry(delay)


def test_thirty_attempts_are_the_end() -> None:
    assert after_failure(SOCKET_ERROR, 30, age=0, scale=1) == GiveUp("MaxDeliveryAttemptsExceeded")


def test_a_day_is_the_end() -> None:
    assert after_failure(SOCKET_ERROR, 9, age=20 * HOUR, scale=1) == GiveUp("TimeToLiveExceeded")


@pytest.mark.parametrize("status", [200, 201, 202, 203, 204])
def test_five_answers_acknowledge(status: int) -> None:
    assert outcome_of(status).delivered


@pytest.mark.parametrize("status", [206, 207, 301, 400, 500])
def test_no_other_answer_acknowledges(status: int) -> None:
    assert not outcome_of(status).delivered


def test_an_answer_that_http_does_not_know_has_a_name() -> None:
    assert outcome_of(299).name == "GenericError"
