"""The limits in force: those of the configuration until they are changed, and then across restarts."""

from __future__ import annotations

import logging
import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from localcloud.azureml import access, failures, skus
from localcloud.config import Limits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localcloud.store import Store

log = logging.getLogger(__name__)

_DOCUMENT = "limits"


class CurrentLimits:
    def __init__(self, store: Store, configured: Limits) -> None:
        """Raises ValueError for a configuration that makes no sense."""
        self._store = store
        self._configured = configured
        check(configured)
        changed = store.get(_DOCUMENT, _DOCUMENT)
        self._limits = configured if changed is None else Limits.parse(changed)

    @property
    def now(self) -> Limits:
        return self._limits

    def change(self, given: Mapping[str, Any]) -> Limits:
        """Those that are named. Raises ValueError or TypeError, and then changes nothing."""
        limits = Limits.parse({**asdict(self._limits), **given})
        check(limits)
        self._limits = limits
        self._store.put(_DOCUMENT, _DOCUMENT, asdict(limits))
        log.info("limits: %s changed", ", ".join(sorted(given)))
        return limits

    def reset(self) -> Limits:
        """To those of the configuration."""
        self._limits = self._configured
        self._store.delete(_DOCUMENT, _DOCUMENT)
        return self._limits


def check(limits: Limits) -> None:
    """Raises ValueError or TypeError."""
    for name in ("endpoints", "deployments_per_endpoint", "requests"):
        number = getattr(limits, name)
        if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < 0):
            raise ValueError(f"{name} must be a number that is not negative, not {number!r}.")
    if limits.request_seconds <= 0:
        raise ValueError("request_seconds must be positive.")
    if limits.quota_refusal not in ("operation", "request"):
        raise ValueError(f"quota_refusal must be operation or request, not {limits.quota_refusal!r}.")
    _require_known("SKU family", limits.cores, skus.families())
    _require_known("failure", limits.failures.values(), failures.KINDS)
    for pattern in limits.failures:
        re.compile(pattern)
    for roles in limits.roles.values():
        for role in roles:
            access.check(role)


def _require_known(what: str, given: Any, known: Any) -> None:
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ValueError(f"There is no {what} {', '.join(unknown)}; there are {', '.join(sorted(known))}.")
