"""What the gateway adds to a call: the same question to the endpoint and through the gateway, one after the other.

Everything is real but the model, which answers by rote: Azurite, the emulators, the Functions host, TLS to endpoints.
Both clients keep their connection. `python -m benchmarks.gateway [--pairs N]`
"""

from __future__ import annotations

import argparse
import json
import random
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import httpcore

from demo.app_client import question_body
from tests.e2e.playground import Playground, running
from tests.e2e.stub_cloud import small_dataset, stub_topology

PACE = {
    "AzureFunctionsJobHost__extensions__queues__maxPollingInterval": "00:00:05",
    "RECONCILE_SCHEDULE": "0 */5 * * * *",
}
"""Nearer to a deployed app's than the stub cloud's: its queues are polled 20 times a second, by the process that is
measured here and with the lock of its interpreter."""
BODY = json.dumps(question_body("Hello?")).encode()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gateway", description=__doc__)
    parser.add_argument("--pairs", type=int, default=500)
    parser.add_argument("--callers", type=int, default=8, help="at once, in the second part")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        running(stub_topology(Path(folder) / "cloud", settings=PACE)) as cloud,
    ):
        cloud.upload(small_dataset(Path(folder) / "dataset"), "chats")
        cloud.until("chats", "live", deadline=180)
        direct, through = _callers(cloud)
        for _ in range(30):
            direct()
            through()
        _report("one caller", *_paired(direct, through, given.pairs))
        share = given.pairs // given.callers
        with ThreadPoolExecutor(given.callers) as pool:
            several = list(pool.map(lambda _: _paired(*_callers(cloud), share), range(given.callers)))
        _report(f"{given.callers} callers", *(list(chain.from_iterable(found)) for found in zip(*several, strict=True)))
    return 0


def _callers(cloud: Playground) -> tuple[Callable[[], float], Callable[[], float]]:
    [endpoint] = [item for item in cloud.client.endpoints() if item["dataset"] == "chats"]
    key = cloud.arm.endpoint_key(endpoint["name"])
    trust = ssl.create_default_context(cafile=str(cloud.cloud.config.ca_file))
    address = f"{cloud.cloud.config.functions_url}/api/score/chats"
    return (
        _caller(endpoint["scoring_uri"], {"Authorization": f"Bearer {key}"}, trust),
        _caller(address, {"x-functions-key": cloud.cloud.function_key()}, trust),
    )


def _caller(url: str, headers: dict[str, str], trust: ssl.SSLContext) -> Callable[[], float]:
    pool = httpcore.ConnectionPool(ssl_context=trust, max_connections=1)
    sent = [("Content-Type", "application/json"), *headers.items()]

    def call() -> float:
        """Milliseconds until the whole answer is there."""
        begun = time.perf_counter()
        answer = pool.request("POST", url, headers=sent, content=BODY)
        assert answer.status == 200, answer.content
        return 1000 * (time.perf_counter() - begun)

    return call


def _paired(direct: Callable[[], float], through: Callable[[], float], pairs: int) -> tuple[list[float], list[float]]:
    """Which of the two comes first is drawn, so that a drift of the machine hits both."""
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(pairs):
        order = [0, 1] if random.random() < 0.5 else [1, 0]
        for which in order:
            found[which].append((direct, through)[which]())
    return found


def _report(what: str, direct: list[float], through: list[float]) -> None:
    added = [there - here for here, there in zip(direct, through, strict=True)]
    print(f"{what}: {len(added)} pairs, milliseconds")
    for name, values in (("direct", direct), ("through the gateway", through), ("added", added)):
        cuts = statistics.quantiles(values, n=100)
        print(f"  {name:20} p50 {cuts[49]:7.2f}   p95 {cuts[94]:7.2f}   p99 {cuts[98]:7.2f}")


if __name__ == "__main__":
    sys.exit(main())
