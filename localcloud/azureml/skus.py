"""Virtual machine sizes that managed online endpoints run on, and the cores that they take from a quota."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_RESERVE = 1.2
"""Of most sizes, 20 % more instances are reserved for upgrades, rounded up:
https://learn.microsoft.com/azure/machine-learning/how-to-manage-quotas#virtual-machine-quota-allocation-for-deployment
"""


@dataclass(frozen=True)
class Sku:
    name: str
    family: str
    cores: int
    exempt_from_reserve: bool

    def reserved_cores(self, instances: int) -> int:
        """What a deployment of that many instances takes from the quota of the family."""
        if self.exempt_from_reserve:
            return instances * self.cores
        return math.ceil(round(instances * _RESERVE, 6)) * self.cores


def find(name: str) -> Sku | None:
    """Names are compared without case. None for a size that managed online endpoints do not support."""
    return _skus().get(name.upper())


def all_sizes() -> list[Sku]:
    return list(_skus().values())


def families() -> frozenset[str]:
    return frozenset(sku.family for sku in _skus().values())


@cache
def _skus() -> dict[str, Sku]:
    facts = json.loads(Path(__file__).with_name("managed_online_skus.json").read_text())
    return {
        name: Sku(name, family, cores, fact["exempt_from_reserve"])
        for family, fact in facts["families"].items()
        for name, cores in fact["cores"].items()
    }
