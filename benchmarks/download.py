"""The whole way from blob storage: download alone, validation alone, and both at once, on the local cloud's Azurite.

    python -m benchmarks.download --rows 207865 --rounds 5

Validation is one pass over what arrives, so both at once should cost little more than the slower of the two. We have a
core of our own, as where storage is another machine: else the scheduler moves Azurite to the core that it sends to.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
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


def measure(blobs: Blobs, path: Path, rounds: int) -> dict[str, list[float]]:
    """Seconds of each way, round by round."""
    uploaded = blobs.uploaded_file(BLOB)
    assert uploaded is not None
    content = blobs.uploaded_content(BLOB, uploaded.etag)
    ways: dict[str, Callable[[], object]] = {
        "download alone": lambda: _drain(content),
        "validation alone": lambda: check_file(path, "train_sft"),
        "both": lambda: validate_split(Source("train_sft", content)),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - began)
    return seconds


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
        with LocalCloud(config, persistent=False) as cloud:
            cloud.create_storage(containers=names.CONTAINERS, queues=names.QUEUES, tables=names.TABLES)
            os.environ.update(cloud.client_environment())
            service = BlobServiceClient(config.blob_url, credential=ManagedIdentityCredential())
            with path.open("rb") as file:
                service.get_blob_client(names.DATASETS, BLOB).upload_blob(file, overwrite=True)
            os.sched_setaffinity(0, {ours})
            seconds = measure(Blobs(service), path, arguments.rounds)
    print("| Way | MB/s |\n|---|---:|")
    for name, taken in seconds.items():
        print(f"| {name} | {size / statistics.median(taken):,.0f} |")
    alone = zip(seconds["download alone"], seconds["validation alone"], seconds["both"], strict=True)
    ratio = statistics.median(max(download, validation) / both for download, validation, both in alone)
    print(f"\nboth at once: {ratio:.2f} of the slower one alone (median of {arguments.rounds} rounds)")


if __name__ == "__main__":
    main()
