"""`python -m cli idle` against a workspace of the local cloud, which has no ledger and no app."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.__main__ import app
from localcloud.azureml.endpoints import Deployment, Endpoint
from localcloud.azureml.usage import Usage
from localcloud.config import LOCATION, RESOURCE_GROUP, SUBSCRIPTION_ID, WORKSPACE, CloudConfig
from localcloud.server import DATABASE
from localcloud.store import Collection, Store
from shared import names
from tests.integration.azureml_support import Cloud, create_endpoint, new_config, running

pytestmark = pytest.mark.localcloud

DAY = 24 * 3600
ROOT = Path(__file__).parents[2]
ENDPOINTS = ("fresh", "kept", "managed", "quiet", "used")


@pytest.fixture(scope="module")
def old_config(tmp_path_factory: pytest.TempPathFactory) -> CloudConfig:
    """A workspace whose endpoints are five days old, but for `fresh`; `used` was called ten minutes ago."""
    config = new_config(tmp_path_factory.mktemp("idle"))
    with running(config) as cloud:
        for name in ENDPOINTS:
            create_endpoint(cloud, name)
    return config


@pytest.fixture
def cloud(old_config: CloudConfig, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    grow_old(old_config)
    with running(old_config) as found:
        for name, value in {
            "AZURE_SUBSCRIPTION_ID": SUBSCRIPTION_ID,
            "AZURE_RESOURCE_GROUP": RESOURCE_GROUP,
            "AZUREML_WORKSPACE": WORKSPACE,
            "AZURE_LOCATION": LOCATION,
            "ARM_ENDPOINT": old_config.azure_url,
            "METRICS_ENDPOINT": f"{old_config.azure_url}/metrics/{LOCATION}",
            "PRICES_ENDPOINT": "https://127.0.0.1:1/",
        }.items():
            monkeypatch.setenv(name, value)
        yield found


def grow_old(config: CloudConfig) -> None:
    """Back to how everything was: five days old, unmarked, each with a deployment."""
    store = Store(Path(config.state_dir) / DATABASE)
    endpoints = Collection(store, "endpoints", Endpoint, index=("pending",))
    deployments = Collection(store, "deployments", Deployment, index=("pending",))
    then = time.time() - 5 * DAY
    tags = {"kept": {names.TAG_KEEP: "true"}, "managed": {names.TAG_OWNER: "somebody's app"}}
    template = next(iter(endpoints.all()))
    for name in ENDPOINTS:
        born = time.time() - 600 if name == "fresh" else then
        endpoints.put(
            name,
            replace(
                template,
                name=name,
                tags=tags.get(name, {}),
                created=born,
                modified=born,
                deleted=None,
                pending="Creating",
            ),
        )
        deployments.put(
            f"{name}/blue",
            Deployment(
                name=f"{name}/blue".partition("/")[2],
                endpoint=name,
                properties={
                    "model": "azureml:m:1",
                    "instanceType": "Standard_DS3_v2",
                    "endpointComputeType": "Managed",
                },
                tags={},
                sku={"name": "Default", "capacity": 2},
                pending="Creating",
                operation=template.operation,
                created=born,
                modified=born,
                serving=1,
            ),
        )
    Usage(store, wall=lambda: time.time() - 600).record("used", "blue", 200)
    store.close()


def run(*arguments: str) -> tuple[int, list[dict[str, Any]]]:
    result = CliRunner().invoke(app, ["idle", *arguments, "--json"])
    return result.exit_code, json.loads(result.stdout) if result.exit_code in (0, 1) and result.stdout else []


def verdicts(rows: list[dict[str, Any]]) -> dict[str, str]:
    return {row["endpoint"]: row["verdict"] for row in rows}


def mark_long_ago(cloud: Cloud, name: str) -> None:
    """Marked a day ago, and unchanged since."""
    cloud.arm("PATCH", f"/onlineEndpoints/{name}", {"tags": {names.TAG_IDLE_SINCE: moment(DAY)}})
    age(cloud, name, time.time() - DAY)


def age(cloud: Cloud, name: str, modified: float) -> None:
    store = Store(Path(cloud.config.state_dir) / DATABASE)
    endpoints = Collection(store, "endpoints", Endpoint, index=("pending",))
    found = endpoints.get(name)
    assert found is not None
    endpoints.put(name, replace(found, modified=modified))
    store.close()


def moment(seconds_ago: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() - seconds_ago))


def tags_of(cloud: Cloud, name: str) -> dict[str, str]:
    return dict(cloud.arm("GET", f"/onlineEndpoints/{name}").json()["tags"])


def test_the_report_says_what_is_idle_and_why_the_rest_is_not(cloud: Cloud) -> None:
    code, rows = run("report")

    assert code == 1
    assert verdicts(rows) == {"fresh": "keep", "kept": "keep", "managed": "keep", "quiet": "mark", "used": "keep"}
    reasons = {row["endpoint"]: row["reason"] for row in rows}
    assert "changed" in reasons["fresh"]
    assert reasons["kept"] == "tag droptune-keep"
    assert reasons["managed"].startswith("managed by droptune")
    assert "last request before" in reasons["used"]
    assert rows[3]["deployments"] == [{"name": "blue", "instance_type": "Standard_DS3_v2", "instance_count": 2}]
    assert rows[3]["hourly_cost"] is None


def test_a_report_on_what_is_in_use_ends_with_0(cloud: Cloud) -> None:
    assert run("report", "used", "kept")[0] == 0


def test_nothing_is_marked_without_apply(cloud: Cloud) -> None:
    code, rows = run("mark")

    assert code == 1
    assert [row["refused"] for row in rows if row["verdict"] == "mark"] == ["only with --apply"]
    assert names.TAG_IDLE_SINCE not in tags_of(cloud, "quiet")


def test_idle_endpoints_are_marked_and_wait_for_their_grace(cloud: Cloud) -> None:
    assert run("mark", "--apply")[0] == 0
    assert tags_of(cloud, "quiet")[names.TAG_IDLE_SINCE]
    assert [tags_of(cloud, name).get(names.TAG_IDLE_SINCE) for name in ("fresh", "kept", "managed", "used")] == [
        None
    ] * 4

    code, rows = run("delete", "--apply", "--yes", "quiet")
    assert (code, verdicts(rows)["quiet"]) == (0, "marked")
    assert cloud.arm("GET", "/onlineEndpoints/quiet").status_code == 200


def test_an_endpoint_that_is_used_again_loses_its_mark(cloud: Cloud) -> None:
    mark_long_ago(cloud, "used")

    assert verdicts(run("report")[1])["used"] == "unmark"
    assert run("mark", "--apply")[0] == 0
    assert tags_of(cloud, "used")[names.TAG_IDLE_SINCE] == ""


def test_what_was_marked_is_deleted_only_with_apply_and_the_name(cloud: Cloud) -> None:
    mark_long_ago(cloud, "quiet")

    assert run("delete")[0] == 1
    code, rows = run("delete", "--apply")
    assert (code, [row["refused"] for row in rows if row["verdict"] == "delete"]) == (1, ["not confirmed"])
    assert run("delete", "--apply", "--yes", "used")[0] == 1
    assert cloud.arm("GET", "/onlineEndpoints/quiet").json()["properties"]["provisioningState"] == "Succeeded"

    assert run("delete", "--apply", "--yes", "quiet")[0] == 0
    answer = cloud.arm("GET", "/onlineEndpoints/quiet")
    assert answer.status_code == 404 or answer.json()["properties"]["provisioningState"] == "Deleting"


@pytest.mark.parametrize(("typed", "code"), [("quiet\n", 0), ("used\n", 1), ("\n", 1)])
def test_whoever_is_there_types_the_name(cloud: Cloud, typed: str, code: int) -> None:
    mark_long_ago(cloud, "quiet")
    keyboard, terminal = pty.openpty()
    try:
        command = [sys.executable, "-m", "cli", "idle", "delete", "--apply"]
        with subprocess.Popen(
            command, cwd=ROOT, stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            os.write(keyboard, typed.encode())
            output, errors = process.communicate(timeout=60)
    finally:
        os.close(keyboard)
        os.close(terminal)

    assert process.returncode == code, errors
    assert "Type quiet to delete it" in errors
    assert "quiet" in output


def test_what_somebody_changed_after_it_was_marked_is_not_deleted(cloud: Cloud) -> None:
    mark_long_ago(cloud, "quiet")
    age(cloud, "quiet", time.time() - DAY + 3600)

    code, rows = run("delete", "quiet", "--apply", "--yes", "quiet")

    assert (code, verdicts(rows)) == (1, {"quiet": "unmark"})


def test_a_monitor_that_does_not_answer_is_not_taken_for_silence(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    mark_long_ago(cloud, "quiet")
    monkeypatch.setenv("METRICS_ENDPOINT", "https://127.0.0.1:1")
    result = CliRunner().invoke(app, ["idle", "delete", "--apply", "--yes", "quiet", "--json"])

    assert result.exit_code == 2
    assert {row["verdict"] for row in json.loads(result.stdout)} == {"keep"}
    assert cloud.arm("GET", "/onlineEndpoints/quiet").status_code == 200


def test_a_resource_manager_that_is_asked_too_often_makes_it_slower_and_nothing_else(cloud: Cloud) -> None:
    verdict = verdicts(run("report")[1])
    cloud.control("POST", "/limits", {"requests": 3, "request_seconds": 1.0, "retry_after": True})
    began = time.monotonic()
    try:
        code, rows = run("report")
    finally:
        cloud.control("DELETE", "/limits")

    assert (code, verdicts(rows)) == (1, verdict)
    assert time.monotonic() - began >= 1


@pytest.mark.parametrize(
    ("environment", "arguments", "message"),
    [
        ({"ARM_ENDPOINT": "https://127.0.0.1:1"}, (), "list onlineEndpoints"),
        ({"AZUREML_WORKSPACE": ""}, (), "--workspace must be given"),
        ({"METRICS_DELAY_MINUTES": "soon"}, (), "METRICS_DELAY_MINUTES"),
        ({}, ("nobody",), "has no endpoint nobody"),
    ],
)
def test_what_can_not_be_checked_ends_with_2_and_one_line(
    cloud: Cloud,
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    result = CliRunner().invoke(app, ["idle", "report", *arguments])

    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_people_get_a_table(cloud: Cloud) -> None:
    result = CliRunner().invoke(app, ["idle", "report"], env={"COLUMNS": "200"})

    assert "quiet" in result.stdout
    assert "5 endpoints: 4 keep, 1 mark" in result.stdout
