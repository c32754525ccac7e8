"""Binding expressions: `{name}` in paths and queue names, and the parameters that a blob path yields.

Reference: https://learn.microsoft.com/azure/azure-functions/functions-bindings-expressions-patterns
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from localcloud.functions.typed_data import JsonText, Metadata, Text

_EXPRESSION = re.compile(r"\{([^{}]+)\}")


class UnresolvedExpressionError(Exception):
    """An output binding uses `{name}` and the trigger's binding data has no such name."""


def has_expression(text: str) -> bool:
    return _EXPRESSION.search(text) is not None


def fill(
    template: str,
    metadata: Metadata,
    new_guid: Callable[[], str] = lambda: str(uuid.uuid4()),
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> str:
    """Replace `{name}` by binding data, `{rand-guid}` and `{DateTime}`. Raises UnresolvedExpressionError."""
    values = _binding_data(metadata)

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name.lower() in ("rand-guid", "sys.randguid"):
            return new_guid()
        if name.lower() in ("datetime", "sys.utcnow"):
            return now().isoformat(timespec="seconds").replace("+00:00", "Z")
        found = values.get(name.lower())
        if found is None:
            raise UnresolvedExpressionError(f"no value for the binding expression '{match[0]}'")
        return found

    return _EXPRESSION.sub(value, template)


def _binding_data(metadata: Metadata) -> dict[str, str]:
    """Names are compared without case; `a.b` reaches into JSON objects."""
    values: dict[str, str] = {}
    for name, data in metadata.items():
        if isinstance(data, Text):
            values[name.lower()] = data.value
        elif isinstance(data, JsonText):
            _flatten(name.lower(), json.loads(data.value), values)
    return values


def _flatten(name: str, value: object, into: dict[str, str]) -> None:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _flatten(f"{name}.{str(key).lower()}", inner, into)
    elif value is not None and not isinstance(value, list):
        into[name] = value if isinstance(value, str) else json.dumps(value)


def path_parameters(pattern: str, path: str) -> dict[str, str]:
    """What `pattern` ("datasets/{name}.jsonl") binds in `path`; empty when it does not match.

    With Event Grid as the source the host does not filter by this pattern: it only yields binding data.
    """
    names: list[str] = []
    regex = ""
    end = 0
    for match in _EXPRESSION.finditer(pattern):
        names.append(match[1])
        regex += re.escape(pattern[end : match.start()]) + "(.+)"
        end = match.end()
    found = re.fullmatch(regex + re.escape(pattern[end:]), path, re.DOTALL)
    return dict(zip(names, found.groups(), strict=True)) if found else {}
