"""States that the emulated cloud must never be in, whatever was killed or injected: found by looking at all of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from localcloud.azureml.endpoints import Deployment, Endpoint
from localcloud.azureml.jobs import Job, Step
from localcloud.azureml.models import ModelVersion
from localcloud.azureml.operations import Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from _typeshed import DataclassInstance

    from localcloud.azureml import AzureML

    Record = TypeVar("Record", bound=DataclassInstance)
else:
    Record = TypeVar("Record")


@dataclass(frozen=True)
class Facts:
    """The rows by key. `driven`: names of jobs, `coming_up`: keys of deployments, that something works on."""

    endpoints: Mapping[str, Endpoint]
    deployments: Mapping[str, Deployment]
    deleted_endpoints: Mapping[str, Endpoint]
    deleted_deployments: Mapping[str, Deployment]
    operations: Mapping[str, Operation]
    jobs: Mapping[str, Job]
    steps: Mapping[str, Step]
    models: Mapping[str, ModelVersion]
    driven: frozenset[str]
    coming_up: frozenset[str]
    output_folder: Callable[[Job, str], Path | None]

    def of_endpoint(self, name: str) -> list[Deployment]:
        return [deployment for deployment in self.deployments.values() if deployment.endpoint == name]


def facts_of(azureml: AzureML) -> Facts:
    """As of now: what was due has been settled. Then the rows are read as they are, because time goes on."""
    for identifier in _rows(azureml, "operations", Operation):
        azureml.operations.look(identifier)
    azureml.endpoints.settle()
    return Facts(
        endpoints=_rows(azureml, "endpoints", Endpoint),
        deployments=_rows(azureml, "deployments", Deployment),
        deleted_endpoints=_rows(azureml, "deleted_endpoints", Endpoint),
        deleted_deployments=_rows(azureml, "deleted_deployments", Deployment),
        operations=_rows(azureml, "operations", Operation),
        jobs=_rows(azureml, "jobs", Job),
        steps=_rows(azureml, "steps", Step),
        models=_rows(azureml, "models", ModelVersion),
        driven=azureml.executor.driven(),
        coming_up=azureml.serving.coming_up(),
        output_folder=azureml.jobs.output_folder,
    )


def impossible_states(facts: Facts) -> list[str]:
    """One sentence for each; empty when all is well."""
    checks = (_names, _endpoints, _deployments, _operations, _history, _jobs, _steps, _models)
    return [sentence for check in checks for sentence in check(facts)]


def _names(facts: Facts) -> Iterator[str]:
    """Azure compares names without case."""
    for kind, rows in (("endpoint", facts.endpoints), ("deployment", facts.deployments), ("job", facts.jobs)):
        for key, count in Counter(key.lower() for key in rows).items():
            if count > 1:
                yield f"{count} {kind}s are named {key}"
    for key, endpoint in facts.endpoints.items():
        if key != endpoint.name:
            yield f"endpoint {endpoint.name} is stored as {key}"
    for key, deployment in facts.deployments.items():
        if key != deployment.key:
            yield f"deployment {deployment.key} is stored as {key}"


def _endpoints(facts: Facts) -> Iterator[str]:
    for name, endpoint in facts.endpoints.items():
        own = facts.of_endpoint(name)
        unknown = sorted(set(endpoint.traffic) - {deployment.name for deployment in own})
        if unknown:
            yield f"endpoint {name} sends traffic to unknown deployments {', '.join(unknown)}"
        if sum(endpoint.traffic.values()) not in (0, 100) and not _any_open(facts, own):
            yield f"the traffic of endpoint {name} sums to {sum(endpoint.traffic.values())}"
        yield from _its_operation(facts, f"endpoint {name}", endpoint)
        resources: list[Endpoint | Deployment] = [endpoint, *own]
        busy = {resource.operation for resource in resources if _any_open(facts, [resource])}
        if len(busy) > 1:
            yield f"endpoint {name} has {len(busy)} operations at the same time"


def _deployments(facts: Facts) -> Iterator[str]:
    for key, deployment in facts.deployments.items():
        if deployment.endpoint not in facts.endpoints:
            yield f"deployment {key} has no endpoint"
        yield from _its_operation(facts, f"deployment {key}", deployment)
        operation = facts.operations.get(deployment.operation)
        if operation is None or deployment.pending == "Deleting":
            continue
        waits = operation.awaits_work and operation.work_done is None
        if operation.ended is None and waits and key not in facts.coming_up:
            yield f"deployment {key} is {deployment.pending}, and nobody brings it up"
        if operation.status != "Succeeded":
            continue
        if deployment.serving != deployment.revision:
            yield f"deployment {key} succeeded, but serves {deployment.serving} instead of {deployment.revision}"
        elif not Path(deployment.serving_model).is_dir():
            yield f"deployment {key} serves a model that does not exist"


def _its_operation(facts: Facts, who: str, resource: Endpoint | Deployment) -> Iterator[str]:
    operation = facts.operations.get(resource.operation)
    if operation is None:
        yield f"{who} refers to an operation that does not exist"
    elif resource.pending == "Deleting" and operation.ended is not None:
        yield f"{who} is still there after its deletion"


def _any_open(facts: Facts, resources: list[Deployment] | list[Endpoint | Deployment]) -> bool:
    found = (facts.operations.get(resource.operation) for resource in resources)
    return any(operation is not None and operation.ended is None for operation in found)


def _operations(facts: Facts) -> Iterator[str]:
    resources: list[Endpoint | Deployment] = [*facts.endpoints.values(), *facts.deployments.values()]
    referred = {resource.operation for resource in resources}
    existed = {
        *facts.endpoints,
        *facts.deployments,
        *(endpoint.name for endpoint in facts.deleted_endpoints.values()),
        *(deployment.key for deployment in facts.deleted_deployments.values()),
    }
    for operation in facts.operations.values():
        if operation.target not in existed:
            yield f"an operation of {operation.target} is {operation.status}, but that never existed"
        if operation.ended is None and operation.id not in referred:
            yield f"an operation of {operation.target} is under way, but nothing refers to it"
        if operation.ended is not None and operation.ended < operation.started:
            yield f"an operation of {operation.target} ended before it began"


def _history(facts: Facts) -> Iterator[str]:
    """Each incarnation of a name ends before the next begins."""
    lives: defaultdict[str, list[Endpoint | Deployment]] = defaultdict(list)
    for endpoint in (*facts.deleted_endpoints.values(), *facts.endpoints.values()):
        lives[f"endpoint {endpoint.name}"].append(endpoint)
    for deployment in (*facts.deleted_deployments.values(), *facts.deployments.values()):
        lives[f"deployment {deployment.key}"].append(deployment)
    for who, found in lives.items():
        for life in found:
            if life.deleted is not None and life.deleted < life.created:
                yield f"{who} was deleted before it was created"
        for former, later in pairwise(sorted(found, key=lambda life: life.created)):
            if former.deleted is None or former.deleted > later.created:
                yield f"{who} exists twice at the same time"


def _jobs(facts: Facts) -> Iterator[str]:
    for name, job in facts.jobs.items():
        if job.is_terminal != (job.ended is not None):
            yield f"job {name} is {job.status}, and its end is {job.ended}"
        times = [time for time in (job.created, job.started, job.ended) if time is not None]
        if times != sorted(times):
            yield f"the times of job {name} are out of order"
        if not job.is_terminal and name not in facts.driven:
            yield f"job {name} is {job.status}, and nobody drives it"
        if job.status != "Completed":
            continue
        for output in job.outputs:
            folder = facts.output_folder(job, output)
            if folder is None or not folder.is_dir() or not any(folder.iterdir()):
                yield f"job {name} is Completed without its output {output}"


def _steps(facts: Facts) -> Iterator[str]:
    for key, step in facts.steps.items():
        job = facts.jobs.get(step.job)
        if job is None:
            yield f"step {key} is of no job"
        elif job.is_terminal and step.ended is None:
            yield f"job {job.name} is {job.status}, and its step {step.name} is {step.status}"
        elif job.status == "Completed" and step.status != "Completed":
            yield f"job {job.name} is Completed, and its step {step.name} is {step.status}"


def _models(facts: Facts) -> Iterator[str]:
    for key, model in facts.models.items():
        if model.job is None:
            continue
        job = facts.jobs.get(model.job)
        if job is None or job.status != "Completed":
            yield f"model {key} comes from job {model.job}, which is {'unknown' if job is None else job.status}"
        if model.folder is None or not Path(model.folder).is_dir():
            yield f"the files of model {key} do not exist"


def _rows(azureml: AzureML, collection: str, record: type[Record]) -> dict[str, Record]:
    return {key: record(**document) for key, document in azureml.store.scan(collection)}
