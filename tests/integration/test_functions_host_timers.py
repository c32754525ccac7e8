"""Timer triggers of the local Functions host."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.functions_app_sample.harness import eventually, records

if TYPE_CHECKING:
    from tests.integration.functions_app_sample.fixtures import NewHost
    from tests.integration.functions_app_sample.harness import Azurite, FunctionsHost

pytest_plugins = ("tests.integration.functions_app_sample.fixtures",)
pytestmark = pytest.mark.localcloud


def status_blob(host_id: str, function: str) -> str:
    return f"timers/{host_id}/Host.Functions.{function}/status"


def write_status(storage: Azurite, host_id: str, function: str, last: datetime, planned: datetime) -> None:
    status = {"Last": last.isoformat(), "Next": planned.isoformat(), "LastUpdated": last.isoformat()}
    storage.upload("azure-webjobs-hosts", status_blob(host_id, function), json.dumps(status).encode())


def read_status(storage: Azurite, host_id: str, function: str) -> dict[str, datetime]:
    blob = storage.blobs.get_blob_client("azure-webjobs-hosts", status_blob(host_id, function))
    status = json.loads(blob.download_blob().readall())
    return {name: datetime.fromisoformat(text) for name, text in status.items()}


def first_of_january(year: int) -> datetime:
    return datetime(year, 1, 1, tzinfo=UTC)


def test_a_timer_fires_on_every_second_of_its_schedule(shared_host: FunctionsHost) -> None:
    fired = eventually(lambda: (f := records(shared_host.record, "every_second"))[3:] and f, "four runs")
    seconds = [int(run["at"]) for run in fired]
    assert seconds == list(range(seconds[0], seconds[0] + len(seconds)))
    assert all(run["at"] % 1 < 0.5 for run in fired), "just after the second begins"
    assert fired[0]["status"] == {}, "the host keeps no status of so frequent a timer"


def test_a_timer_never_overlaps_itself(shared_host: FunctionsHost) -> None:
    runs = eventually(lambda: (r := records(shared_host.record, "slow_tick"))[3:] and r, "two runs")
    assert [run["phase"] for run in runs[:4]] == ["start", "end", "start", "end"]


def test_a_timer_that_missed_its_time_runs_at_start_but_not_for_another_schedule(
    new_host: NewHost, functions_storage: Azurite
) -> None:
    now = datetime.now(UTC)
    last, planned = first_of_january(now.year - 1), first_of_january(now.year)
    write_status(functions_storage, "late", "yearly", last, planned)
    write_status(functions_storage, "late", "yearly_rescheduled", now - timedelta(hours=2), now - timedelta(hours=1))
    host = new_host("late").start()

    (run,) = eventually(lambda: records(host.record, "yearly"), "the timer ran")
    assert run["past_due"] is True
    assert datetime.fromisoformat(run["status"]["Next"]) == planned
    status = eventually(
        lambda: (s := read_status(functions_storage, "late", "yearly"))["Last"] > planned and s, "the new status"
    )
    assert status["Next"] == first_of_january(now.year + 1)
    assert status["Last"] - now < timedelta(seconds=30)

    eventually(
        lambda: read_status(functions_storage, "late", "yearly_rescheduled")["Next"] == status["Next"],
        "the other timer is planned again",
    )
    assert not records(host.record, "yearly_rescheduled")


def test_a_timer_that_missed_nothing_waits_for_its_time(shared_host: FunctionsHost, functions_storage: Azurite) -> None:
    eventually(lambda: records(shared_host.record, "every_second"), "timers are running")
    status = read_status(functions_storage, "shared", "yearly_rescheduled")
    assert status["Next"] == first_of_january(datetime.now(UTC).year + 1)
    assert not records(shared_host.record, "yearly_rescheduled")


def test_a_timer_runs_at_start_when_told_to_and_is_retried_by_its_policy(shared_host: FunctionsHost) -> None:
    runs = eventually(lambda: (r := records(shared_host.record, "retrying"))[2:] and r, "three tries")
    assert [(run["retry"], run["most"]) for run in runs] == [(0, 2), (1, 2), (2, 2)]


def fired_by(host: FunctionsHost) -> list[dict[str, Any]]:
    return records(host.record, "every_second", pid=host.process.pid)


def test_one_host_at_a_time_fires_after_a_kill_the_same_and_after_a_stop_the_other(new_host: NewHost) -> None:
    first, second = new_host("single", name="one"), new_host("single", name="two")
    first.start()
    eventually(lambda: fired_by(first), "the first host fires")
    second.start()
    waiting = "another host holds the lock of Host.Functions.every_second"
    eventually(lambda: waiting in second.log(), "the second host waits")

    first.kill()
    first.start()
    eventually(lambda: fired_by(first), "the killed host has its lock back, long before the lease is over")
    assert not fired_by(second)

    assert first.stop() == 0
    eventually(lambda: fired_by(second), "the second host takes over")
