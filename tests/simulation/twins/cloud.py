"""The state of all simulated services, and the clients with which one instance of the app uses them."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

from azure.core.messaging import CloudEvent

from shared.blob_download import CHUNK_BYTES
from tests.simulation.twins.arm import ArmTwin
from tests.simulation.twins.blobs import BlobStore, BlobsTwin
from tests.simulation.twins.canary import CanaryMetricsTwin
from tests.simulation.twins.endpoints import Endpoints
from tests.simulation.twins.jobs import Jobs
from tests.simulation.twins.models import Models
from tests.simulation.twins.prices import PriceList, RetailPricesTwin
from tests.simulation.twins.queues import Queues, WakeUpsTwin
from tests.simulation.twins.registry import Registry
from tests.simulation.twins.sdk import SdkTwin
from tests.simulation.twins.serving import MetricsTwin, ScoringTwin, Usage
from tests.simulation.twins.tables import LedgerTwin, Tables
from tests.simulation.twins.world import World

STORAGE_ACCOUNT_ID = (
    "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/twins"
    "/providers/Microsoft.Storage/storageAccounts/twin"
)


class TwinCloud:
    """What lasts when an instance of the app dies. Its parts are also the hands of users and operators:

    `blobs.upload`, `blobs.delete`, `queues.send`, `jobs.cancel`, `endpoints.delete`, `endpoints.delete_deployment`,
    `endpoints.put`, `usage.record`, `registry.models.append` change things without passing through World.effect.
    """

    def __init__(self, world: World, workspace_id: str, account_id: str = STORAGE_ACCOUNT_ID) -> None:
        self.workspace_id = workspace_id
        self.account_id = account_id
        self.tables = Tables()
        self.queues = Queues(world)
        self.blobs = BlobStore(world, account_id)
        self.registry = Registry()
        self.jobs = Jobs(world, workspace_id, self.registry)
        self.models = Models(world, workspace_id, self.jobs)
        self.endpoints = Endpoints(world, self.models)
        self.usage = Usage(world)
        self.topic = Topic()
        self.prices = PriceList()


@dataclass
class Topic:
    """The custom topic for lifecycle events; what was accepted, doubles included."""

    published: list[CloudEvent[dict[str, object]]] = field(default_factory=list)


class PublisherTwin:
    """Of azure-eventgrid's publisher, what the app uses."""

    def __init__(self, world: World, topic: Topic) -> None:
        self._world = world
        self._topic = topic

    def send(self, events: list[CloudEvent[dict[str, object]]]) -> None:
        self._world.effect(
            "publisher.send",
            lambda: self._topic.published.extend(copy.deepcopy(events)),
            writes=True,
            of=events[0].subject or "",
        )


class Clients:
    """Of one instance: `world` decides which of its calls come through."""

    def __init__(self, cloud: TwinCloud, world: World, chunk_bytes: int = CHUNK_BYTES) -> None:
        self.ledger = LedgerTwin(world, cloud.tables)
        self.wake_ups = WakeUpsTwin(world, cloud.queues)
        self.blobs = BlobsTwin(world, cloud.blobs, chunk_bytes)
        self.arm = ArmTwin(world, cloud.workspace_id, cloud.jobs, cloud.endpoints)
        self.sdk = SdkTwin(world, cloud.registry, cloud.jobs, cloud.models)
        self.scoring = ScoringTwin(world, cloud.endpoints, cloud.usage)
        self.metrics = MetricsTwin(world, cloud.endpoints, cloud.usage)
        self.canary_metrics = CanaryMetricsTwin(world, cloud.endpoints, cloud.usage)
        self.publisher = PublisherTwin(world, cloud.topic)
        self.retail = RetailPricesTwin(world, cloud.prices)
