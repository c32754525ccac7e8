"""Traps of azure-ai-ml in a process with several threads: that they are there, and that we do not step into them.

Each first test shows the trap with the unmodified SDK. If one fails after an update, the trap is gone and so may
be our way around it; if the other fails, we have stepped into it.
"""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.identity import ManagedIdentityCredential

from localcloud.config import WORKSPACE_ID
from shared.azureml.arm import ArmClient
from shared.azureml.resources import JobRequest
from shared.azureml.sdk import SdkClient, pipeline_specification
from shared.serving.scoring import ScoringClient
from tests.integration.azureml_support import Cloud, create_endpoint, deploy, request_body, set_traffic, until
from tests.integration.lifecycle_harness import app_on

pytest_plugins = ("tests.integration.azureml_fixtures",)
pytestmark = pytest.mark.localcloud

STEP = """
$schema: https://azuremlschemas.azureedge.net/latest/commandComponent.schema.json
name: step
version: "1"
type: command
inputs:
  train_file_path: {type: uri_file}
command: cat ${{inputs.train_file_path}}
environment: azureml:somewhere:1
"""
QUESTION = ({"role": "user", "content": "hello"},)


def files_of(job: Any) -> set[str]:
    return {str(node.inputs["train_file_path"]._data.path) for node in job.jobs.values()}


def test_the_pipeline_decorator_gives_a_job_the_nodes_of_another_thread() -> None:
    from azure.ai.ml import Input, load_component
    from azure.ai.ml.dsl import pipeline

    step = load_component(io.StringIO(STEP))
    first_began, second_began, first_added = threading.Event(), threading.Event(), threading.Event()
    built: dict[str, Any] = {}

    def first() -> None:
        @pipeline(name="first")  # type: ignore[untyped-decorator] # the SDK is not typed
        def create() -> None:
            first_began.set()
            second_began.wait(20)
            step(train_file_path=Input(type="uri_file", path="https://data/first.jsonl"))
            first_added.set()

        built["first"] = create()

    def second() -> None:
        @pipeline(name="second")  # type: ignore[untyped-decorator] # the SDK is not typed
        def create() -> None:
            second_began.set()
            first_added.wait(20)

        first_began.wait(20)
        built["second"] = create()

    threads = [threading.Thread(target=build) for build in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(40)
    assert files_of(built["second"]) == {"https://data/first.jsonl"}


def test_jobs_loaded_from_a_specification_on_eight_threads_have_their_own_nodes() -> None:
    from azure.ai.ml import load_job

    barrier = threading.Barrier(8)
    found: dict[str, str] = {}

    def build(name: str) -> None:
        request = JobRequest(
            name=name,
            display_name=name,
            experiment_name="traps",
            component_id="azureml://registries/azureml/components/chat_completion_pipeline/versions/1",
            model_id="azureml://registries/azureml/models/m/versions/1",
            files={"train_file_path": f"https://data/{name}.jsonl"},
            inputs={},
            tags={},
        )
        barrier.wait()
        for _ in range(5):
            job = load_job(io.StringIO(json.dumps(pipeline_specification(request))))
            (node,) = job.jobs.values()
            found[name] = str(node.inputs["train_file_path"]._data.path)
            if found[name] != f"https://data/{name}.jsonl":
                return

    threads = [threading.Thread(target=build, args=(f"job{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {f"job{number}": f"https://data/job{number}.jsonl" for number in range(8)}


@pytest.fixture(scope="module")
def other_endpoint(azureml_cloud: Cloud, good_model: str) -> str:
    """It has a deployment `red` and nothing else."""
    create_endpoint(azureml_cloud, "trap-other")
    assert deploy(azureml_cloud, "trap-other", "red", good_model) == "Succeeded"
    set_traffic(azureml_cloud, "trap-other", red=100)
    return "trap-other"


@pytest.fixture
def invoke_header() -> Iterator[dict[str, str]]:
    """The SDK's process-wide header dictionary, without what other tests' calls leaked into it, and left so."""
    from azure.ai.ml.constants._endpoint import EndpointInvokeFields

    header: dict[str, str] = EndpointInvokeFields.DEFAULT_HEADER
    clean = {"Content-Type": "application/json"}
    header.clear()
    header.update(clean)
    yield header
    header.clear()
    header.update(clean)


def test_scoring_with_the_sdk_pins_later_calls_to_the_deployment_of_an_earlier_one(
    azureml_cloud: Cloud, served: str, other_endpoint: str, invoke_header: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "request.json"
    file.write_text(json.dumps(request_body("hello")))
    endpoints = azureml_cloud.ml_client().online_endpoints
    assert "you said" in endpoints.invoke(other_endpoint, request_file=str(file))
    assert "you said" in endpoints.invoke(served, request_file=str(file), deployment_name="blue")
    assert invoke_header["azureml-model-deployment"] == "blue"
    with pytest.raises(Exception, match="blue"):
        endpoints.invoke(other_endpoint, request_file=str(file))


def test_our_scoring_client_leaks_nothing_from_call_to_call(
    azureml_cloud: Cloud, served: str, other_endpoint: str
) -> None:
    arm = ArmClient(azureml_cloud.config.azure_url, WORKSPACE_ID, ManagedIdentityCredential())
    targets = []
    for name, deployment in ((served, "blue"), (other_endpoint, "red"), (served, "green")):
        endpoint = arm.get_endpoint(name)
        assert endpoint is not None
        targets.append((endpoint.scoring_uri, arm.endpoint_key(name), deployment))
    client, statuses = ScoringClient(), list[int]()

    def score() -> None:
        for uri, key, deployment in targets * 2:
            statuses.append(client.score(uri, key, deployment, QUESTION, timeout=20).status)

    threads = [threading.Thread(target=score) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 24


def test_beginning_an_operation_leaves_no_thread_behind(azureml_cloud: Cloud) -> None:
    arm = ArmClient(azureml_cloud.config.azure_url, WORKSPACE_ID, ManagedIdentityCredential())
    arm.get_endpoint("trap-threads")
    before = set(threading.enumerate())
    arm.create_endpoint("trap-threads", description="d", tags={})
    ours = {thread.name for thread in set(threading.enumerate()) - before}
    assert not [name for name in ours if "poll" in name.lower()], ours
    until(lambda: (found := arm.get_endpoint("trap-threads")) and not found.busy)
    arm.delete_endpoint("trap-threads")


def test_what_the_sdk_logs_goes_where_the_host_looks(azureml_cloud: Cloud) -> None:
    with app_on(azureml_cloud) as app:
        SdkClient(app.settings, ManagedIdentityCredential()).newest_component(app.settings.component)
    logger = logging.getLogger("azure.ai.ml")
    assert logger.propagate
    assert logger.handlers == []
