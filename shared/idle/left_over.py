"""Deployments that no tuning uses any more, on an endpoint that stays; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared import names
from shared.idle.gather import is_ours
from shared.idle.marks import keep_reason
from shared.idle.series import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from shared.azureml.resources import OnlineDeployment, OnlineEndpoint
    from shared.idle.policy import Policy
    from shared.idle.rule import Facts, Kind
    from shared.lifecycle.tuning import Tuning


@dataclass(frozen=True)
class LeftOver:
    """`kind` is keep, marked or delete: the mark of a deployment is kept in the sweep's memory, not on it."""

    deployment: OnlineDeployment
    kind: Kind
    reason: str
    since: datetime
    deletes_at: datetime | None = None


def left_over(
    facts: Facts,
    tunings: Mapping[str, Tuning],
    known_since: Mapping[str, datetime],
    policy: Policy,
    grace: timedelta,
    now: datetime,
) -> list[LeftOver]:
    """Of an endpoint that some tuning uses; one that none uses goes as a whole.

    Requests are counted for the endpoint, so that those which name a deployment without traffic can not be told apart:
    what is left over goes although its neighbour is in use.
    """
    if not facts.ours or facts.orphan or isinstance(facts.deployments, Unavailable):
        return []
    owner = facts.endpoint.tags[names.TAG_OWNER]
    found: list[LeftOver] = []
    for deployment in facts.deployments:
        why = useless(deployment, facts.endpoint, tunings, owner)
        if not why:
            continue
        since = known_since.get(deployment.name, now)
        protected = _protected(facts, deployment, now)
        if protected:
            found.append(LeftOver(deployment, "keep", f"{why}; {protected}", since))
            continue
        deletes_at = policy.outside(max(since + grace, now))
        kind: Kind = "delete" if deletes_at == now else "marked"
        found.append(LeftOver(deployment, kind, why, since, deletes_at))
    return found


def useless(deployment: OnlineDeployment, endpoint: OnlineEndpoint, tunings: Mapping[str, Tuning], owner: str) -> str:
    """Why nobody needs a deployment of ours; empty if somebody may."""
    if not is_ours(deployment.tags, owner) or deployment.busy or endpoint.traffic.get(deployment.name):
        return ""
    tuning_id = deployment.tags.get(names.TAG_TUNING, "")
    tuning = tunings.get(tuning_id)
    if tuning is None:
        return f"its tuning {tuning_id or '(none)'} is not in the ledger"
    if tuning.ended:
        return f"its tuning {tuning.id} ended as {tuning.state}"
    if (tuning.endpoint, tuning.deployment) != (endpoint.name, deployment.name):
        return f"its tuning {tuning.id} has another deployment"
    return ""


def _protected(facts: Facts, deployment: OnlineDeployment, now: datetime) -> str:
    if facts.ledger_empty:
        return "but the ledger is empty: it may have been lost, so nothing is deleted"
    if facts.endpoint.busy:
        return f"its endpoint is {facts.endpoint.provisioning_state}"
    if facts.unfinished:
        return f"tuning {facts.unfinished[0]} is unfinished"
    return keep_reason(facts.endpoint.tags, now) or keep_reason(deployment.tags, now)
