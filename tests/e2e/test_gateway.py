"""The dataset's stable address: live, asleep, woken by callers, put to sleep and kept by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.playground import Playground, running, wait_for
from tests.e2e.stub_cloud import small_dataset, stub_topology

pytestmark = [pytest.mark.localcloud, pytest.mark.xdist_group("gateway")]

QUESTION = {"input_data": {"input_string": [{"role": "user", "content": "Hello?"}], "parameters": {}}}


@pytest.fixture(scope="module")
def awake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playground]:
    """With one dataset that is live."""
    folder = tmp_path_factory.mktemp("gateway")
    with running(stub_topology(folder / "cloud")) as found:
        found.upload(small_dataset(folder / "dataset"), "chats")
        found.until("chats", "live", deadline=120)
        yield found


def post(playground: Playground, path: str, **more: Any) -> httpx.Response:
    headers = {"x-functions-key": playground.cloud.function_key(), **more.pop("headers", {})}
    return httpx.post(
        f"{playground.cloud.config.functions_url}/api/{path}",
        headers=headers,
        timeout=240,
        **more,
    )


def test_a_call_is_answered_by_the_endpoint_that_is_live(awake: Playground) -> None:
    answer = post(awake, "score/chats", json=QUESTION, headers={"azureml-model-deployment": "nobody"})
    assert answer.status_code == 200, answer.text
    assert "output" in answer.json()
    assert not [name for name in answer.headers if name.startswith("azureml-")]
    assert answer.headers["x-request-id"]


def test_nobody_calls_without_a_key_and_nobody_unknown_is_woken(awake: Playground) -> None:
    url = f"{awake.cloud.config.functions_url}/api/score/chats"
    assert httpx.post(url, json=QUESTION).status_code == 401
    assert post(awake, "score/nobodys", json=QUESTION).status_code == 404
    assert post(awake, "score/..%2Fchats", json=QUESTION).status_code == 404
    assert post(awake, "endpoints/nobodys/wake").status_code == 404
    assert post(awake, "endpoints/nobodys/sleep").status_code == 409


def test_what_is_kept_is_put_to_sleep_only_by_force(awake: Playground) -> None:
    assert post(awake, "endpoints/chats/keep?until=soon").status_code == 400
    assert post(awake, "endpoints/chats/keep?until=2099-12-24").json()["keep"] == "2099-12-24"
    assert post(awake, "endpoints/chats/sleep").json()["error"]["code"] == "Kept"
    assert post(awake, "endpoints/chats/keep?off=true").json()["keep"] == "false"
    assert awake.tunings_of("chats")[0]["state"] == "live"


def test_many_callers_wake_a_sleeping_endpoint_once_and_are_answered(awake: Playground) -> None:
    assert post(awake, "endpoints/chats/sleep").status_code == 202
    awake.until("chats", "retired", deadline=60)

    refused = post(awake, "score/chats", json=QUESTION)
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) >= 5
    assert refused.json()["error"]["code"] == "Waking"
    with ThreadPoolExecutor(10) as callers:
        answers = list(
            callers.map(lambda _: post(awake, "score/chats", json=QUESTION, headers={"Prefer": "wait=100"}), range(10))
        )
    assert {answer.status_code for answer in answers} == {200}, [answer.text for answer in answers]
    assert {answer.headers["preference-applied"] for answer in answers} == {"wait=100"}

    [summary] = awake.tunings_of("chats")
    tuning = awake.client.tuning(summary["id"])
    woken = [entry["message"] for entry in tuning["history"] if entry["message"].startswith("woken")]
    assert woken == ["woken by a call through the gateway: new deployment"]
    assert tuning["endpoint"].endswith("-g2")
    assert len(awake.of_dataset("jobs", "chats")) == 1, "nothing was trained again"
    assert len(awake.of_dataset("models", "chats")) == 1


def test_a_rotated_key_and_an_endpoint_deleted_by_hand_are_noticed(awake: Playground) -> None:
    assert post(awake, "score/chats", json=QUESTION).status_code == 200
    awake.arm.delete_endpoint(awake.tunings_of("chats")[0]["endpoint"])

    def woken() -> httpx.Response | None:
        answer = post(awake, "score/chats", json=QUESTION)
        return answer if answer.status_code == 200 else None

    wait_for(woken, 60, lambda: post(awake, "score/chats", json=QUESTION).text)
    assert awake.tunings_of("chats")[0]["endpoint"].endswith("-g3")


def test_calls_are_noted_as_use(awake: Playground) -> None:
    from azure.data.tables import TableServiceClient

    with TableServiceClient.from_connection_string(
        awake.cloud.storage_connection_string(), connection_verify=str(awake.cloud.config.ca_file)
    ) as service:
        [row] = list(service.get_table_client("usage").list_entities())
    assert json.loads(row["body0"])["dataset"] == "chats"


def test_keys_and_addresses_are_in_no_log(awake: Playground, tmp_path: Path) -> None:
    endpoint = awake.tunings_of("chats")[0]["endpoint"]
    key = awake.arm.endpoint_key(endpoint)
    logs = [path for path in Path(awake.cloud.config.state_dir).rglob("*.log") if "functions" in path.name]
    assert logs
    for log in logs:
        text = log.read_text(errors="replace")
        assert key not in text
        assert "Hello?" not in text
