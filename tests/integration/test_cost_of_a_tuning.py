"""What a tuning costs in calls from drop to live, and what the app must not do on the way.

BUDGET is for a tuning on an instance that had one before. If a change saves calls, lower it; if it needs more, say
in the commit what for. The message of a failing test is the new table.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from pprint import pformat

import pytest

from shared.config import Settings, setting_name
from shared.lifecycle.tuning import State, Tuning
from tests.contract.twins.real_subject import RealSubject, real_subject
from tests.integration.outgoing_calls import Call, outgoing_calls
from tests.integration.whole_life import Life, at_once

pytestmark = pytest.mark.localcloud
ROOT = Path(__file__).resolve().parents[2]

BUDGET: dict[str, dict[str, int]] = {
    "dataset_settled": {"azureml": 3, "blobs": 6, "events": 1, "ledger": 5, "queues": 1},
    "dataset_uploaded": {"blobs": 2, "ledger": 3, "queues": 1},
    "deployment_progress": {"azureml": 19, "blobs": 10, "events": 8, "ledger": 53, "queues": 10},
    "job_completed": {"ledger": 1, "queues": 1},
    "smoke_test": {"azureml": 2, "blobs": 12, "events": 1, "ledger": 4, "queues": 1, "scoring": 5},
}


@dataclass(frozen=True)
class Spent:
    tuning: Tuning
    by_function: dict[str, dict[str, int]]
    calls: tuple[Call, ...]
    transports: Counter[str]
    threads: Counter[str]


@dataclass(frozen=True)
class Measured:
    subject: RealSubject
    life: Life
    first: Spent
    second: Spent


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Measured]:
    with (
        real_subject(tmp_path_factory.mktemp("cloud")) as subject,
        outgoing_calls(subject._config) as outgoing,
        pytest.MonkeyPatch.context() as patch,
    ):
        # In Azure they are not set: the app itself tells azure-ai-ml which cloud it is in.
        for name in ("ARM_CLOUD_METADATA_URL", "AZUREML_CURRENT_CLOUD", "REGISTRY_DISCOVERY_ENDPOINT_URL"):
            patch.delenv(name)
        life = Life(subject, at_once(subject), outgoing.running)

        def spend(dataset: str) -> Spent:
            outgoing.clear()
            tuning = life.drop(dataset)
            return Spent(
                tuning,
                outgoing.by_function(),
                tuple(outgoing.calls),
                outgoing.transports.copy(),
                outgoing.threads.copy(),
            )

        yield Measured(subject, life, spend("first"), spend("second"))


def test_a_tuning_makes_no_call_more_than_its_budget(measured: Measured) -> None:
    assert measured.second.tuning.state is State.LIVE, measured.second.tuning.reason
    spent = measured.second.by_function
    calls = "\n".join(map(str, measured.second.calls))
    assert spent == BUDGET, f"BUDGET = {pformat(spent)}\n\n{calls}"


def test_a_clients_first_use_is_paid_once(measured: Measured) -> None:
    """Tokens, discovery of the registry and the workspace: only with the first tuning of an instance."""
    first, second = (Counter(call.service for call in spent.calls) for spent in (measured.first, measured.second))
    assert second["identity"] == 0
    assert 0 < first["identity"] <= 8, "one token for each audience"


def test_every_call_has_time_outs_to_connect_and_to_read(measured: Measured) -> None:
    """Whatever client of whatever SDK sends it: those of azure-ai-ml and azure-identity too."""
    settings = measured.life.services.settings
    for call in (*measured.first.calls, *measured.second.calls):
        assert isinstance(call.timeout, tuple), call
        connect, read = call.timeout
        assert 0 < connect <= settings.connect_timeout_seconds, call
        if call.service != "scoring":
            assert 0 < read <= settings.read_timeout_seconds, call


def test_clients_are_made_once_and_used_again(measured: Measured) -> None:
    """A transport is a pool of connections. Scoring has one of its own for each question, on purpose."""
    assert measured.second.transports == {"smoke_test": 5}


def test_no_thread_is_left_polling(measured: Measured) -> None:
    own = Counter(name.partition("_")[0] for name in measured.second.threads.elements())
    assert own["scoring"] == 5
    assert 1 <= own["asking"] <= measured.life.services.settings.smoke_concurrency
    assert set(own) == {"scoring", "asking"}
    assert not [name for name in measured.first.threads if "LROPoller" in name]


_SCRIPT = """
import json, sys
import azure.functions as func
import function_app
from azure.storage.blob import BlobClient
def call(function, argument):
    return function.build().get_user_function()(argument)
from handlers import deployment_progress, idle_cleanup, job_completed, reconcile, status_api
from handlers.http import Request
tuning, workspace = sys.argv[1:]
message = func.QueueMessage(body=json.dumps({"tuning_id": tuning}).encode())
call(deployment_progress.deployment_progress, message)
call(idle_cleanup.idle_cleanup, None)
call(reconcile.reconcile, None)
request = Request({"type": "http", "method": "GET", "headers": [], "query_string": b"", "path_params": {"id": tuning}})
bodies = [call(function, request) for function in (
    status_api.list_tunings, status_api.get_tuning, status_api.list_endpoints)]
event = func.EventGridEvent(id="1", data={"runId": tuning, "runStatus": "Completed"}, topic=workspace,
    subject="s", event_type="Microsoft.MachineLearningServices.RunCompleted", event_time=None, data_version="1")
call(job_completed.job_completed, event)
heavy = ("azure.ai.ml", "pandas", "numpy", "aiohttp", "marshmallow", "opentelemetry", "torch")
print(json.dumps({
    "heavy": [name for name in heavy if name in sys.modules],
    "statuses": [body.status_code for body in bodies],
    "tuning": json.loads(bodies[1].body),
}))
"""


def test_looking_polling_sweeping_and_http_never_import_azure_ai_ml(measured: Measured) -> None:
    tuning = measured.life.drop("third", until=State.DEPLOYING)
    assert tuning.state is State.DEPLOYING, tuning.reason
    settings = measured.life.services.settings
    environment = {**os.environ, **_app_settings(settings), "IDLE_AFTER_MINUTES": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, tuning.id, settings.workspace_id],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["statuses"] == [200, 200, 200]
    messages = [entry["message"] for entry in answer["tuning"]["history"]]
    assert any("creating endpoint" in message for message in messages), "it did not only look away"
    assert answer["heavy"] == []


def _app_settings(settings: Settings) -> dict[str, str]:
    values = {setting_name(item): getattr(settings, item.name) for item in Settings.__dataclass_fields__.values()}
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in values.items()}


def test_the_page_shows_the_budget() -> None:
    page = (ROOT / "docs" / "performance.md").read_text()
    kinds = sorted({kind for calls in BUDGET.values() for kind in calls})
    for function, calls in BUDGET.items():
        cells = [str(calls.get(kind, "")) for kind in kinds]
        assert f"| {function} | {' | '.join(cells)} | {sum(calls.values())} |" in page
