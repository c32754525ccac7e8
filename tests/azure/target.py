"""The cloud that is asked: Azure, as the environment names it, or a local one."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from azure.core.exceptions import AzureError

from shared.azureml.resources import JobRequest
from shared.config import Settings
from shared.errors import DroptuneError
from shared.services import Services
from tests.contract.twins.real_subject import real_subject
from tests.contract.twins.subject import trained

Seen = TypeVar("Seen")
SWITCH = "DROPTUNE_AZURE_VERIFY"
CHEAP_INSTANCE = "Standard_DS2_v2"
"""The smallest that managed endpoints are documented to take besides F2s: 2 cores, 7 GB."""
ECHO_MODEL = Path(__file__).parent / "echo_model"


@dataclass
class Target:
    """`run` begins the name of everything that is made. `model` registers one and returns its id."""

    name: str
    services: Services
    until: Callable[[Callable[[], Any]], Any]
    model: Callable[[], str]
    job: Callable[[str], JobRequest]
    run: str = field(default_factory=lambda: f"vfy-{uuid.uuid4().hex[:8]}")
    endpoints: list[str] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)
    blobs: list[str] = field(default_factory=list)

    def clean_up(self) -> list[str]:
        """What was made goes; returns what could not be removed, for whoever pays."""
        left = []
        for kind, made, remove in (
            ("job", self.jobs, self._cancel),
            ("endpoint", self.endpoints, self.services._arm.delete_endpoint),
            ("blob tunings/", self.blobs, self._remove_blob),
        ):
            for item in made:
                try:
                    remove(item)
                except (AzureError, DroptuneError) as error:
                    left.append(f"{kind} {item}: {error}")
        return left

    def _cancel(self, name: str) -> None:
        found = self.services._arm.get_job(name)
        if found is not None and not found.ended:
            self.services._arm.cancel_job(name)

    def _remove_blob(self, name: str) -> None:
        self.services._blobs._blob("tunings", name).delete_blob()


def is_azure() -> bool:
    return os.environ.get(SWITCH) == "1"


@contextmanager
def target(state: Path) -> Iterator[Target]:
    if is_azure():
        yield azure_target(Settings.from_environment())
        return
    with real_subject(state) as subject:
        yield Target(
            "the local cloud",
            subject._services,
            subject.until,
            lambda: trained(subject, "echo"),
            subject.job,
        )


def azure_target(settings: Settings, deadline: float = 45 * 60, pause: float = 15) -> Target:
    services = Services(settings)

    def until(look: Callable[[], Seen | None]) -> Seen:
        end = time.monotonic() + deadline
        while not (found := look()):
            assert time.monotonic() < end, f"not within {deadline / 60:.0f} minutes"
            time.sleep(pause)
        return found

    def model() -> str:
        from azure.ai.ml.constants import AssetTypes
        from azure.ai.ml.entities import Model

        echo = Model(name="droptune-verify", path=str(ECHO_MODEL), type=AssetTypes.MLFLOW_MODEL)
        return str(services._sdk._workspace.models.create_or_update(echo).id)

    def job(name: str) -> JobRequest:
        """The real pipeline; canceled long before its compute is there."""
        component, _ = services._sdk.newest_component(settings.component)
        base = services._sdk.base_model(settings.base_model, settings.base_model_version)
        services._blobs.write_snapshot(name, "train_sft.jsonl", b'{"messages": []}\n')
        found.blobs.append(f"{name}/train_sft.jsonl")
        url = services._blobs.snapshot_url(name, "train_sft.jsonl")
        return JobRequest(
            name=name,
            display_name="droptune verification, to be canceled",
            experiment_name=settings.experiment_name,
            component_id=component,
            model_id=base.id,
            files={"train_file_path": url, "test_file_path": url},
            inputs={},
            tags={"droptune-verify": name},
        )

    found = Target("Azure", services, until, model, job)
    return found
