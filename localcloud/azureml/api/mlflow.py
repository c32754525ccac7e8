"""MLflow's tracking API of the workspace: what the runs of a job logged. Reading only; metrics are with their step.

https://mlflow.org/docs/latest/rest-api.html: runs/get, metrics/get-history, and the form of errors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localcloud.azureml.api.wire import WORKSPACE_PATH, require_workspace
from localcloud.responses import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from localcloud.azureml.api.wire import Arm
    from localcloud.azureml.jobs import Job, Jobs, Metric
    from localcloud.http import Handler

PREFIX = "/mlflow/v1.0" + WORKSPACE_PATH + "/api/2.0/mlflow"
MAX_RESULTS = 25_000
"""Of one page, MLflow's own limit."""
_STATUS = {
    "Completed": "FINISHED",
    "Failed": "FAILED",
    "Canceled": "KILLED",
    "CancelRequested": "KILLED",
    "NotStarted": "SCHEDULED",
    "Preparing": "SCHEDULED",
    "Queued": "SCHEDULED",
}


def routes(arm: Arm, jobs: Jobs) -> list[Route]:
    async def get_run(request: Request) -> Response:
        run_id = request.query_params.get("run_id") or request.query_params.get("run_uuid") or ""
        if not run_id:
            return _error(400, "INVALID_PARAMETER_VALUE", "Missing value for required parameter 'run_id'.")
        found = _find(jobs, run_id)
        if found is None:
            return _error(404, "RESOURCE_DOES_NOT_EXIST", f"Run with id={run_id} not found")
        job, status, metrics = found
        newest = {metric.name: metric for metric in metrics}
        info = {
            "run_id": run_id,
            "run_uuid": run_id,
            "experiment_id": job.experiment_id,
            "status": _STATUS.get(status, "RUNNING"),
            "start_time": _milliseconds(job.started or job.created),
            "lifecycle_stage": "active",
        }
        return JSONResponse({"run": {"info": info, "data": {"metrics": [_body(item) for item in newest.values()]}}})

    async def history(request: Request) -> Response:
        run_id, key = request.query_params.get("run_id") or "", request.query_params.get("metric_key") or ""
        if not run_id or not key:
            return _error(400, "INVALID_PARAMETER_VALUE", "run_id and metric_key are required.")
        found = _find(jobs, run_id)
        if found is None:
            return _error(404, "RESOURCE_DOES_NOT_EXIST", f"Run with id={run_id} not found")
        begin, most = request.query_params.get("page_token") or "0", request.query_params.get("max_results")
        if not begin.isdigit() or not (most or "1").isdigit():
            return _error(400, "INVALID_PARAMETER_VALUE", "max_results or page_token is no number.")
        points = [_body(metric) for metric in found[2] if metric.name == key]
        end = int(begin) + min(int(most or MAX_RESULTS), MAX_RESULTS)
        answer: dict[str, Any] = {"metrics": points[int(begin) : end]}
        if end < len(points):
            answer["next_page_token"] = str(end)
        return JSONResponse(answer)

    def route(path: str, handler: Handler) -> Route:
        async def checked(request: Request) -> Response:
            require_workspace(request)
            return await handler(request)

        return arm.route("GET", PREFIX + path, checked)

    return [route("/runs/get", get_run), route("/metrics/get-history", history)]


def _find(jobs: Jobs, run_id: str) -> tuple[Job, str, Sequence[Metric]] | None:
    """The job of a run, the run's status and what it logged itself, oldest first."""
    job = jobs.find(run_id)
    if job is not None:
        return job, job.status, ()
    step = jobs.find_step(run_id)
    if step is None:
        return None
    return jobs.get(step.job), step.status, [item for item in jobs.metrics(step.job) if item.step == step.name]


def _body(metric: Metric) -> dict[str, Any]:
    return {"key": metric.name, "value": metric.value, "timestamp": _milliseconds(metric.time), "step": metric.at}


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _error(status: int, code: str, message: str) -> Response:
    return JSONResponse({"error_code": code, "message": message}, status_code=status)
