"""Stands in for the training program: same protocol, no torch. The training file says how it goes."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any


def emit(**event: object) -> None:
    print(json.dumps({**event, "time": time.time()}), flush=True)


def fail(step: str, message: str) -> int:
    emit(type="step_started", step=step)
    emit(type="step_failed", step=step, code="UserError", message=message)
    return 1


def main() -> int:
    job: dict[str, Any] = json.loads(Path(sys.argv[sys.argv.index("--job") + 1]).read_text())
    inputs: dict[str, str] = job["inputs"]
    if "train_file_path" not in inputs:
        return fail("ft_nlp_common_validation", "Input train_file_path is required.")
    orders = Path(inputs["train_file_path"]).read_text().splitlines()
    print("reading the data", file=sys.stderr, flush=True)
    print("a library says something that is no event", flush=True)
    for order in orders:
        if order.startswith("fail in "):
            return fail(*order.removeprefix("fail in ").split(": ", 1))
    if "bad data" in orders:
        return fail("chat_completion_datapreprocess", "Dataset has 3 rows, at least 10 are needed.")
    emit(type="step_started", step="chat_completion_datapreprocess")
    emit(type="step_completed", step="chat_completion_datapreprocess")
    emit(type="step_started", step="chat_completion_finetune")
    for at in range(1, 4):
        emit(type="metric", step="chat_completion_finetune", name="loss", value=3.0 / at, at=at, total=3)
    for order in orders:
        if order.startswith("eval_loss "):
            value = float(order.removeprefix("eval_loss "))
            emit(type="metric", step="chat_completion_finetune", name="eval_loss", value=value, at=3, total=3)
    if "crash" in orders:
        os._exit(7)
    while "wait" in orders and not (Path(job["work_dir"]).parents[2] / "go on").exists():
        time.sleep(0.02)
    model = Path(job["outputs"]["mlflow_model_folder"])
    (model / "MLmodel").write_text("flavors: {}\n")
    (model / "inputs.json").write_text(json.dumps(inputs))
    if "unloadable" in orders:
        (model / "broken").touch()
    if any("unfriendly" in order for order in orders):
        (model / "unfriendly").touch()
    emit(type="step_completed", step="chat_completion_finetune")
    return 0


if __name__ == "__main__":
    sys.exit(main())
