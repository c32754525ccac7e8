"""The programs that do the real work. Tests replace them by stand-ins with the same protocol."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, fields

ENVIRONMENT_VARIABLE = "LOCALCLOUD_RUNNERS"


@dataclass(frozen=True)
class Runners:
    """Command prefixes.

    training: `--job FILE`, prints JSON lines, see localcloud.azureml.executor.
    scoring: `--model DIR --port N`, then HTTP: GET /health, POST /score.
    base_model: `--out DIR`.
    """

    training: tuple[str, ...] = (sys.executable, "-m", "localcloud.training")
    scoring: tuple[str, ...] = (sys.executable, "-m", "localcloud.scoring")
    base_model: tuple[str, ...] = (sys.executable, "-m", "localcloud.base_model")

    @staticmethod
    def from_environment() -> Runners:
        """LOCALCLOUD_RUNNERS, a JSON object {"training": ["program", "argument"...]...}, over the defaults."""
        given = json.loads(os.environ.get(ENVIRONMENT_VARIABLE, "{}"))
        unknown = set(given) - {field.name for field in fields(Runners)}
        if unknown:
            raise ValueError(f"{ENVIRONMENT_VARIABLE} names unknown runners: {sorted(unknown)}")
        return Runners(**{name: tuple(command) for name, command in given.items()})
