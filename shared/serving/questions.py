"""The questions of a smoke test: put to the new deployment and to the live one side by side, and what was answered."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from shared.serving.scoring import Answer

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class Question:
    """`sample` counts from 0; `live` is the question to the deployment that is live."""

    sample: int
    live: bool


@dataclass(frozen=True)
class Answered:
    question: Question
    at: datetime
    """When it was sent."""
    answer: Answer = field(repr=False)


@dataclass(frozen=True)
class Answers:
    """All answers of one try so far."""

    attempt: int
    given: tuple[Answered, ...] = ()

    def to_json(self) -> bytes:
        """Half a surrogate pair in an answer has no UTF-8 form, but the JSON escape that it came from."""
        body = {"attempt": self.attempt, "given": msgspec.to_builtins(self.given)}
        return json.dumps(body, ensure_ascii=False).encode("utf-8", "backslashreplace")

    @staticmethod
    def parse(content: bytes | None, attempt: int) -> Answers:
        """Those of another try do not count, nor what can not be read: it is asked again."""
        try:
            found = msgspec.convert(json.loads(content or b"{}"), Answers)
        except (ValueError, RecursionError):
            return Answers(attempt)
        return found if found.attempt == attempt else Answers(attempt)

    def to(self, question: Question) -> Answer | None:
        return next((item.answer for item in self.given if item.question == question), None)

    def missing(self, samples: int, *, side_by_side: bool) -> list[Question]:
        """In the order in which they are asked: pairs, so that what is cut off is cut off for both."""
        sides = (False, True) if side_by_side else (False,)
        wanted = [Question(number, live) for number in range(samples) for live in sides]
        return [question for question in wanted if self.to(question) is None]

    def and_also(self, more: Iterable[Answered]) -> Answers:
        return Answers(self.attempt, (*self.given, *more))
