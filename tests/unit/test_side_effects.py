"""How the crash tests name side effects, and when they kill."""

from __future__ import annotations

import http.client
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from tests.e2e.crashes.effects import Effect, Services, WriteRequest, effect_of
from tests.e2e.crashes.plan import Entry, Journal, Moment, Plan
from tests.e2e.crashes.tap import Tap, install

SERVICES = Services(blob=1, queue=2, table=3)
DATASETS = re.compile(r"crash[0-9a-z]*")
WORKSPACE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"
ROW = {"published": 1, "history": [{"seq": 2, "state": "deploying", "message": "creating endpoint crash1-aaaaaa"}]}


def effect(method: str, port: int, target: str, body: bytes = b"", *headers: str) -> Effect | None:
    return effect_of(WriteRequest(method, port, target, frozenset(headers), body), SERVICES, DATASETS)


@pytest.mark.parametrize(
    ("method", "port", "target", "name"),
    [
        ("PUT", 1, "/devstoreaccount1/reports/crash1-v1-0123abcd.json", "blob: PUT reports/*-v1-*.json"),
        ("POST", 2, "/devstoreaccount1/smoke-test/messages?visibilitytimeout=1", "queue: send to smoke-test"),
        ("DELETE", 2, "/devstoreaccount1/smoke-test/messages/ab?popreceipt=x", "queue: delete from smoke-test"),
        ("PUT", 9, f"{WORKSPACE}/jobs/crash12-v1-0123abcd?api-version=1", "azure ml: PUT /jobs/*-v1-*"),
        ("PUT", 9, f"{WORKSPACE}/onlineEndpoints/crash1x2-0a1b2c", "azure ml: PUT /onlineEndpoints/*"),
        ("POST", 9, "/inference/crash1-0a1b2c/score", "scoring: ask the new deployment"),
    ],
)
def test_side_effects_of_two_main_jobs_have_the_same_names(method: str, port: int, target: str, name: str) -> None:
    assert effect(method, port, target) == Effect(name)


@pytest.mark.parametrize(
    ("method", "port", "target"),
    [
        ("GET", 1, "/devstoreaccount1/reports/a.json"),
        ("POST", 9, f"{WORKSPACE}/onlineEndpoints/crash1-0a1b2c/listKeys"),
        ("PUT", 1, "/devstoreaccount1/azure-webjobs-hosts/locks/a?comp=lease"),
        ("PUT", 2, "/devstoreaccount1/smoke-test/messages/ab?popreceipt=x&visibilitytimeout=2"),
    ],
)
def test_what_changes_nothing_of_a_main_job_is_no_side_effect(method: str, port: int, target: str) -> None:
    assert effect(method, port, target) is None


def test_a_row_of_the_ledger_says_its_state_and_what_was_done() -> None:
    body = json.dumps({"state": "deploying", "body0": json.dumps(ROW)}).encode()
    found = effect("PUT", 3, "/devstoreaccount1/tunings(PartitionKey='tuning',RowKey='x')", body)
    assert found == Effect("table: replace in tunings deploying (creating endpoint)", "deploying")


def test_traffic_and_copies_are_told_apart() -> None:
    body = json.dumps({"properties": {"traffic": {"t": 100}}}).encode()
    endpoint = effect("PUT", 9, f"{WORKSPACE}/onlineEndpoints/crash1-0a1b2c", body)
    copy = effect("PUT", 1, "/devstoreaccount1/tunings/crash1-v1-0123abcd/a.jsonl", b"", "x-ms-copy-source")
    assert endpoint == Effect("azure ml: PUT /onlineEndpoints/* with traffic")
    assert copy == Effect("blob: copy to tunings/*-v1-*/a.jsonl")


def happen(journal: Journal, name: str, state: str = "") -> list[Moment]:
    """An effect happens; returns its two moments."""
    before = journal.begun(name)
    journal.add(Entry(before))
    after = Moment(before.state, name, before.occurrence, "after")
    journal.add(Entry(after, 200), state)
    return [before, after]


def test_a_moment_kills_once_and_is_remembered_by_the_next_life(tmp_path: Path) -> None:
    plan = Plan("run", (Moment("", "a", 2, "after"),))
    journal = Journal.open(tmp_path, "run")
    assert [journal.deadly(plan, moment) for moment in happen(journal, "a")] == [False, False]
    *_, last = happen(journal, "a")
    assert journal.deadly(plan, last)
    journal.add(Entry(last, killed=True))

    again = Journal.open(tmp_path, "run")
    assert again.killed == [(last, 4)]
    assert not again.deadly(plan, last)
    assert happen(again, "a")[0].occurrence == 3


def test_occurrences_are_counted_per_state_of_the_tuning(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, "run")
    happen(journal, "a", state="training")
    assert journal.begun("a") == Moment("training", "a", 1, "before")
    assert Journal.open(tmp_path, "run").state == "training"


def test_a_number_kills_at_that_moment_of_the_run_whatever_it_is(tmp_path: Path) -> None:
    plan = Plan("run", numbers=(3,))
    journal = Journal.open(tmp_path, "run")
    deadly = []
    for name in "ab":
        before = journal.begun(name)
        for moment in (before, Moment("", name, 1, "after")):
            journal.add(Entry(moment, 200))
            deadly.append(journal.deadly(plan, moment))
    assert deadly == [False, False, True, False]


class _Recorder(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    received: list[bytes]

    def do_PUT(self) -> None:
        """A request whose body never comes is none: no service acts on it."""
        length = int(self.headers["content-length"] or 0)
        body = self.rfile.read(length)
        if len(body) < length:
            return
        self.received.append(body)
        self.send_response(201)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def server() -> Iterator[tuple[str, list[bytes]]]:
    received: list[bytes] = []
    handler = type("Handler", (_Recorder,), {"received": received})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}", received
        listening.shutdown()
        thread.join()


class DiedError(Exception):
    """Instead of a signal."""


@pytest.mark.parametrize(("when", "arrived"), [("before", []), ("after", [b"body"])])
def test_who_is_killed_before_has_sent_nothing_and_after_has_changed_the_world(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: tuple[str, list[bytes]], when: str, arrived: list[bytes]
) -> None:
    url, received = server
    for name in ("putrequest", "putheader", "endheaders", "send", "getresponse"):
        monkeypatch.setattr(http.client.HTTPConnection, name, getattr(http.client.HTTPConnection, name))

    def die() -> None:
        raise DiedError

    moment = Moment("", "put body", 1, "before" if when == "before" else "after")
    Plan("run", (moment,)).save(tmp_path)
    install(Tap(tmp_path, lambda request: Effect(f"put {request.body.decode()}"), die))
    with pytest.raises(DiedError), requests.Session() as session:
        session.put(url, data=b"body")
    assert received == arrived
    assert Journal.open(tmp_path, "run").killed[0][0] == moment
