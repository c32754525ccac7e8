"""An emulated cloud in a process of its own, whose jobs give out a model folder that lies there already."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from localcloud.azureml.runners import ENVIRONMENT_VARIABLE
from localcloud.config import CloudConfig, RegistryComponent, Scoring
from tests.integration.azureml_support import RUNNERS, environment, is_up, new_config, until

if TYPE_CHECKING:
    from collections.abc import Iterator

FAULTS = (
    ("busy", 0.025, {"status": 429, "headers": {"Retry-After": "0"}}),
    ("broken", 0.02, {"status": 503}),
    ("broken after the work", 0.015, {"status": 503, "after_commit": True}),
    ("closed", 0.01, {"drop": True}),
    ("closed after the work", 0.015, {"drop": True, "after_commit": True}),
    ("slow", 0.01, {"delay": 0.2}),
    ("torn", 0.005, {"trickle": 0.02, "drop": True, "after_commit": True}),
)
"""What goes wrong, and how often: 10 % in all."""


@dataclass
class SoakCloud:
    """The server process may be another after each `restart`."""

    config: CloudConfig
    process: subprocess.Popen[bytes]

    @property
    def log(self) -> Path:
        return Path(self.config.state_dir, "server.log")

    def control(self, method: str, path: str, body: object = None) -> Any:
        answer = httpx.request(
            method,
            f"{self.config.azure_url}/_localcloud/{path}",
            json=body,
            verify=False,
            trust_env=False,
            timeout=60,
        )
        return answer.raise_for_status().json()

    def inject(self, seed: int) -> None:
        self.control(
            "POST",
            "faults",
            [{"operation": "*", "seed": seed, "probability": share, **effect} for _, share, effect in FAULTS],
        )

    def impossible(self) -> list[str]:
        found: list[str] = self.control("GET", "consistency")["impossible"]
        return found

    def restart(self) -> None:
        """The process has ended, or is killed now as by kill -9."""
        self.process.kill()
        self.process.wait()
        self.process = _started(self.config)


@contextmanager
def soak_cloud(folder: Path, **changes: Any) -> Iterator[SoakCloud]:
    model = folder / "premade"
    model.mkdir()
    (model / "MLmodel").write_text("flavors: {}\n")
    command = (sys.executable, "-m", "localcloud.premade", "--model", str(model))
    config = new_config(
        folder,
        components=(RegistryComponent("chat_completion_pipeline", "0.0.82", command),),
        scoring=Scoring(processes=4, idle_seconds=5),
        **changes,
    )
    cloud = SoakCloud(config, _started(config))
    try:
        with environment(config):
            yield cloud
    finally:
        cloud.process.kill()
        cloud.process.wait()


def _started(config: CloudConfig) -> subprocess.Popen[bytes]:
    with Path(config.state_dir, "server.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "localcloud.server", "--config", str(config.file)],
            env={**os.environ, ENVIRONMENT_VARIABLE: json.dumps(asdict(RUNNERS))},
            stdout=log,
            stderr=log,
        )
    until(lambda: is_up(config) or process.poll() is not None, 60)
    assert process.poll() is None, Path(config.state_dir, "server.log").read_text()[-4000:]
    return process
