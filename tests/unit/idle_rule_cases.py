"""The cases of the table in docs/idle-cleanup.md, by name: facts that differ in one thing from an endpoint that is due.

It was created ten days ago, is called by nobody, was marked two hours ago, with an idle time of 4 h and a grace of 1 h;
it is Sunday, 2026-11-22, 12:00 UTC.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from shared import names
from shared.idle.hours import WeeklyHours
from shared.idle.policy import Policy
from shared.idle.rule import Facts
from shared.idle.series import Series, Unavailable
from shared.lifecycle.records import EndpointStatus
from shared.lifecycle.tuning import State
from tests.unit.idle_cases import MARKED, NOW, POLICY, UNMARKED, ago, deployment, endpoint, facts, quiet, record, tuning

ORPHAN = "the ledger knows no tuning of it"
SUNDAY = "Sun 08:00-18:00 UTC"
KEEP_HOURS = replace(POLICY, keep_hours=(WeeklyHours.parse(SUNDAY),))
NEVER_ENDING = replace(POLICY, keep_hours=(WeeklyHours.parse("Mon-Sun 00:00-24:00 UTC"),))
CLOSED = record(status=EndpointStatus.DELETING, retire_reason="idle")


def marked(value: str) -> dict[str, str]:
    return {**UNMARKED, names.TAG_IDLE_SINCE: value}


def kept(value: str) -> dict[str, str]:
    return {**MARKED, names.TAG_KEEP: value}


CASES: dict[str, Facts | tuple[Facts, Policy]] = {
    # deleted
    "unused, marked, the grace is over": facts(),
    "the grace ended a moment ago": facts(endpoint=endpoint(tags=marked(ago(hours=1).isoformat()))),
    "marked long ago": facts(endpoint=endpoint(tags=marked("2026-11-13T00:00:00+00:00"))),
    "`droptune-keep` = `False`": facts(endpoint=endpoint(tags=kept("False"))),
    "`droptune-keep` is empty": facts(endpoint=endpoint(tags=kept(" "))),
    "`droptune-keep` is a date that has passed": facts(endpoint=endpoint(tags=kept("2026-11-21"))),
    "`droptune-keep` is a time that has passed": facts(endpoint=endpoint(tags=kept("2026-11-22T12:00:00Z"))),
    "its last operation failed, it serves on": facts(endpoint=endpoint(provisioning_state="Failed")),
    "only our own smoke test called it": facts(requests=quiet({10: 1.0}), own_requests=[ago(minutes=9.5)]),
    "two of our smoke tests in one minute": facts(
        requests=quiet({10: 2.0}), own_requests=[ago(minutes=9.9), ago(minutes=9.1)]
    ),
    "used before the mark, longer ago than the idle time": facts(
        requests=quiet({600: 3.0}, start=ago(hours=20)),
        endpoint=endpoint(tags=marked(ago(hours=5).isoformat())),
    ),
    "called through the gateway before the mark, longer ago than the idle time": facts(last_call=ago(hours=5)),
    "nobody has its traffic": facts(endpoint=endpoint(traffic={"t-1": 0})),
    "keep hours, but not now": (
        facts(),
        replace(POLICY, keep_hours=(WeeklyHours.parse("Mon-Sat 08:00-18:00 UTC"),)),
    ),
    # kept
    "not ours": facts(ours=False),
    "not ours, and used": facts(ours=False, requests=quiet({30: 2.0})),
    "no record in the ledger, though a tuning believes to use it": facts(record=None),
    "the record is of another generation": facts(record=record(name="chat-abc-g2")),
    "being deleted already": facts(record=CLOSED),
    "in the middle of an operation": facts(endpoint=endpoint(provisioning_state="Updating")),
    "a tuning of its dataset is unfinished": facts(unfinished=("chat-v2", "chat-v3")),
    "nothing is live": facts(record=record(live=""), live=None),
    "live only in the record": facts(live=None),
    "what is live is being cleaned up": facts(live=tuning(state=State.CLEANING_UP)),
    "another tenant": facts(record=record(tenants=("chat-v1", "chat-v2"))),
    "no tenant": facts(record=record(tenants=())),
    "another tuning is being promoted": facts(record=record(promoting="chat-v2")),
    "`droptune-keep` = `true`": facts(endpoint=endpoint(tags=kept("true"))),
    "`droptune-keep` is a reason": facts(endpoint=endpoint(tags=kept("demo on Friday"))),
    "`Droptune-Keep`, in other letters": facts(endpoint=endpoint(tags={**MARKED, "Droptune-Keep": "yes"})),
    "`droptune-keep` is today": facts(endpoint=endpoint(tags=kept("2026-11-22"))),
    "`droptune-keep` is a later time": facts(endpoint=endpoint(tags=kept("2026-11-22T14:00+01:00"))),
    "a deployment on it that is not ours": facts(foreign=("blue",)),
    "its traffic was given by hand": facts(endpoint=endpoint(traffic={"t-1": 90, "t-0": 10})),
    "its deployments can not be listed": facts(deployments=Unavailable("HTTP 503")),
    "Monitor does not answer": facts(requests=Unavailable("HTTP 500")),
    "Monitor's answer is empty": facts(requests=Series(NOW, NOW, {})),
    "used lately, never marked": facts(endpoint=endpoint(tags=UNMARKED), requests=quiet({30: 0.2})),
    "called through the gateway lately, Monitor knows nothing of it": facts(
        endpoint=endpoint(tags=UNMARKED), last_call=ago(minutes=1)
    ),
    "too young, never marked": facts(endpoint=endpoint(tags=UNMARKED), changed_at=ago(hours=3)),
    "changed in the future: somebody's clock is wrong": facts(
        endpoint=endpoint(tags=UNMARKED), changed_at=ago(hours=-3)
    ),
    "the requests are known of less than the idle time": facts(
        endpoint=endpoint(tags=UNMARKED), requests=quiet(start=ago(hours=3))
    ),
    "unused, never marked, within its keep hours": (facts(endpoint=endpoint(tags=UNMARKED)), KEEP_HOURS),
    # unmarked
    "used after the mark": facts(requests=quiet({60: 1.0})),
    "used once after the mark, a little": facts(requests=quiet({1: 0.01})),
    "somebody's request in the minute of our smoke test": facts(
        requests=quiet({10: 2.0}), own_requests=[ago(minutes=9.5)]
    ),
    "a request in the minute after our smoke test": facts(
        requests=quiet({10: 1.0, 9: 1.0}), own_requests=[ago(minutes=9.5)]
    ),
    "called through the gateway after the mark": facts(last_call=ago(minutes=1)),
    "given to another tuning, or changed by hand, after the mark": facts(changed_at=ago(hours=1)),
    "used after an old mark, unused again since": facts(
        endpoint=endpoint(tags=marked(ago(hours=20).isoformat())),
        requests=quiet({600: 1.0}, start=ago(hours=24)),
    ),
    "in use, with a mark that can not be read": facts(
        endpoint=endpoint(tags=marked("soon")), requests=quiet({30: 1.0})
    ),
    "used after the mark, within its keep hours": (facts(requests=quiet({60: 1.0})), KEEP_HOURS),
    # marked anew
    "unused, never marked": facts(endpoint=endpoint(tags=UNMARKED)),
    "unused for exactly the idle time": facts(endpoint=endpoint(tags=UNMARKED), requests=quiet({241: 1.0})),
    "unused, with a mark that can not be read": facts(endpoint=endpoint(tags=marked("soon"))),
    "unused, with an empty mark": facts(endpoint=endpoint(tags=marked(""))),
    "unused, with a mark far in the future": facts(endpoint=endpoint(tags=marked("2027-01-01T00:00:00Z"))),
    # waiting
    "marked, within the grace": facts(endpoint=endpoint(tags=marked(ago(minutes=59).isoformat()))),
    "marked by somebody whose clock is half an hour ahead": facts(
        endpoint=endpoint(tags=marked(ago(minutes=-30).isoformat()))
    ),
    "the grace is over, but Monitor was not asked up to its end": facts(
        endpoint=endpoint(tags=marked(ago(minutes=61).isoformat())), requests=quiet(end=ago(minutes=5))
    ),
    "the requests since the mark are not all known": facts(
        endpoint=endpoint(tags=marked(ago(hours=9).isoformat())),
        requests=quiet(start=ago(hours=4, minutes=30)),
    ),
    "the grace is over, within its keep hours": (facts(), KEEP_HOURS),
    "keep hours that never end": (facts(), NEVER_ENDING),
    "changes by hand would have been noticed only since half an hour": facts(watched_since=ago(minutes=30)),
    "seen for the first time, with an old mark": facts(watched_since=None),
    # orphans
    "orphan: no tuning uses it, unused, marked, the grace is over": facts(orphan=ORPHAN, record=None, live=None),
    "orphan: never marked": facts(orphan=ORPHAN, record=None, live=None, endpoint=endpoint(tags=UNMARKED)),
    "orphan: used lately": facts(
        orphan=ORPHAN, record=None, live=None, endpoint=endpoint(tags=UNMARKED), requests=quiet({30: 1.0})
    ),
    "orphan: `droptune-keep` = `true`": facts(
        orphan=ORPHAN, record=None, live=None, endpoint=endpoint(tags=kept("true"))
    ),
    "orphan: a tuning of its dataset is unfinished": facts(
        orphan=ORPHAN, record=None, live=None, unfinished=("chat-v2",)
    ),
    "orphan: the ledger has no endpoint at all": facts(orphan=ORPHAN, record=None, live=None, ledger_empty=True),
    "orphan: a deployment on it that is not ours": facts(orphan=ORPHAN, record=None, live=None, foreign=("blue",)),
    "orphan: Monitor does not answer": facts(orphan=ORPHAN, record=None, live=None, requests=Unavailable("HTTP 500")),
    "orphan: Monitor does not answer, but nothing is deployed on it": facts(
        orphan=ORPHAN, record=None, live=None, requests=Unavailable("HTTP 500"), deployments=()
    ),
    "orphan: its creation failed": facts(
        orphan=ORPHAN, record=None, live=None, endpoint=endpoint(provisioning_state="Failed"), deployments=()
    ),
    "orphan: created a while ago": facts(
        orphan=ORPHAN, record=None, live=None, endpoint=endpoint(tags=UNMARKED), changed_at=ago(minutes=30)
    ),
    "orphan: its deletion was decided, and did not come to pass": facts(
        orphan=ORPHAN, record=CLOSED, live=None, endpoint=endpoint(tags=UNMARKED)
    ),
    "orphan: its deletion was decided, then `droptune-keep` was set": facts(
        orphan=ORPHAN, record=CLOSED, live=None, endpoint=endpoint(tags=kept("true"))
    ),
}

DEPLOYMENT = deployment("t-0", tags={**UNMARKED, names.TAG_TUNING: "chat-v0"})
"""Without traffic, beside the one that is live."""
ENDED = tuning("chat-v0", State.SUPERSEDED, deployment="t-0")
GRACE = timedelta(hours=1)
DEPLOYMENTS: dict[str, tuple[Facts, dict[str, object]]] = {
    "its tuning ended; seen two hours ago": (facts(deployments=(DEPLOYMENT,)), {}),
    "its tuning ended; seen for the first time": (facts(deployments=(DEPLOYMENT,)), {"since": None}),
    "its tuning is not in the ledger": (facts(deployments=(DEPLOYMENT,)), {"tuning": None}),
    "its tuning has another deployment now": (
        facts(deployments=(DEPLOYMENT,)),
        {"tuning": replace(ENDED, state=State.LIVE, deployment="t-0-2")},
    ),
    "the endpoint has `droptune-keep`": (
        facts(deployments=(DEPLOYMENT,), endpoint=endpoint(tags=kept("true"))),
        {},
    ),
    "the deployment has `droptune-keep`": (
        facts(deployments=(replace(DEPLOYMENT, tags={**DEPLOYMENT.tags, names.TAG_KEEP: "true"}),)),
        {},
    ),
    "a tuning of the dataset is unfinished": (facts(deployments=(DEPLOYMENT,), unfinished=("chat-v2",)), {}),
    "the ledger has no endpoint at all": (facts(deployments=(DEPLOYMENT,), ledger_empty=True), {}),
    "the endpoint is in the middle of an operation": (
        facts(deployments=(DEPLOYMENT,), endpoint=endpoint(provisioning_state="Updating")),
        {},
    ),
    "within keep hours": (facts(deployments=(DEPLOYMENT,)), {"policy": KEEP_HOURS}),
    "it has traffic": (facts(deployments=(DEPLOYMENT,), endpoint=endpoint(traffic={"t-1": 90, "t-0": 10})), {}),
    "it is not ours": (facts(deployments=(replace(DEPLOYMENT, tags={}),)), {}),
    "it is in the middle of an operation": (
        facts(deployments=(replace(DEPLOYMENT, provisioning_state="Updating"),)),
        {},
    ),
    "its tuning uses it": (facts(deployments=(DEPLOYMENT,)), {"tuning": replace(ENDED, state=State.DEPLOYING)}),
    "no tuning uses the endpoint: it goes as a whole": (facts(deployments=(DEPLOYMENT,), orphan=ORPHAN), {}),
}
