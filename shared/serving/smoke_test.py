"""Whether a deployment's answers are good enough to go live: pure, over what was asked and answered."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from shared.datasets.promotion import SmokeExpectations
from shared.errors import PermanentError
from shared.serving.loops import looping_share
from shared.serving.similarity import is_exact, rouge_l, words
from shared.serving.smoke_report import AnswerReport, Figures, SampleReport

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from shared.serving.questions import Answers
    from shared.serving.sample import Sample
    from shared.serving.scoring import Answer

DEFAULT_MAX_REPETITION = 0.5
_PROVING_ANSWERS = 3
"""So many questions at least, before one answer to all of them is a fault that nobody asked to be found."""
_SHOWN_FAULTS = 3


@dataclass(frozen=True)
class Verdict:
    """`detail` names samples by number and expectations by key, never contents."""

    passed: bool
    detail: str
    figures: Figures
    live: Figures | None
    """The same of the live deployment; None if there was none to ask."""
    samples: tuple[SampleReport, ...]


def read_expectations(raw: Mapping[str, Any]) -> SmokeExpectations:
    """Raises PermanentError: a check that its author wanted is not skipped in silence."""
    try:
        return msgspec.convert(dict(raw), SmokeExpectations)
    except msgspec.ValidationError as error:
        raise PermanentError("InvalidExpectations", f"the smoke expectations can not be read: {error}") from error


def judge(
    samples: Sequence[Sample], answers: Answers, expected: SmokeExpectations, *, max_latency_seconds: float
) -> Verdict:
    """`max_latency_seconds` counts where the expectations name none. What the live deployment answers fails nothing."""
    limit = expected.max_latency_seconds or max_latency_seconds
    rows = [_sample(number, sample, answers, expected, limit) for number, sample in enumerate(samples)]
    own = figures([row.answer for row in rows])
    live = [row.live for row in rows if row.live is not None]
    live_figures = figures(live) if live else None
    faults = [*_failures(rows, expected), *_of_all(rows, own, expected)]
    if expected.not_worse_than_live is not None:
        faults += _worse_than_live(rows, expected.not_worse_than_live)
    detail = "; ".join(faults) or summary(own, live_figures)
    return Verdict(not faults, detail, own, live_figures, tuple(rows))


def figures(answers: Sequence[AnswerReport]) -> Figures:
    similar = [answer.rouge_l for answer in answers if answer.rouge_l is not None]
    exact = [answer.exact_match for answer in answers if answer.exact_match is not None]
    return Figures(
        answers=len(answers),
        failures=sum(bool(answer.faults) for answer in answers),
        latency_p50_seconds=percentile([answer.latency_seconds for answer in answers], 0.5),
        latency_p95_seconds=percentile([answer.latency_seconds for answer in answers], 0.95),
        rouge_l=_mean(similar),
        exact_match=_mean([float(match) for match in exact]),
    )


def summary(own: Figures, live: Figures | None) -> str:
    """One line for people."""
    parts = [f"{own.answers - own.failures} of {own.answers} answers good", f"p95 {own.latency_p95_seconds:.2f} s"]
    if own.rouge_l is not None:
        beside = f" (live {live.rouge_l:.2f})" if live is not None and live.rouge_l is not None else ""
        parts.append(f"ROUGE-L {own.rouge_l:.2f}{beside}")
    return ", ".join(parts)


def percentile(values: Sequence[float], share: float) -> float:
    """By nearest rank; 0 of nothing."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)] if ranked else 0.0


def _sample(number: int, sample: Sample, answers: Answers, expected: SmokeExpectations, limit: float) -> SampleReport:
    from shared.serving.questions import Question

    given, live = answers.to(Question(number, live=False)), answers.to(Question(number, live=True))
    assert given is not None, "all questions were asked"
    return SampleReport(
        question=tuple(dict(message) for message in sample.messages),
        truth=sample.ground_truth,
        answer=_report(given, sample, _faults(given, expected, limit)),
        live=None if live is None else _report(live, sample, _problem(live)),
    )


def _report(answer: Answer, sample: Sample, faults: tuple[str, ...]) -> AnswerReport:
    truth, text = sample.ground_truth, answer.text
    comparable = truth is not None and not answer.problem
    return AnswerReport(
        status=answer.status,
        text=text,
        latency_seconds=round(answer.latency_seconds, 3),
        faults=faults,
        rouge_l=round(rouge_l(text or "", truth or ""), 4) if comparable else None,
        exact_match=is_exact(text or "", truth or "") if comparable else None,
    )


def _problem(answer: Answer) -> tuple[str, ...]:
    if not 200 <= answer.status < 300 or answer.text is None:
        return (answer.problem or f"HTTP {answer.status}",)
    return () if answer.text.strip() else ("the answer is empty",)


def _faults(answer: Answer, expected: SmokeExpectations, limit: float) -> tuple[str, ...]:
    problem = _problem(answer)
    if problem:
        return problem
    text = (answer.text or "").strip()
    folded, faults = text.casefold(), []
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
    share, most = looping_share(text), expected.max_repetition or DEFAULT_MAX_REPETITION
    if share > most:
        faults.append(f"max_repetition: one phrase over and over is {share:.0%} of it, at most {most:.0%} may be")
    return tuple(faults)


def _failures(rows: Sequence[SampleReport], expected: SmokeExpectations) -> list[str]:
    """More answers that fall short than allowed, or not one that does not."""
    failed = [(number, row.answer.faults) for number, row in enumerate(rows, 1) if row.answer.faults]
    allowed = min(expected.max_failures or 0, len(rows) - 1)
    if len(failed) <= allowed:
        return []
    told = [f"sample {number}: {', '.join(faults)}" for number, faults in failed[:_SHOWN_FAULTS]]
    more = f"; and {len(failed) - _SHOWN_FAULTS} more" if len(failed) > _SHOWN_FAULTS else ""
    return [f"{len(failed)} of {len(rows)} answers fell short, {allowed} may: {'; '.join(told)}{more}"]


def _of_all(rows: Sequence[SampleReport], own: Figures, expected: SmokeExpectations) -> list[str]:
    faults = []
    slowest = expected.max_latency_p95_seconds
    if slowest is not None and own.latency_p95_seconds > slowest:
        faults.append(f"max_latency_p95_seconds: {own.latency_p95_seconds:.2f} s of at most {slowest:g} s")
    repeated, different = repeated_answers(rows)
    most = expected.max_repeated_answers
    if most is None:
        most = different - 2 if different >= _PROVING_ANSWERS else different
    if repeated > most:
        faults.append(f"max_repeated_answers: {repeated} of {len(rows)} answers repeat that to another question")
    gates = (("min_rouge_l", own.rouge_l, expected.min_rouge_l),)
    for key, value, at_least in (*gates, ("min_exact_match", own.exact_match, expected.min_exact_match)):
        if at_least is not None and value is None:
            faults.append(f"{key}: no answer could be compared with one in the data")
        elif at_least is not None and value is not None and value < at_least:
            faults.append(f"{key}: {value:.2f} of at least {at_least:g}")
    return faults


def repeated_answers(rows: Sequence[SampleReport]) -> tuple[int, int]:
    """How many answers are that to an earlier, different question; and how many questions are different.

    Where the data answers two questions alike, they count as one.
    """
    first: dict[str, SampleReport] = {}
    asked: set[str] = set()
    repeated = 0
    for row in rows:
        asked.add(_same(row.truth) if row.truth else repr(row.question))
        if row.answer.text is None or not row.answer.text.strip():
            continue
        earlier = first.setdefault(_same(row.answer.text), row)
        alike = row.truth is not None and earlier.truth is not None and _same(row.truth) == _same(earlier.truth)
        repeated += earlier is not row and earlier.question != row.question and not alike
    return repeated, len(asked)


def _worse_than_live(rows: Sequence[SampleReport], margin: float) -> list[str]:
    """Over the samples that both answered: where the live one failed there is nothing to be worse than."""
    pairs = [
        (row.answer.rouge_l, row.live.rouge_l)
        for row in rows
        if row.live is not None and row.live.rouge_l is not None and row.answer.rouge_l is not None
    ]
    if not pairs:
        return []
    new, live = (sum(side) / len(pairs) for side in zip(*pairs, strict=True))
    if new >= live - margin:
        return []
    return [f"not_worse_than_live: ROUGE-L {new:.2f}, live {live:.2f}, {margin:g} less may be"]


def _same(text: str) -> str:
    return " ".join(words(text)) or text.strip()


def _mean(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), 4) if values else None
