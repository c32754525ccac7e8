"""The ledger's tables: rows with ETags, kept as the JSON that was written; read back once, as values are frozen."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from typing import TypeVar

import msgspec

from shared import names
from shared.costs.records import CostRecord, PriceRecord
from shared.errors import RaceLostError, TransientError
from shared.lifecycle.job_slots import JobSlots
from shared.lifecycle.ledger import AnyRow, Ledger, Versioned, newest
from shared.lifecycle.listing import Listing
from shared.lifecycle.records import DatasetVersion, EndpointRecord, LastCall, VersionState
from shared.lifecycle.tuning import State, Tuning
from tests.simulation.twins.world import World

Row = TypeVar("Row", Tuning, DatasetVersion, EndpointRecord, JobSlots, CostRecord, PriceRecord, LastCall)
Key = tuple[str, str]
"""Partition and row key."""


class Tables:
    """What all instances of the app share. Rows are listed in the order of their keys, as tables do."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[Key, tuple[str, bytes]]] = {table: {} for table in names.TABLES}
        self._numbers = itertools.count(1)
        self._values: dict[str, object] = {}

    def get(self, table: str, key: Key) -> tuple[str, bytes] | None:
        return self._rows[table].get(key)

    def all(self, table: str) -> list[tuple[str, bytes]]:
        return [row for _, row in sorted(self._rows[table].items())]

    def put(self, table: str, key: Key, body: bytes, etag: str) -> str:
        """Insert (no ETag) or replace. Raises RaceLostError, also for a row that is to be replaced and is gone."""
        found = self._rows[table].get(key)
        if etag != (found[0] if found else ""):
            raise RaceLostError(f"{table}/{key[1]} was changed by somebody else")
        fresh = f"W/\"datetime'{next(self._numbers):08d}'\""
        self._rows[table][key] = fresh, body
        return fresh

    def value(self, row: tuple[str, bytes], kind: type[Row]) -> Row:
        """What a row holds. ETags are unique over all tables, and rows are read much more often than written."""
        etag, body = row
        if kind is DatasetVersion:  # its files are a dictionary, which whoever reads the row may change
            return msgspec.json.decode(body, type=kind)
        found = self._values.get(etag)
        if found is None:
            found = self._values[etag] = msgspec.json.decode(body, type=kind)
        assert isinstance(found, kind)
        return found

    def delete(self, table: str, key: Key) -> None:
        """By hand: the app never does."""
        del self._rows[table][key]


class LedgerTwin(Ledger):
    def __init__(self, world: World, tables: Tables) -> None:
        self._world = world
        self._tables = tables

    def tuning(self, tuning_id: str) -> Versioned[Tuning] | None:
        return self._read("ledger.tuning", names.TUNINGS_TABLE, ("tuning", tuning_id), Tuning)

    def tunings(self) -> Iterator[Versioned[Tuning]]:
        return self._list("ledger.tunings", names.TUNINGS_TABLE, Tuning)

    def page(self, listing: Listing) -> list[Tuning]:
        return newest((row.value for row in self._list("ledger.page", names.TUNINGS_TABLE, Tuning)), listing)

    def counts(self) -> Counter[State]:
        return Counter(row.value.state for row in self._list("ledger.counts", names.TUNINGS_TABLE, Tuning))

    def version(self, dataset: str, version: str) -> Versioned[DatasetVersion] | None:
        return self._read("ledger.version", names.VERSIONS_TABLE, (dataset, version), DatasetVersion)

    def versions(self) -> Iterator[Versioned[DatasetVersion]]:
        return self._list("ledger.versions", names.VERSIONS_TABLE, DatasetVersion)

    def collecting(self, dataset: str = "") -> Iterator[DatasetVersion]:
        for row in self._list("ledger.collecting", names.VERSIONS_TABLE, DatasetVersion):
            if row.value.state is VersionState.COLLECTING and dataset in ("", row.value.dataset):
                yield row.value

    def endpoint(self, dataset: str) -> Versioned[EndpointRecord]:
        row = self._read("ledger.endpoint", names.ENDPOINTS_TABLE, ("endpoint", dataset), EndpointRecord)
        return row or Versioned(EndpointRecord(dataset=dataset), "")

    def endpoints(self) -> Iterator[Versioned[EndpointRecord]]:
        return self._list("ledger.endpoints", names.ENDPOINTS_TABLE, EndpointRecord)

    def job_slots(self) -> Versioned[JobSlots]:
        row = self._read("ledger.job_slots", names.SLOTS_TABLE, ("slots", "jobs"), JobSlots)
        return row or Versioned(JobSlots(), "")

    def cost(self, dataset: str, key: str) -> Versioned[CostRecord] | None:
        return self._read("ledger.cost", names.COSTS_TABLE, (dataset, key), CostRecord)

    def costs(self, dataset: str = "") -> Iterator[Versioned[CostRecord]]:
        for row in self._list("ledger.costs", names.COSTS_TABLE, CostRecord):
            if dataset in ("", row.value.dataset):
                yield row

    def running_costs(self, dataset: str = "") -> Iterator[Versioned[CostRecord]]:
        for row in self._list("ledger.running_costs", names.COSTS_TABLE, CostRecord):
            if row.value.state == "running" and dataset in ("", row.value.dataset):
                yield row

    def unpriced_costs(self) -> Iterator[Versioned[CostRecord]]:
        for row in self._list("ledger.unpriced_costs", names.COSTS_TABLE, CostRecord):
            if row.value.state == "unpriced":
                yield row

    def price(self, key: str) -> Versioned[PriceRecord] | None:
        return self._read("ledger.price", names.PRICES_TABLE, ("price", key), PriceRecord)

    def prices(self) -> Iterator[Versioned[PriceRecord]]:
        return self._list("ledger.prices", names.PRICES_TABLE, PriceRecord)

    def usage(self, dataset: str) -> Versioned[LastCall] | None:
        return self._read("ledger.usage", names.USAGE_TABLE, ("usage", dataset), LastCall)

    def usages(self) -> Iterator[Versioned[LastCall]]:
        return self._list("ledger.usages", names.USAGE_TABLE, LastCall)

    def put(self, row: Versioned[Row]) -> Versioned[Row]:
        table, key = _address(row.value)
        body = msgspec.json.encode(row.value)

        sent = False

        def commit() -> str:
            nonlocal sent
            if sent and not row.etag:
                # An insert is a POST, which the SDK does not send again when its answer was lost.
                raise TransientError(f"write {table}/{key[1]}: ServiceResponseError")
            sent = True
            return self._tables.put(table, key, body, row.etag)

        etag = self._world.effect("ledger.put", commit, writes=True, of=f"{table}/{key[1]}")
        return Versioned(row.value, etag)

    def _read(self, operation: str, table: str, key: Key, kind: type[Row]) -> Versioned[Row] | None:
        found = self._world.effect(operation, lambda: self._tables.get(table, key), writes=False, of=key[1])
        return None if found is None else Versioned(self._tables.value(found, kind), found[0])

    def _list(self, operation: str, table: str, kind: type[Row]) -> Iterator[Versioned[Row]]:
        """Nothing is asked before the first row is wanted."""
        for row in self._world.effect(operation, lambda: self._tables.all(table), writes=False):
            yield Versioned(self._tables.value(row, kind), row[0])


def _address(value: AnyRow) -> tuple[str, Key]:
    if isinstance(value, Tuning):
        return names.TUNINGS_TABLE, ("tuning", value.id)
    if isinstance(value, DatasetVersion):
        return names.VERSIONS_TABLE, (value.dataset, value.version)
    if isinstance(value, JobSlots):
        return names.SLOTS_TABLE, ("slots", "jobs")
    if isinstance(value, CostRecord):
        return names.COSTS_TABLE, (value.dataset, value.key)
    if isinstance(value, PriceRecord):
        return names.PRICES_TABLE, ("price", value.key)
    if isinstance(value, LastCall):
        return names.USAGE_TABLE, ("usage", value.dataset)
    return names.ENDPOINTS_TABLE, ("endpoint", value.dataset)
