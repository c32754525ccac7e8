"""How torch and transformers behave in a process of the local cloud. To be called before either is imported."""

from __future__ import annotations

import logging
import os
import sys

_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    # OpenMP's threads spin while they wait for each other: on processors that something else uses as well, a training
    # with spinning threads took seven to thirteen times as long as one with sleeping threads.
    "OMP_WAIT_POLICY": "PASSIVE",
}


def prepare() -> None:
    """What the environment already says wins."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def log_to_stderr() -> None:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
