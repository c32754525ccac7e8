"""Failures of endpoints and deployments that are provoked: by a rule, or by the deployment's own environment.

The messages are those that the service has been seen to give, as far as the sources beside them say.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localcloud.config import STORAGE_ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

ENVIRONMENT_VARIABLE = "LOCALCLOUD_FAILURE"
"""Of a deployment: the kind of failure that it is to have."""

GUIDE = "Please see troubleshooting guide, available here: https://aka.ms/oe-tsg#error-"
_PROBE = "Liveness probe failed: HTTP probe failed with statuscode: 502"
_DEFAULT_THRESHOLD = 30


@dataclass(frozen=True)
class Failure:
    """How the operation fails, and what the container has in its log then."""

    code: str
    message: str
    log: str = ""


KINDS: Mapping[str, Failure] = {
    # Wording from the troubleshooting guide of online endpoints, its beginning unverified.
    "ImageBuildFailure": Failure(
        "ImageBuildFailure",
        "Image build failed. The build log is available in the workspace blob store "
        f'"{STORAGE_ACCOUNT}" under the path "/azureml/ImageLogs/local/build.log". {GUIDE}imagebuildfailure',
    ),
    # azureml-examples pull request 3983 (2026); until 2024 the code was ResourceNotReady (mslearn-azure-ml issue 41).
    "LivenessProbe": Failure(
        "BadArgument",
        f"User container has crashed or terminated: {_PROBE}. {GUIDE}resourcenotready",
        _PROBE,
    ),
    # The three that follow: codes of the guide, wording unverified.
    "OutOfCapacity": Failure(
        "OutOfCapacity",
        "The specified VM Size failed to provision due to a lack of Azure Machine Learning capacity. Retry later or "
        f"try deploying to a different region. {GUIDE}outofcapacity",
    ),
    "OperationCanceled": Failure(
        "OperationCanceled",
        f"Operation was canceled by another operation that has a higher priority. {GUIDE}operationcanceled",
    ),
    "InternalServerError": Failure(
        "InternalServerError", f"An internal server error occurred. {GUIDE}internalservererror"
    ),
}


def provoked(rules: Mapping[str, str], name: str, deployment: Mapping[str, Any] | None = None) -> Failure | None:
    """The failure of `endpoint` or `endpoint/deployment`, if it is to have one; a rule must match all of the name.

    `deployment` is the properties of one.
    """
    kind = next((kind for rule, kind in rules.items() if re.fullmatch(rule, name)), None)
    return KINDS.get(kind or wanted(deployment or {}))


def wanted(deployment: Mapping[str, Any]) -> str:
    """The kind that a deployment's own environment names, which may be none that exists; empty if it names none."""
    environment = deployment.get("environmentVariables") or {}
    return str(environment.get(ENVIRONMENT_VARIABLE) or "")


def container_log(failure: Failure, deployment: Mapping[str, Any]) -> str:
    """One line per probe that failed, as many as the deployment's liveness probe allows."""
    if not failure.log:
        return ""
    threshold = int((deployment.get("livenessProbe") or {}).get("failureThreshold") or _DEFAULT_THRESHOLD)
    return "".join(f"{failure.log} ({number}/{threshold})\n" for number in range(1, threshold + 1))
