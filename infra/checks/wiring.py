"""What the compiler would say about files that use each other: parameters, outputs, names that nobody uses."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from infra.checks.templates import Template, walk


def problems(found: Sequence[Template], parameters_file: Path) -> Iterator[str]:
    by_path = {template.path.resolve(): template for template in found}
    for template in found:
        yield from _modules(template, by_path)
        yield from _unused(template)
    main = by_path.get((parameters_file.parent / "main.bicep").resolve())
    if main is not None:
        given = set(json.loads(parameters_file.read_text())["parameters"])
        for name in sorted(given - set(main.parameters)):
            yield f"{parameters_file.name}: main.bicep has no parameter {name}"
        for name in sorted(_without_default(main) - given):
            yield f"{parameters_file.name}: {name} is missing"


def _modules(template: Template, by_path: Mapping[Path, Template]) -> Iterator[str]:
    outputs: dict[str, set[str]] = {}
    for module in template.modules:
        target = by_path.get(module.path.resolve())
        if target is None:
            yield f"{template.name}: {module.symbol}: there is no {module.path.name}"
            continue
        outputs[module.symbol] = set(target.outputs)
        for name in sorted(set(module.params) - set(target.parameters)):
            yield f"{template.name}: {module.symbol}: {target.name} has no parameter {name}"
        for name in sorted(_without_default(target) - set(module.params)):
            yield f"{template.name}: {module.symbol}: the parameter {name} of {target.name} is missing"
    for symbol, output in _used_outputs(template.tree):
        if symbol in outputs and output not in outputs[symbol]:
            yield f"{template.name}: {symbol} has no output {output}"


def _without_default(template: Template) -> set[str]:
    return {name for name, declared in template.parameters.items() if declared.get("default") is None}


def _used_outputs(tree: Any) -> Iterator[tuple[str, str]]:
    """From `symbol.outputs.name`; pycep nests the accesses to the right."""
    for item in walk(tree):
        match item:
            case {
                "operator": {
                    "type": "property_accessor",
                    "operands": {
                        "operand_1": str(symbol),
                        "operand_2": {"operator": {"operands": {"operand_1": "outputs", "operand_2": str(output)}}},
                    },
                }
            }:
                yield symbol, output


def _unused(template: Template) -> Iterator[str]:
    code = re.sub(r"^\s*//.*$", "", template.text, flags=re.MULTILINE)
    for name in [*template.parameters, *template.variables]:
        if len(re.findall(rf"\b{re.escape(name)}\b", code)) < 2:
            yield f"{template.name}: nobody uses {name}"
