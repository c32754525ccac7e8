"""The app settings, in one typed class. docs/configuration.md is held against it by a test."""

from __future__ import annotations

import dataclasses
import functools
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.errors import ConfigurationError
from shared.timeouts import Timeouts

STORAGE_CONNECTION = "STORAGE"
"""Prefix of the identity-based connection that triggers and SDK clients share."""

_REQUIRED: Any = dataclasses.MISSING


def _setting(
    doc: str,
    default: Any = _REQUIRED,
    *,
    name: str | None = None,
    minimum: float | None = None,
    check: Callable[[str], object] | None = None,
) -> Any:
    """`check` raises ValueError for a text that is none."""
    metadata = {"doc": doc, "name": name, "minimum": minimum, "check": check}
    if default is _REQUIRED:
        return field(metadata=metadata)
    return field(default=default, metadata=metadata)


def _prices(raw: str) -> None:
    from shared.costs.overrides import parse_prices

    parse_prices(raw)


def _currency(raw: str) -> None:
    if not re.fullmatch(r"[A-Z]{3}", raw, re.ASCII):
        raise ValueError("must be a currency's code of three capital letters")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One attribute per app setting; the setting's name is the attribute's in capitals unless it says otherwise."""

    azure_subscription_id: str = _setting("Subscription of the Azure Machine Learning workspace.")
    azure_resource_group: str = _setting("Resource group of the workspace.")
    azureml_workspace: str = _setting("Name of the workspace.")
    azure_location: str = _setting("Region of the workspace, for example `eastus`.")
    storage_blob_uri: str = _setting(
        "Blob endpoint of the storage account that holds `datasets`, `tunings` and `reports`.",
        name="STORAGE__blobServiceUri",
    )
    storage_queue_uri: str = _setting("Queue endpoint of that account.", name="STORAGE__queueServiceUri")
    storage_table_uri: str = _setting("Table endpoint of that account.", name="STORAGE__tableServiceUri")
    azure_client_id: str = _setting("Client id of the user-assigned identity; empty: system-assigned.", "")

    registry: str = _setting("Registry of the base model and of the fine-tune component.", "azureml")
    component: str = _setting("Fine-tune pipeline component; its newest version is used.", "chat_completion_pipeline")
    base_model: str = _setting("Base model of datasets that name none.", "Phi-3-mini-4k-instruct")
    base_model_version: str = _setting("Version of the base model; empty: the newest.", "")
    experiment_name: str = _setting("Experiment that the jobs appear in.", "droptune")
    compute: str = _setting("Compute of all steps: a cluster's name, or `serverless`.", "serverless")
    finetune_instance_type: str = _setting("VM size of the fine-tune steps.", "Standard_NC24ads_A100_v4")
    gpus_per_node: int = _setting("GPUs of that VM size.", 1, minimum=1)
    inference_instance_type: str = _setting("VM size of deployments.", "Standard_NC24ads_A100_v4")
    inference_instance_count: int = _setting("Instances per deployment.", 1, minimum=1)
    request_timeout_seconds: float = _setting("Scoring time-out of deployments, at most 180.", 90.0, minimum=1)
    liveness_initial_delay_seconds: float = _setting(
        "Time that a deployment has for loading its model before the liveness probe.", 600.0, minimum=0
    )

    max_active_jobs: int = _setting(
        "At most so many jobs run at once; the rest waits in order of arrival. 0: no limit.", 10, minimum=0
    )
    settle_seconds: float = _setting("A version is taken once it was quiet for so long.", 30.0, minimum=0)
    missing_split_minutes: float = _setting(
        "A version without all required splits is rejected after so long.", 60.0, minimum=0
    )
    max_seq_length: int = _setting(
        "Tokens of a row that training keeps, for datasets whose `tuning.json` says nothing; longer rows are warned "
        "about.",
        8192,
        minimum=1,
    )
    token_bytes: float = _setting("Bytes of UTF-8 that are taken for a token.", 4.0, minimum=0.5)
    max_long_percent: float = _setting(
        "A split is rejected if more than this percentage of its rows is longer than that; 100: only warned about.",
        100.0,
        minimum=0,
    )
    max_duplicate_percent: float = _setting(
        "A split is rejected if more than this percentage of its rows repeats an earlier one; 100: only warned about.",
        100.0,
        minimum=0,
    )
    max_leak_percent: float = _setting(
        "A version is rejected if more than this percentage of `test_sft` stands in `train_sft`; "
        "100: only warned about.",
        100.0,
        minimum=0,
    )
    max_expanded_gigabytes: float = _setting(
        "A compressed split is rejected if it holds more than this.", 64.0, minimum=0.001
    )

    poll_seconds: float = _setting("First look at a long-running operation after so long; grows.", 15.0, minimum=0)
    poll_max_seconds: float = _setting("Longest time between two looks.", 60.0, minimum=0)
    training_look_minutes: float = _setting(
        "A running job of which no event came is looked at after so long.", 15.0, minimum=0
    )
    overdue_seconds: float = _setting(
        "`reconcile` looks at a tuning whose next look is overdue by so long.", 120.0, minimum=0
    )
    preparing_deadline_minutes: float = _setting("Deadline of `preparing`.", 120.0, minimum=0)
    queued_deadline_hours: float = _setting("Deadline of `queued`: waiting for a job slot.", 168.0, minimum=0)
    training_deadline_hours: float = _setting("Deadline of `training`; the job is canceled then.", 72.0, minimum=0)
    deploying_deadline_minutes: float = _setting("Deadline of `registered` and `deploying`.", 150.0, minimum=0)
    testing_deadline_minutes: float = _setting("Deadline of `testing` and `promoting`.", 120.0, minimum=0)

    smoke_test_attempts: int = _setting("Tries of the smoke test before roll-back.", 3, minimum=1)
    smoke_samples: int = _setting("Questions of the smoke test; `tuning.json` may override.", 5, minimum=1)
    smoke_concurrency: int = _setting("Questions that are asked at a time.", 2, minimum=1)
    smoke_run_seconds: float = _setting(
        "No question is begun after so long in one run of the function; another run asks the rest.", 120.0, minimum=0
    )
    smoke_max_latency_seconds: float = _setting(
        "Slowest answer that passes; `tuning.json` may override.", 60.0, minimum=0.001
    )

    canary_percent: int = _setting(
        "Share of the traffic that a new deployment gets first, while another one is live, at most 50; 0: all at once. "
        "`tuning.json` may override.",
        0,
        minimum=0,
    )
    canary_minutes: float = _setting("So long at least; `tuning.json` may override.", 30.0, minimum=0)
    canary_max_error_rate: float = _setting(
        "It goes back if more of its requests fail, and more than the live deployment's; `tuning.json` may override.",
        0.02,
        minimum=0,
    )
    canary_max_latency_p95_seconds: float = _setting(
        "The same for the 95th percentile of its latency; `tuning.json` may override.", 60.0, minimum=0.001
    )
    canary_min_requests: int = _setting(
        "Nothing is proved by fewer requests; `tuning.json` may override.", 20, minimum=1
    )
    canary_deadline_hours: float = _setting(
        "Deadline of `canary`: what is not decided by then is rolled back.", 24.0, minimum=0
    )
    canary_promote_undecided: bool = _setting("It is promoted instead, by its smoke test alone.", False)

    idle_cleanup_schedule: str = _setting("NCRONTAB schedule of the idle sweep.", "0 */15 * * * *")
    idle_after_minutes: float = _setting("An endpoint without requests for so long is idle.", 1440.0, minimum=0)
    idle_grace_minutes: float = _setting("Time from the mark to the deletion.", 120.0, minimum=0)
    orphan_grace_minutes: float = _setting(
        "The same for endpoints and deployments of ours that no tuning uses any more.", 60.0, minimum=0
    )
    metrics_delay_minutes: float = _setting(
        "Minutes that Azure Monitor may be behind; the sweep does not ask for them.", 5.0, minimum=0
    )
    idle_dry_run: bool = _setting("Report only; nothing is marked or deleted.", True)
    max_deletions_per_sweep: int = _setting("At most so many endpoints are deleted by one sweep.", 5, minimum=0)
    reconcile_schedule: str = _setting("NCRONTAB schedule of `reconcile`.", "0 */5 * * * *")

    prices: str = _setting(
        'Prices per instance and hour that win over the list, as JSON: `{"Standard_NC24ads_A100_v4": 3.67}`.',
        "",
        check=_prices,
    )
    price_currency: str = _setting("Currency of all prices.", "USD", check=_currency)
    prices_endpoint: str = _setting(
        "Azure Retail Prices API; empty: it is not asked, so that only `PRICES` are known.",
        "https://prices.azure.com/api/retail/prices",
    )

    dashboard_session_hours: float = _setting(
        "A sign-in to the dashboard lasts so long; deleting its row in `dashboardsessions` ends it at once.",
        8.0,
        minimum=0.01,
    )
    dashboard_easy_auth: bool = _setting(
        "Whoever App Service authentication signed in may use the dashboard, and nobody with a key. Where "
        "that authentication is off, nobody may.",
        False,
    )
    monthly_budget: float = _setting(
        "A new deployment waits if this month's cost, until its end and at the current rates, would exceed this. "
        "0: no budget.",
        0.0,
        minimum=0,
    )
    budget_deadline_hours: float = _setting(
        "Deadline of `waiting_for_budget`; a month, so that the next budget is seen.", 744.0, minimum=0
    )
    wake_seconds: float = _setting(
        "`Retry-After` of a dataset that is being woken, before a deployment of it was measured.", 900.0, minimum=1
    )
    score_timeout_seconds: float = _setting(
        "Longest time until the gateway's answer begins; the platform gives 230 s.", 225.0, minimum=1
    )
    max_score_body_megabytes: float = _setting("Longest body that the gateway passes on.", 8.0, minimum=0.001)

    lifecycle_topic_endpoint: str = _setting(
        "Endpoint of the Event Grid topic for lifecycle events; empty: none are published.", ""
    )
    telemetry: str = _setting(
        "Where traces, metrics and structured logs go: `azuremonitor`, `otlp`, `console`; empty: nowhere.", ""
    )
    applicationinsights_connection_string: str = _setting(
        "Application Insights, for `azuremonitor`; says where, the app's identity says who.", ""
    )
    otlp_endpoint: str = _setting(
        "OTLP over HTTP, for `otlp`.", "http://localhost:4318", name="OTEL_EXPORTER_OTLP_ENDPOINT"
    )
    telemetry_azure_calls: bool = _setting("Also a span for each call of the Azure SDKs.", False)
    connect_timeout_seconds: float = _setting("Time-out of connecting to an Azure service.", 5.0, minimum=0.001)
    read_timeout_seconds: float = _setting(
        "Time-out of an Azure service's answer, between two pieces of it.", 30.0, minimum=0.001
    )
    arm_endpoint: str = _setting("Azure Resource Manager.", "https://management.azure.com")
    azureml_audience: str = _setting("Audience of Azure Machine Learning tokens.", "https://ml.azure.com")
    registry_discovery_endpoint: str = _setting("Registry discovery; empty: the public cloud's in the region.", "")
    metrics_endpoint: str = _setting("Azure Monitor metrics; empty: the public cloud's in the region.", "")

    @property
    def workspace_id(self) -> str:
        """ARM resource id of the workspace: the topic of its events, the namespace of endpoint names."""
        return (
            f"/subscriptions/{self.azure_subscription_id}/resourceGroups/{self.azure_resource_group}"
            f"/providers/Microsoft.MachineLearningServices/workspaces/{self.azureml_workspace}"
        )

    @property
    def timeouts(self) -> Timeouts:
        return Timeouts(self.connect_timeout_seconds, self.read_timeout_seconds)

    @property
    def is_public_cloud(self) -> bool:
        return self.arm_endpoint.rstrip("/") == "https://management.azure.com"

    @staticmethod
    def from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
        """Raises ConfigurationError that names every setting which is missing or malformed."""
        values: dict[str, Any] = {}
        problems: list[str] = []
        for item in dataclasses.fields(Settings):
            name = setting_name(item)
            raw = environment.get(name, "").strip()
            if raw:
                try:
                    values[item.name] = _parse(raw, item)
                except ValueError as error:
                    problems.append(f"{name}={raw!r} {error}")
            elif item.default is dataclasses.MISSING:
                problems.append(f"{name} is missing: {item.metadata['doc']}")
        if problems:
            raise ConfigurationError("App settings: " + "; ".join(problems))
        return Settings(**values)


def setting_name(item: dataclasses.Field[Any]) -> str:
    return item.metadata["name"] or item.name.upper()


def _parse(raw: str, item: dataclasses.Field[Any]) -> Any:
    if item.type == "bool":
        lowered = raw.lower()
        if lowered not in ("true", "false"):
            raise ValueError("must be true or false")
        return lowered == "true"
    if item.type not in ("int", "float"):
        if check := item.metadata["check"]:
            check(raw)
        return raw
    try:
        number: int | float = int(raw) if item.type == "int" else float(raw)
    except ValueError:
        raise ValueError(f"must be {'a whole number' if item.type == 'int' else 'a number'}") from None
    minimum = item.metadata["minimum"]
    if not number < float("inf") or (minimum is not None and number < minimum):
        raise ValueError(f"must be a finite number, at least {minimum}")
    return number


@functools.cache
def settings() -> Settings:
    """The process's settings, read at first use: a bad setting fails a call, not the indexing of the app."""
    return Settings.from_environment()
