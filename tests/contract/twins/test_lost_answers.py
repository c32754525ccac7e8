"""What the app sees when a write was done and its answer was lost: on the twins and through the unmodified SDKs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import pytest

from shared import names
from shared.errors import RaceLostError, TransientError
from shared.lifecycle.decide import CopyState
from shared.lifecycle.ledger import Versioned
from shared.lifecycle.queues import VersionMessage
from tests.contract.twins.subject import Goes, Subject, deployed, deployment, ended, gone, running, settled, trained
from tests.contract.twins.test_ledger import NOW, tuning
from tests.contract.twins.test_publishing import event

Fresh = Callable[[str], str]
Models = Mapping[Goes, str]


@pytest.fixture(autouse=True)
def _emptied(cloud: Subject) -> Iterator[None]:
    yield
    for name in names.QUEUES:
        for message in cloud.receive(name):
            cloud.finish(message)


def test_a_row_that_was_inserted_is_an_error_for_now(cloud: Subject, fresh: Fresh) -> None:
    row = tuning(fresh("t"))
    with cloud.losing_an_answer(), pytest.raises(TransientError) as caught:
        cloud.ledger.put(Versioned(row, ""))
    assert not isinstance(caught.value, RaceLostError)
    found = cloud.ledger.tuning(row.id)
    assert found is not None
    assert found.value == row


def test_a_row_that_was_replaced_is_a_lost_race_against_oneself(cloud: Subject, fresh: Fresh) -> None:
    before = cloud.ledger.put(Versioned(tuning(fresh("t")), ""))
    after = replace(before, value=before.value.waiting(NOW, 1))
    with cloud.losing_an_answer(), pytest.raises(RaceLostError):
        cloud.ledger.put(after)
    found = cloud.ledger.tuning(before.value.id)
    assert found is not None
    assert found.value == after.value


@pytest.mark.parametrize(
    ("send", "queue"),
    [
        (lambda wake_ups: wake_ups.tuning("t"), names.DEPLOYMENT_PROGRESS_QUEUE),
        (lambda wake_ups: wake_ups.smoke_test("t"), names.SMOKE_TEST_QUEUE),
        (lambda wake_ups: wake_ups.version(VersionMessage("d", "v", 1), 0), names.DATASET_SETTLED_QUEUE),
    ],
)
def test_a_wake_up_is_sent_twice(cloud: Subject, send: Callable[[object], None], queue: str) -> None:
    with cloud.losing_an_answer():
        send(cloud.wake_ups)
    assert len(cloud.receive(queue)) == 2


def test_blobs_are_written_and_copied_all_the_same(cloud: Subject, fresh: Fresh) -> None:
    name, id_ = f"{fresh('chats')}/v1/train_sft.jsonl", fresh("t")
    with cloud.losing_an_answer():
        cloud.blobs.write_report(id_, b"r")
    with cloud.losing_an_answer():
        cloud.blobs.write_snapshot(id_, "smoke.json", b"s")
    assert (cloud.blobs.read_report(id_), cloud.blobs.read_snapshot(id_, "smoke.json")) == (b"r", b"s")
    cloud.upload(names.DATASETS, name, b"first")
    seen = cloud.blobs.uploaded_file(name)
    assert seen is not None
    with cloud.losing_an_answer():
        cloud.blobs.begin_copy(name, seen.etag, id_, "train_sft.jsonl")
    assert cloud.blobs.copy_states(id_, ("train_sft.jsonl",)) == {"train_sft.jsonl": CopyState.DONE}


def test_a_job_is_submitted_once(cloud: Subject, fresh: Fresh) -> None:
    name = fresh("job")
    with cloud.losing_an_answer():
        cloud.sdk.submit_job(cloud.job(name))
    assert ended(cloud, name) == "Completed"
    statuses = [e.kind for e in cloud.events() if e.data.get("runId") == name]
    assert statuses.count("NotStarted") == 1


def test_a_model_is_registered_once(cloud: Subject, fresh: Fresh) -> None:
    name = fresh("model")
    identity = trained(cloud, name)
    with cloud.losing_an_answer():
        again = cloud.sdk.register_model(name=name, version="2", job=name, description="d", tags={})
    assert again == identity.replace("/versions/1", "/versions/2")
    assert [e.data["ModelVersion"] for e in cloud.events() if e.data.get("ModelName") == name] == ["1", "2"]


def test_a_job_that_was_canceled_is_an_error_for_now(cloud: Subject, fresh: Fresh) -> None:
    name = fresh("job")
    cloud.sdk.submit_job(cloud.job(name, Goes.ON))
    running(cloud, name)
    with cloud.losing_an_answer(), pytest.raises(TransientError) as caught:
        cloud.arm.cancel_job(name)
    assert not isinstance(caught.value, RaceLostError)
    assert ended(cloud, name) == "Canceled"


def test_an_endpoint_that_was_created_is_busy_with_its_own_creation(cloud: Subject, fresh: Fresh) -> None:
    name = fresh("endpoint")
    with cloud.losing_an_answer(), pytest.raises(TransientError, match="HTTP 409"):
        cloud.arm.create_endpoint(name, description="", tags={})
    assert settled(cloud, name).provisioning_state == "Succeeded"


def test_a_deployment_that_was_created_is_busy_with_its_own_creation(
    cloud: Subject, endpoint: str, models: Models
) -> None:
    cloud.expect_deployment(Goes.WELL)
    with cloud.losing_an_answer(), pytest.raises(TransientError, match="HTTP 409"):
        cloud.arm.create_deployment(deployment(endpoint, "blue", models[Goes.WELL]))
    settled(cloud, endpoint)
    assert [item.provisioning_state for item in cloud.arm.list_deployments(endpoint)] == ["Succeeded"]


def test_traffic_that_was_set_is_busy_with_itself(cloud: Subject, endpoint: str, models: Models) -> None:
    deployed(cloud, endpoint, "blue", models[Goes.WELL])
    seen = settled(cloud, endpoint)
    with cloud.losing_an_answer(), pytest.raises(TransientError, match="HTTP 409"):
        cloud.arm.set_traffic(seen, {"blue": 100})
    assert settled(cloud, endpoint).traffic == {"blue": 100}


def test_tags_that_were_set_are_an_error_for_now(cloud: Subject, endpoint: str) -> None:
    with cloud.losing_an_answer(), pytest.raises(TransientError):
        cloud.arm.set_endpoint_tags(endpoint, {"mark": "now"})
    assert settled(cloud, endpoint).tags["mark"] == "now"


def test_what_was_deleted_is_busy_with_its_own_deletion(cloud: Subject, endpoint: str, models: Models) -> None:
    deployed(cloud, endpoint, "blue", models[Goes.WELL])
    with cloud.losing_an_answer(), pytest.raises(TransientError, match="HTTP 409"):
        cloud.arm.delete_deployment(endpoint, "blue")
    settled(cloud, endpoint)
    assert cloud.arm.list_deployments(endpoint) == []
    with cloud.losing_an_answer(), pytest.raises(TransientError, match="HTTP 409"):
        cloud.arm.delete_endpoint(endpoint)
    gone(cloud, endpoint)


def test_events_that_were_published_are_an_error_and_there_once(cloud: Subject, fresh: Fresh) -> None:
    id_ = fresh("t")
    with cloud.losing_an_answer(), pytest.raises(Exception, match="Connection aborted"):
        cloud.publisher.send([event(id_, 1)])
    assert [found.id for found in cloud.events() if found.subject == f"tunings/{id_}"] == [f"{id_}:1"]
