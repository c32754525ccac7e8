"""What a base model's tags and properties say."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import PermanentError
from shared.finetuning.model_tags import (
    allow_list,
    literal_tag,
    model_specific_defaults,
    require_allowed,
    require_chat_completion,
)

ROOT = Path(__file__).parents[2]
A100 = "Standard_NC24ads_A100_v4"
V100 = "Standard_NC6s_v3"


def test_a_tag_is_read_as_a_python_literal() -> None:
    tags = {"model_specific_defaults": "{'apply_lora': 'true', 'deepspeed_stage': 3, 'learning_rate': 5e-6}"}

    assert model_specific_defaults(tags) == {"apply_lora": "true", "deepspeed_stage": 3, "learning_rate": 5e-6}


@pytest.mark.parametrize("tags", [{}, {"model_specific_defaults": " "}, {"model_specific_defaults": "None"}])
def test_a_model_without_the_tag_has_no_wishes(tags: dict[str, str]) -> None:
    assert literal_tag(tags, "model_specific_defaults") is None
    assert model_specific_defaults(tags) == {}


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "open('x')",
        "{",
        "true",
        "{[]: 1}",
        "\x00",
        "[" * 30_000,
        "-" * 60_000 + "1",
        "1+" * 30_000 + "1",
        "a" + ".a" * 30_000,
        "9" * 60_000,
        "{" + "'a': 1," * 10_000 + "}",
    ],
)
def test_a_tag_that_is_no_harmless_literal_is_refused(text: str) -> None:
    with pytest.raises(PermanentError) as caught:
        literal_tag({"model_specific_defaults": text}, "model_specific_defaults")

    assert caught.value.code == "MalformedModelTag"
    assert "model_specific_defaults" in caught.value.message
    assert len(caught.value.message) < 200


@pytest.mark.parametrize("text", ["[1]", "'x'", "{1: 2}", "3"])
def test_defaults_that_are_no_dictionary_are_refused(text: str) -> None:
    with pytest.raises(PermanentError, match="MalformedModelTag"):
        model_specific_defaults({"model_specific_defaults": text})


@given(st.text(alphabet="[](){}'\"\\,:0123456789.eE+-~ #\nTrueFalsNo*", max_size=60))
def test_any_text_is_a_literal_or_refused(text: str) -> None:
    try:
        literal_tag({"x": text}, "x")
    except PermanentError as error:
        refused = error.code
    else:
        refused = "MalformedModelTag"
    assert refused == "MalformedModelTag"


@pytest.mark.parametrize(
    ("tags", "properties", "expected"),
    [
        ({"finetune_compute_allow_list": f"['{A100}', '{V100}']"}, {}, (A100, V100)),
        ({"finetune_compute_allow_list": f'["{A100}"]'}, {"finetune-recommended-sku": V100}, (A100,)),
        ({}, {"finetune-recommended-sku": f"{A100}, {V100}"}, (A100, V100)),
        ({}, {"finetune_compute_allow_list": f"['{A100}']"}, (A100,)),
        ({"inference_compute_allow_list": f"['{A100}']"}, {"inference-recommended-sku": V100}, None),
        ({"finetune_compute_allow_list": "[]"}, {"finetune-recommended-sku": " , "}, None),
        ({}, {}, None),
    ],
)
def test_the_allow_list_is_taken_from_the_tag_before_the_properties(
    tags: dict[str, str], properties: dict[str, str], expected: tuple[str, ...] | None
) -> None:
    assert allow_list(tags, properties, "finetune") == expected


@pytest.mark.parametrize("text", ["[1, 2]", "{'a': 1}", "["])
def test_an_allow_list_that_is_no_list_of_names_is_refused(text: str) -> None:
    with pytest.raises(PermanentError, match="MalformedModelTag"):
        allow_list({"inference_compute_allow_list": text}, {}, "inference")


@pytest.mark.parametrize("allowed", [None, (A100,), (V100, A100.upper())])
def test_an_allowed_instance_type_passes_whatever_its_case(allowed: tuple[str, ...] | None) -> None:
    require_allowed(A100, allowed, "fine-tuning")


def test_another_instance_type_is_refused_with_those_that_are_allowed() -> None:
    with pytest.raises(PermanentError) as caught:
        require_allowed(V100, (A100, "Standard_ND96asr_v4"), "fine-tuning Phi-4")

    assert caught.value.code == "InstanceTypeNotAllowed"
    assert caught.value.message == (
        f"fine-tuning Phi-4: the base model does not allow {V100}; choose one of {A100}, Standard_ND96asr_v4."
    )


@pytest.mark.parametrize("key", ["finetuning-tasks", "fineTuningTasks"])
def test_a_model_for_other_tasks_is_refused(key: str) -> None:
    with pytest.raises(PermanentError) as caught:
        require_chat_completion("Llama-2-13b", {}, {key: "text-classification, text-generation"})

    assert caught.value.code == "ModelNotFineTunable"
    assert "text-classification, text-generation" in caught.value.message


@pytest.mark.parametrize(
    "properties", [{}, {"finetuning-tasks": "chat-completion"}, {"fineTuningTasks": "['chat-completion']"}]
)
def test_a_model_for_chats_or_that_does_not_say_passes(properties: dict[str, str]) -> None:
    require_chat_completion("Phi-4", {}, properties)


def test_a_tag_of_thousands_of_mistakes_leaves_the_log_alone() -> None:
    code = "from shared.finetuning.model_tags import literal_tag; literal_tag({'x': '1' + 'j+1' * 15000}, 'x')"
    done = subprocess.run([sys.executable, "-W", "always", "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert "MalformedModelTag" in done.stderr
    assert len(done.stderr) < 5000
