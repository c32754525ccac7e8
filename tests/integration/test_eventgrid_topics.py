"""Custom topics through the unmodified publisher SDK, and the control interface."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import ssl
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import pytest
from azure.core.credentials import AccessToken, AzureKeyCredential, AzureSasCredential
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.core.messaging import CloudEvent
from azure.eventgrid import EventGridEvent, EventGridPublisherClient, generate_sas
from azure.identity import ManagedIdentityCredential

from localcloud.eventgrid.topics import topic_of
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


@pytest.fixture
def tls_of(config: CloudConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """For clients that bring a key and need no managed identity."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(config.ca_file))


def _signed(key: str, text: str) -> str:
    digest = hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()
    return f"{text}&s={quote(base64.b64encode(digest), safe='')}"


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


@pytest.mark.parametrize("version", ["ä", "1\r\nx-injected: 1", "\x00"])
def test_a_data_version_that_no_header_can_carry_is_delivered_without_one(
    hook: Webhook, config: CloudConfig, credential: ManagedIdentityCredential, version: str
) -> None:
    event = EventGridEvent("both/odd", "Tuning.Live", {}, version)
    with EventGridPublisherClient(url(config), credential) as client:
        client.send(event)

    def arrived() -> list[Any]:
        mine = [r for r in hook.notifications if r.event["id"] == str(event.id)]
        return [r for r in mine if r.headers["aeg-subscription-name"] == "GRID"]

    until(lambda: len(arrived()) == 1, "not delivered")
    assert arrived()[0].event["dataVersion"] == version
    assert arrived()[0].headers["aeg-data-version"] == ""
    assert "x-injected" not in arrived()[0].headers


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


@pytest.mark.parametrize("number", [0, 1])
def test_either_key_of_a_topic_may_publish(hook: Webhook, config: CloudConfig, tls_of: None, number: int) -> None:
    event: CloudEvent[dict[str, int]] = CloudEvent("s", "keys", data={"key": number})
    with EventGridPublisherClient(
        url(config), AzureKeyCredential(topic_of(config, "lifecycle").keys[number])
    ) as client:
        client.send([event])

    until(lambda: any(r.event["id"] == event.id for r in hook.notifications), "not delivered")


def test_a_signature_made_with_a_key_may_publish(hook: Webhook, config: CloudConfig, tls_of: None) -> None:
    event: CloudEvent[None] = CloudEvent("s", "signed")
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=5)
    signature = generate_sas(url(config), topic_of(config, "lifecycle").keys[1], soon)
    with EventGridPublisherClient(url(config), AzureSasCredential(signature)) as client:
        client.send(event)

    until(lambda: any(r.event["id"] == event.id for r in hook.notifications), "not delivered")


def signatures(config: CloudConfig) -> dict[str, str]:
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=5)
    key = topic_of(config, "lifecycle").keys[0]
    good = generate_sas(url(config), key, soon)
    return {
        "expired": generate_sas(url(config), key, soon - dt.timedelta(minutes=6)),
        "another topic": generate_sas(url(config, "other"), key, soon),
        "not made with a key": generate_sas(url(config), topic_of(config, "other").keys[0], soon),
        "lacks": good.partition("&s=")[0],
        "not a time": _signed(key, "r=" + quote(url(config), safe="") + "&e=tomorrow"),
    }


@pytest.mark.parametrize("complaint", ["expired", "another topic", "not made with a key", "lacks", "not a time"])
def test_another_signature_may_not(config: CloudConfig, tls_of: None, complaint: str) -> None:
    credential = AzureSasCredential(signatures(config)[complaint])
    with (
        EventGridPublisherClient(url(config), credential) as client,
        pytest.raises(ClientAuthenticationError, match=complaint),
    ):
        client.send(CloudEvent("s", "t"))


def test_another_key_may_not(config: CloudConfig, tls_of: None) -> None:
    with (
        EventGridPublisherClient(url(config), AzureKeyCredential(topic_of(config, "other").keys[0])) as client,
        pytest.raises(ClientAuthenticationError, match="access key"),
    ):
        client.send(CloudEvent("s", "t"))


def test_one_event_may_take_nearly_the_whole_megabyte_of_a_request(
    hook: Webhook, config: CloudConfig, credential: ManagedIdentityCredential
) -> None:
    event: CloudEvent[str] = CloudEvent("s", "big", data="x" * 1_000_000)
    with EventGridPublisherClient(url(config), credential) as client:
        client.send(event)
        until(lambda: any(r.event["id"] == event.id for r in hook.notifications), "not delivered")
        with pytest.raises(HttpResponseError, match="maximum size") as refusal:
            client.send([CloudEvent("s", "big", data="x" * 600_000) for _ in range(2)])

    assert refusal.value.status_code == 413


def test_a_request_has_at_most_five_thousand_events(config: CloudConfig, credential: ManagedIdentityCredential) -> None:
    before = listed(config)["next"]
    with (
        EventGridPublisherClient(url(config), credential) as client,
        pytest.raises(HttpResponseError, match="at most 5000 events") as refusal,
    ):
        client.send([CloudEvent("s", "t") for _ in range(5001)])

    assert refusal.value.status_code == 413
    assert listed(config)["next"] == before


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
        ({"authorization": "Bearer good"}, "[" * 100_000, 400),
        ({"authorization": "Bearer good"}, "[NaN]", 400),
        (
            {"authorization": "Bearer good"},
            r'[{"id": "\ud800", "subject": "s", "eventType": "t", "eventTime": "2026-11-22T00:00:00Z"}]',
            400,
        ),
        (
            {"authorization": "Bearer good"},
            '[{"id": "1", "topic": "/other", "subject": "s", "eventType": "t", "eventTime": "2026-11-22T00:00:00Z"}]',
            400,
        ),
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
    error = answer.json()["error"]
    assert error["code"] == ("Unauthorized" if status == 401 else "BadRequest")
    assert error["details"][0]["code"] == ("Unauthorized" if status == 401 else "InputJsonInvalid")


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
