"""Every test of this folder runs twice: on the twins, and on the real parts."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from localcloud.config import LOCATION, RESOURCE_GROUP, SUBSCRIPTION_ID, WORKSPACE
from shared.config import Settings
from tests.contract.twins.real_subject import real_subject
from tests.contract.twins.subject import Goes, Subject, settled, trained
from tests.contract.twins.twin_subject import TwinSubject

if TYPE_CHECKING:
    from collections.abc import Mapping


@pytest.fixture(scope="package", params=["twins", pytest.param("real", marks=pytest.mark.localcloud)])
def cloud(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    if request.param == "twins":
        yield TwinSubject(
            Settings(
                azure_subscription_id=SUBSCRIPTION_ID,
                azure_resource_group=RESOURCE_GROUP,
                azureml_workspace=WORKSPACE,
                azure_location=LOCATION,
                storage_blob_uri="https://twin.blob.core.windows.net",
                storage_queue_uri="https://twin.queue.core.windows.net",
                storage_table_uri="https://twin.table.core.windows.net",
            )
        )
    else:
        with real_subject(tmp_path_factory.mktemp("cloud")) as subject:
            yield subject


_numbers = itertools.count(1)


@pytest.fixture
def fresh() -> Callable[[str], str]:
    """A name that nothing has yet."""
    number = next(_numbers)
    return lambda name: f"{name}-{number}"


@pytest.fixture(scope="package")
def models(cloud: Subject) -> Mapping[Goes, str]:
    """Ids of registered models whose deployments come up, and do not."""
    return {goes: trained(cloud, f"model-{goes}", goes) for goes in (Goes.WELL, Goes.UNLOADABLE)}


@pytest.fixture
def endpoint(cloud: Subject, fresh: Callable[[str], str]) -> str:
    """One that is there, with nothing on it."""
    name = fresh("endpoint")
    cloud.arm.create_endpoint(name, description="of this test", tags={"owner": "me"})
    settled(cloud, name)
    return name
