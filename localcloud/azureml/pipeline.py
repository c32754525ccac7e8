"""What a pipeline job asks for, checked against the component that it runs. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localcloud.azureml.errors import UserError, invalid_argument
from localcloud.azureml.registry import AssetId

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localcloud.azureml.registry import Component, ComponentInput, Registry

_REFERENCE = re.compile(r"^\$\{\{\s*parent\.(?P<kind>inputs|outputs)\.(?P<name>[^}\s]+)\s*\}\}$")


@dataclass(frozen=True)
class Plan:
    """One run of one component. `assets` are URIs; `outputs` maps the job's outputs to the component's."""

    node: str
    component: str
    version: str
    literals: Mapping[str, str]
    assets: Mapping[str, str]
    outputs: Mapping[str, str]


def plan(properties: Mapping[str, Any], registry: Registry) -> Plan:
    """Raises UserError, as the service does when it refuses a job."""
    if properties.get("jobType") != "Pipeline":
        raise UserError(
            f"Job type {properties.get('jobType')} is not supported by the local cloud: only Pipeline is.",
            "NotSupported",
        )
    nodes: Mapping[str, Any] = properties.get("jobs") or {}
    if len(nodes) != 1:
        raise invalid_argument(
            "The pipeline has no nodes." if not nodes else "The local cloud runs pipelines of one node."
        )
    [(name, node)] = nodes.items()
    component = _component(name, node, registry)
    given = {key: _resolved(value, properties) for key, value in (node.get("inputs") or {}).items()}
    _check_names(name, component, given)
    literals = {key: value for key, value in given.items() if not component.inputs[key].is_asset}
    for key, value in literals.items():
        if complaint := component.inputs[key].complaint(value):
            raise invalid_argument(f"Invalid value for input {key} of {name}: {complaint}.")
    defaults = {key: spec.default for key, spec in component.inputs.items() if spec.default is not None}
    assets = {key: value for key, value in given.items() if component.inputs[key].is_asset}
    for uri in assets.values():
        _check_asset(uri, registry)
    return Plan(
        node=name,
        component=component.name,
        version=component.version,
        literals={**defaults, **literals},
        assets=assets,
        outputs=_bound_outputs(component, node, properties),
    )


def _component(name: str, node: Mapping[str, Any], registry: Registry) -> Component:
    identifier = str(node.get("componentId") or "")
    asset = AssetId.parse(identifier)
    if asset is None or asset.kind.lower() != "components":
        raise invalid_argument(f"Node {name} has no component of a registry: '{identifier}'.")
    try:
        registry.require(asset.registry)
        return registry.component(asset.name, asset.version)
    except UserError as error:
        raise UserError(error.message, "BadArgument", "ComponentNotFound") from error


def _resolved(given: object, properties: Mapping[str, Any]) -> str:
    """A node's input: a literal, a URI, or a reference to an input of the job."""
    value = _scalar(given)
    reference = _REFERENCE.match(value)
    if reference is None:
        return value
    parents: Mapping[str, Any] = properties.get("inputs") or {}
    if reference["kind"] != "inputs" or reference["name"] not in parents:
        raise invalid_argument(f"The reference {value} names no input of the job.")
    return _scalar(parents[reference["name"]])


def _scalar(given: object) -> str:
    if isinstance(given, dict):
        value = given.get("uri") or given.get("value")
        return "" if value is None else str(value)
    return str(given)


def _check_names(node: str, component: Component, given: Mapping[str, str]) -> None:
    unknown = sorted(set(given) - set(component.inputs))
    if unknown:
        raise invalid_argument(
            f"Node {node}: {', '.join(unknown)} is not an input of component {component.name} {component.version}."
        )
    missing = sorted(key for key, spec in component.inputs.items() if _is_missing(spec, given))
    if missing:
        raise invalid_argument(f"Node {node}: required input {', '.join(missing)} is not set.")


def _is_missing(spec: ComponentInput, given: Mapping[str, str]) -> bool:
    return not spec.optional and spec.default is None and spec.name not in given


def _check_asset(uri: str, registry: Registry) -> None:
    asset = AssetId.parse(uri)
    if asset is None:
        return
    try:
        registry.require(asset.registry)
        registry.model(asset.name, asset.version)
    except UserError as error:
        raise UserError(error.message, "BadArgument", "ModelNotFound") from error


def _bound_outputs(component: Component, node: Mapping[str, Any], properties: Mapping[str, Any]) -> dict[str, str]:
    """Job output → component output."""
    declared: Mapping[str, Any] = properties.get("outputs") or {}
    bound = {}
    for key, value in (node.get("outputs") or {}).items():
        reference = _REFERENCE.match(_scalar(value))
        if reference is None or reference["kind"] != "outputs":
            continue
        if key not in component.outputs or reference["name"] not in declared:
            raise invalid_argument(f"Output {key} is bound to {reference['name']}, and one of them is unknown.")
        bound[reference["name"]] = key
    return bound
