"""Services whose clients are twins: with it every real handler runs in the simulated world."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast
from unittest.mock import patch

from shared.config import Settings
from shared.services import Services
from tests.simulation.twins.arm import ArmTwin
from tests.simulation.twins.blobs import BlobsTwin
from tests.simulation.twins.canary import CanaryMetricsTwin
from tests.simulation.twins.cloud import Clients, TwinCloud
from tests.simulation.twins.prices import RetailPricesTwin
from tests.simulation.twins.queues import WakeUpsTwin
from tests.simulation.twins.sdk import SdkTwin
from tests.simulation.twins.serving import MetricsTwin, ScoringTwin
from tests.simulation.twins.tables import LedgerTwin

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.data.tables import TableServiceClient

    from shared.idle.patience import Pause
    from shared.lifecycle.topic import Topic
    from tests.simulation.twins.world import World


@dataclass(frozen=True)
class TwinServices(Services):
    """One process of the app: made anew after a crash, since it remembers what it has read."""

    clients: Clients = field(kw_only=True)

    @staticmethod
    def of(settings: Settings, cloud: TwinCloud, world: World) -> TwinServices:
        return TwinServices(settings, world.now, clients=Clients(cloud, world))

    @functools.cached_property
    def _credential(self) -> TokenCredential:
        raise AssertionError("a twin needs no credential: some client of Services has no twin")

    @functools.cached_property
    def _pause(self) -> Pause:
        return lambda seconds: None

    @functools.cached_property
    def _arm(self) -> ArmTwin:
        return self.clients.arm

    @functools.cached_property
    def _sdk(self) -> SdkTwin:
        return self.clients.sdk

    @functools.cached_property
    def _tables(self) -> TableServiceClient:
        raise AssertionError("the ledger is a twin; the dashboard is not simulated")

    @functools.cached_property
    def _ledger(self) -> LedgerTwin:
        return self.clients.ledger

    @functools.cached_property
    def _wake_ups(self) -> WakeUpsTwin:
        return self.clients.wake_ups

    @functools.cached_property
    def _blobs(self) -> BlobsTwin:
        return self.clients.blobs

    @functools.cached_property
    def _scoring(self) -> ScoringTwin:
        return self.clients.scoring

    @functools.cached_property
    def _metrics(self) -> MetricsTwin:
        return self.clients.metrics

    @functools.cached_property
    def _canary_metrics(self) -> CanaryMetricsTwin:
        return self.clients.canary_metrics

    @functools.cached_property
    def _retail_prices(self) -> RetailPricesTwin:
        return self.clients.retail

    @functools.cached_property
    def _publisher(self) -> Topic:
        return cast("Topic", self.clients.publisher)


@contextmanager
def lent(services: Services) -> Iterator[None]:
    """Handlers ask shared.services for their services at each call; in here they get these."""
    with patch("shared.services.services", lambda: services):
        yield
