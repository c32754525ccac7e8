"""What counts as a difference between a recorded answer and ours."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.openapi.exchanges import Exchange
from tests.contract.recordings.comparison import differences


def exchange(body: Any, status: int = 200, **headers: str) -> Exchange:
    return Exchange(
        method="GET",
        url="https://cloud/things/a",
        request_headers={},
        request_body=None,
        status=status,
        response_headers={name.replace("_", "-"): value for name, value in headers.items()},
        response_body=body,
    )


def compared(recorded: Exchange, answered: Exchange) -> list[str]:
    return list(differences(recorded, answered, lambda text: text.replace("theirs", "ours")))


NOT_FOUND = {"error": {"code": "UserError", "message": "Job theirs not found.", "details": []}}


@pytest.mark.parametrize(
    ("recorded", "answered", "difference"),
    [
        ({"a": 1}, {}, "/a is missing"),
        ({}, {"a": 1}, "/a is not recorded"),
        ({"a": 1}, {"a": "1"}, "/a is text, not a number"),
        ({"a": None}, {"a": "text"}, "/a is text, not null"),
        ({"a": "2023-04-24T04:58:41Z"}, {"a": "yesterday"}, "/a is text, not a time"),
        ({"a": "PT1H"}, {"a": "1 h"}, "/a is text, not duration"),
        ({"value": [{"a": 1}]}, {"value": [{}]}, "/value/0/a is missing"),
        ({"value": [{"a": 1}]}, {"value": []}, "/value has 0 elements, not 1"),
        ({"status": "Updating"}, {"status": "Creating"}, "/status is 'Creating', not 'Updating'"),
        (
            NOT_FOUND,
            {"error": {**NOT_FOUND["error"], "message": "There is no job ours."}},
            "/error/message is 'There is no job ours.', not 'Job ours not found.'",
        ),
    ],
)
def test_another_body_is_a_difference(recorded: Any, answered: Any, difference: str) -> None:
    assert compared(exchange(recorded), exchange(answered)) == [difference]


def test_another_status_is_the_only_difference_that_is_said() -> None:
    assert compared(exchange({"a": 1}), exchange({}, 404)) == ["status 404, not 200"]


def test_headers_are_compared_by_name_but_for_those_of_the_transport() -> None:
    recorded = exchange(None, retry_after="10", content_encoding="gzip", date="x")
    answered = exchange(None, location="https://cloud/results/1", content_length="0")

    assert compared(recorded, answered) == ["header retry-after is missing", "header location is not recorded"]


def test_an_answer_with_our_names_in_place_of_the_recorded_ones_is_the_same() -> None:
    answered = {"error": {"code": "UserError", "message": "Job ours not found.", "details": []}}

    assert compared(exchange(NOT_FOUND, 404), exchange(answered, 404)) == []


def test_what_has_a_type_is_compared_by_it_in_any_order() -> None:
    recorded = [{"type": "Location", "info": 1}, {"type": "Time", "info": 2}]

    assert compared(exchange({"a": recorded}), exchange({"a": recorded[::-1]})) == []
    assert compared(exchange({"a": recorded}), exchange({"a": recorded[:1]})) == ["/a/Time is missing"]
