"""Why a tuning may have ended as it did: each reason needs something in the world that can have caused it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from datetime import datetime

from shared.lifecycle.tuning import State, Tuning
from tests.simulation.faults import Kind

_CLOUD = frozenset({Kind.OPERATION_FAILS, Kind.OPERATION_HANGS})
_BY_HAND = frozenset({Kind.ENDPOINT_DELETED, Kind.DEPLOYMENT_DELETED})
_DELAYS = frozenset(
    {
        Kind.JOB_HANGS,
        Kind.OPERATION_HANGS,
        Kind.OPERATION_FAILS,
        Kind.NAME_FORGOTTEN,
        Kind.SLOW,
        Kind.CLOCK_JUMP,
        Kind.FORBIDDEN,
        Kind.REFUSED_FOR_LONG,
        Kind.STORAGE_OUT,
        Kind.COPY_FAILS,
        Kind.ENDPOINT_DELETED,
        Kind.DEPLOYMENT_DELETED,
    }
)
"""What has an operation last longer than its deadline while somebody looks at it. Time in which nobody can look (the
app is down, messages are lost, pass after pass of `reconcile` is left out) ends no tuning."""
_OUTAGES = frozenset({Kind.APP_DOWN, Kind.TIMER_SKIPPED})
_DEATHS = frozenset({Kind.CRASH_BEFORE, Kind.CRASH_AFTER, Kind.SLOW})

FAULTS: Mapping[str, Set[Kind]] = {
    "JobFailed": frozenset({Kind.JOB_FAILS}),
    "JobCanceled": frozenset({Kind.JOB_CANCELED}),
    "Canceled": frozenset({Kind.CANCELED}),
    "EndpointFailed": _CLOUD,
    "EndpointNotOurs": frozenset({Kind.SQUATTER}),
    "DeploymentFailed": _CLOUD,
    "DeploymentVanished": _BY_HAND | {Kind.NAME_FORGOTTEN},
    "EndpointVanished": frozenset({Kind.ENDPOINT_DELETED, Kind.NAME_FORGOTTEN}),
    # A smoke test that was done twice asks a deployment that is a canary by then.
    "CanaryFailed": frozenset({Kind.ANSWERS_BADLY, Kind.SCORE_SLOW, Kind.SCORE_GARBAGE}),
    "SmokeTestFailed": _BY_HAND | {Kind.SCORE_GARBAGE, Kind.SCORE_SLOW},
    "UnexpectedError": _DEATHS | {Kind.FORBIDDEN, Kind.REFUSED_FOR_LONG, Kind.STORAGE_OUT},
    "PoisonMessage": _DEATHS | _DELAYS | _OUTAGES,
    "DeadlineExceeded": _DELAYS | {Kind.OVER_BUDGET},
    "UserError": _BY_HAND,
    "BadRequest": _BY_HAND | {Kind.SQUATTER},
}
"""By the code of a reason: any of these must have struck in the schedule."""

_OF_THE_FILES = frozenset({State.REJECTED})


def unexplained(
    tuning: Tuning,
    others: Iterable[Tuning],
    struck: Set[Kind],
    given_up: Mapping[str, datetime],
    changed: bool,
) -> str:
    """What is wrong about how it ended; empty if it has a cause. `given_up`: endpoints that the sweep closed.

    `changed`: the files of its version are not those any more that it was made of.
    """
    if tuning.reason is None or tuning.state in _OF_THE_FILES:
        return ""
    code = tuning.reason.code
    if code == "Idle":
        return "" if tuning.endpoint in given_up else "no sweep gave its endpoint up"
    if code == "DatasetChanged":
        return "" if changed or struck & {Kind.BLOB_OVERWRITTEN, Kind.BLOB_DELETED} else "its files are what they were"
    if code == "Superseded":
        newer = [other for other in others if other.dataset == tuning.dataset and other.is_newer_than(tuning)]
        on_its_way = (State.LIVE, State.PROMOTING, State.CANARY)
        passed = any(entry.state in on_its_way for other in newer for entry in other.history)
        return "" if passed else "no newer tuning got as far as being promoted"
    if code == "CanaryUndecided":
        return ""  # users need not call
    causes = FAULTS.get(code)
    if causes is None:
        return f"nobody foresaw the reason {code}: {tuning.reason.message}"
    return "" if causes & struck else f"nothing in the world explains {code}: {tuning.reason.message}"
