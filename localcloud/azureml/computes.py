"""The computes of the workspace: those of the configuration, and `serverless`, which needs none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localcloud.azureml import errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from localcloud.config import Compute

SERVERLESS = "serverless"


class Computes:
    def __init__(self, computes: Iterable[Compute]) -> None:
        self._computes = {compute.name.lower(): compute for compute in computes}

    def all(self) -> list[Compute]:
        return list(self._computes.values())

    def get(self, name: str) -> Compute:
        """Raises CloudError 404."""
        compute = self._computes.get(name.lower())
        if compute is None:
            raise errors.compute_not_found()
        return compute

    def require_of_job(self, properties: Mapping[str, Any]) -> None:
        """Raises UserError when the job, its settings or a node of it name a compute that does not exist."""
        nodes: Mapping[str, Any] = properties.get("jobs") or {}
        settings: Mapping[str, Any] = properties.get("settings") or {}
        named = [properties.get("computeId"), settings.get("default_compute")]
        named += [node.get("computeId") for node in nodes.values()]
        for identifier in filter(None, named):
            self._require(str(identifier).rpartition("/")[2])

    def require_of_inputs(self, literals: Mapping[str, str]) -> None:
        """The same for `compute_*` inputs, which the registry's pipelines take: known only when they run."""
        for name, value in literals.items():
            if name.startswith("compute_"):
                self._require(value)

    def _require(self, name: str) -> None:
        if name.lower() not in (SERVERLESS, *self._computes):
            raise errors.unknown_compute(name)
