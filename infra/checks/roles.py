"""Role assignments: each says which call needs it, and that call is there; no role is declared for nothing."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from infra.checks.templates import Template

_ASSIGNMENT = "Microsoft.Authorization/roleAssignments"
_CALL = re.compile(r"\b((?:\w+/)+\w+\.py):([\w.]+)")
_SERVICES = ("the Functions host", "Event Grid", "Azure Machine Learning", "the Logic App")
_BROAD = frozenset({"owner", "contributor", "userAccessAdministrator"})


def problems(found: Sequence[Template], roles_file: Path, root: Path) -> Iterator[str]:
    declared = json.loads(roles_file.read_text())
    used: set[str] = set()
    for template in found:
        for resource in template.resources:
            if resource.type != _ASSIGNMENT:
                continue
            place = f"{template.name}: {resource.symbol}"
            roles = set(re.findall(r"'operand_1': 'roles', 'operand_2': '(\w+)'", repr(resource.body["properties"])))
            used |= roles
            for role in sorted(roles - set(declared)):
                yield f"{place}: {roles_file.name} has no {role}"
            if len(roles) != 1:
                yield f"{place}: its role is none of {roles_file.name}"
            if not roles <= set(re.findall(r"'operand_2': '(\w+)'", repr(resource.body["name"]))):
                yield f"{place}: its name does not follow from its role"
            yield from (f"{place}: {problem}" for problem in _reason(resource.body["properties"], root))
    for role in sorted(set(declared) - used):
        yield f"{roles_file.name}: nobody has the role {role}"
    for role in sorted(_BROAD & set(declared)):
        yield f"{roles_file.name}: {role} may do more than anything here needs"


def _reason(properties: dict[str, object], root: Path) -> Iterator[str]:
    description = str(properties.get("description", ""))
    calls = _CALL.findall(description)
    if not calls and not any(service in description for service in _SERVICES):
        yield "does not say which call needs it"
    for path, symbol in calls:
        file = root / path
        if not file.is_file() or not _defines(ast.parse(file.read_text()), symbol.split(".")):
            yield f"there is no {path}:{symbol}"


def _defines(tree: ast.AST, names: list[str]) -> bool:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.name == names[0]:
            return len(names) == 1 or _defines(node, names[1:])
    return False
