"""What a request for an endpoint or a deployment must look like. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from localcloud.azureml import errors, failures, serving_errors, skus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from localcloud.azureml.skus import Sku

_NAME = re.compile(r"^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$")


def check_name(kind: str, name: str) -> None:
    """Raises UserError. The rule of how-to-manage-quotas, which is stricter than the specification's."""
    if not 3 <= len(name) <= 32 or not _NAME.match(name):
        raise errors.invalid_argument(
            f"{kind} name '{name}' is invalid: it must have 3 to 32 characters, begin with a letter, contain "
            "letters, digits and '-' only, and end with a letter or digit."
        )


def properties_of(body: Mapping[str, Any], *required: str) -> dict[str, Any]:
    """Of a tracked resource. Raises UserError when what the specification requires is not there."""
    properties = dict(body.get("properties") or {})
    missing = [name for name in required if not properties.get(name)]
    if not body.get("location"):
        missing.insert(0, "location")
    if missing:
        raise errors.invalid_argument(f"The request is invalid: {', '.join(missing)} is required.")
    return properties


def check_traffic(traffic: Mapping[str, Any], known: Iterable[str]) -> None:
    """Raises FrontEndError. `known` are the names of the endpoint's deployments."""
    unknown = sorted(set(traffic) - set(known))
    if unknown:
        raise serving_errors.invalid_traffic(f"Traffic names deployments that do not exist: {', '.join(unknown)}.")
    shares = list(traffic.values())
    if any(not isinstance(share, int) or not 0 <= share <= 100 for share in shares):
        raise serving_errors.invalid_traffic("Traffic percentages are integers from 0 to 100.")
    if sum(shares) not in (0, 100):
        raise serving_errors.invalid_traffic(f"Traffic percentages must sum to 0 or 100, not to {sum(shares)}.")


def sku_of(properties: Mapping[str, Any]) -> Sku:
    """Raises FrontEndError for a size that managed online endpoints do not have."""
    size = str(properties["instanceType"])
    sku = skus.find(size)
    if sku is None:
        raise serving_errors.unsupported_size(size)
    return sku


def check_wanted_failure(properties: Mapping[str, Any]) -> None:
    """Raises UserError for a misspelt one: it would be a success that nobody wanted."""
    kind = failures.wanted(properties)
    if kind and kind not in failures.KINDS:
        raise errors.invalid_argument(
            f"{failures.ENVIRONMENT_VARIABLE} must be one of {', '.join(failures.KINDS)}, not {kind}."
        )


def instances_of(sku: Mapping[str, Any]) -> int:
    """The capacity of a request's `sku`, 1 unless it says. Raises UserError."""
    capacity = sku.get("capacity")
    if capacity is None:
        return 1
    if isinstance(capacity, bool) or not isinstance(capacity, int) or capacity < 1:
        raise errors.invalid_argument(f"The request is invalid: sku.capacity must be at least 1, not {capacity}.")
    return capacity
