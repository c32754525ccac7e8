"""The event subscriptions ask for what the functions take, the alerts look for what the code logs, the saved queries
for what it sends."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from infra.checks.templates import Template, unquoted
from shared import names
from shared.lifecycle.job_events import RUN_COMPLETED, RUN_STATUS_CHANGED

_SUBSCRIPTION = re.compile(r"Microsoft\.EventGrid/\w+/eventSubscriptions")
_DECORATOR = re.compile(r'@blueprint\.function_name\("(\w+)"\)')
_WANTED = {
    "dataset-uploaded": (
        {"Microsoft.Storage.BlobCreated"},
        f"/blobServices/default/containers/{names.DATASETS}/blobs/",
        "dataset_uploaded",
    ),
    "job-completed": ({RUN_COMPLETED, RUN_STATUS_CHANGED}, "", "job_completed"),
}
"""Types of events, beginning of the subject, function."""


def problems(found: Sequence[Template], root: Path) -> Iterator[str]:
    functions = {name for file in (root / "handlers").glob("*.py") for name in _DECORATOR.findall(file.read_text())}
    seen = set()
    for template in found:
        for resource in template.resources:
            if _SUBSCRIPTION.fullmatch(resource.type) and not resource.existing:
                seen.add(resource.body["name"])
                for problem in _subscription(resource.body, functions, found):
                    yield f"{template.name}: {resource.body['name']}: {problem}"
    yield from (f"there is no event subscription {name}" for name in sorted(set(_WANTED) - seen))
    for template in found:
        if "rules" in template.variables and any("scheduledQueryRules" in item.type for item in template.resources):
            yield from _alerts(template, functions, root)
        if "queries" in template.variables:
            yield from _queries(template, root)


def _subscription(body: dict[str, Any], functions: set[str], found: Sequence[Template]) -> Iterator[str]:
    properties = body["properties"]
    if "retryPolicy" not in properties:
        yield "it has no retry policy"
    if body["name"] not in _WANTED:
        return
    types, subject, function = _WANTED[body["name"]]
    asked = properties.get("filter", {})
    if set(asked.get("includedEventTypes", ())) != types:
        yield f"its events are not {', '.join(sorted(types))}"
    if asked.get("subjectBeginsWith", "") != subject:
        yield f"its subjects do not begin with {subject or 'anything'}"
    if "deadLetterWithResourceIdentity" not in properties:
        yield "its dead letters are lost"
    texts = " ".join([repr(properties), *(repr(module.params) for item in found for module in item.modules)])
    if function not in functions or function not in texts:
        yield f"it does not reach the function {function}"


def _alerts(template: Template, functions: set[str], root: Path) -> Iterator[str]:
    """Words in a query that nobody logs, and functions that are not there, would keep an alert silent for ever."""
    code = "".join(file.read_text() for folder in ("shared", "handlers") for file in (root / folder).rglob("*.py"))
    for rule in unquoted(template.variables["rules"]["value"]):
        query = rule["query"]
        for name in _listed(query):
            if name not in functions:
                yield f"{template.name}: {rule['name']}: there is no function {name}"
        for ending in re.findall(r'Name endswith "(\w+)"', query):
            if not any(name.endswith(ending) for name in functions):
                yield f"{template.name}: {rule['name']}: no function ends with {ending}"
        for words in re.findall(r'Message (?:startswith|has) "([^"]+)"', query):
            if words not in code:
                yield f"{template.name}: {rule['name']}: nobody logs {words!r}"


def _queries(template: Template, root: Path) -> Iterator[str]:
    """Names of metrics and attributes that nobody sends find nothing."""
    code = "".join(file.read_text() for file in (root / "shared" / "telemetry").glob("*.py"))
    for item in unquoted(template.variables["queries"]["value"]):
        for name in re.findall(r'"(droptune\.[\w.]+)"', item["query"]):
            if f'"{name}"' not in code:
                yield f"{template.name}: {item['name']}: nobody sends {name}"


def _listed(query: str) -> list[str]:
    return [name for group in re.findall(r"Name in \(([^)]*)\)", query) for name in re.findall(r'"(\w+)"', group)]
