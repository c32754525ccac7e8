"""Timer triggers: one listener per function, one run at a time, on one host at a time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from azure.core.exceptions import AzureError

from localcloud.functions.engine import FunctionFailedError
from localcloud.functions.timer_status import TimerStatus, TimerStatusStore
from localcloud.functions.typed_data import InputData, Text, as_json

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from localcloud.functions.metadata import FunctionMetadata
    from localcloud.functions.runner import FunctionRunner
    from localcloud.functions.schedule import Schedule
    from localcloud.functions.singleton import SingletonLock

log = logging.getLogger(__name__)

_LONGEST_SLEEP = 60.0
_REASON = "Timer fired"


async def run_timer(
    runner: FunctionRunner,
    function: FunctionMetadata,
    now: datetime,
    status: TimerStatus | None,
    past_due: bool,
) -> None:
    """Raises FunctionFailedError."""
    info = as_json(
        {
            "Schedule": {"AdjustForDST": True},
            "ScheduleStatus": status.serialise() if status is not None else None,
            "IsPastDue": past_due,
        }
    )
    metadata: dict[str, InputData] = {"TimerTrigger": Text(now.strftime("%m/%d/%Y %H:%M:%S"))}
    await runner.run(function, {function.trigger.name: info}, metadata, _REASON)


class TimerListener:
    """`store` is None when the schedule is not monitored. `clock` tells the time in UTC."""

    def __init__(
        self,
        function: FunctionMetadata,
        schedule: Schedule,
        store: TimerStatusStore | None,
        lock: SingletonLock,
        runner: FunctionRunner,
        clock: Callable[[], datetime],
    ) -> None:
        self._function = function
        self._schedule = schedule
        self._store = store
        self._lock = lock
        self._runner = runner
        self._clock = clock
        self._run_on_startup = function.trigger.flag("runOnStartup", default=False)
        self._status: TimerStatus | None = None
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._listen())

    def stop(self) -> None:
        """Fire no more. A run in progress goes on; see `drain`."""
        self._stop.set()

    async def drain(self) -> None:
        """Wait for the run in progress, then give the lock to other hosts."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def _listen(self) -> None:
        try:
            while await self._lock.acquire(self._stop):
                try:
                    await self._fire_while_locked()
                finally:
                    await self._lock.release()
        except Exception:
            log.exception("the listener of the timer '%s' ended", self._function.name)

    async def _fire_while_locked(self) -> None:
        past_due = await self._check_past_due()
        if past_due or self._run_on_startup:
            self._run_on_startup = False
            await self._fire(past_due)
        due = self._schedule.next_after(self._clock())
        while await self._sleep_until(due):
            await self._fire(past_due=False)
            # From the planned time too: a clock that was set back must not fire the same occurrence twice.
            due = self._schedule.next_after(max(self._clock(), due))

    async def _check_past_due(self) -> bool:
        if self._store is None:
            return False
        now = self._clock()
        found = await self._stored(self._store)
        status = TimerStatus.initial(self._schedule, now) if found is None else found.rescheduled(self._schedule)
        self._status = status
        if status != found:
            await self._save(self._store, status)
        if status.next >= now:
            return False
        log.info("the timer '%s' is past due since %s", self._function.name, status.next.isoformat())
        return True

    async def _fire(self, past_due: bool) -> None:
        started = self._clock()
        # The runner has logged a failure; the timer then waits for its next occurrence.
        with contextlib.suppress(FunctionFailedError):
            await run_timer(self._runner, self._function, started, self._status, past_due)
        if self._store is not None and self._status is not None:
            self._status = self._status.after_run(self._schedule, started)
            await self._save(self._store, self._status)

    async def _sleep_until(self, due: datetime) -> bool:
        """False when the listener stops or loses its lock. Sleeps are short to follow a clock that is set."""
        while True:
            remaining = (due - self._clock()).total_seconds()
            if self._stop.is_set() or self._lock.lost.is_set():
                return False
            if remaining <= 0:
                return True
            await _first_of(self._stop.wait(), self._lock.lost.wait(), timeout=min(remaining, _LONGEST_SLEEP))

    async def _stored(self, store: TimerStatusStore) -> TimerStatus | None:
        try:
            return await asyncio.to_thread(store.read)
        except AzureError as error:
            log.error("cannot read the status of the timer '%s': %s", self._function.name, error)
            return None

    async def _save(self, store: TimerStatusStore, status: TimerStatus) -> None:
        try:
            await asyncio.to_thread(store.write, status)
        except AzureError as error:
            log.error("cannot write the status of the timer '%s': %s", self._function.name, error)


async def _first_of(*waits: Awaitable[object], timeout: float) -> None:
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
