"""HTML put together by functions: whatever is not `Html` already is escaped, so that no page can forget it."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import TypeAlias


class Html(str):
    """Text that is markup. Only the functions of this module make it, from names that stand in the code."""

    __slots__ = ()


Child: TypeAlias = "str | int | Iterable[Child] | None"
Value: TypeAlias = str | int | float | bool | None

_VOID = frozenset({"br", "hr", "img", "input", "link", "meta"})


def tag(name: str, /, *children: Child, **attributes: Value) -> Html:
    """`class_` is the attribute class, `data_key` is data-key; True is one without value, False and None are none."""
    opening = f"<{name}{''.join(_attribute(key, value) for key, value in attributes.items())}>"
    return Html(opening if name in _VOID else f"{opening}{join(children)}</{name}>")


def join(*children: Child) -> Html:
    return Html("".join(_parts(children)))


def document(head: Html, body: Html) -> bytes:
    # Names from outside may hold what UTF-8 can not spell.
    return f'<!doctype html><html lang="en">{head}{body}</html>'.encode(errors="replace")


def _parts(child: Child) -> Iterable[str]:
    if child is None:
        return
    if isinstance(child, Html):
        yield child
    elif isinstance(child, str | int):
        yield html.escape(str(child))
    else:
        for part in child:
            yield from _parts(part)


def _attribute(key: str, value: Value) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{html.escape(str(value))}"'
