"""How long one idle sweep takes, what it asks, and how much memory it needs: python -m benchmarks.sweep

For each size: so many endpoints with two deployments each on the local cloud, whose ages are spread over three hours,
so that half of them have a window of their own; a ledger on Azurite that knows them all; then sweeps, each in a process
of its own:

mark     everything is idle for the first time: each endpoint is read once more, tagged, and told of
settled  nothing changes: what nearly every sweep is
429      the same while Azure Resource Manager lets so many requests through and then says when to come again
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from benchmarks.localcloud import Api, fill, server, trained
from localcloud.azureml.endpoints import Deployment, Endpoint
from localcloud.azurite import azurite_is_up, azurite_process, find_azurite
from localcloud.config import LOCATION, RESOURCE_GROUP, SUBSCRIPTION_ID, WORKSPACE, WORKSPACE_ID, CloudConfig
from localcloud.server import DATABASE
from localcloud.store import Collection, Store
from shared import names
from shared.config import Settings
from shared.lifecycle.ledger import Versioned
from shared.lifecycle.records import EndpointRecord, EndpointStatus
from shared.lifecycle.tuning import State, Tuning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.services import Services

ROOT = Path(__file__).resolve().parents[1]
SIZES = (10, 100, 1000)
SPREAD = timedelta(hours=3)
THROTTLED, ALLOWED, WITHIN = 100, 20, 2.0
"""Endpoints, requests, and seconds of the window, of the throttled sweep."""


@dataclass(frozen=True)
class Swept:
    """One sweep: seconds, those of its process on a core, its peak memory, calls by kind, what Azure had it wait."""

    seconds: float
    cpu_seconds: float
    peak_mib: float
    calls: dict[str, int]
    waited: float
    counts: dict[str, int]
    acted: int
    errors: int
    heavy: list[str]


def sweep() -> Swept:
    """In this process, with the settings of the environment."""
    from shared.services import Services

    services = Services(Settings.from_environment())
    calls = _counted(services)
    began, used = time.perf_counter(), time.process_time()
    report = services.sweep.run()
    return Swept(
        time.perf_counter() - began,
        time.process_time() - used,
        _peak_mib(),
        dict(calls),
        report.waited,
        {str(kind): count for kind, count in report.counts.items()},
        report.acted,
        report.errors,
        [name for name in ("azure.ai.ml", "pandas", "numpy") if name in sys.modules],
    )


def _counted(services: Services) -> Counter[str]:
    """Wraps what sends requests."""
    calls: Counter[str] = Counter()
    arm, metrics = services.lifecycle.arm, services._metrics

    def counting(kind: str, call: Any) -> Any:
        def counted(*args: Any, **options: Any) -> Any:
            calls[kind] += 1
            return call(*args, **options)

        return counted

    arm._request = counting("azureml", arm._request)  # type: ignore[method-assign]
    metrics._read = counting("metrics", metrics._read)  # type: ignore[method-assign]
    return calls


def _peak_mib() -> float:
    """VmHWM of Linux: the most that was resident."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def spread(config: CloudConfig, count: int) -> None:
    """Copies of the one endpoint that was made through the API, under the app's names and tags; the server is down."""
    store = Store(Path(config.state_dir) / DATABASE)
    endpoints = Collection(store, "endpoints", Endpoint, index=("pending",))
    deployments = Collection(store, "deployments", Deployment, index=("pending",))
    first = endpoints.get("bench-0")
    pair = [deployments.get(f"bench-0/{name}") for name in ("blue", "green")]
    assert first is not None, "it was made before"
    owner = names.owner(WORKSPACE_ID)
    for number in range(count):
        name, tuning = endpoint_name(number), f"{dataset(number)}-v1-00000000"
        created = time.time() - 24.5 * 3600 - SPREAD.total_seconds() * number / count
        tags = {names.TAG_OWNER: owner, names.TAG_DATASET: dataset(number)}
        endpoints.put(
            name,
            replace(
                first, name=name, tags=tags, created=created, properties={**first.properties, "traffic": {"blue": 100}}
            ),
        )
        for deployment in pair:
            assert deployment is not None, "it was made before"
            own = replace(deployment, endpoint=name, tags={names.TAG_OWNER: owner, names.TAG_TUNING: tuning})
            deployments.put(own.key, own)
    store.close()


def dataset(number: int) -> str:
    return f"set-{number}"


def endpoint_name(number: int) -> str:
    return names.endpoint_name(WORKSPACE_ID, dataset(number), 1)


def write_ledger(services: Services, count: int) -> None:
    """Of each dataset a live tuning with the deployment `blue`, and one that it superseded, with `green`."""
    ledger, then = services.lifecycle.ledger, datetime.now(UTC) - timedelta(days=9)
    for number in range(count):
        base = f"{dataset(number)}-v1-00000000"
        common: dict[str, Any] = {
            "dataset": dataset(number),
            "version": "v1",
            "fingerprint": "0" * 64,
            "created_at": then,
            "state_since": then,
            "wake_at": then,
            "endpoint": endpoint_name(number),
        }
        ledger.put(Versioned(Tuning(id=base, state=State.LIVE, deployment="blue", **common), ""))
        record = EndpointRecord(
            dataset=dataset(number),
            name=endpoint_name(number),
            status=EndpointStatus.ACTIVE,
            tenants=(base,),
            live=base,
            live_since=then,
        )
        ledger.put(Versioned(record, ""))


@contextmanager
def storage(config: CloudConfig) -> Iterator[None]:
    """Azurite with the app's tables and containers, empty."""
    from azure.data.tables import TableServiceClient
    from azure.identity import ManagedIdentityCredential
    from azure.storage.blob import BlobServiceClient
    from azure.storage.queue import QueueServiceClient

    log = Path(config.state_dir) / "azurite.err"
    process = azurite_process(config, find_azurite(ROOT), persistent=False, log_file=log)
    process.start()
    try:
        process.wait_until_ready(lambda: azurite_is_up(config), 60)
        credential = ManagedIdentityCredential()
        with (
            TableServiceClient(config.table_url, credential=credential) as tables,
            BlobServiceClient(config.blob_url, credential=credential) as blobs,
            QueueServiceClient(config.queue_url, credential=credential) as queues,
        ):
            for table in names.TABLES:
                tables.create_table(table)
            for container in names.CONTAINERS:
                blobs.create_container(container)
            for queue in names.QUEUES:
                queues.create_queue(queue)
        yield
    finally:
        process.kill()


def environment(config: CloudConfig) -> dict[str, str]:
    return {
        "AZURE_SUBSCRIPTION_ID": SUBSCRIPTION_ID,
        "AZURE_RESOURCE_GROUP": RESOURCE_GROUP,
        "AZUREML_WORKSPACE": WORKSPACE,
        "AZURE_LOCATION": LOCATION,
        "STORAGE__blobServiceUri": config.blob_url,
        "STORAGE__queueServiceUri": config.queue_url,
        "STORAGE__tableServiceUri": config.table_url,
        "ARM_ENDPOINT": config.azure_url,
        "METRICS_ENDPOINT": f"{config.azure_url}/metrics/{LOCATION}",
        "REQUESTS_CA_BUNDLE": str(config.ca_file),
        "IDENTITY_ENDPOINT": config.identity_url,
        "IDENTITY_HEADER": config.identity_header,
        "IDLE_DRY_RUN": "false",
    }


def in_a_process() -> Swept:
    command = [sys.executable, "-m", "benchmarks.sweep", "--once"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return Swept(**json.loads(done.stdout.splitlines()[-1]))


def throttle(config: CloudConfig) -> None:
    body = {"requests": ALLOWED, "request_seconds": WITHIN, "retry_after": True}
    address = f"{config.azure_url}/_localcloud/limits"
    httpx.post(address, json=body, verify=str(config.ca_file), trust_env=False).raise_for_status()


def measure(size: int, folder: Path) -> list[tuple[str, int, Swept]]:
    from shared.services import Services

    state, model = folder / f"cloud-{size}", folder / "model"
    state.mkdir()
    with server(state, model) as (config, _):
        api = Api(config)
        fill(api, 1, trained(api, "bench"))
        api.close()
    spread(config, size)
    found: list[tuple[str, int, Swept]] = []
    with server(state, model) as (config, _), _environment(environment(config)), storage(config):
        write_ledger(Services(Settings.from_environment()), size)
        found.append(("mark", size, in_a_process()))
        found.append(("settled", size, in_a_process()))
        if size == THROTTLED:
            throttle(config)
            found.append(("429", size, in_a_process()))
    return found


@contextmanager
def _environment(more: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(more)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def table(rows: list[tuple[str, int, Swept]]) -> str:
    lines = [
        "| Sweep | endpoints | seconds | on a core | ms each | metrics calls | Azure ML calls | waited | peak MiB "
        "| verdicts |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---|",
    ]
    for name, size, swept in rows:
        verdicts = ", ".join(f"{count} {kind}" for kind, count in swept.counts.items())
        lines.append(
            f"| {name} | {size:,} | {swept.seconds:.1f} | {swept.cpu_seconds:.1f} | {1000 * swept.seconds / size:.0f} "
            f"| {swept.calls.get('metrics', 0)} | {swept.calls['azureml']:,} | {swept.waited:.0f} s "
            f"| {swept.peak_mib:.0f} | {verdicts}; {swept.errors} errors |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.once:
        print(json.dumps(vars(sweep())))
        return
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "model")
        subprocess.run([sys.executable, "-m", "localcloud.base_model", "--out", str(model)], check=True, cwd=ROOT)
        rows: list[tuple[str, int, Swept]] = []
        for size in given.sizes:
            rows += measure(size, Path(folder))
            print(table(rows[-3:]), flush=True)
        heavy = sorted({name for _, _, swept in rows for name in swept.heavy})
    print(f"\n{table(rows)}\n\nheavy imports: {', '.join(heavy) or 'none'}")


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
