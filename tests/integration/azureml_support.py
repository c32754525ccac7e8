"""A running emulator of Azure Machine Learning for tests, and the unmodified clients that talk to it."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
import pytest
from azure.identity import ManagedIdentityCredential

from localcloud.azureml import Runners
from localcloud.azurite import azurite_is_up, azurite_process, find_azurite
from localcloud.certs import ensure_certificates
from localcloud.config import (
    RESOURCE_GROUP,
    SUBSCRIPTION_ID,
    WORKSPACE,
    WORKSPACE_ID,
    CloudConfig,
    Durations,
    Ports,
    RegistryModel,
)
from localcloud.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from azure.ai.ml import MLClient
    from azure.ai.ml.entities import PipelineJob

T = TypeVar("T")

STANDINS = Path(__file__).parent / "azureml_standins"
RUNNERS = Runners(
    training=(sys.executable, str(STANDINS / "training.py")),
    scoring=(sys.executable, str(STANDINS / "scoring.py")),
    base_model=(sys.executable, str(STANDINS / "base_model.py")),
)
FAST = Durations().scaled(0.02)
MODEL = "Phi-3-mini-4k-instruct"
ENDPOINT = {"location": "eastus", "properties": {"authMode": "Key"}}


@dataclass(frozen=True)
class Event:
    topic: str
    type: str
    subject: str
    data: Mapping[str, Any]


@dataclass
class RecordingSink:
    """An EventSink that remembers."""

    events: list[Event] = field(default_factory=list)

    def publish(self, topic: str, event_type: str, subject: str, data: Mapping[str, object]) -> None:
        kind = event_type.removeprefix("Microsoft.MachineLearningServices.")
        self.events.append(Event(topic, kind, subject, dict(data)))

    def of_run(self, run_id: str) -> list[str]:
        """Event types of a run; of RunStatusChanged the status."""
        return [event.data.get("runStatus", event.type) for event in self.events if event.data.get("runId") == run_id]


@dataclass
class Cloud:
    config: CloudConfig
    sink: RecordingSink
    tokens: dict[str, str] = field(default_factory=dict)

    @cached_property
    def http(self) -> httpx.Client:
        """Without a token."""
        trusted = ssl.create_default_context(cafile=str(self.config.ca_file))
        return httpx.Client(base_url=self.config.azure_url, verify=trusted, trust_env=False, timeout=30)

    def token(self, resource: str | None = None) -> str:
        wanted = resource or self.config.azure_url
        if wanted not in self.tokens:
            answer = httpx.get(
                self.config.identity_url,
                params={"api-version": "2019-08-01", "resource": wanted},
                headers={"X-IDENTITY-HEADER": self.config.identity_header},
                trust_env=False,
            )
            self.tokens[wanted] = answer.raise_for_status().json()["access_token"]
        return self.tokens[wanted]

    def close(self) -> None:
        self.http.close()

    def arm(self, method: str, path: str, body: object = None, version: str = "2023-04-01-preview") -> httpx.Response:
        """A call to something in the workspace."""
        return self.http.request(
            method,
            WORKSPACE_ID + path,
            params={"api-version": version},
            headers={"Authorization": f"Bearer {self.token()}"},
            json=body,
        )

    def control(self, method: str, path: str, body: object = None) -> Any:
        return self.http.request(method, f"/_localcloud{path}", json=body).raise_for_status().json()

    def ml_client(self, credential: Any = None, **options: Any) -> MLClient:
        """`options` are azure-core's, as `retry_total`."""
        from azure.ai.ml import MLClient

        place = (SUBSCRIPTION_ID, RESOURCE_GROUP, WORKSPACE)
        return MLClient(credential or ManagedIdentityCredential(), *place, **self._cloud(), **options)

    def registry_client(self) -> MLClient:
        from azure.ai.ml import MLClient

        return MLClient(ManagedIdentityCredential(), registry_name="azureml", **self._cloud())

    def upload(self, name: str, content: str) -> str:
        """To Azurite, with a token from the emulated identity. Gives the blob's URL."""
        from azure.core.exceptions import ResourceExistsError
        from azure.storage.blob import BlobServiceClient

        with BlobServiceClient(self.config.blob_url, ManagedIdentityCredential()) as service:
            container = service.get_container_client("data")
            with suppress(ResourceExistsError):
                container.create_container()
            blob = container.upload_blob(name, content, overwrite=True)
            return str(blob.url)

    def _cloud(self) -> dict[str, Any]:
        base = f"{self.config.azure_url}/"
        return {
            "cloud": f"LocalCloud{self.config.ports.azure}",  # the SDK remembers clouds by name
            "cloud_metadata": {
                "azure_portal": "https://portal.azure.com/",
                "resource_manager": base,
                "active_directory": f"{base}login/",
                "aml_resource_id": "https://ml.azure.com/",
                "storage_endpoint": "core.windows.net",
                "registry_discovery_endpoint": base,
            },
        }


def new_config(folder: Path, storage: CloudConfig | None = None, **changes: Any) -> CloudConfig:
    """`storage`: the cloud whose Azurite this one shares, and therefore its certificates."""
    ports = Ports(*free_ports(6))
    if storage is not None:
        ports = replace(ports, blob=storage.ports.blob)
        shutil.copytree(storage.ca_file.parent, folder / "certs")
    config = CloudConfig(
        state_dir=str(folder),
        ports=ports,
        identity_header="a secret of this test",
        models=(
            RegistryModel(MODEL, "12", "base", {}),
            RegistryModel(MODEL, "13", "base", {"task": "chat-completion"}),
        ),
        **{"durations": FAST, "fast_training": True, **changes},
    )
    ensure_certificates(folder)
    config.save()
    return config


def free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


@contextmanager
def running(
    config: CloudConfig, sink: RecordingSink | None = None, wall: Callable[[], float] = time.time
) -> Iterator[Cloud]:
    """The server in a thread of this process, and the environment that points the Azure SDKs at it."""
    cloud = Cloud(config, sink or RecordingSink())
    started = threading.Event()
    holder: list[tuple[Server, asyncio.AbstractEventLoop]] = []

    async def serve() -> None:
        server = Server(config, cloud.sink, runners=RUNNERS, wall=wall)
        holder.append((server, asyncio.get_running_loop()))
        started.set()
        await server.serve()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="cloud")
    thread.start()
    assert started.wait(10)
    server, loop = holder[0]
    with environment(config):
        try:
            until(lambda: is_up(config))
            yield cloud
        finally:
            cloud.close()
            loop.call_soon_threadsafe(server.stop)
            thread.join(20)
            assert not thread.is_alive()


@contextmanager
def environment(config: CloudConfig) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REQUESTS_CA_BUNDLE", str(config.ca_file))
        patch.setenv("IDENTITY_ENDPOINT", config.identity_url)
        patch.setenv("IDENTITY_HEADER", config.identity_header)
        patch.setenv("AZUREML_CURRENT_CLOUD", "AzureCloud")  # MLClient overwrites it: this puts it back
        yield


@contextmanager
def azurite(config: CloudConfig) -> Iterator[None]:
    folder = Path(config.state_dir)
    process = azurite_process(config, find_azurite(Path(__file__)), persistent=False, log_file=folder / "azurite.err")
    process.start()
    try:
        process.wait_until_ready(lambda: azurite_is_up(config), 30)
        yield
    finally:
        process.kill()


def is_up(config: CloudConfig) -> bool:
    for port in (config.ports.azure, config.ports.identity):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return False
    return True


def until(look: Callable[[], T], seconds: float = 20.0) -> T:
    """Poll until it is true. Fails with the last value after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (value := look()):
        assert time.monotonic() < deadline, f"still {value!r} after {seconds} s"
        time.sleep(0.02)
    return value


def pipeline_job(cloud: Cloud, name: str, train_file: str, **parameters: Any) -> PipelineJob:
    """Built with the SDK's DSL from the registry's component, as the tutorial does."""
    from azure.ai.ml import Input
    from azure.ai.ml.dsl import pipeline

    registry = cloud.registry_client()
    component = registry.components.get(name="chat_completion_pipeline", label="latest")
    model = registry.models.get(MODEL, label="latest")

    @pipeline(name=name)  # type: ignore[untyped-decorator] # the SDK is not typed
    def create_pipeline() -> dict[str, Any]:
        node = component(
            mlflow_model_path=Input(type="mlflow_model", path=model.id),
            train_file_path=Input(type="uri_file", path=train_file),
            **parameters,
        )
        return {"trained_model": node.outputs.mlflow_model_folder}

    job: PipelineJob = create_pipeline()
    job.settings.force_rerun = True
    job.settings.continue_on_step_failure = False
    job.name = name
    job.tags = {"tuning": "t-1"}
    return job


def job_body(train_file: str, **inputs: str) -> dict[str, Any]:
    """What the SDK sends for such a job."""
    literals = {name: {"job_input_type": "literal", "value": value} for name, value in inputs.items()}
    return {
        "properties": {
            "jobType": "Pipeline",
            "experimentName": "tests",
            "displayName": "a job",
            "tags": {"tuning": "t-1"},
            "inputs": {},
            "outputs": {"trained_model": {"jobOutputType": "mlflow_model", "mode": "ReadWriteMount"}},
            "settings": {"force_rerun": True},
            "jobs": {
                "node": {
                    "name": "node",
                    "type": "pipeline",
                    "componentId": "azureml://registries/azureml/components/chat_completion_pipeline/versions/0.0.82",
                    "inputs": {
                        "mlflow_model_path": {
                            "job_input_type": "mlflow_model",
                            "uri": f"azureml://registries/azureml/models/{MODEL}/versions/13",
                        },
                        "train_file_path": {"job_input_type": "uri_file", "uri": train_file},
                        **literals,
                    },
                    "outputs": {
                        "mlflow_model_folder": {
                            "value": "${{parent.outputs.trained_model}}",
                            "type": "literal",
                        }
                    },
                }
            },
        }
    }


def job_ended(cloud: Cloud, name: str, seconds: float = 20.0) -> dict[str, Any]:
    """The control API's view of a job once it is terminal."""
    found: dict[str, Any] = {}

    def look() -> bool:
        found.update(cloud.control("GET", f"/jobs/{name}"))
        return found["status"] in ("Completed", "Failed", "Canceled")

    until(look, seconds)
    return found


def state_of(cloud: Cloud, path: str) -> str:
    return str(cloud.arm("GET", path).json()["properties"]["provisioningState"])


def request_body(question: str) -> dict[str, Any]:
    return {"input_data": {"input_string": question, "parameters": {}}, "params": {}}


def trained_model(cloud: Cloud, name: str, *orders: str) -> str:
    """Run a job, register its output as version 1 of `name`. Gives the model's ARM id."""
    train_file = cloud.upload(f"{name}.jsonl", "\n".join(orders))
    assert cloud.arm("PUT", f"/jobs/{name}", job_body(train_file)).status_code == 201
    assert job_ended(cloud, name)["status"] == "Completed"
    body = {
        "properties": {
            "modelType": "mlflow_model",
            "modelUri": f"azureml://jobs/{name}/outputs/trained_model",
        }
    }
    answer = cloud.arm("PUT", f"/models/{name}/versions/1", body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def create_endpoint(cloud: Cloud, name: str) -> None:
    answer = cloud.arm("PUT", f"/onlineEndpoints/{name}", {**ENDPOINT, "tags": {"owner": "tests"}})
    assert answer.status_code == 201, answer.text
    until(lambda: state_of(cloud, f"/onlineEndpoints/{name}") == "Succeeded")


def deployment_body(model: str) -> dict[str, Any]:
    return {
        "location": "eastus",
        "sku": {"name": "Default", "capacity": 1},
        "properties": {
            "endpointComputeType": "Managed",
            "model": model,
            "instanceType": "Standard_NC24ads_A100_v4",
            "requestSettings": {"requestTimeout": "PT1S"},
        },
    }


def deploy(cloud: Cloud, endpoint: str, name: str, model: str) -> str:
    """Gives the final state."""
    path = f"/onlineEndpoints/{endpoint}/deployments/{name}"
    answer = cloud.arm("PUT", path, deployment_body(model))
    assert answer.status_code in (200, 201), answer.text
    until(lambda: state_of(cloud, path) in ("Succeeded", "Failed"))
    return state_of(cloud, path)


def set_traffic(cloud: Cloud, endpoint: str, **shares: int) -> httpx.Response:
    body = {"location": "eastus", "properties": {"authMode": "Key", "traffic": shares}}
    answer = cloud.arm("PUT", f"/onlineEndpoints/{endpoint}", body)
    if answer.is_success:
        until(lambda: state_of(cloud, f"/onlineEndpoints/{endpoint}") == "Succeeded")
    return answer


def score(
    cloud: Cloud, endpoint: str, question: str, *, deployment: str | None = None, key: str | None = None
) -> httpx.Response:
    """With the endpoint's key unless one is given."""
    if key is None:
        key = cloud.arm("POST", f"/onlineEndpoints/{endpoint}/listKeys").json()["primaryKey"]
    headers = {"Authorization": f"Bearer {key}"}
    if deployment is not None:
        headers["azureml-model-deployment"] = deployment
    return cloud.http.post(f"/inference/{endpoint}/score", json=request_body(question), headers=headers)
