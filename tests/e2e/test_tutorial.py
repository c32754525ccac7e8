"""Microsoft's fine-tuning notebook, as anybody has it, against a local cloud that was started for it alone."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from localcloud.config import CloudConfig
from tests.e2e.playground import wait_for

pytestmark = [pytest.mark.localcloud, pytest.mark.training]
ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "examples" / "chat_completion.py"


@dataclass(frozen=True)
class Run:
    """What the notebook printed, and everything that there was in the cloud when it had ended."""

    output: str
    resources: dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("cloud")
    output = folder / "output.txt"
    command = [sys.executable, "-m", "localcloud", "--state", str(folder / "state")]
    command += ["--settings", str(NOTEBOOK.with_suffix(".toml"))]
    with output.open("wb") as file:
        process = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT, start_new_session=True)
    try:

        def up() -> bool | None:
            assert process.poll() is None, output.read_text()
            return True if "The local cloud is up" in output.read_text() else None

        wait_for(up, 90, output.read_text)
        yield folder / "state"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def run(state: Path, small_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """In an empty folder but for the dataset, and in the environment that the cloud wrote, as from a shell."""
    folder = tmp_path_factory.mktemp("anywhere")
    shutil.copytree(small_dataset, folder / "ultrachat_200k_dataset")
    ended = subprocess.run(
        ["sh", "-c", '. "$1"; exec "$2" -u "$3"', "sh", str(state / "environment"), sys.executable, str(NOTEBOOK)],
        cwd=folder,
        env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=400,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    config = CloudConfig.load(state / "cloud.json")
    trusted = ssl.create_default_context(cafile=str(config.ca_file))
    answer = httpx.get(f"{config.azure_url}/_localcloud/resources", verify=trusted, trust_env=False)
    return Run(ended.stdout, answer.json())


def test_the_notebook_streams_its_job_to_completion(run: Run) -> None:
    (job,) = run.resources["jobs"]
    assert job["status"] == "Completed"
    assert run.output.index("Streaming logs/azureml/executionlogs.txt") < run.output.index("Execution Summary")
    assert "step ft_nlp_model_converter took" in run.output


def test_the_notebooks_local_files_are_what_the_job_trains_on(run: Run) -> None:
    assert "16 of 160 training rows are held out" in run.output
    assert "16 test rows" in run.output


def test_the_notebook_registers_the_model_of_its_job(run: Run) -> None:
    (job,) = run.resources["jobs"]
    (model,) = run.resources["models"]
    assert model["name"] == "Phi-3-mini-4k-instruct-ultrachat-200k"
    assert model["uri"].endswith(f"jobs/{job['name']}/outputs/trained_model")


def test_the_notebooks_endpoint_answers_and_its_container_logged_it(run: Run) -> None:
    answered = re.search(r"raw response: \n (\{.*\})", run.output)
    assert answered, run.output
    assert isinstance(json.loads(answered[1])["output"], str)
    assert "answered 1 conversations" in run.output[answered.end() :]


def test_the_notebook_deploys_with_all_traffic_and_leaves_nothing_that_costs(run: Run) -> None:
    (endpoint,) = run.resources["endpoints"]
    (deployment,) = run.resources["deployments"]
    assert "traffic:  {'demo': 100}" in run.output
    assert (deployment["name"], deployment["instance_type"]) == ("demo", "Standard_NC6s_v3")
    assert (endpoint["state"], deployment["state"]) == ("Deleted", "Deleted")


def test_a_cloud_that_can_not_be_set_up_as_wanted_says_why_and_does_not_start(tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text("[limits]\nendpoint = 3\n")
    command = [sys.executable, "-m", "localcloud", "--state", str(tmp_path / "state"), "--settings", str(settings)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert str(settings) in ended.stderr
    assert "limits" in ended.stderr
    assert "'endpoint'" in ended.stderr
