"""The file that says what to train."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MLFLOW_OUTPUT = "mlflow_model_folder"
PYTORCH_OUTPUT = "pytorch_model_folder"


@dataclass(frozen=True)
class TrainingJob:
    """`inputs` are those of the component: literals as text, data and models as absolute paths.

    `fast` trains for a few steps only, for tests of what comes before and after.
    """

    inputs: Mapping[str, str]
    outputs: Mapping[str, Path]
    work_dir: Path
    fast: bool

    @staticmethod
    def load(file: Path) -> TrainingJob:
        """Raises KeyError, TypeError or ValueError for a malformed file."""
        raw = json.loads(file.read_text(encoding="utf-8"))
        return TrainingJob(
            inputs={name: str(value) for name, value in raw["inputs"].items() if value is not None},
            outputs={name: Path(folder) for name, folder in raw["outputs"].items()},
            work_dir=Path(raw["work_dir"]),
            fast=bool(raw.get("fast", False)),
        )

    def file_input(self, name: str) -> Path | None:
        return Path(self.inputs[name]) if self.inputs.get(name) else None
