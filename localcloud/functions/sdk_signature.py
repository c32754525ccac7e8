"""The checks that the Python worker makes when it loads a function: parameters against bindings.

What it refuses here, it refuses in Azure too, and there one bad function takes down the whole app.
"""

from __future__ import annotations

import inspect
import types
import typing
from dataclasses import dataclass
from typing import Any

from localcloud.functions.engine import IndexingError
from localcloud.functions.sdk_converters import GENERIC, converter, has_implicit_output, is_sdk_type, web_extension

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from localcloud.functions.metadata import Binding

_RETURN = "$return"


@dataclass(frozen=True)
class Parameter:
    """`converter_type` is the binding's type, or "generic" for parameters annotated `str` or `bytes`."""

    name: str
    binding_type: str
    converter_type: str
    annotation: Any
    deferred: bool


@dataclass(frozen=True)
class Signature:
    inputs: tuple[Parameter, ...]
    outputs: tuple[Parameter, ...]
    return_type: str | None
    """Binding type of the return value; None when the function must return None."""
    wants_context: bool


def read_signature(name: str, function: Callable[..., Any], bindings: tuple[Binding, ...]) -> Signature:
    """Raises IndexingError with the function's name in front."""
    try:
        hints = typing.get_type_hints(function)
    except Exception as error:
        raise _refuse(name, f"its annotations cannot be evaluated: {error}") from error
    bound = {binding.name: binding for binding in bindings if binding.name != _RETURN}
    parameters = set(inspect.signature(function).parameters)
    wants_context = _wants_context(name, parameters, bound, hints)
    if wants_context:
        parameters.remove("context")
    _check_names(name, parameters, set(bound))
    checked = {
        parameter: _check_parameter(name, bound[parameter], hints.get(parameter), parameter in hints)
        for parameter in sorted(parameters)
    }
    return Signature(
        inputs=tuple(checked[p] for p in checked if not bound[p].is_output),
        outputs=tuple(checked[p] for p in checked if bound[p].is_output),
        return_type=_return_type(name, bindings, hints),
        wants_context=wants_context,
    )


def _refuse(name: str, reason: str) -> IndexingError:
    return IndexingError(f"cannot load the {name} function: {reason}")


def _wants_context(name: str, parameters: set[str], bound: Mapping[str, Binding], hints: Mapping[str, Any]) -> bool:
    if "context" not in parameters or "context" in bound:
        return False
    annotation = hints.get("context")
    if "context" in hints and getattr(annotation, "__name__", "") != "Context":
        raise _refuse(name, f"'context' must be annotated azure.functions.Context, not {annotation!r}")
    return True


def _check_names(name: str, parameters: set[str], bound: set[str]) -> None:
    if parameters - bound:
        raise _refuse(name, f"these parameters have no binding: {sorted(parameters - bound)}")
    if bound - parameters:
        raise _refuse(name, f"these bindings have no parameter in Python: {sorted(bound - parameters)}")


def _check_parameter(name: str, binding: Binding, annotation: Any, annotated: bool) -> Parameter:
    is_out = getattr(typing.get_origin(annotation) or annotation, "__name__", "") == "Out"
    value_type = annotation
    if is_out:
        arguments = typing.get_args(annotation)
        if len(arguments) != 1:
            raise _refuse(name, f"{binding.name} has the invalid Out annotation {annotation!r}")
        value_type = arguments[0]
    if annotated and not _is_type(value_type):
        raise _refuse(name, f"{binding.name} has the invalid non-type annotation {annotation!r}")
    if annotated and binding.is_output and not is_out:
        raise _refuse(name, f"{binding.name} is an output, so it must be annotated azure.functions.Out[...]")
    if is_out and not binding.is_output:
        raise _refuse(name, f"{binding.name} is an input, but it is annotated azure.functions.Out")
    deferred = is_sdk_type(annotation)
    is_plain = annotated and value_type in (str, bytes) and not has_implicit_output(binding.type)
    parameter = Parameter(
        name=binding.name,
        binding_type=binding.type,
        converter_type=GENERIC if is_plain else binding.type,
        annotation=value_type,
        deferred=deferred,
    )
    if annotated and not _fits(parameter, is_out):
        raise _refuse(
            name,
            f"the {binding.type} binding {binding.name} does not take the Python annotation {annotation!r}",
        )
    return parameter


def _is_type(annotation: Any) -> bool:
    """Classes and typing generics (List[str]); the worker does not know `X | None`, Optional or list[str]."""
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return True
    origin = typing.get_origin(annotation)
    return isinstance(origin, type) and not isinstance(annotation, types.GenericAlias | types.UnionType)


def _fits(parameter: Parameter, is_out: bool) -> bool:
    extension = web_extension()
    if extension is not None and parameter.binding_type == "httpTrigger":
        return bool(extension.RequestTrackerMeta.check_type(parameter.annotation))
    found = converter(parameter.converter_type, deferred=parameter.deferred)
    check = found.check_output_type_annotation if is_out else found.check_input_type_annotation
    try:
        return check(parameter.annotation)
    except (TypeError, AttributeError):  # issubclass() of a generic; a converter for the other direction only
        return False


def _returns(binding_type: str, annotation: type) -> bool:
    extension = web_extension()
    if extension is not None and binding_type == "http":
        return bool(extension.ResponseTrackerMeta.check_type(annotation))
    return converter(binding_type).check_output_type_annotation(annotation)


def _return_type(name: str, bindings: tuple[Binding, ...], hints: Mapping[str, Any]) -> str | None:
    explicit = next((binding for binding in bindings if binding.name == _RETURN), None)
    if explicit is None:
        return next((binding.type for binding in bindings if has_implicit_output(binding.type)), None)
    if not explicit.is_output:
        raise _refuse(name, '"$return" must have the direction "out"')
    if "return" not in hints:
        return explicit.type
    annotation = hints["return"]
    if not isinstance(annotation, type) or not _returns(explicit.type, annotation):
        raise _refuse(name, f"the return annotation {annotation!r} does not match the binding {explicit.type}")
    return explicit.type
