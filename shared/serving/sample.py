"""Rows of the test data as questions, with the answers that they hold, if any."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import takewhile
from random import Random
from typing import TYPE_CHECKING, Any, Protocol

from shared.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Mapping

_ROLES = ("system", "user", "assistant")
"""What a chat endpoint takes: a conversation with tools is a question up to the first call only."""
_MORE_TRIES = 20


class Lines(Protocol):
    """JSON Lines of which single ones can be read, by number from 0."""

    def count(self) -> int: ...

    def read(self, number: int) -> bytes: ...


@dataclass(frozen=True)
class Sample:
    """`messages` is what is sent, `role` and `content` only; it ends with a user's turn.

    `ground_truth` is None where the row itself ends with the user's turn, as in ultrachat's test_gen.
    """

    messages: tuple[Mapping[str, str], ...] = field(repr=False)
    ground_truth: str | None = field(repr=False)


def draw_samples(lines: Lines, *, seed: int, count: int) -> list[Sample]:
    """Draw up to `count` rows uniformly, each once; the same lines, seed and count give the same rows.

    Rows that make no question are passed over, 20 more than are wanted at most. Raises PermanentError (NoSample) if
    none of them begins with a plain conversation.
    """
    rows = lines.count()
    samples: list[Sample] = []
    # Uniform, not secret: the same tuning is to be asked the same questions again.
    for number in Random(seed).sample(range(rows), min(rows, count + _MORE_TRIES)):  # noqa: S311
        sample = _sample_of(lines.read(number))
        if sample:
            samples.append(sample)
        if len(samples) == count:
            break
    if not samples:
        raise PermanentError("NoSample", "none of the rows that were drawn begins with a user's turn in plain text")
    return samples


def to_sample(messages: Any) -> Sample | None:
    """Cut a row's messages after the last user's turn that can be asked; None if there is none."""
    if not isinstance(messages, list):
        return None
    plain = takewhile(_is_plain, messages)
    turns = [{"role": message["role"], "content": message["content"]} for message in plain]
    user_turns = [index for index, turn in enumerate(turns) if turn["role"] == "user"]
    if not user_turns:
        return None
    end = user_turns[-1] + 1
    answers = [turn["content"] for turn in turns[end:] if turn["role"] == "assistant"]
    return Sample(tuple(turns[:end]), answers[-1] if answers else None)


def _is_plain(message: Any) -> bool:
    return isinstance(message, dict) and message.get("role") in _ROLES and isinstance(message.get("content"), str)


def _sample_of(line: bytes) -> Sample | None:
    try:
        row = json.loads(line.decode("utf-8-sig"))
    except ValueError:
        return None
    return to_sample(row.get("messages")) if isinstance(row, dict) else None
