"""The main job on the local cloud: what arrives in `datasets` ends as a smoke-tested endpoint, or says why not."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import httpx
import pytest

from shared.names import TAG_KEEP
from tests.e2e.playground import Playground, wait_for, with_changes, with_smoke

pytestmark = [pytest.mark.localcloud, pytest.mark.training]


@pytest.fixture(scope="module")
def live(playground: Playground, small_dataset: Path) -> dict[str, object]:
    playground.upload(small_dataset, "chats")
    tuning = playground.until("chats", "live", "failed", "rolled_back", "rejected", deadline=180)
    endpoint = playground.arm.get_endpoint(tuning["endpoint"])
    assert endpoint is not None, tuning["reason"]
    playground.arm.set_endpoint_tags(endpoint.name, {**endpoint.tags, TAG_KEEP: "true"})
    return tuning


def test_a_dataset_becomes_a_live_smoke_tested_endpoint(playground: Playground, live: dict[str, object]) -> None:
    assert live["state"] == "live", live["reason"]
    (endpoint,) = [item for item in playground.client.endpoints() if item["name"] == live["endpoint"]]
    assert endpoint["traffic"] == {live["deployment"]: 100}
    key = playground.client.endpoint_key(endpoint["name"])
    assert isinstance(playground.client.ask(endpoint["scoring_uri"], key, "A table for two, please."), str)


def test_one_dataset_makes_one_job_one_model_version_one_deployment(
    playground: Playground, live: dict[str, object]
) -> None:
    for kind in ("jobs", "models", "endpoints", "deployments"):
        assert len(playground.of_dataset(kind, "chats")) == 1, kind
    (model,) = playground.of_dataset("models", "chats")
    assert model["uri"] == f"azureml://jobs/{live['job']}/outputs/trained_model"
    assert model["tags"]["droptune-tuning"] == live["id"]


def test_the_job_is_named_and_set_up_as_the_notebook_does_it(live: dict[str, object]) -> None:
    assert live["display_name"] == "Phi-3-tiny-local-chats-bs8-cosine-nods-nolora-save_limit1-seqlen-1"
    assert live["component"] == "azureml://registries/azureml/components/chat_completion_pipeline/versions/0.0.82"
    assert isinstance(live["dropped_parameters"], dict)
    assert "use_flash_attention" in live["dropped_parameters"]


def test_the_smoke_test_is_kept_with_the_tuning_and_appears_in_no_log(
    playground: Playground, live: dict[str, object]
) -> None:
    smoke = live["smoke_test"]
    assert isinstance(smoke, dict)
    assert smoke["passed"] is True
    assert len(smoke["samples"]) == 5
    log = playground.cloud.log_file("functions").read_text()
    for sample in smoke["samples"]:
        assert sample["answer"]["latency_seconds"] > 0
        assert sample["question"][-1]["content"] not in log
        assert sample["answer"]["text"] not in log


def test_the_validation_report_is_a_page_linked_from_the_tuning(
    playground: Playground, live: dict[str, object]
) -> None:
    answer = httpx.get(
        playground.cloud.config.functions_url + str(live["report_page"]),
        headers={"x-functions-key": playground.cloud.function_key()},
        trust_env=False,
    )
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert str(live["id"]) in answer.text
    assert answer.text.count("<svg") == 3


def test_every_state_change_is_published_as_a_lifecycle_event(playground: Playground, live: dict[str, object]) -> None:
    expected = {"preparing", "training", "registered", "deploying", "testing", "promoting", "live"}

    def published() -> bool | None:
        types = {
            str(event["eventType"]).removeprefix("droptune.tuning.")
            for event in playground.events()
            if event["subject"] == f"tunings/{live['id']}"
        }
        return True if expected <= types else None

    assert wait_for(published, 20, playground.events)


def test_the_same_content_again_is_the_same_tuning(
    playground: Playground, small_dataset: Path, live: dict[str, object]
) -> None:
    playground.upload(small_dataset, "chats")
    wait_for(lambda: True if not playground.client.tunings()["collecting"] else None, 30, playground.client.tunings)
    assert [item["id"] for item in playground.tunings_of("chats")] == [live["id"]]
    assert len(playground.of_dataset("jobs", "chats")) == 1


def test_a_newer_compressed_version_takes_over_and_the_old_deployment_goes(
    playground: Playground, small_dataset: Path, tmp_path: Path, live: dict[str, object]
) -> None:
    rows = (small_dataset / "train_sft.jsonl").read_bytes().splitlines(keepends=True)
    compressed = {"train_sft.jsonl": None, "train_sft.jsonl.gz": gzip.compress(b"".join(rows[:-1]))}
    playground.upload(with_changes(small_dataset, tmp_path / "v2", compressed), "chats", "v2")
    newer = playground.until("chats", "live", "failed", "rolled_back", version="v2", deadline=180)
    assert newer["state"] == "live", newer["reason"]
    assert newer["endpoint"] == live["endpoint"]
    playground.until("chats", "superseded")
    (endpoint,) = [item for item in playground.client.endpoints() if item["name"] == live["endpoint"]]
    assert endpoint["traffic"] == {newer["deployment"]: 100}
    standing = [item for item in playground.of_dataset("deployments", "chats") if item["state"] != "Deleted"]
    assert [item["name"] for item in standing] == [newer["deployment"]]


def test_a_version_that_fails_its_smoke_test_is_rolled_back_and_the_old_one_keeps_its_traffic(
    playground: Playground, small_dataset: Path, tmp_path: Path
) -> None:
    before = playground.until("chats", "live", version="v2")
    folder = with_smoke(small_dataset, tmp_path / "v3", {"must_contain": ["a phrase that no answer has"]})
    playground.upload(folder, "chats", "v3")
    failed = playground.until("chats", "rolled_back", "live", version="v3", deadline=180)
    assert failed["state"] == "rolled_back"
    assert failed["reason"]["code"] == "SmokeTestFailed"
    (endpoint,) = [item for item in playground.client.endpoints() if item["name"] == before["endpoint"]]
    assert endpoint["traffic"] == {before["deployment"]: 100}
    standing = [item for item in playground.of_dataset("deployments", "chats") if item["state"] != "Deleted"]
    assert [item["name"] for item in standing] == [before["deployment"]]


def test_an_endpoint_left_with_no_deployment_is_deleted_and_a_replay_makes_the_next_generation(
    playground: Playground, small_dataset: Path, tmp_path: Path
) -> None:
    folder = with_smoke(small_dataset, tmp_path / "picky", {"must_contain": ["a phrase that no answer has"]})
    playground.upload(folder, "picky")
    failed = playground.until("picky", "rolled_back", "live", deadline=180)
    assert failed["state"] == "rolled_back"
    assert [item["state"] for item in playground.of_dataset("endpoints", "picky")] == ["Deleted"]

    playground.client.replay(failed["id"])
    again = playground.until("picky", "rolled_back", deadline=180)
    wait_for(
        lambda: True if len(playground.of_dataset("deployments", "picky")) == 2 else None, 60, playground.client.tunings
    )
    again = playground.until("picky", "rolled_back", deadline=180)
    assert again["job"] == failed["job"]
    assert len(playground.of_dataset("jobs", "picky")) == 1
    first, second = sorted(playground.of_dataset("endpoints", "picky"), key=lambda item: item["created"])
    assert second["name"] == f"{first['name']}-g2"


def test_a_job_that_fails_ends_the_tuning_with_azure_mls_own_message(
    playground: Playground, small_dataset: Path, tmp_path: Path
) -> None:
    settings = json.dumps({"parameters": {"max_seq_length": 2}}).encode()
    playground.upload(with_changes(small_dataset, tmp_path / "short", {"tuning.json": settings}), "short")
    failed = playground.until("short", "failed", "live", deadline=120)
    assert failed["state"] == "failed"
    assert failed["reason"]["code"] == "JobFailed"
    assert len(failed["reason"]["message"]) > 20
    assert playground.of_dataset("endpoints", "short") == []
