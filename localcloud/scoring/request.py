"""The request body of Azure ML's chat models, in both forms that are in use.

The model card sends the messages of one conversation, the sample notebooks send a list of conversations::

    {"input_data": {"input_string": [{"role": "user", "content": "..."}], "parameters": {...}}}
    {"input_data": {"input_string": [[{"role": "user", "content": "..."}]], "parameters": {...}}, "params": {}}
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from localcloud.scoring.generation import Sampling

MAX_NEW_TOKENS = 4096


class BadRequestError(Exception):
    """The body is not a scoring request. The message says what is missing or wrong."""


@dataclass(frozen=True)
class Message:
    role: str
    content: str


@dataclass(frozen=True)
class ScoringRequest:
    conversations: tuple[tuple[Message, ...], ...]
    sampling: Sampling


def parse(body: bytes) -> ScoringRequest:
    """Raises BadRequestError."""
    try:
        request = json.loads(body)
    except ValueError as error:
        raise BadRequestError(f"The body is not JSON: {error}.") from error
    data = request.get("input_data") if isinstance(request, dict) else None
    if not isinstance(data, dict):
        raise BadRequestError("The body must be an object with the object 'input_data'.")
    given = data.get("input_string")
    if not isinstance(given, list) or not given:
        raise BadRequestError("'input_data.input_string' must be a list of messages, or of conversations.")
    conversations = given if isinstance(given[0], list) else [given]
    return ScoringRequest(
        conversations=tuple(_conversation(conversation) for conversation in conversations),
        sampling=_sampling(data.get("parameters")),
    )


def _conversation(given: object) -> tuple[Message, ...]:
    if not isinstance(given, list) or not given:
        raise BadRequestError("Every conversation must be a list of messages that is not empty.")
    return tuple(_message(message) for message in given)


def _message(given: object) -> Message:
    if not isinstance(given, dict):
        raise BadRequestError("Every message must be an object with 'role' and 'content'.")
    role, content = given.get("role"), given.get("content")
    if not isinstance(role, str) or not isinstance(content, str):
        raise BadRequestError("Every message must have the texts 'role' and 'content'.")
    return Message(role, content)


def _sampling(given: object) -> Sampling:
    """Unknown parameters are ignored, as the service does."""
    if given is None:
        return Sampling()
    if not isinstance(given, dict):
        raise BadRequestError("'input_data.parameters' must be an object.")
    checked = {name: _checked(name, given[name]) for name in _BOUNDS if given.get(name) is not None}
    return Sampling(**checked)  # type: ignore[arg-type]  # each value was checked against its field's type


def _checked(name: str, value: object) -> float | bool:
    is_fine, expected = _BOUNDS[name]
    if not is_fine(value):
        raise BadRequestError(f"Parameter '{name}' must be {expected}, not {json.dumps(value)}.")
    assert isinstance(value, bool | int | float)
    return value


def _is_number(value: object, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _is_integer(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_boolean(value: object) -> bool:
    return isinstance(value, bool)


_BOUNDS: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "temperature": (lambda value: _is_number(value, 0.0, 100.0), "a number from 0 to 100"),
    "top_p": (lambda value: _is_number(value, 0.0, 1.0), "a number from 0 to 1"),
    "top_k": (lambda value: _is_integer(value, 0, 1_000_000), "an integer, 0 or more"),
    "max_new_tokens": (
        lambda value: _is_integer(value, 1, MAX_NEW_TOKENS),
        f"an integer from 1 to {MAX_NEW_TOKENS}",
    ),
    "do_sample": (_is_boolean, "true or false"),
    "return_full_text": (_is_boolean, "true or false"),
    "ignore_eos": (_is_boolean, "true or false"),
}


def answer(conversations: Sequence[tuple[Message, ...]], outputs: Sequence[str]) -> object:
    """One conversation is answered by {"output": text} in either form, several by a list of these."""
    answers = [{"output": output} for output in outputs]
    return answers[0] if len(conversations) == 1 else answers
