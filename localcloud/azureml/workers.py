"""Scoring workers: a process per deployment that is called, on a port of its own, gone when the emulator is.

Deployments outnumber the processes that a machine can hold: only so many live at a time. The one that was not called
for the longest ends for a new one, and each that is idle for a while.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from localcloud.azureml.log_files import tail
from localcloud.processes import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from localcloud.azureml.runners import Runners
    from localcloud.config import Scoring

log = logging.getLogger(__name__)

START_DEADLINE = 180.0
"""Seconds until a worker must be healthy: importing torch on a busy machine takes a while."""

_POLL = 0.1
_GRACE = 3.0
_STARTS_AT_ONCE = 2


class WorkerError(Exception):
    """A worker did not become healthy. The message has the end of its log."""


@dataclass
class Worker:
    """`calls` are under way; `used` is when the last one began or ended, by time.monotonic."""

    process: asyncio.subprocess.Process
    port: int
    used: float
    calls: int = 0

    @property
    def is_alive(self) -> bool:
        return self.process.returncode is None

    async def dying(self) -> None:
        """Wait for its end, which comes a moment after its connections break; at most 3 s, for it may live on."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GRACE):
                await self.process.wait()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"


class Workers:
    def __init__(self, runners: Runners, limits: Scoring, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._command = runners.scoring
        self._limits = limits
        self._monotonic = monotonic
        self._workers: dict[str, Worker] = {}
        self._starts = asyncio.Semaphore(_STARTS_AT_ONCE)
        self.client = httpx.AsyncClient(trust_env=False, timeout=60)

    def get(self, key: str) -> Worker | None:
        worker = self._workers.get(key)
        return worker if worker is not None and worker.is_alive else None

    def running(self) -> list[str]:
        return list(self._workers)

    @contextlib.contextmanager
    def calling(self, worker: Worker) -> Iterator[None]:
        """While in it, the worker is not ended to make room."""
        worker.calls += 1
        worker.used = self._monotonic()
        try:
            yield
        finally:
            worker.calls -= 1
            worker.used = self._monotonic()

    async def launch(self, key: str, model: Path, log_file: Path) -> Worker:
        """Start a worker that takes over from the one of `key`. Raises WorkerError; then that one stays."""
        async with self._starts:
            await self._make_room(key)
            worker = await self._start(key, model, log_file)
            try:
                await self._until_healthy(worker, log_file)
            except BaseException:
                await _end(worker)
                raise
            former = self._workers.get(key)
            self._workers[key] = worker
            worker.used = self._monotonic()
        if former is not None:
            await _end(former)
        return worker

    async def stop_idle(self) -> None:
        """End those that nobody called for the configured time."""
        since = self._monotonic() - self._limits.idle_seconds
        for key, worker in list(self._workers.items()):
            if worker.calls == 0 and worker.used <= since:
                log.info("worker of %s: idle", key)
                await self.stop(key)

    async def _make_room(self, key: str) -> None:
        """For a worker of `key`. When all are at work there is one too many until the next start."""
        while len(self._workers.keys() | {key}) > self._limits.processes:
            unused = [other for other, worker in self._workers.items() if other != key and worker.calls == 0]
            if not unused:
                return
            await self.stop(min(unused, key=lambda other: self._workers[other].used))

    async def stop(self, key: str) -> None:
        worker = self._workers.pop(key, None)
        if worker is not None:
            await _end(worker)
            log.info("worker of %s: stopped", key)

    async def close(self) -> None:
        for key in self.running():
            await self.stop(key)
        await self.client.aclose()

    async def _start(self, key: str, model: Path, log_file: Path) -> Worker:
        port = _free_port()
        log_file.parent.mkdir(parents=True, exist_ok=True)
        with log_file.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                *("--model", str(model), "--port", str(port)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=die_with_parent,
                start_new_session=True,
            )
        log.info("worker of %s: pid %d on port %d", key, process.pid, port)
        return Worker(process, port, self._monotonic())

    async def _until_healthy(self, worker: Worker, log_file: Path) -> None:
        deadline = time.monotonic() + START_DEADLINE
        while time.monotonic() < deadline:
            if not worker.is_alive:
                raise WorkerError(
                    f"The container ended with exit code {worker.process.returncode}. "
                    f"The end of its log:\n{tail(log_file, 20)}"
                )
            with contextlib.suppress(httpx.HTTPError):
                answer = await self.client.get(worker.url("/health"), timeout=5)
                if answer.status_code == httpx.codes.OK:
                    return
            await asyncio.sleep(_POLL)
        raise WorkerError(
            f"The container was not healthy after {START_DEADLINE:.0f} s. The end of its log:\n{tail(log_file, 20)}"
        )


async def _end(worker: Worker) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        if not worker.is_alive:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(worker.process.pid, number)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(worker.process.wait(), _GRACE)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
