"""Who may speak after whom in a conversation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.datasets.limits import SplitRules

START = ""
_MAY_FOLLOW = {
    START: ("system", "user"),
    "system": ("user",),
    "user": ("assistant",),
    "assistant": ("user", "tool"),
    "tool": ("tool", "assistant"),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """`reason` names places like `messages[3].role`, never contents."""

    kind: str
    reason: str


def find_turn_fault(roles: Sequence[str], rules: SplitRules) -> Fault | None:
    """The first fault in the order of the speakers; every role must be a known one."""
    if not roles:
        return Fault("empty_messages", "messages is empty")
    before = START
    for index, role in enumerate(roles):
        if role not in _MAY_FOLLOW[before]:
            return _wrong_turn(index, before, role)
        before = role
    if len(roles) < rules.min_messages:
        return Fault("too_few_messages", f"only {len(roles)} of at least {rules.min_messages} messages")
    allowed = ("assistant",) if rules.ends_with_assistant else ("assistant", "user")
    if before not in allowed:
        last = len(roles) - 1
        return Fault("wrong_last_role", f"messages[{last}].role is {before}, the last must be {' or '.join(allowed)}")
    return None


def _wrong_turn(index: int, before: str, role: str) -> Fault:
    place = f"messages[{index}].role"
    if role == "system":
        return Fault("system_not_first", f"{place} is system, which is allowed only at the beginning")
    if before in (START, "system") and role == "assistant":
        return Fault("starts_with_assistant", f"{place} is assistant, but the user must speak first")
    if role == "tool":
        return Fault("misplaced_tool", f"{place} is tool, but a tool answers only the assistant")
    if role == before:
        return Fault("repeated_role", f"{place} is {role} again; user and assistant must take turns")
    return Fault("unanswered_tool", f"{place} is {role}, but the assistant must take up what a tool said")
