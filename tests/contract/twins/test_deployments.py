"""Online deployments: on the twin and on the emulator over HTTP, with stand-in scoring servers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import pytest

from shared.azureml.arm import ArmClient
from shared.errors import PermanentError, TransientError
from tests.contract.twins.subject import Goes, Subject, deployed, deployment, settled

Models = Mapping[Goes, str]


def test_a_deployment_is_there_at_once_and_comes_up_later(cloud: Subject, endpoint: str, models: Models) -> None:
    model = models[Goes.WELL]
    cloud.arm.create_deployment(deployment(endpoint, "blue", model))
    creating = cloud.arm.get_deployment(endpoint, "blue")
    assert creating is not None
    assert (creating.provisioning_state, creating.busy) == ("Updating", True)
    above = cloud.arm.get_endpoint(endpoint)
    assert above is not None
    assert (above.provisioning_state, above.traffic) == ("Succeeded", {})
    settled(cloud, endpoint)
    created = cloud.arm.get_deployment(endpoint, "blue")
    assert created is not None
    assert (created.provisioning_state, created.name, created.endpoint) == ("Succeeded", "blue", endpoint)
    assert (created.model, created.tags) == (model, {"of": "blue"})
    assert (created.instance_type, created.instance_count) == ("Standard_NC24ads_A100_v4", 2)
    assert created.created_at == creating.created_at is not None
    assert cloud.arm.list_deployments(endpoint) == [created]
    assert cloud.arm.operation_error(created.operation_url) == ""
    assert cloud.arm.deployment_logs(endpoint, "blue", 10)


def test_a_deployment_that_fails_says_why_in_its_operation(cloud: Subject, endpoint: str, models: Models) -> None:
    failed = deployed(cloud, endpoint, "blue", models[Goes.UNLOADABLE], Goes.UNLOADABLE)
    assert (failed.provisioning_state, failed.busy) == ("Failed", False)
    reason = cloud.arm.operation_error(failed.operation_url)
    assert reason.startswith("ResourceNotReady: User container has crashed or terminated.")
    host = urlsplit(failed.operation_url).netloc
    assert cloud.arm.operation_error(failed.operation_url.replace(host, "example.com")) == ""


def test_a_deployment_that_failed_must_be_deleted_before_it_can_be_created_again(
    cloud: Subject, endpoint: str, models: Models
) -> None:
    deployed(cloud, endpoint, "blue", models[Goes.UNLOADABLE], Goes.UNLOADABLE)
    with pytest.raises(PermanentError, match=r"unrecoverable state\. Delete and re-create\.") as caught:
        cloud.arm.create_deployment(deployment(endpoint, "blue", models[Goes.WELL]))
    assert caught.value.code == "BadRequest"
    cloud.arm.delete_deployment(endpoint, "blue")
    cloud.until(lambda: cloud.arm.get_deployment(endpoint, "blue") is None)
    assert deployed(cloud, endpoint, "blue", models[Goes.WELL]).provisioning_state == "Succeeded"


def test_a_deployment_that_served_before_its_update_failed_can_be_updated_again(
    cloud: Subject, endpoint: str, models: Models
) -> None:
    deployed(cloud, endpoint, "blue", models[Goes.WELL])
    failed = deployed(cloud, endpoint, "blue", models[Goes.UNLOADABLE], Goes.UNLOADABLE)
    assert failed.provisioning_state == "Failed"
    assert deployed(cloud, endpoint, "blue", models[Goes.WELL]).provisioning_state == "Succeeded"


@pytest.mark.parametrize("url", ["", "https://example.com/operation", "no url", "/relative"])
def test_an_operation_elsewhere_is_not_asked(cloud: Subject, url: str) -> None:
    assert cloud.arm.operation_error(url) == ""


@pytest.mark.parametrize(
    "act",
    [
        lambda arm, name, model: arm.create_deployment(deployment(name, "blue", model)),
        lambda arm, name, model: arm.create_deployment(deployment(name, "green", model)),
        lambda arm, name, model: arm.delete_deployment(name, "blue"),
        lambda arm, name, model: arm.delete_endpoint(name),
        lambda arm, name, model: arm.create_endpoint(name, description="", tags={}),
        lambda arm, name, model: arm.set_traffic(arm.get_endpoint(name), {}),
        lambda arm, name, model: arm.set_endpoint_tags(name, {"a": "b"}),
    ],
)
def test_while_a_deployment_changes_its_whole_endpoint_says_later(
    cloud: Subject, endpoint: str, models: Models, act: Callable[[ArmClient, str, str], object]
) -> None:
    cloud.arm.create_deployment(deployment(endpoint, "blue", models[Goes.WELL]))
    with pytest.raises(TransientError, match="HTTP 409"):
        act(cloud.arm, endpoint, models[Goes.WELL])
    settled(cloud, endpoint)


def test_deleting_what_is_not_there_is_no_error_even_while_the_endpoint_is_busy(
    cloud: Subject, endpoint: str, models: Models
) -> None:
    cloud.arm.create_deployment(deployment(endpoint, "blue", models[Goes.WELL]))
    cloud.arm.delete_deployment(endpoint, "green")
    settled(cloud, endpoint)


def test_a_deployment_is_replaced_by_another_of_its_name(cloud: Subject, endpoint: str, models: Models) -> None:
    first = deployed(cloud, endpoint, "blue", models[Goes.WELL])
    request = deployment(endpoint, "blue", models[Goes.WELL], instance_count=3, tags={})
    cloud.arm.create_deployment(request)
    updating = cloud.arm.get_deployment(endpoint, "blue")
    assert updating is not None
    assert updating.provisioning_state == "Updating"
    settled(cloud, endpoint)
    second = cloud.arm.get_deployment(endpoint, "blue")
    assert second is not None
    assert (second.provisioning_state, second.instance_count, second.tags) == ("Succeeded", 3, {})
    assert second.created_at == first.created_at
    assert len(cloud.arm.list_deployments(endpoint)) == 1


@pytest.mark.parametrize("name", ["ab", "1abc", "abc-", "a_b", "x" * 33])
def test_a_name_that_no_deployment_can_have_is_refused(
    cloud: Subject, endpoint: str, models: Models, name: str
) -> None:
    with pytest.raises(PermanentError) as caught:
        cloud.arm.create_deployment(deployment(endpoint, name, models[Goes.WELL]))
    assert caught.value.code == "UserError"


def test_a_deployment_of_a_model_that_is_not_registered_is_refused(cloud: Subject, endpoint: str) -> None:
    model = f"{cloud.settings.workspace_id}/models/no-such-model/versions/1"
    with pytest.raises(PermanentError, match="not found") as caught:
        cloud.arm.create_deployment(deployment(endpoint, "blue", model))
    assert caught.value.code == "UserError"
    assert cloud.arm.list_deployments(endpoint) == []


def test_a_deployment_with_traffic_is_not_deleted(cloud: Subject, endpoint: str, models: Models) -> None:
    deployed(cloud, endpoint, "blue", models[Goes.WELL])
    cloud.arm.set_traffic(settled(cloud, endpoint), {"blue": 100})
    settled(cloud, endpoint)
    with pytest.raises(PermanentError, match="has traffic") as caught:
        cloud.arm.delete_deployment(endpoint, "blue")
    assert caught.value.code == "BadRequest"
    found = cloud.arm.get_deployment(endpoint, "blue")
    assert found is not None
    assert found.provisioning_state == "Succeeded"


def test_a_deployment_without_traffic_is_deleted_and_leaves_the_routes(
    cloud: Subject, endpoint: str, models: Models
) -> None:
    for name in ("blue", "green"):
        deployed(cloud, endpoint, name, models[Goes.WELL])
    cloud.arm.set_traffic(settled(cloud, endpoint), {"blue": 0, "green": 100})
    settled(cloud, endpoint)
    cloud.arm.delete_deployment(endpoint, "blue")
    deleting = cloud.arm.get_deployment(endpoint, "blue")
    assert deleting is not None
    assert (deleting.provisioning_state, deleting.busy) == ("Deleting", True)
    assert settled(cloud, endpoint).traffic == {"green": 100}
    assert [item.name for item in cloud.arm.list_deployments(endpoint)] == ["green"]
    cloud.arm.delete_deployment(endpoint, "blue")


def test_logs_of_a_deployment_that_is_not_there_are_an_error_for_good(cloud: Subject, endpoint: str) -> None:
    with pytest.raises(PermanentError, match="get logs of blue: ") as caught:
        cloud.arm.deployment_logs(endpoint, "blue", 10)
    assert caught.value.code == "UserError"
