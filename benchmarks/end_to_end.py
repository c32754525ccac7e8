"""A split as large as ultrachat_200k's through `dataset_uploaded` on the local cloud, and the app's peak memory.

    python -m benchmarks.end_to_end                 # 1.4 GB: needs 6 GB of disk, takes some minutes
    python -m benchmarks.end_to_end --rows 20000

The whole cloud runs as for `make demo`: Azurite on disk, Event Grid, the Functions host with the app. It ends when the
tuning is planned or rejected; nothing is trained.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from benchmarks.corpus import TEST_ROWS, TRAIN_ROWS, write
from benchmarks.validation import corpus
from demo.app_client import AppClient
from demo.topology import Topology, prepare_storage
from localcloud.azureml.runners import ENVIRONMENT_VARIABLE
from localcloud.stack import LocalCloud

DATASET = "large"
_TEST_SHARE = TEST_ROWS / TRAIN_ROWS
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Outcome:
    """`seconds` from the end of the upload, the settle time included, to the planned or rejected tuning."""

    tuning: dict[str, Any]
    upload_seconds: float
    seconds: float
    before_mib: float
    peak_mib: float
    waits: tuple[float, ...]
    """Seconds that each `GET /api/tunings` took meanwhile, the ones that were given up included."""


def run(cloud: LocalCloud, folder: Path, deadline: float) -> Outcome:
    client = AppClient(cloud)
    client.tunings()  # the app is imported and its clients are made
    before = peak_mib(cloud)
    began = time.perf_counter()
    client.upload(folder, DATASET, "v1")
    uploaded = time.perf_counter()
    waits: list[float] = []
    while not (found := _tunings(client, waits)):
        if time.perf_counter() - uploaded > deadline:
            raise TimeoutError(f"no tuning within {deadline:.0f} s")
        time.sleep(_POLL_SECONDS)
    seconds = time.perf_counter() - uploaded
    tuning = client.tuning(found[0]["id"])
    return Outcome(tuning, uploaded - began, seconds, before, peak_mib(cloud), tuple(waits))


def _tunings(client: AppClient, waits: list[float]) -> list[dict[str, Any]]:
    """Empty also while Azurite or the host is too busy to answer in time."""
    asked = time.perf_counter()
    try:
        return list(client.tunings()["tunings"])
    except httpx.TransportError:
        return []
    finally:
        waits.append(time.perf_counter() - asked)


def peak_mib(cloud: LocalCloud) -> float:
    """The most memory that the Functions host with the app in it has had: VmHWM of Linux."""
    status = Path(f"/proc/{cloud.pid('functions')}/status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024


def table(outcome: Outcome, size: int) -> str:
    report = outcome.tuning["report"]
    train = report["splits"]["train_sft"]
    waits = sorted(outcome.waits)
    rows = [
        ("train_sft", f"{train['rows']:,} rows, {train['size']:,} bytes"),
        ("all splits", f"{size:,} bytes"),
        ("state, errors", f"{outcome.tuning['state']}, {sum(train['error_counts'].values())}"),
        ("upload", f"{outcome.upload_seconds:,.1f} s"),
        ("from the upload to the planned tuning", f"{outcome.seconds:,.1f} s"),
        ("peak of the Functions host before", f"{outcome.before_mib:,.0f} MiB"),
        ("peak of the Functions host after", f"{outcome.peak_mib:,.0f} MiB"),
        ("above", f"{outcome.peak_mib - outcome.before_mib:,.0f} MiB"),
        ("`GET /api/tunings` meanwhile, median of so many", f"{1000 * median(waits):,.0f} ms of {len(waits)}"),
        ("95th percentile, longest", f"{1000 * waits[int(len(waits) * 0.95)]:,.0f} ms, {1000 * waits[-1]:,.0f} ms"),
    ]
    return "\n".join(["| | |", "|---|---:|", *(f"| {name} | {value} |" for name, value in rows)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=TRAIN_ROWS)
    parser.add_argument("--deadline", type=float, default=900, help="seconds for the validation")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "droptune-benchmarks")
    arguments = parser.parse_args()
    os.environ[ENVIRONMENT_VARIABLE] = json.dumps({"training": ["false"]})
    train = corpus(arguments.folder, arguments.rows)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as temporary:
        data = Path(temporary) / "data"
        data.mkdir()
        (data / "train_sft.jsonl").symlink_to(train)
        write(data / "test_sft.jsonl", max(10, round(arguments.rows * _TEST_SHARE)), first=arguments.rows)
        cloud = Topology(state_dir=Path(temporary) / "cloud").cloud()
        with cloud:
            prepare_storage(cloud)
            os.environ.update(cloud.client_environment())
            outcome = run(cloud, data, arguments.deadline)
        size = sum(file.stat().st_size for file in data.iterdir())
    print(table(outcome, size))


if __name__ == "__main__":
    main()
