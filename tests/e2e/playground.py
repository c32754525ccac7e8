"""What the end-to-end tests do to the local cloud, and see in it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
from azure.identity import ManagedIdentityCredential

from demo.app_client import AppClient
from demo.topology import Topology, prepare_storage
from localcloud.config import WORKSPACE_ID
from localcloud.stack import LocalCloud
from shared.azureml.arm import ArmClient

Seen = TypeVar("Seen")

FOREIGN_ENDPOINT = "by-hand"
"""Not created by droptune."""
UNUSED_DATASET = "unused"
"""Its endpoint is called by nobody."""


@dataclass(frozen=True)
class Playground:
    cloud: LocalCloud

    @property
    def client(self) -> AppClient:
        return AppClient(self.cloud)

    @property
    def arm(self) -> ArmClient:
        """Azure ML as an operator uses it."""
        return ArmClient(self.cloud.config.azure_url, WORKSPACE_ID, ManagedIdentityCredential())

    def upload(self, folder: Path, dataset: str, version: str = "v1") -> None:
        self.client.upload(folder, dataset, version)

    def upload_bytes(self, blob: str, content: bytes) -> None:
        from azure.storage.blob import BlobServiceClient

        with BlobServiceClient.from_connection_string(
            self.cloud.storage_connection_string(), connection_verify=str(self.cloud.config.ca_file)
        ) as service:
            service.get_blob_client("datasets", blob).upload_blob(content, overwrite=True)

    def until(
        self, dataset: str, *states: str, version: str = "v1", deadline: float = 120, nth: int = 0
    ) -> dict[str, Any]:
        """The tuning of a version once it is in one of the states. `nth` counts those of the version, oldest first."""

        def look() -> dict[str, Any] | None:
            found = self.tunings_of(dataset, version)
            if len(found) <= nth or found[nth]["state"] not in states:
                return None
            return self.client.tuning(found[nth]["id"])

        return wait_for(look, deadline, lambda: f"{dataset}/{version}: {self.tunings_of(dataset, version)}")

    def tunings_of(self, dataset: str, version: str = "v1") -> list[dict[str, Any]]:
        found = self.client.tunings(dataset=dataset)["tunings"]
        return sorted((item for item in found if item["version"] == version), key=lambda item: item["created_at"])

    def of_dataset(self, kind: str, dataset: str) -> list[dict[str, Any]]:
        """Azure ML resources that carry the dataset's tag, deleted ones too."""
        return [item for item in self.client.resources()[kind] if item["tags"].get("droptune-dataset") == dataset]

    def control(self, path: str, body: Mapping[str, Any]) -> None:
        answer = httpx.post(
            f"{self.cloud.config.azure_url}/_localcloud/{path}",
            json=dict(body),
            verify=self.client.trust(),
            trust_env=False,
        )
        answer.raise_for_status()

    def events(self) -> list[dict[str, Any]]:
        """Everything that Event Grid accepted."""
        found: list[dict[str, Any]] = []
        while True:
            since = found[-1]["sequence"] if found else 0
            answer = httpx.get(
                f"{self.cloud.config.azure_url}/_localcloud/events?since={since}",
                verify=self.client.trust(),
                trust_env=False,
            )
            page = answer.json()["events"]
            if not page:
                return found
            found.extend(page)


@contextlib.contextmanager
def running(topology: Topology) -> Iterator[Playground]:
    """The cloud of a topology while it runs; this process' environment points the SDKs to it meanwhile."""
    cloud = topology.cloud()
    before = dict(os.environ)
    cloud.start()
    try:
        prepare_storage(cloud)
        os.environ.update(cloud.client_environment())
        yield Playground(cloud)
    finally:
        cloud.stop()
        os.environ.clear()
        os.environ.update(before)


def wait_for(look: Callable[[], Seen | None], deadline: float, state: Callable[[], object]) -> Seen:
    end = time.monotonic() + deadline
    while (found := look()) is None:
        assert time.monotonic() < end, f"not within {deadline:.0f} s: {state()}"
        time.sleep(0.3)
    return found


def with_changes(folder: Path, target: Path, changes: Mapping[str, bytes | None]) -> Path:
    """A copy of a dataset with files replaced, added, or (None) removed."""
    shutil.copytree(folder, target)
    for name, content in changes.items():
        if content is None:
            (target / name).unlink()
        else:
            (target / name).write_bytes(content)
    return target


def with_smoke(folder: Path, target: Path, expectations: Mapping[str, Any]) -> Path:
    return with_changes(folder, target, {"tuning.json": json.dumps({"smoke": expectations}).encode()})
