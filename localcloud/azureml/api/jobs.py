"""Jobs of the workspace: PUT, GET, list, cancel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localcloud.azureml import errors
from localcloud.azureml.api.wire import OPERATIONS, job_system_data, listing, workspace_child
from localcloud.azureml.operations import WORKSPACE_UUID
from localcloud.azureml.pipeline import plan
from localcloud.config import WORKSPACE_ID
from localcloud.http import json_object, null_response
from localcloud.responses import JSONResponse

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from localcloud.azureml.api.wire import Arm
    from localcloud.azureml.computes import Computes
    from localcloud.azureml.executor import Executor
    from localcloud.azureml.jobs import Job, Jobs
    from localcloud.azureml.registry import Registry

_TYPE = "Microsoft.MachineLearningServices/workspaces/jobs"
_NEWER = "2023"
"""The api-versions that know of notifications, secrets and named outputs."""
_OUTPUT = {"description": None, "uri": None, "mode": "ReadWriteMount"}
_NEWER_OUTPUT = {"assetName": None, "assetVersion": None, "autoDeleteSetting": None}


def routes(arm: Arm, jobs: Jobs, registry: Registry, computes: Computes, executor: Executor) -> list[Route]:
    async def put(request: Request) -> Response:
        name: str = request.path_params["job"]
        properties = (await json_object(request)).get("properties") or {}
        existing = jobs.find(name)
        if existing is not None:
            return JSONResponse(_job(jobs.update(existing, properties), request))
        computes.require_of_job(properties)
        job = jobs.submit(name, properties, plan(properties, registry))
        executor.start(name)
        version = request.query_params.get("api-version", "2024-01-01-preview")
        return JSONResponse(_job(job, request), 201, {"Location": arm.url(workspace_child("jobs", name), version)})

    async def get(request: Request) -> Response:
        name: str = request.path_params["job"]
        job = jobs.find(name)
        if job is not None:
            return JSONResponse(_job(job, request))
        step = jobs.find_step(name)
        if step is None:
            raise errors.job_not_found(name)
        # Child runs of a pipeline have no properties here: the SDK reads them from the run history.
        return JSONResponse(
            {
                "id": workspace_child("jobs", name),
                "name": name,
                "type": _TYPE,
                "systemData": job_system_data(step.started),
            }
        )

    async def list_jobs(request: Request) -> Response:
        view = request.query_params.get("listViewType", "ActiveOnly")
        found = [job for job in jobs.all() if _is_in_view(job, view)]
        return JSONResponse(listing(request, found, lambda job: _job(job, request)))

    async def cancel(request: Request) -> Response:
        job = jobs.get(request.path_params["job"])
        if job.is_terminal:
            raise errors.job_in_terminal_status(job.name)
        if job.status != "CancelRequested":
            executor.cancel(job.name)
        version = request.query_params.get("api-version", "2023-04-01-preview")
        result = f"{OPERATIONS}/mfeOperationResults/jc:{WORKSPACE_UUID}:{job.name}"
        headers = {"Location": arm.url(result, version), "x-ms-async-operation-timeout": "PT1H"}
        return null_response(202, headers)

    return [
        arm.workspace_route("PUT", "/jobs/{job}", put),
        arm.workspace_route("GET", "/jobs/{job}", get),
        arm.workspace_route("GET", "/jobs", list_jobs),
        arm.workspace_route("POST", "/jobs/{job}/cancel", cancel),
    ]


def _is_in_view(job: Job, view: str) -> bool:
    return view == "All" or job.is_archived == (view == "ArchivedOnly")


def _job(job: Job, request: Request) -> dict[str, Any]:
    """As the api-version of the request knows it: recordings of 2022-10-01-preview and 2023-04-01-preview."""
    given = job.properties
    is_newer = request.query_params.get("api-version", "") >= _NEWER
    return {
        "id": workspace_child("jobs", job.name),
        "name": job.name,
        "type": _TYPE,
        "properties": {
            "description": given.get("description"),
            "tags": job.tags,
            "properties": job.run_properties,
            "displayName": given.get("displayName") or job.name,
            "status": job.status,
            "experimentName": job.experiment,
            "services": {
                "Tracking": _service("Tracking", f"azureml://mlflow/v1.0{WORKSPACE_ID}?"),
                "Studio": _service("Studio", f"https://ml.azure.com/runs/{job.name}?wsid={WORKSPACE_ID}"),
            },
            "computeId": given.get("computeId"),
            "isArchived": job.is_archived,
            "identity": given.get("identity"),
            "componentId": given.get("componentId"),
            **({"notificationSetting": None, "secretsConfiguration": None} if is_newer else {}),
            "jobType": "Pipeline",
            "settings": given.get("settings") or {},
            "jobs": given.get("jobs") or {},
            "inputs": {name: _input(value) for name, value in (given.get("inputs") or {}).items()},
            "outputs": {
                name: {**_OUTPUT, **(_NEWER_OUTPUT if is_newer else {}), **_without_nulls(output)}
                for name, output in (given.get("outputs") or {}).items()
            },
            "sourceJobId": None,
        },
        "systemData": job_system_data(job.created),
    }


def _input(given: dict[str, Any]) -> dict[str, Any]:
    """Literals have no mode."""
    if given.get("jobInputType") == "literal":
        return {"description": None, **_without_nulls(given)}
    return {"description": None, "uri": None, "mode": "ReadOnlyMount", **_without_nulls(given)}


def _service(kind: str, endpoint: str) -> dict[str, Any]:
    return {
        "jobServiceType": kind,
        "port": None,
        "endpoint": endpoint,
        "status": None,
        "errorMessage": None,
        "properties": None,
        "nodes": None,
    }


def _without_nulls(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
