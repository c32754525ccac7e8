"""Bicep files as values: parsed by pycep, with loops and conditions taken off the resources.

pycep gives a reference to a symbol and a string of the same letters as the same Python string; `Template.symbols` is
there to tell what may be a reference.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.checks.places import INFRA

Tree = dict[str, Any]


class UnreadableError(Exception):
    """The file is no Bicep."""


@dataclass(frozen=True)
class Resource:
    """`body` is what is between the braces, with `parent`, `scope` and `dependsOn`."""

    symbol: str
    type: str
    api_version: str
    existing: bool
    loop: Tree | None
    body: dict[str, Any]


@dataclass(frozen=True)
class Module:
    symbol: str
    path: Path
    params: dict[str, Any]


@dataclass(frozen=True)
class Template:
    path: Path
    text: str
    tree: Tree

    @property
    def name(self) -> str:
        return self.path.name if self.path.parent.name != "modules" else f"modules/{self.path.name}"

    @property
    def parameters(self) -> Tree:
        found: Tree = self.tree.get("parameters", {})
        return found

    @property
    def variables(self) -> Tree:
        found: Tree = self.tree.get("variables", {})
        return found

    @property
    def outputs(self) -> Tree:
        found: Tree = self.tree.get("outputs", {})
        return found

    @functools.cached_property
    def resources(self) -> tuple[Resource, ...]:
        found = []
        for symbol, item in self.tree.get("resources", {}).items():
            loop, body = _unwrapped(item["config"])
            found.append(Resource(symbol, item["type"], item["api_version"], bool(item["existing"]), loop, body))
        return tuple(found)

    @functools.cached_property
    def modules(self) -> tuple[Module, ...]:
        found = []
        for symbol, item in self.tree.get("modules", {}).items():
            _, body = _unwrapped(item["config"])
            found.append(Module(symbol, self.path.parent / item["detail"]["path"], body.get("params", {})))
        return tuple(found)

    @functools.cached_property
    def symbols(self) -> frozenset[str]:
        loops = [resource.loop["detail"] for resource in self.resources if resource.loop]
        items = {detail[key] for detail in loops for key in ("item_name", "index_name") if key in detail}
        names = (self.parameters, self.variables, self.tree.get("resources", {}), self.tree.get("modules", {}))
        return frozenset(items.union(*names))

    def value(self, found: Any) -> Any:
        """A reference to a variable of this file becomes what the variable is set to."""
        if isinstance(found, str) and found in self.variables:
            return unquoted(self.variables[found]["value"])
        return found


def parse(path: Path) -> Template:
    """Raises UnreadableError."""
    from lark.exceptions import LarkError
    from pycep import BicepParser

    text = path.read_text()
    try:
        return Template(path, text, BicepParser().parse(text=text))
    except LarkError as error:
        raise UnreadableError(f"{path.name}: {str(error).splitlines()[0]}") from error


@functools.cache
def templates(folder: Path = INFRA) -> tuple[Template, ...]:
    """All of a folder and of its `modules`. Raises UnreadableError."""
    return tuple(parse(path) for path in sorted([*folder.glob("*.bicep"), *folder.glob("modules/*.bicep")]))


def unquoted(value: Any) -> Any:
    """Keys that Bicep wants quoted, as they are."""
    if isinstance(value, dict):
        return {key.strip("'"): unquoted(item) for key, item in value.items()}
    if isinstance(value, list):
        return [unquoted(item) for item in value]
    return value


def is_expression(value: Any) -> bool:
    """Whether only a deployment knows what it is."""
    if isinstance(value, dict):
        return "loop_type" in value or any(_parsed(value, kind) for kind in ("operator", "function"))
    return isinstance(value, str) and "${" in value


def _parsed(value: dict[str, Any], kind: str) -> bool:
    """Whether it is what pycep makes of an operator or a function, and no object with a property of that name."""
    return value.keys() == {kind} and isinstance(value[kind], dict) and "type" in value[kind]


def walk(value: Any) -> Iterator[Any]:
    """The value and everything in it."""
    yield value
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for child in children:
        yield from walk(child)


def _unwrapped(config: Any) -> tuple[Tree | None, dict[str, Any]]:
    loop = None
    while isinstance(config, dict) and "config" in config and "condition" in config:
        loop = config.get("loop_type") or loop
        config = config["config"]
    return loop, unquoted(config)
