"""One row of the test data as a question, with the answer that it holds, if any."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from shared.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

_ROLES = ("system", "user", "assistant")
"""What a chat endpoint takes: a conversation with tools is a question up to the first call only."""


@dataclass(frozen=True)
class Sample:
    """`messages` is what is sent, `role` and `content` only; it ends with a user's turn.

    `ground_truth` is None where the row itself ends with the user's turn, as in ultrachat's test_gen.
    """

    messages: tuple[Mapping[str, str], ...] = field(repr=False)
    ground_truth: str | None = field(repr=False)


def draw_sample(lines: bytes, *, seed: int) -> Sample:
    """Draw one usable row of a few JSON Lines; the same lines and seed give the same row.

    Raises PermanentError (NoSample) if no row begins with a plain conversation.
    """
    frame = _read(lines)
    if "messages" not in frame:
        raise PermanentError("NoSample", "no sample row has messages")
    samples = frame["messages"].map(to_sample).dropna()
    if samples.empty:
        raise PermanentError("NoSample", "no sample row begins with a user's turn in plain text")
    drawn: Sample = samples.sample(n=1, random_state=seed % 2**32).iloc[0]
    return drawn


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


def _read(lines: bytes) -> pd.DataFrame:
    """Columns stay what the JSON says: pandas is not to guess numbers or dates in them."""
    import pandas as pd

    try:
        return pd.read_json(io.BytesIO(lines), lines=True, dtype=False)
    except ValueError:
        # Valid rows that the reader of pandas refuses: integers beyond 64 bits, a byte order mark.
        return pd.DataFrame(_decode(lines))


def _decode(lines: bytes) -> list[Any]:
    try:
        return [json.loads(line) for line in lines.decode("utf-8-sig").split("\n") if line.strip()]
    except ValueError as error:
        raise PermanentError("NoSample", "the sample rows are no JSON Lines") from error
