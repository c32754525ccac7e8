"""Messages that the host gave up, on Azurite: each becomes something that an operator sees, once."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from shared import names
from shared.clock import utc_now
from shared.errors import TransientError
from shared.lifecycle.ledger import Versioned
from shared.lifecycle.poison import MESSAGE_FILE
from shared.lifecycle.records import VersionState
from shared.lifecycle.tuning import Split, State, Tuning
from tests.integration.azureml_support import Cloud
from tests.integration.lifecycle_harness import App, app_on

pytest_plugins = ("tests.integration.azureml_fixtures",)
pytestmark = pytest.mark.localcloud


@pytest.fixture
def app(azureml_cloud: Cloud) -> Iterator[App]:
    with app_on(azureml_cloud) as found:
        yield found


def put_tuning(app: App, tuning_id: str, **changes: object) -> Tuning:
    now = utc_now()
    tuning = Tuning(
        id=tuning_id,
        dataset=tuning_id,
        version="v1",
        fingerprint="a" * 64,
        state=State.DEPLOYING,
        created_at=now,
        state_since=now,
        wake_at=now,
        splits=(Split("train_sft", "e", 1, 1, "s"),),
    )
    tuning = replace(tuning, **changes)  # type: ignore[arg-type] # any field
    app.instance().lifecycle.ledger.put(Versioned(tuning, ""))
    return tuning


def tuning_of(app: App, tuning_id: str) -> Tuning:
    row = app.instance().lifecycle.ledger.tuning(tuning_id)
    assert row is not None
    return row.value


def messages(app: App, queue: str) -> list[str]:
    found = app.queues.get_queue_client(queue).peek_messages(32)
    return [base64.b64decode(message.content).decode() for message in found]


def about(tuning_id: str) -> bytes:
    return json.dumps({"tuning_id": tuning_id}).encode()


def test_a_tuning_whose_message_was_given_up_shows_it_and_is_looked_at_again(app: App) -> None:
    put_tuning(app, "poison-woken")
    app.instance().poison_messages.received(names.DEPLOYMENT_PROGRESS_QUEUE, about("poison-woken"))
    after = tuning_of(app, "poison-woken")
    assert (after.state, after.errors) == (State.DEPLOYING, 1)
    assert "given up" in after.last_error
    assert "looked at again" in after.history[-1].message
    assert app.waiting_messages() == 1


def test_a_tuning_whose_messages_are_always_given_up_fails_with_that_reason(app: App) -> None:
    put_tuning(app, "poison-always")
    for _ in range(5):
        app.instance().poison_messages.received(names.DEPLOYMENT_PROGRESS_QUEUE, about("poison-always"))
    after = tuning_of(app, "poison-always")
    assert (after.state, after.outcome) == (State.CLEANING_UP, State.FAILED)
    assert after.reason is not None
    assert "given up" in after.reason.message


def test_past_its_deadline_it_is_not_tried_more_than_once_again(app: App) -> None:
    put_tuning(app, "poison-late", state_since=utc_now() - timedelta(days=3))
    app.instance().poison_messages.received(names.DEPLOYMENT_PROGRESS_QUEUE, about("poison-late"))
    assert tuning_of(app, "poison-late").state is State.DEPLOYING
    app.instance().poison_messages.received(names.DEPLOYMENT_PROGRESS_QUEUE, about("poison-late"))
    after = tuning_of(app, "poison-late")
    assert after.reason is not None
    assert (after.outcome, after.reason.code) == (State.FAILED, "PoisonMessage")


@pytest.mark.parametrize("state", [State.LIVE, State.CLEANING_UP])
def test_what_serves_or_costs_is_never_given_up(app: App, state: State) -> None:
    tuning_id = f"poison-{state.replace('_', '-')}"
    put_tuning(app, tuning_id, state=state, outcome=State.FAILED if state is State.CLEANING_UP else None)
    for _ in range(7):
        app.instance().poison_messages.received(names.DEPLOYMENT_PROGRESS_QUEUE, about(tuning_id))
    after = tuning_of(app, tuning_id)
    assert after.state is state
    assert "given up" in after.last_error


def test_a_message_about_what_is_over_changes_nothing(app: App) -> None:
    ended = put_tuning(app, "poison-ended", state=State.FAILED)
    moved = put_tuning(app, "poison-moved")
    old = json.dumps({"tuning_id": moved.id, "due": (moved.wake_at - timedelta(hours=1)).isoformat()}).encode()
    app.instance().poison_messages.received(names.DEPLOYMENT_PROGRESS_QUEUE, about(ended.id))
    app.instance().poison_messages.received(names.DEPLOYMENT_PROGRESS_QUEUE, old)
    app.instance().poison_messages.received(names.SMOKE_TEST_QUEUE, about(moved.id))
    assert tuning_of(app, ended.id) == ended
    assert tuning_of(app, moved.id) == moved
    assert app.waiting_messages() == 0


def test_a_version_whose_message_was_given_up_is_tried_again_and_then_fails(app: App) -> None:
    app.upload_version("poison-version")
    app.instance().intake.version_changed("poison-version", "v1")
    body = json.dumps({"dataset": "poison-version", "version": "v1", "revision": 1}).encode()
    app.instance().poison_messages.received(names.DATASET_SETTLED_QUEUE, body)
    row = app.instance().lifecycle.ledger.version("poison-version", "v1")
    assert row is not None
    assert (row.value.state, row.value.errors) == (VersionState.COLLECTING, 1)
    for _ in range(5):
        app.instance().poison_messages.received(names.DATASET_SETTLED_QUEUE, body)
    (failed,) = app.tunings_of("poison-version")
    assert failed.state is State.FAILED
    assert "given up" in str(failed.reason)


def test_a_version_has_all_of_its_deadline_after_its_first_failure_however_late_that_is(app: App) -> None:
    app.upload_version("poison-version-late")
    app.instance().intake.version_changed("poison-version-late", "v1")
    ledger = app.instance().lifecycle.ledger
    row = ledger.version("poison-version-late", "v1")
    assert row is not None
    ledger.put(replace(row, value=replace(row.value, changed_at=utc_now() - timedelta(days=3))))
    body = json.dumps({"dataset": "poison-version-late", "version": "v1", "revision": 1}).encode()
    for errors in (1, 2):
        app.instance().poison_messages.received(names.DATASET_SETTLED_QUEUE, body)
        row = ledger.version("poison-version-late", "v1")
        assert row is not None
        assert (row.value.state, row.value.errors) == (VersionState.COLLECTING, errors)
    assert app.tunings_of("poison-version-late") == []
    ledger.put(replace(row, value=replace(row.value, failing_since=utc_now() - timedelta(days=3))))
    app.instance().poison_messages.received(names.DATASET_SETTLED_QUEUE, body)
    (failed,) = app.tunings_of("poison-version-late")
    assert failed.state is State.FAILED


def test_a_blob_event_that_was_given_up_is_looked_into_again(app: App) -> None:
    app.upload("poison-blob/v1/train_sft.jsonl", b"{}")
    message = {"FunctionId": "Host.Functions.dataset_uploaded", "ContainerName": names.DATASETS}
    body = json.dumps({**message, "BlobName": "poison-blob/v1/train_sft.jsonl"}).encode()
    app.instance().poison_messages.received(names.BLOB_TRIGGER_QUEUE, body)
    row = app.instance().lifecycle.ledger.version("poison-blob", "v1")
    assert row is not None
    assert row.value.state is VersionState.COLLECTING


@pytest.mark.parametrize(
    ("queue", "body"),
    [
        (names.DEPLOYMENT_PROGRESS_QUEUE, b""),
        (names.DEPLOYMENT_PROGRESS_QUEUE, b"\xff\xfe garbage"),
        (names.DEPLOYMENT_PROGRESS_QUEUE, b"[" * 100_000),
        (names.DEPLOYMENT_PROGRESS_QUEUE, b'{"tuning_id": "nobody"}'),
        (names.DEPLOYMENT_PROGRESS_QUEUE, b'{"tuning_id": "../../x\\u0000"}'),
        (names.SMOKE_TEST_QUEUE, b'{"tuning_id": {"a": 1}}'),
        (names.DATASET_SETTLED_QUEUE, b'{"dataset": "a/b?", "version": "v\\u0000#", "revision": 1}'),
        (names.DATASET_SETTLED_QUEUE, b'{"dataset": "nobodys", "version": "v1", "revision": 1}'),
        (names.BLOB_TRIGGER_QUEUE, b'{"ContainerName": "secrets", "BlobName": "x"}'),
        (names.BLOB_TRIGGER_QUEUE, b"null"),
    ],
)
def test_what_can_not_be_understood_is_kept_where_an_operator_finds_it_once(app: App, queue: str, body: bytes) -> None:
    services = app.instance()
    for _ in range(2):
        services.poison_messages.received(queue, body)
    tuning_id = f"poison-{names.digest(queue, body, length=8)}"
    kept = services.status.tuning(tuning_id)
    assert kept is not None
    assert kept["state"] == State.REJECTED
    assert kept["reason"]["code"] == "PoisonMessage"
    assert len(kept["history"]) == 1
    stored = services.lifecycle.blobs.read_snapshot(tuning_id, MESSAGE_FILE)
    assert stored == body[: 64 * 1024]
    assert app.waiting_messages() == 0


def test_while_the_ledger_can_not_be_reached_the_message_waits_and_its_tries_are_counted_anew(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = app.instance()

    def unreachable(_: str) -> None:
        raise TransientError("read tunings: HTTP 503")

    monkeypatch.setattr(services.lifecycle.ledger, "tuning", unreachable)
    monkeypatch.setattr("shared.lifecycle.poison.RETRY_SECONDS", 0)
    body = about("whoever")
    services.poison_messages.received(names.DEPLOYMENT_PROGRESS_QUEUE, body)
    assert messages(app, names.poison_queue(names.DEPLOYMENT_PROGRESS_QUEUE)) == [body.decode()]
