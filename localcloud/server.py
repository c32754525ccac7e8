"""`python -m localcloud.server --config STATE_DIR/cloud.json`: the whole emulated cloud but storage, one process.

HTTPS on the port `azure` for Azure ML, Monitor and Event Grid; HTTP on the port `identity`, as the
managed-identity endpoint of App Service is.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from localcloud import control, identity
from localcloud.azureml import AzureML, Runners
from localcloud.azureml.service_headers import with_service_headers
from localcloud.config import CloudConfig
from localcloud.eventgrid import EventGrid
from localcloud.exchanges import recorded
from localcloud.faults import Faults
from localcloud.http import CloudError, error_response, unknown_operation
from localcloud.monitor import Monitor
from localcloud.store import Store

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator, Sequence

    from starlette.routing import Route
    from starlette.types import ASGIApp

    from localcloud.events import EventSink

log = logging.getLogger(__name__)

DATABASE = "azure.db"
EVENTS_DATABASE = "eventgrid.db"

_GRACE = 0.3


class Server:
    """The emulated cloud, in the event loop that calls `serve`."""

    def __init__(
        self,
        config: CloudConfig,
        events: EventSink,
        *,
        runners: Runners | None = None,
        more_routes: Sequence[Route] = (),
    ) -> None:
        self._store = Store(Path(config.state_dir, DATABASE))
        self.azureml = AzureML(config, self._store, events, runners or Runners())
        self.monitor = Monitor(self.azureml.usage, self.azureml.endpoints.existed)
        app = Starlette(
            routes=[*self.azureml.routes, *self.monitor.routes, *more_routes],
            exception_handlers={CloudError: error_response, HTTPException: unknown_operation},
        )
        faults = Faults(recorded(with_service_headers(app)))
        app.routes.extend(control.routes(self.azureml, self.monitor, faults))
        tokens = Starlette(routes=identity.routes(config))
        self._servers = (
            _listener(faults, config.ports.azure, config.server_cert, config.server_key),
            _listener(recorded(tokens), config.ports.identity),
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


class _Uvicorn(uvicorn.Server):
    """Leaves the signals to the process, which has two of these, and does not wait for idle clients."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Requests under way have a moment. Over TLS, an idle client would hold its connection for long."""
        asyncio.get_running_loop().call_later(_GRACE, self._abort_connections)
        await super().shutdown(sockets)

    def _abort_connections(self) -> None:
        for connection in list(self.server_state.connections):
            if connection.transport is not None:
                connection.transport.abort()


def _listener(app: ASGIApp, port: int, certificate: Path | None = None, key: Path | None = None) -> _Uvicorn:
    return _Uvicorn(
        uvicorn.Config(
            app,
            host="127.0.0.1",
            port=port,
            access_log=False,
            lifespan="off",
            log_config=None,
            log_level="warning",
            timeout_keep_alive=300,
            timeout_graceful_shutdown=5,
            ssl_certfile=certificate,
            ssl_keyfile=key,
        )
    )


async def _main(config: CloudConfig) -> None:
    grid = EventGrid(config, Path(config.state_dir, EVENTS_DATABASE))
    server = Server(config, grid, runners=Runners.from_environment(), more_routes=grid.routes)
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
    asyncio.run(_main(CloudConfig.load(arguments.config)))


if __name__ == "__main__":
    main()
