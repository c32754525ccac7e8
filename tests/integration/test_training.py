"""The training program, run as the local cloud runs it."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from demo.dialogues import write_dataset
from localcloud.base_model import CHAT_TEMPLATE, build
from localcloud.scoring.generation import Generator, Sampling
from localcloud.training import pipeline
from localcloud.training.encoding import IGNORED, encode
from localcloud.training.job import TrainingJob
from localcloud.training.model_folder import DEFAULT_CHAT_TEMPLATE, load_model
from localcloud.training.pipeline import STEPS
from localcloud.training.progress import Progress, StepFailedError
from localcloud.training.runtime import prepare

prepare()
pytestmark = pytest.mark.training

LEARN_FAST = {
    "learning_rate": "0.005",
    "per_device_train_batch_size": "8",
    "per_device_eval_batch_size": "32",
    "logging_steps": "5",
}


@dataclass(frozen=True)
class Outcome:
    code: int
    events: Sequence[Mapping[str, Any]]
    log: str
    mlflow: Path
    pytorch: Path

    def steps(self, kind: str) -> list[str]:
        return [event["step"] for event in self.events if event["type"] == kind]

    def values(self, name: str) -> list[float]:
        return [e["value"] for e in self.events if e["type"] == "metric" and e["name"] == name]

    @property
    def failure(self) -> tuple[str, str, str]:
        [event] = [event for event in self.events if event["type"] == "step_failed"]
        return event["step"], event["code"], event["message"]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    build(folder)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_dataset(folder, train=120, test=20, gen=4)
    return folder


def write_job(folder: Path, inputs: Mapping[str, object], *, fast: bool) -> Path:
    file = folder / "job.json"
    job = {
        "inputs": {name: str(value) for name, value in inputs.items()},
        "outputs": {name: str(folder / name) for name in ("mlflow_model_folder", "pytorch_model_folder")},
        "work_dir": str(folder / "work"),
        "fast": fast,
    }
    file.write_text(json.dumps(job))
    return file


def outcome(folder: Path, code: int, out: str, log: str) -> Outcome:
    events = [json.loads(line) for line in out.splitlines()]
    return Outcome(code, events, log, folder / "mlflow_model_folder", folder / "pytorch_model_folder")


def train_in_a_process(folder: Path, inputs: Mapping[str, object], *, fast: bool) -> Outcome:
    job = write_job(folder, inputs, fast=fast)
    command = [sys.executable, "-m", "localcloud.training", "--job", str(job)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return outcome(folder, ended.returncode, ended.stdout, ended.stderr)


def train(folder: Path, inputs: Mapping[str, object], *, fast: bool = False) -> Outcome:
    """The same within this process, which has imported torch already."""
    job = TrainingJob.load(write_job(folder, inputs, fast=fast))
    out, log = io.StringIO(), io.StringIO()
    handler = logging.StreamHandler(log)
    logger = logging.getLogger("localcloud.training")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        pipeline.run(job, Progress(out))
        code = 0
    except StepFailedError:
        code = 1
    finally:
        logger.removeHandler(handler)
    return outcome(folder, code, out.getvalue(), log.getvalue())


def inputs_for(base: Path, data: Path, **more: object) -> dict[str, object]:
    return {
        "mlflow_model_path": base,
        "train_file_path": data / "train_sft.jsonl",
        "test_file_path": data / "test_sft.jsonl",
        "task_name": "ChatCompletion",
        **LEARN_FAST,
        **more,
    }


def answer(folder: Path, question: str) -> str:
    messages = [{"role": "user", "content": question}]
    return Generator.load(folder).answer(messages, Sampling(do_sample=False, max_new_tokens=20))


@pytest.fixture(scope="module")
def fast_run(base: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    inputs = inputs_for(base, data, apply_deepspeed="true")
    return train_in_a_process(tmp_path_factory.mktemp("fast"), inputs, fast=True)


@pytest.fixture(scope="module")
def tuned(base: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return train(tmp_path_factory.mktemp("tuned"), inputs_for(base, data, num_train_epochs=2))


def test_the_same_seed_builds_the_same_base_model(base: Path, tmp_path: Path) -> None:
    build(tmp_path / "again")
    files = sorted(file.relative_to(base) for file in base.rglob("*") if file.is_file())
    assert [(tmp_path / "again" / file).read_bytes() for file in files] == [
        (base / file).read_bytes() for file in files
    ]


def test_the_base_tokenizer_keeps_any_text(base: Path) -> None:
    tokenizer = load_model(base).tokenizer
    text = " Zwölf Boxkämpfer… 東京 🍜\n\ttabs  and 'quotes'"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


THREE_TURNS = [
    {"role": "user", "content": "A table, please"},
    {"role": "assistant", "content": "For how many people?"},
    {"role": "user", "content": "Two"},
    {"role": "assistant", "content": "Done!"},
]


@pytest.mark.parametrize("template", [CHAT_TEMPLATE, DEFAULT_CHAT_TEMPLATE], ids=["own", "default"])
def test_what_the_assistant_says_and_its_end_are_learnt(base: Path, template: str) -> None:
    tokenizer = load_model(base).tokenizer
    tokenizer.chat_template = template
    [example] = encode(tokenizer, "train", [THREE_TURNS], max_length=100)
    learnt = tokenizer.decode([label for label in example.labels if label != IGNORED])
    assert learnt == "For how many people?<|end|>Done!<|end|>"
    assert all(label in (token, IGNORED) for token, label in zip(example.tokens, example.labels, strict=True))


def test_a_template_without_generation_markers_gives_the_same_labels(base: Path) -> None:
    tokenizer = load_model(base).tokenizer
    marked = encode(tokenizer, "train", [THREE_TURNS], max_length=100)
    tokenizer.chat_template = CHAT_TEMPLATE.replace("{% generation %}", "").replace("{% endgeneration %}", "")
    assert encode(tokenizer, "train", [THREE_TURNS], max_length=100) == marked


def test_every_step_starts_and_completes_in_order(fast_run: Outcome) -> None:
    assert fast_run.code == 0, fast_run.log
    names = [
        "ft_nlp_common_validation",
        "chat_completion_model_import",
        "chat_completion_datapreprocess",
        "chat_completion_finetune",
        "chat_completion_model_evaluation",
        "ft_nlp_model_converter",
    ]
    assert fast_run.steps("step_started") == names
    assert fast_run.steps("step_completed") == names


def test_a_fast_run_ends_after_three_steps(fast_run: Outcome) -> None:
    metrics = [event for event in fast_run.events if event["type"] == "metric"]
    assert {event["total"] for event in metrics} == {3}
    assert max(event["at"] for event in metrics) == 3


def test_the_evaluation_loss_is_reported_before_training_and_falls(tuned: Outcome) -> None:
    first = next(event for event in tuned.events if event["type"] == "metric")
    assert (first["name"], first["at"]) == ("eval_loss", 0)
    losses = tuned.values("eval_loss")
    assert len(losses) == 3  # before, and after each of two epochs
    assert losses[-1] < losses[0] * 0.7


def test_the_learning_rate_follows_the_schedule(tuned: Outcome) -> None:
    rates = tuned.values("learning_rate")
    assert rates[0] == pytest.approx(0.005)
    assert rates == sorted(rates, reverse=True)
    assert 0 < rates[-1] < 0.0005


def test_what_a_processor_can_not_do_is_named_in_the_log(fast_run: Outcome) -> None:
    assert "apply_deepspeed=true is ignored" in fast_run.log


def test_the_mlflow_folder_loads_and_answers(tuned: Outcome) -> None:
    assert "hftransformersv2" in (tuned.mlflow / "MLmodel").read_text()
    assert (tuned.mlflow / "data" / "model" / "generation_config.json").is_file()
    assert answer(tuned.mlflow, "Thank you!")


def test_the_pytorch_folder_is_the_same_model(tuned: Outcome) -> None:
    weights = "model.safetensors"
    assert (tuned.pytorch / weights).read_bytes() == (tuned.mlflow / "data" / "model" / weights).read_bytes()


def test_no_output_names_a_path_of_this_machine(tuned: Outcome, base: Path) -> None:
    for file in [*tuned.mlflow.rglob("*.json"), tuned.mlflow / "MLmodel"]:
        assert str(base.parent) not in file.read_text()


def test_the_same_seed_gives_the_same_losses(fast_run: Outcome, base: Path, data: Path, tmp_path: Path) -> None:
    again = train(tmp_path, inputs_for(base, data), fast=True)
    assert again.values("loss") == fast_run.values("loss")
    assert again.values("test_loss") == fast_run.values("test_loss")


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")  # peft asks for it
@pytest.mark.parametrize("merged", ["true", "false"])
def test_lora_improves_a_model_that_is_already_tuned(tuned: Outcome, data: Path, tmp_path: Path, merged: str) -> None:
    lora = {"apply_lora": "true", "merge_lora_weights": merged, "lora_dropout": 0.05}
    run = train(tmp_path, inputs_for(tuned.mlflow, data, max_steps=20, **lora))
    assert run.code == 0, run.log
    losses = run.values("eval_loss")
    assert losses[-1] < losses[0] - 0.1
    assert (run.mlflow / "data" / "adapter").exists() == (merged == "false")
    before, after = (answer(folder, "Thank you!") for folder in (run.mlflow, run.pytorch))
    assert before == after


def test_a_plain_hugging_face_folder_without_a_chat_template_can_be_tuned(
    tuned: Outcome, data: Path, tmp_path: Path
) -> None:
    (tuned.pytorch / "chat_template.jinja").unlink()
    run = train(
        tmp_path,
        {
            **inputs_for(tuned.pytorch, data),
            "mlflow_model_path": "",
            "pytorch_model_path": tuned.pytorch,
        },
        fast=True,
    )
    assert run.code == 0, run.log
    assert "default" in run.log
    assert answer(run.mlflow, "Thank you!") is not None


def test_only_the_last_checkpoints_are_kept(base: Path, data: Path, tmp_path: Path) -> None:
    run = train(
        tmp_path,
        inputs_for(base, data, num_train_epochs=3, save_total_limit=2, per_device_train_batch_size=40),
    )
    assert run.code == 0, run.log
    assert sorted(f.name for f in (tmp_path / "work" / "checkpoints").iterdir()) == ["checkpoint-6", "checkpoint-9"]


def rows(*conversations: object) -> str:
    return "".join(json.dumps({"messages": messages}) + "\n" for messages in conversations)


CHAT = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]

BAD_DATA = [
    pytest.param("", STEPS[0], "has no rows", id="empty"),
    pytest.param('{"prompt": "Hi"}\n' * 12, STEPS[0], "must have the column 'messages'", id="no messages"),
    pytest.param("{oops\n", STEPS[0], "Line 1 of train.jsonl is not JSON", id="not JSON"),
    pytest.param(rows(*[CHAT] * 9), STEPS[2], "9 rows; fine-tuning needs at least 10", id="too few rows"),
    pytest.param(rows(*[CHAT] * 11, CHAT[:1]), STEPS[2], "Row 12 of train_file_path has 1 messages", id="one message"),
    pytest.param(
        rows(*[CHAT] * 11, [{"role": "user"}, CHAT[1]]),
        STEPS[2],
        "chat template can not be applied to conversation",
        id="no content",
    ),
    pytest.param(rows(*[[CHAT[0], CHAT[0]]] * 12), STEPS[2], "No assistant tokens", id="no answers"),
]


@pytest.mark.parametrize(("text", "step", "message"), BAD_DATA)
def test_bad_data_fails_the_step_that_finds_it(base: Path, tmp_path: Path, text: str, step: str, message: str) -> None:
    (tmp_path / "train.jsonl").write_text(text)
    run = train(tmp_path, {"mlflow_model_path": base, "train_file_path": tmp_path / "train.jsonl"}, fast=True)
    assert run.code == 1
    assert run.failure[:2] == (step, "UserError")
    assert message in run.failure[2]
    assert not run.mlflow.exists()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("learning_rate", "fast", "Input learning_rate must be a number, not 'fast'."),
        ("num_train_epochs", "0", "Input num_train_epochs must be at least 1, not 0."),
        ("lr_scheduler_type", "wavy", "Input lr_scheduler_type must be one of linear, cosine"),
        ("apply_lora", "yes", "Input apply_lora must be 'true' or 'false', not 'yes'."),
        ("test_file_path", "/nowhere/rows.jsonl", "Input test_file_path is not a file: rows.jsonl."),
    ],
)
def test_a_bad_input_fails_validation(
    base: Path, data: Path, tmp_path: Path, name: str, value: str, message: str
) -> None:
    run = train(tmp_path, inputs_for(base, data, **{name: value}), fast=True)
    assert run.code == 1
    assert run.failure[:2] == (STEPS[0], "UserError")
    assert message in run.failure[2]


def test_a_folder_without_a_model_fails_the_import(data: Path, tmp_path: Path) -> None:
    run = train(tmp_path, inputs_for(data, data), fast=True)
    assert run.failure[:2] == (STEPS[1], "UserError")
    assert "config.json" in run.failure[2]


def test_a_learning_rate_that_explodes_is_reported_as_such(base: Path, data: Path, tmp_path: Path) -> None:
    run = train(tmp_path, inputs_for(base, data, learning_rate="1e30", max_steps=20))
    assert run.failure == (
        STEPS[3],
        "UserError",
        "The training loss is not a number any more: lower the learning_rate.",
    )


def test_a_job_with_a_bad_input_fails_at_once(base: Path, data: Path, tmp_path: Path) -> None:
    started = time.monotonic()
    run = train_in_a_process(tmp_path, inputs_for(base, data, learning_rate="fast"), fast=True)
    assert run.code == 1
    assert time.monotonic() - started < 3  # importing torch alone takes longer
    assert "Traceback" not in run.log


def test_a_malformed_job_file_is_refused(tmp_path: Path) -> None:
    job = tmp_path / "job.json"
    job.write_text("{}")
    command = [sys.executable, "-m", "localcloud.training", "--job", str(job)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert "is not a training job" in ended.stderr
