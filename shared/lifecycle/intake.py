"""From uploaded files to a tuning: collect a version until it is quiet, check it, plan it, record it."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from shared import names
from shared.blobs import BlobChangedError
from shared.datasets.paths import parse_blob_name
from shared.datasets.report import VersionReport, to_json
from shared.datasets.report_page import to_page
from shared.datasets.split_report import Problem
from shared.errors import DroptuneError, InvalidDatasetError, PermanentError, RaceLostError, TransientError
from shared.lifecycle.engine import MAX_UNEXPECTED_ERRORS
from shared.lifecycle.examine import Examination, Examiner, missing_splits
from shared.lifecycle.ledger import Versioned
from shared.lifecycle.queues import VersionMessage
from shared.lifecycle.records import DatasetVersion, VersionState
from shared.lifecycle.smoke_stage import INDEX_FILE
from shared.lifecycle.tuning import Reason, State, Tuning
from shared.telemetry.telemetry import DATASET, VERSION
from shared.telemetry.traces import Trace, begun

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from shared.blobs import UploadedFile
    from shared.config import Settings
    from shared.lifecycle.engine import Lifecycle

log = logging.getLogger(__name__)

_CAS_TRIES = 5


@dataclass(frozen=True)
class Intake:
    lifecycle: Lifecycle
    examiner: Examiner

    def file_uploaded(self, blob_name: str) -> None:
        """Something was uploaded to `datasets`; what lies there now decides, not the event."""
        try:
            file = parse_blob_name(blob_name)
        except InvalidDatasetError as error:
            self._reject_file(blob_name, error)
            return
        self.version_changed(file.dataset, file.version)

    def version_changed(self, dataset: str, version: str) -> None:
        """Compare a version's files with what the ledger knows; what is new is taken once it was quiet."""
        files = self._files(dataset, version)
        for _ in range(_CAS_TRIES):
            now = self.lifecycle.clock()
            row = self.lifecycle.ledger.version(dataset, version)
            if row is not None and row.value.files == files:
                log.info("version %s/%s: nothing changed since revision %d", dataset, version, row.value.revision)
                return
            if row is None and not files:
                log.info("version %s/%s: its files are gone already", dataset, version)
                return
            try:
                self._collect(row, dataset, version, files, now)
            except RaceLostError:
                continue
            return
        raise TransientError(f"version {dataset}/{version} changes too fast")

    def version_settled(self, message: VersionMessage) -> None:
        """Take a version that was quiet for long enough and is complete."""
        row = self.lifecycle.ledger.version(message.dataset, message.version)
        if row is None or row.value.revision != message.revision or row.value.state is VersionState.TAKEN:
            log.info("version %s/%s: message of revision %d is out of date", *_fields(message))
            return
        now = self.lifecycle.clock()
        due_at = due(row.value, self.lifecycle.settings)
        if now < due_at:
            self._wait_until(row, due_at, now)
            return
        if not row.value.files:
            log.info("version %s/%s: all of its files were deleted", message.dataset, message.version)
            self.lifecycle.ledger.put(replace(row, value=replace(row.value, state=VersionState.TAKEN)))
            return
        about = {DATASET: message.dataset, VERSION: message.version}
        with self.lifecycle.telemetry.work("dataset_settled", row.value.trace, about, sender=message.traceparent):
            self._try_to_take(replace(row, value=row.value.looked_at(now)), now)

    def _try_to_take(self, row: Versioned[DatasetVersion], now: datetime) -> None:
        message = row.value
        try:
            self._take(row)
        except BlobChangedError as error:
            log.info("version %s/%s: %s; collecting again", message.dataset, message.version, error)
            self.version_changed(message.dataset, message.version)
        except RaceLostError:
            log.info("version %s/%s: somebody else was first", message.dataset, message.version)
        except TransientError as error:
            if self._overdue(row.value, now):
                log.warning("version %s/%s: given up: %s", message.dataset, message.version, error)
                self._give_up(row, error, now)
                return
            log.info("version %s/%s: later: %s", message.dataset, message.version, error)
            self._later(row, error, max(error.retry_after, 1))
        except Exception as error:
            log.exception("version %s/%s: unexpected error", message.dataset, message.version)
            self._tried(row, error)

    def version_poisoned(self, message: VersionMessage, error: Exception) -> None:
        """The host gave up a message about a version: counts as an unexpected error. Raises PermanentError."""
        row = self.lifecycle.ledger.version(message.dataset, message.version)
        if row is None:
            raise PermanentError("UnknownVersion", "there is no version of its name")
        if row.value.revision != message.revision or row.value.state is VersionState.TAKEN:
            log.info("version %s/%s: poison message of revision %d is out of date", *_fields(message))
            return
        log.error("version %s/%s: %s", message.dataset, message.version, error)
        self._tried(replace(row, value=row.value.looked_at(self.lifecycle.clock())), error)

    def wake(self, version: DatasetVersion, delay: float = 0) -> None:
        self.lifecycle.wake_ups.version(VersionMessage(version.dataset, version.version, version.revision), delay)

    def _collect(
        self,
        row: Versioned[DatasetVersion] | None,
        dataset: str,
        version: str,
        files: dict[str, str],
        now: datetime,
    ) -> None:
        wake_at = now + timedelta(seconds=self.lifecycle.settings.settle_seconds)
        trace = self._trace(row, dataset, version, now)
        if row is None:
            fresh = DatasetVersion(
                dataset=dataset,
                version=version,
                state=VersionState.COLLECTING,
                files=files,
                first_seen=now,
                changed_at=now,
                wake_at=wake_at,
                trace=trace,
            )
            row = Versioned(fresh, "")
        else:
            changed = replace(
                row.value,
                state=VersionState.COLLECTING,
                files=files,
                changed_at=now,
                wake_at=wake_at,
                revision=row.value.revision + 1,
                errors=0,
                last_error="",
                failing_since=None,
                trace=trace,
            )
            row = replace(row, value=changed)
        with self.lifecycle.telemetry.work("dataset_uploaded", trace, {DATASET: dataset, VERSION: version}):
            self._collecting(row)

    def _collecting(self, row: Versioned[DatasetVersion]) -> None:
        version = row.value
        self.lifecycle.ledger.put(row)
        log.info(
            "version %s/%s: collecting, revision %d: %s",
            version.dataset,
            version.version,
            version.revision,
            ", ".join(version.files),
        )
        self.wake(version, self.lifecycle.settings.settle_seconds)

    def _trace(self, row: Versioned[DatasetVersion] | None, dataset: str, version: str, now: datetime) -> Trace:
        """One from the first file to what becomes of the version; the next change begins another."""
        if row is not None and row.value.state is VersionState.COLLECTING and row.value.trace is not None:
            return row.value.trace
        return begun(f"{self.lifecycle.settings.workspace_id}/{dataset}/{version}", now)

    def _take(self, row: Versioned[DatasetVersion]) -> None:
        version = row.value
        if self._files(version.dataset, version.version) != version.files:
            self.version_changed(version.dataset, version.version)
            return
        now, began = self.lifecycle.clock(), time.perf_counter()
        examination = self.examiner.examine(version, now)
        if size := sum(split.size for split in examination.tuning.splits):
            self.lifecycle.telemetry.validated(version.dataset, size, time.perf_counter() - began)
        self._taken(row, examination, now)

    def _taken(self, row: Versioned[DatasetVersion], examination: Examination, now: datetime) -> None:
        """Report, tuning, version, wake-up: in this order a death in between is healed by doing it all again."""
        lifecycle = self.lifecycle
        tuning = examination.tuning
        existing = lifecycle.ledger.tuning(tuning.id)
        if existing is None:
            lifecycle.blobs.write_report(tuning.id, examination.report)
            lifecycle.blobs.write_report_page(tuning.id, examination.page)
            if tuning.state is not State.REJECTED:
                lifecycle.blobs.write_snapshot(tuning.id, INDEX_FILE, examination.index)
            existing = self.insert(tuning)
            lifecycle.telemetry.planned(existing.value, lifecycle.clock())
        elif existing.value.fingerprint != tuning.fingerprint:
            raise PermanentError("FingerprintCollision", f"tuning {tuning.id} stands for another content already")
        else:
            log.info("version %s/%s has the content of tuning %s", row.value.dataset, row.value.version, tuning.id)
            existing = self._with_idle_settings_of(existing, tuning, now)
            if existing.value.ended:
                text = "its content was uploaded again, which begins nothing anew; an operator may replay it"
                existing = lifecycle.ledger.put(replace(existing, value=existing.value.noted(now, text)))
        taken = replace(row.value, state=VersionState.TAKEN, tuning_id=tuning.id)
        done = replace(taken, errors=0, last_error="", failing_since=None)
        lifecycle.ledger.put(replace(row, value=done))
        lifecycle.wake(existing.value, now)
        lifecycle.events.publish_new(existing)

    def _with_idle_settings_of(self, existing: Versioned[Tuning], again: Tuning, now: datetime) -> Versioned[Tuning]:
        """Another `idle` in `tuning.json` is not another tuning: the one that is there takes it over."""
        if again.state is State.REJECTED or existing.value.idle == again.idle:
            return existing
        wanted = ", ".join(f"{key} {value}" for key, value in again.idle.items()) or "those of the app"
        changed = replace(existing.value, idle=again.idle).noted(now, f"its idle settings are now: {wanted}")
        return self.lifecycle.ledger.put(replace(existing, value=changed))

    def _tried(self, row: Versioned[DatasetVersion], error: Exception) -> None:
        """After an unexpected error: a few more tries, within the deadline."""
        now = self.lifecycle.clock()
        if row.value.errors + 1 >= MAX_UNEXPECTED_ERRORS or self._overdue(row.value, now):
            self._give_up(row, error, now)
            return
        worse = replace(row, value=replace(row.value, errors=row.value.errors + 1))
        self._later(worse, error, self.lifecycle.settings.poll_max_seconds)

    def _overdue(self, version: DatasetVersion, now: datetime) -> bool:
        """By the first try that failed: however late that one came, those after it have all of the deadline."""
        deadline = timedelta(minutes=self.lifecycle.settings.preparing_deadline_minutes)
        return version.failing_since is not None and now - version.failing_since > deadline

    def _give_up(self, row: Versioned[DatasetVersion], error: Exception, now: datetime) -> None:
        """What fails for good becomes a failed tuning that an operator sees and may replay."""
        version = row.value
        fingerprint = names.digest(*(f"{name}:{etag}" for name, etag in sorted(version.files.items())), length=64)
        tuning_id = names.tuning_id(version.dataset, version.version, fingerprint)
        code = error.code if isinstance(error, PermanentError) else "UnexpectedError"
        text = _text(error)
        ids = (tuning_id, version.dataset, version.version, fingerprint)
        failed = ended_at_once(State.FAILED, *ids, Reason(code, text), now)
        tuning = self.lifecycle.ledger.tuning(tuning_id)
        if tuning is None:
            tuning = self.insert(failed)
        else:
            again = replace(tuning.value, reason=failed.reason).noted(now, f"failed again: {code}: {text}")
            tuning = self.lifecycle.ledger.put(replace(tuning, value=again))
        self.lifecycle.ledger.put(
            replace(row, value=replace(version, state=VersionState.TAKEN, tuning_id=tuning_id, last_error=text))
        )
        self.lifecycle.events.publish_new(tuning)

    def insert(self, tuning: Tuning) -> Versioned[Tuning]:
        """The row of a new tuning, or the one that is there already."""
        try:
            row = self.lifecycle.ledger.put(Versioned(tuning, ""))
        except RaceLostError:
            found = self.lifecycle.ledger.tuning(tuning.id)
            assert found is not None, "rows are never deleted"
            log.info("tuning %s: somebody else recorded it first", tuning.id)
            return found
        log.info("tuning %s: %s", tuning.id, tuning.history[-1].message)
        return row

    def _reject_file(self, blob_name: str, error: InvalidDatasetError) -> None:
        file = self.lifecycle.blobs.uploaded_file(blob_name)
        if file is None:
            log.info("a blob with an unsupported name is gone already: %s", error.code)
            return
        now = self.lifecycle.clock()
        fingerprint = _unsupported_fingerprint(blob_name, file.etag)
        tuning_id = unsupported_id(blob_name, file.etag)
        if self.lifecycle.ledger.tuning(tuning_id) is not None:
            log.info("tuning %s stands for this blob already", tuning_id)
            return
        problem = Problem(kind=error.code, subject=blob_name[:300], reason=error.message)
        report = VersionReport(tuning_id=tuning_id, dataset="", version="", problems=(problem,), created=now)
        self.lifecycle.blobs.write_report(tuning_id, to_json(report))
        self.lifecycle.blobs.write_report_page(tuning_id, to_page(report))
        reason = Reason(error.code, error.message)
        row = self.insert(ended_at_once(State.REJECTED, tuning_id, "", "", fingerprint, reason, now))
        self.lifecycle.events.publish_new(row)

    def _wait_until(self, row: Versioned[DatasetVersion], due: datetime, now: datetime) -> None:
        """One message is on its way, and `reconcile` knows until when."""
        try:
            row = self.lifecycle.ledger.put(replace(row, value=replace(row.value, wake_at=due)))
        except RaceLostError:
            log.info("version %s/%s: somebody else was first", row.value.dataset, row.value.version)
            return
        self.wake(row.value, (due - now).total_seconds())

    def _later(self, row: Versioned[DatasetVersion], error: Exception, delay: float) -> None:
        now = self.lifecycle.clock()
        value = replace(
            row.value,
            wake_at=now + timedelta(seconds=delay),
            last_error=_text(error),
            failing_since=row.value.failing_since or now,
        )
        try:
            self.lifecycle.ledger.put(replace(row, value=value))
        except RaceLostError:
            return
        self.wake(value, delay)

    def _files(self, dataset: str, version: str) -> dict[str, str]:
        return supported_files(self.lifecycle.blobs.uploaded(f"{dataset}/{version}/"))


def due(version: DatasetVersion, settings: Settings) -> datetime:
    """When a version is looked at in earnest: after the settle time; without a required split much later."""
    if version.files and not missing_splits(version):
        return version.changed_at + timedelta(seconds=settings.settle_seconds)
    return version.changed_at + timedelta(minutes=settings.missing_split_minutes)


def unsupported_id(blob_name: str, etag: str) -> str:
    """Id of the rejected tuning that stands for one content of a blob whose name means nothing."""
    return f"unsupported-{_unsupported_fingerprint(blob_name, etag)[:8]}"


def _unsupported_fingerprint(blob_name: str, etag: str) -> str:
    return names.digest(blob_name, etag, length=64)


def supported_files(uploaded: Iterable[UploadedFile]) -> dict[str, str]:
    """File name → ETag of those blobs of one version whose names mean something."""
    files: dict[str, str] = {}
    for blob in uploaded:
        try:
            files[parse_blob_name(blob.name).name] = blob.etag
        except InvalidDatasetError:
            continue
    return files


def ended_at_once(
    state: State, tuning_id: str, dataset: str, version: str, fingerprint: str, reason: Reason, now: datetime
) -> Tuning:
    """A tuning that ended before anything was begun."""
    return Tuning(
        id=tuning_id,
        dataset=dataset,
        version=version,
        fingerprint=fingerprint,
        state=state,
        created_at=now,
        state_since=now,
        wake_at=now,
        reason=reason,
    ).noted(now, f"{reason.code}: {reason.message}")


def _text(error: Exception) -> str:
    if isinstance(error, PermanentError):
        return error.message
    return (str(error) if isinstance(error, DroptuneError) else f"{type(error).__name__}: {error}")[:500]


def _fields(message: VersionMessage) -> tuple[str, str, int]:
    return message.dataset, message.version, message.revision
