"""Everything that is and ever was, with its times and its simulated cost: what a cost ledger is checked against."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from localcloud.azureml.errors import UserError
from localcloud.azureml.pipeline import plan

if TYPE_CHECKING:
    from localcloud.azureml import AzureML
    from localcloud.azureml.endpoints import Deployment, Endpoint
    from localcloud.azureml.jobs import Job

CURRENCY = "USD"


def snapshot(azureml: AzureML) -> dict[str, Any]:
    """Times are seconds since the epoch of the emulator's clock, and the same to the microsecond as text.
    A `cost` is None when a price is not configured.
    """
    now = azureml.clock.now()
    gone_endpoints, gone_deployments = azureml.endpoints.history()
    endpoints = [*azureml.endpoints.all(), *gone_endpoints]
    deployments = [*azureml.endpoints.all_deployments(), *gone_deployments]
    jobs = [_job(azureml, job, now) for job in azureml.jobs.all()]
    shown = [_deployment(azureml, deployment, now) for deployment in deployments]
    costs = [item["cost"] for item in (*jobs, *shown)]
    return {
        "now": now,
        "jobs": jobs,
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
        "endpoints": [_endpoint(azureml, endpoint, now) for endpoint in endpoints],
        "deployments": shown,
        "cost": {
            "currency": CURRENCY,
            "total": round(sum(cost for cost in costs if cost is not None), 9),
            "without_price": sum(cost is None for cost in costs),
        },
    }


def _job(azureml: AzureML, job: Job, now: float) -> dict[str, Any]:
    steps = azureml.jobs.steps(job.name)
    try:
        literals = plan(job.properties, azureml.registry).literals
    except UserError:
        literals = {}  # the component that it ran is configured no more
    return {
        "name": job.name,
        "status": job.status,
        "created": job.created,
        "started": job.started,
        "ended": job.ended,
        "tags": job.tags,
        "compute_seconds": round(sum((step.ended or now) - step.started for step in steps), 6),
        "cost": azureml.billing.of_job(steps, literals, now),
    }


def _endpoint(azureml: AzureML, endpoint: Endpoint, now: float) -> dict[str, Any]:
    return {
        "name": endpoint.name,
        "state": "Deleted" if endpoint.deleted else azureml.endpoints.state(endpoint),
        "traffic": endpoint.traffic,
        "tags": endpoint.tags,
        **_lifetime(endpoint, now),
    }


def _deployment(azureml: AzureML, deployment: Deployment, now: float) -> dict[str, Any]:
    return {
        "endpoint": deployment.endpoint,
        "name": deployment.name,
        "state": "Deleted" if deployment.deleted else azureml.endpoints.state(deployment),
        "model": deployment.model,
        "instance_type": deployment.properties.get("instanceType"),
        "instance_count": deployment.sku.get("capacity"),
        "tags": deployment.tags,
        **_lifetime(deployment, now),
        "cost": azureml.billing.of_deployment(deployment, now),
    }


def _lifetime(resource: Endpoint | Deployment, now: float) -> dict[str, Any]:
    return {
        "created": resource.created,
        "created_at": _text(resource.created),
        "deleted": resource.deleted,
        "deleted_at": None if resource.deleted is None else _text(resource.deleted),
        "lifetime_seconds": round((resource.deleted or now) - resource.created, 6),
    }


def _text(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="microseconds")
