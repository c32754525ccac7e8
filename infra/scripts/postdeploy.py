"""After `azd deploy`: the event subscriptions, which Azure accepts only once the functions are there and answer.

azd calls it with the outputs of main.bicep in the environment. It may run as often as one likes: what it deploys is
declared in infra/subscriptions.bicep. The webhook's key is looked up inside of that template: here it is only asked
whether there is one, so no key gets into this process, its command lines or its output.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parents[1] / "subscriptions.bicep"
FUNCTIONS = ("dataset_uploaded", "job_completed")
OUTPUTS = {
    "functionAppName": "AZURE_FUNCTION_APP_NAME",
    "storageName": "AZURE_STORAGE_ACCOUNT",
    "storageTopicName": "DROPTUNE_STORAGE_TOPIC",
    "workspaceTopicName": "DROPTUNE_WORKSPACE_TOPIC",
    "workspaceResourceGroup": "DROPTUNE_WORKSPACE_RESOURCE_GROUP",
    "eventsIdentityId": "DROPTUNE_EVENTS_IDENTITY_ID",
}
"""Parameter of the template: output of main.bicep."""
_GROUP, _SUBSCRIPTION = "AZURE_RESOURCE_GROUP", "AZURE_SUBSCRIPTION_ID"
_DEPLOY_TRIES = 3


class StepFailedError(Exception):
    """The message says what to do."""


def main(
    environment: Mapping[str, str],
    *,
    deadline: float = 600,
    pause: float = 10,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Raises StepFailedError. `deadline` is how long the functions may take to show up after a deployment."""
    az = shutil.which("az", path=environment.get("PATH"))
    if az is None:
        raise StepFailedError("The Azure CLI (az) is not on the PATH: https://aka.ms/azure-cli")
    missing = [name for name in (*OUTPUTS.values(), _GROUP, _SUBSCRIPTION) if not environment.get(name)]
    if missing:
        raise StepFailedError(f"{', '.join(missing)} not set: run this by `azd deploy` or `azd hooks run postdeploy`.")
    where = ("--resource-group", environment[_GROUP], "--subscription", environment[_SUBSCRIPTION])
    app = environment[OUTPUTS["functionAppName"]]
    end = clock() + deadline
    while not _is_ready(az, app, where):
        if clock() >= end:
            raise StepFailedError(
                f"{app} does not show {' and '.join(FUNCTIONS)} with a key for blob events after {deadline:.0f} s. "
                "Look at its log stream, then run `azd hooks run postdeploy` again."
            )
        print(f"{app} is still starting")
        sleep(pause)
    parameters = [f"{name}={environment[output]}" for name, output in OUTPUTS.items()]
    command = ["deployment", "group", "create", "--name", "droptune-subscriptions", *where]
    command += ["--template-file", str(TEMPLATE), "--parameters", *parameters, "--output", "none"]
    for left in reversed(range(_DEPLOY_TRIES)):
        done = _run(az, *command)
        if done.returncode == 0:
            print("uploads and ends of jobs now reach the functions")
            return
        if left:  # the webhook answers a moment after its key is there
            sleep(pause)
    raise StepFailedError(f"The event subscriptions could not be made: {done.stderr.strip()}")


def _is_ready(az: str, app: str, where: tuple[str, ...]) -> bool:
    """Both functions are there, and the host has made the system key of its blob extension."""
    names = _run(az, "functionapp", "function", "list", "--name", app, *where, "--query", "[].name", "--output", "tsv")
    found = {name.rpartition("/")[2] for name in names.stdout.split()}
    if names.returncode or not found.issuperset(FUNCTIONS):
        return False
    query = "contains(keys(systemKeys || `{}`), 'blobs_extension')"
    key = _run(az, "functionapp", "keys", "list", "--name", app, *where, "--query", query, "--output", "tsv")
    return key.returncode == 0 and key.stdout.strip().lower() == "true"


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    try:
        main(os.environ)
    except StepFailedError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
