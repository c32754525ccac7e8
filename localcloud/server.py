"""`python -m localcloud.server --config STATE_DIR/cloud.json`: the whole emulated cloud but storage, one process.

HTTPS on the port `azure` for Azure ML, Monitor, Event Grid and the price list; HTTP on the port `identity`, as the
managed-identity endpoint of App Service is.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop
from starlette.applications import Starlette

from localcloud import control, identity
from localcloud.azureml import AzureML, Runners
from localcloud.config import CloudConfig
from localcloud.eventgrid import EventGrid
from localcloud.exchanges import recorded
from localcloud.faults import Faults
from localcloud.injection import Injection
from localcloud.listener import listener
from localcloud.monitor import Monitor
from localcloud.outbox import Outbox
from localcloud.prices import RetailPrices
from localcloud.request_log import RequestLog
from localcloud.routing import CloudApp, operations_of
from localcloud.store import Store
from localcloud.telemetry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.routing import Route

    from localcloud.events import EventSink

log = logging.getLogger(__name__)

DATABASE = "azure.db"
EVENTS_DATABASE = "eventgrid.db"


class Server:
    """The emulated cloud, in the event loop that calls `serve`."""

    def __init__(
        self,
        config: CloudConfig,
        events: EventSink,
        *,
        runners: Runners | None = None,
        more_routes: Sequence[Route] = (),
        faults: Faults | None = None,
        crash: Callable[[], None] | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`faults` are what the control API changes, to be given when Event Grid shares them. `crash` ends the
        process as kill -9 does; without it, no fault can do that. `wall` is the time by which requests are counted.
        """
        self._store = Store(Path(config.state_dir, DATABASE))
        self.azureml = AzureML(config, self._store, Outbox(self._store, events), runners or Runners(), wall)
        self.monitor = Monitor(self.azureml.usage, self.azureml.endpoints.existed, wall)
        faults, requests = faults or Faults(), RequestLog()
        prices = RetailPrices(config.prices, config.azure_url)
        cloud = [*self.azureml.routes, *self.monitor.routes, *prices.routes, *more_routes]
        controls = control.routes(
            self.azureml,
            self.monitor,
            faults,
            requests,
            operations_of(cloud),
            Collector(Path(config.state_dir, "telemetry")),
        )
        app = CloudApp([*cloud, *controls], self._store.commit)
        injection = Injection(recorded(app), app.find, faults, requests, crash or _no_crash)
        tokens = Starlette(routes=identity.routes(config))
        self._servers = (
            listener(injection, config.ports.azure, config.server_cert, config.server_key),
            listener(recorded(tokens), config.ports.identity),
        )

    def stop(self) -> None:
        for server in self._servers:
            server.should_exit = True

    async def serve(self) -> None:
        """Until `stop`. Raises what a part of it raised; then no child process is left."""
        keeping = asyncio.create_task(self.azureml.run())
        listening = asyncio.create_task(self._listen())
        try:
            await asyncio.wait({keeping, listening}, return_when=asyncio.FIRST_COMPLETED)
            if keeping.done():
                await keeping
            await listening
        finally:
            self.stop()
            keeping.cancel()
            await asyncio.gather(keeping, listening, return_exceptions=True)
            self._store.close()

    async def _listen(self) -> None:
        await asyncio.gather(*(server.serve() for server in self._servers))


def _no_crash() -> None:
    raise RuntimeError("this server shares its process with others and is not ended by a fault")


async def _main(config: CloudConfig) -> None:
    faults = Faults()
    grid = EventGrid(config, Path(config.state_dir, EVENTS_DATABASE), fate=faults.of_event)
    server = Server(
        config,
        grid,
        runners=Runners.from_environment(),
        more_routes=grid.routes,
        faults=faults,
        crash=lambda: os.kill(os.getpid(), signal.SIGKILL),
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, server.stop)
    log.info("Azure at %s, identity at %s", config.azure_url, config.identity_url)
    serving = asyncio.create_task(server.serve())
    delivering = asyncio.create_task(grid.run())
    await asyncio.wait({serving, delivering}, return_when=asyncio.FIRST_COMPLETED)
    if not serving.done():
        server.stop()
    await serving
    stopped_by_itself = delivering.done()
    delivering.cancel()
    await asyncio.gather(delivering, return_exceptions=True)
    grid.close()
    if stopped_by_itself and (error := delivering.exception()) is not None:
        raise error


def main() -> None:
    parser = argparse.ArgumentParser(prog="localcloud.server", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="cloud.json in the state directory")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    logging.getLogger("azure").setLevel(logging.WARNING)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # What is imported stays; a call makes many small things, and few of them refer to each other.
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    uvloop.run(_main(CloudConfig.load(arguments.config)))


if __name__ == "__main__":
    main()
