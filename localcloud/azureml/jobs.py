"""Pipeline jobs and the runs below them: state, immutability, and the events of every change of status."""

from __future__ import annotations

import logging
import re
import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from localcloud.azureml import errors
from localcloud.azureml.clock import iso
from localcloud.config import WORKSPACE_ID
from localcloud.store import Collection

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from localcloud.azureml.clock import Clock
    from localcloud.azureml.pipeline import Plan
    from localcloud.events import EventSink
    from localcloud.store import Store

log = logging.getLogger(__name__)

Status = Literal[
    "NotStarted",
    "Preparing",
    "Queued",
    "Running",
    "Finalizing",
    "CancelRequested",
    "Completed",
    "Failed",
    "Canceled",
]
TERMINAL = frozenset({"Completed", "Failed", "Canceled"})

_UNTIL_RUNNING: tuple[Status, ...] = ("NotStarted", "Preparing", "Queued", "Running")
"""What a child run goes through at once here, where its compute is there already."""

_NAME = re.compile(r"^[a-zA-Z0-9][a-zA-Z0-9\-_]{0,254}$")
_MUTABLE = frozenset({"description", "tags", "displayName", "properties", "isArchived"})
_EVENT = "Microsoft.MachineLearningServices."
_NAMESPACE = uuid.UUID("6f8c1a52-3d0e-4c55-9f0a-1b7f3d1f0b11")


@dataclass(frozen=True)
class Job:
    """`properties` is what the client sent; `outputs` maps its outputs to those of the component."""

    name: str
    properties: dict[str, Any]
    node: str
    outputs: dict[str, str]
    created: float
    modified: float
    status: Status = "NotStarted"
    started: float | None = None
    ended: float | None = None
    error_code: str | None = None
    error_message: str = ""
    error_cause: str = ""
    """What the failed step said."""
    total_steps: int | None = None
    """Optimisation steps of the training, once it reported them."""

    @property
    def is_terminal(self) -> bool:
        return self.status in TERMINAL

    @property
    def experiment(self) -> str:
        return str(self.properties.get("experimentName") or "Default")

    @property
    def experiment_id(self) -> str:
        return str(uuid.uuid5(_NAMESPACE, self.experiment))

    @property
    def tags(self) -> dict[str, str]:
        return self.properties.get("tags") or {}

    @property
    def is_archived(self) -> bool:
        return bool(self.properties.get("isArchived"))

    @property
    def run_properties(self) -> dict[str, str]:
        """What the service adds to a pipeline job's own properties."""
        added = {
            **(self.properties.get("properties") or {}),
            "azureml.DevPlatv2": "true",
            "azureml.runsource": "azureml.PipelineRun",
            "runSource": "MFE",
            "runType": "HTTP",
            "azureml.parameters": _text(self._literals),
            "azureml.continue_on_step_failure": "False",
            "azureml.continue_on_failed_optional_input": "True",
            "azureml.defaultDataStoreName": "workspaceblobstore",
            "azureml.pipelineComponent": "pipelinerun",
        }
        compute = (self.properties.get("settings") or {}).get("default_compute") or self.properties.get("computeId")
        if compute:
            added["azureml.defaultComputeName"] = str(compute).rpartition("/")[2]
        if self.status == "Completed" and self.started is not None and self.ended is not None:
            execution = {"StartTime": iso(self.started), "EndTime": iso(self.ended), "Status": "Finished"}
            stages = {"Initialization": None, "Execution": execution}
            added["azureml.pipelines.stages"] = _text(stages)
        return added

    @property
    def _literals(self) -> dict[str, str]:
        inputs: dict[str, dict[str, Any]] = self.properties.get("inputs") or {}
        return {
            name: str(given.get("value")) for name, given in inputs.items() if given.get("jobInputType") == "literal"
        }


@dataclass(frozen=True)
class Step:
    """A child run. `order` counts from 0."""

    job: str
    name: str
    run_id: str
    order: int
    status: Status
    started: float
    ended: float | None = None
    error_code: str | None = None
    error_message: str = ""

    @property
    def node_id(self) -> str:
        return self.run_id[:8]

    @property
    def tags(self) -> dict[str, str]:
        return {
            "azureml.pipeline": self.job,
            "azureml.pipelinerunid": self.job,
            "azureml.nodeid": self.node_id,
        }

    @property
    def run_properties(self) -> dict[str, str]:
        return {
            "azureml.runsource": "azureml.StepRun",
            "azureml.nodeid": self.node_id,
            "azureml.moduleName": self.name,
            "azureml.pipelinerunid": self.job,
            "stepType": "PythonScriptStep",
            "computeTargetType": "AmlCompute",
        }


@dataclass(frozen=True)
class Metric:
    """`at` of `total` optimisation steps; `time` is seconds since the epoch."""

    step: str
    name: str
    value: float
    at: int
    total: int
    time: float = field(default=0.0)


class Jobs:
    def __init__(self, store: Store, clock: Clock, events: EventSink, folder: Path) -> None:
        self._store = store
        self._clock = clock
        self._events = events
        self._folder = folder
        self._jobs = Collection(store, "jobs", Job)
        self._steps = Collection(store, "steps", Step, index=("run_id",))
        self._metrics = Collection(store, "metrics", Metric)

    def get(self, name: str) -> Job:
        """Raises UserError 404."""
        job = self._jobs.get(name)
        if job is None:
            raise errors.job_not_found(name)
        return job

    def find(self, name: str) -> Job | None:
        return self._jobs.get(name)

    def all(self) -> list[Job]:
        """Newest first."""
        return sorted(self._jobs.all(), key=lambda job: job.created, reverse=True)

    def submit(self, name: str, properties: dict[str, Any], plan: Plan) -> Job:
        """Raises UserError for a name against the rules."""
        if not _NAME.match(name):
            raise errors.invalid_name("Job", name)
        now = self._clock.now()
        job = Job(name, properties, plan.node, dict(plan.outputs), created=now, modified=now)
        self._jobs.put(name, job)
        log.info("job %s: submitted", name)
        self._publish_job(job)
        return job

    def update(self, job: Job, properties: Mapping[str, Any]) -> Job:
        """A second PUT of the same name. Raises UserError when it is not the same job."""
        changed = sorted(
            key
            for key in {*job.properties, *properties} - _MUTABLE
            if _without_nulls(job.properties.get(key)) != _without_nulls(properties.get(key))
        )
        if changed:
            raise errors.job_immutable(changed)
        return self.modify(job.name, properties)

    def modify(self, name: str, properties: Mapping[str, Any]) -> Job:
        """Set mutable properties; those that are not mutable are left alone. Raises UserError 404."""
        job = self.get(name)
        mutable = {key: value for key, value in properties.items() if key in _MUTABLE and value is not None}
        modified = replace(job, properties={**job.properties, **mutable}, modified=self._clock.now())
        self._jobs.put(name, modified)
        return modified

    def begin_attempt(self, name: str) -> None:
        """Forget the child runs and metrics of an attempt that a restart of the emulator cut off."""
        with self._store.transaction():
            self._steps.delete_prefix(f"{name}/")
            self._metrics.delete_prefix(f"{name}/")
            self._jobs.put(name, replace(self.get(name), status="NotStarted", started=None, total_steps=None))

    def set_status(
        self, name: str, status: Status, *, error_code: str | None = None, error: str = "", cause: str = ""
    ) -> Job:
        """Nothing leaves a terminal status."""
        job = self.get(name)
        if job.is_terminal or job.status == status:
            return job
        now = self._clock.now()
        job = replace(
            job,
            status=status,
            modified=now,
            started=now if status == "Running" else job.started,
            ended=now if status in TERMINAL else None,
            error_code=error_code,
            error_message=error,
            error_cause=cause,
        )
        self._jobs.put(name, job)
        log.info("job %s: %s", name, status)
        self._publish_job(job)
        return job

    def steps(self, name: str) -> list[Step]:
        return self._steps.all(f"{name}/")

    def find_step(self, run_id: str) -> Step | None:
        return next(iter(self._steps.where("run_id", run_id)), None)

    def start_step(self, name: str, step_name: str) -> None:
        order = len(self.steps(name))
        step = Step(name, step_name, str(uuid.uuid4()), order, "Running", self._clock.now())
        self._steps.put(_step_key(step), step)
        for status in _UNTIL_RUNNING:
            self._publish_step(self.get(name), replace(step, status=status))

    def end_step(self, name: str, step_name: str, status: Status, code: str | None = None, error: str = "") -> None:
        step = next((s for s in self.steps(name) if s.name == step_name and s.ended is None), None)
        if step is None:
            log.warning("job %s: step %s ended without a start", name, step_name)
            return
        ended = replace(step, status=status, ended=self._clock.now(), error_code=code, error_message=error)
        self._steps.put(_step_key(step), ended)
        if status == "Completed":
            self._publish_step(self.get(name), replace(ended, status="Finalizing"))
        self._publish_step(self.get(name), ended)

    def metrics(self, name: str) -> list[Metric]:
        return self._metrics.all(f"{name}/")

    def add_metric(self, name: str, metric: Metric, number: int) -> None:
        """`number` orders the metrics of a job."""
        self._metrics.put(f"{name}/{number:08d}", replace(metric, time=self._clock.now()))
        job = self.get(name)
        if metric.total and job.total_steps != metric.total:
            self._jobs.put(name, replace(job, total_steps=metric.total))

    def folder(self, name: str) -> Path:
        return self._folder / name

    def log_file(self, name: str) -> Path:
        return self.folder(name) / "executionlogs.txt"

    def output_folder(self, job: Job, output: str) -> Path | None:
        """Where an output of a job lies; None when the job has no such output."""
        bound = job.outputs.get(output)
        return None if bound is None else self.folder(job.name) / "outputs" / bound

    def _publish_job(self, job: Job) -> None:
        self._publish(
            job,
            job.status,
            job.name,
            {"runType": "azureml.PipelineRun", "runTags": job.tags, "runProperties": job.run_properties},
        )

    def _publish_step(self, job: Job, step: Step) -> None:
        self._publish(
            job,
            step.status,
            step.run_id,
            {"runType": "azureml.StepRun", "runTags": step.tags, "runProperties": step.run_properties},
        )

    def _publish(self, job: Job, status: Status, run_id: str, run: Mapping[str, object]) -> None:
        """RunStatusChanged for every status, and RunCompleted for success only, as the service does."""
        subject = f"experiments/{job.experiment_id}/runs/{run_id}"
        data = {
            "experimentId": job.experiment_id,
            "experimentName": job.experiment,
            "runId": run_id,
            **run,
        }
        if status == "Completed":
            self._events.publish(WORKSPACE_ID, f"{_EVENT}RunCompleted", subject, data)
        self._events.publish(WORKSPACE_ID, f"{_EVENT}RunStatusChanged", subject, {**data, "runStatus": status})


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _step_key(step: Step) -> str:
    return f"{step.job}/{step.order:04d}"


def _without_nulls(value: Any) -> Any:
    """Absent, null and empty are the same to the service."""
    if isinstance(value, dict):
        kept = {key: _without_nulls(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item is not None} or None
    return value
