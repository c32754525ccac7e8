"""What the twins can do and the local cloud can not: slow copies, failing and hanging operations."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from shared import names
from shared.azureml.resources import DeploymentRequest, JobRequest, OnlineEndpoint
from shared.blobs import BlobChangedError
from shared.errors import PermanentError, TransientError
from shared.idle.series import Series, Unavailable
from shared.lifecycle.decide import CopyState
from tests.simulation.twins.calm import Calm
from tests.simulation.twins.cloud import Clients, TwinCloud
from tests.simulation.twins.registry import MODEL, RegistryModel
from tests.simulation.twins.world import Fate, Happening, Outcome, Step, Trouble

WORKSPACE_ID = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"
HOUR = 3600.0


class Twins:
    def __init__(self) -> None:
        self.world = Calm()
        self.cloud = TwinCloud(self.world, WORKSPACE_ID)
        self.app = Clients(self.cloud, self.world)

    def run(self, name: str, fate: Fate) -> None:
        self.world.will(Happening.JOB, fate)
        component_id, _ = self.app.sdk.newest_component("chat_completion_pipeline")
        model = self.app.sdk.base_model(MODEL, "")
        self.app.sdk.submit_job(JobRequest(name, name, "e", component_id, model.id, {}, {}, {}))

    def status(self, job: str) -> str:
        found = self.app.arm.get_job(job)
        return found.status if found else ""

    def endpoint(self, name: str = "eee") -> OnlineEndpoint:
        found = self.app.arm.get_endpoint(name)
        assert found is not None
        return found

    def deploy(self, name: str, fate: Fate) -> None:
        """On the endpoint `eee`."""
        if "job" not in self.cloud.jobs.all:
            self.run("job", Fate())
        model = self.app.sdk.register_model(name="m", version="1", job="job", description="", tags={})
        self.world.will(Happening.CREATE_DEPLOYMENT, fate)
        self.app.arm.create_deployment(DeploymentRequest("eee", name, model, "Standard_NC6", 1, 90, 10))

    def state(self, deployment: str) -> str:
        found = self.app.arm.get_deployment("eee", deployment)
        return found.provisioning_state if found else ""


@pytest.fixture
def twins() -> Twins:
    return Twins()


@pytest.fixture
def served(twins: Twins) -> Twins:
    """With an endpoint `eee`, a deployment `blue` and all traffic on it."""
    twins.app.arm.create_endpoint("eee", description="", tags={})
    twins.world.advance(HOUR)
    twins.deploy("blue", Fate())
    twins.app.arm.set_traffic(twins.endpoint(), {"blue": 100})
    twins.world.advance(HOUR)
    return twins


def begin_copy(twins: Twins, fate: Fate) -> Callable[[], CopyState]:
    twins.world.will(Happening.COPY, fate)
    blob = twins.cloud.blobs.upload(names.DATASETS, "d/v/f", b"first")
    twins.app.blobs.begin_copy("d/v/f", blob.etag, "t", "f")
    return lambda: twins.app.blobs.copy_states("t", ("f",))["f"]


def test_a_slow_copy_is_pending_until_it_is_done(twins: Twins) -> None:
    state = begin_copy(twins, Fate(seconds=60))
    assert state() is CopyState.PENDING
    etag = twins.cloud.blobs.all(names.DATASETS)[0][1].etag
    twins.app.blobs.begin_copy("d/v/f", etag, "t", "f")
    assert state() is CopyState.PENDING
    twins.world.advance(60)
    assert state() is CopyState.DONE
    assert twins.app.blobs.read_snapshot("t", "f") == b"first"


def test_a_copy_fails_if_its_source_changes_before_it_is_done(twins: Twins) -> None:
    state = begin_copy(twins, Fate(seconds=60))
    twins.cloud.blobs.upload(names.DATASETS, "d/v/f", b"second")
    twins.world.advance(60)
    assert state() is CopyState.ABSENT


@pytest.mark.parametrize("seconds", [0, 60])
def test_a_copy_that_fails_is_as_if_it_had_never_been(twins: Twins, seconds: float) -> None:
    state = begin_copy(twins, Fate(Outcome.FAIL, seconds))
    twins.world.advance(60)
    assert state() is CopyState.ABSENT


def test_a_copy_that_hangs_is_pending_for_ever(twins: Twins) -> None:
    state = begin_copy(twins, Fate(Outcome.HANG))
    twins.world.advance(1000 * HOUR)
    assert state() is CopyState.PENDING


def test_an_overwritten_source_is_not_copied(twins: Twins) -> None:
    blob = twins.cloud.blobs.upload(names.DATASETS, "d/v/f", b"first")
    twins.cloud.blobs.upload(names.DATASETS, "d/v/f", b"second")
    with pytest.raises(BlobChangedError):
        twins.app.blobs.begin_copy("d/v/f", blob.etag, "t", "f")


def test_a_job_may_be_over_before_its_submission_returns(twins: Twins) -> None:
    twins.run("good", Fate())
    twins.run("bad", Fate(Outcome.FAIL, reason="no data"))
    assert (twins.status("good"), twins.status("bad")) == ("Completed", "Failed")
    found = twins.app.arm.get_job("bad")
    assert found is not None
    assert found.error == "no data"


def test_a_job_fails_in_the_last_step_that_it_was_given(twins: Twins) -> None:
    twins.run("bad", Fate(Outcome.FAIL, 100, steps=(Step("one", 0.1), Step("two", 0.1))))
    twins.world.advance(100)
    assert [(run.name, run.status) for run in twins.cloud.jobs.all["bad"].children] == [
        ("one", "Completed"),
        ("two", "Failed"),
    ]


def test_a_job_that_hangs_runs_until_it_is_canceled(twins: Twins) -> None:
    twins.run("stuck", Fate(Outcome.HANG))
    twins.world.advance(1000 * HOUR)
    assert twins.status("stuck") == "Running"
    twins.app.arm.cancel_job("stuck")
    assert twins.status("stuck") == "CancelRequested"
    twins.app.arm.cancel_job("stuck")
    twins.world.advance(HOUR)
    assert twins.status("stuck") == "Canceled"


def test_a_job_that_hangs_may_be_given_up_by_the_service(twins: Twins) -> None:
    twins.run("stuck", Fate(Outcome.HANG, 10 * HOUR, reason="timed out"))
    twins.world.advance(9 * HOUR)
    assert twins.status("stuck") == "Running"
    twins.world.advance(HOUR)
    assert twins.status("stuck") == "Failed"


def test_a_job_that_was_canceled_does_not_complete_after_all(twins: Twins) -> None:
    twins.run("long", Fate(seconds=HOUR))
    twins.world.will(Happening.CANCEL, Fate(seconds=2 * HOUR))
    twins.world.advance(HOUR - 60)
    twins.app.arm.cancel_job("long")
    twins.world.advance(HOUR)
    assert twins.status("long") == "CancelRequested"
    twins.world.advance(2 * HOUR)
    assert twins.status("long") == "Canceled"


def test_a_base_model_that_is_archived_is_refused(twins: Twins) -> None:
    twins.cloud.registry.models.append(RegistryModel(MODEL, "14", archived=True))
    with pytest.raises(PermanentError, match="BaseModelArchived"):
        twins.app.sdk.base_model(MODEL, "")


def test_an_endpoint_may_be_there_before_its_creation_returns(twins: Twins) -> None:
    twins.world.will(Happening.CREATE_ENDPOINT, Fate())
    twins.app.arm.create_endpoint("eee", description="", tags={})
    assert twins.endpoint().provisioning_state == "Succeeded"


def test_an_endpoint_whose_creation_failed_says_why(twins: Twins) -> None:
    twins.world.will(Happening.CREATE_ENDPOINT, Fate(Outcome.FAIL, 60, "BadRequest", "no quota"))
    twins.app.arm.create_endpoint("eee", description="", tags={})
    twins.world.advance(60)
    failed = twins.endpoint()
    assert failed.provisioning_state == "Failed"
    assert twins.app.arm.operation_error(failed.operation_url) == "BadRequest: no quota"


def test_traffic_is_what_it_was_when_its_change_fails(served: Twins) -> None:
    served.world.will(Happening.UPDATE_ENDPOINT, Fate(Outcome.FAIL, 60, "InternalServerError", "try again"))
    served.app.arm.set_traffic(served.endpoint(), {})
    assert served.endpoint().traffic == {}
    served.world.advance(60)
    assert (served.endpoint().provisioning_state, served.endpoint().traffic) == ("Failed", {"blue": 100})


def test_a_deletion_that_fails_leaves_everything_where_it_was(served: Twins) -> None:
    served.world.will(Happening.DELETE_ENDPOINT, Fate(Outcome.FAIL, 60, "Conflict", "not now"))
    served.app.arm.delete_endpoint("eee")
    assert served.state("blue") == "Deleting"
    served.world.advance(60)
    assert (served.endpoint().provisioning_state, served.state("blue")) == ("Failed", "Succeeded")
    served.app.arm.delete_endpoint("eee")
    served.world.advance(HOUR)
    assert served.app.arm.get_endpoint("eee") is None


@pytest.mark.parametrize(("seconds", "state"), [(0, "Updating"), (2 * HOUR, "Failed")])
def test_a_deployment_that_hangs_is_updating_until_the_service_gives_up(
    served: Twins, seconds: float, state: str
) -> None:
    served.deploy("green", Fate(Outcome.HANG, seconds, "OperationTimeOut", "it took too long"))
    served.world.advance(HOUR)
    assert served.state("green") == "Updating"
    with pytest.raises(TransientError):
        served.app.arm.delete_deployment("eee", "green")
    served.world.advance(10 * HOUR)
    assert served.state("green") == state


def test_the_name_of_a_deleted_endpoint_is_taken_for_as_long_as_the_world_says(served: Twins) -> None:
    served.world.will(Happening.FORGET_NAME, Fate(seconds=2 * HOUR))
    served.app.arm.delete_endpoint("eee")
    served.world.advance(120 + 2 * HOUR - 1)
    with pytest.raises(PermanentError, match="NotFound"):
        served.app.arm.create_endpoint("eee", description="again", tags={})
    served.world.advance(1)
    served.app.arm.create_endpoint("eee", description="again", tags={})
    assert served.endpoint().description == "again"


def test_an_endpoint_that_failed_takes_no_deployment(twins: Twins) -> None:
    twins.world.will(Happening.CREATE_ENDPOINT, Fate(Outcome.FAIL, 60, "BadRequest", "no quota"))
    twins.app.arm.create_endpoint("eee", description="", tags={})
    twins.world.advance(60)
    with pytest.raises(PermanentError, match=r"BadRequest: .*has not been created successfully"):
        twins.deploy("blue", Fate())


def test_the_cloud_remembers_how_long_everything_lived(served: Twins) -> None:
    begun = served.world.now()
    served.deploy("green", Fate(Outcome.FAIL, 60))
    served.world.advance(HOUR)
    served.app.arm.delete_endpoint("eee")
    served.world.advance(HOUR)
    lives = {(life.kind, life.name): life for life in served.cloud.endpoints.lifetimes}
    assert set(lives) == {("endpoint", "eee"), ("deployment", "blue"), ("deployment", "green")}
    green = lives["deployment", "green"]
    assert green.begun == begun
    assert green.ended == begun + timedelta(seconds=HOUR + 120)
    assert {life.ended for life in lives.values()} == {green.ended}


def test_an_answer_that_takes_longer_than_the_caller_waits_never_comes(served: Twins) -> None:
    key = served.app.arm.endpoint_key("eee")
    served.world.will(Happening.SCORE, Fate(seconds=70))
    answer = served.app.scoring.score(
        served.endpoint().scoring_uri, key, "blue", [{"role": "user", "content": "?"}], timeout=65
    )
    assert (answer.status, answer.latency_seconds) == (0, 65)


def test_an_endpoint_that_monitor_forgets_to_mention_is_unavailable_alone(served: Twins) -> None:
    served.app.arm.create_endpoint("fff", description="", tags={})
    served.world.monitor = Trouble(unmentioned=frozenset({"fff"}))
    ids = [f"{WORKSPACE_ID}/onlineEndpoints/{name}" for name in ("eee", "fff")]
    end = served.world.now()
    answer = served.app.metrics.requests_per_minute(ids, end - timedelta(minutes=3), end)
    assert [type(answer[item]) for item in ids] == [Series, Unavailable]
