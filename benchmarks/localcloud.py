"""How fast and how small the local cloud is: python -m benchmarks.localcloud

calls    median of a control-plane call at 20 concurrent clients over HTTPS, with 1,000 endpoints in the cloud;
         beside it the same clients against the same web server with one route that answers a constant, which is
         what this machine and Python cost anyway
memory   resident memory of the server that holds 1,000 endpoints with 2 deployments each; beside it what one
         scoring process per deployment would take, from what one takes here
make up  seconds from the command to "is up", on a state that was started before
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import signal
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psutil
from rich.console import Console
from rich.table import Table

from localcloud.certs import ensure_certificates
from localcloud.config import WORKSPACE_ID, CloudConfig, Durations, Limits, RegistryComponent, Scoring
from localcloud.identity import mint_token
from localcloud.ports import allot_ports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ROOT = Path(__file__).resolve().parents[1]
CLIENTS = 20
MIB = 1024 * 1024
VERSION = "api-version=2023-04-01-preview"
_SKU = {"name": "Default", "capacity": 1}


@dataclass(frozen=True)
class Measured:
    """Milliseconds of the calls of one run."""

    median: float
    p99: float
    per_second: float


class Api:
    """One client that sets things up."""

    def __init__(self, config: CloudConfig) -> None:
        trusted = ssl.create_default_context(cafile=str(config.ca_file))
        self._http = httpx.Client(base_url=config.azure_url, verify=trusted, trust_env=False, timeout=60)
        self._http.headers["Authorization"] = f"Bearer {token()}"

    def send(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        answer = self._http.request(method, f"{WORKSPACE_ID}/{path}?{VERSION}", json=body).raise_for_status()
        return dict(answer.json() or {})

    def until(self, path: str, field: str, wanted: str) -> None:
        while (found := self.send("GET", path)["properties"][field]) != wanted:
            if found == "Failed":
                raise RuntimeError(f"{path} failed")
            time.sleep(0.02)

    def close(self) -> None:
        self._http.close()


def token() -> str:
    return mint_token("https://management.azure.com", key="benchmark")


@contextmanager
def server(state: Path, model: Path) -> Iterator[tuple[CloudConfig, psutil.Process]]:
    """The emulated cloud in a process of its own; jobs give out `model`, all else is what everybody gets."""
    command = (sys.executable, "-m", "localcloud.premade", "--model", str(model))
    config = CloudConfig(
        str(state),
        allot_ports(state),
        identity_header="benchmark",
        models=(),
        durations=Durations().scaled(0),
        components=(RegistryComponent("chat_completion_pipeline", "0.0.82", command),),
        scoring=Scoring(processes=4, idle_seconds=2),
        limits=Limits(endpoints=10_000),
    )
    ensure_certificates(state)
    config.save()
    with (state / "server.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "localcloud.server", "--config", str(config.file)], stdout=log, stderr=log, cwd=ROOT
        )
    try:
        _wait_for(config.ports.azure, process)
        yield config, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            httpx.get(f"https://127.0.0.1:{port}/_localcloud/health", verify=False, trust_env=False)  # noqa: S501
            return
        except httpx.HTTPError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def fill(api: Api, endpoints: int, model: str) -> None:
    for number in range(endpoints):
        path = f"onlineEndpoints/bench-{number}"
        api.send("PUT", path, {"location": "eastus", "properties": {"authMode": "Key"}})
        for name in ("blue", "green"):
            properties = {"endpointComputeType": "Managed", "model": model, "instanceType": "Standard_DS3_v2"}
            body = {"location": "eastus", "sku": _SKU, "properties": properties}
            api.send("PUT", f"{path}/deployments/{name}", body)
            api.until(f"{path}/deployments/{name}", "provisioningState", "Succeeded")


def trained(api: Api, name: str) -> str:
    """The id of a model that a job gave out."""
    node = {"type": "pipeline", "componentId": _component(), "inputs": {}}
    node["outputs"] = {"mlflow_model_folder": {"value": "${{parent.outputs.model}}", "type": "literal"}}
    outputs = {"model": {"jobOutputType": "mlflow_model", "mode": "ReadWriteMount"}}
    api.send("PUT", f"jobs/{name}", {"properties": {"jobType": "Pipeline", "jobs": {"n": node}, "outputs": outputs}})
    api.until(f"jobs/{name}", "status", "Completed")
    properties = {"modelType": "mlflow_model", "modelUri": f"azureml://jobs/{name}/outputs/model"}
    return str(api.send("PUT", f"models/{name}/versions/1", {"properties": properties})["id"])


def _component() -> str:
    return "azureml://registries/azureml/components/chat_completion_pipeline/versions/0.0.82"


async def load(port: int, ca: Path, requests: Sequence[tuple[str, str, bytes]], seconds: float) -> Measured:
    """`CLIENTS` at once, each with one connection, the next call as soon as the last one is answered."""
    trusted = ssl.create_default_context(cafile=str(ca))
    bearer, took = token(), list[float]()
    until = time.perf_counter() + seconds

    async def client(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusted)
        for method, path, body in itertools.islice(itertools.cycle(requests), number, None):
            head = (
                f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {bearer}\r\n"
                f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
            )
            begun = time.perf_counter()
            if begun > until:
                break
            writer.write(head.encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = answer.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length))
            took.append(time.perf_counter() - begun)
            if answer[9:10] != b"2":
                raise RuntimeError(f"{method} {path}: {answer[:40]!r}")
        writer.close()

    await asyncio.gather(*(client(number) for number in range(CLIENTS)))
    took.sort()
    return Measured(
        took[len(took) // 2] * 1000,
        took[len(took) * 99 // 100] * 1000,
        len(took) / seconds,
    )


def mixed(endpoints: int) -> list[tuple[str, str, bytes]]:
    """What an automation asks: it looks at endpoints, deployments and jobs, and changes one call in ten."""
    found: list[tuple[str, str, bytes]] = []
    tags = json.dumps({"tags": {"owner": "benchmark"}}).encode()
    for number in range(0, min(endpoints, 200)):
        path = f"{WORKSPACE_ID}/onlineEndpoints/bench-{number}"
        looks = [path, f"{path}/deployments/blue", f"{WORKSPACE_ID}/jobs/bench"] * 3
        found += [("GET", f"{look}?{VERSION}", b"") for look in looks]
        found.append(("PATCH", f"{path}?{VERSION}", tags))
    return found


@contextmanager
def bare(config: CloudConfig) -> Iterator[int]:
    """The port of the same web server with one constant route, over the same TLS."""
    port = config.ports.functions
    program = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom starlette.applications import Starlette\n"
        "from starlette.responses import JSONResponse\nfrom starlette.routing import Route\n"
        "from localcloud.config import CloudConfig\nfrom localcloud.listener import listener\n"
        "config = CloudConfig.load(Path(sys.argv[1]))\nbody = {'properties': {'text': 'x' * 1200}}\n"
        "async def answer(_):\n    return JSONResponse(body)\n"
        "app = Starlette(routes=[Route('/{path:path}', answer, methods=['GET', 'PATCH'])])\n"
        f"asyncio.run(listener(app, {port}, config.server_cert, config.server_key).serve())\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(config.file)], cwd=ROOT)
    try:
        _wait_for(port, process)
        yield port
    finally:
        process.terminate()
        process.wait()


def resident(process: psutil.Process) -> float:
    """MiB of a process and all that it started; what processes share is counted once (PSS)."""
    return sum(one.memory_full_info().pss for one in (process, *process.children(recursive=True))) / MIB


def make_up(state: Path) -> float:
    begun = time.monotonic()
    command = [sys.executable, "-m", "demo.up", "--state", str(state)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        ready = next((time.monotonic() - begun for line in process.stdout if "is up" in line), None)
        process.send_signal(signal.SIGINT)
        process.stdout.read()
    if ready is None:
        raise RuntimeError("make up did not come up")
    return ready


def median_of(runs: int, measure: Callable[[], float]) -> float:
    return statistics.median(measure() for _ in range(runs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--endpoints", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    console = Console()
    table = Table("what", "measured", "alternative", "ratio", "wanted", title=f"{os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        state, model = Path(folder, "cloud"), Path(folder, "model")
        state.mkdir()
        subprocess.run([sys.executable, "-m", "localcloud.base_model", "--out", str(model)], check=True, cwd=ROOT)
        with server(state, model) as (config, process):
            empty = resident(process)
            api = Api(config)
            registered = trained(api, "bench")
            with console.status(f"creating {arguments.endpoints} endpoints"):
                fill(api, 1, registered)
                live = resident(process) - empty
                fill(api, arguments.endpoints, registered)
            while process.children():
                time.sleep(0.2)
            held = resident(process)
            api.close()
            calls = mixed(arguments.endpoints)
            ours, floor = [], []
            with bare(config) as port, console.status("calling"):
                for _ in range(arguments.runs):
                    ours.append(asyncio.run(load(config.ports.azure, config.ca_file, calls, arguments.seconds)))
                    floor.append(asyncio.run(load(port, config.ca_file, calls, arguments.seconds)))
        with console.status("make up"):
            make_up(Path(folder, "up"))
            up = median_of(arguments.runs, lambda: make_up(Path(folder, "up")))
    for name, wanted in (("median", "≤ 5 ms"), ("p99", "")):
        mine, least = (statistics.median(getattr(run, name) for run in runs) for runs in (ours, floor))
        table.add_row(
            f"call, {CLIENTS} clients, {name}", f"{mine:.2f} ms", f"{least:.2f} ms bare", f"{mine / least:.1f}", wanted
        )
    mine, least = (statistics.median(run.per_second for run in runs) for runs in (ours, floor))
    table.add_row("calls per second", f"{mine:.0f}", f"{least:.0f} bare", f"{mine / least:.2f}", "")
    naive = live * 2 * arguments.endpoints + empty
    table.add_row(
        f"{arguments.endpoints} endpoints × 2 deployments",
        f"{held:.0f} MiB",
        f"{naive:.0f} MiB, a process each",
        f"1 : {naive / held:.0f}",
        "≤ 300 MiB",
    )
    table.add_row("  of it the empty server", f"{empty:.0f} MiB", "", "", "")
    table.add_row("make up, warm", f"{up:.1f} s", "", "", "≤ 10 s")
    console.print(table)


if __name__ == "__main__":
    main()
