"""A local cloud whose Functions host dies on command and comes back, and main jobs to be run on it."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
from azure.data.tables import TableServiceClient

from localcloud.stack import LocalCloud
from shared.lifecycle.ledger import Ledger
from shared.lifecycle.tuning import ENDED
from tests.e2e.crashes.end_state import EndState, end_state
from tests.e2e.crashes.host import FOLDER
from tests.e2e.crashes.plan import Entry, Journal, Plan, entries
from tests.e2e.playground import Playground, running
from tests.e2e.stub_cloud import small_dataset, stub_topology

MAIN_JOBS = 1000
"""On one cloud at most: each leaves an endpoint, and Azure's default quota of a subscription is 100."""
HOST = (sys.executable, "-m", "tests.e2e.crashes.host")


@dataclass(frozen=True)
class CrashCloud:
    playground: Playground
    dataset_folder: Path

    @property
    def cloud(self) -> LocalCloud:
        return self.playground.cloud

    @property
    def folder(self) -> Path:
        return Path(self.cloud.config.state_dir, FOLDER)

    @property
    def deaths(self) -> list[str]:
        """How each life of the host ended, `-9` for SIGKILL; the one that runs is not in it."""
        lines = (self.folder / "lives").read_text().splitlines()
        return [line.split()[-1] for line in lines if " ended with " in line]

    def run(self, plan: Plan, datasets: list[str], deadline: float) -> dict[str, EndState]:
        """Upload datasets while a plan holds and wait for their end. The run of the plan must be a new one."""
        plan.save(self.folder)
        for dataset in datasets:
            self.playground.upload(self.dataset_folder, dataset)
        self.wait_for_the_end(datasets, deadline)
        resources, events = self.playground.client.resources(), self.playground.events()
        Plan(f"{plan.run}-over").save(self.folder)
        return {dataset: end_state(self.cloud, dataset, resources, events) for dataset in datasets}

    def wait_for_the_end(self, datasets: list[str], deadline: float) -> None:
        """Until each is live or ended, with all of its events published. Raises AssertionError."""
        end = time.monotonic() + deadline
        waiting: dict[str, str] = {}
        while time.monotonic() < end:
            waiting = self._unfinished(datasets)
            if not waiting:
                return
            time.sleep(0.2)
        raise AssertionError(f"not within {deadline:.0f} s: {waiting}")

    def _unfinished(self, datasets: list[str]) -> dict[str, str]:
        """Dataset → its state, of those that are not at their end."""
        try:
            answer = self.playground.client.tunings(limit="1000")
        except (httpx.HTTPError, ValueError) as error:
            return {"the app": type(error).__name__}
        found: dict[str, str] = dict.fromkeys(datasets, "unknown")
        for item in answer["tunings"]:
            if item["dataset"] in found:
                # An error about one that is live is followed by another look.
                shown = item["last_error"] if item["state"] == "live" else ""
                found[item["dataset"]] = shown or item["state"]
        for item in answer["collecting"]:
            if item["dataset"] in found:
                found[item["dataset"]] = "collecting"
        over = {"live", *ENDED}
        left = {dataset: state for dataset, state in found.items() if state not in over}
        return left or self._left_in_the_ledger(datasets)

    def _left_in_the_ledger(self, datasets: list[str]) -> dict[str, str]:
        """Events to publish, and a job slot that `reconcile` gave back to a tuning which was just leaving it."""
        with TableServiceClient.from_connection_string(
            self.cloud.storage_connection_string(), connection_verify=str(self.cloud.config.ca_file)
        ) as service:
            ledger = Ledger(service)
            holders = ledger.job_slots().value.holders
            tunings = [row.value for row in ledger.tunings() if row.value.dataset in datasets]
        left = {one.dataset: "a job slot is held" for one in tunings if one.id in holders}
        return left | {
            one.dataset: f"event {one.published} of {one.last_seq} published"
            for one in tunings
            if one.published < one.last_seq
        }

    def journal(self, run: str) -> Journal:
        return Journal.open(self.folder, run)

    def entries(self, run: str) -> list[Entry]:
        return entries(self.folder, run)


@contextlib.contextmanager
def crash_cloud(folder: Path, settings: Mapping[str, str] | None = None) -> Iterator[CrashCloud]:
    topology = stub_topology(folder / "cloud", host=HOST, settings=settings)
    with running(topology) as playground:
        playground.control("limits", {"endpoints": MAIN_JOBS})
        yield CrashCloud(playground, small_dataset(folder / "dataset"))
