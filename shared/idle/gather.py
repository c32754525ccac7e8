"""From what Azure ML and the ledger list to the facts that the idle rule judges; pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shared import names
from shared.idle.rule import Facts
from shared.idle.series import Unavailable
from shared.lifecycle.tuning import ON_ITS_WAY, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from shared.azureml.resources import OnlineDeployment, OnlineEndpoint
    from shared.idle.memory import Memory
    from shared.lifecycle.records import EndpointRecord
    from shared.lifecycle.tuning import Tuning


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What one sweep found. `owner` is the value of names.TAG_OWNER on what is ours.

    `deployments` are listed of endpoints that are ours, by name; `calls` are the last ones through the gateway, by
    dataset.
    """

    endpoints: Sequence[OnlineEndpoint]
    deployments: Mapping[str, tuple[OnlineDeployment, ...] | Unavailable] = field(default_factory=dict)
    records: Sequence[EndpointRecord]
    tunings: Sequence[Tuning]
    calls: Mapping[str, datetime] = field(default_factory=dict)
    memory: Memory
    owner: str
    now: datetime


@dataclass(frozen=True)
class _Ledger:
    """Tunings by id, those of an endpoint, and the ids of the unfinished ones of a dataset."""

    by_id: Mapping[str, Tuning]
    by_endpoint: defaultdict[str, list[Tuning]]
    unfinished: defaultdict[str, list[str]]


def gather(seen: Seen) -> list[Facts]:
    """One Facts for each endpoint, without its requests."""
    by_name = {record.name: record for record in seen.records if record.name}
    ledger = _Ledger({tuning.id: tuning for tuning in seen.tunings}, defaultdict(list), defaultdict(list))
    for tuning in seen.tunings:
        ledger.by_endpoint[tuning.endpoint].append(tuning)
        if tuning.state in ON_ITS_WAY:
            ledger.unfinished[tuning.dataset].append(tuning.id)
    return [_facts(endpoint, by_name.get(endpoint.name), ledger, seen) for endpoint in seen.endpoints]


def homeless(endpoints: Iterable[OnlineEndpoint], tunings: Iterable[Tuning], *, owner: str) -> list[str]:
    """Live tunings whose endpoint somebody deleted, or has made anew for himself. Nothing else would look at them."""
    ours = {endpoint.name for endpoint in endpoints if is_ours(endpoint.tags, owner)}
    return [tuning.id for tuning in tunings if tuning.state is State.LIVE and tuning.endpoint not in ours]


def is_ours(tags: Mapping[str, str], owner: str) -> bool:
    return tags.get(names.TAG_OWNER) == owner


def dataset_of(endpoint: OnlineEndpoint, record: EndpointRecord | None) -> str:
    """The ledger's word, else the tag's."""
    return record.dataset if record else endpoint.tags.get(names.TAG_DATASET, "")


def _facts(endpoint: OnlineEndpoint, record: EndpointRecord | None, ledger: _Ledger, seen: Seen) -> Facts:
    ours = is_ours(endpoint.tags, seen.owner)
    dataset = dataset_of(endpoint, record)
    users = ledger.by_endpoint.get(endpoint.name, [])
    remembered = seen.memory.endpoints.get(endpoint.name)
    deployments = seen.deployments.get(endpoint.name, ())
    listed = () if isinstance(deployments, Unavailable) else deployments
    return Facts(
        endpoint=endpoint,
        ours=ours,
        record=record,
        live=ledger.by_id.get(record.live) if record else None,
        orphan=_orphan(record, users, ledger.by_id) if ours else "",
        ledger_empty=not seen.records,
        unfinished=tuple(ledger.unfinished.get(dataset, ())) if ours and dataset else (),
        deployments=deployments,
        foreign=tuple(item.name for item in listed if not is_ours(item.tags, seen.owner)),
        own_requests=tuple(sorted(moment for tuning in users for moment in tuning.smoke_requests)),
        last_call=seen.calls.get(dataset) if ours else None,
        changed_at=_changed_at(endpoint, record, remembered.changed_at if remembered else None, seen.now),
        watched_since=remembered.first_seen if remembered else None,
    )


def _orphan(record: EndpointRecord | None, users: Sequence[Tuning], tunings: Mapping[str, Tuning]) -> str:
    """Why nobody uses it: no tuning that goes on, or is live, is a tenant of it or thinks that it is."""
    tenants = record.tenants if record else ()
    known = {tuning.id: tuning for tuning in users} | {name: tunings[name] for name in tenants if name in tunings}
    if any(not tuning.ended for tuning in known.values()):
        return ""
    lost = [tenant for tenant in tenants if tenant not in tunings]
    if lost:
        return f"its tuning {lost[0]} is not in the ledger"
    if not known:
        return "the ledger knows no tuning of it"
    last = max(known.values(), key=lambda tuning: tuning.state_since)
    return f"its last tuning {last.id} ended as {last.state}"


def _changed_at(
    endpoint: OnlineEndpoint, record: EndpointRecord | None, by_hand: datetime | None, now: datetime
) -> datetime:
    """`last_modified_at` does not count: our own mark moves it. What has no known age counts as new."""
    moments = [endpoint.created_at, record.live_since if record else None, by_hand]
    return max((moment for moment in moments if moment is not None), default=now)
