"""The ledger in Azure Table storage: every row is written with the ETag it was read with."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_args

import msgspec

from shared import names
from shared.azureml.translate import translated
from shared.costs.records import CostRecord, PriceRecord
from shared.errors import RaceLostError
from shared.lifecycle.job_slots import JobSlots
from shared.lifecycle.listing import ALL_STATES, Listing, Place
from shared.lifecycle.records import DatasetVersion, EndpointRecord, LastCall, VersionState
from shared.lifecycle.tuning import State, Tuning

if TYPE_CHECKING:
    from azure.data.tables import TableClient, TableServiceClient

Row = TypeVar("Row", Tuning, DatasetVersion, EndpointRecord, JobSlots, CostRecord, PriceRecord, LastCall)
AnyRow = Tuning | DatasetVersion | EndpointRecord | JobSlots | CostRecord | PriceRecord | LastCall

_TUNING_PARTITION = "tuning"
_ENDPOINT_PARTITION = "endpoint"
_SLOTS_PARTITION = "slots"
_JOB_SLOTS = "jobs"
_PRICE_PARTITION = "price"
_USAGE_PARTITION = "usage"
_MAX_CHARACTERS = 32_000
_HEAD = "head"

# Made at import, which one thread does: msgspec 0.22 builds what it knows of a dataclass at the first decoding, and two
# threads that do so at the same time can end the process with a segmentation fault.
_DECODERS: dict[type[Any], msgspec.json.Decoder[Any]] = {kind: msgspec.json.Decoder(kind) for kind in get_args(AnyRow)}


@dataclass(frozen=True)
class Versioned(Generic[Row]):
    """A row as it was read; `etag` is empty for one that does not exist yet."""

    value: Row
    etag: str


class Ledger:
    """`put` raises RaceLostError when somebody else wrote the row since it was read."""

    def __init__(self, service: TableServiceClient) -> None:
        self._service = service
        self._clients: dict[str, TableClient] = {}

    def tuning(self, tuning_id: str) -> Versioned[Tuning] | None:
        return self._get(names.TUNINGS_TABLE, _TUNING_PARTITION, tuning_id, Tuning)

    def tunings(self) -> Iterator[Versioned[Tuning]]:
        return self._all(names.TUNINGS_TABLE, Tuning)

    def page(self, listing: Listing) -> list[Tuning]:
        """The newest that it takes, at most its limit; without what `_head` leaves out.

        All rows are asked for, their heads only, and no more than a page of them is kept.
        """
        return newest(self._heads(listing), listing) if listing.states else []

    def counts(self) -> Counter[State]:
        """How many tunings are in which state; a row costs a few bytes of the answer."""
        with translated(f"count {names.TUNINGS_TABLE}"):
            rows = self._client(names.TUNINGS_TABLE).query_entities(_filter(Listing()), select=["state"])
            return Counter(State(row["state"]) for row in rows)

    def version(self, dataset: str, version: str) -> Versioned[DatasetVersion] | None:
        return self._get(names.VERSIONS_TABLE, dataset, version, DatasetVersion)

    def versions(self) -> Iterator[Versioned[DatasetVersion]]:
        return self._all(names.VERSIONS_TABLE, DatasetVersion)

    def collecting(self, dataset: str = "") -> Iterator[DatasetVersion]:
        """The versions without a tuning yet, of one dataset or of all."""
        wanted = {"state": VersionState.COLLECTING, **({"PartitionKey": dataset} if dataset else {})}
        for row in self._some(names.VERSIONS_TABLE, DatasetVersion, wanted):
            yield row.value

    def endpoint(self, dataset: str) -> Versioned[EndpointRecord]:
        """The endpoint record of a dataset; one that was never written is generation 1 without a name."""
        row = self._get(names.ENDPOINTS_TABLE, _ENDPOINT_PARTITION, dataset, EndpointRecord)
        return row or Versioned(EndpointRecord(dataset=dataset), "")

    def endpoints(self) -> Iterator[Versioned[EndpointRecord]]:
        return self._all(names.ENDPOINTS_TABLE, EndpointRecord)

    def job_slots(self) -> Versioned[JobSlots]:
        """The one row of job slots; one that was never written is empty."""
        return self._get(names.SLOTS_TABLE, _SLOTS_PARTITION, _JOB_SLOTS, JobSlots) or Versioned(JobSlots(), "")

    def cost(self, dataset: str, key: str) -> Versioned[CostRecord] | None:
        return self._get(names.COSTS_TABLE, dataset, key, CostRecord)

    def costs(self, dataset: str = "") -> Iterator[Versioned[CostRecord]]:
        """Of one dataset, or of all."""
        return self._some(names.COSTS_TABLE, CostRecord, {"PartitionKey": dataset} if dataset else {})

    def running_costs(self, dataset: str = "") -> Iterator[Versioned[CostRecord]]:
        """Those that have not ended."""
        wanted = {"state": "running"}
        return self._some(names.COSTS_TABLE, CostRecord, wanted | ({"PartitionKey": dataset} if dataset else {}))

    def unpriced_costs(self) -> Iterator[Versioned[CostRecord]]:
        """Those that have ended, and whose price is not known."""
        return self._some(names.COSTS_TABLE, CostRecord, {"state": "unpriced"})

    def price(self, key: str) -> Versioned[PriceRecord] | None:
        return self._get(names.PRICES_TABLE, _PRICE_PARTITION, key, PriceRecord)

    def prices(self) -> Iterator[Versioned[PriceRecord]]:
        return self._all(names.PRICES_TABLE, PriceRecord)

    def usage(self, dataset: str) -> Versioned[LastCall] | None:
        return self._get(names.USAGE_TABLE, _USAGE_PARTITION, dataset, LastCall)

    def usages(self) -> Iterator[Versioned[LastCall]]:
        return self._all(names.USAGE_TABLE, LastCall)

    def put(self, row: Versioned[Row]) -> Versioned[Row]:
        """Insert (empty ETag) or replace the row if nobody else did since; returns it with its new ETag."""
        from azure.core import MatchConditions
        from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
        from azure.data.tables import UpdateMode

        table, partition, key = _address(row.value)
        entity = _to_entity(row.value, partition, key)
        with translated(f"write {table}/{key}"):
            client = self._client(table)
            try:
                if row.etag:
                    answer = client.update_entity(
                        entity, mode=UpdateMode.REPLACE, etag=row.etag, match_condition=MatchConditions.IfNotModified
                    )
                else:
                    answer = client.create_entity(entity)
            except (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError) as error:
                raise RaceLostError(f"{table}/{key} was changed by somebody else") from error
        return Versioned(row.value, str(answer["etag"]))

    def _get(self, table: str, partition: str, key: str, kind: type[Row]) -> Versioned[Row] | None:
        from azure.core.exceptions import ResourceNotFoundError

        with translated(f"read {table}/{key}"):
            try:
                entity = self._client(table).get_entity(partition, key)
            except ResourceNotFoundError:
                return None
        return _from_entity(entity, kind)

    def _all(self, table: str, kind: type[Row]) -> Iterator[Versioned[Row]]:
        with translated(f"list {table}"):
            for entity in self._client(table).list_entities():
                yield _from_entity(entity, kind)

    def _some(self, table: str, kind: type[Row], wanted: Mapping[str, str]) -> Iterator[Versioned[Row]]:
        """Rows whose properties have these values."""
        query = " and ".join(f"{name} eq @{name}" for name in wanted)
        with translated(f"list {table}"):
            for entity in self._client(table).query_entities(query, parameters=dict(wanted)):
                yield _from_entity(entity, kind)

    def _heads(self, listing: Listing) -> Iterator[Tuning]:
        """A row without a head (of an older release, or too large) is read as a whole."""
        with translated(f"list {names.TUNINGS_TABLE}"):
            client = self._client(names.TUNINGS_TABLE)
            for entity in client.query_entities(_filter(listing), select=["RowKey", _HEAD]):
                if head := entity.get(_HEAD):
                    yield _DECODERS[Tuning].decode(head)
                elif row := self.tuning(entity["RowKey"]):
                    yield row.value

    def _client(self, table: str) -> TableClient:
        if table not in self._clients:
            self._clients[table] = self._service.get_table_client(table)
        return self._clients[table]


def newest(tunings: Iterable[Tuning], listing: Listing) -> list[Tuning]:
    return heapq.nlargest(listing.limit, filter(listing.takes, tunings), key=Place.of)


def _filter(listing: Listing) -> str:
    """For the table: what it can know without a row's head. A tuning's id begins with its dataset."""
    wanted = [f"PartitionKey eq '{_TUNING_PARTITION}'"]
    if listing.states != ALL_STATES:
        wanted.append("(" + " or ".join(f"state eq '{state}'" for state in sorted(listing.states)) + ")")
    if listing.dataset:
        wanted.append(f"RowKey ge '{listing.dataset}-' and RowKey lt '{listing.dataset}.'")
    return " and ".join(wanted)


def _head(tuning: Tuning) -> str:
    """What a list shows of a tuning: all but what grows with its life and its parameters."""
    head = replace(tuning, history=(), splits=(), own_requests=(), parameters={}, dropped_parameters={})
    return msgspec.json.encode(replace(head, smoke_expectations={}, canary_settings={})).decode()


def _address(value: AnyRow) -> tuple[str, str, str]:
    if isinstance(value, Tuning):
        return names.TUNINGS_TABLE, _TUNING_PARTITION, value.id
    if isinstance(value, DatasetVersion):
        return names.VERSIONS_TABLE, value.dataset, value.version
    if isinstance(value, JobSlots):
        return names.SLOTS_TABLE, _SLOTS_PARTITION, _JOB_SLOTS
    if isinstance(value, CostRecord):
        return names.COSTS_TABLE, value.dataset, value.key
    if isinstance(value, PriceRecord):
        return names.PRICES_TABLE, _PRICE_PARTITION, value.key
    if isinstance(value, LastCall):
        return names.USAGE_TABLE, _USAGE_PARTITION, value.dataset
    return names.ENDPOINTS_TABLE, _ENDPOINT_PARTITION, value.dataset


def _to_entity(value: AnyRow, partition: str, key: str) -> dict[str, Any]:
    """The body as JSON in a few string properties, each below the table's limit, plus the state for people."""
    body = msgspec.json.encode(value).decode()
    parts = [body[start : start + _MAX_CHARACTERS] for start in range(0, len(body), _MAX_CHARACTERS)]
    entity: dict[str, Any] = {"PartitionKey": partition, "RowKey": key, "parts": len(parts)}
    for number, part in enumerate(parts):
        entity[f"body{number}"] = part
    state = getattr(value, "state", None) or getattr(value, "status", "")
    entity["state"] = str(state)
    if isinstance(value, Tuning) and len(head := _head(value)) <= _MAX_CHARACTERS:
        entity[_HEAD] = head
    return entity


def _from_entity(entity: Any, kind: type[Row]) -> Versioned[Row]:
    body = "".join(entity[f"body{number}"] for number in range(entity["parts"]))
    return Versioned(_DECODERS[kind].decode(body), str(entity.metadata["etag"]))
