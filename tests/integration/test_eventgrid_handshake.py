"""An endpoint gets nothing before it has shown that it wants events, in any of the four ways that Azure knows."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from localcloud.config import WORKSPACE_ID
from tests.integration.eventgrid_harness import Webhook, new_config, running, subscription, until, webhook

if TYPE_CHECKING:
    from pathlib import Path

    from localcloud.config import CloudConfig
    from localcloud.eventgrid import EventGrid

pytestmark = pytest.mark.localcloud

SCHEMAS = ["EventGridSchema", "CloudEventSchemaV1_0"]


def send(grid: EventGrid) -> None:
    grid.publish(WORKSPACE_ID, "Microsoft.MachineLearningServices.RunCompleted", "experiments/e/runs/r", {})


def http(config: CloudConfig) -> httpx.Client:
    return httpx.Client(
        base_url=config.azure_url, verify=ssl.create_default_context(cafile=str(config.ca_file)), trust_env=False
    )


def listed(config: CloudConfig) -> dict[str, Any]:
    with http(config) as client:
        [found] = client.get("/_localcloud/events/subscriptions").raise_for_status().json()
    subscription: dict[str, Any] = found
    return subscription


def validation_url(hook: Webhook) -> str:
    """Where the last handshake says that the endpoint's owner can agree."""
    last = hook.handshakes[-1]
    url = last.headers.get("webhook-request-callback") or last.event["data"]["validationUrl"]
    return str(url)


def test_the_validation_event_has_the_form_of_azure(tmp_path: Path) -> None:
    with webhook() as hook, running(new_config(tmp_path, subscription(hook)), serve=True):
        until(lambda: len(hook.handshakes) == 1, "no handshake")

    [handshake] = hook.handshakes
    assert handshake.method == "POST"
    assert handshake.headers["aeg-event-type"] == "SubscriptionValidation"
    assert handshake.headers["aeg-subscription-name"] == "SUB"
    [event] = handshake.body
    assert event["eventType"] == "Microsoft.EventGrid.SubscriptionValidationEvent"
    assert (event["topic"], event["subject"], event["metadataVersion"], event["dataVersion"]) == (
        *(WORKSPACE_ID, ""),
        *("1", "2"),
    )
    assert event["data"].keys() == {"validationCode", "validationUrl"}


def test_the_options_request_has_the_headers_of_abuse_protection(tmp_path: Path) -> None:
    with webhook() as hook:
        config = new_config(tmp_path, subscription(hook, schema=SCHEMAS[1]))
        with running(config, serve=True):
            until(lambda: listed(config)["provisioningState"] == "Succeeded", "not validated")

    [handshake] = hook.handshakes
    assert handshake.method == "OPTIONS"
    assert handshake.headers["webhook-request-origin"] == "eventgrid.azure.net"
    assert handshake.headers["webhook-request-rate"] == "120"
    assert handshake.headers["webhook-request-callback"].startswith(f"{config.azure_url}/eventgrid/eventsubscriptions/")


@pytest.mark.parametrize("schema", SCHEMAS)
def test_an_endpoint_that_refuses_gets_nothing_and_the_subscription_says_why(tmp_path: Path, schema: str) -> None:
    with webhook(willing=False) as hook:
        hook.url += "?code=secret"
        config = new_config(tmp_path, subscription(hook, schema=schema))
        with running(config, serve=True) as grid:
            send(grid)
            until(lambda: len(hook.handshakes) >= 2, "no second handshake")
            assert hook.notifications == []
            found = listed(config)
            assert found["provisioningState"] == "Failed"
            assert "HTTP 40" in found["reason"]
            assert "secret" not in str(found)

            hook.willing = True
            until(lambda: len(hook.notifications) == 1, "no notification")
            assert (listed(config)["provisioningState"], listed(config)["reason"]) == ("Succeeded", "")


@pytest.mark.parametrize("schema", SCHEMAS)
def test_opening_the_validation_url_validates_an_endpoint_that_can_not_answer(tmp_path: Path, schema: str) -> None:
    with webhook(manual=True) as hook:
        config = new_config(tmp_path, subscription(hook, schema=schema), scale=1)
        with running(config, serve=True) as grid, http(config) as client:
            send(grid)
            until(lambda: listed(config)["provisioningState"] == "AwaitingManualAction", "not waiting")
            assert hook.notifications == []
            forged = validation_url(hook)[:-3] + "xyz"
            assert client.get(forged).status_code == 400
            assert listed(config)["provisioningState"] == "AwaitingManualAction"

            assert client.get(validation_url(hook)).status_code == 200
            until(lambda: len(hook.notifications) == 1, "no notification")

    assert len(hook.handshakes) == 1


def test_a_validation_url_is_good_for_a_scaled_five_minutes(tmp_path: Path) -> None:
    with webhook(manual=True) as hook:
        config = new_config(tmp_path, subscription(hook), scale=0.001)
        with running(config, serve=True), http(config) as client:
            until(lambda: listed(config)["provisioningState"] == "Failed", "does not expire")
            assert listed(config)["reason"] == "nobody opened the validation URL in time"
            old = validation_url(hook)
            until(lambda: validation_url(hook) != old, "not asked again")
            assert client.get(old).status_code == 400

    assert hook.notifications == []


def test_an_endpoint_that_is_not_there_is_said_to_be_so(tmp_path: Path) -> None:
    with webhook() as gone:
        wanted = subscription(gone)
    config = new_config(tmp_path, wanted)
    with running(config, serve=True):
        until(lambda: listed(config)["provisioningState"] == "Failed", "not failed")
        assert listed(config)["reason"] == "the endpoint does not answer: ConnectError"
