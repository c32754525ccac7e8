"""The model registry: chat_completion_pipeline with its real inputs, and the models of the configuration."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from localcloud.azureml import errors
from localcloud.config import REGISTRY

if TYPE_CHECKING:
    from localcloud.azureml.limits import CurrentLimits
    from localcloud.config import CloudConfig, RegistryComponent, RegistryModel

AssetKind = Literal["models", "components"]

_ASSET_ID = re.compile(
    r"azureml://registries/(?P<registry>[^/]+)/(?P<kind>[^/]+)/(?P<name>[^/]+)/versions/(?P<version>[^/]+)$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class ComponentInput:
    """`type` is string, integer, number, boolean, or an asset type (uri_file, mlflow_model...)."""

    name: str
    type: str
    optional: bool
    default: str | None = None
    enum: tuple[str, ...] = ()
    min: float | None = None
    mode: str | None = None

    @property
    def is_asset(self) -> bool:
        return self.type not in ("string", "integer", "number", "boolean")

    def complaint(self, value: str) -> str | None:
        """Why a literal is no value for this input; None when it is."""
        if self.enum and value not in self.enum:
            return f"'{value}' is not one of {', '.join(self.enum)}"
        if self.type not in ("integer", "number"):
            return None
        try:
            number = int(value) if self.type == "integer" else float(value)
        except ValueError:
            return f"'{value}' is not {'an integer' if self.type == 'integer' else 'a number'}"
        if self.min is not None and number < self.min:
            return f"{value} is less than the minimum {self.min:g}"
        return None


@dataclass(frozen=True)
class Component:
    name: str
    version: str
    inputs: dict[str, ComponentInput]
    outputs: dict[str, dict[str, str]]
    command: tuple[str, ...] = ()
    """The program that does its work; empty: the training of the local cloud."""


@dataclass(frozen=True)
class AssetId:
    registry: str
    kind: str
    name: str
    version: str

    @staticmethod
    def parse(text: str) -> AssetId | None:
        match = _ASSET_ID.match(text)
        return AssetId(**match.groupdict()) if match else None

    def __str__(self) -> str:
        return f"azureml://registries/{self.registry}/{self.kind}/{self.name}/versions/{self.version}"


class Registry:
    def __init__(self, config: CloudConfig, limits: CurrentLimits) -> None:
        self._models = config.models
        self._components = _with_configured(_components(), config.components)
        self._limits = limits

    def require(self, registry: str) -> None:
        if registry.lower() != REGISTRY:
            raise errors.UserError(f"Registry {registry} was not found.", "NotFound", status=404)

    def components(self, name: str) -> list[Component]:
        """Its versions, newest first. Raises UserError 404."""
        found = [component for component in self._components if component.name == name]
        if not found:
            raise errors.asset_not_found("Component", name, None, REGISTRY)
        return found[::-1]

    def component(self, name: str, version: str) -> Component:
        for component in self.components(name):
            if component.version == version:
                return component
        raise errors.asset_not_found("Component", name, version, REGISTRY)

    def is_archived(self, model: RegistryModel) -> bool:
        """Archived models are left out of lists, but can still be read and used:
        https://learn.microsoft.com/azure/machine-learning/how-to-manage-models#archive
        """
        return f"{model.name}:{model.version}" in self._limits.now.archived_models

    def models(self, name: str) -> list[RegistryModel]:
        """Its versions, newest first; the configuration lists them oldest first. Raises UserError 404."""
        found = [model for model in self._models if model.name == name]
        if not found:
            raise errors.asset_not_found("Model", name, None, REGISTRY)
        return found[::-1]

    def model(self, name: str, version: str) -> RegistryModel:
        for model in self.models(name):
            if model.version == version:
                return model
        raise errors.asset_not_found("Model", name, version, REGISTRY)


@cache
def _components() -> tuple[Component, ...]:
    facts = json.loads(Path(__file__).with_name("chat_completion_pipeline.json").read_text())
    inputs = {name: _component_input(name, fact) for name, fact in facts["inputs"].items()}
    return tuple(Component(facts["name"], version, inputs, facts["outputs"]) for version in facts["versions"])


def _with_configured(
    built_in: tuple[Component, ...], configured: tuple[RegistryComponent, ...]
) -> tuple[Component, ...]:
    """Oldest version of a name first. Raises ValueError for a component without an interface."""
    found = {(component.name, component.version): component for component in built_in}
    for given in configured:
        alike = next((component for component in built_in if component.name == given.name), None)
        if alike is None and (given.inputs is None or given.outputs is None):
            raise ValueError(f"component {given.name} is not built in: it needs inputs and outputs")
        inputs = None if given.inputs is None else {key: _component_input(key, f) for key, f in given.inputs.items()}
        found[given.name, given.version] = Component(
            given.name,
            given.version,
            alike.inputs if inputs is None and alike is not None else inputs or {},
            alike.outputs if given.outputs is None and alike is not None else given.outputs or {},
            given.command,
        )
    return tuple(found.values())


def _component_input(name: str, fact: dict[str, Any]) -> ComponentInput:
    default = fact.get("default")
    return ComponentInput(
        name=name,
        type=fact["type"],
        optional=fact["optional"],
        default=None if default is None else str(default),
        enum=tuple(fact.get("enum", ())),
        min=fact.get("min"),
        mode=fact.get("mode"),
    )
