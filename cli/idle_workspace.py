"""Idle endpoints of any workspace, droptune's or not: judged by the app's rule, from metrics and tags alone."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from shared import names
from shared.azureml.arm import ArmClient
from shared.errors import DroptuneError
from shared.idle.marks import marked_at, with_mark, without_mark
from shared.idle.metrics import RequestMetrics
from shared.idle.patience import Patience
from shared.idle.rule import Facts, Verdict, assess, assess_without_metrics
from shared.idle.series import Unavailable, ceil_minute, floor_minute

if TYPE_CHECKING:
    from datetime import datetime

    from azure.core.credentials import TokenCredential

    from shared.azureml.resources import OnlineDeployment, OnlineEndpoint
    from shared.config import Settings
    from shared.idle.policy import Policy

MANAGED = "managed by droptune: its app marks and deletes it"
OWN_MARK = timedelta(minutes=2)
"""Setting the mark moves the time of the last change; so long it may take until Azure ML has done it."""
_UNMANAGED = "by metrics and tags alone"


@dataclass(frozen=True)
class Judged:
    """`hourly` is the cost of its deployments by the price list; None: unknown."""

    facts: Facts
    verdict: Verdict
    hourly: float | None = None

    @property
    def endpoint(self) -> OnlineEndpoint:
        return self.facts.endpoint

    @property
    def deployments(self) -> tuple[OnlineDeployment, ...]:
        return () if isinstance(self.facts.deployments, Unavailable) else self.facts.deployments

    @property
    def unknown(self) -> bool:
        """Whether it could not be judged, because Azure did not say what is needed."""
        unseen = isinstance(self.facts.deployments, Unavailable) or self.verdict.reason.startswith("no metrics")
        return self.verdict.kind == "keep" and unseen


class IdleWorkspace:
    """Changes one endpoint at a time, and only after it was read and judged once more."""

    def __init__(self, settings: Settings, credential: TokenCredential, policy: Policy, now: datetime) -> None:
        self._settings = settings
        self._arm = ArmClient(settings.arm_endpoint, settings.workspace_id, credential, settings.timeouts)
        self._metrics = RequestMetrics(settings, credential)
        self._policy = policy
        self._now = now
        self._patiently = Patience(time.sleep)

    def judged(self) -> list[Judged]:
        """All endpoints by name. Raises DroptuneError if they can not be listed."""
        endpoints = sorted(self._arm.list_endpoints(self._patiently), key=lambda endpoint: endpoint.name)
        found = [self._facts(endpoint) for endpoint in endpoints]
        end = floor_minute(self._now - timedelta(minutes=self._settings.metrics_delay_minutes))
        earliest = floor_minute(end - self._policy.window)
        starts = {
            facts.endpoint.id: max(earliest, ceil_minute(_created(facts.endpoint, self._now)))
            for facts in found
            if facts.ours and assess_without_metrics(facts, self._policy, self._now) is None
        }
        requests = self._metrics.since(starts, end, self._patiently) if starts else {}
        return [self._judge(replace(item, requests=requests.get(item.endpoint.id, item.requests))) for item in found]

    def act(self, judged: Judged) -> str:
        """Mark, unmark or delete as it was judged. Returns why not; empty if it was done. Raises DroptuneError."""
        name, wanted = judged.endpoint.name, judged.verdict.kind
        endpoint = self._patiently(lambda: self._arm.get_endpoint(name))
        if endpoint is None:
            return "it is gone"
        again = self._judge(replace(self._facts(endpoint), requests=judged.facts.requests))
        if again.verdict.kind != wanted:
            return f"it changed meanwhile: {again.verdict.reason}"
        if wanted == "delete":
            self._patiently(lambda: self._arm.delete_endpoint(name))
        else:
            marked = with_mark(endpoint.tags, self._now) if wanted == "mark" else without_mark(endpoint.tags)
            self._patiently(lambda: self._arm.set_endpoint_tags(name, marked))
        return ""

    def _judge(self, facts: Facts) -> Judged:
        if not facts.ours:
            return Judged(facts, Verdict("keep", MANAGED))
        verdict = assess(facts, self._policy, self._now)
        return Judged(facts, replace(verdict, reason=verdict.reason.removeprefix(f"{_UNMANAGED}; ")))

    def _facts(self, endpoint: OnlineEndpoint) -> Facts:
        """As of an endpoint that no ledger knows. `ours` says whether we may touch it."""
        return Facts(
            endpoint=endpoint,
            ours=not endpoint.tags.get(names.TAG_OWNER),
            record=None,
            live=None,
            orphan=_UNMANAGED,
            deployments=self._deployments(endpoint),
            changed_at=_changed_at(endpoint, self._now),
            watched_since=_created(endpoint, self._now),
        )

    def _deployments(self, endpoint: OnlineEndpoint) -> tuple[OnlineDeployment, ...] | Unavailable:
        try:
            return tuple(self._patiently(lambda: self._arm.list_deployments(endpoint.name)))
        except DroptuneError as error:
            return Unavailable(str(error))


def _created(endpoint: OnlineEndpoint, now: datetime) -> datetime:
    return endpoint.created_at or now


def _changed_at(endpoint: OnlineEndpoint, now: datetime) -> datetime:
    """By Azure's own time of the last change; right after the mark it is the mark's."""
    created, modified = _created(endpoint, now), endpoint.last_modified_at or now
    marked = marked_at(endpoint.tags, now)
    if marked is not None and marked <= modified <= marked + OWN_MARK:
        return created
    return max(created, modified)
