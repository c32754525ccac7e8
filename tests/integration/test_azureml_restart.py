"""`python -m localcloud.server` is killed in the middle of everything and started again: nothing is forgotten."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from localcloud.azureml.runners import ENVIRONMENT_VARIABLE
from tests.integration.azureml_support import (
    ENDPOINT,
    RUNNERS,
    Cloud,
    RecordingSink,
    create_endpoint,
    deploy,
    environment,
    is_up,
    job_body,
    job_ended,
    new_config,
    score,
    set_traffic,
    trained_model,
    until,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localcloud.config import CloudConfig

pytest_plugins = ("tests.integration.azureml_fixtures",)


@contextmanager
def server_process(config: CloudConfig) -> Iterator[subprocess.Popen[bytes]]:
    with Path(config.state_dir, "server.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "localcloud.server", "--config", str(config.file)],
            env={**os.environ, ENVIRONMENT_VARIABLE: json.dumps(asdict(RUNNERS))},
            stdout=log,
            stderr=log,
        )
    try:
        until(lambda: is_up(config) or process.poll() is not None)
        assert process.poll() is None, Path(config.state_dir, "server.log").read_text()
        yield process
    finally:
        process.kill()
        process.wait()


def children_of(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in listed]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_after_kill_9_jobs_run_again_operations_go_on_and_deployments_serve(
    azureml_cloud: Cloud, tmp_path: Path
) -> None:
    config = new_config(tmp_path, azureml_cloud.config)
    cloud = Cloud(config, RecordingSink())
    with environment(config), closing(cloud):
        with server_process(config) as process:
            model = trained_model(cloud, "before")
            create_endpoint(cloud, "survivor")
            deploy(cloud, "survivor", "blue", model)
            set_traffic(cloud, "survivor", blue=100)
            key = cloud.arm("POST", "/onlineEndpoints/survivor/listKeys").json()["primaryKey"]
            worker = score(cloud, "survivor", "hi", key=key).json()["pid"]
            cloud.arm("PUT", "/jobs/cut-off", job_body(cloud.upload("cut-off.jsonl", "wait")))
            until(lambda: cloud.control("GET", "/jobs/cut-off")["metrics"])
            cloud.control("POST", "/progress", {"mode": "manual"})
            cloud.control("POST", "/limits", {"endpoints": 2})
            cloud.arm("PUT", "/onlineEndpoints/half-made", ENDPOINT)
            running = [*children_of(process.pid), worker]
            process.kill()
            process.wait()
        until(lambda: not any(is_alive(pid) for pid in running))

        (tmp_path / "azureml" / "go on").touch()
        with server_process(config):
            assert cloud.control("GET", "/health")["mode"] == "manual"
            assert cloud.arm("PUT", "/onlineEndpoints/third", ENDPOINT).status_code == 400
            half_made = cloud.arm("GET", "/onlineEndpoints/half-made").json()["properties"]
            assert half_made["provisioningState"] == "Creating"
            cloud.control("POST", "/progress", {"mode": "scaled"})

            answer = score(cloud, "survivor", "hi", key=key)
            assert (answer.status_code, answer.json()["output"]) == (200, "you said hi")
            assert cloud.control("GET", "/jobs/before")["status"] == "Completed"
            job = job_ended(cloud, "cut-off")
            assert job["status"] == "Completed"
            assert len(job["metrics"]) == 3
            assert len(job["steps"]) == 2
            until(
                lambda: (
                    cloud.arm("GET", "/onlineEndpoints/half-made").json()["properties"]["provisioningState"]
                    == "Succeeded"
                )
            )
            half_made = cloud.arm("GET", "/onlineEndpoints/half-made").json()["properties"]
            assert half_made["provisioningState"] == "Succeeded"


def test_a_terminated_server_leaves_no_child_behind(azureml_cloud: Cloud, tmp_path: Path) -> None:
    config = new_config(tmp_path, azureml_cloud.config)
    cloud = Cloud(config, RecordingSink())
    with environment(config), closing(cloud), server_process(config) as process:
        cloud.arm("PUT", "/jobs/running", job_body(cloud.upload("running.jsonl", "wait")))
        until(lambda: cloud.control("GET", "/jobs/running")["metrics"])
        [training] = children_of(process.pid)

        process.terminate()

        assert process.wait(10) == 0
        assert not is_alive(training)
