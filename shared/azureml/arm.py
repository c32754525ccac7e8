"""Jobs, endpoints and deployments over Azure Resource Manager, without azure-ai-ml.

The functions that only look must not pay one second and 100 MiB for importing azure-ai-ml, and its `begin_*`
calls leave a polling thread behind; azure-core's ARM pipeline does neither. Operations are begun here and
looked at later; nothing waits.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from shared.azureml.parse import (
    operation_end,
    parse_deployment,
    parse_endpoint,
    parse_job,
    run_errors,
    run_times,
)
from shared.azureml.resources import DeploymentRequest, Job, MetricPoint, OnlineDeployment, OnlineEndpoint
from shared.azureml.run_metrics import RunMetrics
from shared.azureml.translate import translated
from shared.errors import TransientError
from shared.idle.patience import Patiently, at_once
from shared.timeouts import DEFAULT_TIMEOUTS, Timeouts

if TYPE_CHECKING:
    from datetime import datetime

    from azure.core.credentials import TokenCredential
    from azure.core.rest import HttpResponse
    from azure.mgmt.core import ARMPipelineClient

API_VERSION = "2024-01-01-preview"
"""Of jobs, online endpoints and deployments."""
WORKSPACE_API_VERSION = "2024-10-01-preview"


class ArmClient:
    """Raises TransientError, PermanentError or DroptuneError; what does not exist is None."""

    def __init__(
        self, arm_endpoint: str, workspace_id: str, credential: TokenCredential, timeouts: Timeouts = DEFAULT_TIMEOUTS
    ) -> None:
        self._base = arm_endpoint.rstrip("/")
        self._workspace_id = workspace_id
        self._credential = credential
        self._timeouts = timeouts
        self._lock = threading.Lock()
        self._client: ARMPipelineClient[Any, Any] | None = None
        self._workspace: Mapping[str, Any] | None = None
        self._history_url = ""

    def get_job(self, name: str) -> Job | None:
        body = self._get(f"jobs/{quote(name)}")
        if body is None:
            return None
        job = parse_job(body)
        if job.status == "Failed":
            return parse_job(body, error=self._job_error(name))
        return job

    def job_metrics(self, name: str) -> dict[str, float]:
        """The newest value of everything that the job and its steps measured, such as `eval_loss`."""
        return self._metrics().newest(name)

    def metric_histories(self, name: str, metrics: Sequence[str]) -> dict[str, tuple[MetricPoint, ...]]:
        """How metrics of a job developed; those that it has not are left out."""
        return self._metrics().histories(name, metrics)

    def cancel_job(self, name: str) -> None:
        self._send("POST", f"jobs/{quote(name)}/cancel", f"cancel job {name}")

    def list_endpoints(self, patiently: Patiently = at_once) -> list[OnlineEndpoint]:
        """`patiently` is asked for each page: whoever is throttled at the tenth must not begin with the first again."""
        return [parse_endpoint(item) for item in self._list("onlineEndpoints", patiently=patiently)]

    def get_endpoint(self, name: str) -> OnlineEndpoint | None:
        body = self._get(f"onlineEndpoints/{quote(name)}")
        return None if body is None else parse_endpoint(body)

    def create_endpoint(self, name: str, *, description: str, tags: Mapping[str, str]) -> None:
        """Begin the creation of an endpoint with key authentication and no traffic."""
        self._send(
            "PUT",
            f"onlineEndpoints/{quote(name)}",
            f"create endpoint {name}",
            self._endpoint_body(description, tags, {}),
        )

    def set_traffic(self, endpoint: OnlineEndpoint, traffic: Mapping[str, int]) -> None:
        """Replace the whole traffic map; everything else of the endpoint is sent back as it was read."""
        body = self._endpoint_body(endpoint.description, endpoint.tags, traffic, endpoint.auth_mode)
        self._send("PUT", f"onlineEndpoints/{quote(endpoint.name)}", f"set traffic of {endpoint.name}", body)

    def set_endpoint_tags(self, name: str, tags: Mapping[str, str]) -> None:
        """Change tags, and nothing else.

        Whether a tag that is left out stays is not documented, so none is ever removed: it is given another value.
        """
        self._send("PATCH", f"onlineEndpoints/{quote(name)}", f"tag endpoint {name}", {"tags": dict(tags)})

    def delete_endpoint(self, name: str) -> str:
        """Begin the deletion of an endpoint with all of its deployments; absent is fine.

        Returns the operation's URL, empty if there is none.
        """
        return self._delete(f"onlineEndpoints/{quote(name)}", f"delete endpoint {name}")

    def endpoint_key(self, name: str) -> str:
        body = self._send("POST", f"onlineEndpoints/{quote(name)}/listKeys", f"list keys of {name}")
        return str(body["primaryKey"])

    def list_deployments(self, endpoint: str) -> list[OnlineDeployment]:
        items = self._list(f"onlineEndpoints/{quote(endpoint)}/deployments", missing_ok=True)
        return [parse_deployment(endpoint, item) for item in items]

    def get_deployment(self, endpoint: str, name: str) -> OnlineDeployment | None:
        body = self._get(f"onlineEndpoints/{quote(endpoint)}/deployments/{quote(name)}")
        return None if body is None else parse_deployment(endpoint, body)

    def create_deployment(self, request: DeploymentRequest) -> None:
        """Begin the creation of a deployment; it gets no traffic."""
        body = {
            "location": self._location(),
            "tags": dict(request.tags),
            "sku": {"name": "Default", "tier": "Standard", "capacity": request.instance_count},
            "properties": {
                "endpointComputeType": "Managed",
                "model": request.model_id,
                "instanceType": request.instance_type,
                "requestSettings": {"requestTimeout": _iso_duration(request.request_timeout)},
                "livenessProbe": {"initialDelay": _iso_duration(request.liveness_initial_delay)},
                "environmentVariables": {},
                "appInsightsEnabled": False,
                "properties": {},
            },
        }
        path = f"onlineEndpoints/{quote(request.endpoint)}/deployments/{quote(request.name)}"
        self._send("PUT", path, f"create deployment {request.name}", body)

    def delete_deployment(self, endpoint: str, name: str) -> str:
        """Begin its deletion; absent is fine. Returns the operation's URL, empty if there is none."""
        path = f"onlineEndpoints/{quote(endpoint)}/deployments/{quote(name)}"
        return self._delete(path, f"delete deployment {name}")

    def deployment_logs(self, endpoint: str, name: str, lines: int) -> str:
        path = f"onlineEndpoints/{quote(endpoint)}/deployments/{quote(name)}/getLogs"
        body = self._send("POST", path, f"get logs of {name}", {"tail": lines})
        return str(body.get("content") or "")

    def operation_error(self, operation_url: str) -> str:
        """Why a long-running operation failed: only its own URL says so. Empty if it can not be told."""
        error = self._operation(operation_url).get("error") or {}
        return ": ".join(str(error[key]) for key in ("code", "message") if error.get(key))

    def operation_end(self, operation_url: str) -> datetime | None:
        """When a long-running operation ended well; None if it did not, or if it can not be told."""
        return operation_end(self._operation(operation_url))

    def run_times(self, name: str) -> tuple[datetime | None, datetime | None]:
        """Start and end of a job, as far as run history tells them."""
        request = {"runId": name, "selectRunMetadata": True}
        answer = self._request("POST", f"{self._runs()}/rundata", "read run", request, missing_ok=True) or {}
        return run_times(answer.get("runMetadata") or {})

    def _operation(self, url: str) -> Mapping[str, Any]:
        if not url or urlsplit(url).netloc != urlsplit(self._base).netloc:
            return {}
        return self._request("GET", url, "read operation", missing_ok=True) or {}

    def _job_error(self, name: str) -> str:
        """Azure ML's message for a failed run; jobs themselves carry none, run history does.

        A pipeline's own message only names the nodes that failed; why is in its details, or with its child runs.
        """
        runs = self._runs()
        request = {"runId": name, "selectRunMetadata": True}
        answer = self._request("POST", f"{runs}/rundata", "read run", request, missing_ok=True) or {}
        own, causes = run_errors(answer.get("runMetadata") or {})
        if not causes:
            children = self._request("GET", f"{runs}/runs/{quote(name)}/children", "read child runs", missing_ok=True)
            for child in (children or {}).get("value") or ():
                message, details = run_errors(child)
                causes.extend(details or ([message] if message else []))
        return "; ".join(dict.fromkeys(causes)) or own

    def _runs(self) -> str:
        return f"{self._history()}/history/v1.0{self._workspace_id}"

    def _history(self) -> str:
        if not self._history_url:
            discovery_url = str(self._get_workspace()["properties"]["discoveryUrl"])
            services = self._request("GET", discovery_url, "discover the workspace's services")
            self._history_url = str((services or {})["history"]).rstrip("/")
        return self._history_url

    def _metrics(self) -> RunMetrics:
        return RunMetrics(
            fetch=lambda url, doing: self._request("GET", url, doing, missing_ok=True),
            history=lambda: f"{self._history()}/history/v1.0{self._workspace_id}",
            tracking=self._tracking,
        )

    def _tracking(self) -> str:
        """MLflow's own scheme for the workspace stands for https."""
        uri = str(self._get_workspace()["properties"]["mlFlowTrackingUri"])
        return "https://" + uri.partition("://")[2].rstrip("/")

    def _location(self) -> str:
        return str(self._get_workspace()["location"])

    def _get_workspace(self) -> Mapping[str, Any]:
        if self._workspace is None:
            url = f"{self._base}{self._workspace_id}?api-version={WORKSPACE_API_VERSION}"
            self._workspace = self._request("GET", url, "read workspace")
        assert self._workspace is not None
        return self._workspace

    def _endpoint_body(
        self, description: str, tags: Mapping[str, str], traffic: Mapping[str, int], auth_mode: str = "Key"
    ) -> dict[str, Any]:
        return {
            "location": self._location(),
            "identity": {"type": "SystemAssigned"},
            "tags": dict(tags),
            "properties": {
                "authMode": auth_mode,
                "description": description,
                "properties": {},
                "traffic": dict(traffic),
                "mirrorTraffic": {},
            },
        }

    def _url(self, path: str) -> str:
        return f"{self._base}{self._workspace_id}/{path}?api-version={API_VERSION}"

    def _get(self, path: str) -> Mapping[str, Any] | None:
        return self._request("GET", self._url(path), f"read {path}", missing_ok=True)

    def _list(
        self, path: str, *, missing_ok: bool = False, patiently: Patiently = at_once
    ) -> Iterable[Mapping[str, Any]]:
        return self._pages(self._url(path), f"list {path}", missing_ok=missing_ok, patiently=patiently)

    def _pages(
        self, url: str, doing: str, *, missing_ok: bool = False, patiently: Patiently = at_once
    ) -> Iterable[Mapping[str, Any]]:
        while url:
            page = patiently(partial(self._request, "GET", url, doing, missing_ok=missing_ok)) or {}
            yield from page.get("value") or []
            url = page.get("nextLink") or ""

    def _send(
        self,
        method: str,
        path: str,
        doing: str,
        body: Mapping[str, Any] | None = None,
        *,
        missing_ok: bool = False,
    ) -> Mapping[str, Any]:
        return self._request(method, self._url(path), doing, body, missing_ok=missing_ok) or {}

    def _delete(self, path: str, doing: str) -> str:
        response = self._respond("DELETE", self._url(path), doing, missing_ok=True)
        return "" if response is None else str(response.headers.get("Azure-AsyncOperation") or "")

    def _request(
        self, method: str, url: str, doing: str, body: Any = None, *, missing_ok: bool = False
    ) -> Mapping[str, Any] | None:
        response = self._respond(method, url, doing, body, missing_ok=missing_ok)
        if response is None or not response.content or response.content.strip() == b"null":
            return None
        try:
            parsed = response.json()
        except ValueError as error:
            raise TransientError(f"{doing}: the answer is no JSON") from error
        return parsed if isinstance(parsed, dict) else None

    def _respond(
        self, method: str, url: str, doing: str, body: Any = None, *, missing_ok: bool = False
    ) -> HttpResponse | None:
        from azure.core.exceptions import HttpResponseError
        from azure.core.rest import HttpRequest

        request = HttpRequest(method, url, json=body) if body is not None else HttpRequest(method, url)
        with translated(doing):
            response: HttpResponse = self._pipeline().send_request(request)
            if response.status_code == 404 and missing_ok:
                return None
            if response.status_code >= 400:
                raise HttpResponseError(response=response)
        return response

    def _pipeline(self) -> ARMPipelineClient[Any, Any]:
        with self._lock:
            if self._client is None:
                from azure.core.pipeline.policies import RetryPolicy
                from azure.mgmt.core import ARMPipelineClient
                from azure.mgmt.core.policies import ARMChallengeAuthenticationPolicy

                self._client = ARMPipelineClient(
                    base_url=self._base,
                    policies=[
                        # A status that says "later" comes back by our own schedule, never by sleeping here.
                        RetryPolicy(retry_total=2, retry_status=0, retry_backoff_factor=0.4, retry_backoff_max=4),
                        ARMChallengeAuthenticationPolicy(self._credential, f"{self._base}/.default"),
                    ],
                    **self._timeouts.options(),
                )
            return self._client


def _iso_duration(seconds: float) -> str:
    return f"PT{seconds:g}S"
