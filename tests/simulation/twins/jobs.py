"""Pipeline jobs and their child runs, which go by their fate, with an event for every change of status."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from shared.azureml.resources import Job, JobRequest
from tests.simulation.twins.progress import after
from tests.simulation.twins.refusals import invalid, not_found
from tests.simulation.twins.world import Event, Fate, Happening, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.simulation.twins.registry import Registry
    from tests.simulation.twins.world import World

TERMINAL = frozenset({"Completed", "Failed", "Canceled"})
_CHILD_UNTIL_RUNNING = ("NotStarted", "Preparing", "Queued", "Running")
_BEFORE_RUNNING = (("Preparing", 0.02), ("Queued", 0.03), ("Running", 0.05))
"""Status, and the share of the job's seconds after which it has it."""
_EVENT = "Microsoft.MachineLearningServices."


@dataclass
class ChildRun:
    id: str
    name: str
    status: str = "Running"


@dataclass
class JobState:
    """`requests` counts PUTs of this name, the refused ones included."""

    request: JobRequest
    created_at: datetime
    status: str = "NotStarted"
    error: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    children: list[ChildRun] = field(default_factory=list)
    requests: int = 1
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        return self.status in TERMINAL


class Jobs:
    def __init__(self, world: World, workspace_id: str, registry: Registry) -> None:
        self._world = world
        self._workspace_id = workspace_id
        self._registry = registry
        self._numbers = itertools.count(1)
        self.all: dict[str, JobState] = {}

    def submit(self, request: JobRequest) -> None:
        """A second time under one name: tags and display name are updated. Raises RefusedError."""
        existing = self.all.get(request.name)
        if existing is not None:
            self._update(existing, request)
            return
        given = {**request.inputs, **request.files, "mlflow_model_path": request.model_id}
        self._registry.check_job(request.component_id, request.model_id, given)
        copied = replace(request, files=dict(request.files), inputs=dict(request.inputs), tags=dict(request.tags))
        job = JobState(copied, self._world.now())
        self.all[request.name] = job
        self._tell_job(job)
        self._plan(job, self._world.draw(Happening.JOB, request.name))

    def get(self, name: str) -> Job | None:
        """Child runs are jobs too, of which nothing but the name can be told."""
        job = self.all.get(name)
        if job is not None:
            return Job(name, job.status, dict(job.request.tags), job.error, job.created_at)
        if any(child.id == name for other in self.all.values() for child in other.children):
            return Job(name, "Unknown", {})
        return None

    def metrics(self, name: str) -> dict[str, float]:
        """What it measured; known once it has completed."""
        job = self.all.get(name)
        return dict(job.metrics) if job is not None and job.status == "Completed" else {}

    def cancel(self, name: str) -> None:
        """Raises RefusedError for a job that ended or never was."""
        job = self.all.get(name)
        if job is None:
            raise not_found(f"Job {name} not found.")
        if job.ended:
            raise invalid(f"The pipeline run {name} is in terminal status, it can't be canceled.")
        if job.status == "CancelRequested":
            return
        self._set(job, "CancelRequested")
        fate = self._world.draw(Happening.CANCEL, name)
        if fate.outcome is not Outcome.HANG:
            after(self._world, fate.seconds, f"job {name} is canceled", lambda: self._end(job, "Canceled"))

    def _update(self, job: JobState, request: JobRequest) -> None:
        job.requests += 1
        old = job.request
        mutable = replace(request, tags=old.tags, display_name=old.display_name)
        if mutable != old:
            raise invalid(
                "A job with this name already exists. If you are trying to create a new job, use a different name."
            )
        job.request = replace(old, tags={**request.tags}, display_name=request.display_name)

    def _plan(self, job: JobState, fate: Fate) -> None:
        """Everything that will happen to it, unless it is canceled before."""
        job.metrics = fate.metrics
        for status, share in _BEFORE_RUNNING:
            self._later(job, fate.seconds * share, status, partial(self._set, job, status))
        at = _BEFORE_RUNNING[-1][1]
        for number, step in enumerate(fate.steps):
            last = number == len(fate.steps) - 1
            self._later(job, fate.seconds * at, step.name, partial(self._start_child, job, step.name))
            at += step.share
            if last and fate.outcome is not Outcome.SUCCEED:
                break
            self._later(job, fate.seconds * at, step.name, lambda: self._end_children(job, "Completed"))
        if fate.outcome is Outcome.SUCCEED:
            self._later(job, fate.seconds * 0.99, "Finalizing", lambda: self._set(job, "Finalizing"))
            self._later(job, fate.seconds, "Completed", lambda: self._end(job, "Completed"))
        elif fate.outcome is Outcome.FAIL or fate.seconds > 0:
            error = fate.reason or "the step ended with exit code 1"
            self._later(job, fate.seconds, "Failed", lambda: self._end(job, "Failed", error))

    def _later(self, job: JobState, seconds: float, what: str, happen: Callable[[], None]) -> None:
        def unless_over() -> None:
            if not job.ended and job.status != "CancelRequested":
                happen()

        after(self._world, seconds, f"job {job.request.name}: {what}", unless_over)

    def _set(self, job: JobState, status: str) -> None:
        job.status = status
        if status == "Running":
            job.started_at = self._world.now()
        self._tell_job(job)

    def _end(self, job: JobState, status: str, error: str = "") -> None:
        if job.ended:
            return
        self._end_children(job, status)
        job.error = error
        job.ended_at = self._world.now()
        self._set(job, status)

    def _start_child(self, job: JobState, name: str) -> None:
        child = ChildRun(f"{job.request.name}-child-{next(self._numbers)}", name)
        job.children.append(child)
        for status in _CHILD_UNTIL_RUNNING:
            self._tell_child(job, replace(child, status=status))

    def _end_children(self, job: JobState, status: str) -> None:
        for child in job.children:
            if child.status == "Running":
                child.status = status
                if status == "Completed":
                    self._tell_child(job, replace(child, status="Finalizing"))
                self._tell_child(job, child)

    def _tell_job(self, job: JobState) -> None:
        properties = {"azureml.runsource": "azureml.PipelineRun", "azureml.continue_on_step_failure": "False"}
        self._tell(job, job.request.name, job.status, "azureml.PipelineRun", dict(job.request.tags), properties)

    def _tell_child(self, job: JobState, child: ChildRun) -> None:
        tags = {"azureml.pipeline": job.request.name, "azureml.pipelinerunid": job.request.name}
        properties = {"azureml.runsource": "azureml.StepRun", "azureml.moduleName": child.name}
        self._tell(job, child.id, child.status, "azureml.StepRun", tags, properties)

    def _tell(
        self, job: JobState, run_id: str, status: str, kind: str, tags: dict[str, str], properties: dict[str, str]
    ) -> None:
        """RunStatusChanged for every status, RunCompleted before it for success only."""
        experiment = job.request.experiment_name
        data: dict[str, object] = {
            "experimentId": f"id-of-{experiment}",
            "experimentName": experiment,
            "runId": run_id,
            "runType": kind,
            "runTags": tags,
            "runProperties": properties,
        }
        if status == "Completed":
            self._emit("RunCompleted", run_id, data)
        self._emit("RunStatusChanged", run_id, {**data, "runStatus": status})

    def _emit(self, what: str, run_id: str, data: dict[str, object]) -> None:
        identity = f"run-{next(self._numbers)}"
        subject = f"experiments/{data['experimentId']}/runs/{run_id}"
        self._world.emit(Event(identity, self._workspace_id, _EVENT + what, subject, data, self._world.now()))
