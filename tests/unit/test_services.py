"""The clients that handlers are lent: none of them waits long inside of a function."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ServiceRequestError, ServiceResponseError
from azure.core.messaging import CloudEvent
from azure.core.pipeline.transport import RequestsTransport

from shared.config import Settings
from shared.services import Services

SETTINGS = Settings(
    azure_subscription_id="s",
    azure_resource_group="g",
    azureml_workspace="w",
    azure_location="eastus",
    storage_blob_uri="https://blob.invalid",
    storage_queue_uri="https://queue.invalid",
    storage_table_uri="https://table.invalid",
    lifecycle_topic_endpoint="https://topic.invalid/api/events",
)
CALLS: list[Callable[[Services], object]] = [
    lambda services: services._ledger.tuning("t"),
    lambda services: services._wake_ups.tuning("t"),
    lambda services: services._blobs.read_report("t"),
    lambda services: services._arm.get_endpoint("e"),
    lambda services: services._publisher.send([CloudEvent(source="s", type="t", data={})]),
]


class Credential:
    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        return AccessToken("token", int(time.time()) + 3600)


@pytest.mark.parametrize("call", CALLS, ids=["ledger", "wake_ups", "blobs", "arm", "publisher"])
@pytest.mark.parametrize("error", [ServiceRequestError, ServiceResponseError])
def test_a_service_that_does_not_answer_is_tried_again_for_seconds_only(
    monkeypatch: pytest.MonkeyPatch, call: Callable[[Services], object], error: type[Exception]
) -> None:
    tries: list[object] = []
    pauses: list[float] = []

    def send(self: RequestsTransport, request: Any, **_: Any) -> None:
        tries.append(request)
        raise error("no answer")

    monkeypatch.setattr(RequestsTransport, "send", send)
    monkeypatch.setattr(RequestsTransport, "sleep", lambda self, duration: pauses.append(duration))
    monkeypatch.setattr(time, "sleep", pauses.append)
    services = Services(SETTINGS)
    vars(services)["_credential"] = Credential()

    with pytest.raises(Exception, match=r"no answer|Service(Request|Response)Error"):
        call(services)

    assert 1 <= len(tries) <= 3
    assert sum(pauses) <= 10
