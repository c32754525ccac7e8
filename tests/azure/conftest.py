"""One target for all tests of the folder; what they made is removed and what they found is told at the end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.azureml.resources import DeploymentRequest
from tests.azure.facts import Facts
from tests.azure.target import CHEAP_INSTANCE, Target, is_azure, target

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="package")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with target(tmp_path_factory.mktemp("cloud")) as found:
        try:
            yield found
        finally:
            left = found.clean_up()
            assert not left, "still there, and perhaps charged for: " + "; ".join(left)


@pytest.fixture(scope="package")
def facts(cloud: Target) -> Iterator[Facts]:
    found = Facts()
    yield found
    print(f"\nWhat {cloud.name} does:", *found.lines(), sep="\n  ")
    if is_azure():
        file = ROOT / ".localcloud" / "azure-facts.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(found.outcomes, indent=2) + "\n")


@pytest.fixture(scope="package")
def endpoint(cloud: Target) -> str:
    """With one deployment, `blue`, that gets no traffic."""
    name = f"{cloud.run}-e"
    arm = cloud.services._arm
    cloud.endpoints.append(name)
    arm.create_endpoint(name, description="droptune verification", tags={"first": "1", "second": "2"})
    cloud.until(lambda: (found := arm.get_endpoint(name)) and not found.busy)
    arm.create_deployment(
        DeploymentRequest(
            endpoint=name,
            name="blue",
            model_id=cloud.model(),
            instance_type=CHEAP_INSTANCE,
            instance_count=1,
            request_timeout=60,
            liveness_initial_delay=60,
            tags={},
        )
    )
    cloud.until(lambda: (found := arm.get_deployment(name, "blue")) and not found.busy)
    return name
