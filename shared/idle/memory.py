"""What a sweep remembers of the ones before: how endpoints looked, and since when a deployment is left over.

That is how a change by hand is noticed: the time of the last change that Azure ML gives moves with our own mark, too.
The memory is a blob. Where it is lost, all endpoints are seen for the first time: their grace begins anew.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from shared import names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from shared.azureml.resources import OnlineDeployment, OnlineEndpoint

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Remembered:
    """One endpoint. `changed_at` is when its looks were seen to have changed; `left_over`: deployment → since when."""

    looks: str
    first_seen: datetime
    changed_at: datetime | None = None
    left_over: dict[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True)
class Memory:
    endpoints: dict[str, Remembered] = field(default_factory=dict)

    def seeing(self, found: Iterable[tuple[OnlineEndpoint, tuple[OnlineDeployment, ...]]], now: datetime) -> Memory:
        """After another look. What is not among `found` is forgotten."""
        return Memory({endpoint.name: self._seeing(endpoint, deployments, now) for endpoint, deployments in found})

    def with_left_over(self, endpoint: str, since: Mapping[str, datetime]) -> Memory:
        known = self.endpoints[endpoint]
        return Memory({**self.endpoints, endpoint: replace(known, left_over=dict(since))})

    def _seeing(self, endpoint: OnlineEndpoint, deployments: tuple[OnlineDeployment, ...], now: datetime) -> Remembered:
        looks = looks_of(endpoint, deployments)
        before = self.endpoints.get(endpoint.name)
        if before is None:
            return Remembered(looks, first_seen=now)
        return before if before.looks == looks else replace(before, looks=looks, changed_at=now)


# Made at import, as the ledger's: see there.
_DECODER = msgspec.json.Decoder(Memory)


def to_json(memory: Memory) -> bytes:
    return msgspec.json.encode(memory)


def from_json(data: bytes | None) -> Memory:
    """An empty one for what is not there or can not be read."""
    if data is None:
        return Memory()
    try:
        return _DECODER.decode(data)
    except msgspec.MsgspecError:
        log.warning("idle sweep: its memory can not be read; every endpoint is seen as for the first time")
        return Memory()


def looks_of(endpoint: OnlineEndpoint, deployments: Iterable[OnlineDeployment]) -> str:
    """A digest of what people change: settings, tags but for our mark, traffic, and the deployments that have it.

    Those without traffic come and go with tunings, and nobody is served by them.
    """
    traffic = {name: share for name, share in endpoint.traffic.items() if share > 0}
    tags = {key: value for key, value in endpoint.tags.items() if key.lower() != names.TAG_IDLE_SINCE}
    serving = sorted(
        (item.name, item.model, item.instance_type, item.instance_count, sorted(item.tags.items()))
        for item in deployments
        if item.name in traffic
    )
    looks = (endpoint.description, endpoint.auth_mode, sorted(tags.items()), sorted(traffic.items()), serving)
    return names.digest(msgspec.json.encode(looks), length=16)
