"""The documents that lie beside a tuning, read for the page; tolerant of what an older release wrote."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

import msgspec

from shared.dashboard.views import SmokeSample, SmokeTest, SplitFigures, Validation
from shared.serving.smoke_report import SampleReport, SmokeReport

_Document = TypeVar("_Document")


class _Lengths(msgspec.Struct):
    median: int = 0
    p95: int = 0
    longest: int = 0


class _Split(msgspec.Struct):
    rows: int = 0
    estimated_tokens: int = 0
    lengths: _Lengths = msgspec.field(default_factory=_Lengths)
    error_counts: dict[str, int] = {}
    warning_counts: dict[str, int] = {}


class _Problem(msgspec.Struct):
    subject: str = ""
    reason: str = ""


class _Report(msgspec.Struct):
    valid: bool
    problems: list[_Problem] = []
    splits: dict[str, _Split] = {}


class SweptEndpoint(msgspec.Struct):
    name: str = ""
    reason: str = ""
    idle_since: datetime | None = None
    deletes_at: datetime | None = None


class Swept(msgspec.Struct):
    """The last idle sweep."""

    at: datetime
    endpoints: list[SweptEndpoint] = []


# Made at import, which one thread does: see shared/lifecycle/ledger.py.
_REPORT = msgspec.json.Decoder(_Report)

_SWEPT = msgspec.json.Decoder(Swept)

_LONGEST_TEXT = 4000
"""Characters of a message that the page shows; an answer from outside may be of any length."""


def validation(report: bytes | None) -> Validation | None:
    found = _decoded(report, _REPORT)
    if found is None:
        return None
    splits = [
        SplitFigures(
            name,
            split.rows,
            split.estimated_tokens,
            split.lengths.median,
            split.lengths.p95,
            split.lengths.longest,
            sum(split.error_counts.values()),
            sum(split.warning_counts.values()),
        )
        for name, split in found.splits.items()
    ]
    problems = tuple(f"{problem.subject}: {problem.reason}" for problem in found.problems)
    return Validation(found.valid, problems, tuple(splits))


def smoke_test(result: bytes | None) -> SmokeTest | None:
    if result is None:
        return None
    try:
        found = SmokeReport.parse(result)
    except (msgspec.MsgspecError, ValueError):
        return None
    return SmokeTest(found.passed, found.detail, found.at, tuple(_sample(sample) for sample in found.samples))


def swept(report: bytes | None) -> Swept | None:
    return _decoded(report, _SWEPT)


def _sample(sample: SampleReport) -> SmokeSample:
    said = [(message.get("role", ""), _shortened(message.get("content", ""))) for message in sample.question]
    question = said.pop()[1] if said else ""
    return SmokeSample(
        before=tuple(said),
        question=question,
        answer=_shortened(sample.answer.text or ""),
        faults=sample.answer.faults,
        live=_shortened(sample.live.text or "") if sample.live else "",
        truth=_shortened(sample.truth or ""),
    )


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]} … ({len(text):,} characters)"


def _decoded(document: bytes | None, decoder: msgspec.json.Decoder[_Document]) -> _Document | None:
    if document is None:
        return None
    try:
        return decoder.decode(document)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
