"""Runs the jobs: each is driven by one task from NotStarted to its end; one trains at a time.

The program of a component is called with `--job FILE`, a JSON object: `inputs` (literals, and paths of assets),
`outputs` (folders that exist, to be filled), `work_dir`, and `fast` (do as little as possible). It prints one JSON
object per line: `type` is step_started, step_completed, step_failed (with `code` and `message`) or metric (with `name`,
`value`, `at`, `total`), all have `step`. Its standard error is the log. Its exit code is 0 only if the model is in the
output folders.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import shutil
import signal
from typing import TYPE_CHECKING, Any

from localcloud.azureml.inputs import InputError
from localcloud.azureml.jobs import Metric
from localcloud.azureml.log_files import tail
from localcloud.azureml.pipeline import plan
from localcloud.http import CloudError
from localcloud.processes import die_with_parent

if TYPE_CHECKING:
    from localcloud.azureml.clock import Clock
    from localcloud.azureml.computes import Computes
    from localcloud.azureml.inputs import Inputs
    from localcloud.azureml.jobs import Jobs
    from localcloud.azureml.pipeline import Plan
    from localcloud.azureml.registry import Registry
    from localcloud.azureml.runners import Runners
    from localcloud.config import CloudConfig

log = logging.getLogger(__name__)

_LONGEST_LINE = 4 * 1024 * 1024
_GRACE = 3.0


class StepError(Exception):
    """The training said why, or ended without saying so."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Executor:
    def __init__(
        self,
        config: CloudConfig,
        clock: Clock,
        jobs: Jobs,
        registry: Registry,
        inputs: Inputs,
        computes: Computes,
        runners: Runners,
    ) -> None:
        self._config = config
        self._clock = clock
        self._jobs = jobs
        self._registry = registry
        self._inputs = inputs
        self._computes = computes
        self._runners = runners
        self._compute = asyncio.Lock()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def resume(self) -> None:
        """Run again what was not finished when the emulator ended, oldest first."""
        for job in reversed(self._jobs.all()):
            if job.status == "CancelRequested":
                self._jobs.set_status(job.name, "Canceled")
            elif not job.is_terminal:
                log.info("job %s: runs again after a restart, it was %s", job.name, job.status)
                self._jobs.begin_attempt(job.name)
                self.start(job.name)

    def start(self, name: str) -> None:
        task = asyncio.create_task(self._drive(name), name=f"job {name}")
        self._tasks[name] = task
        task.add_done_callback(lambda _: self._ended(name))

    def cancel(self, name: str) -> None:
        """The job must not be terminal."""
        self._jobs.set_status(name, "CancelRequested")
        task = self._tasks.get(name)
        if task is None:
            self._jobs.set_status(name, "Canceled")
        else:
            task.cancel()

    def driven(self) -> frozenset[str]:
        """Names of the jobs that are under way."""
        return frozenset(self._tasks)

    async def close(self) -> None:
        """Stop all trainings; their jobs stay unfinished and run again after a restart."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _drive(self, name: str) -> None:
        try:
            await self._run(name)
        except StepError as error:
            self._fail(name, error)
        except (InputError, CloudError) as error:
            self._jobs.set_status(name, "Failed", error_code=error.code, error=error.message)
        except Exception:
            log.exception("job %s: the emulator failed", name)
            self._jobs.set_status(
                name, "Failed", error_code="SystemError", error="The local cloud failed to run this job."
            )

    def _ended(self, name: str) -> None:
        """Also for a task that was cancelled before its first line ran."""
        del self._tasks[name]
        if self._jobs.get(name).status == "CancelRequested":
            self._end_open_steps(name, "Canceled")
            self._jobs.set_status(name, "Canceled")

    async def _run(self, name: str) -> None:
        job = self._jobs.get(name)
        todo = plan(job.properties, self._registry)
        waiting = self._config.durations.job_queue / 2
        await self._clock.sleep(self._clock.scaled(waiting))
        self._jobs.set_status(name, "Preparing")
        folder = self._jobs.folder(name)
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        await self._clock.sleep(self._clock.scaled(waiting))
        self._jobs.set_status(name, "Queued")
        async with self._compute:
            self._jobs.set_status(name, "Running")
            self._computes.require_of_inputs(todo.literals)
            paths = {
                key: str(await self._inputs.fetch(key, uri, folder / "inputs")) for key, uri in todo.assets.items()
            }
            await self._train(name, todo, paths)
        self._jobs.set_status(name, "Finalizing")
        self._jobs.set_status(name, "Completed")

    async def _train(self, name: str, todo: Plan, paths: dict[str, str]) -> None:
        folder = self._jobs.folder(name)
        component = self._registry.component(todo.component, todo.version)
        outputs = {output: folder / "outputs" / output for output in component.outputs}
        work_dir = folder / "work"
        for path in (*outputs.values(), work_dir):
            path.mkdir(parents=True, exist_ok=True)
        order = folder / "job.json"
        order.write_text(
            json.dumps(
                {
                    "inputs": {**todo.literals, **paths},
                    "outputs": {output: str(path) for output, path in outputs.items()},
                    "work_dir": str(work_dir),
                    "fast": self._config.fast_training,
                },
                indent=1,
            )
        )
        with self._jobs.log_file(name).open("ab") as log_file:
            process = await asyncio.create_subprocess_exec(
                *(component.command or self._runners.training),
                *("--job", str(order)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log_file,
                limit=_LONGEST_LINE,
                preexec_fn=die_with_parent,
                start_new_session=True,
            )
        try:
            await self._follow(name, process)
        finally:
            await _end(process)

    async def _follow(self, name: str, process: asyncio.subprocess.Process) -> None:
        """Turn what the training prints into child runs and metrics. Raises StepError when it fails."""
        assert process.stdout is not None
        failure: StepError | None = None
        number = 0
        async for line in process.stdout:
            event = _parsed(line)
            match event.get("type"):
                case "step_started":
                    self._jobs.start_step(name, event["step"])
                case "step_completed":
                    self._jobs.end_step(name, event["step"], "Completed")
                case "step_failed":
                    failure = StepError(event["code"], event["message"])
                    self._jobs.end_step(name, event["step"], "Failed", failure.code, failure.message)
                case "metric":
                    self._jobs.add_metric(name, _metric(event), number)
                    number += 1
        code = await process.wait()
        if failure is not None:
            raise failure
        if code != 0:
            end = tail(self._jobs.log_file(name), 5)
            raise StepError("SystemError", f"The training process ended with exit code {code}. {end}".strip())

    def _fail(self, name: str, error: StepError) -> None:
        """The root run's message is generic, as the service's is; the cause stands at the child run."""
        self._end_open_steps(name, "Failed", error)
        failed = [step.name for step in self._jobs.steps(name) if step.status == "Failed"]
        node = self._jobs.get(name).node
        nodes = ", ".join(f"/{node}/{step}" for step in failed) or f"/{node}"
        self._jobs.set_status(
            name,
            "Failed",
            error_code=error.code,
            error=f"Pipeline has failed child jobs. Failed nodes: {nodes}. For more details and logs, "
            "please go to the job detail page and check the child jobs.",
            cause=error.message,
        )

    def _end_open_steps(self, name: str, status: Any, error: StepError | None = None) -> None:
        for step in self._jobs.steps(name):
            if step.ended is None:
                self._jobs.end_step(
                    name, step.name, status, error.code if error else None, error.message if error else ""
                )


def _parsed(line: bytes) -> dict[str, Any]:
    """Libraries print to stdout too: what is not an event is nothing."""
    try:
        event = json.loads(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}


def _metric(event: dict[str, Any]) -> Metric:
    return Metric(
        step=str(event["step"]),
        name=str(event["name"]),
        value=float(event["value"]),
        at=int(event["at"]),
        total=int(event["total"]),
    )


async def _end(process: asyncio.subprocess.Process) -> None:
    """SIGTERM, then SIGKILL, to it and what it started. Nothing when it has ended."""
    if process.returncode is not None:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _GRACE)
            return
