"""The page of a smoke test: everything that comes from outside is text, and nothing but text."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

from shared.serving.smoke_page import to_page
from shared.serving.smoke_report import AnswerReport, Figures, SampleReport, SmokeReport

NASTY = "<script>alert(1)</script>\"'&<img src=x onerror=y> \ud83d"
REPORT = SmokeReport(
    tuning="chats-v2-12345678",
    deployment="t-12345678",
    at=datetime(2026, 11, 22, 12, tzinfo=UTC),
    attempt=2,
    passed=True,
    detail="2 of 2 answers good",
    figures=Figures(2, 1, 0.5, 1.25, 0.41, 0.5),
    samples=(
        SampleReport(
            question=({"role": "user", "content": "A table?"},),
            truth="With pleasure.",
            answer=AnswerReport(200, "Gladly.", 0.5, (), 0.4, False),
            live=AnswerReport(503, None, 0.1, ("HTTP 503",)),
        ),
        SampleReport(
            question=({"role": "user", "content": "Two?"},),
            truth=None,
            answer=AnswerReport(200, "Yes.", 1.25, ("min_characters: 4 of at least 5",)),
        ),
    ),
    live_tuning="chats-v1-87654321",
    live=Figures(1, 1, 0.1, 0.1),
    eval_loss=0.527,
)


class Parsed(HTMLParser):
    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_question_truth_old_and_new_answer_stand_side_by_side() -> None:
    parsed = Parsed(to_page(REPORT))

    for text in ("A table?", "With pleasure.", "HTTP 503", "Gladly.", "0.50 s, ROUGE-L 0.40", "1.25 s", "0.410", "50%"):
        assert text in parsed.texts, text
    assert [text for text in parsed.texts if text in ("In the data", "Live", "New")] == [
        *("New", "Live"),
        *("In the data", "Live", "New"),
        "New",
    ]
    assert "Evaluation loss of the job: 0.5270" in parsed.texts
    assert parsed.open == []


def test_strings_from_outside_are_escaped() -> None:
    answer = AnswerReport(200, NASTY, 1, (NASTY,), 0.1, True)
    sample = SampleReport(({"role": NASTY, "content": NASTY},), NASTY, answer, answer)
    report = replace(REPORT, tuning=NASTY, detail=NASTY, deployment=NASTY, live_tuning=NASTY, samples=(sample,))

    parsed = Parsed(to_page(report))

    assert "script" not in parsed.tags
    assert "img" not in parsed.tags
    assert parsed.open == []


def test_a_very_long_answer_is_cut() -> None:
    answer = AnswerReport(200, "x" * 1_000_000, 1)
    page = to_page(replace(REPORT, samples=(SampleReport((), None, answer),)))

    assert len(page) < 20_000
