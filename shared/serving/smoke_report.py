"""What is kept of a smoke test: questions, answers and figures, in the tuning's folder, never in a log."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime

import msgspec


@dataclass(frozen=True)
class AnswerReport:
    """`faults` say how it falls short; `rouge_l` and `exact_match` are None where there is nothing to compare."""

    status: int
    text: str | None = field(repr=False)
    latency_seconds: float
    faults: tuple[str, ...] = ()
    rouge_l: float | None = None
    exact_match: bool | None = None


@dataclass(frozen=True)
class SampleReport:
    question: tuple[Mapping[str, str], ...] = field(repr=False)
    truth: str | None = field(repr=False)
    """The answer that the data holds, if it holds one."""
    answer: AnswerReport
    live: AnswerReport | None = None
    """What the live deployment answered."""


@dataclass(frozen=True)
class Figures:
    """Means, and percentiles by nearest rank."""

    answers: int
    failures: int
    latency_p50_seconds: float
    latency_p95_seconds: float
    rouge_l: float | None = None
    exact_match: float | None = None


@dataclass(frozen=True)
class SmokeReport:
    tuning: str
    deployment: str
    at: datetime
    attempt: int
    passed: bool
    detail: str
    figures: Figures
    samples: tuple[SampleReport, ...] = ()
    live_tuning: str = ""
    """Which tuning's deployment was asked side by side; empty: none."""
    live: Figures | None = None
    eval_loss: float | None = None
    """Of the job; None if no gate asked for it."""

    def to_json(self) -> bytes:
        # Half a surrogate pair has no UTF-8 form; backslashreplace makes it the JSON escape that it came from.
        body = {**asdict(self), "at": self.at.isoformat()}
        return json.dumps(body, ensure_ascii=False, indent=1).encode("utf-8", "backslashreplace")

    @staticmethod
    def parse(content: bytes) -> SmokeReport:
        return msgspec.convert(json.loads(content), SmokeReport)
