"""Custom topics through the unmodified publisher SDK, and the control interface."""

from __future__ import annotations

import ssl
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, ResourceNotFoundError
from azure.core.messaging import CloudEvent
from azure.eventgrid import EventGridEvent, EventGridPublisherClient
from azure.identity import ManagedIdentityCredential

from localcloud.identity import mint_token
from tests.integration.eventgrid_harness import Webhook, new_config, running, subscription, until, webhook

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localcloud.config import CloudConfig

pytestmark = pytest.mark.localcloud


@pytest.fixture(scope="module")
def hook() -> Iterator[Webhook]:
    with webhook() as hook:
        yield hook


@pytest.fixture(scope="module")
def config(hook: Webhook, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudConfig]:
    cloud = subscription(hook, name="cloud", topic="lifecycle", schema="CloudEventSchemaV1_0")
    grid = subscription(hook, name="grid", topic="lifecycle", subject_begins_with="both/")
    config = new_config(tmp_path_factory.mktemp("state"), cloud, grid)
    with running(config, serve=True):
        yield config


@pytest.fixture
def credential(config: CloudConfig, monkeypatch: pytest.MonkeyPatch) -> Iterator[ManagedIdentityCredential]:
    monkeypatch.setenv("IDENTITY_ENDPOINT", config.identity_url)
    monkeypatch.setenv("IDENTITY_HEADER", config.identity_header)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(config.ca_file))
    with ManagedIdentityCredential() as credential:
        yield credential


def url(config: CloudConfig, topic: str = "lifecycle") -> str:
    return f"{config.azure_url}/eventgrid/topics/{topic}/api/events"


def test_a_cloud_event_of_the_sdk_is_delivered_as_it_was_sent(
    hook: Webhook, config: CloudConfig, credential: ManagedIdentityCredential
) -> None:
    event = CloudEvent("/tunings/a", "Tuning.Live", data={"id": "a"}, subject="a", extensions={"tenant": "t"})
    with EventGridPublisherClient(url(config), credential) as client:
        client.send([event])

    until(lambda: any(r.event["id"] == event.id for r in hook.notifications), "not delivered")
    [wire] = [r.body for r in hook.notifications if r.event["id"] == str(event.id)]
    assert (wire["source"], wire["type"], wire["subject"]) == ("/tunings/a", "Tuning.Live", "a")
    assert (wire["data"], wire["tenant"]) == ({"id": "a"}, "t")


def test_an_event_of_the_event_grid_schema_reaches_subscribers_of_both(
    hook: Webhook, config: CloudConfig, credential: ManagedIdentityCredential
) -> None:
    event = EventGridEvent("both/b", "Tuning.Live", {"id": "b"}, "1.0")
    with EventGridPublisherClient(url(config), credential) as client:
        client.send(event)

    def arrived() -> dict[str, Any]:
        mine = [r for r in hook.notifications if r.event["id"] == str(event.id)]
        return {r.headers["aeg-subscription-name"]: r.event for r in mine}

    until(lambda: len(arrived()) == 2, "not delivered to both")
    assert arrived()["GRID"]["topic"].endswith("/providers/Microsoft.EventGrid/topics/lifecycle")
    assert arrived()["GRID"]["dataVersion"] == "1.0"
    assert arrived()["CLOUD"]["source"] == arrived()["GRID"]["topic"]
    assert arrived()["CLOUD"]["data"] == arrived()["GRID"]["data"] == {"id": "b"}


def test_an_unknown_topic_is_not_found(config: CloudConfig, credential: ManagedIdentityCredential) -> None:
    with (
        EventGridPublisherClient(url(config, "other"), credential) as client,
        pytest.raises(ResourceNotFoundError),
    ):
        client.send(CloudEvent("s", "t"))


def test_a_token_for_another_service_is_refused(config: CloudConfig, credential: ManagedIdentityCredential) -> None:
    class ForTheVault:
        def get_token(self, *scopes: str, **options: Any) -> AccessToken:
            return AccessToken(mint_token("https://vault.azure.net", key="k"), int(time.time()) + 3600)

    with (
        EventGridPublisherClient(url(config), ForTheVault()) as client,
        pytest.raises(ClientAuthenticationError, match="audience"),
    ):
        client.send(CloudEvent("s", "t"))


def test_more_than_a_megabyte_is_too_much(config: CloudConfig) -> None:
    event = {"specversion": "1.0", "id": "1", "source": "s", "type": "t", "data": "x" * 1024 * 1024}
    headers = {
        "authorization": f"Bearer {mint_token('https://eventgrid.azure.net', key='k')}",
        "content-type": "application/cloudevents-batch+json; charset=utf-8",
    }

    answer = httpx.post(url(config), json=[event], headers=headers, verify=tls(config))

    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("headers", "content", "status"),
    [
        ({}, "[]", 401),
        ({"authorization": "Basic eDp5"}, "[]", 401),
        ({"authorization": "Bearer not-a-token"}, "[]", 401),
        ({"authorization": "Bearer expired"}, "[]", 401),
        ({"authorization": "Bearer good"}, "no json", 400),
        ({"authorization": "Bearer good"}, "{}", 400),
        ({"authorization": "Bearer good"}, "[]", 400),
        ({"authorization": "Bearer good"}, '[{"id": "1"}]', 400),
    ],
)
def test_a_bad_request_is_refused_with_the_error_of_azure(
    config: CloudConfig, headers: dict[str, str], content: str, status: int
) -> None:
    audience = "https://eventgrid.azure.net"
    tokens = {
        "Bearer good": f"Bearer {mint_token(audience, key='k')}",
        "Bearer expired": f"Bearer {mint_token(audience, key='k', now=1e9)}",
    }
    headers = {name: tokens.get(value, value) for name, value in headers.items()}

    answer = httpx.post(
        url(config),
        content=content,
        headers={**headers, "content-type": "application/json"},
        verify=tls(config),
    )

    assert answer.status_code == status
    assert answer.json()["error"]["code"] in ("Unauthorized", "BadRequest")


def test_every_accepted_event_is_listed_with_its_deliveries(
    config: CloudConfig, credential: ManagedIdentityCredential
) -> None:
    before = listed(config)["next"]
    with EventGridPublisherClient(url(config), credential) as client:
        client.send([CloudEvent("s", "small", data={"a": 1}), CloudEvent("s", "big", data="x" * 5000)])

    def events() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = listed(config, before)["events"]
        return found

    until(lambda: all(d["state"] == "delivered" for e in events() for d in e["deliveries"]), "not delivered")
    small, big = events()
    assert small["data"] == {"a": 1}
    assert len(big["data"]["truncated"]) < 5000
    assert [(d["subscription"], d["attempts"], d["outcome"]) for d in small["deliveries"]] == [
        ("cloud", 1, "Delivered")
    ]
    assert listed(config, big["sequence"])["events"] == []


def test_faults_are_switched_at_run_time_and_nonsense_is_refused(config: CloudConfig) -> None:
    control = f"{config.azure_url}/_localcloud/events"
    with httpx.Client(verify=tls(config)) as client:
        assert client.post(control, json={"lose": 0.5, "delay": 2}).json() == {
            "enabled": True,
            "duplicate": False,
            "delay": 2,
            "lose": 0.5,
        }
        nonsensical: list[object] = [{"lose": 2}, {"enabled": 1}, {"delay": "soon"}, {"unknown": True}, []]
        for nonsense in nonsensical:
            assert client.post(control, json=nonsense).status_code == 400
        assert client.get(control).json()["faults"]["lose"] == 0.5
        client.post(control, json={"lose": 0, "delay": 0})


def listed(config: CloudConfig, since: int = 0) -> dict[str, Any]:
    answer = httpx.get(f"{config.azure_url}/_localcloud/events?since={since}", verify=tls(config))
    content: dict[str, Any] = answer.json()
    return content


def tls(config: CloudConfig) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(config.ca_file))
