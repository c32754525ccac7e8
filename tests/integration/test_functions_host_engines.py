"""Both engines of the local Functions host do the same: ours for Python 3.11, Microsoft's where a 3.13 is found."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.functions_app_sample.bad_apps import BAD_APPS, GOOD_APPS
from tests.integration.functions_app_sample.harness import (
    ROOT,
    eventually,
    free_port,
    records,
    storage_event,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.functions_app_sample.fixtures import NewHost
    from tests.integration.functions_app_sample.harness import Azurite, FunctionsHost

pytest_plugins = ("tests.integration.functions_app_sample.fixtures", "tests.python313")
pytestmark = pytest.mark.localcloud

JUDGE = """
import json, logging, sys, tempfile
from pathlib import Path
from localcloud.functions.engine import IndexingError, load_engine

logging.disable(logging.CRITICAL)
own_path = list(sys.path)
verdicts = {}
for name, source in json.load(sys.stdin).items():
    for module in [m for m in sys.modules if m == "function_app" or m.startswith("azure_functions_runtime")]:
        del sys.modules[module]
    app = Path(tempfile.mkdtemp(dir=sys.argv[1]))
    (app / "function_app.py").write_text(source)
    sys.path[:] = own_path
    try:
        load_engine("runtime", app)
        verdicts[name] = "accepted"
    except IndexingError:
        verdicts[name] = "refused"
print(json.dumps(verdicts))
"""


def behaviour(host: FunctionsHost, storage: Azurite) -> dict[str, Any]:
    """What the sample app makes of one call of each kind, without what differs from run to run."""
    answers: dict[str, Any] = {}
    for path in ("items/7?a=1", "items/x", "items/special", "files/a/b", "guarded", "broken", "returns_nothing"):
        response = host.call("GET", f"/api/{path}")
        text = response.text.replace(host.url, "")
        answers[path] = (response.status_code, text, response.headers.get("content-type"), dict(response.cookies))
    event = {"id": "1", "topic": "t", "subject": "s", "eventType": "x", "eventTime": "2026-11-22T10:00:00Z"}
    for fail in (False, True):
        batch = [{**event, "dataVersion": "1", "data": {"fail": fail}}]
        answers[f"event {fail}"] = host.send_events("eventgrid", "on_event", batch).status_code
    cloud_event = {"specversion": "1.0", "id": "2", "source": "/s", "type": "t", "data": {"a": 1}}
    answers["cloud event"] = host.send_events("eventgrid", "on_cloud_event", cloud_event).status_code
    for container, blob in (("incoming", "f/b.txt"), ("streams", "s.txt")):
        url = storage.upload(container, blob, b"content")
        function = "on_blob" if container == "incoming" else "on_stream"
        answers[function] = host.send_events("blobs", f"Host.Functions.{function}", [storage_event(url)]).status_code
    queue = f"{host.settings['APP']}-work"
    eventually(lambda: storage.has_queue(queue), "the queue exists")
    storage.queue(queue).send_message('{"case": "works"}')
    storage.queue(queue).send_message('{"case": "poison", "fail": 99}')
    eventually(lambda: storage.peek(f"{queue}-poison"), "the poison message")
    eventually(lambda: records(host.record, "on_message", case="works", phase="end"), "the message ran")
    eventually(lambda: records(host.record, "on_stream"), "the stream function ran")
    eventually(lambda: records(host.record, "on_blob"), "the blob function ran")
    eventually(lambda: len(records(host.record, "retrying")) == 3, "the timer was retried")
    for function in ("on_event", "on_cloud_event", "on_blob", "on_stream", "on_message", "retrying"):
        seen = [{k: v for k, v in line.items() if k not in VARYING} for line in records(host.record, function)]
        answers[f"records of {function}"] = sorted(seen, key=json.dumps)
    return answers


VARYING = ("at", "pid", "id", "inserted", "invocation")


def test_both_engines_run_the_same_app_in_the_same_way(
    new_host: NewHost, functions_storage: Azurite, python_313: str, tmp_path: Path
) -> None:
    ours = new_host("engine-sdk", name="sdk").start()
    expected = behaviour(ours, functions_storage)
    ours.stop()
    ours.record.unlink()
    theirs = new_host("engine-runtime", name="runtime", python=python_313, options=("--engine", "runtime"))
    assert behaviour(theirs.start(), functions_storage) == expected
    theirs.stop()


def test_microsofts_worker_judges_apps_as_ours_does(python_313: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [python_313, "-c", JUDGE, str(tmp_path)],
        input=json.dumps(BAD_APPS | GOOD_APPS),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    expected = dict.fromkeys(BAD_APPS, "refused") | dict.fromkeys(GOOD_APPS, "accepted")
    assert json.loads(done.stdout.splitlines()[-1]) == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"settings.json": "[]"}, "flat JSON object"),
        ({"app/function_app.py": BAD_APPS["two apps"]}, "exactly one top level function app"),
        ({"app/function_app.py": GOOD_APPS["a text input"]}, "the host needs its storage"),
    ],
)
def test_a_host_that_can_not_start_says_why_and_exits_with_1(
    tmp_path: Path, change: dict[str, str], message: str
) -> None:
    (tmp_path / "app").mkdir()
    files = {"settings.json": "{}", "keys.json": "{}", "app/host.json": '{"version": "2.0"}', **change}
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    arguments = {"app": "app", "settings": "settings.json", "keys": "keys.json", "state": "state"}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "localcloud.functions", "--port", "0"),
            *(part for name, file in arguments.items() for part in (f"--{name}", str(tmp_path / file))),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert message in done.stderr


def test_a_host_without_its_storage_still_answers_and_stops_in_time(new_host: NewHost) -> None:
    nowhere = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=a2V5;" + "".join(
        f"{service}Endpoint=http://127.0.0.1:{free_port()}/a;" for service in ("Blob", "Queue")
    )
    settings = {"AzureWebJobsStorage": nowhere, "STORAGE": nowhere}
    host = new_host("dark", settings=settings, options=("--grace", "0.5")).start()
    assert host.call("GET", "/api/items/special").text == "special"
    event = storage_event("http://127.0.0.1/a/incoming/f/b")
    assert host.send_events("blobs", "Host.Functions.on_blob", [event]).status_code == 500
    begun = time.monotonic()
    assert host.stop() == 0
    assert time.monotonic() - begun < 5


def test_two_hosts_cannot_share_a_state_directory_or_a_port(new_host: NewHost) -> None:
    first = new_host("busy").start()
    same_state = new_host("busy", name="host")
    same_port = new_host("busy", name="other", port=first.port)
    for second in (same_state, same_port):
        second.launch()
    assert (same_state.process.wait(30), same_port.process.wait(30)) == (1, 1)
    assert "is in use by another host" in same_state.log()
    assert f"port {first.port} is in use" in same_port.log()
