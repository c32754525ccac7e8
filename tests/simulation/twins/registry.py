"""The model registry: the fine-tune component with its real inputs, and base models."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import localcloud.azureml
from shared.finetuning.parameters import ComponentInput
from tests.simulation.twins.refusals import RefusedError, not_found

COMPONENT = "chat_completion_pipeline"
MODEL = "Phi-3-mini-4k-instruct"
ASSET_TYPES = frozenset({"uri_file", "uri_folder", "mlflow_model", "custom_model", "mltable"})
_FACTS = Path(localcloud.azureml.__file__).with_name("chat_completion_pipeline.json")


@dataclass(frozen=True)
class RegistryModel:
    name: str
    version: str
    tags: Mapping[str, str] = field(default_factory=dict)
    archived: bool = False

    @property
    def id(self) -> str:
        return f"azureml://registries/azureml/models/{self.name}/versions/{self.version}"


@dataclass
class Registry:
    """`models` from old to new; more may be released at any time, and versions of the component."""

    models: list[RegistryModel] = field(
        default_factory=lambda: [RegistryModel(MODEL, "12"), RegistryModel(MODEL, "13", {"task": "chat-completion"})]
    )
    component_versions: list[str] = field(default_factory=lambda: _versions())

    def newest_component(self, name: str) -> tuple[str, dict[str, ComponentInput]]:
        """Raises RefusedError."""
        if name != COMPONENT:
            raise not_found(f"Component {name} was not found in registry azureml.")
        return self._component_id(self.component_versions[-1]), dict(_inputs())

    def model(self, name: str, version: str) -> RegistryModel:
        """`version` empty: the newest. Raises RefusedError."""
        found = [model for model in self.models if model.name == name and version in ("", model.version)]
        if not found:
            asset = f"{name}:{version}" if version else name
            raise not_found(f"Model {asset} was not found in registry azureml.")
        return found[-1]

    def check_job(self, component_id: str, model_id: str, given: Mapping[str, str]) -> None:
        """What the service says about a job before it takes it. Raises RefusedError.

        `given` are all inputs, files and model included.
        """
        if component_id not in map(self._component_id, self.component_versions):
            raise RefusedError(400, "UserError", f"Component {component_id} was not found in registry azureml.")
        if model_id not in [model.id for model in self.models]:
            raise RefusedError(400, "UserError", f"Model {model_id} was not found in registry azureml.")
        inputs = _inputs()
        if unknown := sorted(set(given) - set(inputs)):
            raise RefusedError(400, "UserError", f"Node finetune: {', '.join(unknown)} is not an input of {COMPONENT}.")
        for name, value in given.items():
            if complaint := _complaint(inputs[name], value):
                raise RefusedError(400, "UserError", f"Invalid value for input {name} of finetune: {complaint}.")

    @staticmethod
    def _component_id(version: str) -> str:
        return f"azureml://registries/azureml/components/{COMPONENT}/versions/{version}"


@functools.cache
def _facts() -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(_FACTS.read_text())
    return facts


def _versions() -> list[str]:
    return list(_facts()["versions"])


@functools.cache
def _inputs() -> Mapping[str, ComponentInput]:
    return {name: _input(name, fact) for name, fact in _facts()["inputs"].items()}


def _input(name: str, fact: Mapping[str, Any]) -> ComponentInput:
    default, minimum = fact.get("default"), fact.get("min")
    return ComponentInput(
        name=name,
        type=fact["type"],
        optional=fact["optional"],
        default=None if default is None else str(default),
        enum=tuple(fact["enum"]) if fact.get("enum") else None,
        minimum=None if minimum is None else float(minimum),
        maximum=None,
    )


def _complaint(spec: ComponentInput, value: str) -> str:
    if spec.type in ASSET_TYPES:
        return ""
    if spec.enum and value not in spec.enum:
        return f"'{value}' is not one of {', '.join(spec.enum)}"
    if spec.type not in ("integer", "number"):
        return ""
    try:
        number = int(value) if spec.type == "integer" else float(value)
    except ValueError:
        return f"'{value}' is not {'an integer' if spec.type == 'integer' else 'a number'}"
    if spec.minimum is not None and number < spec.minimum:
        return f"{value} is less than the minimum {spec.minimum:g}"
    return ""
