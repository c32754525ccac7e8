"""A causal language model on disk: where its parts are, how they are loaded, how an MLflow folder is written.

Azure ML's MLflow layout, with the flavor of its own models::

    MLmodel
    data/model/      config.json, model.safetensors, generation_config.json, tokenizer
    data/adapter/    LoRA weights that were not merged
    data/tokenizer/  the tokenizer, in models that keep it apart

A folder with config.json at its top is in plain Hugging Face layout.
"""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger(__name__)

TASK = "chat-completion"

# For tokenizers of base models that were never meant to chat. Roles are plain text, so that no token is needed that
# the model has never seen; the end of an answer is the model's own end-of-sequence token. A line break, not a space,
# comes before what is said: a space would become part of the first word's token in training, and be a token of its
# own in the prompt.
DEFAULT_CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{ message['role'] + ':\\n' }}"
    "{%- if message['role'] == 'assistant' -%}"
    "{% generation %}{{ message['content'] + eos_token }}{% endgeneration %}"
    "{%- else -%}{{ message['content'] }}{%- endif -%}"
    "{{ '\\n' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ 'assistant:\\n' }}{%- endif -%}"
)


class ModelFolderError(Exception):
    """The folder holds no causal language model that transformers can load. Says which folder and what is wrong."""


@dataclass(frozen=True)
class ModelFolder:
    weights: Path
    tokenizer: Path
    adapter: Path | None = None


@dataclass(frozen=True)
class LoadedModel:
    """A transformers model and its tokenizer, which has a chat template and a padding token."""

    model: Any
    tokenizer: Any


def find_model(folder: Path) -> ModelFolder:
    """Where the parts are in a folder of either layout. Raises ModelFolderError."""
    if not folder.is_dir():
        raise ModelFolderError(f"There is no model folder {folder}.")
    weights = next((f for f in (folder / "data" / "model", folder) if (f / "config.json").is_file()), None)
    if weights is None:
        raise ModelFolderError(f"{folder} has neither config.json nor data/model/config.json.")
    kept_apart = folder / "data" / "tokenizer"
    adapter = folder / "data" / "adapter" if weights != folder else folder / "adapter"
    return ModelFolder(
        weights=weights,
        tokenizer=kept_apart if kept_apart.is_dir() else weights,
        adapter=adapter if (adapter / "adapter_config.json").is_file() else None,
    )


def load_model(folder: Path) -> LoadedModel:
    """Load for the processor in 32-bit floating point; never looks at the network. Raises ModelFolderError."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    found = find_model(folder)
    try:
        tokenizer = AutoTokenizer.from_pretrained(found.tokenizer, local_files_only=True)
        model = AutoModelForCausalLM.from_pretrained(found.weights, local_files_only=True, dtype=torch.float32)
        if found.adapter is not None:
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, found.adapter)
    except Exception as error:  # transformers, safetensors, tokenizers and peft have no common base
        raise ModelFolderError(f"The model in {folder} can not be loaded: {error}") from error
    _complete(tokenizer, folder)
    return LoadedModel(model, tokenizer)


def _complete(tokenizer: Any, folder: Path) -> None:
    """Give the tokenizer what every chat model needs and plain base models lack."""
    if tokenizer.eos_token is None:
        raise ModelFolderError(f"The tokenizer in {folder} has no end-of-sequence token.")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.chat_template is None:
        log.info("the tokenizer has no chat template: the default one is used")
        tokenizer.chat_template = DEFAULT_CHAT_TEMPLATE


def write_plain_model(folder: Path, loaded: LoadedModel, *, adapter: Path | None = None) -> None:
    """Write Hugging Face layout, with a copy of the folder `adapter` in it; whatever was there is replaced."""
    _clear(folder)
    _write_parts(loaded, adapter, weights=folder, adapter_copy=folder / "adapter")


def write_mlflow_model(
    folder: Path,
    loaded: LoadedModel,
    *,
    adapter: Path | None = None,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write MLflow layout, with a copy of the folder `adapter` in it; whatever was there is replaced."""
    _clear(folder)
    data = folder / "data"
    _write_parts(loaded, adapter, weights=data / "model", adapter_copy=data / "adapter")
    (folder / "MLmodel").write_text(_mlmodel(loaded, metadata or {}), encoding="utf-8")


def _clear(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _write_parts(loaded: LoadedModel, adapter: Path | None, *, weights: Path, adapter_copy: Path) -> None:
    loaded.model.save_pretrained(weights)
    loaded.tokenizer.save_pretrained(weights)
    if adapter is not None:
        shutil.copytree(adapter, adapter_copy)


def _mlmodel(loaded: LoadedModel, metadata: Mapping[str, str]) -> str:
    import torch
    import transformers

    described = {
        "artifact_path": "mlflow_model_folder",
        "flavors": {
            "hftransformersv2": {
                "hf_config_class": "AutoConfig",
                "hf_pretrained_class": "AutoModelForCausalLM",
                "hf_tokenizer_class": "AutoTokenizer",
                "model_architecture": type(loaded.model).__name__,
                "model_data": "data",
                "pytorch_version": str(torch.__version__),
                "task_type": TASK,
                "transformers_version": transformers.__version__,
            },
            "python_function": {"data": "data", "loader_module": "azureml.evaluate.mlflow.hftransformers"},
        },
        "metadata": {"base_model_task": TASK, **metadata},
        "signature": {
            "inputs": '[{"type": "string", "name": "input_string"}]',
            "outputs": '[{"type": "string", "name": "output"}]',
            "params": None,
        },
    }
    return yaml.safe_dump(described, sort_keys=False)
