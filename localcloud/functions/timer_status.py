"""The schedule monitor: when a timer last ran and when it should run next, across restarts.

A blob in host storage, azure-webjobs-hosts/timers/<host id>/Host.Functions.NAME/status, as the real host
keeps it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from azure.core.exceptions import ResourceNotFoundError

from localcloud.functions.host_storage import HOSTS_CONTAINER, ensure_container

if TYPE_CHECKING:
    from azure.storage.blob import BlobServiceClient

    from localcloud.functions.schedule import Schedule

NEVER = datetime(1, 1, 1, tzinfo=UTC)
_EARLY = timedelta(seconds=1)


@dataclass(frozen=True)
class TimerStatus:
    last: datetime
    next: datetime
    last_updated: datetime

    def serialise(self) -> dict[str, str]:
        return {
            "Last": self.last.isoformat(),
            "Next": self.next.isoformat(),
            "LastUpdated": self.last_updated.isoformat(),
        }

    @staticmethod
    def parse(document: str | bytes) -> TimerStatus:
        """Raises ValueError or KeyError when it is no timer status."""
        raw = json.loads(document)
        return TimerStatus(_moment(raw["Last"]), _moment(raw["Next"]), _moment(raw["LastUpdated"]))

    @staticmethod
    def initial(schedule: Schedule, now: datetime) -> TimerStatus:
        return TimerStatus(NEVER, schedule.next_after(now), now)

    def after_run(self, schedule: Schedule, at: datetime) -> TimerStatus:
        """`at` is when the run started; a run that came early for clock skew counts for its planned time."""
        last = max(at, self.next) if self.next - at < _EARLY else at
        return TimerStatus(last, schedule.next_after(last), last)

    def rescheduled(self, schedule: Schedule) -> TimerStatus:
        """The same status when `Next` still follows from the schedule, else what follows from the new one."""
        base = self.last if self.last > NEVER else self.last_updated
        if base <= NEVER:
            return self
        expected = schedule.next_after(base)
        return self if expected == self.next else TimerStatus(self.last, expected, self.last_updated)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


class TimerStatusStore:
    """Calls block."""

    def __init__(self, service: BlobServiceClient, host_id: str, function_host_id: str) -> None:
        self._service = service
        self._blob = service.get_blob_client(HOSTS_CONTAINER, f"timers/{host_id}/{function_host_id}/status")

    def read(self) -> TimerStatus | None:
        """None when there is none, or one that this host cannot read."""
        try:
            content: bytes = self._blob.download_blob().readall()
        except ResourceNotFoundError:
            return None
        try:
            return TimerStatus.parse(content)
        except (ValueError, KeyError):
            return None

    def write(self, status: TimerStatus) -> None:
        document = json.dumps(status.serialise())
        try:
            self._blob.upload_blob(document, overwrite=True)
        except ResourceNotFoundError:
            ensure_container(self._service)
            self._blob.upload_blob(document, overwrite=True)
