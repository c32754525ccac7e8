"""Runs one host in this process until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import uvicorn

from localcloud.functions.app_settings import SettingsError, load_settings
from localcloud.functions.connections import HOST_STORAGE, MissingConnectionError, find_endpoint
from localcloud.functions.engine import Engine, EngineName, load_engine
from localcloud.functions.host import Host
from localcloud.functions.host_json import HostJson, load_host_json
from localcloud.functions.host_log import log_functions, name_invocations
from localcloud.functions.keys import Keys, load_keys
from localcloud.functions.state import HostIdentity, StateDirectory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

log = logging.getLogger(__name__)

_STORAGE_THREADS = 32
_STATELESS_TRIGGERS = ("httpTrigger", "eventGridTrigger")
_AZURE_MARKERS = ("CONTAINER_NAME", "WEBSITE_INSTANCE_ID")


@dataclass(frozen=True)
class Options:
    """`message_lease` and `grace` are in seconds; `port` is on 127.0.0.1."""

    app: Path
    port: int
    settings: Path
    keys: Path
    state: Path
    engine: EngineName = "sdk"
    message_lease: int = 600
    grace: float = 5.0


@dataclass(frozen=True)
class Prepared:
    """Everything that can fail for a wrong option has been done."""

    options: Options
    engine: Engine
    config: HostJson
    keys: Keys
    identity: HostIdentity
    state: StateDirectory
    socket: socket.socket


def prepare(options: Options) -> Prepared:
    """Sets the environment, then imports the app. Raises SettingsError, IndexingError."""
    state = StateDirectory(options.state)
    settings = load_settings(options.settings)
    _become_the_worker(options.app, settings)
    config = load_host_json(options.app / "host.json", os.environ)
    keys = load_keys(options.keys)
    listening = bind(options.port)
    engine = load_engine(options.engine, options.app)
    _check_host_storage(engine)
    return Prepared(
        options=options,
        engine=engine,
        config=config,
        keys=keys,
        identity=state.identity(options.app, os.environ),
        state=state,
        socket=listening,
    )


def _become_the_worker(app: Path, settings: dict[str, str]) -> None:
    for name in _AZURE_MARKERS:  # of whatever container this runs in: the worker would take it for Azure
        os.environ.pop(name, None)
    os.environ.update(settings)
    os.chdir(app)


def _check_host_storage(engine: Engine) -> None:
    if all(function.trigger.type in _STATELESS_TRIGGERS for function in engine.functions):
        return
    try:
        find_endpoint(HOST_STORAGE, "blob", os.environ)
        find_endpoint(HOST_STORAGE, "queue", os.environ)
    except MissingConnectionError as error:
        raise SettingsError(f"the host needs its storage: {error}") from error


def bind(port: int) -> socket.socket:
    """Bound but not listening: callers are refused until the host can answer."""
    # With protocol 0, asyncio would not turn Nagle's algorithm off, and each answer would wait 40 ms.
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(("127.0.0.1", port))
    except OSError as error:
        bound.close()
        raise SettingsError(f"port {port} is in use") from error
    return bound


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The host handles signals: its listeners must stop before the server does."""
        yield


async def serve(prepared: Prepared) -> bool:
    """Returns after a graceful stop; False when something did not end in time."""
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(_STORAGE_THREADS, thread_name_prefix="storage"))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    options = prepared.options
    host = Host(prepared.engine, prepared.config, os.environ, prepared.keys, prepared.identity, options.message_lease)
    name_invocations(prepared.engine.current_invocation, host.runner.running)
    base_url = f"http://127.0.0.1:{prepared.socket.getsockname()[1]}"
    log_functions(host.functions, host.errors, base_url, prepared.config.route_prefix)
    server = _Server(
        uvicorn.Config(
            host.app,
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=max(1, round(options.grace)),
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[prepared.socket]))
    host.start()
    log.info("Host '%s' started on %s", prepared.identity.id, base_url)
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    log.info("Host is stopping; %d functions are running", len(host.runner.running))
    server.should_exit = True
    host.stop()
    drained = await host.drain(options.grace)
    await serving
    log.info("Host stopped")
    return drained and not host.runner.running
