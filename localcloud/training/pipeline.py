"""The steps of chat_completion_pipeline, in its order and under its names.

Torch is imported by the first step that needs it, so that a job with bad inputs fails at once.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from localcloud.training import dataset, finetune, parameters, schedule
from localcloud.training.encoding import Example, encode, longest
from localcloud.training.errors import UserError
from localcloud.training.finetune import DivergedError, FineTuning, mean_loss
from localcloud.training.job import MLFLOW_OUTPUT, PYTORCH_OUTPUT, TrainingJob
from localcloud.training.lora import add_adapter, merge_adapter, split_adapter
from localcloud.training.model_folder import (
    LoadedModel,
    ModelFolderError,
    find_model,
    load_model,
    write_mlflow_model,
    write_plain_model,
)

if TYPE_CHECKING:
    from localcloud.training.parameters import Parameters
    from localcloud.training.progress import Progress

log = logging.getLogger(__name__)

VALIDATION = "ft_nlp_common_validation"
MODEL_IMPORT = "chat_completion_model_import"
PREPROCESS = "chat_completion_datapreprocess"
FINETUNE = "chat_completion_finetune"
EVALUATION = "chat_completion_model_evaluation"
CONVERTER = "ft_nlp_model_converter"
STEPS = (VALIDATION, MODEL_IMPORT, PREPROCESS, FINETUNE, EVALUATION, CONVERTER)

TRAIN, VALIDATE, TEST = "train_file_path", "validation_file_path", "test_file_path"
_MODEL_INPUTS = ("mlflow_model_path", "pytorch_model_path")
_FAST_ROWS = 32
"""Rows of each split that a fast run uses, once all of them have been checked."""


@dataclass(frozen=True)
class _Examples:
    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    test: tuple[Example, ...]


def run(job: TrainingJob, progress: Progress) -> None:
    """Raises StepFailedError after reporting which step failed and why."""
    with progress.running(VALIDATION):
        chosen = parameters.parse(job.inputs)
        base = _validate(job)
    with progress.running(MODEL_IMPORT):
        finetune.use_threads_and_seed(chosen.seed)
        loaded = _import_model(base)
    with progress.running(PREPROCESS):
        examples = _preprocess(job, chosen, loaded)
    plan = schedule.plan(chosen, len(examples.train), fast=job.fast)
    with progress.running(FINETUNE):
        model = _finetune(job, chosen, loaded, examples, plan, progress)
    with progress.running(EVALUATION):
        loss = mean_loss(model, examples.test, chosen.per_device_eval_batch_size)
        progress.metric("test_loss", loss, at=plan.total, total=plan.total)
        progress.metric("test_perplexity", math.exp(min(loss, 100.0)), at=plan.total, total=plan.total)
    with progress.running(CONVERTER):
        _convert(job, chosen, LoadedModel(model, loaded.tokenizer))


def _validate(job: TrainingJob) -> Path:
    """The folder of the base model. Raises UserError."""
    for name in job.inputs:
        if name.endswith("_mltable_path"):
            raise UserError(f"Input {name} is not supported by the local cloud: use a file instead.")
    if job.file_input(TRAIN) is None:
        raise UserError(f"Input {TRAIN} is required.")
    for name in (TRAIN, VALIDATE, TEST):
        if file := job.file_input(name):
            dataset.check_file(name, file)
    for name in _MODEL_INPUTS:
        if folder := job.file_input(name):
            return folder
    if job.inputs.get("huggingface_id"):
        raise UserError("Input huggingface_id is not supported by the local cloud: it downloads no models.")
    raise UserError(f"One of the inputs {' and '.join(_MODEL_INPUTS)} is required.")


def _import_model(folder: Path) -> LoadedModel:
    try:
        find_model(folder)  # before torch is imported
        loaded = load_model(folder)
    except ModelFolderError as error:
        raise UserError(str(error)) from error
    if find_model(folder).adapter is not None:
        return LoadedModel(merge_adapter(loaded.model), loaded.tokenizer)
    return loaded


def _preprocess(job: TrainingJob, chosen: Parameters, loaded: LoadedModel) -> _Examples:
    rows = {
        name: dataset.read(name, file) if (file := job.file_input(name)) else () for name in (TRAIN, VALIDATE, TEST)
    }
    splits = dataset.split(rows[TRAIN], rows[VALIDATE], rows[TEST], chosen.seed)
    max_length = longest(loaded.tokenizer, loaded.model.config, chosen.max_seq_length)
    most = _FAST_ROWS if job.fast else None

    def encoded(name: str, conversations: tuple[dataset.Conversation, ...]) -> tuple[Example, ...]:
        return encode(loaded.tokenizer, name, conversations, max_length)[:most]

    examples = _Examples(encoded(TRAIN, splits.train), encoded(VALIDATE, splits.validation), encoded(TEST, splits.test))
    log.info(
        "%d training rows with %d tokens, of which %d are the assistant's; %d validation, %d test rows",
        len(examples.train),
        sum(len(example.tokens) for example in examples.train),
        sum(example.learnt for example in examples.train),
        len(examples.validation),
        len(examples.test),
    )
    return examples


def _finetune(
    job: TrainingJob,
    chosen: Parameters,
    loaded: LoadedModel,
    examples: _Examples,
    plan: schedule.Plan,
    progress: Progress,
) -> object:
    model = add_adapter(loaded.model, chosen) if chosen.apply_lora else loaded.model
    run = FineTuning(
        model,
        examples.train,
        examples.validation,
        chosen,
        plan,
        progress,
        checkpoints=job.work_dir / "checkpoints",
    )
    try:
        run.run()
    except DivergedError as error:
        raise UserError(str(error)) from error
    return model


def _convert(job: TrainingJob, chosen: Parameters, tuned: LoadedModel) -> None:
    model, adapter = tuned.model, None
    if chosen.apply_lora and chosen.merge_lora_weights:
        model = merge_adapter(model)
    elif chosen.apply_lora:
        adapter = job.work_dir / "adapter"
        model = split_adapter(model, adapter)
    plain = LoadedModel(model, tuned.tokenizer)
    if folder := job.outputs.get(MLFLOW_OUTPUT):
        write_mlflow_model(folder, plain, adapter=adapter)
    if folder := job.outputs.get(PYTORCH_OUTPUT):
        write_plain_model(folder, plain, adapter=adapter)
