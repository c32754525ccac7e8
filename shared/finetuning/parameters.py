"""The parameters of a fine-tuning job, in three layers: ours, the base model's, the user's.

Ours are those of Microsoft's notebook (Azure/azureml-examples, chat-completion.ipynb).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from shared.datasets.json_object import closest, shown
from shared.errors import InvalidDatasetError, PermanentError
from shared.finetuning.component_input import CoercionError, ComponentInput, coerce

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ComponentInput", "Dropped", "FinetuneParameters", "build_parameters"]

logger = logging.getLogger(__name__)

TRAINING_DEFAULTS: Mapping[str, object] = {
    "num_train_epochs": 3,
    "per_device_train_batch_size": 1,
    "per_device_eval_batch_size": 1,
    "learning_rate": 5e-6,
    "lr_scheduler_type": "cosine",
}
OPTIMISATION_DEFAULTS: Mapping[str, object] = {
    "apply_lora": "true",
    "apply_deepspeed": "true",
    "deepspeed_stage": 2,
}

Source = Literal["droptune", "model"]

_SET_ELSEWHERE = {
    "instance_type_finetune": "set finetune_instance_type beside parameters instead",
    "number_of_gpu_to_use_finetuning": "it follows from finetune_instance_type; set that",
    "huggingface_id": "set base_model beside parameters instead",
    "pytorch_model_path": "set base_model beside parameters instead",
    "mlflow_model_path": "set base_model beside parameters instead",
    "train_file_path": "it is train_sft.jsonl of the version",
    "validation_file_path": "it is split off by the pipeline",
    "test_file_path": "it is test_sft.jsonl of the version",
    "task_name": "it is always ChatCompletion",
}
_SHOWN_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Dropped:
    """A default that was not submitted. `value` is shortened."""

    name: str
    value: str
    source: Source
    reason: str


@dataclass(frozen=True, slots=True)
class FinetuneParameters:
    """`values` are literals in the form that the component's inputs accept, to be submitted as they are."""

    values: Mapping[str, str]
    dropped: tuple[Dropped, ...]


def build_parameters(
    inputs: Mapping[str, ComponentInput],
    *,
    model_defaults: Mapping[str, object],
    overrides: Mapping[str, object],
) -> FinetuneParameters:
    """Later layers win: ours, then `model_defaults`, then `overrides` (the `parameters` of tuning.json).

    Defaults that the component does not accept are dropped and reported. Raises InvalidDatasetError
    "InvalidParameter", which names every override that it does not accept, and PermanentError
    "MissingParameter" when the component needs a literal that nobody gives.
    """
    dropped: list[Dropped] = []
    values = _accepted(inputs, {**TRAINING_DEFAULTS, **OPTIMISATION_DEFAULTS}, "droptune", dropped)
    values |= _accepted(inputs, model_defaults, "model", dropped)
    values |= _checked_overrides(inputs, overrides)
    missing = [
        name
        for name, declared in inputs.items()
        if not (declared.optional or _reserved(declared) or declared.default is not None or name in values)
    ]
    if missing:
        raise PermanentError(
            "MissingParameter",
            f"the pipeline component needs {', '.join(missing)}: set it in parameters of tuning.json.",
        )
    return FinetuneParameters(values, tuple(dropped))


def _accepted(
    inputs: Mapping[str, ComponentInput],
    defaults: Mapping[str, object],
    source: Source,
    dropped: list[Dropped],
) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, value in defaults.items():
        declared = inputs.get(name)
        if declared is None:
            reason = "the component has no such input"
        elif why := _reserved(declared):
            reason = why
        else:
            try:
                values[name] = coerce(declared, value)
                continue
            except CoercionError as error:
                reason = str(error)
        dropped.append(Dropped(name, repr(value)[:_SHOWN_CHARACTERS], source, reason))
        logger.info("parameter %s of the %s's defaults dropped: %s", name, source, reason)
    return values


def _checked_overrides(inputs: Mapping[str, ComponentInput], overrides: Mapping[str, object]) -> dict[str, str]:
    values: dict[str, str] = {}
    problems: list[str] = []
    for name, value in overrides.items():
        declared = inputs.get(name)
        if declared is None:
            settable = [known for known, candidate in inputs.items() if not _reserved(candidate)]
            problems.append(f"{shown(name)} is not a parameter of the pipeline{closest(name, settable)}")
        elif why := _reserved(declared):
            problems.append(f"{name} can not be set in parameters: {why}")
        else:
            try:
                values[name] = coerce(declared, value)
            except CoercionError as error:
                problems.append(f"{name} {error}, not {shown(str(value))}")
    if problems:
        raise InvalidDatasetError("InvalidParameter", f"tuning.json, parameters: {'; '.join(problems)}.")
    return values


def _reserved(declared: ComponentInput) -> str | None:
    """Why the input is not for users, and where its value comes from; None when it is."""
    if declared.name in _SET_ELSEWHERE:
        return _SET_ELSEWHERE[declared.name]
    if declared.name.startswith("instance_type_"):
        return "droptune sets it with the instance type of fine-tuning"
    if declared.name.startswith("compute_"):
        return "droptune sets it; the compute is an app setting"
    if not declared.is_literal:
        return f"it is a path ({declared.type}), and only uploaded files are used"
    return None
