"""Every container, queue and table that the code opens is declared, and the code opens none by a name of its own."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

from infra.checks.templates import Template, unquoted
from shared import names

_OPENS = frozenset({"get_container_client", "get_blob_client", "get_queue_client", "get_table_client"})
_KINDS = {"containers": names.CONTAINERS, "queues": names.QUEUES, "tables": names.TABLES}


def problems(storage: Template, code: Path) -> Iterator[str]:
    """`storage` is the template with the variables `containers`, `queues` and `tables`."""
    for kind, wanted in _KINDS.items():
        declared = unquoted(storage.variables[kind]["value"])
        for name in wanted:
            if name not in declared:
                yield f"{storage.name}: {kind}: {name} of shared/names.py is missing"
        if kind != "containers":
            for name in sorted(set(declared) - set(wanted)):
                yield f"{storage.name}: {kind}: the code opens no {name}"
    yield from _constants(vars(names))
    for file in sorted(code.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and _opened(node) in _OPENS:
                literals = [item.value for item in node.args if isinstance(item, ast.Constant)]
                for literal in literals:
                    yield f"{file.name}:{node.lineno}: opens {literal!r}; name it in shared/names.py"


def _constants(module: Mapping[str, object]) -> Iterator[str]:
    """A name of a queue or table that is in none of the lists would be declared nowhere."""
    for constant, value in module.items():
        for ending, kind in (("_TABLE", "tables"), ("_QUEUE", "queues")):
            listed = value in _KINDS[kind] or constant == "BLOB_TRIGGER_QUEUE"
            if constant.endswith(ending) and not listed:
                yield f"shared/names.py: {constant} is not among the {kind}"


def _opened(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""
