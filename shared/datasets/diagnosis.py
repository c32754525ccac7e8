"""The rules for one row, spelled out: finds the fault of a line, or that it is valid after all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from shared.datasets.malformed import explain_malformed
from shared.datasets.rows import PLAIN_ROLES, CheckedMessage, CheckedRow
from shared.datasets.turns import Fault, find_turn_fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.datasets.limits import SplitRules

_ROLE_HINTS = {
    "human": " (rename human to user)",
    "gpt": " (rename gpt to assistant)",
    "bot": " (rename bot to assistant)",
    "model": " (rename model to assistant)",
    "tool": " (tool messages need the column tools in the same row)",
}
_OTHER_FORMATS = {
    "conversations": Fault(
        "sharegpt",
        "this is the ShareGPT format: rename conversations to messages and, in each message, from to role "
        "(human to user, gpt to assistant) and value to content",
    ),
    "completion": Fault(
        "missing_messages",
        "messages is missing: turn prompt and completion into a user and an assistant message",
    ),
    "instruction": Fault(
        "missing_messages",
        "messages is missing: turn instruction and output into a user and an assistant message",
    ),
}

# float_hook: numbers out of a double's range are no fault of a column that nobody reads.
_decode = msgspec.json.Decoder(float_hook=float).decode


def diagnose(line: bytes, rules: SplitRules) -> Fault | CheckedRow:
    """The first fault of the line in reading order, or the row when there is none."""
    try:
        row = _decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return explain_malformed(line)
    if not isinstance(row, dict):
        return Fault("not_an_object", f"the line is {_kind(row)}; write one object per line")
    if "messages" not in row:
        return _missing_messages(row)
    messages = row["messages"]
    if not isinstance(messages, list):
        return Fault("messages_not_a_list", f"messages is {_kind(messages)}, not a list")
    with_tools = row.get("tools") is not None
    checked: list[CheckedMessage] = []
    for index, message in enumerate(messages):
        found = _check_message(message, f"messages[{index}]", with_tools=with_tools)
        if isinstance(found, Fault):
            return found
        checked.append(found)
    fault = (
        find_turn_fault([message.role for message in checked], rules)
        or _check_targets(checked, rules)
        or _check_texts(row)
    )
    if fault:
        return fault
    return CheckedRow(
        checked,
        prompt=row.get("prompt", msgspec.UNSET),
        prompt_id=row.get("prompt_id", msgspec.UNSET),
        calls=_calls(messages) if with_tools else "",
    )


def _missing_messages(row: dict[str, object]) -> Fault:
    for column, fault in _OTHER_FORMATS.items():
        if column in row:
            return fault
    return Fault("missing_messages", "messages is missing")


def _check_message(message: object, place: str, *, with_tools: bool) -> Fault | CheckedMessage:
    if not isinstance(message, dict):
        return Fault("message_not_an_object", f"{place} is {_kind(message)}, not an object")
    if "role" not in message:
        hint = " (rename from to role and value to content)" if "from" in message else ""
        return Fault("missing_role", f"{place}.role is missing{hint}")
    role = message["role"]
    allowed = (*PLAIN_ROLES, "tool") if with_tools else PLAIN_ROLES
    if not isinstance(role, str):
        return Fault("unknown_role", f"{place}.role is {_kind(role)}, not one of {', '.join(allowed)}")
    if role not in allowed:
        return Fault("unknown_role", f"{place}.role is not one of {', '.join(allowed)}{_ROLE_HINTS.get(role, '')}")
    if with_tools and (role == "tool" or (role == "assistant" and message.get("tool_calls"))):
        return _check_tool_content(message, place, role)
    return _check_content(message, place, role)


def _check_content(message: dict[str, object], place: str, role: str) -> Fault | CheckedMessage:
    if "content" not in message:
        return Fault("missing_content", f"{place}.content is missing")
    content = message["content"]
    if content is None:
        return Fault("null_content", f"{place}.content is null")
    if not isinstance(content, str):
        return Fault("content_not_text", f"{place}.content is {_kind(content)}, not a string")
    if not content:
        return Fault("empty_content", f"{place}.content is empty")
    return CheckedMessage(role, content)


def _check_tool_content(message: dict[str, object], place: str, role: str) -> Fault | CheckedMessage:
    """A call of a tool needs no words, and a tool may have nothing to say."""
    content = message.get("content")
    if content is None and role == "assistant":
        return CheckedMessage(role, "")
    if not isinstance(content, str):
        return Fault("content_not_text", f"{place}.content is {_kind(content)}, not a string")
    return CheckedMessage(role, content)


def _check_targets(messages: Sequence[CheckedMessage], rules: SplitRules) -> Fault | None:
    """What the assistant says is what is learnt: white space is learnt as well."""
    if not rules.ends_with_assistant:
        return None
    for index, message in enumerate(messages):
        if message.role == "assistant" and message.content.isspace():
            return Fault("blank_target", f"messages[{index}].content is only white space, and the model would learn it")
    return None


def _calls(messages: Sequence[dict[str, object]]) -> str:
    return repr([message.get("tool_calls") for message in messages])


def _check_texts(row: dict[str, object]) -> Fault | None:
    for column, kind in (("prompt", "bad_prompt"), ("prompt_id", "bad_prompt_id")):
        if column in row and not isinstance(row[column], str):
            return Fault(kind, f"{column} is {_kind(row[column])}, not a string")
    return None


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list"
        case _:
            return "an object"
