"""Online endpoints: on the twin and on the emulator over HTTP."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import pytest

from shared.azureml.arm import ArmClient
from shared.errors import PermanentError, RaceLostError, TransientError
from tests.contract.twins.subject import Goes, Subject, deployed, deployment, gone, once_its_name_is_free, settled

Fresh = Callable[[str], str]
Models = Mapping[Goes, str]


def test_an_endpoint_that_was_never_created_is_nowhere(cloud: Subject, fresh: Fresh) -> None:
    name = fresh("nothing")
    assert cloud.arm.get_endpoint(name) is None
    assert cloud.arm.list_deployments(name) == []
    assert cloud.arm.get_deployment(name, "blue") is None
    assert name not in [endpoint.name for endpoint in cloud.arm.list_endpoints()]
    cloud.arm.delete_endpoint(name)
    cloud.arm.delete_deployment(name, "blue")


@pytest.mark.parametrize(
    "act",
    [
        lambda arm, name, model: arm.endpoint_key(name),
        lambda arm, name, model: arm.set_endpoint_tags(name, {"a": "b"}),
        lambda arm, name, model: arm.create_deployment(deployment(name, "blue", model)),
        lambda arm, name, model: arm.deployment_logs(name, "blue", 10),
    ],
)
def test_what_can_not_be_done_without_an_endpoint_is_an_error_for_good(
    cloud: Subject, fresh: Fresh, models: Models, act: Callable[[ArmClient, str, str], object]
) -> None:
    with pytest.raises(PermanentError, match="not found") as caught:
        act(cloud.arm, fresh("nothing"), models[Goes.WELL])
    assert caught.value.code == "UserError"


def test_an_endpoint_is_there_at_once_and_can_be_used_later(cloud: Subject, fresh: Fresh) -> None:
    name = fresh("endpoint")
    cloud.arm.create_endpoint(name, description="of this test", tags={"owner": "me"})
    creating = cloud.arm.get_endpoint(name)
    assert creating is not None
    assert (creating.provisioning_state, creating.busy, creating.scoring_uri) == ("Creating", True, "")
    created = settled(cloud, name)
    assert (created.provisioning_state, created.busy, created.name) == ("Succeeded", False, name)
    assert created.id.lower() == f"{cloud.settings.workspace_id}/onlineEndpoints/{name}".lower()
    assert (created.traffic, created.tags, created.description) == ({}, {"owner": "me"}, "of this test")
    assert (created.auth_mode, created.location) == ("Key", cloud.settings.azure_location)
    assert created.scoring_uri.startswith("https://")
    assert created.created_at == creating.created_at is not None
    assert created in cloud.arm.list_endpoints()
    assert cloud.arm.list_deployments(name) == []
    assert cloud.arm.endpoint_key(name) == cloud.arm.endpoint_key(name) != ""


def _deploy(arm: ArmClient, name: str, model: str) -> None:
    arm.create_deployment(deployment(name, "blue", model))


@pytest.mark.parametrize(
    ("act", "busy_with"),
    [
        (act, busy_with)
        for act in (
            lambda arm, name, model: arm.create_endpoint(name, description="", tags={}),
            lambda arm, name, model: arm.set_traffic(arm.get_endpoint(name), {}),
            lambda arm, name, model: arm.set_endpoint_tags(name, {"a": "b"}),
            lambda arm, name, model: arm.delete_endpoint(name),
            _deploy,
        )
        for busy_with in ("creation", "update", "deletion")
        if (act, busy_with) != (_deploy, "deletion")
    ],
)
def test_an_endpoint_that_is_busy_says_later(
    cloud: Subject, fresh: Fresh, models: Models, act: Callable[[ArmClient, str, str], object], busy_with: str
) -> None:
    name = fresh("busy")
    cloud.arm.create_endpoint(name, description="", tags={})
    if busy_with != "creation":
        settled(cloud, name)
    if busy_with == "update":
        cloud.arm.create_endpoint(name, description="", tags={})
    if busy_with == "deletion":
        cloud.arm.delete_endpoint(name)
    with pytest.raises(TransientError, match="HTTP 409") as caught:
        act(cloud.arm, name, models[Goes.WELL])
    assert not isinstance(caught.value, RaceLostError)
    assert caught.value.retry_after == 15


def test_an_endpoint_that_is_being_deleted_refuses_a_deployment_for_good(
    cloud: Subject, endpoint: str, models: Models
) -> None:
    cloud.arm.delete_endpoint(endpoint)
    with pytest.raises(PermanentError, match="in deleting provisioning state") as caught:
        cloud.arm.create_deployment(deployment(endpoint, "blue", models[Goes.WELL]))
    assert caught.value.code == "BadRequest"


@pytest.mark.parametrize("name", ["ab", "1abc", "abc-", "a_b", "x" * 33])
def test_a_name_that_no_endpoint_can_have_is_refused(cloud: Subject, name: str) -> None:
    with pytest.raises(PermanentError) as caught:
        cloud.arm.create_endpoint(name, description="", tags={})
    assert caught.value.code == "UserError"


def test_creating_an_endpoint_again_replaces_its_tags_and_takes_its_traffic(
    cloud: Subject, endpoint: str, models: Models
) -> None:
    deployed(cloud, endpoint, "blue", models[Goes.WELL])
    cloud.arm.set_traffic(settled(cloud, endpoint), {"blue": 100})
    before = settled(cloud, endpoint)
    assert before.traffic == {"blue": 100}
    key = cloud.arm.endpoint_key(endpoint)
    cloud.arm.create_endpoint(endpoint, description="again", tags={"second": "s"})
    updating = cloud.arm.get_endpoint(endpoint)
    assert updating is not None
    assert updating.provisioning_state == "Updating"
    after = settled(cloud, endpoint)
    assert (after.provisioning_state, after.traffic) == ("Succeeded", {})
    assert (after.tags, after.description) == ({"second": "s"}, "again")
    assert after.created_at == before.created_at
    assert cloud.arm.endpoint_key(endpoint) == key
    assert [item.name for item in cloud.arm.list_deployments(endpoint)] == ["blue"]


def test_traffic_is_replaced_as_a_whole_and_nothing_else_is(cloud: Subject, endpoint: str, models: Models) -> None:
    for name in ("blue", "green"):
        deployed(cloud, endpoint, name, models[Goes.WELL])
    seen = settled(cloud, endpoint)
    cloud.arm.set_traffic(seen, {"blue": 90, "green": 10})
    updating = cloud.arm.get_endpoint(endpoint)
    assert updating is not None
    assert (updating.provisioning_state, updating.traffic) == ("Updating", {"blue": 90, "green": 10})
    assert updating.scoring_uri == seen.scoring_uri
    cloud.arm.set_traffic(settled(cloud, endpoint), {"green": 100})
    after = settled(cloud, endpoint)
    assert (after.provisioning_state, after.traffic) == ("Succeeded", {"green": 100})
    assert (after.tags, after.description) == (seen.tags, seen.description)
    cloud.arm.set_traffic(after, {})
    assert settled(cloud, endpoint).traffic == {}


@pytest.mark.parametrize("traffic", [{"nothing": 100}, {"nothing": 0}, {"blue": 50}, {"blue": 101}, {"blue": -1}])
def test_impossible_traffic_is_refused_and_nothing_changes(
    cloud: Subject, served: str, traffic: dict[str, int]
) -> None:
    before = settled(cloud, served)
    refusal = f'set traffic of {served}: The request is invalid. {{"errors":{{"Traffic":["Traffic '
    with pytest.raises(PermanentError, match=re.escape(refusal)) as caught:
        cloud.arm.set_traffic(before, traffic)
    assert caught.value.code == "BadRequest"
    assert cloud.arm.get_endpoint(served) == before


@pytest.fixture(scope="module")
def served(cloud: Subject, models: Models) -> str:
    """An endpoint with a deployment `blue`, which no test changes."""
    cloud.arm.create_endpoint("unchanged", description="", tags={})
    settled(cloud, "unchanged")
    deployed(cloud, "unchanged", "blue", models[Goes.WELL])
    return "unchanged"


def test_traffic_for_nobody_set_on_an_endpoint_that_is_gone_makes_a_new_one(cloud: Subject, endpoint: str) -> None:
    seen = settled(cloud, endpoint)
    cloud.arm.delete_endpoint(endpoint)
    gone(cloud, endpoint)
    for names_a_deployment in ({"blue": 100}, {"blue": 0}):
        with pytest.raises(PermanentError, match="Traffic names deployments that do not exist: blue"):
            cloud.arm.set_traffic(seen, names_a_deployment)
    assert cloud.arm.get_endpoint(endpoint) is None
    once_its_name_is_free(cloud, lambda: cloud.arm.set_traffic(seen, {}))
    assert settled(cloud, endpoint).tags == seen.tags


def test_tags_are_changed_at_once_and_those_not_named_stay(cloud: Subject, endpoint: str) -> None:
    before = settled(cloud, endpoint)
    cloud.arm.set_endpoint_tags(endpoint, {"mark": "now"})
    after = cloud.arm.get_endpoint(endpoint)
    assert after is not None
    assert after.tags == {"owner": "me", "mark": "now"}
    assert (after.provisioning_state, after.created_at) == ("Succeeded", before.created_at)
    cloud.arm.set_endpoint_tags(endpoint, {"mark": ""})
    again = cloud.arm.get_endpoint(endpoint)
    assert again is not None
    assert again.tags == {"owner": "me", "mark": ""}


def test_an_endpoint_is_deleted_with_its_deployments(cloud: Subject, endpoint: str, models: Models) -> None:
    deployed(cloud, endpoint, "blue", models[Goes.WELL])
    cloud.arm.set_traffic(settled(cloud, endpoint), {"blue": 100})
    settled(cloud, endpoint)
    cloud.arm.delete_endpoint(endpoint)
    deleting = cloud.arm.get_endpoint(endpoint)
    assert deleting is not None
    assert (deleting.provisioning_state, deleting.busy) == ("Deleting", True)
    assert [item.provisioning_state for item in cloud.arm.list_deployments(endpoint)] == ["Deleting"]
    gone(cloud, endpoint)
    assert cloud.arm.list_deployments(endpoint) == []
    assert cloud.arm.get_deployment(endpoint, "blue") is None
    assert endpoint not in [found.name for found in cloud.arm.list_endpoints()]
    cloud.arm.delete_endpoint(endpoint)


def test_the_name_of_a_deleted_endpoint_is_free_only_later_and_then_for_a_new_one(
    cloud: Subject, endpoint: str, models: Models
) -> None:
    deployed(cloud, endpoint, "blue", models[Goes.WELL])
    key = cloud.arm.endpoint_key(endpoint)
    cloud.arm.delete_endpoint(endpoint)
    gone(cloud, endpoint)
    once_its_name_is_free(cloud, lambda: cloud.arm.create_endpoint(endpoint, description="", tags={}))
    assert settled(cloud, endpoint).traffic == {}
    assert cloud.arm.list_deployments(endpoint) == []
    assert cloud.arm.endpoint_key(endpoint) != key


def test_a_name_that_another_workspace_has_is_refused_for_good_and_is_not_seen_here(
    cloud: Subject, fresh: Fresh
) -> None:
    name = fresh("popular")
    cloud.take_name(name)
    with pytest.raises(PermanentError, match="There is already an endpoint with this name") as refused:
        cloud.arm.create_endpoint(name, description="", tags={})
    assert refused.value.code == "BadRequest"
    assert cloud.arm.get_endpoint(name) is None
