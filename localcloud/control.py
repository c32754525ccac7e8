"""The control API, /_localcloud/: for the demo's view and for tests. Loopback only, no token."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from starlette.responses import FileResponse, JSONResponse, PlainTextResponse

from localcloud import control_limits
from localcloud.azureml.clock import Mode
from localcloud.faults import CONTROL_PREFIX
from localcloud.http import ArmRoute, CloudError, json_object
from localcloud.monitor import Trouble

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from localcloud.azureml import AzureML
    from localcloud.azureml.endpoints import Deployment, Endpoint
    from localcloud.faults import Faults
    from localcloud.http import Handler
    from localcloud.monitor import Monitor


def routes(azureml: AzureML, monitor: Monitor, faults: Faults) -> list[Route]:
    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok", "mode": azureml.clock.mode, "now": azureml.clock.now()})

    async def job(request: Request) -> Response:
        return JSONResponse(_job(azureml, request.path_params["job"]))

    async def job_log(request: Request) -> Response:
        file = azureml.jobs.log_file(azureml.jobs.get(request.path_params["job"]).name)
        return FileResponse(file, media_type="text/plain") if file.exists() else PlainTextResponse("")

    async def resources(_: Request) -> Response:
        return JSONResponse(_resources(azureml))

    async def requests(request: Request) -> Response:
        since = request.query_params.get("since", "0")
        if not since.isdigit():
            raise CloudError(400, "BadRequest", f"since must be a number, not '{since}'.")
        return JSONResponse([asdict(requested) for requested in faults.requests(int(since))])

    async def list_faults(_: Request) -> Response:
        return JSONResponse(faults.pending())

    async def add_faults(request: Request) -> Response:
        try:
            given = await request.json()
            faults.add(given if isinstance(given, list) else [given])
        except (TypeError, ValueError, re.error) as error:
            raise CloudError(400, "BadRequest", str(error)) from error
        return JSONResponse(faults.pending())

    async def clear_faults(_: Request) -> Response:
        faults.clear()
        return JSONResponse([])

    async def progress(request: Request) -> Response:
        mode = (await json_object(request)).get("mode")
        if mode not in list(Mode):
            raise CloudError(400, "BadRequest", f"mode must be one of {', '.join(Mode)}.")
        azureml.clock.set_mode(Mode(mode))
        return JSONResponse({"mode": mode, "now": azureml.clock.now()})

    async def advance(request: Request) -> Response:
        try:
            azureml.clock.advance(float((await json_object(request)).get("seconds", 0)))
        except ValueError as error:
            raise CloudError(409, "Conflict", str(error)) from error
        return JSONResponse({"mode": azureml.clock.mode, "now": azureml.clock.now()})

    async def trouble(request: Request) -> Response:
        try:
            monitor.trouble = Trouble(**await json_object(request))
        except TypeError as error:
            raise CloudError(400, "BadRequest", str(error)) from error
        return JSONResponse(asdict(monitor.trouble))

    return [
        _route("GET", "/health", health),
        _route("GET", "/jobs/{job}", job),
        _route("GET", "/jobs/{job}/log", job_log),
        _route("GET", "/resources", resources),
        _route("GET", "/requests", requests),
        _route("GET", "/faults", list_faults),
        _route("POST", "/faults", add_faults),
        _route("DELETE", "/faults", clear_faults),
        _route("POST", "/progress", progress),
        _route("POST", "/advance", advance),
        _route("POST", "/monitor", trouble),
        *control_limits.routes(azureml.limits, _route),
    ]


def _route(method: str, path: str, handler: Handler) -> Route:
    async def local_only(request: Request) -> Response:
        if request.client is None or not ipaddress.ip_address(request.client.host).is_loopback:
            raise CloudError(403, "Forbidden", "The control API answers this machine only.")
        return await handler(request)

    return ArmRoute(CONTROL_PREFIX + path, local_only, [method])


def _job(azureml: AzureML, name: str) -> dict[str, Any]:
    """Times are seconds since the epoch. `metrics` in the order in which they were reported."""
    job = azureml.jobs.get(name)
    error = None
    if job.error_code is not None:
        error = {"code": job.error_code, "message": job.error_message, "cause": job.error_cause}
    return {
        "name": job.name,
        "status": job.status,
        "created": job.created,
        "started": job.started,
        "ended": job.ended,
        "error": error,
        "total_steps": job.total_steps,
        "steps": [
            {
                "name": step.name,
                "run_id": step.run_id,
                "status": step.status,
                "started": step.started,
                "ended": step.ended,
                "error": step.error_message or None,
            }
            for step in azureml.jobs.steps(name)
        ],
        "metrics": [asdict(metric) for metric in azureml.jobs.metrics(name)],
    }


def _resources(azureml: AzureML) -> dict[str, Any]:
    """Everything that ever was, with its times: what a cost ledger can be checked against."""
    endpoints = azureml.endpoints
    deleted_endpoints, deleted_deployments = endpoints.history()
    return {
        "jobs": [
            {
                "name": job.name,
                "status": job.status,
                "created": job.created,
                "ended": job.ended,
                "tags": job.tags,
            }
            for job in azureml.jobs.all()
        ],
        "models": [
            {
                "name": model.name,
                "version": model.version,
                "uri": model.uri,
                "created": model.created,
                "tags": model.tags,
            }
            for model in azureml.models.all()
        ],
        "endpoints": [
            *_endpoints(azureml, endpoints.all()),
            *_endpoints(azureml, deleted_endpoints),
        ],
        "deployments": [
            *_deployments(azureml, endpoints.all_deployments()),
            *_deployments(azureml, deleted_deployments),
        ],
    }


def _endpoints(azureml: AzureML, endpoints: Sequence[Endpoint]) -> list[dict[str, Any]]:
    return [
        {
            "name": endpoint.name,
            "state": "Deleted" if endpoint.deleted else azureml.endpoints.state(endpoint),
            "traffic": endpoint.traffic,
            "tags": endpoint.tags,
            "created": endpoint.created,
            "deleted": endpoint.deleted,
        }
        for endpoint in endpoints
    ]


def _deployments(azureml: AzureML, deployments: Sequence[Deployment]) -> list[dict[str, Any]]:
    return [
        {
            "endpoint": deployment.endpoint,
            "name": deployment.name,
            "state": "Deleted" if deployment.deleted else azureml.endpoints.state(deployment),
            "model": deployment.model,
            "instance_type": deployment.properties.get("instanceType"),
            "instance_count": deployment.sku.get("capacity"),
            "tags": deployment.tags,
            "created": deployment.created,
            "deleted": deployment.deleted,
        }
        for deployment in deployments
    ]
