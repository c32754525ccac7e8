"""The control plane of one main job, from the job to the deleted endpoint, by Azure's own ARM pipeline.

Whatever goes wrong on the way, each step is asked for again until its end is seen: what a careful client does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

import httpx
from azure.core.exceptions import AzureError
from azure.core.pipeline.policies import RetryPolicy
from azure.core.rest import HttpRequest
from azure.identity import ManagedIdentityCredential
from azure.mgmt.core import ARMPipelineClient
from azure.mgmt.core.policies import ARMChallengeAuthenticationPolicy

from localcloud.config import WORKSPACE_ID, CloudConfig

API_VERSION = "2024-01-01-preview"
DEADLINE = 180.0
"""Seconds for one step, restarts of the cloud and a busy machine included."""

_POLL = 0.05
_LATER = frozenset({408, 409, 429, 500, 502, 503, 504})
COMPONENT = "azureml://registries/azureml/components/chat_completion_pipeline/versions/0.0.82"
INSTANCE = "Standard_NC24ads_A100_v4"


class FlowError(AssertionError):
    """The cloud did what no fault explains."""


class Arm:
    """Of several threads, like the SDK's own clients."""

    def __init__(self, config: CloudConfig) -> None:
        self._base = config.azure_url
        self._client: ARMPipelineClient[Any, Any] = ARMPipelineClient(
            base_url=self._base,
            policies=[
                RetryPolicy(retry_total=3, retry_backoff_factor=0.05, retry_backoff_max=1),
                ARMChallengeAuthenticationPolicy(ManagedIdentityCredential(), f"{self._base}/.default"),
            ],
            connection_verify=str(config.ca_file),
            read_timeout=20,
        )
        self.scoring = httpx.Client(base_url=self._base, verify=False, trust_env=False, timeout=60)

    def close(self) -> None:
        self._client.close()
        self.scoring.close()

    def send(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Status and body; status 0 when there was no answer, also after the SDK's own retries."""
        url = f"{self._base}{WORKSPACE_ID}/{path}?api-version={API_VERSION}"
        request = HttpRequest(method, url, json=body) if body is not None else HttpRequest(method, url)
        try:
            answer = self._client.send_request(request)
            return answer.status_code, answer.json() if answer.content else None
        except (AzureError, ValueError):  # ValueError: an answer that was cut off
            return 0, None


@dataclass
class Flow:
    """`scores`: also asks the deployment once. `done` lists the steps that ended."""

    arm: Arm
    name: str
    scores: bool = False
    done: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Raises FlowError."""
        for step in (self._train, self._register, self._endpoint, self._deploy, self._promote, self._score, self._end):
            step()
            self.done.append(step.__name__.strip("_"))

    def _train(self) -> None:
        node = {"type": "pipeline", "componentId": COMPONENT, "inputs": {}, "outputs": {}}
        node["outputs"] = {"mlflow_model_folder": {"value": "${{parent.outputs.model}}", "type": "literal"}}
        properties = {
            "jobType": "Pipeline",
            "displayName": self.name,
            "jobs": {"node": node},
            "outputs": {"model": {"jobOutputType": "mlflow_model", "mode": "ReadWriteMount"}},
        }
        self._put(f"jobs/{self.name}", {"properties": properties})
        self._until(f"jobs/{self.name}", "status", "Completed", ("Failed", "Canceled"))

    def _register(self) -> None:
        uri = f"azureml://jobs/{self.name}/outputs/model"
        properties = {"modelType": "mlflow_model", "modelUri": uri}
        self._put(f"models/{self.name}/versions/1", {"properties": properties})

    def _endpoint(self) -> None:
        self._put(self._path, self._endpoint_body({}))
        self._until(self._path, "provisioningState", "Succeeded", ("Failed",))

    def _deploy(self) -> None:
        body = {
            "location": "eastus",
            "sku": {"name": "Default", "capacity": 1},
            "properties": {
                "endpointComputeType": "Managed",
                "model": f"{WORKSPACE_ID}/models/{self.name}/versions/1",
                "instanceType": INSTANCE,
                "requestSettings": {"requestTimeout": "PT20S"},
            },
        }
        self._put(f"{self._path}/deployments/blue", body)
        self._until(f"{self._path}/deployments/blue", "provisioningState", "Succeeded", ("Failed",))

    def _promote(self) -> None:
        self._put(self._path, self._endpoint_body({"blue": 100}))
        self._until(self._path, "provisioningState", "Succeeded", ("Failed",))

    def _score(self) -> None:
        if not self.scores:
            return
        deadline = time.monotonic() + DEADLINE
        while True:
            status, keys = self.arm.send("POST", f"{self._path}/listKeys")
            if status == 200 and self._asked(keys["primaryKey"]):
                return
            self._wait(deadline, "score", status)

    def _asked(self, key: str) -> bool:
        body = {"input_data": {"input_string": "hello", "parameters": {}}}
        try:
            answer = self.arm.scoring.post(
                f"/inference/{self.name}/score", json=body, headers={"Authorization": f"Bearer {key}"}
            )
            return answer.status_code == 200 and answer.json()["output"] == "you said hello"
        except (httpx.HTTPError, ValueError):
            return False

    def _end(self) -> None:
        deadline = time.monotonic() + DEADLINE
        while True:
            status, _ = self.arm.send("DELETE", self._path)
            if status in (204, 404):
                return
            if status not in _LATER | {0, 202}:
                raise FlowError(f"{self.name}: delete was answered {status}")
            self._wait(deadline, "delete", status)

    @property
    def _path(self) -> str:
        return f"onlineEndpoints/{self.name}"

    def _endpoint_body(self, traffic: dict[str, int]) -> dict[str, Any]:
        return {"location": "eastus", "properties": {"authMode": "Key", "traffic": traffic}}

    def _put(self, path: str, body: object) -> None:
        """Until it is accepted: what was accepted already is asked for again, which must be harmless."""
        deadline = time.monotonic() + DEADLINE
        while True:
            status, answer = self.arm.send("PUT", path, body)
            if status in (200, 201):
                return
            if status not in _LATER | {0}:
                raise FlowError(f"{self.name}: PUT {path} was answered {status} {answer}")
            self._wait(deadline, path, status)

    def _until(self, path: str, field_name: str, wanted: str, wrong: tuple[str, ...]) -> None:
        deadline = time.monotonic() + DEADLINE
        while True:
            status, answer = self.arm.send("GET", path)
            found = answer["properties"][field_name] if status == 200 else None
            if found == wanted:
                return
            if found in wrong or status == 404:
                raise FlowError(f"{self.name}: {path} is {found}, status {status}")
            self._wait(deadline, path, found or status)

    def _wait(self, deadline: float, what: str, seen: object) -> None:
        if time.monotonic() > deadline:
            raise FlowError(f"{self.name}: {what} did not end, the last answer was {seen}")
        time.sleep(_POLL)


def run_all(flows: list[Flow], threads: int, watch: Callable[[], None], every: float) -> None:
    """All of them, `threads` at a time; `watch` is called `every` so many seconds. Raises the first FlowError."""
    with ThreadPoolExecutor(threads) as pool:
        pending = {pool.submit(flow.run) for flow in flows}
        try:
            while pending:
                done, pending = wait(pending, timeout=every, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
                watch()
        finally:
            for future in pending:
                future.cancel()
