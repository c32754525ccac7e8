"""Finding what was forgotten: lost events, lost messages, deaths between recording and sending."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from shared.datasets.paths import parse_blob_name
from shared.errors import DroptuneError, InvalidDatasetError
from shared.lifecycle.awake_hours import is_to_be_woken
from shared.lifecycle.intake import supported_files, unsupported_id
from shared.lifecycle.records import DatasetVersion, EndpointRecord, EndpointStatus, VersionState
from shared.lifecycle.standing import Situation
from shared.lifecycle.tuning import State, Tuning
from shared.lifecycle.waking import EndpointKeeper

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping
    from datetime import datetime

    from shared.blobs import UploadedFile
    from shared.lifecycle.engine import Lifecycle
    from shared.lifecycle.intake import Intake
    from shared.lifecycle.job_slots import JobSlots
    from shared.lifecycle.ledger import Versioned

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReconcileReport:
    """How many were woken up, of each kind, and what went wrong on the way. `slots`: of those that wait for one.

    `costs`: records of what was held that changed.
    """

    versions: int
    tunings: int
    endpoints: int
    slots: int
    events: int
    costs: int
    woken: int
    errors: tuple[str, ...]


@dataclass(frozen=True)
class Reconciler:
    lifecycle: Lifecycle
    intake: Intake

    def run(self) -> ReconcileReport:
        """One pass over everything; an error on one thing does not keep the others from being looked at."""
        errors: list[str] = []
        now = self.lifecycle.clock()
        slots_row = self.lifecycle.ledger.job_slots()  # before the tunings: see SlotKeeper.tidy
        rows = {row.value.id: row for row in self.lifecycle.ledger.tunings()}
        records = {row.value.dataset: row for row in self.lifecycle.ledger.endpoints()}
        known = {(row.value.dataset, row.value.version): row.value for row in self.lifecycle.ledger.versions()}
        versions = self._uploads(known, rows, errors) + self._collecting(known.values(), now, errors)
        tunings = self._tunings(rows, records, now, errors)
        endpoints = self._endpoints(rows, records, errors)
        slots = self._slots(slots_row, rows, errors)
        events = self._events(rows, errors)
        costs = self._costs(rows, errors)
        woken = self._awake(rows, records, now, errors)
        report = ReconcileReport(versions, tunings, endpoints, slots, events, costs, woken, tuple(errors))
        log.info("reconcile: %s", report)
        self.lifecycle.telemetry.states(Counter(row.value.state for row in rows.values()))
        return report

    def _uploads(
        self, known: Mapping[tuple[str, str], DatasetVersion], tunings: Container[str], errors: list[str]
    ) -> int:
        """Versions in blob storage of which the ledger knows nothing, or something older."""
        found: dict[tuple[str, str], list[UploadedFile]] = defaultdict(list)
        count = 0
        for blob in self.lifecycle.blobs.uploaded():
            try:
                file = parse_blob_name(blob.name)
            except InvalidDatasetError:
                if unsupported_id(blob.name, blob.etag) in tunings:
                    continue  # reported already; the listing is all that it costs
                count += _guarded(partial(self.intake.file_uploaded, blob.name), errors)
                continue
            found[file.dataset, file.version].append(blob)
        for key in sorted({*found, *known}):
            version = known.get(key)
            if version is None or version.files != supported_files(found.get(key, [])):
                if version is not None and key not in found and version.state is VersionState.TAKEN:
                    continue
                log.info("version %s/%s: no event told of its last change", *key)
                count += _guarded(partial(self.intake.version_changed, *key), errors)
        return count

    def _collecting(self, known: Iterable[DatasetVersion], now: datetime, errors: list[str]) -> int:
        """One that was changed a moment ago is woken in vain: its message is of an old revision."""
        count = 0
        for version in known:
            if version.state is VersionState.COLLECTING and self._overdue(version.wake_at, now):
                log.info("version %s/%s: overdue since %s", version.dataset, version.version, version.wake_at)
                count += _guarded(partial(self.intake.wake, version), errors)
        return count

    def _tunings(
        self,
        rows: dict[str, Versioned[Tuning]],
        records: dict[str, Versioned[EndpointRecord]],
        now: datetime,
        errors: list[str],
    ) -> int:
        count = 0
        for row in rows.values():
            tuning = row.value
            if tuning.ended:
                continue
            if tuning.state is State.LIVE:
                record = records.get(tuning.dataset)
                astray = record is None or record.value.live != tuning.id or _deleting(record.value)
                due = astray or (tuning.last_error != "" and self._overdue(tuning.wake_at, now))
            else:
                due = self._overdue(tuning.wake_at, now)
            if due:
                log.info("tuning %s is %s and overdue since %s", tuning.id, tuning.state, tuning.wake_at)
                count += _guarded(partial(self._wake, tuning), errors)
        return count

    def _wake(self, tuning: Tuning) -> None:
        if tuning.state is State.TESTING:
            self.lifecycle.wake_ups.smoke_test(tuning.id, due=tuning.due)
        else:
            self.lifecycle.wake_ups.tuning(tuning.id, due=tuning.due)

    def _endpoints(
        self,
        rows: dict[str, Versioned[Tuning]],
        records: dict[str, Versioned[EndpointRecord]],
        errors: list[str],
    ) -> int:
        """Records that name tunings which ended: whoever died while leaving left its name behind."""
        count = 0
        for row in records.values():
            gone = [tenant for tenant in row.value.tenants if tenant not in rows or rows[tenant].value.ended]
            if gone:
                count += _guarded(partial(self._tidy, row, gone), errors)
        return count

    def _tidy(self, row: Versioned[EndpointRecord], gone: list[str]) -> None:
        value = row.value
        for tenant in gone:
            value = value.left(tenant)
        if not value.tenants and self.lifecycle.arm.get_endpoint(value.name) is None:
            value = value.gone()
        log.info("endpoint of dataset %s: forgetting %s", value.dataset, ", ".join(gone))
        self.lifecycle.ledger.put(replace(row, value=value))

    def _awake(
        self,
        rows: dict[str, Versioned[Tuning]],
        records: dict[str, Versioned[EndpointRecord]],
        now: datetime,
        errors: list[str],
    ) -> int:
        """Datasets whose hours are about to begin, and whose endpoint sleeps."""
        keeper, usual = EndpointKeeper(self.lifecycle), self.lifecycle.settings.wake_seconds
        count = 0
        for row in records.values():
            last = rows.get(row.value.last_live)
            if last is not None and is_to_be_woken(last.value, row.value, usual, now):
                count += _guarded(partial(_woken, keeper, row.value.dataset), errors)
        return count

    def _slots(self, row: Versioned[JobSlots], tunings: dict[str, Versioned[Tuning]], errors: list[str]) -> int:
        keeper = self.lifecycle.slots
        if not keeper.limit:
            return 0
        return _guarded(lambda: keeper.tidy(row, {key: item.value for key, item in tunings.items()}), errors)

    def _events(self, rows: dict[str, Versioned[Tuning]], errors: list[str]) -> int:
        late = [row for row in rows.values() if self.lifecycle.events.unpublished(row.value)]
        return sum(_guarded(partial(self.lifecycle.events.publish_new, row), errors) for row in late)

    def _costs(self, rows: dict[str, Versioned[Tuning]], errors: list[str]) -> int:
        """Deployments and jobs that vanished, or came, without the lifecycle having looked at them."""
        books, tunings = self.lifecycle.books, {key: row.value for key, row in rows.items()}
        return _guarded(lambda: books.balance(tunings, errors), errors)

    def _overdue(self, wake_at: datetime, now: datetime) -> bool:
        return now - wake_at > timedelta(seconds=self.lifecycle.settings.overdue_seconds)


def _woken(keeper: EndpointKeeper, dataset: str) -> int:
    return keeper.wake(dataset, "its hours").situation is Situation.COMING


def _deleting(record: EndpointRecord) -> bool:
    return record.status is EndpointStatus.DELETING


def _guarded(act: Callable[[], int | None], errors: list[str]) -> int:
    """What `act` counted, else 1; 0 and the error noted if it failed: the next pass meets the same thing again."""
    try:
        count = act()
    except DroptuneError as error:
        log.warning("reconcile: %s", error)
        errors.append(str(error))
        return 0
    return 1 if count is None else count
