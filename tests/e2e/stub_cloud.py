"""droptune on a local cloud whose jobs train nothing and whose models answer by rote: a main job takes seconds.

Everything else is as always: Azurite, the emulators and the Functions host as processes, the unmodified SDKs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from demo.dialogues import write_dataset
from demo.topology import Topology
from localcloud.azureml.runners import ENVIRONMENT_VARIABLE
from localcloud.config import Durations, RegistryComponent, Scoring
from localcloud.stack import Commands
from tests.integration.azureml_support import RUNNERS

QUICK = {
    "SETTLE_SECONDS": "1",
    "MISSING_SPLIT_MINUTES": "10",
    "POLL_SECONDS": "0.3",
    "POLL_MAX_SECONDS": "1",
    "TRAINING_LOOK_MINUTES": "0.1",
    "OVERDUE_SECONDS": "2",
    "RECONCILE_SCHEDULE": "*/2 * * * * *",
    "IDLE_CLEANUP_SCHEDULE": "0 0 * * * *",
    "IDLE_AFTER_MINUTES": "1000",
    "AzureFunctionsJobHost__extensions__queues__maxPollingInterval": "00:00:00.3",
    "AzureFunctionsJobHost__extensions__queues__visibilityTimeout": "00:00:01",
}


def stub_topology(
    state_dir: Path,
    *,
    host: tuple[str, ...] = Commands().functions,
    settings: Mapping[str, str] | None = None,
    message_lease: float = 2,
    durations: Durations | None = None,
) -> Topology:
    """`host` is the command of the Functions host. `durations`: none by default."""
    model = state_dir / "premade-model"
    model.mkdir(parents=True, exist_ok=True)
    (model / "MLmodel").write_text("flavors: {}\n")
    training = (sys.executable, "-m", "localcloud.premade", "--model", str(model))
    runners = json.dumps({"scoring": RUNNERS.scoring, "base_model": RUNNERS.base_model})
    azure = ("/usr/bin/env", f"{ENVIRONMENT_VARIABLE}={runners}", *Commands().azure)
    return Topology(
        state_dir=state_dir,
        durations=durations or Durations().scaled(0),
        settings={**QUICK, **(settings or {})},
        components=(RegistryComponent("chat_completion_pipeline", "0.0.82", training),),
        scoring=Scoring(processes=4, idle_seconds=30),
        message_lease=message_lease,
        commands=replace(Commands(), azure=azure, functions=host),
    )


def small_dataset(folder: Path) -> Path:
    """The smallest that the pipeline takes."""
    write_dataset(folder, train=12, test=2, gen=2)
    return folder
