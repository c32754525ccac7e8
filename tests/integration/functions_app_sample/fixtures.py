"""Fixtures of the Functions host's tests. Test modules name this file in `pytest_plugins`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.functions_app_sample.harness import Azurite, FunctionsHost

if TYPE_CHECKING:
    from pathlib import Path

NewHost = Callable[..., FunctionsHost]


@pytest.fixture(scope="session")
def functions_storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    azurite = Azurite(tmp_path_factory.mktemp("azurite") / "azurite.log")
    yield azurite
    azurite.stop()


def sample_settings(storage: Azurite, host_id: str, **more: str) -> dict[str, str]:
    return {
        "AzureWebJobsStorage": storage.connection_string,
        "STORAGE": storage.connection_string,
        "AzureFunctionsWebHost__hostid": host_id,
        "APP": host_id,
        "EVERY_SECOND": "*/1 * * * * *",
        **more,
    }


@pytest.fixture(scope="session")
def shared_host(functions_storage: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FunctionsHost]:
    """One host for all tests that leave no trace in each other's way."""
    directory = tmp_path_factory.mktemp("functions")
    host = FunctionsHost(directory, sample_settings(functions_storage, "shared"), directory / "record.jsonl").start()
    yield host
    assert host.stop() == 0


@pytest.fixture
def new_host(functions_storage: Azurite, tmp_path: Path) -> Iterator[NewHost]:
    """Makes hosts of a test's own; `name` is the directory, `host_id` what hosts of one app share."""
    hosts: list[FunctionsHost] = []

    def make(host_id: str, name: str = "host", settings: dict[str, str] | None = None, **fields: Any) -> FunctionsHost:
        all_settings = sample_settings(functions_storage, host_id, **(settings or {}))
        host = FunctionsHost(tmp_path / name, all_settings, tmp_path / "record.jsonl", **fields)
        hosts.append(host)
        return host

    yield make
    for host in hosts:
        if hasattr(host, "process") and host.process.poll() is None:
            host.kill()
