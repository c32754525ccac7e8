"""From what Azure ML and the ledger list to the facts that the idle rule judges; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared import names
from shared.idle.rule import Facts
from shared.lifecycle.tuning import UNFINISHED, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from shared.azureml.resources import OnlineEndpoint
    from shared.lifecycle.records import EndpointRecord
    from shared.lifecycle.tuning import Tuning


def gather(
    endpoints: Iterable[OnlineEndpoint],
    records: Iterable[EndpointRecord],
    tunings: Iterable[Tuning],
    *,
    owner: str,
    now: datetime,
) -> list[Facts]:
    """One Facts for each endpoint, without its requests. `owner` is the value of names.TAG_OWNER on ours."""
    by_name = {record.name: record for record in records if record.name}
    by_id = {tuning.id: tuning for tuning in tunings}
    return [_facts(endpoint, by_name.get(endpoint.name), by_id, owner, now) for endpoint in endpoints]


def homeless(endpoints: Iterable[OnlineEndpoint], tunings: Iterable[Tuning], *, owner: str) -> list[str]:
    """Live tunings whose endpoint somebody deleted, or has made anew for himself. Nothing else would look at them."""
    ours = {endpoint.name for endpoint in endpoints if is_ours(endpoint, owner)}
    return [tuning.id for tuning in tunings if tuning.state is State.LIVE and tuning.endpoint not in ours]


def is_ours(endpoint: OnlineEndpoint, owner: str) -> bool:
    return endpoint.tags.get(names.TAG_OWNER) == owner


def _facts(
    endpoint: OnlineEndpoint,
    record: EndpointRecord | None,
    tunings: Mapping[str, Tuning],
    owner: str,
    now: datetime,
) -> Facts:
    own = (tuning.smoke_requests for tuning in tunings.values() if tuning.endpoint == endpoint.name)
    return Facts(
        endpoint=endpoint,
        ours=is_ours(endpoint, owner),
        record=record,
        live=tunings.get(record.live) if record else None,
        unfinished=_unfinished(record, tunings),
        own_requests=tuple(sorted(moment for moments in own for moment in moments)),
        changed_at=_changed_at(endpoint, record, now),
    )


def _unfinished(record: EndpointRecord | None, tunings: Mapping[str, Tuning]) -> tuple[str, ...]:
    if record is None:
        return ()
    return tuple(
        tuning.id for tuning in tunings.values() if tuning.dataset == record.dataset and tuning.state in UNFINISHED
    )


def _changed_at(endpoint: OnlineEndpoint, record: EndpointRecord | None, now: datetime) -> datetime:
    """`last_modified_at` does not count: our own mark moves it. What has no known age counts as new."""
    moments = [endpoint.created_at, record.live_since if record else None]
    return max((moment for moment in moments if moment is not None), default=now)
