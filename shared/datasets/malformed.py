"""Name what is wrong with a line that is not JSON, without quoting it."""

from __future__ import annotations

import json

from shared.datasets.turns import Fault


class _NotJsonNumber(ValueError):
    """NaN and Infinity, which Python reads but JSON does not know."""


def explain_malformed(line: bytes) -> Fault:
    """For a line that the strict decoder refused. Columns in reasons count characters from 1."""
    if not line.strip():
        return Fault("blank_line", "the line is blank; delete it")
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        return Fault("bad_utf8", f"byte {error.start + 1} of the line is not UTF-8; save the file as UTF-8")
    try:
        json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        return _syntax_fault(text, error)
    except _NotJsonNumber:
        return Fault("not_json", "NaN and Infinity are not JSON; write null or leave the column out")
    except RecursionError:
        return Fault("too_deep", "the objects or lists are nested too deeply")
    except ValueError:
        return Fault("not_json", "a number has too many digits")
    return Fault("lone_surrogate", r"half of a surrogate pair (\ud800 to \udfff) is not a character")


def _refuse_constant(_: str) -> None:
    raise _NotJsonNumber


def _syntax_fault(text: str, error: json.JSONDecodeError) -> Fault:
    """Python's messages are stable (json.decoder); the strict decoder's are not made to be told apart."""
    where = f"at column {error.pos + 1}"
    message = error.msg
    if message.startswith("Invalid control character"):
        return Fault("control_character", rf"a raw control character {where}; escape it, for example \n")
    if message.startswith(("Invalid \\escape", "Invalid \\uXXXX escape")):
        return Fault("bad_escape", f"a wrong escape sequence {where}")
    rest = text[error.pos :].strip()
    if message == "Extra data":
        if rest == ",":
            return Fault("trailing_comma", f"a comma after the object {where}; JSON Lines has none between lines")
        if rest.startswith(("{", "[")):
            return Fault("two_objects", f"a second object begins {where}; write one object per line")
        return Fault("not_json", f"more text after the end of the object {where}")
    if message.startswith("Unterminated string") or not rest:
        return Fault("truncated", "the line ends in the middle of the object; write one whole object per line")
    if _follows_comma(text, error.pos):
        return Fault("trailing_comma", f"a comma without anything after it {where}")
    return Fault("not_json", f"not JSON from column {error.pos + 1} on")


def _follows_comma(text: str, position: int) -> bool:
    """Python reports either the comma or what comes after it, by version."""
    before = text[: position + 1].rstrip("]} \t\r")
    after = text[len(before) :].strip()
    return before.endswith(",") and after.startswith(("}", "]"))
