"""The fine-tuning inputs of chat_completion_pipeline, typed. Names and defaults are those of component 0.0.82.

Inputs arrive as text. What the processor run can not honour is accepted and named in the log, because a job that is
valid in Azure must be valid here.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Literal, get_args

from localcloud.training.errors import UserError

log = logging.getLogger(__name__)

Scheduler = Literal["linear", "cosine", "cosine_with_restarts", "polynomial", "constant", "constant_with_warmup"]
Evaluation = Literal["epoch", "steps", "disable"]
Logging = Literal["epoch", "steps"]
Optimizer = Literal["adamw_torch", "adafactor"]


@dataclass(frozen=True)
class Parameters:
    """-1 in `max_steps`, `max_seq_length` and `save_total_limit` means no limit of one's own."""

    num_train_epochs: int = 1
    max_steps: int = -1
    per_device_train_batch_size: int = 1
    per_device_eval_batch_size: int = 1
    gradient_accumulation_steps: int = 1
    optim: Optimizer = "adamw_torch"
    learning_rate: float = 2e-5
    lr_scheduler_type: Scheduler = "linear"
    warmup_steps: int = 0
    weight_decay: float = 0.0
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    adam_epsilon: float = 1e-8
    max_grad_norm: float = 1.0
    max_seq_length: int = -1
    seed: int = 42
    apply_lora: bool = False
    merge_lora_weights: bool = True
    lora_r: int = 8
    lora_alpha: int = 128
    lora_dropout: float = 0.0
    evaluation_strategy: Evaluation = "epoch"
    evaluation_steps_interval: float = 0.0
    """Share of the optimizer steps between two evaluations; takes precedence over `eval_steps` when positive."""
    eval_steps: int = 500
    logging_strategy: Logging = "steps"
    logging_steps: int = 10
    save_total_limit: int = -1
    apply_early_stopping: bool = False
    early_stopping_patience: int = 1
    early_stopping_threshold: float = 0.0


_NOT_ON_A_PROCESSOR = {
    "apply_deepspeed": ("true", "DeepSpeed needs GPUs"),
    "apply_ort": ("true", "ONNX Runtime training needs GPUs"),
    "precision": ("16", "a processor computes faster in 32 bits"),
    "auto_find_batch_size": ("true", "the batch size is taken as it is"),
    "pad_to_max_length": ("true", "batches are padded to their longest row"),
    "resume_from_checkpoint": ("true", "a run starts from the base model"),
}

_BOUNDS: Mapping[str, tuple[float, float]] = {
    "num_train_epochs": (1, math.inf),
    "per_device_train_batch_size": (1, math.inf),
    "per_device_eval_batch_size": (1, math.inf),
    "gradient_accumulation_steps": (1, math.inf),
    "learning_rate": (0, math.inf),
    "warmup_steps": (0, math.inf),
    "weight_decay": (0, math.inf),
    "adam_beta1": (0, 0.9999999),
    "adam_beta2": (0, 0.9999999),
    "adam_epsilon": (0, math.inf),
    "max_grad_norm": (0, math.inf),
    "lora_r": (1, math.inf),
    "lora_alpha": (1, math.inf),
    "lora_dropout": (0, 0.99),
    "evaluation_steps_interval": (0, 1),
    "eval_steps": (1, math.inf),
    "logging_steps": (1, math.inf),
    "early_stopping_patience": (1, math.inf),
    "early_stopping_threshold": (0, math.inf),
}


def parse(inputs: Mapping[str, str]) -> Parameters:
    """Raises UserError naming the input whose value has the wrong type or is out of bounds."""
    given = {
        field.name: _READERS[str(field.type)](field.name, inputs[field.name].strip())
        for field in fields(Parameters)
        if inputs.get(field.name, "").strip()
    }
    parameters = Parameters(**given)  # type: ignore[arg-type]  # each value was read by its field's own type
    _check_bounds(parameters)
    for name, (value, reason) in _NOT_ON_A_PROCESSOR.items():
        if inputs.get(name, "").strip().lower() == value:
            log.warning("%s=%s is ignored: %s", name, value, reason)
    return parameters


def _check_bounds(parameters: Parameters) -> None:
    for name, (low, high) in _BOUNDS.items():
        value = getattr(parameters, name)
        if not low <= value <= high:
            bound = f"at least {low}" if high == math.inf else f"from {low} to {high}"
            raise UserError(f"Input {name} must be {bound}, not {value}.")


def _integer(name: str, text: str) -> int:
    number = _number(name, text)
    if not number.is_integer():
        raise UserError(f"Input {name} must be an integer, not '{text}'.")
    return int(number)


def _number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise UserError(f"Input {name} must be a number, not '{text}'.") from None
    if not math.isfinite(number):
        raise UserError(f"Input {name} must be a finite number, not '{text}'.")
    return number


def _boolean(name: str, text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise UserError(f"Input {name} must be 'true' or 'false', not '{text}'.")
    return text.lower() == "true"


def _one_of(choices: tuple[str, ...]) -> Callable[[str, str], str]:
    def read(name: str, text: str) -> str:
        if text not in choices:
            raise UserError(f"Input {name} must be one of {', '.join(choices)}, not '{text}'.")
        return text

    return read


# Keyed by the annotations above, which are text in this module.
_READERS: dict[str, Callable[[str, str], int | float | bool | str]] = {
    "int": _integer,
    "float": _number,
    "bool": _boolean,
    "Optimizer": _one_of(get_args(Optimizer)),
    "Scheduler": _one_of(get_args(Scheduler)),
    "Evaluation": _one_of(get_args(Evaluation)),
    "Logging": _one_of(get_args(Logging)),
}
