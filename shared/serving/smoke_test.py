"""Whether an answer is good enough to go live, and what is kept of the test."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from shared.serving.sample import Sample
    from shared.serving.scoring import Answer


@dataclass(frozen=True)
class SmokeVerdict:
    """`detail` names expectations by key and index, never the contents of the answer or of an expectation."""

    passed: bool
    detail: str


@dataclass(frozen=True)
class Expectations:
    """What `smoke` in tuning.json may ask for. Texts are compared without case, lengths without outer space."""

    max_latency_seconds: float | None = None
    must_contain: tuple[str, ...] = ()
    must_not_contain: tuple[str, ...] = ()
    min_characters: int = 0

    @staticmethod
    def parse(raw: Mapping[str, Any]) -> Expectations:
        """Raises ValueError that names the key. Keys that mean nothing here are ignored."""
        latency = raw.get("max_latency_seconds")
        if latency is not None and not (_is_number(latency) and latency > 0):
            raise ValueError("smoke.max_latency_seconds must be a number above 0")
        characters = raw.get("min_characters", 0)
        if not isinstance(characters, int) or isinstance(characters, bool) or characters < 0:
            raise ValueError("smoke.min_characters must be a whole number, at least 0")
        return Expectations(latency, _texts(raw, "must_contain"), _texts(raw, "must_not_contain"), characters)


def judge(answer: Answer, expectations: Mapping[str, Any], max_latency_seconds: float) -> SmokeVerdict:
    """Pass a 2xx answer with some text in time that meets the expectations; `max_latency_seconds` is the default.

    Expectations that can not be read fail the test: a check that its author wanted is not skipped in silence.
    """
    try:
        expected = Expectations.parse(expectations)
    except ValueError as error:
        return SmokeVerdict(False, str(error))
    if not 200 <= answer.status < 300 or answer.text is None:
        return SmokeVerdict(False, answer.problem or f"HTTP {answer.status}")
    if not answer.text.strip():
        return SmokeVerdict(False, "the answer is empty")
    limit = max_latency_seconds if expected.max_latency_seconds is None else expected.max_latency_seconds
    faults = _faults(answer, answer.text.strip(), expected, limit)
    if faults:
        return SmokeVerdict(False, "; ".join(faults))
    return SmokeVerdict(True, f"answered in {answer.latency_seconds:.2f} s")


def smoke_document(sample: Sample, answer: Answer, verdict: SmokeVerdict, at: datetime) -> bytes:
    """The test as JSON, with question and answer: for the tuning's folder, not for a log."""
    document = {
        "at": at.isoformat(),
        "passed": verdict.passed,
        "detail": verdict.detail,
        "status": answer.status,
        "latency_seconds": round(answer.latency_seconds, 3),
        "prompt": [dict(message) for message in sample.messages],
        "answer": answer.text,
        "ground_truth": sample.ground_truth,
    }
    # Half a surrogate pair has no UTF-8 form; backslashreplace makes it the JSON escape that it came from.
    return json.dumps(document, ensure_ascii=False, indent=1).encode("utf-8", "backslashreplace")


def _faults(answer: Answer, text: str, expected: Expectations, limit: float) -> list[str]:
    faults = []
    folded = text.casefold()
    if answer.latency_seconds > limit:
        faults.append(f"max_latency_seconds: took {answer.latency_seconds:.2f} s of at most {limit:g} s")
    for index, wanted in enumerate(expected.must_contain):
        if wanted.casefold() not in folded:
            faults.append(f"must_contain[{index}] is not in the answer")
    for index, unwanted in enumerate(expected.must_not_contain):
        if unwanted.casefold() in folded:
            faults.append(f"must_not_contain[{index}] is in the answer")
    if len(text) < expected.min_characters:
        faults.append(f"min_characters: {len(text)} of at least {expected.min_characters}")
    return faults


def _texts(raw: Mapping[str, Any], key: str) -> tuple[str, ...]:
    texts = raw.get(key, ())
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) and text for text in texts):
        raise ValueError(f"smoke.{key} must be a list of texts")
    return tuple(texts)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
