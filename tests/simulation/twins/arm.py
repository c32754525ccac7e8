"""ArmClient over the twins of jobs, endpoints and deployments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from shared.azureml.arm import ArmClient
from shared.azureml.resources import DeploymentRequest, Job, MetricPoint, OnlineDeployment, OnlineEndpoint
from shared.idle.patience import Patiently, at_once
from tests.simulation.twins.endpoints import Deployment, Endpoint, Endpoints
from tests.simulation.twins.jobs import Jobs
from tests.simulation.twins.refusals import translated
from tests.simulation.twins.world import World

T = TypeVar("T")

ARM = "https://management.azure.com"
LOCATION = "eastus"


class ArmTwin(ArmClient):
    def __init__(self, world: World, workspace_id: str, jobs: Jobs, endpoints: Endpoints) -> None:
        self._world = world
        self._scope = workspace_id
        self._jobs = jobs
        self._endpoints = endpoints

    def get_job(self, name: str) -> Job | None:
        return self._world.effect("arm.get_job", lambda: self._jobs.get(name), writes=False, of=name)

    def job_metrics(self, name: str) -> dict[str, float]:
        return self._world.effect("arm.job_metrics", lambda: self._jobs.metrics(name), writes=False, of=name)

    def metric_histories(self, name: str, metrics: Sequence[str]) -> dict[str, tuple[MetricPoint, ...]]:
        """One point of each, at the job's end."""

        def look() -> dict[str, tuple[MetricPoint, ...]]:
            known, ended = self._jobs.metrics(name), self._world.now()
            return {metric: (MetricPoint(1, known[metric], ended),) for metric in metrics if metric in known}

        return self._world.effect("arm.metric_histories", look, writes=False, of=name)

    def cancel_job(self, name: str) -> None:
        def commit() -> None:
            with translated(f"cancel job {name}"):
                self._jobs.cancel(name)

        self._world.effect("arm.cancel_job", commit, writes=True, of=name)

    def list_endpoints(self, patiently: Patiently = at_once) -> list[OnlineEndpoint]:
        def look() -> list[OnlineEndpoint]:
            return [self._endpoint(endpoint) for endpoint in self._endpoints.visible()]

        return patiently(lambda: self._world.effect("arm.list_endpoints", look, writes=False))

    def get_endpoint(self, name: str) -> OnlineEndpoint | None:
        def look() -> OnlineEndpoint | None:
            endpoint = self._endpoints.find(name)
            return None if endpoint is None else self._endpoint(endpoint)

        return self._world.effect("arm.get_endpoint", look, writes=False, of=name)

    def create_endpoint(self, name: str, *, description: str, tags: Mapping[str, str]) -> None:
        def commit() -> None:
            with translated(f"create endpoint {name}"):
                self._endpoints.put(name, description, tags, {})

        self._world.effect("arm.create_endpoint", commit, writes=True, of=name)

    def set_traffic(self, endpoint: OnlineEndpoint, traffic: Mapping[str, int]) -> None:
        """A PUT: where the endpoint is gone, and there is no traffic, it makes a new one."""

        def commit() -> None:
            with translated(f"set traffic of {endpoint.name}"):
                self._endpoints.put(endpoint.name, endpoint.description, endpoint.tags, traffic)

        self._world.effect("arm.set_traffic", commit, writes=True, of=endpoint.name)

    def set_endpoint_tags(self, name: str, tags: Mapping[str, str]) -> None:
        def commit() -> None:
            with translated(f"tag endpoint {name}"):
                self._endpoints.patch_tags(name, tags)

        self._world.effect("arm.set_endpoint_tags", commit, writes=True, of=name)

    def delete_endpoint(self, name: str) -> str:
        def commit() -> str:
            with translated(f"delete endpoint {name}"):
                return _operation_url(self._endpoints.delete(name))

        return self._world.effect("arm.delete_endpoint", commit, writes=True, of=name)

    def endpoint_key(self, name: str) -> str:
        def look() -> str:
            with translated(f"list keys of {name}"):
                return self._endpoints.get(name).key

        return self._world.effect("arm.endpoint_key", look, writes=False, of=name)

    def list_deployments(self, endpoint: str) -> list[OnlineDeployment]:
        def look() -> list[OnlineDeployment]:
            found = self._endpoints.find(endpoint)
            if found is None:
                return []
            return [self._deployment(item) for _, item in sorted(found.deployments.items())]

        return self._world.effect("arm.list_deployments", look, writes=False, of=endpoint)

    def get_deployment(self, endpoint: str, name: str) -> OnlineDeployment | None:
        def look() -> OnlineDeployment | None:
            found = self._endpoints.find(endpoint)
            deployment = found.deployments.get(name) if found else None
            return None if deployment is None else self._deployment(deployment)

        return self._world.effect("arm.get_deployment", look, writes=False, of=f"{endpoint}/{name}")

    def create_deployment(self, request: DeploymentRequest) -> None:
        def commit() -> None:
            with translated(f"create deployment {request.name}"):
                self._endpoints.put_deployment(request)

        self._world.effect("arm.create_deployment", commit, writes=True, of=f"{request.endpoint}/{request.name}")

    def delete_deployment(self, endpoint: str, name: str) -> str:
        def commit() -> str:
            with translated(f"delete deployment {name}"):
                return _operation_url(self._endpoints.delete_deployment(endpoint, name))

        return self._world.effect("arm.delete_deployment", commit, writes=True, of=f"{endpoint}/{name}")

    def deployment_logs(self, endpoint: str, name: str, lines: int) -> str:
        def look() -> str:
            with translated(f"get logs of {name}"):
                deployment = self._endpoints.get_deployment(endpoint, name)
                return f"loading {deployment.model}\n" if lines > 0 else ""

        return self._world.effect("arm.deployment_logs", look, writes=False, of=f"{endpoint}/{name}")

    def list_by_subscription(self, path: str, api_version: str) -> list[Mapping[str, Any]]:
        """Nothing: only the command-line program's doctor asks."""
        return self._world.effect("arm.list_by_subscription", list, writes=False, of=path)

    def operation_error(self, operation_url: str) -> str:
        if not operation_url.startswith(f"{ARM}/"):
            return ""
        operation = operation_url.rpartition("/")[2]
        return self._world.effect(
            "arm.operation_error", lambda: self._endpoints.errors.get(operation, ""), writes=False, of=operation
        )

    def operation_end(self, operation_url: str) -> datetime | None:
        if not operation_url.startswith(f"{ARM}/"):
            return None
        operation = operation_url.rpartition("/")[2]
        return self._world.effect(
            "arm.operation_end", lambda: self._endpoints.ended.get(operation), writes=False, of=operation
        )

    def run_times(self, name: str) -> tuple[datetime | None, datetime | None]:
        def look() -> tuple[datetime | None, datetime | None]:
            job = self._jobs.all.get(name)
            return (None, None) if job is None else (job.started_at, job.ended_at)

        return self._world.effect("arm.run_times", look, writes=False, of=name)

    def _endpoint(self, endpoint: Endpoint) -> OnlineEndpoint:
        return OnlineEndpoint(
            id=f"{self._scope}/onlineEndpoints/{endpoint.name}",
            name=endpoint.name,
            provisioning_state=endpoint.state,
            scoring_uri="" if endpoint.state == "Creating" else scoring_uri(endpoint.name),
            traffic=dict(endpoint.traffic),
            tags=dict(endpoint.tags),
            description=endpoint.description,
            auth_mode="Key",
            location=LOCATION,
            created_at=endpoint.created_at,
            last_modified_at=endpoint.modified_at,
            operation_url=_operation_url(endpoint.operation),
        )

    def _deployment(self, deployment: Deployment) -> OnlineDeployment:
        return OnlineDeployment(
            name=deployment.name,
            endpoint=deployment.endpoint,
            provisioning_state=deployment.state,
            model=deployment.model,
            instance_type=deployment.instance_type,
            instance_count=deployment.instance_count,
            tags=dict(deployment.tags),
            created_at=deployment.created_at,
            operation_url=_operation_url(deployment.operation),
        )


def _operation_url(operation: str) -> str:
    return f"{ARM}/operations/{operation}" if operation else ""


def scoring_uri(endpoint: str) -> str:
    return f"https://{endpoint}.{LOCATION}.inference.ml.azure.com/score"
