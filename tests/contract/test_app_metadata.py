"""What the Functions host needs of the app: it indexes, starts light, and declares what we mean."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAVY = ("azure.ai.ml", "pandas", "transformers", "torch", "numpy", "azure.monitor.querymetrics", "localcloud")

INDEX = """
import json, sys
sys.path.insert(0, {root!r})
import function_app
found = function_app.app.get_functions()
functions = {{f.get_function_name(): [json.loads(b) for b in f.get_raw_bindings()] for f in found}}
print(json.dumps({{"functions": functions, "modules": sorted(sys.modules)}}))
"""


def indexed() -> tuple[dict[str, list[dict[str, object]]], set[str]]:
    """Indexed in a fresh process without any app setting, as the host does it."""
    done = subprocess.run(
        [sys.executable, "-c", INDEX.format(root=str(ROOT))], capture_output=True, text=True, check=True, env={}
    )
    answer = json.loads(done.stdout)
    return answer["functions"], set(answer["modules"])


def test_importing_the_app_imports_nothing_heavy_and_reads_no_setting() -> None:
    _, modules = indexed()
    assert [name for name in HEAVY if name in modules] == []


def test_every_function_of_the_design_is_there_with_its_trigger() -> None:
    functions, _ = indexed()
    assert {name: bindings[0]["type"] for name, bindings in functions.items()} == {
        "dataset_uploaded": "blobTrigger",
        "dataset_settled": "queueTrigger",
        "job_completed": "eventGridTrigger",
        "deployment_progress": "queueTrigger",
        "smoke_test": "queueTrigger",
        "dataset_uploaded_poison": "queueTrigger",
        "dataset_settled_poison": "queueTrigger",
        "deployment_progress_poison": "queueTrigger",
        "smoke_test_poison": "queueTrigger",
        "idle_cleanup": "timerTrigger",
        "reconcile": "timerTrigger",
        "list_tunings": "httpTrigger",
        "get_tuning": "httpTrigger",
        "get_report": "httpTrigger",
        "get_smoke_test": "httpTrigger",
        "get_training_curve": "httpTrigger",
        "replay_tuning": "httpTrigger",
        "cancel_tuning": "httpTrigger",
        "list_endpoints": "httpTrigger",
        "idle_report": "httpTrigger",
        "dashboard": "httpTrigger",
        "dashboard_tuning": "httpTrigger",
        "dashboard_report": "httpTrigger",
        "dashboard_smoke": "httpTrigger",
        "dashboard_endpoints": "httpTrigger",
        "dashboard_money": "httpTrigger",
        "dashboard_asset": "httpTrigger",
        "dashboard_sign_in": "httpTrigger",
        "dashboard_act": "httpTrigger",
        "score": "httpTrigger",
        "wake_endpoint": "httpTrigger",
        "sleep_endpoint": "httpTrigger",
        "keep_endpoint": "httpTrigger",
        "costs": "httpTrigger",
        "allow_budget": "httpTrigger",
    }


def test_blob_events_come_by_event_grid_and_content_is_never_bound() -> None:
    functions, _ = indexed()
    (binding,) = functions["dataset_uploaded"]
    assert binding["source"] == "EventGrid"
    assert binding["path"] == "datasets/{name}"


SESSION_INSTEAD_OF_KEY = {
    "dashboard",
    "dashboard_tuning",
    "dashboard_report",
    "dashboard_smoke",
    "dashboard_endpoints",
    "dashboard_money",
    "dashboard_asset",
    "dashboard_act",
}
"""Browsers open these: a cookie that was given for a key opens them (tests/e2e/dashboard/test_security.py)."""


def test_every_http_function_but_the_pages_wants_a_function_key() -> None:
    functions, _ = indexed()
    http = {name: bindings[0] for name, bindings in functions.items() if bindings[0]["type"] == "httpTrigger"}
    assert {name for name, trigger in http.items() if trigger["authLevel"] != "FUNCTION"} == SESSION_INSTEAD_OF_KEY


def test_every_queue_of_the_app_has_a_function_for_what_the_host_gives_up() -> None:
    functions, _ = indexed()
    triggers = [bindings[0] for bindings in functions.values()]
    queues = {str(trigger["queueName"]) for trigger in triggers if trigger["type"] == "queueTrigger"}
    given_up = {f"{queue}-poison" for queue in queues if not queue.endswith("-poison")}
    assert {*given_up, "webjobs-blobtrigger-poison"} <= queues
