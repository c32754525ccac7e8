"""The command-line program from upload to cancel, against the app on a local cloud, as a user's shell runs it."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from demo.topology import app_settings
from tests.e2e.playground import Playground, running
from tests.e2e.stub_cloud import small_dataset, stub_topology

pytestmark = pytest.mark.localcloud
ROOT = Path(__file__).resolve().parents[2]
DEADLINE = 90


@dataclass(frozen=True)
class Shell:
    environment: dict[str, str]

    def run(self, *arguments: str, code: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "cli", *arguments],
            cwd=ROOT,
            env={**self.environment, **more},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--json").stdout)

    def until(self, dataset: str, state: str) -> dict[str, Any]:
        end = time.monotonic() + DEADLINE
        while True:
            tunings = self.json("status", "--dataset", dataset)["tunings"]
            if tunings and tunings[0]["state"] == state:
                return dict(tunings[0])
            assert time.monotonic() < end, tunings
            time.sleep(0.5)


@pytest.fixture(scope="module")
def playground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playground]:
    with running(stub_topology(tmp_path_factory.mktemp("cli"))) as found:
        yield found


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_dataset(tmp_path_factory.mktemp("dataset"))


@pytest.fixture(scope="module")
def shell(playground: Playground) -> Shell:
    config = playground.cloud.config
    return Shell(
        {
            **os.environ,
            "COLUMNS": "200",
            "DROPTUNE_URL": config.functions_url,
            "DROPTUNE_KEY": playground.cloud.function_key(),
            "STORAGE__blobServiceUri": config.blob_url,
        }
    )


@pytest.fixture(scope="module")
def live(shell: Shell, dataset: Path) -> dict[str, Any]:
    shell.run("upload", str(dataset), "--dataset", "desk", "--version", "v1")
    return shell.until("desk", "live")


def test_an_uploaded_folder_becomes_a_live_tuning(shell: Shell, live: dict[str, Any]) -> None:
    board = shell.run("status").stdout
    assert live["id"] in board
    assert "live" in board
    page = shell.run("show", live["id"]).stdout
    assert f"live on endpoint {live['endpoint']}" in page


def test_what_lies_there_already_is_not_sent_again(shell: Shell, dataset: Path, live: dict[str, Any]) -> None:
    said = shell.run("upload", str(dataset), "--dataset", "desk", "--version", "v1").stdout
    assert said.count("unchanged desk/v1/") == 3
    assert len(shell.json("status", "--dataset", "desk")["tunings"]) == 1


def test_nothing_of_an_invalid_folder_is_uploaded(shell: Shell, dataset: Path, tmp_path: Path) -> None:
    for file in dataset.glob("*.jsonl"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    with (tmp_path / "test_sft.jsonl").open("ab") as split:
        split.write(b'{"messages": []}\n')
    shell.run("upload", str(tmp_path), "--dataset", "broken", "--version", "v1", code=1)
    assert shell.json("status", "--dataset", "broken")["tunings"] == []


def test_costs_are_a_table_and_csv(shell: Shell, live: dict[str, Any]) -> None:
    assert "avoided" in shell.run("costs").stdout
    rows = list(csv.DictReader(io.StringIO(shell.run("costs", "--csv").stdout)))
    assert {row["dataset"] for row in rows} <= {"desk"}


def test_the_app_says_why_it_refuses(shell: Shell, live: dict[str, Any]) -> None:
    assert "NotReplayable" in shell.run("replay", live["id"], code=1).stderr
    assert "NotCancelable" in shell.run("cancel", live["id"], code=1).stderr
    assert "NotFound" in shell.run("show", "nobody-v1-00000000", code=1).stderr


def test_a_tuning_under_way_is_canceled(shell: Shell, playground: Playground, dataset: Path) -> None:
    later = {"operation": "OnlineDeployments_CreateOrUpdate", "status": 503, "times": 1000}
    playground.control("faults", later)
    shell.run("upload", str(dataset), "--dataset", "unwanted", "--version", "v1")
    tuning = shell.until("unwanted", "deploying")
    assert tuning["id"] in shell.run("cancel", tuning["id"]).stdout
    assert shell.until("unwanted", "failed")["reason"]["code"] == "Canceled"


def test_who_is_nobody_or_asks_nobody_gets_one_line(shell: Shell) -> None:
    for more in ({"DROPTUNE_URL": ""}, {"DROPTUNE_KEY": "wrong"}, {"DROPTUNE_URL": "http://127.0.0.1:9"}):
        error = shell.run("status", code=2, **more).stderr
        assert len(error.splitlines()) == 1
        assert "wrong" not in error


def test_the_doctor_finds_a_healthy_installation_healthy(shell: Shell, playground: Playground, live: Any) -> None:
    findings = {item["check"]: item for item in json.loads(_doctor(shell, playground, 0))}
    assert {name for name, item in findings.items() if item["health"] == "wrong"} == set()
    assert findings["settings"]["found"].startswith("complete")
    assert "takes Microsoft.Storage.BlobCreated" in findings["blob events"]["found"]
    assert "can be fine-tuned" in findings["model"]["found"]


@pytest.mark.parametrize(
    ("setting", "value", "check", "found"),
    [
        ("AZUREML_WORKSPACE", "elsewhere", "workspace", "Workspace not found"),
        ("BASE_MODEL", "nobody-trains-it", "model", "nobody-trains-it"),
        ("INFERENCE_INSTANCE_TYPE", "Standard_Tiny", "quota", "Standard_Tiny is not offered"),
        ("STORAGE__queueServiceUri", "http://127.0.0.1:9/nobody", "queues", ""),
    ],
)
def test_the_doctor_says_what_is_wrong_and_how_to_repair_it(
    shell: Shell, playground: Playground, setting: str, value: str, check: str, found: str
) -> None:
    findings = {item["check"]: item for item in json.loads(_doctor(shell, playground, 1, **{setting: value}))}
    assert findings[check]["health"] == "wrong"
    assert found in findings[check]["found"]
    assert findings[check]["repair"]


def test_the_doctor_counts_the_cores_that_are_free(shell: Shell, playground: Playground, live: Any) -> None:
    playground.control("limits", {"cores": {"standardNCADSA100v4Family": 30}})
    try:
        findings = {item["check"]: item for item in json.loads(_doctor(shell, playground, 1))}
    finally:
        playground.control("limits", {"cores": {}})
    assert "OutOfQuota" in findings["quota"]["found"]
    assert "ask for more cores" in findings["quota"]["repair"]


def _doctor(shell: Shell, playground: Playground, code: int, **more: str) -> str:
    settings = app_settings(playground.cloud.config)
    return shell.run("doctor", "--json", code=code, **{**settings, "IDLE_DRY_RUN": "false", **more}).stdout
