import pytest

from shared.finetuning.display_name import pipeline_display_name


@pytest.mark.parametrize(
    ("model", "parameters", "gpus", "expected"),
    [
        ("Phi-4", {}, 1, "Phi-4-chats-bs1-linear-nods-nolora-save_limit-1-seqlen-1"),
        (
            "Phi-4",
            {
                "per_device_train_batch_size": "2",
                "gradient_accumulation_steps": "4",
                "num_nodes_finetune": "3",
                "lr_scheduler_type": "cosine",
                "apply_deepspeed": "true",
                "deepspeed_stage": "3",
                "apply_lora": "true",
                "save_total_limit": "1",
                "max_seq_length": "2048",
            },
            8,
            "Phi-4-chats-bs192-cosine-ds3-lora-save_limit1-seqlen2048",
        ),
        (
            "org/model",
            {"apply_deepspeed": "true", "apply_lora": "false"},
            2,
            "org-model-chats-bs2-linear-ds2-nolora-save_limit-1-seqlen-1",
        ),
    ],
)
def test_the_display_name_has_the_form_of_the_notebook(
    model: str, parameters: dict[str, str], gpus: int, expected: str
) -> None:
    assert pipeline_display_name(model, "chats", parameters, gpus) == expected
