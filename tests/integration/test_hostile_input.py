"""What strangers may send: each is refused clearly, in bounded memory, and nothing is changed by it.

Through the app's own handlers, on Azurite. Decoders are fuzzed in tests/unit/test_fuzz_decoders.py, answers of an
endpoint in tests/unit/test_scoring.py.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest

from handlers import dataset_uploaded, job_completed, status_api
from handlers.http import Request
from shared import names
from shared.clock import utc_now
from shared.config import setting_name
from shared.config import settings as app_settings
from shared.errors import TransientError
from shared.lifecycle.job_events import RUN_COMPLETED
from shared.lifecycle.ledger import Versioned
from shared.lifecycle.tuning import State, Tuning
from shared.services import services
from tests.http_requests import http_request
from tests.integration.azureml_support import Cloud
from tests.integration.lifecycle_harness import App, app_on

pytest_plugins = ("tests.integration.azureml_fixtures",)
pytestmark = pytest.mark.localcloud

ROOT = Path(__file__).parents[2]
MAX_PEAK_MB = 200
"""Of a whole process with the Azure SDKs (some 90 MB) that validates files of 100 MB."""


@pytest.fixture
def app(azureml_cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    """The app settings are in the environment, as the handlers read them."""
    with app_on(azureml_cloud) as found:
        for item in dataclasses.fields(found.settings):
            monkeypatch.setenv(setting_name(item), str(getattr(found.settings, item.name)))
        app_settings.cache_clear()
        services.cache_clear()
        yield found
    app_settings.cache_clear()
    services.cache_clear()


def call(builder: Any, argument: Any) -> Any:
    """The user's function of a handler, as the host calls it."""
    return builder._function.get_user_function()(argument)


def training(app: App, tuning_id: str, job: str) -> Tuning:
    now = utc_now()
    tuning = Tuning(
        id=tuning_id,
        dataset="hostile",
        version="v1",
        fingerprint="a" * 64,
        state=State.TRAINING,
        created_at=now,
        state_since=now,
        wake_at=now,
        job=job,
    )
    found = app.instance().lifecycle.ledger
    if found.tuning(tuning_id) is None:
        found.put(Versioned(tuning, ""))
    return tuning


def event(run_id: object, topic: str, **data: object) -> func.EventGridEvent:
    return func.EventGridEvent(
        id="e1",
        data={"runId": run_id, "runType": "azureml.PipelineRun", "runStatus": "Completed", "runTags": {}, **data},
        topic=topic,
        subject="experiments/x/runs/y",
        event_type=RUN_COMPLETED,
        event_time=None,
        data_version="1.0",
    )


def test_events_that_are_none_of_ours_wake_nobody(app: App) -> None:
    training(app, "hostile-v1-aaaaaaaa", "hostile-v1-aaaaaaaa")
    training(app, "hostile-v1-bbbbbbbb", "hostile-v1-bbbbbbbb-try2")
    ours = app.settings.workspace_id
    for hostile in (
        event("hostile-v1-aaaaaaaa", ours.replace("localcloud", "somebodys")),
        event("hostile-v1-aaaaaaaa", ours + "/../" + ours),
        event("somebodys-job", ours),
        event("hostile-v1-bbbbbbbb", ours),  # an earlier try of that tuning
        event("hostile-v1-bbbbbbbb-try3", ours),
        event("hostile-v1-aaaaaaaa", ours, runTags={"azureml.pipelinerunid": "x"}),
        event("hostile-v1-aaaaaaaa' or PartitionKey ne '", ours),
        event("x" * 5000, ours),
        event("x" * 250, ours),
        event(["hostile-v1-aaaaaaaa"], ours),
    ):
        call(job_completed.job_completed, hostile)
    assert app.waiting_messages() == 0
    call(job_completed.job_completed, event("hostile-v1-aaaaaaaa", ours))
    assert app.waiting_messages() == 1


HOSTILE_NAMES = [
    "%2e%2e/v1/train_sft.jsonl",
    "hostile/..%2F..%2Fother/train_sft.jsonl",
    "hostile/v1%2Ftrain_sft.jsonl",
    "hostile/v1/train_sft.jsonl/extra",
    "hostile//train_sft.jsonl",
    "HOSTILE/v1/train_sft.jsonl",
    "h\u043estile/v1/train_sft.jsonl",
    "hostile/v1/train_sft.jsonl\u200b",
    "hostile/v1/\u202etrain_sft.jsonl",
    "hostile/v1/<script>alert(1)<script>.jsonl",
    "hostile/v1/train_sft.jsonl;rm -rf ~",
    "hostile/v1/TRAIN_SFT.JSONL",
    "x" * 900 + "/v1/train_sft.jsonl",
    "train_sft.jsonl",
]


def test_blobs_with_tricky_names_are_rejected_once_and_begin_nothing(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in HOSTILE_NAMES:
        app.upload(name, b"{}")
        for _ in range(2):
            call(dataset_uploaded.dataset_uploaded, app.blobs.get_blob_client(names.DATASETS, name))
    app.upload("hostile-elsewhere/v1/train_sft.jsonl", b"{}")
    call(
        dataset_uploaded.dataset_uploaded,
        app.blobs.get_blob_client(names.TUNINGS, "hostile-elsewhere/v1/train_sft.jsonl"),
    )
    lifecycle = services().lifecycle
    rejected = [row.value for row in lifecycle.ledger.tunings() if row.value.id.startswith("unsupported-")]
    assert len(rejected) == len(HOSTILE_NAMES)
    assert {tuning.state for tuning in rejected} == {State.REJECTED}
    assert all(tuning.reason and tuning.reason.message.isascii() for tuning in rejected)
    assert [row.value.dataset for row in lifecycle.ledger.versions() if "hostile" in row.value.dataset] == []
    assert app.waiting_messages() == 0

    asked: list[str] = []
    monkeypatch.setattr(lifecycle.blobs, "uploaded_file", asked.append)
    services().reconciler.run()
    assert asked == [], "what was reported costs the next passes nothing but the listing"


def request(method: str, tuning_id: str, body: bytes = b"", **query: str) -> Request:
    return http_request(method, f"/api/tunings/{tuning_id}", {"id": tuning_id}, query, body)


@pytest.mark.parametrize(
    "tuning_id",
    ["..", "../../admin", "%2e%2e", "a'b", "a;b", "x" * 100_000, "a\x00b", "a\nb", "\u0430", "' or 1 eq 1"],
    ids=["dots", "path", "encoded", "quote", "semicolon", "long", "null", "line feed", "look-alike", "filter"],
)
def test_the_status_api_finds_nothing_under_ids_that_can_be_none(app: App, tuning_id: str) -> None:
    for function, method in ((status_api.get_tuning, "GET"), (status_api.replay_tuning, "POST")):
        answer = call(function, request(method, tuning_id))
        assert answer.status_code == 404
        assert json.loads(answer.body)["error"]["code"] == "NotFound"
        assert len(answer.body) < 2000
        assert bytes(answer.body).isascii()


def test_bodies_and_parameters_that_mean_nothing_change_nothing(app: App) -> None:
    ended = replace(training(app, "hostile-v1-cccccccc", "j"), state=State.SUPERSEDED, id="hostile-v1-dddddddd")
    services().lifecycle.ledger.put(Versioned(ended, ""))
    for wish in ("yes", "1", "true;false", "x" * 10_000, "\x00"):
        assert call(status_api.replay_tuning, request("POST", ended.id, as_newest=wish)).status_code == 400
    for body in (b"x" * 5_000_000, b'{"as_newest": true}', b"\xff\xfe", b"[" * 1_000_000):
        assert call(status_api.replay_tuning, request("POST", ended.id, body)).status_code == 409
    row = services().lifecycle.ledger.tuning(ended.id)
    assert row is not None
    assert row.value == ended


def test_the_status_api_says_later_when_the_cloud_does(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(_: str) -> None:
        raise TransientError("read tunings/x: HTTP 503")

    monkeypatch.setattr(services().lifecycle.ledger, "tuning", unreachable)
    answer = call(status_api.get_tuning, request("GET", "some-tuning"))
    assert answer.status_code == 503
    assert json.loads(answer.body)["error"]["code"] == "TryLater"


SETTLE = """
import sys
from pathlib import Path
from shared.lifecycle.queues import VersionMessage
from shared.services import services
services().intake.version_changed(sys.argv[1], "v1")
services().intake.version_settled(VersionMessage(sys.argv[1], "v1", 1))
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(int(status["VmHWM"].split()[0]) // 1024)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from Linux's /proc")
@pytest.mark.parametrize(
    ("dataset", "content", "rejected"),
    [
        ("hostile-line", b'{"messages": [{"role": "user", "content": "' + b"a" * 100_000_000, "bytes"),
        ("hostile-depth", b'{"a":' * 3_000_000, "nested"),
    ],
    ids=["line", "depth"],
)
def test_one_line_of_100_mb_or_of_a_million_levels_is_rejected_in_bounded_memory(
    app: App, dataset: str, content: bytes, rejected: str
) -> None:
    app.upload_version(dataset)
    app.upload(f"{dataset}/v1/train_sft.jsonl", content)
    done = subprocess.run(
        [sys.executable, "-c", SETTLE, dataset], cwd=ROOT, env=dict(os.environ), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < MAX_PEAK_MB
    (tuning,) = app.tunings_of(dataset)
    assert tuning.state is State.REJECTED
    assert tuning.reason is not None
    assert rejected in tuning.reason.message
    assert len(tuning.reason.message) < 500
