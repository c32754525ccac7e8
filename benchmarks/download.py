"""The whole way from blob storage: download alone, validation alone, and both at once, on the local cloud's Azurite.

    python -m benchmarks.download --rows 207865 --rounds 5

We have a core of our own, as where storage is another machine: else the scheduler moves Azurite to the core that it
sends to. Azurite keeps the blob on disk, as in `make up`: from memory it encrypts 4 MiB at a time, sending nothing.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from azure.identity import ManagedIdentityCredential
from azure.storage.blob import BlobServiceClient

from benchmarks.corpus import TRAIN_ROWS
from benchmarks.validation import corpus
from localcloud.config import CloudConfig
from localcloud.ports import allot_ports
from localcloud.stack import LocalCloud
from shared import names
from shared.blobs import Blobs, UploadedContent
from shared.datasets.local_files import check_file
from shared.datasets.source import Source
from shared.datasets.validation import validate_split

BLOB = "benchmark/v1/train_sft.jsonl"


@dataclass(frozen=True)
class Taken:
    """Seconds by the clock, and of the thread's own processor time."""

    seconds: float
    processor: float


def measure(blobs: Blobs, path: Path, rounds: int) -> dict[str, list[Taken]]:
    """Each way, round by round."""
    uploaded = blobs.uploaded_file(BLOB)
    assert uploaded is not None
    content = blobs.uploaded_content(BLOB, uploaded.etag)
    ways: dict[str, Callable[[], object]] = {
        "download alone": lambda: _drain(content),
        "validation alone": lambda: check_file(path, "train_sft"),
        "both": lambda: validate_split(Source("train_sft", content)),
    }
    taken: dict[str, list[Taken]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            began, processor = time.perf_counter(), time.thread_time()
            way()
            taken[name].append(Taken(time.perf_counter() - began, time.thread_time() - processor))
    return taken


def _drain(content: UploadedContent) -> None:
    for _ in content:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=TRAIN_ROWS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "droptune-benchmarks")
    arguments = parser.parse_args()
    path = corpus(arguments.folder, arguments.rows)
    size = path.stat().st_size / 1e6
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        ours, *others = sorted(os.sched_getaffinity(0))
        if others:
            os.sched_setaffinity(0, others)
        config = CloudConfig(state_dir=folder, ports=allot_ports(state), identity_header="secret", models=())
        with LocalCloud(config) as cloud:
            cloud.create_storage(containers=names.CONTAINERS, queues=names.QUEUES, tables=names.TABLES)
            os.environ.update(cloud.client_environment())
            service = BlobServiceClient(config.blob_url, credential=ManagedIdentityCredential())
            with path.open("rb") as file:
                service.get_blob_client(names.DATASETS, BLOB).upload_blob(file, overwrite=True)
            os.sched_setaffinity(0, {ours})
            taken = measure(Blobs(service), path, arguments.rounds)
    print("| Way | MB/s | ms of processor a MB |\n|---|---:|---:|")
    for name, each in taken.items():
        speed = size / statistics.median(one.seconds for one in each)
        print(f"| {name} | {speed:,.0f} | {statistics.median(one.processor for one in each) / size * 1e3:.2f} |")
    by_round = list(zip(*taken.values(), strict=True))
    ratios = sorted(max(download.seconds, check.seconds) / both.seconds for download, check, both in by_round)
    sums = statistics.median(
        both.processor / (download.processor + check.processor) for download, check, both in by_round
    )
    print(
        f"\nboth at once: {statistics.median(ratios):.2f} ({ratios[0]:.2f}–{ratios[-1]:.2f}) of the slower one alone,"
    )
    print(f"{sums:.2f} of their processor time together (medians of {arguments.rounds} rounds)")


if __name__ == "__main__":
    main()
