"""Low-rank adaptation through peft: a few new weights learn, the base model's stay."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from localcloud.training.parameters import Parameters

log = logging.getLogger(__name__)


def add_adapter(model: Any, parameters: Parameters) -> Any:
    """A PeftModel over `model` whose adapters, on every linear layer but the output, are all that learns."""
    from peft import LoraConfig, TaskType, get_peft_model

    config = LoraConfig(
        task_type=TaskType.CAUSAL_LM,
        r=parameters.lora_r,
        lora_alpha=parameters.lora_alpha,
        lora_dropout=parameters.lora_dropout,
        target_modules="all-linear",
    )
    adapted = get_peft_model(model, config)
    learning, total = adapted.get_nb_trainable_parameters()
    log.info("LoRA: %d of %d parameters learn", learning, total)
    return adapted


def merge_adapter(adapted: Any) -> Any:
    """The base model with the adapter's weights added to its own."""
    return adapted.merge_and_unload()


def split_adapter(adapted: Any, folder: Path) -> Any:
    """Write the adapter's weights to `folder` and return the base model as it was."""
    for config in adapted.peft_config.values():
        config.base_model_name_or_path = ""  # a path of this machine: whoever loads the adapter has the model
    adapted.save_pretrained(str(folder))
    return adapted.unload()
