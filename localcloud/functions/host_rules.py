"""What the .NET host refuses although the worker accepts it. Such a function is left out, the others run.

Also refused is what this host can not do, so that nothing is missing silently.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from localcloud.functions.app_settings import UnresolvedSettingError, expand
from localcloud.functions.binding_expressions import has_expression
from localcloud.functions.connections import MissingConnectionError, Service, find_endpoint
from localcloud.functions.http_trigger import HttpEndpoint, endpoint_of
from localcloud.functions.output_bindings import SUPPORTED as SUPPORTED_OUTPUTS
from localcloud.functions.routes import RouteError
from localcloud.functions.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from localcloud.functions.metadata import Binding, FunctionMetadata

_FUNCTION_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_\-]{0,127}")
_BINDING_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9]*(_[a-zA-Z0-9]+)*|\$return")
_QUEUE_NAME = re.compile(r"(?=.{3,63}$)[a-z0-9](?:-?[a-z0-9])*")
_TRIGGERS = frozenset({"httpTrigger", "queueTrigger", "blobTrigger", "eventGridTrigger", "timerTrigger"})
_BRACES = re.compile(r"\{[^{}]*\}")


class FunctionError(Exception):
    """Why one function can not be hosted."""


def find_errors(
    functions: Iterable[FunctionMetadata], settings: Mapping[str, str], route_prefix: str, now: datetime
) -> dict[str, str]:
    """Reason by function name."""
    errors: dict[str, str] = {}
    endpoints: list[HttpEndpoint] = []
    for function in functions:
        try:
            _check_names(function)
            _check_kinds(function)
            for binding in function.bindings:
                _check_binding(function, binding, settings, now)
            if function.trigger.type == "httpTrigger":
                endpoints.append(_check_route(function, route_prefix, endpoints))
        except (FunctionError, UnresolvedSettingError, MissingConnectionError, RouteError) as error:
            errors[function.name] = str(error)
    return errors


def _check_names(function: FunctionMetadata) -> None:
    if not _FUNCTION_NAME.fullmatch(function.name) or function.name.lower() == "host":
        raise FunctionError(f"'{function.name}' is not a valid function name")
    for binding in function.bindings:
        if not _BINDING_NAME.fullmatch(binding.name):
            raise FunctionError(f"the binding name {binding.name} is invalid: letters, digits, single underscores")


def _check_kinds(function: FunctionMetadata) -> None:
    if function.trigger.type not in _TRIGGERS:
        raise FunctionError(f"the trigger {function.trigger.type} is not available locally")
    for binding in function.bindings:
        if binding.is_output and binding.type not in SUPPORTED_OUTPUTS:
            raise FunctionError(f"the output binding {binding.type} is not available locally")
        if not binding.is_output and not binding.is_trigger:
            raise FunctionError(f"the input binding {binding.type} is not available locally")


def _check_binding(function: FunctionMetadata, binding: Binding, settings: Mapping[str, str], now: datetime) -> None:
    match binding.type:
        case "queueTrigger" | "queue":
            name = expand(binding.text("queueName"), settings)
            if not _QUEUE_NAME.fullmatch(_BRACES.sub("abc", name)):
                raise FunctionError(f"'{name}' is not a valid queue name")
            _check_connection(binding, "queue", settings)
        case "blob":
            expand(binding.text("path"), settings)
            _check_connection(binding, "blob", settings)
        case "blobTrigger":
            _check_blob_trigger(function, binding, settings)
        case "timerTrigger":
            _check_schedule(expand(binding.text("schedule"), settings), now)


def _check_connection(binding: Binding, service: Service, settings: Mapping[str, str]) -> None:
    find_endpoint(binding.text("connection"), service, settings)


def _check_blob_trigger(function: FunctionMetadata, binding: Binding, settings: Mapping[str, str]) -> None:
    if binding.text("source").lower() != "eventgrid":
        raise FunctionError("only EventGrid is a source of blob triggers, as on the Flex Consumption plan")
    expand(binding.text("path"), settings)
    _check_connection(binding, "blob", settings)
    _check_connection(binding, "queue", settings)  # of the poison queue
    others = [other for other in function.bindings if not other.is_trigger and other.name != "$return"]
    first = next(iter(others), None)
    if binding.name in function.deferred and first is not None and _uses_expression(first):
        # The real host then sends bytes instead of a reference, and every invocation fails in the worker.
        raise FunctionError(
            f"{binding.name} has an SDK type, which fails in Azure beside the expression in {first.name}"
        )


def _uses_expression(binding: Binding) -> bool:
    return any(has_expression(value) for value in binding.attributes.values() if isinstance(value, str))


def _check_schedule(expression: str, now: datetime) -> None:
    try:
        Schedule.parse(expression).next_after(now)
    except ValueError as error:
        raise FunctionError(str(error)) from error


def _check_route(function: FunctionMetadata, prefix: str, others: list[HttpEndpoint]) -> HttpEndpoint:
    endpoint = endpoint_of(function, prefix)
    for other in others:
        same = other.route.template.lower() == endpoint.route.template.lower()
        if same and other.methods & endpoint.methods:
            raise FunctionError(f"the route '{endpoint.route.template}' belongs to '{other.function.name}' already")
    return endpoint
