"""Both engines of the local Functions host do the same: ours for Python 3.11, Microsoft's where a 3.13 is found."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.functions_app_sample.bad_apps import BAD_APPS, GOOD_APPS
from tests.integration.functions_app_sample.harness import ROOT, eventually, records, storage_event

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.functions_app_sample.fixtures import NewHost
    from tests.integration.functions_app_sample.harness import Azurite, FunctionsHost

pytest_plugins = ("tests.integration.functions_app_sample.fixtures",)
pytestmark = pytest.mark.localcloud

ENVIRONMENT = ROOT / ".localcloud" / "py313-venv"
PACKAGES = (
    *("azure-functions-runtime", "azure-functions==2.*", "azurefunctions-extensions-bindings-blob"),
    *("azure-identity", "azure-storage-blob", "azure-storage-queue", "croniter", "starlette", "uvicorn"),
)
INDEX = """
import json, logging, sys
from pathlib import Path
from localcloud.functions.engine import IndexingError, load_engine
logging.disable(logging.CRITICAL)
try:
    load_engine("runtime", Path(sys.argv[1]))
    print("accepted")
except IndexingError:
    print("refused")
"""


@pytest.fixture(scope="session")
def python_313() -> str:
    """An interpreter with azure-functions-runtime; its environment is made once and kept."""
    python = ENVIRONMENT / "bin" / "python"
    if not (ENVIRONMENT / "ready").exists():
        found = shutil.which("python3.13")
        works = found and subprocess.run([found, "-c", "import sys"], capture_output=True).returncode == 0
        if not found or not works:
            pytest.skip("there is no Python 3.13")
        subprocess.run([found, "-m", "venv", str(ENVIRONMENT)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", *PACKAGES]
        if subprocess.run(install, capture_output=True).returncode != 0:
            pytest.skip("azure-functions-runtime cannot be installed")
        (ENVIRONMENT / "ready").touch()
    return str(python)


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
    queue = host.settings["WORK_QUEUE"]
    eventually(lambda: f"created queue '{queue}'" in host.log(), "the queue exists")
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


@pytest.mark.parametrize(
    ("source", "verdict"),
    [(s, "refused") for s in BAD_APPS.values()] + [(s, "accepted") for s in GOOD_APPS.values()],
    ids=[*BAD_APPS, *GOOD_APPS],
)
def test_microsofts_worker_judges_apps_as_ours_does(python_313: str, tmp_path: Path, source: str, verdict: str) -> None:
    (tmp_path / "function_app.py").write_text(source)
    done = subprocess.run(
        [python_313, "-c", INDEX, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip().splitlines()[-1:] == [verdict], done.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"settings.json": "[]"}, "flat JSON object"),
        ({"keys.json": "{}x"}, "cannot read the keys"),
        ({"app/host.json": "{}"}, '"version": "2.0"'),
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


def test_two_hosts_cannot_share_a_state_directory_or_a_port(new_host: NewHost) -> None:
    first = new_host("busy").start()
    for change, message in (({}, "state directory"), ({"port": first.port, "name": "other"}, "is in use")):
        second = new_host("busy", **change)
        second.launch()
        assert second.process.wait(30) == 1
        assert message in second.log()
