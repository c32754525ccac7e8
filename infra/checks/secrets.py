"""No secret is an output, and a key that is looked up goes into a parameter that is marked as secure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from infra.checks.templates import Template, walk

_LOOKS_LIKE_ONE = re.compile(r"key|secret|password|connectionstring|token|sas", re.IGNORECASE)
_LOOKUP = re.compile(r"list_?(keys|secrets|account_?sas|service_?sas|callback_?url)", re.IGNORECASE)


def problems(found: Sequence[Template]) -> Iterator[str]:
    by_path = {template.path.resolve(): template for template in found}
    for template in found:
        secure = {name for name, declared in template.parameters.items() if _is_secure(declared)}
        for name, output in template.outputs.items():
            told = {item for item in walk(output["value"]) if isinstance(item, str)}
            if _looks_up(output["value"]) or told & secure or _LOOKS_LIKE_ONE.search(name):
                yield f"{template.name}: the output {name} is a secret"
        for name, variable in template.variables.items():
            if _looks_up(variable["value"]):
                yield f"{template.name}: {name} keeps a secret"
        for resource in template.resources:
            if not resource.existing and _looks_up(resource.body):
                yield f"{template.name}: {resource.symbol} looks up a key; pass it as a secure parameter"
        for module in template.modules:
            target = by_path.get(module.path.resolve())
            for name, value in module.params.items():
                told = {item for item in walk(value) if isinstance(item, str)}
                kept = target is None or _is_secure(target.parameters.get(name, {}))
                if (_looks_up(value) or told & secure) and not kept:
                    yield f"{template.name}: {module.symbol}: {name} takes a secret and is not marked as secure"


def _is_secure(declared: object) -> bool:
    decorators = declared.get("decorators", []) if isinstance(declared, dict) else []
    return any("secure" in repr(decorator) for decorator in decorators)


def _looks_up(value: object) -> bool:
    return _LOOKUP.search(repr(value)) is not None
