"""Azure Resource Manager's JSON into our values; tolerant of what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from shared.azureml.resources import Job, OnlineDeployment, OnlineEndpoint


def parse_job(body: Mapping[str, Any], error: str = "") -> Job:
    properties = body.get("properties") or {}
    return Job(
        name=str(body.get("name") or ""),
        status=str(properties.get("status") or "Unknown"),
        tags=_strings(properties.get("tags")),
        error=error,
        created_at=_time((body.get("systemData") or {}).get("createdAt")),
    )


def parse_endpoint(body: Mapping[str, Any]) -> OnlineEndpoint:
    properties = body.get("properties") or {}
    system = body.get("systemData") or {}
    return OnlineEndpoint(
        id=str(body.get("id") or ""),
        name=str(body.get("name") or ""),
        provisioning_state=str(properties.get("provisioningState") or "Unknown"),
        scoring_uri=str(properties.get("scoringUri") or ""),
        traffic={str(name): int(share) for name, share in (properties.get("traffic") or {}).items()},
        tags=_strings(body.get("tags")),
        description=str(properties.get("description") or ""),
        auth_mode=str(properties.get("authMode") or "Key"),
        location=str(body.get("location") or ""),
        created_at=_time(system.get("createdAt")),
        last_modified_at=_time(system.get("lastModifiedAt")),
        operation_url=_operation_url(properties),
    )


def parse_deployment(endpoint: str, body: Mapping[str, Any]) -> OnlineDeployment:
    properties = body.get("properties") or {}
    system = body.get("systemData") or {}
    return OnlineDeployment(
        name=str(body.get("name") or ""),
        endpoint=endpoint,
        provisioning_state=str(properties.get("provisioningState") or "Unknown"),
        model=str(properties.get("model") or ""),
        instance_type=str(properties.get("instanceType") or ""),
        instance_count=int((body.get("sku") or {}).get("capacity") or 1),
        tags=_strings(body.get("tags")),
        created_at=_time(system.get("createdAt")),
        operation_url=_operation_url(properties),
    )


def operation_end(body: Mapping[str, Any]) -> datetime | None:
    """When a long-running operation ended well; of one that goes on, the year is 1."""
    if body.get("status") != "Succeeded":
        return None
    ended = _time(body.get("endTime"))
    return ended if ended is not None and ended.year > 1 else None


def run_times(run: Mapping[str, Any]) -> tuple[datetime | None, datetime | None]:
    """Start and end of a run in run history."""
    return _time(run.get("startTimeUtc")), _time(run.get("endTimeUtc"))


def run_errors(run: Mapping[str, Any]) -> tuple[str, list[str]]:
    """The message of a failed run in run history, and those of its details; empty if there are none."""
    error = (run.get("error") or {}).get("error") or {}
    details = [_one_line(detail.get("message")) for detail in error.get("details") or () if detail.get("message")]
    return _one_line(error.get("message") or error.get("code")), details


def _one_line(text: Any) -> str:
    return " ".join(str(text or "").split())[:2000]


def _operation_url(properties: Mapping[str, Any]) -> str:
    return str((properties.get("properties") or {}).get("AzureAsyncOperationUri") or "")


def _strings(value: Any) -> dict[str, str]:
    return {str(name): str(text) for name, text in (value or {}).items()}


def _time(value: Any) -> datetime | None:
    if not value:
        return None
    parsed = datetime.fromisoformat(str(value))
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
