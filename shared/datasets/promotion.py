"""What `tuning.json` says about the way from a new deployment to a live one: the smoke test and the canary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.datasets.json_object import StrictObject

MAX_SCORING_SECONDS = 180.0
"""Managed online endpoints end a scoring request after at most 180 s (request_timeout_ms)."""
MAX_SAMPLES = 50
MAX_CANARY_PERCENT = 50
MAX_CANARY_MINUTES = 24 * 60.0

_MAX_PHRASES = 20
_MAX_PHRASE_CHARACTERS = 200
_MAX_EXPECTED_CHARACTERS = 10_000
_MAX_LOSS = 1000.0


@dataclass(frozen=True, slots=True)
class SmokeExpectations:
    """What the answers of the smoke test must be like. Phrases are compared without regard to case.

    Up to `min_characters` and `max_repetition` each answer by itself, of which `max_failures` may fall short; the rest
    is about all of them. Without a number of their own, samples and latency are the app's.
    """

    max_latency_seconds: float | None = None
    must_contain: tuple[str, ...] = ()
    must_not_contain: tuple[str, ...] = ()
    min_characters: int | None = None
    max_repetition: float | None = None
    """The share of an answer that one phrase, said over and over, may fill; 1: any."""
    samples: int | None = None
    max_failures: int | None = None
    max_latency_p95_seconds: float | None = None
    max_repeated_answers: int | None = None
    """How many answers may be the same as the one to another question."""
    min_rouge_l: float | None = None
    min_exact_match: float | None = None
    not_worse_than_live: float | None = None
    """By how much the mean ROUGE-L may be below that of the live deployment."""
    max_eval_loss: float | None = None


@dataclass(frozen=True, slots=True)
class CanarySettings:
    """How a share of the traffic is tried first; what is None comes from the app's settings, 0 percent: not at all."""

    percent: int | None = None
    minutes: float | None = None
    max_error_rate: float | None = None
    max_latency_p95_seconds: float | None = None
    min_requests: int | None = None


def parse_canary(canary: StrictObject) -> CanarySettings:
    return CanarySettings(
        percent=canary.integer("percent", minimum=0, maximum=MAX_CANARY_PERCENT),
        minutes=canary.number("minutes", above=0, maximum=MAX_CANARY_MINUTES),
        max_error_rate=canary.number("max_error_rate", above=0, maximum=1),
        max_latency_p95_seconds=canary.number("max_latency_p95_seconds", above=0, maximum=MAX_SCORING_SECONDS),
        min_requests=canary.integer("min_requests", minimum=1, maximum=1_000_000),
    )


def parse_smoke(smoke: StrictObject) -> SmokeExpectations:
    return SmokeExpectations(
        max_latency_seconds=smoke.number("max_latency_seconds", above=0, maximum=MAX_SCORING_SECONDS),
        must_contain=_phrases(smoke, "must_contain"),
        must_not_contain=_phrases(smoke, "must_not_contain"),
        min_characters=smoke.integer("min_characters", minimum=1, maximum=_MAX_EXPECTED_CHARACTERS),
        max_repetition=smoke.number("max_repetition", above=0, maximum=1),
        samples=smoke.integer("samples", minimum=1, maximum=MAX_SAMPLES),
        max_failures=smoke.integer("max_failures", minimum=0, maximum=MAX_SAMPLES),
        max_latency_p95_seconds=smoke.number("max_latency_p95_seconds", above=0, maximum=MAX_SCORING_SECONDS),
        max_repeated_answers=smoke.integer("max_repeated_answers", minimum=0, maximum=MAX_SAMPLES),
        min_rouge_l=smoke.number("min_rouge_l", above=0, maximum=1),
        min_exact_match=smoke.number("min_exact_match", above=0, maximum=1),
        not_worse_than_live=smoke.number("not_worse_than_live", above=0, maximum=1),
        max_eval_loss=smoke.number("max_eval_loss", above=0, maximum=_MAX_LOSS),
    )


def contradictions(smoke: SmokeExpectations) -> list[str]:
    return [
        f"smoke.must_contain[{wanted_at}] contains smoke.must_not_contain[{unwanted_at}]: no answer can pass"
        for wanted_at, wanted in enumerate(smoke.must_contain)
        for unwanted_at, unwanted in enumerate(smoke.must_not_contain)
        if unwanted.casefold() in wanted.casefold()
    ]


def _phrases(smoke: StrictObject, key: str) -> tuple[str, ...]:
    return smoke.texts(key, max_items=_MAX_PHRASES, max_characters=_MAX_PHRASE_CHARACTERS)
