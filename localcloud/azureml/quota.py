"""Cores of a SKU family: what the subscription may use, and what its deployments take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from localcloud.azureml import skus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from localcloud.azureml.endpoints import Deployment
    from localcloud.azureml.skus import Sku
    from localcloud.config import Limits


UNLIMITED = 100_000
"""Cores."""


@dataclass(frozen=True)
class Shortage:
    """In cores: `needed` more than are `used` are not within the `limit`."""

    used: int
    limit: int
    needed: int


class Quota:
    """A deployment takes its cores until it is gone, also one that failed – but not one for which there were none."""

    def __init__(self, limits: Limits, deployments: Callable[[], Iterable[Deployment]]) -> None:
        """`deployments` gives all that there are; it is asked only where a limit is set."""
        self._limits = limits
        self._deployments = deployments

    def shortage(self, sku: Sku, instances: int, *, replaced: Deployment | None) -> Shortage | None:
        """None when the instances fit, or when nothing limits their family. `replaced` gives its cores back."""
        limit = self._limits.cores.get(sku.family)
        if limit is None:
            return None
        used = self._used(sku.family, replaced)
        needed = sku.reserved_cores(instances)
        return None if used + needed <= limit else Shortage(used, limit, needed)

    def cores(self, family: str) -> tuple[int, int]:
        """What is used of a family, and its limit; without a limit more than anybody asks for."""
        return self._used(family), self._limits.cores.get(family, UNLIMITED)

    def _used(self, family: str, replaced: Deployment | None = None) -> int:
        return sum(
            self._cores(deployment, family)
            for deployment in self._deployments()
            if replaced is None or deployment.key != replaced.key
        )

    @staticmethod
    def _cores(deployment: Deployment, family: str) -> int:
        sku = skus.find(str(deployment.properties.get("instanceType")))
        if deployment.out_of_quota or sku is None or sku.family != family:
            return 0
        return sku.reserved_cores(int(deployment.sku.get("capacity") or 1))
