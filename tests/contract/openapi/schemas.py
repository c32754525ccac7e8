"""Translates OpenAPI 2.0 schemas with Azure's extensions to JSON Schema 2020-12, strictly: what is unknown is wrong.

The extensions: https://azure.github.io/autorest/extensions/
"""

from __future__ import annotations

import datetime as dt
import json
import re
import uuid
from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry
from referencing.jsonschema import DRAFT202012

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jsonschema import ValidationError
    from referencing import Resource

    from tests.contract.openapi.documents import Documents, Schema

Direction = Literal["request", "response"]
_SHOWN = 100
_DIRECTIONS: tuple[Direction, ...] = ("request", "response")
_DEFINITIONS = "/definitions/"
_KEPT = frozenset(
    {
        *("type", "required", "uniqueItems"),
        *("pattern", "minLength", "maxLength", "minItems", "maxItems", "minimum", "maximum", "multipleOf"),
    }
)
_FORMATS = FormatChecker(formats=())
_DURATION = re.compile(r"^P(?=.)(\d+Y)?(\d+M)?(\d+W)?(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?$")


@_FORMATS.checks("date-time", raises=ValueError)
def _is_time(value: object) -> bool:
    """RFC 3339; Azure writes seven digits of a second."""
    return not isinstance(value, str) or dt.datetime.fromisoformat(value).tzinfo is not None


@_FORMATS.checks("uuid", raises=ValueError)
def _is_uuid(value: object) -> bool:
    return not isinstance(value, str) or bool(uuid.UUID(value))


@_FORMATS.checks("duration")
def _is_duration(value: object) -> bool:
    return not isinstance(value, str) or _DURATION.match(value) is not None


class Schemas:
    """Every definition has two forms: `any` where something points at it, `own` where another extends it."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._children: defaultdict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
        for file, name, schema in self._definitions():
            for parent in schema.get("allOf", ()):
                if "$ref" in parent:
                    self._children[documents.absolute(file, parent["$ref"])].append((file, _DEFINITIONS + name))
        resources = [self._resource(file, direction) for file in documents.by_file for direction in _DIRECTIONS]
        self._registry: Registry[Any] = Registry().with_resources(resources)
        self._validator = cache(self._new_validator)

    def errors(self, schema: Mapping[str, Any], file: str, direction: Direction, value: object) -> Iterator[str]:
        """`path: what is wrong` for each deviation of `value`."""
        translated = json.dumps(self._translate(schema, file, direction), sort_keys=True)
        for error in self._validator(translated).iter_errors(value):
            for leaf in _leaves(error):
                where = f"/{'/'.join(map(str, leaf.absolute_path))}"
                if "propertyNames" in leaf.absolute_schema_path:
                    yield f"{where}: unknown property {leaf.instance}"
                else:
                    yield f"{where}: {_shortened(leaf.message)}"

    def _new_validator(self, schema: str) -> Draft202012Validator:
        return Draft202012Validator(json.loads(schema), registry=self._registry, format_checker=_FORMATS)

    def _definitions(self) -> Iterator[tuple[str, str, Schema]]:
        for file, document in self._documents.by_file.items():
            for name, schema in document.get("definitions", {}).items():
                yield file, name, schema

    def _resource(self, file: str, direction: Direction) -> tuple[str, Resource[Any]]:
        definitions = self._documents.by_file[file].get("definitions", {})
        content = {
            "any": {name: self._pointed_at(file, name, direction) for name in definitions},
            "own": {name: self._translate(schema, file, direction) for name, schema in definitions.items()},
        }
        return f"urn:{direction}:{file}", DRAFT202012.create_resource(content)

    @staticmethod
    def _reference(form: Literal["any", "own"], target: tuple[str, str], direction: Direction) -> Schema:
        file, pointer = target
        return {"$ref": f"urn:{direction}:{file}#/{form}/{pointer.removeprefix(_DEFINITIONS)}"}

    def _pointed_at(self, file: str, name: str, direction: Direction) -> Schema:
        """Chooses among what extends the definition, by its discriminator."""
        schema = self._documents.by_file[file]["definitions"][name]
        key = (file, _DEFINITIONS + name)
        form = self._closed(key, direction)
        discriminator = schema.get("discriminator")
        variants = dict(self._variants(key)) if discriminator else {}
        if variants:
            itself = _discriminated(schema, name)
            chosen = {**variants, itself: key}
            form = {
                "required": [discriminator],
                "properties": {discriminator: {"enum": sorted(chosen)}},
                "allOf": [
                    {
                        "if": {"properties": {discriminator: {"const": value}}, "required": [discriminator]},
                        "then": self._closed(variant, direction),
                    }
                    for value, variant in chosen.items()
                ],
            }
        return _or_null(form) if schema.get("x-nullable") else form

    def _closed(self, key: tuple[str, str], direction: Direction) -> Schema:
        """The definition itself, with no other properties than its own and those of what it extends."""
        file, pointer = key
        form = self._reference("own", key, direction)
        schema = self._documents.by_file[file]["definitions"][pointer.removeprefix(_DEFINITIONS)]
        names = self._property_names(file, schema) if "properties" in schema or "allOf" in schema else None
        return form if names is None else {**form, "propertyNames": {"enum": sorted(names)}}

    def _property_names(self, file: str, schema: Mapping[str, Any]) -> frozenset[str] | None:
        """None: any. JSON Schema's unevaluatedProperties would take what has a wrong value for unknown."""
        if schema.get("additionalProperties"):
            return None
        names = frozenset(schema.get("properties", ()))
        for parent in schema.get("allOf", ()):
            inherited = self._property_names(*self._documents.resolve(file, parent))
            if inherited is None:
                return None
            names |= inherited
        return names

    def _variants(self, key: tuple[str, str]) -> Iterator[tuple[str, tuple[str, str]]]:
        """Discriminator value and key of every definition below `key`."""
        for file, pointer in self._children[key]:
            name = pointer.removeprefix(_DEFINITIONS)
            yield _discriminated(self._documents.by_file[file]["definitions"][name], name), (file, pointer)
            yield from self._variants((file, pointer))

    def _translate(self, schema: Mapping[str, Any], file: str, direction: Direction) -> Schema:
        if "$ref" in schema:
            reference = self._reference("any", self._documents.absolute(file, schema["$ref"]), direction)
            return _or_null(reference) if schema.get("x-nullable") else reference
        translated: Schema = {name: value for name, value in schema.items() if name in _KEPT}
        if "enum" in schema:
            translated["enum"] = [*schema["enum"], *([None] if schema.get("x-nullable") else [])]
        if schema.get("format") in ("date-time", "uuid", "duration"):
            translated["format"] = schema["format"]
        if "items" in schema:
            translated["items"] = self._translate(schema["items"], file, direction)
        if isinstance(schema.get("additionalProperties"), dict):
            translated["additionalProperties"] = self._translate(schema["additionalProperties"], file, direction)
        if "properties" in schema:
            translated |= self._properties(schema, file, direction)
        if "allOf" in schema:
            translated["allOf"] = [self._parent(parent, file, direction) for parent in schema["allOf"]]
        if schema.get("x-nullable") and isinstance(translated.get("type"), str):
            translated["type"] = [translated["type"], "null"]
        return translated

    def _parent(self, parent: Mapping[str, Any], file: str, direction: Direction) -> Schema:
        if "$ref" not in parent:
            return self._translate(parent, file, direction)
        return self._reference("own", self._documents.absolute(file, parent["$ref"]), direction)

    def _properties(self, schema: Mapping[str, Any], file: str, direction: Direction) -> Schema:
        """Azure answers null for an optional property that is not set, and requires nothing that is read-only."""
        required = set(schema.get("required", ()))
        properties = {name: self._translate(item, file, direction) for name, item in schema["properties"].items()}
        if direction == "response":
            return {"properties": {n: s if n in required else _or_null(s) for n, s in properties.items()}}
        read_only = {
            name
            for name, item in schema["properties"].items()
            if item.get("readOnly") or self._documents.resolve(file, item)[1].get("readOnly")
        }
        return {"properties": properties, "required": sorted(required - read_only)}


def _discriminated(schema: Mapping[str, Any], name: str) -> str:
    return str(schema.get("x-ms-discriminator-value", name))


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [{"type": "null"}, schema]}


def _leaves(error: ValidationError) -> Iterator[ValidationError]:
    """The only alternatives are "null, or": what is wrong is what the other one says."""
    others = [inner for inner in error.context or () if inner.relative_schema_path[0] != 0]
    if not others:
        yield error
    for inner in others:
        yield from _leaves(inner)


def _shortened(message: str) -> str:
    """Its ends: the value that is wrong may be long, and what is wrong with it comes last."""
    return message if len(message) <= 2 * _SHOWN else f"{message[:_SHOWN]} … {message[-_SHOWN:]}"
