"""What the resources would have cost: instances by the hour, from creation to deletion, whether called or not.

Deployments are billed for all their instances while they exist, also while they are created, deleted or failed:
https://learn.microsoft.com/azure/machine-learning/concept-endpoints-online#cost-for-managed-online-endpoints
Jobs are billed for the time that their steps run.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from localcloud.store import Collection

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from localcloud.azureml.endpoints import Deployment
    from localcloud.azureml.jobs import Step
    from localcloud.store import Store

_HOUR = 3600.0
_DEFAULT_ROLE = "finetune"
_ROLES = {"validation": "model_import", "model_import": "model_import", "preprocess": "preprocess"} | {
    "finetune": "finetune",
    "evaluation": "model_evaluation",
}
"""Part of a step's name → the input `instance_type_...` of chat_completion_pipeline that says where it runs."""


@dataclass(frozen=True)
class Rate:
    """From `since` on, `instances` of `instance_type` are held."""

    since: float
    instance_type: str
    instances: int


class Billing:
    """`prices`: currency per hour and instance, by instance type; compared without case."""

    def __init__(self, store: Store, prices: Mapping[str, float]) -> None:
        self._rates = Collection(store, "rates", Rate)
        self._prices = {name.lower(): price for name, price in prices.items()}

    def note(self, deployment: Deployment) -> None:
        """A deployment has come, or changed: from its `modified` on it costs what it says now."""
        rate = _rate(deployment, deployment.modified)
        self._rates.put(f"{_incarnation(deployment)}/{rate.since:017.6f}", rate)

    def price(self, instance_type: str) -> float | None:
        return self._prices.get(instance_type.lower())

    def of_deployment(self, deployment: Deployment, now: float) -> float | None:
        """None when a price is not known."""
        noted = self._rates.all(f"{_incarnation(deployment)}/")
        rates = noted or [_rate(deployment, deployment.created)]
        ends = [*(rate.since for rate in rates), deployment.deleted or now]
        return self._total((rate, end - begin) for rate, (begin, end) in zip(rates, pairwise(ends), strict=True))

    def of_job(self, steps: Sequence[Step], literals: Mapping[str, str], now: float) -> float | None:
        """None when a price is not known. `literals` are the inputs of the component that runs."""
        held = []
        for step in steps:
            role = next((role for part, role in _ROLES.items() if part in step.name), _DEFAULT_ROLE)
            nodes = int(literals.get(f"num_nodes_{role}") or 1)
            rate = Rate(step.started, literals.get(f"instance_type_{role}") or "", nodes)
            held.append((rate, (step.ended or now) - step.started))
        return self._total(held)

    def _total(self, held: Iterable[tuple[Rate, float]]) -> float | None:
        """Of rates and how many seconds each was held."""
        total = 0.0
        for rate, seconds in held:
            price = self.price(rate.instance_type)
            if price is None:
                return None
            total += price * rate.instances * seconds / _HOUR
        return round(total, 9)


def _rate(deployment: Deployment, since: float) -> Rate:
    instance_type = str(deployment.properties.get("instanceType") or "")
    return Rate(since, instance_type, int(deployment.sku.get("capacity") or 1))


def _incarnation(deployment: Deployment) -> str:
    return f"{deployment.key}@{deployment.created:.6f}"
