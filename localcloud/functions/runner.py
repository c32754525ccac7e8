"""One execution of a function as the host sees it: invoke, write the outputs, log, time out, retry."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
import uuid
from typing import TYPE_CHECKING

from localcloud.functions.engine import Engine, FunctionFailedError, Invocation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from localcloud.functions.metadata import FunctionMetadata
    from localcloud.functions.output_bindings import OutputBindings
    from localcloud.functions.typed_data import InputData, Metadata, OutputData

log = logging.getLogger(__name__)


class FunctionRunner:
    """`timeout` is functionTimeout in seconds, None for unbounded."""

    def __init__(
        self,
        engine: Engine,
        outputs: OutputBindings,
        timeout: float | None,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self._engine = engine
        self._outputs = outputs
        self._timeout = timeout
        self._new_id = new_id
        self._running: dict[str, str] = {}

    @property
    def running(self) -> Mapping[str, str]:
        """Function name by invocation id. Safe to read from any thread."""
        return self._running

    def new_id(self) -> str:
        """For an invocation that is named before it runs."""
        return self._new_id()

    async def run(
        self,
        function: FunctionMetadata,
        inputs: Mapping[str, InputData],
        metadata: Metadata,
        reason: str,
        invocation_id: str = "",
    ) -> Mapping[str, OutputData]:
        """Retries as the function's retry policy says, which the host honours for timers only.

        Raises FunctionFailedError, which is already logged.
        """
        policy = function.retry if function.trigger.type == "timerTrigger" else None
        retries = policy.max_retry_count if policy is not None else 0
        retry = 0
        while True:
            chosen = invocation_id or self._new_id()
            invocation = Invocation(chosen, function.name, inputs, metadata, retry, max(retries, 0))
            try:
                return await self._attempt(function, invocation, reason)
            except FunctionFailedError:
                if policy is None or 0 <= retries <= retry:
                    raise
                retry += 1
                log.info("Waiting for the retry %d of '%s'", retry, function.name)
                await asyncio.sleep(policy.delay(retry))

    async def _attempt(
        self, function: FunctionMetadata, invocation: Invocation, reason: str
    ) -> Mapping[str, OutputData]:
        log.info("Executing 'Functions.%s' (Reason='%s', Id=%s)", function.name, reason, invocation.id)
        started = time.monotonic()
        self._running[invocation.id] = function.name
        try:
            outputs = await self._invoke(function, invocation)
            await self._outputs.write(function, outputs, invocation.metadata)
        except FunctionFailedError as error:
            self._log_failure(function, invocation, started, error.stack_trace)
            raise
        except Exception as error:
            trace = "".join(traceback.format_exception(error))
            self._log_failure(function, invocation, started, trace)
            raise FunctionFailedError(f"{type(error).__name__}: {error}", trace) from error
        finally:
            del self._running[invocation.id]
        log.info(
            "Executed 'Functions.%s' (Succeeded, Id=%s, Duration=%.0fms)",
            function.name,
            invocation.id,
            1000 * (time.monotonic() - started),
        )
        return outputs

    async def _invoke(self, function: FunctionMetadata, invocation: Invocation) -> Mapping[str, OutputData]:
        task = asyncio.ensure_future(self._engine.invoke(invocation))
        done, _ = await asyncio.wait({task}, timeout=self._timeout)
        if not done:
            # The real host ends the worker process here, with all its invocations; a thread can not be ended.
            log.error(
                "Timeout value of %s s exceeded by function 'Functions.%s' (Id: '%s'). "
                "Azure would now restart the worker process; this host lets it run on.",
                self._timeout,
                function.name,
                invocation.id,
            )
        return await task

    def _log_failure(self, function: FunctionMetadata, invocation: Invocation, started: float, trace: str) -> None:
        log.error(
            "Executed 'Functions.%s' (Failed, Id=%s, Duration=%.0fms)\n%s",
            function.name,
            invocation.id,
            1000 * (time.monotonic() - started),
            trace.rstrip(),
        )
