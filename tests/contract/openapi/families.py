"""Calls that no published specification describes, and what they are held against instead."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.contract.openapi.exchanges import Exchange


@dataclass(frozen=True)
class Family:
    """`tests` are files that hold it against `instead`."""

    name: str
    path: str
    instead: str
    tests: tuple[str, ...]


FAMILIES = (
    Family(
        "run history",
        r"/history/v1\.0/.+",
        "recording pipeline_job_child_runs; azure-ai-ml's own client",
        ("tests/contract/test_recordings.py", "tests/integration/test_azureml_sdk.py"),
    ),
    Family(
        "MLflow tracking",
        r"/mlflow/v1\.0/.+/api/2\.0/mlflow/.+",
        "MLflow's REST API documentation",
        ("tests/integration/test_azureml_seam.py",),
    ),
    Family(
        "workspace discovery",
        r"/discovery",
        "recording pipeline_job_child_runs; azure-ai-ml's own client",
        ("tests/contract/test_recordings.py", "tests/integration/test_azureml_sdk.py"),
    ),
    Family(
        "registry discovery",
        r"/registrymanagement/v1\.0/.+",
        "recordings registry_component_and_model_as_input, registry_pipeline_job_with_registered_component",
        ("tests/contract/test_recordings.py",),
    ),
    Family(
        "cloud metadata",
        r"/metadata/endpoints",
        "azure-ai-ml's own reader",
        ("tests/integration/test_stack.py",),
    ),
    Family(
        "Monitor metrics batch",
        r"(/metrics/[^/]+)?/subscriptions/[^/]+/metrics:getBatch",
        "azure-monitor-querymetrics' MetricsClient",
        ("tests/integration/test_monitor.py",),
    ),
    Family(
        "retail prices",
        r"/api/retail/prices",
        "the overview of the Azure Retail Prices API and its sample answer",
        ("tests/integration/test_costs.py",),
    ),
    Family(
        "scoring",
        r"/inference/[^/]+/.+",
        "the scoring contract of managed endpoints; azure-ai-ml's invoke",
        ("tests/integration/test_azureml_endpoints.py", "tests/integration/test_azureml_sdk.py"),
    ),
    Family(
        "Event Grid publishing",
        r"/eventgrid/topics/[^/]+/api/events",
        "azure-eventgrid's publisher client",
        ("tests/integration/test_eventgrid_topics.py",),
    ),
    Family(
        "Event Grid system topics",
        r"/subscriptions/.+/providers/Microsoft\.EventGrid/systemTopics(/[^/]+/eventSubscriptions)?",
        "the reference of Event Grid's REST API; read only",
        ("tests/e2e/test_cli.py",),
    ),
    Family(
        "Event Grid validation",
        r"/eventgrid/eventsubscriptions/[^/]+/validate",
        "the handshake as the documentation has it",
        ("tests/integration/test_eventgrid_handshake.py",),
    ),
    Family(
        "managed identity",
        r"/msi/token",
        "azure-identity's ManagedIdentityCredential",
        ("tests/integration/test_azureml_sdk.py", "tests/integration/test_storage.py"),
    ),
)


def family_of(exchange: Exchange) -> Family | None:
    return next((family for family in FAMILIES if re.fullmatch(family.path, exchange.path, re.IGNORECASE)), None)
