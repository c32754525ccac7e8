"""Whether an answer is good enough to go live, and what is kept of the test."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from shared.datasets.tuning_file import SmokeExpectations

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


def judge(answer: Answer, expectations: Mapping[str, Any], max_latency_seconds: float) -> SmokeVerdict:
    """Pass a 2xx answer with some text, in time, that meets the expectations (`smoke` of tuning.json).

    `max_latency_seconds` counts where the expectations name none. Expectations that can not be read fail the
    test: a check that its author wanted is not skipped in silence.
    """
    try:
        expected = msgspec.convert(dict(expectations), SmokeExpectations)
    except msgspec.ValidationError as error:
        return SmokeVerdict(False, f"the smoke expectations can not be read: {error}")
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


def _faults(answer: Answer, text: str, expected: SmokeExpectations, limit: float) -> list[str]:
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
    at_least = expected.min_characters or 0
    if len(text) < at_least:
        faults.append(f"min_characters: {len(text)} of at least {at_least}")
    return faults
