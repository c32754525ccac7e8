"""Deployments are resources; scoring processes come when they are called and go when they are not."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from localcloud.azureml.limits import CurrentLimits
from localcloud.azureml.registry import Registry
from localcloud.config import CloudConfig, RegistryComponent, Scoring
from localcloud.store import Store
from tests.integration.azureml_support import (
    Cloud,
    create_endpoint,
    deploy,
    deployment_body,
    environment,
    job_body,
    job_ended,
    new_config,
    running,
    score,
    state_of,
    until,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

PROCESSES = 2


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Its jobs give out a model that lies there already; only two scoring processes may live."""
    folder = tmp_path_factory.mktemp("scoring")
    (folder / "premade").mkdir()
    (folder / "premade" / "MLmodel").touch()
    command = (sys.executable, "-m", "localcloud.premade", "--model", str(folder / "premade"))
    config = new_config(
        folder,
        components=(
            RegistryComponent("chat_completion_pipeline", "0.0.82", command),
            RegistryComponent(
                "nothing_there",
                "1",
                (sys.executable, "-m", "localcloud.premade", "--model", str(folder / "missing")),
                inputs={"note": {"type": "string", "optional": False}},
                outputs={"mlflow_model_folder": {"type": "mlflow_model"}},
            ),
        ),
        scoring=Scoring(processes=PROCESSES, idle_seconds=1.5),
    )
    with running(config) as cloud, environment(config):
        yield cloud


@pytest.fixture(scope="module")
def model(cloud: Cloud) -> str:
    return premade_model(cloud, "shared")


def premade_model(cloud: Cloud, name: str) -> str:
    body = job_body("")
    del body["properties"]["jobs"]["node"]["inputs"]["train_file_path"]
    assert cloud.arm("PUT", f"/jobs/{name}", body).status_code == 201
    assert job_ended(cloud, name)["status"] == "Completed"
    uri = f"azureml://jobs/{name}/outputs/trained_model"
    answer = cloud.arm("PUT", f"/models/{name}/versions/1", {"properties": {"modelUri": uri}})
    return str(answer.json()["id"])


def living(cloud: Cloud) -> list[int]:
    """Scoring processes of this cloud, a child of this process as others may be."""
    children = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    pids = [int(pid) for file in children for pid in file.read_text().split()]
    commands = {pid: Path(f"/proc/{pid}/cmdline").read_text() for pid in pids}
    return [pid for pid, command in commands.items() if "scoring.py" in command and cloud.config.state_dir in command]


def test_a_model_that_is_known_to_load_costs_no_process_until_it_is_called(cloud: Cloud, model: str) -> None:
    create_endpoint(cloud, "on-demand")
    assert deploy(cloud, "on-demand", "first", model) == "Succeeded"
    before = living(cloud)

    for number in range(4):
        assert deploy(cloud, "on-demand", f"more-{number}", model) == "Succeeded"

    assert set(living(cloud)) <= set(before)
    log = cloud.arm("POST", "/onlineEndpoints/on-demand/deployments/more-1/getLogs", {}).json()["content"]
    assert "waiting for the first request" in log
    assert score(cloud, "on-demand", "hi", deployment="more-1").json()["output"] == "you said hi"


def test_the_one_that_was_called_the_longest_ago_makes_room(cloud: Cloud, model: str) -> None:
    create_endpoint(cloud, "crowded")
    for name in ("one", "two", "three"):
        assert deploy(cloud, "crowded", name, model) == "Succeeded"

    pids = {}
    for name in ("one", "two", "one", "three"):
        pids[name] = score(cloud, "crowded", "hi", deployment=name).json()["pid"]
        assert len(living(cloud)) <= PROCESSES

    assert score(cloud, "crowded", "hi", deployment="one").json()["pid"] == pids["one"]
    assert score(cloud, "crowded", "hi", deployment="two").json()["pid"] != pids["two"]


def test_an_idle_process_ends_and_comes_back_when_it_is_called(cloud: Cloud, model: str) -> None:
    create_endpoint(cloud, "sleepy")
    assert deploy(cloud, "sleepy", "blue", model) == "Succeeded"
    first = score(cloud, "sleepy", "hi", deployment="blue").json()["pid"]

    until(lambda: not living(cloud))

    assert score(cloud, "sleepy", "hi", deployment="blue").json()["pid"] != first


def test_a_deployment_that_gets_another_model_serves_that_one(cloud: Cloud, model: str) -> None:
    other = premade_model(cloud, "other")
    create_endpoint(cloud, "changing")
    assert deploy(cloud, "changing", "blue", model) == "Succeeded"
    first = score(cloud, "changing", "hi", deployment="blue").json()["pid"]

    assert deploy(cloud, "changing", "blue", other) == "Succeeded"

    assert score(cloud, "changing", "hi", deployment="blue").json()["pid"] != first


def test_a_configured_component_is_offered_and_its_failure_is_the_jobs(cloud: Cloud) -> None:
    body = job_body("")
    node = body["properties"]["jobs"]["node"]
    node["componentId"] = "azureml://registries/azureml/components/nothing_there/versions/1"
    node["inputs"] = {"note": {"job_input_type": "literal", "value": "x"}}

    cloud.arm("PUT", "/jobs/fails", body)

    job = job_ended(cloud, "fails")
    assert job["status"] == "Failed"
    assert "does not exist" in job["error"]["cause"]
    component = cloud.registry_client().components.get(name="nothing_there", version="1")
    assert set(component.inputs) == {"note"}


def test_a_component_without_an_interface_is_refused(tmp_path: Path) -> None:
    config = new_config(tmp_path, components=(RegistryComponent("unknown", "1", ("true",)),))

    with pytest.raises(ValueError, match="unknown is not built in"):
        Registry(config, CurrentLimits(Store(tmp_path / "azure.db"), config.limits))


def test_the_configuration_with_its_components_is_read_back_as_it_was_written(cloud: Cloud) -> None:
    assert CloudConfig.load(cloud.config.file) == cloud.config


def test_a_deployment_costs_its_instances_for_its_life(cloud: Cloud, model: str) -> None:
    cloud.control("POST", "/progress", {"mode": "manual"})
    try:
        cloud.arm("PUT", "/onlineEndpoints/costly", {"location": "eastus", "properties": {"authMode": "Key"}})
        cloud.control("POST", "/advance", {"seconds": 60})
        path = "/onlineEndpoints/costly/deployments/blue"
        body = {**deployment_body(model), "sku": {"name": "Default", "capacity": 2}}
        cloud.arm("PUT", path, body)
        until(lambda: advanced(cloud, path))
        begun = found(cloud)["created"]
        cloud.control("POST", "/advance", {"seconds": 3600 - (cloud.control("GET", "/health")["now"] - begun)})
        cloud.arm("PUT", path, {**body, "sku": {"name": "Default", "capacity": 1}})
        cloud.control("POST", "/advance", {"seconds": 1800})
        until(lambda: advanced(cloud, path, 0))

        seen = found(cloud)
        assert seen["lifetime_seconds"] == 5400
        assert seen["cost"] == pytest.approx(3.673 * 2.5)
        cloud.arm("DELETE", "/onlineEndpoints/costly")
        cloud.control("POST", "/advance", {"seconds": 36000})
        gone = found(cloud)
        assert gone["state"] == "Deleted"
        assert gone["lifetime_seconds"] < 5410
        assert gone["created_at"] < gone["deleted_at"]
        assert len(gone["deleted_at"].partition(".")[2]) == len("000000+00:00")
        total = cloud.control("GET", "/resources")["cost"]
        assert total["total"] >= gone["cost"]
        assert total["currency"] == "USD"
    finally:
        cloud.control("POST", "/progress", {"mode": "scaled"})


def advanced(cloud: Cloud, path: str, seconds: float = 1) -> bool:
    cloud.control("POST", "/advance", {"seconds": seconds})
    time.sleep(0.02)
    return state_of(cloud, path) == "Succeeded"


def found(cloud: Cloud) -> dict[str, Any]:
    [seen] = [item for item in cloud.control("GET", "/resources")["deployments"] if item["endpoint"] == "costly"]
    return dict(seen)
