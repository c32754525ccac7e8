"""Every model that Microsoft's registry ever offered for fine-tuning gives a job that can be submitted or a refusal.

The facts were collected from the registry's assets and from the component `chat_completion_pipeline` 0.0.82.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from shared.errors import PermanentError
from shared.finetuning.model_tags import (
    allow_list,
    model_specific_defaults,
    require_allowed,
    require_chat_completion,
)
from shared.finetuning.parameters import ComponentInput, FinetuneParameters, build_parameters

FACTS = Path(__file__).resolve().parents[3] / "shared" / "reference" / "azureml"

if not FACTS.is_dir():
    pytest.skip("the collected facts about models are not beside the checkout", allow_module_level=True)


def load(name: str) -> Any:
    return json.loads((FACTS / name).read_text())


MODELS: list[dict[str, Any]] = load("finetunable_models.json")
INPUTS = {
    raw["name"]: ComponentInput(
        name=raw["name"],
        type=raw["type"],
        optional=raw["optional"],
        default=None if raw["default"] is None else str(raw["default"]),
        enum=None if raw["enum"] is None else tuple(raw["enum"]),
        minimum=raw["min"],
        maximum=raw["max"],
    )
    for raw in load("chat_completion_pipeline.inputs.json")["inputs"]
}


def tags(model: dict[str, Any]) -> dict[str, str]:
    """As the service stores them: Python literals as strings."""
    found = {
        "finetune_compute_allow_list": str(model["finetuneComputes"]),
        "inference_compute_allow_list": str(model["inferenceComputes"]),
    }
    return found if model["defaults"] is None else {**found, "model_specific_defaults": str(model["defaults"])}


def properties(model: dict[str, Any]) -> dict[str, str]:
    return {"finetuning-tasks": ", ".join(model["fineTuningTasks"])}


def parameters(model: dict[str, Any]) -> FinetuneParameters:
    return build_parameters(INPUTS, model_defaults=model_specific_defaults(tags(model)), overrides={})


def fits(declared: ComponentInput, literal: str) -> bool:
    """The component's own rules, said once more without the code under test."""
    if declared.enum is not None and literal not in declared.enum:
        return False
    if declared.type == "integer":
        return int(literal) >= (declared.minimum or int(literal))
    if declared.type == "number":
        return float(literal) >= (declared.minimum or float(literal))
    return declared.type == "string"


names = pytest.mark.parametrize("model", MODELS, ids=[model["name"] for model in MODELS])


def test_the_facts_are_complete() -> None:
    assert len(MODELS) == 73
    assert len(INPUTS) == 69


@names
def test_every_parameter_of_every_model_fits_the_component(model: dict[str, Any]) -> None:
    built = parameters(model)

    for name, literal in built.values.items():
        assert fits(INPUTS[name], literal), name
    wishes = set(model["defaults"] or {})
    assert wishes <= set(built.values) | {item.name for item in built.dropped}


@names
def test_what_is_dropped_is_only_what_the_component_can_not_take(model: dict[str, Any]) -> None:
    dropped = {item.name for item in parameters(model).dropped}

    unacceptable = set(model["unknown"])
    if (model["defaults"] or {}).get("precision") == "4":
        unacceptable.add("precision")
    assert dropped == unacceptable


@names
def test_a_model_for_other_tasks_is_refused_and_one_for_chats_is_not(model: dict[str, Any]) -> None:
    refused = False
    try:
        require_chat_completion(model["name"], tags(model), properties(model))
    except PermanentError as error:
        refused = error.code == "ModelNotFineTunable"

    assert refused is ("chat-completion" not in model["fineTuningTasks"])


@names
def test_the_instance_types_of_every_model_are_known(model: dict[str, Any]) -> None:
    for kind, expected in (("finetune", model["finetuneComputes"]), ("inference", model["inferenceComputes"])):
        allowed = allow_list(tags(model), {}, "finetune" if kind == "finetune" else "inference")
        from_properties = allow_list(
            {}, {f"{kind}-recommended-sku": ", ".join(expected)}, "finetune" if kind == "finetune" else "inference"
        )

        assert allowed == from_properties == (tuple(expected) or None)
        if allowed:
            require_allowed(expected[0].lower(), allowed, model["name"])
