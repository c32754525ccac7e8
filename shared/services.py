"""What the handlers call, put together once per process from the settings. Everything is made at first use."""

from __future__ import annotations

import functools
import os
import sys
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from shared import names
from shared.azureml.arm import ArmClient
from shared.azureml.sdk import SdkClient
from shared.blobs import Blobs
from shared.clock import utc_now
from shared.config import Settings, settings
from shared.costs.books import Books
from shared.costs.prices import Prices
from shared.costs.retail import RetailPrices
from shared.costs.statement import Statement
from shared.gateway.usage import Usage
from shared.lifecycle.cancel import Canceler
from shared.lifecycle.engine import Lifecycle
from shared.lifecycle.events import LifecycleEvents
from shared.lifecycle.examine import Examiner
from shared.lifecycle.intake import Intake
from shared.lifecycle.job_events import JobEvents
from shared.lifecycle.ledger import Ledger
from shared.lifecycle.poison import PoisonMessages
from shared.lifecycle.queues import WakeUps
from shared.lifecycle.reconcile import Reconciler
from shared.lifecycle.replay import Replayer
from shared.lifecycle.smoke_stage import SmokeStage
from shared.lifecycle.status import Status
from shared.lifecycle.topic import Topic
from shared.lifecycle.waking import EndpointKeeper
from shared.telemetry.telemetry import Telemetry

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.data.tables import TableServiceClient

    from shared.clock import Clock
    from shared.dashboard.dashboard import Dashboard
    from shared.gateway.gateway import Gateway
    from shared.idle.metrics import RequestMetrics
    from shared.idle.patience import Pause
    from shared.idle.sweep import Sweep
    from shared.lifecycle.canary_metrics import CanaryMetrics
    from shared.serving.scoring import ScoringClient

_CORE_PATIENCE: dict[str, Any] = {"retry_total": 2, "retry_status": 0, "retry_backoff_max": 4}
"""For azure-core's policy, which would try tables and topics for minutes, inside of a function."""
_IDENTITY_PATIENCE = {**_CORE_PATIENCE, "retry_status": 2}
"""The identity endpoint of an instance that has just started may say "later" for a moment."""
_STORAGE_PATIENCE: dict[str, Any] = {
    "retry_total": 2,
    "initial_backoff": 1,
    "increment_base": 2,
    "random_jitter_range": 1,
}
"""For the storage SDKs' policy, whose pauses are 15 s and more by default."""


@dataclass(frozen=True)
class Services:
    settings: Settings
    clock: Clock = utc_now

    @functools.cached_property
    def lifecycle(self) -> Lifecycle:
        return Lifecycle(
            settings=self.settings,
            ledger=self._ledger,
            wake_ups=self._wake_ups,
            arm=self._arm,
            sdk=self._sdk,
            blobs=self._blobs,
            canary_metrics=self._canary_metrics,
            events=LifecycleEvents(
                self._ledger,
                self.settings.workspace_id,
                (lambda: self._publisher) if self.settings.lifecycle_topic_endpoint else None,
            ),
            books=self.books,
            clock=self.clock,
            telemetry=self.telemetry,
        )

    @functools.cached_property
    def telemetry(self) -> Telemetry:
        if not self.settings.telemetry:
            return Telemetry()
        from shared.telemetry.start import telemetry

        return telemetry(self.settings, self._credential)

    @functools.cached_property
    def books(self) -> Books:
        owner = names.owner(self.settings.workspace_id)
        return Books(self._ledger, self._arm, self.prices, self.clock, owner)

    @functools.cached_property
    def intake(self) -> Intake:
        return Intake(self.lifecycle, Examiner(self.settings, self._blobs, self._sdk))

    @functools.cached_property
    def smoke_stage(self) -> SmokeStage:
        return SmokeStage(self.lifecycle, self._scoring)

    @functools.cached_property
    def job_events(self) -> JobEvents:
        return JobEvents(self.lifecycle)

    @functools.cached_property
    def reconciler(self) -> Reconciler:
        return Reconciler(self.lifecycle, self.intake)

    @functools.cached_property
    def poison_messages(self) -> PoisonMessages:
        return PoisonMessages(self.lifecycle, self.intake)

    @functools.cached_property
    def replayer(self) -> Replayer:
        return Replayer(self.lifecycle, self.intake)

    @functools.cached_property
    def canceler(self) -> Canceler:
        return Canceler(self.lifecycle)

    @functools.cached_property
    def endpoint_keeper(self) -> EndpointKeeper:
        return EndpointKeeper(self.lifecycle)

    @functools.cached_property
    def usage(self) -> Usage:
        return Usage(self._ledger, self.clock, time.monotonic)

    @functools.cached_property
    def gateway(self) -> Gateway:
        from shared.gateway.directory import Directory
        from shared.gateway.gateway import Gateway
        from shared.gateway.upstream import Upstream

        return Gateway(
            Directory(self._ledger, self._arm, time.monotonic),
            Upstream(),
            self.usage,
            self.endpoint_keeper,
            timeout=self.settings.score_timeout_seconds,
            max_body=round(self.settings.max_score_body_megabytes * 1024 * 1024),
            timer=time.monotonic,
        )

    @functools.cached_property
    def status(self) -> Status:
        return Status(self.lifecycle)

    @functools.cached_property
    def prices(self) -> Prices:
        return Prices(self.settings, self._ledger, lambda: self._retail_prices, self.clock)

    @functools.cached_property
    def statement(self) -> Statement:
        return Statement(self.settings, self._ledger, self.clock, self.lifecycle.budget)

    @functools.cached_property
    def dashboard(self) -> Dashboard:
        from shared.dashboard.dashboard import Dashboard
        from shared.dashboard.deeds import Deeds
        from shared.dashboard.desk import Desk
        from shared.dashboard.look import Look
        from shared.dashboard.look_at_endpoints import EndpointsLook
        from shared.dashboard.sessions import Sessions
        from shared.dashboard.training import Training
        from shared.dashboard.usage import Usage

        lasting = timedelta(hours=self.settings.dashboard_session_hours)
        desk = Desk(
            sessions=Sessions(self._tables, self.clock, lasting),
            deeds=Deeds(self.lifecycle, self.replayer, self.canceler, self.endpoint_keeper),
            clock=self.clock,
            workspace=self.settings.azureml_workspace,
            easy_auth=self.settings.dashboard_easy_auth,
            platform_authenticates=os.environ.get("WEBSITE_AUTH_ENABLED", "").lower() == "true",
        )
        usage = Usage(self._metrics, self.clock, timedelta(minutes=self.settings.metrics_delay_minutes))
        endpoints = EndpointsLook(self.lifecycle, usage)
        look = Look(self.lifecycle, Training(self._arm, self.clock))
        return Dashboard(desk, look, endpoints, self.status, self.statement)

    @functools.cached_property
    def sweep(self) -> Sweep:
        from shared.idle.sweep import Sweep

        return Sweep(
            settings=self.settings,
            ledger=self._ledger,
            wake_ups=self._wake_ups,
            arm=self._arm,
            metrics=self._metrics,
            reports=self._blobs,
            events=self.lifecycle.events,
            clock=self.clock,
            pause=self._pause,
            price=self.prices.hourly,
            telemetry=self.telemetry,
            calls=self.usage,
            owner=names.owner(self.settings.workspace_id),
            metrics_delay=timedelta(minutes=self.settings.metrics_delay_minutes),
        )

    @functools.cached_property
    def _pause(self) -> Pause:
        return time.sleep

    @functools.cached_property
    def _credential(self) -> TokenCredential:
        from azure.identity import DefaultAzureCredential

        options: dict[str, Any] = {**self.settings.timeouts.options(), **_IDENTITY_PATIENCE}
        if self.settings.azure_client_id:
            options["managed_identity_client_id"] = self.settings.azure_client_id
        return DefaultAzureCredential(**options)

    @functools.cached_property
    def _arm(self) -> ArmClient:
        return ArmClient(
            self.settings.arm_endpoint, self.settings.workspace_id, self._credential, self.settings.timeouts
        )

    @functools.cached_property
    def _sdk(self) -> SdkClient:
        return SdkClient(self.settings, self._credential)

    @functools.cached_property
    def _tables(self) -> TableServiceClient:
        from azure.data.tables import TableServiceClient

        return TableServiceClient(
            self.settings.storage_table_uri,
            credential=self._credential,
            **self.settings.timeouts.options(),
            **_CORE_PATIENCE,
        )

    @functools.cached_property
    def _ledger(self) -> Ledger:
        return Ledger(self._tables)

    @functools.cached_property
    def _wake_ups(self) -> WakeUps:
        from azure.storage.queue import QueueServiceClient

        return WakeUps(
            QueueServiceClient(
                self.settings.storage_queue_uri,
                credential=self._credential,
                **self.settings.timeouts.options(),
                **_STORAGE_PATIENCE,
            ),
            self.telemetry.current,
        )

    @functools.cached_property
    def _blobs(self) -> Blobs:
        from azure.storage.blob import BlobServiceClient

        return Blobs(
            BlobServiceClient(
                self.settings.storage_blob_uri,
                credential=self._credential,
                **self.settings.timeouts.options(),
                **_STORAGE_PATIENCE,
            ),
            self.settings.timeouts,
        )

    @functools.cached_property
    def _scoring(self) -> ScoringClient:
        from shared.serving.scoring import ScoringClient

        return ScoringClient()

    @functools.cached_property
    def _metrics(self) -> RequestMetrics:
        from shared.idle.metrics import RequestMetrics

        return RequestMetrics(self.settings, self._credential)

    @functools.cached_property
    def _retail_prices(self) -> RetailPrices:
        return RetailPrices(self.settings.prices_endpoint, self.settings.timeouts)

    @functools.cached_property
    def _canary_metrics(self) -> CanaryMetrics:
        from shared.lifecycle.canary_metrics import CanaryMetrics

        return CanaryMetrics(self.settings, self._credential)

    @functools.cached_property
    def _publisher(self) -> Topic:
        return Topic(self.settings.lifecycle_topic_endpoint, self._credential, self.settings.timeouts, _CORE_PATIENCE)


_SWITCH_SECONDS = 0.001
"""A thread that checks a large split would else keep another function of the instance waiting 5 ms each time that it
comes back from the network."""


@functools.cache
def services() -> Services:
    sys.setswitchinterval(_SWITCH_SECONDS)
    return Services(settings())
