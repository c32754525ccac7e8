"""Brings deployments up, keeps their workers, and answers scoring requests."""

from __future__ import annotations

import asyncio
import hmac
import logging
import random
import re
import time
import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from localcloud.azureml import errors
from localcloud.azureml.failures import container_log, provoked
from localcloud.azureml.inputs import InputError
from localcloud.azureml.log_files import tail
from localcloud.azureml.registry import AssetId
from localcloud.azureml.workers import WorkerError
from localcloud.http import CloudError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localcloud.azureml.billing import Billing
    from localcloud.azureml.endpoints import Deployment, Endpoint, Endpoints
    from localcloud.azureml.inputs import Inputs
    from localcloud.azureml.limits import CurrentLimits
    from localcloud.azureml.models import Models
    from localcloud.azureml.operations import Operations
    from localcloud.azureml.usage import Usage
    from localcloud.azureml.workers import Worker, Workers

log = logging.getLogger(__name__)

_TROUBLESHOOTING = "https://aka.ms/oe-tsg#error-resourcenotready"
_WORKSPACE_MODEL = re.compile(r"/models/(?P<name>[^/]+)/versions/(?P<version>[^/]+)$", re.IGNORECASE)
_DURATION = re.compile(r"^PT(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?$")
_DEFAULT_TIMEOUT = 5.0


@dataclass(frozen=True)
class Scored:
    """An answer of the scoring data plane. `deployment` is empty when none was asked."""

    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    deployment: str = ""
    model_status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Serving:
    def __init__(
        self,
        endpoints: Endpoints,
        models: Models,
        operations: Operations,
        inputs: Inputs,
        workers: Workers,
        usage: Usage,
        billing: Billing,
        limits: CurrentLimits,
        folder: Path,
    ) -> None:
        self._endpoints = endpoints
        self._models = models
        self._operations = operations
        self._inputs = inputs
        self._workers = workers
        self._usage = usage
        self._billing = billing
        self._limits = limits
        self._folder = folder
        self._tasks: dict[asyncio.Task[None], str] = {}
        self._starting: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._loading: defaultdict[Path, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._loaded: set[Path] = set()

    def resume(self) -> None:
        """Bring up what was coming up when the emulator ended; the others start when they are called."""
        for deployment in self._endpoints.all_deployments():
            if self._endpoints.awaits_worker(deployment):
                self.bring_up(deployment)

    def check_model(self, model: str) -> None:
        """Raises UserError when there is no such model."""
        asset = AssetId.parse(model)
        if asset is not None:
            self._inputs.require_model(asset)
            return
        match = _WORKSPACE_MODEL.search(model)
        if match is None:
            raise errors.invalid_argument(f"The model '{model}' is not the id of a registered model.")
        self._models.get(match["name"], match["version"])

    def bring_up(self, deployment: Deployment) -> None:
        """To be called in the step that creates or changes it."""
        self._billing.note(deployment)
        if deployment.revision == 1:
            self._log_file(deployment.key).unlink(missing_ok=True)  # of one that had the name before
        failure = provoked(self._limits.now.failures, deployment.key, deployment.properties)
        if failure is not None:
            self._write_log(deployment.key, container_log(failure, deployment.properties))
            self._operations.fail(deployment.operation, failure.code, failure.message)
            return
        task = asyncio.create_task(self._bring_up(deployment), name=f"deployment {deployment.key}")
        self._tasks[task] = deployment.key
        task.add_done_callback(self._tasks.pop)

    def coming_up(self) -> frozenset[str]:
        """Keys of the deployments that are being brought up."""
        return frozenset(self._tasks.values())

    def logs(self, deployment: Deployment, lines: int) -> str:
        return tail(self._log_file(deployment.key), lines)

    async def reap(self) -> None:
        """Stop the workers of deployments that are gone, and those that nobody calls."""
        for key in self._workers.running():
            if not self._exists(key):
                await self._workers.stop(key)
        await self._workers.stop_idle()

    async def close(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._workers.close()

    async def score(self, name: str, key: str, pinned: str | None, body: bytes, content_type: str) -> Scored:
        """Answer one request; count and time it."""
        begun = time.perf_counter()
        endpoint = self._endpoints.find(name)
        if endpoint is None or self._endpoints.state(endpoint) == "Creating":
            return Scored(404, b"Endpoint not found.")
        scored = await self._score(endpoint, key, pinned, body, content_type)
        milliseconds = (time.perf_counter() - begun) * 1000
        self._usage.record(name, scored.deployment, scored.status, scored.model_status, milliseconds)
        return scored

    async def _score(self, endpoint: Endpoint, key: str, pinned: str | None, body: bytes, content_type: str) -> Scored:
        if not _is_key_of(endpoint, key):
            return Scored(401, b"key_auth_access_denied")
        deployment = self._chosen(endpoint, pinned)
        if deployment is None:
            text = "The endpoint does not have any valid deployment with positive weight."
            if pinned:
                text = f"Specified deployment {pinned} could not be found."
            return Scored(404, text.encode())
        try:
            worker = await self._worker(deployment)
        except (WorkerError, CloudError) as error:
            log.warning("deployment %s: does not start: %s", deployment.key, error)
            return Scored(503, b"The deployment is not ready.", deployment=deployment.name)
        return await self._forward(deployment, worker, body, content_type)

    async def _forward(self, deployment: Deployment, worker: Worker, body: bytes, content_type: str) -> Scored:
        """The status codes of
        https://learn.microsoft.com/azure/machine-learning/how-to-troubleshoot-online-endpoints
        """
        name = deployment.name
        try:
            with self._workers.calling(worker):
                answer = await self._workers.client.post(
                    worker.url("/score"),
                    content=body,
                    headers={"content-type": content_type},
                    timeout=_timeout(deployment),
                )
        except httpx.TimeoutException:
            return Scored(408, b"upstream request timeout", deployment=name)
        except httpx.HTTPError:
            await worker.dying()
            return Scored(502, b"upstream connect error or disconnect/reset before headers", deployment=name)
        returned = answer.headers.get("content-type", "application/json")
        if answer.is_success:
            return Scored(answer.status_code, answer.content, returned, name, answer.status_code)
        reasons = {
            "ms-azureml-model-error-statuscode": str(answer.status_code),
            "ms-azureml-model-error-reason": "model_error",
        }
        return Scored(424, answer.content, returned, name, answer.status_code, reasons)

    def _chosen(self, endpoint: Endpoint, pinned: str | None) -> Deployment | None:
        serving = {
            deployment.name: deployment
            for deployment in self._endpoints.deployments(endpoint.name)
            if deployment.serving is not None
        }
        if pinned:
            return serving.get(pinned)
        shares = {name: share for name, share in endpoint.traffic.items() if share and name in serving}
        if not shares:
            return None
        [name] = random.choices(list(shares), weights=list(shares.values()))  # noqa: S311 - a traffic split
        return serving[name]

    async def _worker(self, deployment: Deployment) -> Worker:
        """The one that runs, else (it crashed, was idle, or was never called) a new one. Raises WorkerError."""
        async with self._starting[deployment.key]:
            worker = self._workers.get(deployment.key)
            if worker is not None:
                return worker
            log.info("deployment %s: starting its worker", deployment.key)
            newest = self._endpoints.get_deployment(deployment.endpoint, deployment.name)
            folder = Path(newest.serving_model)
            return await self._workers.launch(deployment.key, folder, self._log_file(deployment.key))

    async def _prove(self, deployment: Deployment, folder: Path) -> None:
        """Show that a container with this model gets healthy. Raises WorkerError.

        A model that loaded before does so again: only a worker that runs for the deployment is replaced.
        """
        async with self._loading[folder], self._starting[deployment.key]:
            if folder in self._loaded and self._workers.get(deployment.key) is None:
                _note(self._log_file(deployment.key), f"{folder.name} is known to load; waiting for the first request")
                return
            await self._workers.launch(deployment.key, folder, self._log_file(deployment.key))
            self._loaded.add(folder)

    def _exists(self, key: str) -> bool:
        try:
            self._endpoints.get_deployment(*key.split("/", 1))
        except CloudError:
            return False
        return True

    async def _bring_up(self, deployment: Deployment) -> None:
        operation = deployment.operation
        try:
            folder = await self._model_folder(deployment.model)
            await self._prove(deployment, folder)
        except (InputError, CloudError) as error:
            message = f"Unable to download user model or code artifacts: {error.message}"
            self._operations.fail(operation, "BadArgument", message)
        except WorkerError as error:
            self._operations.fail(
                operation,
                "ResourceNotReady",
                "User container has crashed or terminated. Please see troubleshooting guide, available here: "
                f"{_TROUBLESHOOTING}\n{error}",
            )
        except OSError as error:
            log.exception("deployment %s: the emulator failed", deployment.key)
            self._operations.fail(operation, "InternalServerError", str(error))
        else:
            self._endpoints.mark_serving(deployment.endpoint, deployment.name, deployment.revision, str(folder))
            self._operations.finish_work(operation)

    async def _model_folder(self, model: str) -> Path:
        """Raises InputError or UserError when it is not there."""
        asset = AssetId.parse(model)
        if asset is not None:
            return await self._inputs.registry_model(asset)
        match = _WORKSPACE_MODEL.search(model)
        if match is None:
            raise InputError("BadArgument", f"'{model}' is not the id of a registered model.")
        folder = self._models.get(match["name"], match["version"]).folder
        if folder is None or not Path(folder).is_dir():
            raise InputError("BadArgument", f"the files of {match['name']}:{match['version']} do not exist.")
        return Path(folder)

    def _write_log(self, key: str, lines: str) -> None:
        log_file = self._log_file(key)
        log_file.parent.mkdir(parents=True, exist_ok=True)
        with log_file.open("a") as file:
            file.write(lines)

    def _log_file(self, key: str) -> Path:
        return self._folder / key / "container.log"


def _note(log_file: Path, line: str) -> None:
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with log_file.open("a") as output:
        output.write(f"{line}\n")


def new_request_id() -> str:
    return str(uuid.uuid4())


def _is_key_of(endpoint: Endpoint, key: str) -> bool:
    return any(
        hmac.compare_digest(key.encode(), ours.encode()) for ours in (endpoint.primary_key, endpoint.secondary_key)
    )


def _timeout(deployment: Deployment) -> float:
    """Seconds of requestSettings.requestTimeout, an ISO 8601 duration."""
    settings = deployment.properties.get("requestSettings") or {}
    match = _DURATION.match(settings.get("requestTimeout") or "")
    if match is None:
        return _DEFAULT_TIMEOUT
    hours, minutes, seconds = (float(match[part] or 0) for part in ("hours", "minutes", "seconds"))
    return hours * 3600 + minutes * 60 + seconds or _DEFAULT_TIMEOUT
