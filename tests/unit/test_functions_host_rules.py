"""Functions that the .NET host refuses although the Python worker accepts them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from localcloud.functions.host_rules import find_errors
from localcloud.functions.metadata import Binding, FunctionMetadata

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
SETTINGS = {"C": "UseDevelopmentStorage=true", "B__blobServiceUri": "https://b"}


def trigger(kind: str, **attributes: object) -> Binding:
    return Binding("input", kind, is_output=False, attributes=attributes)


def output(kind: str, name: str = "out", **attributes: object) -> Binding:
    return Binding(name, kind, is_output=True, attributes=attributes)


QUEUE = trigger("queueTrigger", queueName="q-1", connection="C")
BLOB = trigger("blobTrigger", path="c/{name}", connection="C", source="EventGrid")


def errors(*bindings: Binding, name: str = "one", deferred: frozenset[str] = frozenset()) -> str:
    return find_errors([FunctionMetadata(name, bindings, deferred)], SETTINGS, "api", NOW).get(name, "")


@pytest.mark.parametrize(
    ("bindings", "reason"),
    [
        ((trigger("queueTrigger", queueName="%NO%", connection="C"),), "%NO%"),
        ((trigger("queueTrigger", queueName="Q_1", connection="C"),), "not a valid queue name"),
        ((trigger("queueTrigger", queueName="q-1", connection="D"),), "'D' does not exist"),
        ((trigger("queueTrigger", queueName="q-1", connection="B"),), "B__queueServiceUri"),
        ((trigger("blobTrigger", path="c/{n}", connection="C"),), "EventGrid"),
        ((trigger("blobTrigger", path="c/{n}", connection="B", source="EventGrid"),), "B__queueServiceUri"),
        ((trigger("timerTrigger", schedule="every day"),), "every day"),
        ((trigger("timerTrigger", schedule="00:05:00"),), "dedicated plan"),
        ((trigger("timerTrigger", schedule="0 0 0 30 2 *"),), "never occurs"),
        ((trigger("serviceBusTrigger"),), "not available locally"),
        ((QUEUE, output("table")), "not available locally"),
        ((QUEUE, Binding("blob", "blob", is_output=False, attributes={})), "not available locally"),
        ((QUEUE, output("queue", queueName="o-1", connection="D")), "'D' does not exist"),
        ((QUEUE, output("blob", path="c/%NO%", connection="C")), "%NO%"),
        ((QUEUE, output("queue", name="a__b", queueName="o-1", connection="C")), "a__b"),
        ((trigger("httpTrigger", route="admin/x"),), "reserved"),
        ((trigger("httpTrigger", route="{a:odd}"),), "odd"),
    ],
)
def test_a_function_in_error_says_why(bindings: tuple[Binding, ...], reason: str) -> None:
    assert reason in errors(*bindings)


@pytest.mark.parametrize(
    "bindings",
    [
        (QUEUE, output("queue", queueName="o-{name}", connection="C")),
        (BLOB, output("blob", path="c/{name}", connection="C")),
        (trigger("timerTrigger", schedule="0 */5 * * * *"),),
        (trigger("eventGridTrigger"),),
        (trigger("httpTrigger", route="a/{b:int?}"), output("http", name="$return")),
    ],
)
def test_a_good_function_has_no_error(bindings: tuple[Binding, ...]) -> None:
    assert errors(*bindings) == ""


@pytest.mark.parametrize("name", ["host", "Host", "1st", "a" * 129, "a.b"])
def test_a_function_name_must_be_one(name: str) -> None:
    assert "valid function name" in errors(QUEUE, name=name)


def test_an_sdk_type_beside_an_expression_is_a_trap_of_azure_and_refused() -> None:
    with_expression = output("queue", queueName="o-{name}", connection="C")
    deferred = frozenset({"input"})
    assert "SDK type" in errors(BLOB, with_expression, deferred=deferred)
    assert errors(BLOB, output("queue", queueName="o-1", connection="C"), deferred=deferred) == ""


def test_two_functions_cannot_share_route_and_method_and_only_the_second_is_left_out() -> None:
    def http(name: str, *methods: str) -> FunctionMetadata:
        return FunctionMetadata(name, (trigger("httpTrigger", route="same", methods=list(methods)),), frozenset())

    found = find_errors([http("one", "GET"), http("two", "POST"), http("three", "get")], {}, "api", NOW)
    assert list(found) == ["three"]
    assert "'one'" in found["three"]
