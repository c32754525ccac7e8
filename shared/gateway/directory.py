"""Which endpoint a call goes to, remembered for a few seconds: the ledger and Azure ML are not asked for each call."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from shared.errors import DroptuneError, TransientError
from shared.gateway.upstream import Target
from shared.lifecycle.records import EndpointStatus

if TYPE_CHECKING:
    from shared.azureml.resources import OnlineEndpoint
    from shared.lifecycle.ledger import Versioned
    from shared.lifecycle.records import EndpointRecord

log = logging.getLogger(__name__)

FRESH_SECONDS = 5.0
"""After that it is looked up again, while calls go on to what is known."""
USABLE_SECONDS = 30.0
"""After that calls wait for the look-up."""


class EndpointVanishedError(TransientError):
    """The ledger says that a tuning is live on an endpoint that Azure ML does not know."""

    def __init__(self, endpoint: str, tuning: str) -> None:
        super().__init__(f"endpoint {endpoint} can not be found")
        self.tuning = tuning


class Records(Protocol):
    def endpoint(self, dataset: str, /) -> Versioned[EndpointRecord]: ...


class Endpoints(Protocol):
    def get_endpoint(self, name: str, /) -> OnlineEndpoint | None: ...
    def endpoint_key(self, name: str, /) -> str: ...


@dataclass(frozen=True)
class _Entry:
    target: Target
    read_at: float


class Directory:
    """All methods run on one event loop; the look-ups themselves on threads, one at a time per dataset."""

    def __init__(self, records: Records, endpoints: Endpoints, timer: Callable[[], float]) -> None:
        self._records = records
        self._endpoints = endpoints
        self._timer = timer
        self._known: dict[str, _Entry] = {}
        self._looking: dict[str, asyncio.Task[Target | None]] = {}

    async def find(self, dataset: str) -> Target | None:
        """None if nothing is live. Raises DroptuneError if that can not be told."""
        entry = self._known.get(dataset)
        age = self._timer() - entry.read_at if entry else USABLE_SECONDS
        if entry is None or age >= USABLE_SECONDS:
            return await asyncio.shield(self._look_up(dataset))
        if age >= FRESH_SECONDS:
            self._look_up(dataset).add_done_callback(_told)
        return entry.target

    async def find_again(self, target: Target) -> Target | None:
        """After `target` refused or was gone: nothing known of it counts any more."""
        entry = self._known.get(target.dataset)
        if entry is not None and entry.target == target:
            del self._known[target.dataset]
            self._looking.pop(target.dataset, None)  # one that is under way may have read the old key already
        return await self.find(target.dataset)

    def read(self, dataset: str, known: Target | None = None) -> Target | None:
        """As it is now; blocks. Address and key of what is known are not asked for again: they change by refusing.

        Raises DroptuneError.
        """
        record = self._records.endpoint(dataset).value
        if not record.live or record.status is not EndpointStatus.ACTIVE:
            return None
        if known is not None and known.endpoint == record.name and known.tuning == record.live:
            return known
        endpoint = self._endpoints.get_endpoint(record.name)
        if endpoint is None or not endpoint.scoring_uri:
            raise EndpointVanishedError(record.name, record.live)
        if urlsplit(endpoint.scoring_uri).scheme != "https":
            raise DroptuneError(f"the scoring URI of endpoint {record.name} is no https URL, so the key is not sent")
        key = self._endpoints.endpoint_key(record.name)
        return Target(dataset, record.name, record.live, endpoint.scoring_uri, key)

    def _look_up(self, dataset: str) -> asyncio.Task[Target | None]:
        task = self._looking.get(dataset)
        if task is None:
            task = self._looking[dataset] = asyncio.create_task(self._refreshed(dataset))
            task.add_done_callback(lambda done: self._looked(dataset, done))
        return task

    def _looked(self, dataset: str, task: asyncio.Task[Target | None]) -> None:
        if self._looking.get(dataset) is task:
            del self._looking[dataset]

    async def _refreshed(self, dataset: str) -> Target | None:
        began, entry = self._timer(), self._known.get(dataset)
        target = await asyncio.to_thread(self.read, dataset, entry.target if entry else None)
        if self._looking.get(dataset) is not asyncio.current_task():
            return target  # what was known was dropped meanwhile, and so is this
        if target is None:
            self._known.pop(dataset, None)
        else:
            self._known[dataset] = _Entry(target, began)
        return target


def _told(task: asyncio.Task[Target | None]) -> None:
    """Of a look-up that nobody waits for: the next one comes soon."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.info("gateway: looking up again: %s", error)
