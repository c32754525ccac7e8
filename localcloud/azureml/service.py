"""Puts the parts of the emulated Azure Machine Learning together, and keeps them going."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from localcloud.azureml.api import (
    capacity,
    computes,
    deployments,
    endpoints,
    history,
    jobs,
    mlflow,
    models,
    registry,
    scoring,
    workspace,
)
from localcloud.azureml.api.wire import Arm
from localcloud.azureml.billing import Billing
from localcloud.azureml.clock import Clock
from localcloud.azureml.computes import Computes
from localcloud.azureml.endpoints import Endpoints
from localcloud.azureml.executor import Executor
from localcloud.azureml.inputs import Inputs
from localcloud.azureml.jobs import Jobs
from localcloud.azureml.limits import CurrentLimits
from localcloud.azureml.models import Models
from localcloud.azureml.operations import Operations
from localcloud.azureml.registry import Registry
from localcloud.azureml.serving import Serving
from localcloud.azureml.throttle import Throttle
from localcloud.azureml.usage import Usage
from localcloud.azureml.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.routing import Route

    from localcloud.azureml.runners import Runners
    from localcloud.config import CloudConfig
    from localcloud.events import EventSink
    from localcloud.store import Store

log = logging.getLogger(__name__)

_HOUSEKEEPING = 0.5


class AzureML:
    """Make it and call `run` in one event loop."""

    def __init__(
        self,
        config: CloudConfig,
        store: Store,
        events: EventSink,
        runners: Runners,
        wall: Callable[[], float] = time.time,
    ) -> None:
        folder = Path(config.state_dir).resolve() / "azureml"
        self.store = store
        self.clock = Clock(store)
        self.limits = CurrentLimits(store, config.limits)
        arm = Arm(config, self.limits, Throttle(self.clock))
        self.computes = Computes(config.computes)
        self.operations = Operations(store, self.clock)
        self.registry = Registry(config, self.limits)
        self.usage = Usage(store, wall)
        self.billing = Billing(store, config.prices)
        self.jobs = Jobs(store, self.clock, events, folder / "jobs")
        self.models = Models(store, self.clock, self.jobs, events)
        self.endpoints = Endpoints(store, self.clock, self.operations, config.durations, self.limits)
        inputs = Inputs(config, self.registry, runners)
        self.executor = Executor(config, self.clock, self.jobs, self.registry, inputs, self.computes, runners)
        self.serving = Serving(
            self.endpoints,
            self.models,
            self.operations,
            inputs,
            Workers(runners, config.scoring),
            self.usage,
            self.billing,
            self.limits,
            folder / "deployments",
        )
        self.routes: list[Route] = [
            *workspace.routes(arm, self.operations, self.jobs),
            *computes.routes(arm, self.computes),
            *capacity.routes(arm, self.endpoints.quota),
            *registry.routes(arm, self.registry),
            *jobs.routes(arm, self.jobs, self.registry, self.computes, self.executor),
            *history.routes(arm, self.jobs),
            *mlflow.routes(arm, self.jobs),
            *models.routes(arm, self.models),
            *endpoints.routes(arm, self.endpoints),
            *deployments.routes(arm, self.endpoints, self.serving),
            *scoring.routes(self.serving),
        ]

    async def run(self) -> None:
        """Resume what a restart cut off and keep house, until cancelled; then no child process is left."""
        self.executor.resume()
        self.serving.resume()
        try:
            while True:
                await self.serving.reap()
                await asyncio.sleep(_HOUSEKEEPING)
        finally:
            await self.executor.close()
            await self.serving.close()
