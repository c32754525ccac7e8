"""A pytest plugin: one emulator with storage for all tests that can share it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.azureml_support import (
    Cloud,
    azurite,
    create_endpoint,
    deploy,
    new_config,
    running,
    trained_model,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def azureml_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """The emulator in this process, with Azurite. Tests share it: each uses names of its own."""
    config = new_config(tmp_path_factory.mktemp("azureml"))
    with azurite(config), running(config) as cloud:
        yield cloud


@pytest.fixture
def fresh_cloud(azureml_cloud: Cloud, tmp_path: Path) -> Iterator[Cloud]:
    """An emulator of its own, for tests that change how it behaves. Shares the storage."""
    with running(new_config(tmp_path, azureml_cloud.config)) as cloud:
        yield cloud


@pytest.fixture(scope="session")
def good_model(azureml_cloud: Cloud) -> str:
    return trained_model(azureml_cloud, "good-model")


@pytest.fixture(scope="session")
def broken_model(azureml_cloud: Cloud) -> str:
    """It is registered, but does not load."""
    return trained_model(azureml_cloud, "broken-model", "unloadable")


@pytest.fixture(scope="session")
def served(azureml_cloud: Cloud, good_model: str) -> str:
    """The name of an endpoint with deployments blue and green, and no traffic."""
    create_endpoint(azureml_cloud, "served")
    for name in ("blue", "green"):
        assert deploy(azureml_cloud, "served", name, good_model) == "Succeeded"
    return "served"
