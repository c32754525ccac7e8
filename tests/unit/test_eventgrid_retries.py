"""What Event Grid does after a failed delivery."""

from __future__ import annotations

import pytest

from localcloud.eventgrid.retries import (
    RESOLUTION_ERROR,
    SOCKET_ERROR,
    TIMED_OUT,
    GiveUp,
    Outcome,
    Probation,
    Retry,
    after_failure,
    outcome_of,
)

HOUR = 3600.0
NOW = 1795370135.0


@pytest.mark.parametrize(
    ("attempts", "delay"),
    [
        *((1, 10), (2, 30), (3, 60), (4, 300), (5, 600), (6, 1800)),
        *((7, HOUR), (8, 3 * HOUR), (9, 6 * HOUR), (10, 12 * HOUR), (11, 12 * HOUR), (29, 12 * HOUR)),
    ],
)
def test_the_pauses_grow_as_documented(attempts: int, delay: float) -> None:
    assert after_failure(outcome_of(500), attempts, 30, 0) == Retry(delay)


def test_the_pauses_vary_a_little() -> None:
    assert after_failure(outcome_of(500), 1, 30, 0.5) == Retry(10.5)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, "UndeliverableDueToHttpBadRequest"),
        (401, "UndeliverableDueToHttpUnauthorized"),
        (403, "UndeliverableDueToHttpForbidden"),
        (413, "UndeliverableDueToHttpPayloadTooLarge"),
    ],
)
def test_what_a_repetition_cannot_cure_is_not_repeated(status: int, reason: str) -> None:
    assert after_failure(outcome_of(status), 1, 30, 0) == GiveUp(reason)


@pytest.mark.parametrize(
    "outcome",
    [*map(outcome_of, (302, 402, 404, 409, 410, 429, 500, 502, 504, 299)), TIMED_OUT, SOCKET_ERROR, RESOLUTION_ERROR],
)
def test_everything_else_is_tried_again(outcome: Outcome) -> None:
    assert isinstance(after_failure(outcome, 1, 30, 0), Retry)


@pytest.mark.parametrize(("status", "delay"), [(503, 30), (408, 120)])
def test_a_busy_endpoint_gets_more_time(status: int, delay: float) -> None:
    assert after_failure(outcome_of(status), 1, 30, 0) == Retry(delay)
    assert after_failure(outcome_of(status), 4, 30, 0) == Retry(300)


@pytest.mark.parametrize("most", [1, 5, 30])
def test_the_last_attempt_that_the_subscription_allows_is_the_end(most: int) -> None:
    assert after_failure(SOCKET_ERROR, most, most, 0) == GiveUp("MaxDeliveryAttemptsExceeded")
    assert most == 1 or isinstance(after_failure(SOCKET_ERROR, most - 1, most, 0), Retry)


@pytest.mark.parametrize("status", [200, 201, 202, 203, 204])
def test_five_answers_acknowledge(status: int) -> None:
    assert outcome_of(status) == Outcome(status, "Delivered")
    assert outcome_of(status).delivered


@pytest.mark.parametrize("status", [206, 207, 301, 400, 500])
def test_no_other_answer_acknowledges(status: int) -> None:
    assert not outcome_of(status).delivered


@pytest.mark.parametrize(
    ("status", "name"),
    [(401, "Unauthorized"), (404, "NotFound"), (408, "TimedOut"), (429, "Busy"), (503, "Busy"), (299, "GenericError")],
)
def test_an_answer_has_event_grids_name(status: int, name: str) -> None:
    assert outcome_of(status).name == name


@pytest.mark.parametrize(("outcome", "seconds"), [(SOCKET_ERROR, 30), (outcome_of(404), 300), (outcome_of(503), 10)])
def test_ten_failures_in_a_row_put_an_endpoint_on_probation(outcome: Outcome, seconds: float) -> None:
    probation = Probation(scale=0.5)

    begun = [probation.note(outcome, NOW) for _ in range(11)]

    assert begun == [False] * 9 + [True, False]
    assert probation.until == NOW + seconds * 0.5


def test_a_failure_after_a_probation_begins_another_and_a_success_ends_it() -> None:
    probation = Probation(scale=1)
    for _ in range(10):
        probation.note(SOCKET_ERROR, NOW)

    assert probation.note(SOCKET_ERROR, NOW + 31)
    assert probation.until == NOW + 61
    assert not probation.note(outcome_of(200), NOW + 62)
    assert not any(probation.note(SOCKET_ERROR, NOW + 63) for _ in range(9))
