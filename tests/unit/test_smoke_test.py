from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.datasets.promotion import SmokeExpectations
from shared.errors import PermanentError
from shared.serving.questions import Answered, Answers, Question
from shared.serving.sample import Sample
from shared.serving.scoring import Answer
from shared.serving.smoke_report import SmokeReport
from shared.serving.smoke_test import Verdict, judge, percentile, read_expectations

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
TEXT = "Paris is the Capital."
GOOD = Answer(200, TEXT, 1.5, "")
DOWN = Answer(503, None, 0.1, "HTTP 503")


def sample(number: int, truth: str | None = None) -> Sample:
    return Sample(({"role": "user", "content": f"Question {number}?"},), truth)


def said(text: str, seconds: float = 1.0) -> Answer:
    return Answer(200, text, seconds, "")


def verdict_on(
    answers: Sequence[Answer],
    *,
    live: Sequence[Answer] = (),
    truths: Sequence[str | None] = (),
    **expected: Any,
) -> Verdict:
    samples = [sample(number, truths[number] if truths else None) for number in range(len(answers))]
    given = [Answered(Question(number, live=False), NOW, answer) for number, answer in enumerate(answers)]
    given += [Answered(Question(number, live=True), NOW, answer) for number, answer in enumerate(live)]
    return judge(samples, Answers(1, tuple(given)), SmokeExpectations(**expected), max_latency_seconds=60)


@pytest.mark.parametrize(
    "expected",
    [
        {},
        {"max_latency_seconds": 1.5},
        {"must_contain": ("paris", "CAPITAL")},
        {"must_not_contain": ("London",)},
        {"min_characters": 21},
    ],
)
def test_an_answer_that_meets_the_expectations_passes(expected: dict[str, Any]) -> None:
    verdict = verdict_on([GOOD], **expected)

    assert verdict.passed
    assert verdict.detail == "1 of 1 answers good, p95 1.50 s"


@pytest.mark.parametrize(
    ("answer", "expected", "detail"),
    [
        (Answer(0, None, 5, "no complete answer within 5 s"), {}, "no complete answer within 5 s"),
        (Answer(500, None, 1, "HTTP 500"), {}, "HTTP 500"),
        (Answer(302, "text", 1, ""), {}, "HTTP 302"),
        (Answer(200, None, 1, "the answer holds no generated text"), {}, "the answer holds no generated text"),
        (Answer(200, "", 1, ""), {}, "the answer is empty"),
        (Answer(200, " \n\t", 1, ""), {}, "the answer is empty"),
        (Answer(200, "text", 60.1, ""), {}, "max_latency_seconds: took 60.10 s of at most 60 s"),
        (GOOD, {"max_latency_seconds": 1}, "max_latency_seconds: took 1.50 s of at most 1 s"),
        (GOOD, {"must_contain": ("Paris", "Rome")}, "must_contain[1] is not in the answer"),
        (GOOD, {"must_not_contain": ("x", "CAPITAL")}, "must_not_contain[1] is in the answer"),
        (GOOD, {"min_characters": 22}, "min_characters: 21 of at least 22"),
        (
            GOOD,
            {"must_contain": ("Rome",), "min_characters": 100},
            "must_contain[0] is not in the answer, min_characters: 21 of at least 100",
        ),
        (
            said("I am sorry. " * 30),
            {},
            "max_repetition: one phrase over and over is 100% of it, at most 50% may be",
        ),
    ],
)
def test_an_answer_that_falls_short_fails_and_says_where(answer: Answer, expected: dict[str, Any], detail: str) -> None:
    verdict = verdict_on([answer], **expected)

    assert not verdict.passed
    assert verdict.detail == f"1 of 1 answers fell short, 0 may: sample 1: {detail}"


def test_tuning_json_may_allow_a_slower_answer_than_the_app() -> None:
    assert verdict_on([said("text", 90)], max_latency_seconds=100).passed


def test_tuning_json_may_allow_answers_that_go_round_in_circles() -> None:
    assert verdict_on([said("I am sorry. " * 30)], max_repetition=1).passed


def test_one_answer_of_many_that_falls_short_fails_the_test() -> None:
    verdict = verdict_on([said("a"), said("b"), DOWN, said("d"), said("e")])

    assert not verdict.passed
    assert verdict.detail == "1 of 5 answers fell short, 0 may: sample 3: HTTP 503"
    assert (verdict.figures.answers, verdict.figures.failures) == (5, 1)


def test_as_many_may_fall_short_as_are_allowed() -> None:
    assert verdict_on([said("a"), DOWN, said("c")], max_failures=1).passed
    assert not verdict_on([DOWN, DOWN, said("c")], max_failures=1).passed


def test_a_deployment_that_answers_nothing_never_passes() -> None:
    assert not verdict_on([DOWN, DOWN], max_failures=50).passed


def test_of_many_that_fall_short_three_are_told() -> None:
    detail = verdict_on([DOWN] * 5).detail

    assert detail.endswith("sample 3: HTTP 503; and 2 more")


def test_the_95th_percentile_of_the_latencies_may_have_a_limit_of_its_own() -> None:
    answers = [said("a", 1), said("b", 2), said("c", 9)]

    assert verdict_on(answers, max_latency_p95_seconds=9).passed
    assert verdict_on(answers, max_latency_p95_seconds=8).detail == "max_latency_p95_seconds: 9.00 s of at most 8 s"


def test_percentiles_are_by_nearest_rank() -> None:
    hundred = [float(number) for number in range(1, 101)]
    assert [percentile(hundred, share) for share in (0.5, 0.95, 1.0)] == [50, 95, 100]
    assert (percentile([3.0], 0.95), percentile([], 0.95)) == (3, 0)


def test_one_answer_to_every_question_fails_the_test() -> None:
    verdict = verdict_on([said("Hello!")] * 3)

    assert verdict.detail == "max_repeated_answers: 2 of 3 answers repeat that to another question"
    assert verdict_on([said("Hello!"), said("Hello!"), said("Hi!")]).passed
    assert verdict_on([said("Hello!")] * 2).passed, "two prove nothing"


def test_one_answer_to_questions_that_the_data_answers_alike_is_fine() -> None:
    assert verdict_on([said("yes")] * 4, truths=["Yes."] * 4, max_repeated_answers=0).passed
    assert not verdict_on([said("yes")] * 4, truths=["yes", "no", "no", "maybe"], max_repeated_answers=0).passed


def test_every_repeated_answer_counts_where_tuning_json_says_how_many_may_be() -> None:
    answers = [said("Hello!"), said("hello"), said("Hi!")]

    assert verdict_on(answers, max_repeated_answers=1).passed
    assert not verdict_on(answers, max_repeated_answers=0).passed


def test_likeness_to_the_answers_in_the_data_is_information() -> None:
    verdict = verdict_on([said("the cat sat"), said("no")], truths=["the cat sat on the mat", "no"])

    assert verdict.passed
    assert [row.answer.rouge_l for row in verdict.samples] == [0.6667, 1.0]
    assert [row.answer.exact_match for row in verdict.samples] == [False, True]
    assert (verdict.figures.rouge_l, verdict.figures.exact_match) == (0.8334, 0.5)
    assert verdict.detail == "2 of 2 answers good, p95 1.00 s, ROUGE-L 0.83"


def test_likeness_may_be_a_gate() -> None:
    answers, truths = [said("the cat sat"), said("no")], ["the cat sat on the mat", "no"]

    assert verdict_on(answers, truths=truths, min_rouge_l=0.8, min_exact_match=0.5).passed
    assert verdict_on(answers, truths=truths, min_rouge_l=0.9).detail == "min_rouge_l: 0.83 of at least 0.9"
    assert verdict_on(answers, truths=truths, min_exact_match=1.0).detail == "min_exact_match: 0.50 of at least 1"


def test_a_gate_that_nothing_can_be_held_against_fails_the_test() -> None:
    assert verdict_on([GOOD], min_rouge_l=0.1).detail == "min_rouge_l: no answer could be compared with one in the data"


def test_what_the_live_deployment_answers_is_shown_beside() -> None:
    verdict = verdict_on([said("no")], live=[said("yes", 3)], truths=["no"])

    assert verdict.passed
    assert verdict.live is not None
    assert (verdict.live.rouge_l, verdict.live.latency_p95_seconds) == (0, 3)
    assert verdict.detail == "1 of 1 answers good, p95 1.00 s, ROUGE-L 1.00 (live 0.00)"


@pytest.mark.parametrize("answer", [DOWN, said(""), said("I am sorry. " * 30), said("slow", 170)])
def test_what_the_live_deployment_answers_never_fails_the_new_one(answer: Answer) -> None:
    truths = ["no", "no"]
    verdict = verdict_on([said("no"), said("no")], live=[answer] * 2, truths=truths, not_worse_than_live=0.05)

    assert verdict.passed, verdict.detail


def test_the_new_one_may_not_be_worse_than_the_live_one_by_more_than_a_margin() -> None:
    answers, live, truths = [said("no it is"), said("x")], [said("no it is not"), DOWN], ["no it is not", "y"]

    assert verdict_on(answers, live=live, truths=truths, not_worse_than_live=0.2).passed
    worse = verdict_on(answers, live=live, truths=truths, not_worse_than_live=0.1)
    assert worse.detail == "not_worse_than_live: ROUGE-L 0.86, live 1.00, 0.1 less may be"


@pytest.mark.parametrize(
    "raw",
    [{"must_contain": "Paris"}, {"must_contain": [1]}, {"max_latency_seconds": "fast"}, {"min_characters": 1.5}],
)
def test_expectations_that_can_not_be_read_are_an_error(raw: dict[str, Any]) -> None:
    with pytest.raises(PermanentError, match=next(iter(raw))):
        read_expectations(raw)


def test_expectations_of_rows_that_know_less_or_nothing_are_read() -> None:
    old = {"max_latency_seconds": None, "must_contain": ["x"], "must_not_contain": [], "min_characters": None}

    assert read_expectations(old) == SmokeExpectations(must_contain=("x",))
    assert read_expectations({}) == SmokeExpectations()


def test_the_detail_quotes_neither_the_answers_nor_the_expectations() -> None:
    verdict = verdict_on([GOOD], truths=["secret truth"], must_contain=("secret",), must_not_contain=("paris",))

    assert "secret" not in verdict.detail
    assert "aris" not in verdict.detail


def report(verdict: Verdict) -> SmokeReport:
    return SmokeReport("t", "d", NOW, 1, verdict.passed, verdict.detail, verdict.figures, verdict.samples)


def test_the_report_keeps_questions_answers_and_truths() -> None:
    content = report(verdict_on([said("Là.")], live=[said("Ici.")], truths=["Là-bas."])).to_json()

    assert "Là-bas." in content.decode()
    (row,) = json.loads(content)["samples"]
    assert row["question"] == [{"role": "user", "content": "Question 0?"}]
    assert (row["truth"], row["answer"]["text"], row["live"]["text"]) == ("Là-bas.", "Là.", "Ici.")


@pytest.mark.parametrize("text", ["plain", "broken \ud83d", "nul \x00", "𝄞"])
def test_a_report_is_read_as_it_was_written(text: str) -> None:
    written = report(verdict_on([said(text)], live=[DOWN], truths=[text]))

    assert SmokeReport.parse(written.to_json()) == written


@pytest.mark.parametrize("text", ["plain", "broken \ud83d"])
def test_answers_so_far_are_read_as_they_were_written(text: str) -> None:
    answers = Answers(2, (Answered(Question(0, live=True), NOW, said(text)), Answered(Question(1, False), NOW, DOWN)))

    assert Answers.parse(answers.to_json(), 2) == answers


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b'{"attempt": 2, "given": 1}', b"[" * 100_000])
def test_answers_that_can_not_be_read_are_asked_for_again(content: bytes | None) -> None:
    assert Answers.parse(content, 2) == Answers(2)


def test_answers_of_another_try_do_not_count() -> None:
    assert Answers.parse(Answers(1, (Answered(Question(0, False), NOW, DOWN),)).to_json(), 2) == Answers(2)


def test_questions_are_asked_in_pairs_and_only_those_that_are_missing() -> None:
    answers = Answers(1, (Answered(Question(0, live=False), NOW, DOWN),))

    missing = answers.missing(2, side_by_side=True)
    assert missing == [Question(0, True), Question(1, False), Question(1, True)]
    assert answers.missing(2, side_by_side=False) == [Question(1, False)]
