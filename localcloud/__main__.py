"""`python -m localcloud`: a local cloud for code of your own. Ctrl-C stops it; its state stays."""

from __future__ import annotations

import argparse
import logging
import os
import shlex
import signal
import sys
import threading
import time
from pathlib import Path

from localcloud.config import RESOURCE_GROUP, SUBSCRIPTION_ID, WORKSPACE
from localcloud.ports import PortInUseError, allot_ports
from localcloud.processes import StackError
from localcloud.settings import SettingsError, configuration, read_settings
from localcloud.stack import LocalCloud, identity_header

ENVIRONMENT = "environment"

_TEXT = """\
The local cloud is up after {seconds:.1f} s. Ctrl-C stops it; its state stays in {state} for the next start.

  Azure ML     {azure}
  storage      {blob}
  registry     {models}
  computes     {computes}
  logs         {state}/logs

Code finds it by its environment. In another terminal:

  . {environment}
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m localcloud", description=__doc__)
    parser.add_argument("--state", type=Path, default=Path(".localcloud/cloud"), help="folder that keeps the state")
    parser.add_argument("--settings", type=Path, help="TOML file; see docs/localcloud.md")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    begun = time.perf_counter()
    state: Path = arguments.state.resolve()
    try:
        settings = read_settings(arguments.settings) if arguments.settings else {}
        config = configuration(state, allot_ports(state), identity_header(state), settings)
        cloud = LocalCloud(config)
        cloud.start()
    except (SettingsError, StackError, PortInUseError) as error:
        print(f"It did not start: {error}", file=sys.stderr)
        return 1
    try:
        file = write_environment(cloud, state / ENVIRONMENT)
        print(_text(cloud, file, time.perf_counter() - begun), flush=True)
        stopped.wait()
        print("stopping", flush=True)
    finally:
        cloud.stop()
    return 0


def write_environment(cloud: LocalCloud, file: Path) -> Path:
    """Shell commands that export what a client needs, readable by the user only: a secret is among it.

    AZURE_SUBSCRIPTION_ID and its like are for who writes `MLClient(credential, os.environ[...], ...)`.
    """
    client = cloud.client_environment()
    variables = {
        **client,
        "no_proxy": client["NO_PROXY"],  # where both are set, this one wins
        "AZURE_SUBSCRIPTION_ID": SUBSCRIPTION_ID,
        "AZURE_RESOURCE_GROUP": RESOURCE_GROUP,
        "AZUREML_WORKSPACE_NAME": WORKSPACE,
        "AZURE_STORAGE_CONNECTION_STRING": cloud.storage_connection_string(),
    }
    file.unlink(missing_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.writelines(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())
    return file


def _text(cloud: LocalCloud, environment: Path, seconds: float) -> str:
    config = cloud.config
    return _TEXT.format(
        seconds=seconds,
        state=config.state_dir,
        azure=config.azure_url,
        blob=config.blob_url,
        models=", ".join(f"{model.name}:{model.version}" for model in config.models),
        computes=", ".join(["serverless", *(compute.name for compute in config.computes)]),
        environment=shlex.quote(str(environment)),
    )


if __name__ == "__main__":
    sys.exit(main())
