"""What the tests of the local Event Grid share: a webhook that remembers, and a grid that runs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.applications import Starlette

from localcloud import identity
from localcloud.certs import ensure_certificates
from localcloud.config import WORKSPACE_ID, CloudConfig, EventSubscription
from localcloud.eventgrid import EventGrid
from localcloud.eventgrid.store import Store
from localcloud.ports import allot_ports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from localcloud.eventgrid.store import EventRecord


@dataclass(frozen=True)
class Received:
    method: str
    headers: Mapping[str, str]
    body: Any
    at: float

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = self.body[0] if isinstance(self.body, list) else self.body
        return event


@dataclass
class Webhook:
    """An endpoint that validates itself while `willing`; answers notifications with `statuses`, then 200.

    A `manual` one takes part in no handshake: its answers say nothing. `delays` are seconds before an answer.
    """

    willing: bool = True
    manual: bool = False
    delays: list[float] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    url: str = ""

    @property
    def notifications(self) -> list[Received]:
        return [r for r in self.received if r.headers.get("aeg-event-type") == "Notification"]

    @property
    def handshakes(self) -> list[Received]:
        return [r for r in self.received if r not in self.notifications]

    def answer(self, request: Received) -> tuple[int, dict[str, str], bytes]:
        self.received.append(request)
        if self.manual and request not in self.notifications:
            return 200, {}, b""
        if request.method == "OPTIONS":
            return (200, {"WebHook-Allowed-Origin": "*"}, b"") if self.willing else (403, {}, b"")
        if request.headers.get("aeg-event-type") == "SubscriptionValidation":
            code = request.event["data"]["validationCode"]
            return (200 if self.willing else 404), {}, json.dumps({"validationResponse": code}).encode()
        status = self.statuses.pop(0) if self.statuses else 200
        if self.delays:
            time.sleep(self.delays.pop(0))
        return status, {}, b""

    @property
    def events(self) -> list[dict[str, Any]]:
        """All that were delivered, in batches or alone."""
        bodies = [r.body if isinstance(r.body, list) else [r.body] for r in self.notifications]
        return [event for body in bodies for event in body]


@contextlib.contextmanager
def webhook(**settings: Any) -> Iterator[Webhook]:
    hook = Webhook(**settings)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            content = json.loads(body) if body else None
            status, extra, answer = hook.answer(Received(self.command, headers, content, time.monotonic()))
            self.send_response(status)
            for name, value in {**extra, "content-length": str(len(answer))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

        do_OPTIONS = do_POST

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        hook.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield hook
        finally:
            server.shutdown()
            thread.join()


def new_config(state: Path, *subscriptions: EventSubscription, scale: float = 0.001) -> CloudConfig:
    """`scale` 0.001 makes the first retry come after 10 ms."""
    ensure_certificates(state)
    return CloudConfig(
        str(state),
        allot_ports(state),
        identity_header="secret",
        models=(),
        event_subscriptions=subscriptions,
        custom_topics=("lifecycle",),
        event_retry_scale=scale,
    )


def subscription(hook: Webhook, **settings: Any) -> EventSubscription:
    return replace(EventSubscription("sub", WORKSPACE_ID, hook.url), **settings)


@contextlib.contextmanager
def running(config: CloudConfig, *, serve: bool = False, clock: Callable[[], float] = time.time) -> Iterator[EventGrid]:
    """Run a grid on this state dir's database; `serve` also serves its routes and the identity endpoint."""
    grid = EventGrid(config, Path(config.state_dir, "eventgrid.db"), clock=clock)
    started = threading.Event()
    loop = asyncio.new_event_loop()
    end = asyncio.Event()

    async def main() -> None:
        servers = _servers(config, grid) if serve else []
        tasks = [asyncio.create_task(server.serve()) for server in servers]
        grid_task = asyncio.create_task(grid.run())
        while not all(server.started for server in servers):
            await asyncio.sleep(0.01)
        started.set()
        ended = asyncio.create_task(end.wait())
        await asyncio.wait([grid_task, ended], return_when=asyncio.FIRST_COMPLETED)
        for server in servers:
            server.should_exit = True
            for connection in list(server.server_state.connections):  # a refused SDK client leaves its one open
                connection.transport.abort()
        await asyncio.gather(*tasks)
        grid_task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await grid_task

    thread = threading.Thread(target=lambda: loop.run_until_complete(main()))
    thread.start()
    try:
        assert started.wait(10)
        yield grid
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join()
        loop.close()
        grid.close()


def _servers(config: CloudConfig, grid: EventGrid) -> list[uvicorn.Server]:
    azure = uvicorn.Config(
        Starlette(routes=grid.routes),
        port=config.ports.azure,
        ssl_certfile=config.server_cert,
        ssl_keyfile=str(config.server_key),
        log_level="warning",
    )
    msi = uvicorn.Config(Starlette(routes=identity.routes(config)), port=config.ports.identity, log_level="warning")
    return [uvicorn.Server(azure), uvicorn.Server(msi)]


def records(config: CloudConfig) -> list[EventRecord]:
    store = Store(Path(config.state_dir, "eventgrid.db"))
    try:
        return store.since(0, 1000)
    finally:
        store.close()


def until(condition: Callable[[], bool], otherwise: str, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.01)
