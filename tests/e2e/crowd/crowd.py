"""Many datasets dropped at once: what becomes of them, in what order, with how many calls and how much memory."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from azure.data.tables import TableServiceClient

from localcloud.config import Durations
from shared import names
from shared.lifecycle.ledger import Ledger
from shared.lifecycle.tuning import ENDED, State, Tuning
from tests.e2e.playground import Playground, running
from tests.e2e.stub_cloud import small_dataset, stub_topology

LOOK = 2.0
"""Seconds between two looks at the app from outside."""
PACE = {
    "POLL_SECONDS": "1",
    "POLL_MAX_SECONDS": "5",
    "OVERDUE_SECONDS": "30",
    "RECONCILE_SCHEDULE": "*/10 * * * * *",
}
_UPLOADERS = 8
_POLLING = re.compile(r'"GET /devstoreaccount1/[^/]+/messages')
_CALL = re.compile(r'"(?P<method>[A-Z]+) /devstoreaccount1/(?P<path>\S+) HTTP/')


@dataclass(frozen=True)
class Crowd:
    """`calls` is by kind, of all datasets together; `memory` is the peak in MiB by process; `seconds` from the
    first upload to the last end.
    """

    datasets: int
    limit: int
    states: Mapping[str, int]
    doubled: tuple[str, ...]
    """Datasets that have not exactly one job, model version, endpoint and deployment."""
    most_jobs: int
    """At once, by the cloud's own times."""
    most_waiting: int
    said: str
    """What the app said of the tuning that was the last in the line."""
    out_of_order: int
    """The farthest that a tuning in the line was from its place in the order of arrival."""
    calls: Mapping[str, int]
    looks: int
    memory: Mapping[str, float]
    seconds: float


def crowd(folder: Path, datasets: int, limit: int, deadline: float) -> Crowd:
    """Raises AssertionError when not all have ended after `deadline` seconds."""
    settings = {**PACE, "MAX_ACTIVE_JOBS": str(limit)}
    topology = stub_topology(folder / "cloud", settings=settings, message_lease=60, durations=Durations().scaled(0.2))
    files = small_dataset(folder / "dataset")
    wanted = [f"crowd{number:03d}" for number in range(datasets)]
    with running(topology) as playground:
        playground.control("limits", {"endpoints": datasets})
        begun = time.monotonic()
        watch = _Watch(playground)
        with ThreadPoolExecutor(_UPLOADERS) as uploaders:
            list(uploaders.map(lambda dataset: playground.upload(files, dataset), wanted))
        watch.until_all_ended(datasets, begun + deadline)
        seconds = time.monotonic() - begun
        memory = dict(_peaks(playground))
        tunings = _tunings(playground)
        resources = playground.client.resources()
    jobs = {item["name"]: (float(item["created"]), float(item["ended"])) for item in resources["jobs"]}
    return Crowd(
        datasets=datasets,
        limit=limit,
        states=Counter(str(tuning.state) for tuning in tunings),
        doubled=tuple(dataset for dataset in wanted if not _one_of_each(resources, dataset)),
        most_jobs=_most_at_once(list(jobs.values())),
        most_waiting=watch.most_waiting,
        said=watch.said,
        out_of_order=_out_of_order(tunings),
        calls=watch.calls,
        looks=watch.looks,
        memory=memory,
        seconds=seconds,
    )


class _Watch:
    """Looks at the app, and at the cloud's log of requests, which keeps only the newest, all the time."""

    def __init__(self, playground: Playground) -> None:
        self._playground = playground
        self._newest = 0
        self._log = playground.cloud.config.azurite_log
        self._position = self._log.stat().st_size
        self.calls: Counter[str] = Counter()
        self.looks = 0
        self.most_waiting = 0
        self.said = ""

    def until_all_ended(self, datasets: int, end: float) -> None:
        while True:
            found = self._look()
            over = sum(item["state"] in ("live", *ENDED) for item in found)
            if over == datasets:
                return
            assert time.monotonic() < end, f"{over} of {datasets} ended: {Counter(item['state'] for item in found)}"
            time.sleep(LOOK)

    def _look(self) -> list[dict[str, Any]]:
        self._count_requests()
        self._count_storage_calls()
        try:
            found: list[dict[str, Any]] = self._playground.client.tunings(limit="1000")["tunings"]
        except httpx.TimeoutException:
            return []  # it is busy
        self.looks += 1
        waiting = [item for item in found if item["state"] == State.QUEUED]
        if len(waiting) > self.most_waiting:
            self.most_waiting = len(waiting)
            self.said = str(max(waiting, key=lambda item: _position(item["waiting_for"]))["waiting_for"])
        return found

    def _count_requests(self) -> None:
        client = self._playground.client
        answer = httpx.get(
            f"{self._playground.cloud.config.azure_url}/_localcloud/requests?since={self._newest}",
            verify=client.trust(),
            trust_env=False,
            timeout=60,
        )
        for line in answer.raise_for_status().json():
            self._newest = line["number"]
            self.calls[f"Azure ML and Event Grid: {line['method']}"] += 1

    def _count_storage_calls(self) -> None:
        """The log is emptied at times: its lines are then those of the file beside it."""
        if self._log.stat().st_size < self._position:
            self._read(self._log.with_name(f"{self._log.name}.1"))
            self._position = 0
        self._read(self._log)

    def _read(self, file: Path) -> None:
        with file.open("rb") as stream:
            stream.seek(self._position)
            content = stream.read()
        whole = content[: content.rfind(b"\n") + 1]
        self._position += len(whole)
        kinds = (_storage_call(line) for line in whole.decode(errors="replace").splitlines())
        self.calls.update(kind for kind in kinds if kind)


def _position(said: str) -> int:
    numbers = re.findall(r"\d+", said)
    return int(numbers[0]) if numbers else 0


def _storage_call(line: str) -> str:
    """A line of Azurite's access log by service and method; the host's polls of its queues apart, else empty."""
    match = _CALL.search(line)
    if match is None:
        return ""
    if _POLLING.search(line):
        return "polls of queues by the host"
    return f"storage, {_service(match['path'])}: {match['method']}"


def _service(path: str) -> str:
    if "/messages" in path:
        return "queues"
    table = re.split(r"[(?/]", path)[0]
    return "tables" if table in names.TABLES and not path.startswith(f"{names.TUNINGS}/") else "blobs"


def _tunings(playground: Playground) -> list[Tuning]:
    """In order of arrival."""
    cloud = playground.cloud
    with TableServiceClient.from_connection_string(
        cloud.storage_connection_string(), connection_verify=str(cloud.config.ca_file)
    ) as service:
        return sorted((row.value for row in Ledger(service).tunings()), key=lambda tuning: (tuning.arrived, tuning.id))


def _one_of_each(resources: Mapping[str, Any], dataset: str) -> bool:
    return all(
        len([item for item in resources[kind] if item["tags"].get(names.TAG_DATASET) == dataset]) == 1
        for kind in ("jobs", "models", "endpoints", "deployments")
    )


def _most_at_once(spans: list[tuple[float, float]]) -> int:
    changes = sorted([(begun, 1) for begun, _ in spans] + [(ended, -1) for _, ended in spans])
    running_now = most = 0
    for _, change in changes:
        running_now += change
        most = max(most, running_now)
    return most


def _at(tuning: Tuning, state: State) -> float | None:
    return next((entry.at.timestamp() for entry in tuning.history if entry.state is state), None)


def _out_of_order(tunings: list[Tuning]) -> int:
    """Of those that waited in the line: difference between places by arrival and by submission of the job."""
    waited = [tuning for tuning in tunings if _at(tuning, State.QUEUED) and _at(tuning, State.TRAINING)]
    by_submission = sorted(waited, key=lambda tuning: _at(tuning, State.TRAINING) or 0)
    places = {tuning.id: place for place, tuning in enumerate(by_submission)}
    return max((abs(places[tuning.id] - place) for place, tuning in enumerate(waited)), default=0)


def _peaks(playground: Playground) -> Iterator[tuple[str, float]]:
    """Peak resident memory of the cloud's long-lived processes, in MiB, as the kernel counts it (proc(5), VmHWM)."""
    for file in sorted(Path(playground.cloud.config.state_dir, "pids").glob("*.pid")):
        status = Path(f"/proc/{int(file.read_text())}/status")
        if not status.exists():
            continue
        match = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        if match is not None:
            yield file.stem, int(match[1]) / 1024
