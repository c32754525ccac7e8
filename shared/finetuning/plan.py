"""From what the user asked for and what the registry offers to everything that a job needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.finetuning.display_name import pipeline_display_name
from shared.finetuning.model_tags import (
    allow_list,
    model_specific_defaults,
    require_allowed,
    require_chat_completion,
)
from shared.finetuning.parameters import ComponentInput, build_parameters

if TYPE_CHECKING:
    from shared.azureml.resources import BaseModel
    from shared.azureml.sdk import SdkClient
    from shared.config import Settings
    from shared.datasets.tuning_file import TuningFile

_STEPS = ("model_import", "preprocess", "finetune", "model_evaluation")


@dataclass(frozen=True)
class Plan:
    """`parameters` are literals for the component; `dropped` names model-specific defaults that it does not take."""

    base_model: BaseModel
    component_id: str
    parameters: Mapping[str, str]
    dropped: Mapping[str, str]
    display_name: str
    finetune_instance_type: str
    inference_instance_type: str
    instance_count: int


def plan_tuning(settings: Settings, sdk: SdkClient, dataset: str, file: TuningFile) -> Plan:
    """Resolve model and component, and build the parameters.

    Raises PermanentError for what the user or the operator must change, TransientError when the registry can not
    be reached.
    """
    version = file.base_model_version or ("" if file.base_model else settings.base_model_version)
    base_model = sdk.base_model(file.base_model or settings.base_model, version)
    require_chat_completion(base_model.name, base_model.tags, base_model.properties)
    component_id, inputs = sdk.newest_component(settings.component)
    finetune_type = file.finetune_instance_type or settings.finetune_instance_type
    inference_type = file.inference_instance_type or settings.inference_instance_type
    require_allowed(finetune_type, allow_list(base_model.tags, base_model.properties, "finetune"), "fine-tuning")
    require_allowed(inference_type, allow_list(base_model.tags, base_model.properties, "inference"), "inference")
    built = build_parameters(
        inputs,
        model_defaults=model_specific_defaults(base_model.tags),
        overrides=file.parameters,
    )
    return Plan(
        base_model=base_model,
        component_id=component_id,
        parameters={**built.values, **_infrastructure(settings, inputs, finetune_type)},
        dropped={item.name: f"{item.source}: {item.reason}" for item in built.dropped},
        display_name=pipeline_display_name(base_model.name, dataset, built.values, settings.gpus_per_node),
        finetune_instance_type=finetune_type,
        inference_instance_type=inference_type,
        instance_count=file.instance_count or settings.inference_instance_count,
    )


def _infrastructure(settings: Settings, inputs: Mapping[str, ComponentInput], instance_type: str) -> dict[str, str]:
    """Compute, VM size and GPUs of every step, as far as this version of the component declares them."""
    wanted = {"number_of_gpu_to_use_finetuning": str(settings.gpus_per_node)}
    for step in _STEPS:
        wanted[f"compute_{step}"] = settings.compute
        wanted[f"instance_type_{step}"] = instance_type
    return {name: value for name, value in wanted.items() if name in inputs}
