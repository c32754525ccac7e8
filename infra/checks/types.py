"""Resources held against Microsoft's type definitions: properties, required ones, literals.

The definitions are those of Azure/bicep-types-az. Stricter than the compiler, which takes any string where a list of
values may grow: here it must be one of the list.
"""

from __future__ import annotations

import difflib
import functools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from infra.checks.templates import Resource, Template, is_expression

_REQUIRED, _READ_ONLY = 1, 2
_OF_BICEP = frozenset({"parent", "scope", "dependsOn", "type", "apiVersion"})
_NO_SUCH_PROPERTY = "there is no such property"


@dataclass(frozen=True)
class Definitions:
    """One `types.json`: a list of types that refer to each other by their places in it."""

    items: list[dict[str, Any]]

    def body(self, resource: Resource) -> dict[str, Any] | None:
        wanted = f"{resource.type}@{resource.api_version}".lower()
        for item in self.items:
            if item["$type"] == "ResourceType" and item["name"].lower() == wanted:
                return self.at(item["body"])
        return None

    def at(self, reference: dict[str, Any]) -> dict[str, Any]:
        return self.items[int(reference["$ref"].rsplit("/", 1)[1])]


@functools.cache
def definitions(folder: Path, provider: str, api_version: str) -> Definitions | None:
    """None where the folder has none of this provider and version."""
    file = folder / provider.lower() / api_version / "types.json"
    return Definitions(json.loads(file.read_text())) if file.exists() else None


def problems(found: Sequence[Template], folder: Path) -> Iterator[str]:
    """A preview version without definitions is held against the stable one of its day, which lacks what is new."""
    for template in found:
        for resource in template.resources:
            judged = resource if _of(resource, folder) else _stable(resource)
            known = _of(judged, folder)
            if known is None or resource.existing:
                continue
            body = known.body(judged)
            if body is None:
                yield f"{template.name}: {resource.symbol}: there is no {resource.type}@{resource.api_version}"
                continue
            given = {key: value for key, value in resource.body.items() if key not in _OF_BICEP}
            for problem in _Judge(known, template).object(given, body, ""):
                if judged is resource or _NO_SUCH_PROPERTY not in problem:
                    yield f"{template.name}: {resource.symbol}{problem}"


def undefined(found: Sequence[Template], folder: Path) -> list[str]:
    """Types of resources of which the folder has no definitions; nothing of them can be checked."""
    return sorted(
        {
            f"{resource.type}@{resource.api_version}"
            for template in found
            for resource in template.resources
            if _of(resource, folder) is None and _of(_stable(resource), folder) is None
        }
    )


def _stable(resource: Resource) -> Resource:
    return replace(resource, api_version=resource.api_version.removesuffix("-preview"))


def _of(resource: Resource, folder: Path) -> Definitions | None:
    return definitions(folder, resource.type.split("/")[0], resource.api_version)


@dataclass(frozen=True)
class _Judge:
    known: Definitions
    template: Template

    def value(self, value: Any, kind: dict[str, Any], path: str) -> Iterator[str]:
        if value is None or is_expression(value) or (isinstance(value, str) and value in self.template.symbols):
            return
        match kind["$type"]:
            case "ObjectType" | "DiscriminatedObjectType":
                yield from self.object(value, kind, path)
            case "ArrayType":
                if not isinstance(value, list):
                    yield f"{path}: is no list"
                    return
                for place, item in enumerate(value):
                    yield from self.value(item, self.known.at(kind["itemType"]), f"{path}[{place}]")
            case "UnionType":
                yield from self._union(value, [self.known.at(element) for element in kind["elements"]], path)
            case "StringLiteralType" if value != kind["value"]:
                yield f"{path}: is {value!r}, must be {kind['value']!r}"
            case "StringType" if not isinstance(value, str):
                yield f"{path}: is no text"
            case "IntegerType" if isinstance(value, bool) or not isinstance(value, int):
                yield f"{path}: is no whole number"
            case "BooleanType" if not isinstance(value, bool):
                yield f"{path}: is neither true nor false"

    def object(self, value: Any, kind: dict[str, Any], path: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield f"{path}: is no object"
            return
        properties = dict(kind.get("properties") or kind.get("baseProperties") or {})
        if kind["$type"] == "DiscriminatedObjectType":
            which = kind["discriminator"]
            chosen = value.get(which)
            if chosen not in kind["elements"]:
                if not is_expression(chosen):
                    yield f"{path}.{which}: is {chosen!r}, must be one of {', '.join(kind['elements'])}"
                return
            properties |= self.known.at(kind["elements"][chosen])["properties"]
        rest = kind.get("additionalProperties")
        for name, item in value.items():
            if name in properties:
                if properties[name]["flags"] & _READ_ONLY and not properties[name]["flags"] & _REQUIRED:
                    yield f"{path}.{name}: can only be read"
                yield from self.value(item, self.known.at(properties[name]["type"]), f"{path}.{name}")
            elif rest is not None:
                yield from self.value(item, self.known.at(rest), f"{path}.{name}")
            elif not is_expression(name):
                close = difflib.get_close_matches(name, properties, 1)
                yield f"{path}.{name}: {_NO_SUCH_PROPERTY}" + (f"; {close[0]}?" if close else "")
        for name, declared in properties.items():
            if declared["flags"] & _REQUIRED and name not in value and name not in _OF_BICEP:
                yield f"{path}.{name}: is missing"

    def _union(self, value: Any, kinds: list[dict[str, Any]], path: str) -> Iterator[str]:
        literals = [kind["value"] for kind in kinds if kind["$type"] == "StringLiteralType"]
        if literals and isinstance(value, str):
            if value not in literals:
                yield f"{path}: is {value!r}, must be one of {', '.join(literals)}"
        elif all(any(True for _ in self.value(value, kind, path)) for kind in kinds):
            yield f"{path}: fits none of the kinds that it may be"
