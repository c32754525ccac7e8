"""The name of a fine-tuning job that people see, in the form of Microsoft's notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def pipeline_display_name(model_name: str, dataset: str, parameters: Mapping[str, str], gpus_per_node: int) -> str:
    """For example `Phi-4-my-chats-bs8-cosine-ds3-lora-save_limit1-seqlen-1`.

    `parameters` are those of FinetuneParameters; what they lack has the component's default. The batch size
    is that of one optimiser step over all GPUs and nodes.
    """
    batch_size = (
        int(parameters.get("per_device_train_batch_size", "1"))
        * int(parameters.get("gradient_accumulation_steps", "1"))
        * gpus_per_node
        * int(parameters.get("num_nodes_finetune", "1"))
    )
    deepspeed = parameters.get("apply_deepspeed", "false") == "true"
    lora = parameters.get("apply_lora", "false") == "true"
    return "-".join(
        (
            model_name.replace("/", "-"),
            dataset,
            f"bs{batch_size}",
            parameters.get("lr_scheduler_type", "linear"),
            f"ds{parameters.get('deepspeed_stage', '2')}" if deepspeed else "nods",
            "lora" if lora else "nolora",
            f"save_limit{parameters.get('save_total_limit', '-1')}",
            f"seqlen{parameters.get('max_seq_length', '-1')}",
        )
    )
