"""Run history: where the status, the error and the children of a run are found, root or child."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localcloud.azureml import errors
from localcloud.azureml.api.wire import WORKSPACE_PATH, page, require_workspace
from localcloud.azureml.clock import iso
from localcloud.config import TENANT_ID
from localcloud.http import json_object
from localcloud.identity import PRINCIPAL_ID
from localcloud.responses import JSONResponse

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from localcloud.azureml.api.wire import Arm
    from localcloud.azureml.jobs import Job, Jobs, Step
    from localcloud.http import Handler

_PREFIX = "/history/v1.0" + WORKSPACE_PATH
_RUN_PATHS = ("/runs/{run}", "/experiments/{experiment}/runs/{run}", "/experimentids/{experiment}/runs/{run}")
_USER = {
    "userObjectId": PRINCIPAL_ID,
    "userPuId": None,
    "userIdp": None,
    "userAltSecId": None,
    "userIss": f"https://sts.windows.net/{TENANT_ID}/",
    "userTenantId": TENANT_ID,
    "userName": "Local Cloud",
    "upn": None,
}
_NEVER_SET = (
    "runDefinition",
    "jobSpecification",
    "primaryMetricName",
    "createdFrom",
    "cancelUri",
    "completeUri",
    "diagnosticsUri",
    "computeRequest",
    "compute",
    "retainForLifetimeOfWorkspace",
    "queueingInfo",
    "inputs",
    "outputs",
)
"""Properties that a run of a pipeline has, and that are null (recording pipeline_job_child_runs)."""
LOG_NAME = "logs/azureml/executionlogs.txt"


@dataclass(frozen=True)
class _Run:
    """One face for root and child runs."""

    job: Job
    run_id: str
    parent: str | None
    run_type: str
    name: str
    status: str
    created: float
    started: float | None
    ended: float | None
    tags: dict[str, str]
    properties: dict[str, str]
    error: dict[str, Any] | None


def routes(arm: Arm, jobs: Jobs) -> list[Route]:
    async def rundata(request: Request) -> Response:
        body = await json_object(request)
        run = _find(jobs, str(body.get("runId") or ""))
        metadata = _metadata(run) if body.get("selectRunMetadata") else None
        return JSONResponse({"runMetadata": metadata, "runDefinition": None, "jobSpecification": None})

    async def run(request: Request) -> Response:
        return JSONResponse(_metadata(_find(jobs, request.path_params["run"])))

    async def modify(request: Request) -> Response:
        """What `jobs.archive`, `jobs.restore` and the update of a job send: run history's `hidden` is isArchived."""
        body = await json_object(request)
        job = jobs.find(request.path_params["run"])
        if job is None:
            run_of_step = _find(jobs, request.path_params["run"])
            raise errors.invalid_argument(f"Run {run_of_step.run_id} is a child of {run_of_step.parent}.")
        given = {name: body.get(name) for name in ("displayName", "description")}
        for name in ("tags", "properties"):
            if body.get(name) is not None:
                given[name] = {**(job.properties.get(name) or {}), **body[name]}
        if body.get("hidden") is not None:
            given["isArchived"] = bool(body["hidden"])
        jobs.modify(job.name, given)
        return JSONResponse(_metadata(_find(jobs, job.name)))

    async def details(request: Request) -> Response:
        return JSONResponse(_details(_find(jobs, request.path_params["run"]), arm))

    async def children(request: Request) -> Response:
        job = jobs.find(request.path_params["run"])
        if job is None:
            _find(jobs, request.path_params["run"])
            return JSONResponse(page([]))
        return JSONResponse(page([_metadata(_step_run(job, step)) for step in jobs.steps(job.name)]))

    def route(method: str, path: str, handler: Handler) -> Route:
        async def checked(request: Request) -> Response:
            require_workspace(request)
            return await handler(request)

        return arm.route(method, _PREFIX + path, checked)

    found = [route("POST", "/rundata", rundata)]
    for path in _RUN_PATHS:
        found += [
            route("GET", path, run),
            route("PATCH", path, modify),
            route("GET", f"{path}/details", details),
            route("GET", f"{path}/children", children),
        ]
    return found


def _find(jobs: Jobs, run_id: str) -> _Run:
    """Raises UserError 404."""
    job = jobs.find(run_id)
    if job is not None:
        return _root_run(job)
    step = jobs.find_step(run_id)
    if step is None:
        raise errors.UserError(f"Run {run_id} was not found", "NotFound", status=404)
    return _step_run(jobs.get(step.job), step)


def _root_run(job: Job) -> _Run:
    return _Run(
        job=job,
        run_id=job.name,
        parent=None,
        run_type="azureml.PipelineRun",
        name=str(job.properties.get("displayName") or job.name),
        status=job.status,
        created=job.created,
        started=job.started,
        ended=job.ended,
        tags=job.tags,
        properties=job.run_properties,
        error=_error(job.error_code, job.error_message, job.error_cause),
    )


def _step_run(job: Job, step: Step) -> _Run:
    return _Run(
        job=job,
        run_id=step.run_id,
        parent=job.name,
        run_type="azureml.StepRun",
        name=step.name,
        status=step.status,
        created=step.started,
        started=step.started,
        ended=step.ended,
        tags={"azureml.pipeline": job.name, "azureml.nodeid": step.node_id},
        properties=_step_properties(job, step),
        error=_error(step.error_code, step.error_message),
    )


def _step_properties(job: Job, step: Step) -> dict[str, str]:
    """Not quite those of the run's events."""
    return {
        "azureml.runsource": "azureml.StepRun",
        "azureml.nodeid": step.node_id,
        "StepType": "PythonScriptStep",
        "ComputeTargetType": "AmlCompute",
        "azureml.moduleName": step.name,
        "azureml.pipeline": job.name,
        "azureml.pipelinerunid": job.name,
        "azureml.DevPlatv2": "true",
        "ProcessInfoFile": "azureml-logs/process_info.json",
        "ProcessStatusFile": "azureml-logs/process_status.json",
    }


def _error(code: str | None, message: str, cause: str = "") -> dict[str, Any] | None:
    """The run history's ErrorResponse. What a child run said is a detail of its parent's error."""
    if code is None:
        return None
    details = [{"code": code, "message": cause, "details": []}] if cause else []
    return {
        "error": {
            "code": code,
            "severity": None,
            "message": message,
            "messageFormat": "",
            "messageParameters": {},
            "referenceCode": None,
            "detailsUri": None,
            "target": None,
            "details": details,
            "innerError": None,
            "debugInfo": None,
            "additionalInfo": None,
        },
        "correlation": None,
        "environment": None,
        "location": None,
        "time": "0001-01-01T00:00:00+00:00",
        "componentName": None,
    }


def _metadata(run: _Run) -> dict[str, Any]:
    duration = None
    if run.started is not None and run.ended is not None:
        duration = str(dt.timedelta(seconds=int(run.ended - run.started)))
    return {
        "runNumber": int(run.created),
        "rootRunId": run.job.name,
        "createdUtc": iso(run.created),
        "createdBy": _USER,
        "userId": PRINCIPAL_ID,
        "token": None,
        "tokenExpiryTimeUtc": None,
        "error": run.error,
        "warnings": None,
        "revision": 1,
        "statusRevision": 1,
        "runUuid": _uuid(run.run_id),
        "parentRunUuid": run.parent and _uuid(run.parent),
        "rootRunUuid": _uuid(run.job.name),
        "lastStartTimeUtc": None,
        "currentComputeTime": None,
        "computeDuration": duration,
        "effectiveStartTimeUtc": None,
        "lastModifiedBy": _USER,
        "lastModifiedUtc": iso(run.ended or run.started or run.created),
        "duration": duration,
        "cancelationReason": None,
        "currentAttemptId": 1,
        "runId": run.run_id,
        "parentRunId": run.parent,
        "experimentId": run.job.experiment_id,
        "status": run.status,
        "startTimeUtc": iso(run.started),
        "endTimeUtc": iso(run.ended),
        "scheduleId": None,
        "displayName": run.name,
        "name": run.name,
        "dataContainerId": f"dcid.{run.run_id}",
        "description": None,
        "hidden": run.job.is_archived,
        "runType": run.run_type,
        "runTypeV2": {
            "orchestrator": None,
            "traits": [run.run_type],
            "attribution": None,
            "computeType": None,
        },
        "properties": run.properties,
        "parameters": {},
        "actionUris": {},
        "scriptName": None,
        "target": "serverless" if run.parent else None,
        "uniqueChildRunComputeTargets": [],
        "tags": run.tags,
        "settings": {},
        "services": {},
        "inputDatasets": [],
        "outputDatasets": [],
        **dict.fromkeys(_NEVER_SET),
    }


def _uuid(run_id: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, run_id))


def _details(run: _Run, arm: Arm) -> dict[str, Any]:
    """What `jobs.stream` polls. The log's URL needs no token, as the service's SAS URL does not."""
    logs = {} if run.parent else {LOG_NAME: f"{arm.base_url}/_localcloud/jobs/{run.job.name}/log"}
    return {
        "runId": run.run_id,
        "parentRunId": run.parent,
        "target": None,
        "status": run.status,
        "startTimeUtc": iso(run.started),
        "endTimeUtc": iso(run.ended),
        "error": run.error,
        "warnings": None,
        "tags": run.tags,
        "properties": run.properties,
        "inputDatasets": [],
        "outputDatasets": [],
        "runDefinition": None,
        "logFiles": logs,
    }
