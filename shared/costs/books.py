"""Keeping the books: which deployments and jobs of ours existed, from when to when.

What counts is what was seen: whoever looks at the cloud tells the books, which are written before anything is done
about it. Telling them twice, late or out of order is telling them once.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from shared import names
from shared.costs.records import CostRecord, Kind
from shared.costs.sightings import (
    Sighting,
    deployment_record,
    is_retired,
    job_record,
    plausible_end,
    seen_again,
)
from shared.errors import DroptuneError, RaceLostError
from shared.lifecycle.ledger import Versioned
from shared.lifecycle.tuning import State

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from shared.azureml.arm import ArmClient
    from shared.azureml.resources import Job
    from shared.clock import Clock
    from shared.costs.prices import Prices
    from shared.lifecycle.ledger import Ledger
    from shared.lifecycle.tuning import Tuning

log = logging.getLogger(__name__)

Row = Versioned[CostRecord]


@dataclass(frozen=True)
class Books:
    """Its methods raise DroptuneError if ledger or cloud can not be reached, RaceLostError if somebody else wrote."""

    ledger: Ledger
    arm: ArmClient
    prices: Prices
    clock: Clock
    owner: str
    _told: dict[str, object] = field(default_factory=dict)
    """What this process has told already, by endpoint and job: then the books have it, whoever wrote them."""

    def endpoint_seen(self, dataset: str, sighting: Sighting, tuning: Tuning | None = None) -> None:
        """`tuning` is the one for which the look was made."""
        if self._told.get(sighting.name) == sighting.view:
            return
        running = [row for row in self.ledger.running_costs(dataset) if row.value.endpoint == sighting.name]
        self._tell(dataset, sighting, running, tuning)

    def deleting(self, tuning: Tuning, operation: str, deployments: Collection[str]) -> None:
        """Deleting these of its endpoint's deployments was accepted: `operation` will tell when it is over.

        They are those that were seen there: of one that was gone already, the operation tells nothing. Raises
        nothing: the next look finds them being deleted, or gone.
        """
        doomed = {f"{tuning.endpoint}/{deployment}" for deployment in deployments}
        try:
            for row in self.ledger.running_costs(tuning.dataset) if operation and doomed else ():
                if row.value.name in doomed:
                    deletions = tuple(dict.fromkeys((*row.value.deletions, operation)))
                    self._put(row, replace(row.value, deletions=deletions))
        except DroptuneError as error:
            log.warning("books: deletion of %s: %s", ", ".join(sorted(doomed)), error)

    def job_seen(self, tuning: Tuning, job: Job, looked: datetime) -> None:
        key = f"job {job.name}"
        if self._told.get(key) == job.ended:
            return
        sighting = job_record(job, tuning, looked)
        row = self._open(sighting)
        if job.ended and row.value.ended is None:
            self._close_job(row)
        self._told[key] = job.ended

    def balance(self, tunings: Mapping[str, Tuning], errors: list[str]) -> int:
        """One pass over everything; returns how many records have ended or found their price.

        Reads the books before it looks: what they have, and a look does not see, is gone.
        """
        running: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
        jobs: list[Row] = []
        for row in self.ledger.running_costs():
            if row.value.kind is Kind.JOB:
                jobs.append(row)
            else:
                running[row.value.dataset, row.value.endpoint].append(row)
        count = _guarded(self.prices.refresh, errors)
        looked = self.clock()
        endpoints = {item.name: item for item in self.arm.list_endpoints()}
        for name, endpoint in endpoints.items():
            dataset = endpoint.tags.get(names.TAG_DATASET, "")
            if endpoint.tags.get(names.TAG_OWNER) == self.owner and dataset:
                running.setdefault((dataset, name), [])

        def look(dataset: str, name: str) -> int:
            found = endpoints.get(name)
            deployments = tuple(self.arm.list_deployments(name)) if found else ()
            return self._tell(dataset, Sighting(name, found, deployments, looked), running[dataset, name])

        for dataset, name in sorted(running):
            count += _guarded(partial(look, dataset, name), errors)
        for row in jobs:
            count += _guarded(partial(self._look_at_job, row, tunings), errors)
        count += _guarded(self._find_prices, errors)
        return count

    def _tell(self, dataset: str, sighting: Sighting, rows: Sequence[Row], tuning: Tuning | None = None) -> int:
        """`rows` are the running deployments of the endpoint; returns how many of them have ended."""
        running = {row.value.key: row for row in rows}
        known = [row.value for row in rows]
        seen = set()
        for deployment in sighting.deployments:
            record = deployment_record(deployment, sighting, known, dataset, self.owner)
            if record is not None:
                seen.add(record.key)
                row = running.get(record.key) or self._open(record)
                self._put(row, seen_again(row.value, record))
        gone = [row for key, row in running.items() if key not in seen]
        # What was seen after this look began is newer than it.
        closed = [row.value.seen <= sighting.looked and self._close(row, tuning) for row in gone]
        if all(closed):
            self._told[sighting.name] = sighting.view
        return sum(closed)

    def _open(self, record: CostRecord) -> Row:
        """Its row, new or as it is."""
        try:
            row = self.ledger.put(Versioned(self._priced(record), ""))
        except RaceLostError:
            found = self.ledger.cost(record.dataset, record.key)
            if found is None:
                raise
            return found
        log.info("books: %s %s began at %s", record.kind, record.name, record.began)
        return row

    def _close(self, row: Row, tuning: Tuning | None) -> bool:
        """Of what is gone. False: not yet, because when it ended can not be read now."""
        record = row.value
        try:
            ended = plausible_end(record, [self.arm.operation_end(url) for url in record.deletions])
        except DroptuneError as error:
            log.warning("books: end of %s: %s", record.name, error)
            return False
        exact = ended is not None
        retired = is_retired(self._tuning_of(record, tuning))
        closed = record.closed(ended or self.clock(), exact=exact, retired=retired)
        self._put(row, self._priced(closed))
        how = "" if exact else " or earlier: nobody saw it being deleted"
        log.info("books: deployment %s ended at %s%s", record.name, closed.ended, how)
        return True

    def _look_at_job(self, row: Row, tunings: Mapping[str, Tuning]) -> int:
        """Of those that the lifecycle does not look at any more."""
        tuning = tunings.get(row.value.tuning)
        if tuning is not None and tuning.state is State.TRAINING:
            return 0
        job = self.arm.get_job(row.value.name)
        if job is not None and not job.ended:
            return 0
        return self._close_job(row)

    def _close_job(self, row: Row) -> bool:
        record = row.value
        try:
            started, ended = self.arm.run_times(record.name)
        except DroptuneError as error:
            log.warning("books: end of job %s: %s", record.name, error)
            return False
        # A run that was canceled before it started has held nothing.
        began = started or (ended if ended is not None else record.began)
        closed = replace(record, began=began).closed(ended or self.clock(), exact=ended is not None, retired=False)
        self._put(row, self._priced(closed))
        return True

    def _find_prices(self) -> int:
        """Of what began before its price was read."""
        running = (row for row in self.ledger.running_costs() if row.value.price is None)
        count = 0
        for row in [*running, *self.ledger.unpriced_costs()]:
            priced = self._priced(row.value)
            count += priced.price is not None
            self._put(row, priced)
        return count

    def _priced(self, record: CostRecord) -> CostRecord:
        """With the price that it had then: one that came into effect later is not it."""
        if record.price is not None:
            return record
        known = self.prices.known(record.instance_type)
        if known is None or (known.since is not None and known.since > record.began):
            return record
        return replace(record, price=known.price)

    def _tuning_of(self, record: CostRecord, tuning: Tuning | None) -> Tuning | None:
        if tuning is not None and tuning.id == record.tuning:
            return tuning
        row = self.ledger.tuning(record.tuning) if names.is_tuning_id(record.tuning) else None
        return None if row is None else row.value

    def _put(self, row: Row, record: CostRecord) -> None:
        if record != row.value:
            self.ledger.put(replace(row, value=record))


def _guarded(act: Callable[[], int], errors: list[str]) -> int:
    try:
        return act()
    except DroptuneError as error:
        log.warning("books: %s", error)
        errors.append(f"books: {error}")
        return 0
