"""Services that accept connections and never answer: every client gives up after the settings' time-outs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.messaging import CloudEvent
from azure.core.pipeline.transport import HttpTransport, RequestsTransport

from shared.services import Services
from tests.unit.https_server import serve
from tests.unit.test_services import SETTINGS

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
PATIENCE = 0.2
"""Seconds to connect, and to read."""
LONG = 30.0
"""Seconds; far beyond three tries of PATIENCE on a busy machine, far below azure-core's 300."""

CALLS: dict[str, Callable[[Services], object]] = {
    "ledger": lambda services: services._ledger.tuning("t"),
    "queues": lambda services: services._wake_ups.tuning("t"),
    "blobs": lambda services: services._blobs.read_report("t"),
    "download": lambda services: list(services._blobs.read_uploaded("d/v/train_sft.jsonl", "etag")),
    "arm": lambda services: services._arm.get_endpoint("e"),
    "registry": lambda services: services._sdk.base_model("m", ""),
    "jobs": lambda services: services._sdk.register_model(name="m", version="1", job="j", description="", tags={}),
    "topic": lambda services: services._publisher.send([CloudEvent(source="s", type="t", data={})]),
    "identity": lambda services: services._credential.get_token("https://management.azure.com/.default"),
}


class Credential:
    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        return AccessToken("token", int(time.time()) + 3600)


@pytest.fixture
def silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Services of a cloud that is silent, and the requests that reached it."""
    with serve(tmp_path, monkeypatch) as server:
        server.respond = lambda _: server.stopping.wait()  # type: ignore[assignment]  # its result is of no use
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{server.url}/token")
        monkeypatch.setenv("IDENTITY_HEADER", "secret")
        for transport in (RequestsTransport, HttpTransport):
            monkeypatch.setattr(transport, "sleep", lambda self, duration: None)
        for name in ("ARM_CLOUD_METADATA_URL", "AZUREML_CURRENT_CLOUD"):
            monkeypatch.delenv(name, raising=False)
        settings = replace(
            SETTINGS,
            storage_blob_uri=server.url,
            storage_queue_uri=server.url,
            storage_table_uri=server.url,
            arm_endpoint=server.url,
            registry_discovery_endpoint=f"{server.url}/",
            metrics_endpoint=server.url,
            lifecycle_topic_endpoint=f"{server.url}/api/events",
            connect_timeout_seconds=PATIENCE,
            read_timeout_seconds=PATIENCE,
        )
        services = Services(settings)
        monkeypatch.setattr(services._blobs._download, "_pause", lambda _: None)
        yield services, server


@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_is_never_answered_ends_with_an_error(silent: Any, name: str) -> None:
    services, server = silent
    if name != "identity":
        vars(services)["_credential"] = Credential()
    started = time.monotonic()
    with pytest.raises(Exception, match=r"Error|[Tt]imed? ?out|broke off|unavailable|not authorized|failed"):
        CALLS[name](services)
    assert time.monotonic() - started < LONG
    assert server.requests, "nothing was asked"


def test_silent_metrics_make_endpoints_unavailable(silent: Any) -> None:
    services, server = silent
    vars(services)["_credential"] = Credential()
    endpoint = f"{services.settings.workspace_id}/onlineEndpoints/e"
    started = time.monotonic()
    found = services._metrics.requests_per_minute([endpoint], NOW - timedelta(minutes=5), NOW)
    assert "metrics" in found[endpoint].reason
    assert time.monotonic() - started < LONG
    assert server.requests
