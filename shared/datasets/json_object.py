"""Read a small JSON object that people write by hand: strictly, and naming all mistakes at once."""

from __future__ import annotations

import difflib
import json
import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MAX_BYTES = 64 * 1024
MAX_DEPTH = 8
MAX_PARAMETER_CHARACTERS = 1_000
_MAX_INTEGER = 2**53
"""JSON readers that keep numbers as doubles agree up to here (RFC 8259, section 6)."""
_SHOWN_CHARACTERS = 60
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)


class _DuplicateKey(ValueError):
    pass


def parse_json_object(data: bytes, problems: list[str]) -> Mapping[str, object]:
    """An empty object when it can not be read; the reason is then among the `problems`."""
    try:
        found = _load(data)
    except _DuplicateKey as error:
        problems.append(f"the key {error} stands there twice")
    except json.JSONDecodeError as error:
        problems.append(f"not JSON at line {error.lineno}, column {error.colno}: {error.msg}")
    except UnicodeDecodeError as error:
        problems.append(f"byte {error.start + 1} is not UTF-8")
    except ValueError as error:
        problems.append(str(error))
    else:
        if isinstance(found, dict):
            return found
        problems.append("the file must hold one JSON object")
    return {}


def _load(data: bytes) -> object:
    if len(data) > MAX_BYTES:
        raise ValueError(f"the file has {len(data)} bytes, at most {MAX_BYTES} are allowed")
    text = data.decode("utf-8-sig")
    if _depth(text) > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    return json.loads(
        text,
        object_pairs_hook=_unique_keys,
        parse_constant=_refuse_constant,
        parse_int=_bounded_integer,
    )


def _depth(text: str) -> int:
    """Of brackets outside strings; found before parsing, because the parser recurses."""
    depth = deepest = 0
    for character in _STRING.sub("", text):
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise _DuplicateKey(shown(key))
        found[key] = value
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _bounded_integer(digits: str) -> int:
    if len(digits) > len(str(_MAX_INTEGER)) + 1 or abs(int(digits)) > _MAX_INTEGER:
        raise ValueError("a number has too many digits")
    return int(digits)


def shown(name: str) -> str:
    """A name from an untrusted file for a message: ASCII, quoted, cut."""
    return ascii(name if len(name) <= _SHOWN_CHARACTERS else name[:_SHOWN_CHARACTERS] + "...")


class StrictObject:
    """Takes known keys out of an object; what is left at the end is unknown. Null counts as absent.

    Wrong values are added to `problems` with their path, and read as absent.
    """

    def __init__(self, values: Mapping[str, object], path: str, problems: list[str]) -> None:
        self._values = values
        self._path = path
        self._problems = problems
        self._known: list[str] = []

    def text(self, key: str, *, pattern: str, form: str) -> str | None:
        value = self._take(key)
        if value is None:
            return None
        if isinstance(value, str) and re.fullmatch(pattern, value, re.ASCII):
            return value
        self._wrong(key, form, value)
        return None

    def checked(self, key: str, *, form: str, check: Callable[[str], object]) -> str | None:
        """Text that `check` takes; what its ValueError says is the reason why not."""
        value = self._take(key)
        if value is None:
            return None
        if not isinstance(value, str):
            self._wrong(key, form, value)
            return None
        try:
            check(value)
        except ValueError as error:
            self._problems.append(f"{self._path}{key}: {error}")
            return None
        return value

    def integer(self, key: str, *, minimum: int, maximum: int) -> int | None:
        value = self._take(key)
        if value is None:
            return None
        if isinstance(value, int) and not isinstance(value, bool) and minimum <= value <= maximum:
            return value
        self._wrong(key, f"an integer from {minimum} to {maximum}", value)
        return None

    def number(self, key: str, *, above: float, maximum: float) -> float | None:
        value = self._take(key)
        if value is None:
            return None
        if isinstance(value, int | float) and not isinstance(value, bool) and above < value <= maximum:
            return float(value)
        self._wrong(key, f"a number above {above:g} and at most {maximum:g}", value)
        return None

    def texts(self, key: str, *, max_items: int, max_characters: int) -> tuple[str, ...]:
        value = self._take(key)
        if value is None:
            return ()
        if not isinstance(value, list) or len(value) > max_items:
            self._wrong(key, f"a list of at most {max_items} strings", value)
            return ()
        texts: list[str] = []
        for index, item in enumerate(value):
            if isinstance(item, str) and item.strip() and len(item) <= max_characters and _encodable(item):
                texts.append(item)
            else:
                self._wrong(f"{key}[{index}]", f"a string of 1 to {max_characters} characters", item)
        return tuple(texts)

    def scalars(self, key: str) -> dict[str, str | int | float | bool]:
        value = self._take(key)
        if value is None:
            return {}
        if not isinstance(value, dict):
            self._wrong(key, "an object", value)
            return {}
        scalars: dict[str, str | int | float | bool] = {}
        for name, item in value.items():
            if _is_scalar(item) and _encodable(name):
                scalars[name] = item
            else:
                wanted = f"a number, true, false or a string of at most {MAX_PARAMETER_CHARACTERS} characters"
                self._wrong(f"{key}.{shown(name)}", wanted, item)
        return scalars

    def nested(self, key: str) -> StrictObject:
        value = self._take(key)
        if value is not None and not isinstance(value, dict):
            self._wrong(key, "an object", value)
        values = value if isinstance(value, dict) else {}
        return StrictObject(values, f"{self._path}{key}.", self._problems)

    def refuse_unknown(self) -> None:
        for key in self._values:
            if key not in self._known:
                hint = closest(key, self._known)
                self._problems.append(f"unknown key {shown(self._path + key)}{hint}")

    def _take(self, key: str) -> object:
        self._known.append(key)
        return self._values.get(key)

    def _wrong(self, key: str, wanted: str, value: object) -> None:
        self._problems.append(f"{self._path}{key} must be {wanted}, not {_described(value)}")


def closest(name: str, known: Sequence[str]) -> str:
    """A hint to append, or nothing when no known name is near."""
    near = difflib.get_close_matches(name[:_SHOWN_CHARACTERS].lower(), known, n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _is_scalar(value: object) -> bool:
    match value:
        case str():
            return len(value) <= MAX_PARAMETER_CHARACTERS and _encodable(value)
        case float():
            return math.isfinite(value)
        case _:
            return isinstance(value, bool | int)


def _encodable(text: str) -> bool:
    """JSON can spell half a surrogate pair; UTF-8 can not."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _described(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool() | int() | float():
            return json.dumps(value)
        case str():
            return f"the string {shown(value)}"
        case list():
            return f"a list of {len(value)}"
        case _:
            return "an object"
