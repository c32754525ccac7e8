"""One declared input of a pipeline component, and how a value becomes what it accepts."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

LITERAL_TYPES = ("string", "integer", "number", "boolean")
"""Inputs of other types are paths to data or models."""

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?", re.ASCII)
_MAX_SHOWN_ENUM = 20


class CoercionError(ValueError):
    """The value does not fit the input; the message says what would."""


@dataclass(frozen=True, slots=True)
class ComponentInput:
    """As the component version declares it. Bounds are inclusive."""

    name: str
    type: str
    optional: bool
    default: str | None
    enum: tuple[str, ...] | None
    minimum: float | None
    maximum: float | None

    @property
    def is_literal(self) -> bool:
        return self.type in LITERAL_TYPES

    @property
    def form(self) -> str:
        """For messages: "an integer of at least 1"."""
        if self.enum:
            return f"one of {', '.join(self.enum[:_MAX_SHOWN_ENUM])}"
        noun = {"integer": "an integer", "number": "a number", "boolean": "true or false"}.get(
            self.type, f"a {self.type}"
        )
        if self.minimum is not None and self.maximum is not None:
            return f"{noun} from {self.minimum:g} to {self.maximum:g}"
        if self.minimum is not None:
            return f"{noun} of at least {self.minimum:g}"
        if self.maximum is not None:
            return f"{noun} of at most {self.maximum:g}"
        return noun


def coerce(declared: ComponentInput, value: object) -> str:
    """The literal to submit. Accepts the other spellings of the same value (16 and "16", True and "true").

    Raises CoercionError when the value can not mean anything that the input accepts.
    """
    literal = _typed(declared, value)
    if literal is None or not _within(declared, literal):
        raise CoercionError(f"must be {declared.form}")
    if declared.enum is None:
        return literal
    matches = [item for item in declared.enum if item.casefold() == literal.casefold()]
    if not matches:
        raise CoercionError(f"must be {declared.form}")
    return literal if literal in matches else matches[0]


def _typed(declared: ComponentInput, value: object) -> str | None:
    match declared.type:
        case "integer":
            integer = _integer(value)
            return None if integer is None else str(integer)
        case "number":
            number = _number(value)
            return None if number is None else repr(number)
        case "boolean":
            text = _text(value)
            return text.lower() if text is not None and text.lower() in ("true", "false") else None
        case "string":
            return _text(value)
        case _:
            return None


def _within(declared: ComponentInput, literal: str) -> bool:
    if declared.type not in ("integer", "number"):
        return True
    number = float(literal)
    too_small = declared.minimum is not None and number < declared.minimum
    too_large = declared.maximum is not None and number > declared.maximum
    return not (too_small or too_large)


def _integer(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if abs(value) < 10**18 else None
    if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
        return int(value)
    number = _number(value)
    return int(number) if number is not None and number.is_integer() and abs(number) < 2**53 else None


def _number(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int) and abs(value) < 10**18:
        return float(value)
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    return value if isinstance(value, float) and math.isfinite(value) else None


def _text(value: object) -> str | None:
    match value:
        case bool():
            return "true" if value else "false"
        case int() if abs(value) < 10**18:
            return str(value)
        case float() if math.isfinite(value):
            return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
        case str() if value.isprintable():
            return value.strip() or None
        case _:
            return None
