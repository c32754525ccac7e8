"""Timer triggers of the local Functions host."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.integration.functions_app_sample.harness import eventually, records

if TYPE_CHECKING:
    from tests.integration.functions_app_sample.fixtures import NewHost
    from tests.integration.functions_app_sample.harness import Azurite, FunctionsHost

pytest_plugins = ("tests.integration.functions_app_sample.fixtures",)
pytestmark = pytest.mark.localcloud


def status_blob(host_id: str, function: str) -> str:
    return f"timers/{host_id}/Host.Functions.{function}/status"


def write_status(storage: Azurite, host_id: str, last: datetime, planned: datetime) -> None:
    status = {"Last": last.isoformat(), "Next": planned.isoformat(), "LastUpdated": last.isoformat()}
    storage.upload("azure-webjobs-hosts", status_blob(host_id, "yearly"), json.dumps(status).encode())


def read_status(storage: Azurite, host_id: str) -> dict[str, datetime]:
    blob = storage.blobs.get_blob_client("azure-webjobs-hosts", status_blob(host_id, "yearly"))
    return {name: datetime.fromisoformat(text) for name, text in json.loads(blob.download_blob().readall()).items()}


def first_of_january(year: int) -> datetime:
    return datetime(year, 1, 1, tzinfo=UTC)


def test_a_timer_fires_on_every_second_of_its_schedule(shared_host: FunctionsHost) -> None:
    fired = eventually(lambda: (f := records(shared_host.record, "every_second"))[3:] and f, "four runs")
    seconds = [int(run["at"]) for run in fired]
    assert seconds == list(range(seconds[0], seconds[0] + len(seconds)))
    assert all(run["at"] % 1 < 0.5 for run in fired), "just after the second begins"
    assert fired[0]["status"] == {}, "the host keeps no status of so frequent a timer"


def test_a_timer_never_overlaps_itself(new_host: NewHost) -> None:
    host = new_host("overlap", settings={"SLOW_TICK": "*/1 * * * * *"}).start()
    runs = eventually(lambda: (r := records(host.record, "slow_tick"))[4:] and r, "three runs begun")
    assert [run["phase"] for run in runs[:4]] == ["start", "end", "start", "end"]
    starts = [run["at"] for run in runs if run["phase"] == "start"]
    assert all(int(later) - int(earlier) == 2 for earlier, later in zip(starts, starts[1:], strict=False))


def test_a_timer_that_missed_its_time_runs_at_start_and_knows_it(new_host: NewHost, functions_storage: Azurite) -> None:
    now = datetime.now(UTC)
    last, planned = first_of_january(now.year - 1), first_of_january(now.year)
    write_status(functions_storage, "late", last, planned)
    host = new_host("late").start()
    (run,) = eventually(lambda: records(host.record, "yearly"), "the timer ran")
    assert run["past_due"] is True
    assert datetime.fromisoformat(run["status"]["Next"]) == planned
    status = eventually(lambda: (s := read_status(functions_storage, "late"))["Last"] > planned and s, "the new status")
    assert status["Next"] == first_of_january(now.year + 1)
    assert status["Last"] - now < timedelta(seconds=30)


def test_a_timer_that_missed_nothing_does_not_run_at_start(new_host: NewHost, functions_storage: Azurite) -> None:
    host = new_host("punctual", settings={"SLOW_TICK": "* * * * * *"}).start()
    eventually(lambda: records(host.record, "slow_tick"), "timers are running")
    status = read_status(functions_storage, "punctual")
    assert status["Next"] == first_of_january(datetime.now(UTC).year + 1)
    assert not records(host.record, "yearly")


def test_a_status_of_another_schedule_is_not_taken_for_a_missed_run(
    new_host: NewHost, functions_storage: Azurite
) -> None:
    now = datetime.now(UTC)
    write_status(functions_storage, "changed", now - timedelta(hours=2), now - timedelta(hours=1))
    host = new_host("changed", settings={"SLOW_TICK": "* * * * * *"}).start()
    eventually(lambda: records(host.record, "slow_tick"), "timers are running")
    assert read_status(functions_storage, "changed")["Next"] == first_of_january(now.year + 1)
    assert not records(host.record, "yearly")


def test_a_timer_runs_at_start_when_told_to_and_is_retried_by_its_policy(shared_host: FunctionsHost) -> None:
    runs = eventually(lambda: (r := records(shared_host.record, "retrying"))[2:] and r, "three tries")
    assert [(run["retry"], run["most"]) for run in runs] == [(0, 2), (1, 2), (2, 2)]


def test_one_host_at_a_time_fires_and_a_killed_host_gets_its_timers_back_at_once(new_host: NewHost) -> None:
    first = new_host("single", name="one").start()
    eventually(lambda: records(first.record, "every_second"), "the first host fires")
    second = new_host("single", name="two").start()
    waiting = "another host holds the lock of Host.Functions.every_second"
    eventually(lambda: waiting in second.log(), "the second host waits")
    killed = first.process.pid
    first.kill()
    first.start()
    eventually(
        lambda: [r for r in records(first.record, "every_second") if r["pid"] == first.process.pid],
        "the restarted host fires",
        seconds=5,
    )
    pids = {run["pid"] for run in records(first.record, "every_second")}
    assert pids == {killed, first.process.pid}


def test_a_host_that_stops_hands_its_timers_over(new_host: NewHost) -> None:
    first = new_host("handover", name="one").start()
    eventually(lambda: records(first.record, "every_second"), "the first host fires")
    second = new_host("handover", name="two").start()
    eventually(lambda: "another host holds the lock" in second.log(), "the second host waits")
    assert first.stop() == 0
    eventually(
        lambda: [r for r in records(first.record, "every_second") if r["pid"] == second.process.pid],
        "the second host fires",
        seconds=12,
    )
