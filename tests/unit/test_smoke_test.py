from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.serving.sample import Sample
from shared.serving.scoring import Answer
from shared.serving.smoke_test import judge, smoke_document

GOOD = Answer(200, "Paris is the Capital.", 1.5, "")


@pytest.mark.parametrize(
    "expectations",
    [
        {},
        {"max_latency_seconds": 1.5},
        {"max_latency_seconds": None, "min_characters": None},
        {"must_contain": ["paris", "CAPITAL"]},
        {"must_not_contain": ["London"]},
        {"min_characters": 21},
        {"must_contain": [], "must_not_contain": [], "min_characters": 0},
    ],
)
def test_an_answer_that_meets_the_expectations_passes(expectations: dict[str, Any]) -> None:
    verdict = judge(GOOD, expectations, 60)

    assert verdict.passed
    assert verdict.detail == "answered in 1.50 s"


@pytest.mark.parametrize(
    ("answer", "expectations", "detail"),
    [
        (Answer(0, None, 5, "no complete answer within 5 s"), {}, "no complete answer within 5 s"),
        (Answer(500, None, 1, "HTTP 500"), {}, "HTTP 500"),
        (Answer(302, "text", 1, ""), {}, "HTTP 302"),
        (Answer(200, None, 1, "the answer holds no generated text"), {}, "the answer holds no generated text"),
        (Answer(200, "", 1, ""), {}, "the answer is empty"),
        (Answer(200, " \n\t", 1, ""), {}, "the answer is empty"),
        (Answer(200, "text", 60.1, ""), {}, "max_latency_seconds: took 60.10 s of at most 60 s"),
        (GOOD, {"max_latency_seconds": 1}, "max_latency_seconds: took 1.50 s of at most 1 s"),
        (GOOD, {"must_contain": ["Paris", "Rome"]}, "must_contain[1] is not in the answer"),
        (GOOD, {"must_not_contain": ["x", "CAPITAL"]}, "must_not_contain[1] is in the answer"),
        (GOOD, {"min_characters": 22}, "min_characters: 21 of at least 22"),
        (
            GOOD,
            {"must_contain": ["Rome"], "min_characters": 100},
            "must_contain[0] is not in the answer; min_characters: 21 of at least 100",
        ),
    ],
)
def test_an_answer_that_falls_short_fails_and_says_where(
    answer: Answer, expectations: dict[str, Any], detail: str
) -> None:
    verdict = judge(answer, expectations, 60)

    assert not verdict.passed
    assert verdict.detail == detail


def test_tuning_json_may_allow_a_slower_answer_than_the_app() -> None:
    assert judge(Answer(200, "text", 90, ""), {"max_latency_seconds": 100}, 60).passed


@pytest.mark.parametrize(
    "expectations",
    [{"must_contain": "Paris"}, {"must_contain": [1]}, {"max_latency_seconds": "fast"}, {"min_characters": 1.5}],
)
def test_expectations_that_can_not_be_read_fail_the_test(expectations: dict[str, Any]) -> None:
    verdict = judge(GOOD, expectations, 60)

    assert not verdict.passed
    assert next(iter(expectations)) in verdict.detail


def test_the_detail_quotes_neither_the_answer_nor_the_expectations() -> None:
    verdict = judge(GOOD, {"must_contain": ["secret"], "must_not_contain": ["paris"]}, 60)

    assert "secret" not in verdict.detail
    assert "aris" not in verdict.detail


def test_the_document_keeps_question_answer_and_ground_truth() -> None:
    at = datetime(2026, 11, 22, 12, tzinfo=UTC)
    sample = Sample(({"role": "user", "content": "Où?"},), "Là.")

    document = smoke_document(sample, GOOD, judge(GOOD, {}, 60), at)

    assert "Où?" in document.decode()
    assert json.loads(document) == {
        "at": "2026-11-22T12:00:00+00:00",
        "passed": True,
        "detail": "answered in 1.50 s",
        "status": 200,
        "latency_seconds": 1.5,
        "prompt": [{"role": "user", "content": "Où?"}],
        "answer": "Paris is the Capital.",
        "ground_truth": "Là.",
    }


def test_a_document_of_half_a_surrogate_pair_is_still_json() -> None:
    answer = Answer(200, "broken \ud83d", 1, "")
    sample = Sample(({"role": "user", "content": "?"},), None)

    document = smoke_document(sample, answer, judge(answer, {}, 60), datetime(2026, 11, 22, tzinfo=UTC))

    assert json.loads(document)["answer"] == "broken \ud83d"
