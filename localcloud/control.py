"""The control API, /_localcloud/: for the demo's view and for tests. Loopback only, no token."""

from __future__ import annotations

import fnmatch
import ipaddress
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from starlette.responses import FileResponse, PlainTextResponse

from localcloud import control_limits
from localcloud.azureml.clock import Mode
from localcloud.azureml.consistency import facts_of, impossible_states
from localcloud.azureml.snapshot import snapshot
from localcloud.faults import FaultError
from localcloud.http import ArmRoute, CloudError, json_object
from localcloud.monitor import Trouble
from localcloud.responses import JSONResponse
from localcloud.routing import CONTROL_PREFIX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from localcloud.azureml import AzureML
    from localcloud.faults import Faults
    from localcloud.http import Handler
    from localcloud.monitor import Monitor
    from localcloud.request_log import RequestLog
    from localcloud.routing import Operation
    from localcloud.telemetry import Collector


def routes(
    azureml: AzureML,
    monitor: Monitor,
    faults: Faults,
    requests: RequestLog,
    operations: Sequence[Operation],
    collector: Collector,
) -> list[Route]:
    """`operations` are those that can be named in a fault."""

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok", "mode": azureml.clock.mode, "now": azureml.clock.now()})

    async def job(request: Request) -> Response:
        return JSONResponse(_job(azureml, request.path_params["job"]))

    async def job_log(request: Request) -> Response:
        file = azureml.jobs.log_file(azureml.jobs.get(request.path_params["job"]).name)
        return FileResponse(file, media_type="text/plain") if file.exists() else PlainTextResponse("")

    async def resources(_: Request) -> Response:
        return JSONResponse(snapshot(azureml))

    async def consistency(_: Request) -> Response:
        return JSONResponse({"impossible": impossible_states(facts_of(azureml))})

    async def list_operations(_: Request) -> Response:
        return JSONResponse([asdict(operation) for operation in operations])

    async def list_requests(request: Request) -> Response:
        since = request.query_params.get("since", "0")
        if not since.isdigit():
            raise CloudError(400, "BadRequest", f"since must be a number, not '{since}'.")
        wanted = request.query_params.get("operation", "*")
        lines = (line for line in requests.since(int(since)) if fnmatch.fnmatchcase(line.operation, wanted))
        return JSONResponse([line._asdict() for line in lines])

    async def list_faults(_: Request) -> Response:
        return JSONResponse(faults.shown())

    async def add_faults(request: Request) -> Response:
        try:
            given = json.loads(await request.body())
            faults.add(given if isinstance(given, list) else [given])
        except (FaultError, ValueError) as error:
            raise CloudError(400, "BadRequest", str(error)) from error
        return JSONResponse(faults.shown())

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
        _route("GET", "/consistency", consistency),
        _route("GET", "/operations", list_operations),
        _route("GET", "/requests", list_requests),
        _route("GET", "/faults", list_faults),
        _route("POST", "/faults", add_faults),
        _route("DELETE", "/faults", clear_faults),
        _route("POST", "/progress", progress),
        _route("POST", "/advance", advance),
        _route("POST", "/monitor", trouble),
        _route("POST", "/telemetry/v1/{signal}", collector.export),
        _route("GET", "/telemetry/{signal}", collector.kept),
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
