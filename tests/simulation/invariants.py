"""I1–I8 of the design, each a function that yields what violates it. They see the truth, not what the app believes.

`Scene` is the moment that is judged. `MOMENTS` says after, or before, which calls each invariant is checked; all of
them are checked once more at the end of a schedule.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, lru_cache
from itertools import pairwise
from typing import Any

from shared import names
from shared.datasets.identity import ContentIdentity, line_digest
from shared.idle.hours import WeeklyHours
from shared.lifecycle.perform import FILE_INPUTS
from shared.lifecycle.records import EndpointRecord, EndpointStatus
from shared.lifecycle.smoke_stage import RESULT_FILE
from shared.lifecycle.tuning import ENDED, State, Tuning
from shared.serving.smoke_report import SmokeReport
from tests.simulation import accounts
from tests.simulation.causes import unexplained
from tests.simulation.faults import Kind
from tests.simulation.people import People
from tests.simulation.strangers import STRANGERS_TAGS
from tests.simulation.truth import Truth
from tests.simulation.twins.world import Fate, Outcome
from tests.simulation.world import MAX_CLOCK_ERROR, Invocation

RETIRING = frozenset({"idle_cleanup", "sleep_endpoint"})
"""Functions that close endpoints."""
MONITORS_DELAY = timedelta(minutes=2)
"""Rounding to whole minutes, on both ends of what is asked for."""


@dataclass(frozen=True)
class Scene:
    """`operation` and `of` are the call of the moment, empty at the end; `who` makes it."""

    truth: Truth
    people: People
    scores: Mapping[str, list[Fate]]
    """What was answered to our smoke tests, by endpoint/deployment?question."""
    idle_decisions: Mapping[str, datetime]
    """When an endpoint was given up as idle."""
    struck: Set[Kind]
    """Kinds of faults so far."""
    now: datetime
    operation: str = ""
    of: str = ""
    who: Invocation | None = None


Invariant = Callable[[Scene], Iterator[str]]


def one_job_per_tuning_and_one_tuning_per_content(scene: Scene) -> Iterator[str]:
    """I1. A replay of the training is another attempt, and may have another job."""
    jobs = Counter(job.request.tags.get(names.TAG_TUNING, "") for job in scene.truth.cloud.jobs.all.values())
    contents: dict[object, str] = {}
    for tuning in scene.truth.tunings():
        if jobs[tuning.id] > 1 + scene.people.replays[tuning.id]:
            yield f"{tuning.id} has {jobs[tuning.id]} jobs after {scene.people.replays[tuning.id]} replays"
        if not tuning.splits or tuning.state is State.REJECTED:
            continue
        splits = tuple((split.name, split.content) for split in tuning.splits)
        configuration = (
            tuple(sorted(tuning.parameters.items())),
            tuple(sorted(tuning.smoke_expectations.items(), key=str)),
        )
        content = (tuning.dataset, tuning.version, splits, repr(configuration))
        twin = contents.setdefault(content, tuning.id)
        if twin != tuning.id:
            yield f"{twin} and {tuning.id} have the same content and configuration"


def no_more_jobs_run_than_allowed(scene: Scene) -> Iterator[str]:
    """I1, over all tunings: MAX_ACTIVE_JOBS."""
    limit = scene.truth.settings.max_active_jobs
    running = sorted(name for name, job in scene.truth.cloud.jobs.all.items() if not job.ended)
    if limit and len(running) > limit:
        yield f"{len(running)} jobs run, {limit} are allowed: {', '.join(running)}"


def a_job_trains_what_was_validated(scene: Scene) -> Iterator[str]:
    """I1, its other half: the content that the tuning stands for is the one that is read."""
    if not scene.of:
        return
    job = scene.truth.cloud.jobs.all[scene.of]
    tuning = scene.truth.tuning(job.request.tags[names.TAG_TUNING])
    assert tuning is not None, "jobs are tagged with their tuning"
    for split in tuning.splits:
        url = job.request.files.get(FILE_INPUTS.get(split.name, ""))
        blob = scene.truth.cloud.blobs.get(names.TUNINGS, names.snapshot_blob(tuning.id, f"{split.name}.jsonl"))
        if url is None:
            continue
        if blob is None or _content(blob.content) != split.content:
            yield f"job {scene.of} reads another {split.name} than was validated"


@lru_cache(maxsize=512)
def _content(data: bytes) -> str:
    """The identity of JSON Lines without flaws, as the app's is defined."""
    identity = ContentIdentity()
    for line in data.splitlines(keepends=True):
        identity.add(line_digest(line))
    return identity.name()


def one_model_per_completed_job(scene: Scene) -> Iterator[str]:
    """I2."""
    models = Counter(model.job for model in scene.truth.cloud.models.all.values())
    for job, count in models.items():
        status = scene.truth.cloud.jobs.all[job].status
        if count > 1 or status != "Completed":
            yield f"job {job}, which is {status}, has {count} model versions"


def nothing_is_left_over(scene: Scene) -> Iterator[str]:
    """I3, at the end: every idle window and grace is over by then."""
    if scene.operation:
        return
    tunings = {tuning.id: tuning for tuning in scene.truth.tunings()}
    for name, endpoint in scene.truth.our_endpoints().items():
        if not scene.people.kept_since(name):
            yield f"endpoint {name} is still there, {endpoint.state}"
    for endpoint, deployment in scene.truth.our_deployments():
        owner = tunings.get(deployment.tags.get(names.TAG_TUNING, ""))
        if owner is None or owner.state is not State.LIVE:
            state = owner.state if owner else "unknown"
            yield f"deployment {deployment.name} of {endpoint.name} outlives its tuning, which is {state}"
    for name, job in scene.truth.cloud.jobs.all.items():
        if not job.ended:
            yield f"job {name} still is {job.status}"


def only_what_nobody_needs_is_deleted(scene: Scene) -> Iterator[str]:
    """I4, before each deletion of an endpoint."""
    endpoint = scene.truth.cloud.endpoints.find(scene.of)
    if scene.operation != "arm.delete_endpoint" or endpoint is None or scene.who is None:
        return
    if endpoint.name not in scene.truth.our_endpoints():
        yield f"endpoint {scene.of} is not ours"
    if _kept(scene, scene.of, scene.idle_decisions.get(scene.of)):
        yield f"endpoint {scene.of} has a keep mark"
    for tuning in scene.truth.tunings():
        if tuning.endpoint != scene.of or tuning.id == scene.who.of:
            continue
        if tuning.state in (State.DEPLOYING, State.TESTING, State.PROMOTING, State.LIVE):
            yield f"endpoint {scene.of} is deleted for {scene.who.of}, but {tuning.id} on it is {tuning.state}"


def nothing_of_others_is_touched(scene: Scene) -> Iterator[str]:
    """I4, before each change of an endpoint and at the end: what does not carry our tag stays as it is."""
    endpoints = scene.truth.cloud.endpoints.all
    if scene.operation:
        name = scene.of.partition("/")[0]
        if name in endpoints and name not in scene.truth.our_endpoints():
            yield f"{scene.operation} of {scene.of}, which is somebody else's"
        return
    for name, endpoint in endpoints.items():
        if names.TAG_OWNER not in endpoint.tags and (endpoint.tags != STRANGERS_TAGS or endpoint.deployments):
            yield f"somebody else's endpoint {name} was changed"


def only_what_is_idle_is_given_up(scene: Scene) -> Iterator[str]:
    """I4, when the sweep or an operator closes an endpoint: no keep mark, no unfinished tuning; the sweep: no calls."""
    who = scene.who
    if scene.operation != "ledger.put" or who is None or who.function not in RETIRING:
        return
    table, _, dataset = scene.of.partition("/")
    record = scene.truth.record(dataset)
    if table != names.ENDPOINTS_TABLE or record.status is not EndpointStatus.DELETING:
        return
    for tenant in record.tenants:
        if tenant != record.live:
            yield f"endpoint {record.name} is given up while {tenant} uses it"
    if _kept(scene, record.name, None):
        yield f"endpoint {record.name} has a keep mark"
    if who.function != "idle_cleanup":
        return
    called = scene.people.last_call.get(record.name)
    settings = scene.truth.settings
    idle = _idle_settings(scene, record, who)
    known_until = who.started - timedelta(minutes=settings.metrics_delay_minutes) - MONITORS_DELAY - MAX_CLOCK_ERROR
    window = who.started - timedelta(minutes=idle.get("after_minutes", 0.0)) + MONITORS_DELAY + MAX_CLOCK_ERROR
    if called is not None and window < called < known_until:
        yield f"endpoint {record.name} was called at {called:%H:%M:%S} and is given up as idle"
    changed = scene.people.changed_at.get(record.name)
    if changed is not None and window < changed < who.started - MAX_CLOCK_ERROR:
        yield f"endpoint {record.name} was changed by hand at {changed:%H:%M:%S} and is given up as idle"
    for hours in (WeeklyHours.parse(idle[key]) for key in ("keep_hours", "awake") if key in idle):
        if all(hours.contains(who.started + error) for error in (-MAX_CLOCK_ERROR, timedelta(0), MAX_CLOCK_ERROR)):
            yield f"endpoint {record.name} is given up within the hours {hours.text}"
    noted, read = scene.people.noted_call.get(dataset), who.seen.get(f"ledger.usage {dataset}")
    # The time that is noted and the time that it is compared with come from two clocks.
    if noted is not None and read is not None and window + MAX_CLOCK_ERROR < noted < read:
        yield f"endpoint {record.name} was called through the gateway at {noted:%H:%M:%S} and is given up as idle"


def a_sleeping_endpoint_is_woken_once(scene: Scene) -> Iterator[str]:
    """I1, of deployments on demand: however many call, one begins it, and nobody begins it while it is under way."""
    for tuning in _tunings_of(scene):
        recent = tuning.history[-_NEWS:] if scene.operation else tuning.history
        for before, entry in pairwise(recent):
            if entry.message.startswith("woken by") and before.state not in ENDED:
                yield f"{tuning.id} was woken while it was {before.state}"


def _idle_settings(scene: Scene, record: EndpointRecord, who: Invocation) -> dict[str, Any]:
    """Those that a sweep must have known; nothing if they changed while it was running."""
    live = scene.truth.tuning(record.live)
    if live is None or any(
        entry.at > who.started - MAX_CLOCK_ERROR for entry in live.history if "idle settings" in entry.message
    ):
        return {}
    return {"after_minutes": scene.truth.settings.idle_after_minutes, **live.idle}


def every_tuning_ends_or_waits_for_something(scene: Scene) -> Iterator[str]:
    """I5."""
    for tuning in _tunings_of(scene):
        if tuning.ended and tuning.reason is None:
            yield f"{tuning.id} is {tuning.state} without a reason"
        if not scene.operation and tuning.state in _UNFINISHED:
            yield f"{tuning.id} still is {tuning.state} since {tuning.state_since}"
        if not scene.operation and tuning.state is State.LIVE and tuning.endpoint not in scene.truth.our_endpoints():
            yield f"{tuning.id} still is live, but its endpoint {tuning.endpoint} is gone"
        if scene.operation and tuning.state in _UNFINISHED and tuning.wake_at - scene.now > _LONGEST_WAIT:
            yield f"{tuning.id} is looked at only at {tuning.wake_at}"
    if scene.operation:
        return
    for version in scene.truth.versions():
        if version.state != "taken":
            yield f"version {version.dataset}/{version.version} still is {version.state}"
        elif version.files and scene.truth.tuning(version.tuning_id) is None:
            yield f"version {version.dataset}/{version.version} is taken, and nothing became of it"
    for name in scene.truth.unnoticed_uploads():
        yield f"nobody noticed the last change of version {name}"


def looks_do_not_multiply(scene: Scene) -> Iterator[str]:
    """I5, its price: a tuning waits for a look, not for hundreds of them."""
    for queue in (names.DEPLOYMENT_PROGRESS_QUEUE, names.SMOKE_TEST_QUEUE):
        waiting = scene.truth.cloud.queues.count(queue)
        if waiting > MOST_MESSAGES:
            yield f"{waiting} messages wait in {queue}"


def every_end_has_a_cause(scene: Scene) -> Iterator[str]:
    """I5, at the end: nothing fails, or is superseded or retired, for no reason in the world."""
    if scene.operation:
        return
    tunings = scene.truth.tunings()
    for tuning in tunings:
        found = scene.truth.files(tuning.dataset, tuning.version)
        changed = any(found.get(f"{split.name}.jsonl") != split.etag for split in tuning.splits)
        problem = unexplained(tuning, tunings, scene.struck, scene.idle_decisions, changed)
        if problem:
            yield f"{tuning.id} is {tuning.state}: {problem}"


def traffic_goes_forward_to_what_passed(scene: Scene) -> Iterator[str]:
    """I6, after each change of traffic and before each deletion of a deployment."""
    name, _, deployment_name = scene.of.partition("/")
    endpoint = scene.truth.cloud.endpoints.all.get(name)
    if endpoint is None:
        return
    if scene.operation == "arm.delete_deployment":
        yield from _removed_too_early(scene, name, deployment_name)
        return
    if scene.operation != "arm.set_traffic":
        return
    for deployment, share in endpoint.traffic.items():
        tuning = scene.truth.tuning(endpoint.deployments[deployment].tags.get(names.TAG_TUNING, "")) if share else None
        if tuning is None:
            continue
        if not _passed(scene, tuning, f"{name}/{deployment}"):
            yield f"{share} % of the traffic of {name} goes to {deployment}, which did not pass its smoke test"
        live = scene.truth.tuning(scene.truth.record(tuning.dataset).live)
        beside = live is not None and live.id != tuning.id and live.deployment in endpoint.deployments
        if tuning.state is State.CANARY and beside and share > scene.truth.settings.canary_percent:
            yield f"{tuning.id} gets {share} % of the traffic of {name} while it is a canary"
        if live is not None and live.id != tuning.id and live.state is State.LIVE and live.is_newer_than(tuning):
            yield f"traffic of {name} goes back from {live.id} to {tuning.id}"


def a_canary_goes_on_only_on_evidence(scene: Scene) -> Iterator[str]:
    """I6, when one is given all of the traffic because of what was seen of it."""
    table, _, key = scene.of.partition("/")
    tuning = scene.truth.tuning(key) if table == names.TUNINGS_TABLE else None
    if tuning is None or tuning.state is not State.PROMOTING or tuning.canary_since is None:
        return
    if not tuning.history[-1].message.startswith("canary passed"):
        return
    settings = scene.truth.settings
    began = tuning.canary_since - MAX_CLOCK_ERROR
    seen = scene.truth.cloud.usage.served(tuning.endpoint, tuning.deployment, began, scene.now)
    if len(seen) < settings.canary_min_requests:
        yield f"{tuning.id} is promoted after {len(seen)} requests"


def what_existed_is_accounted_for(scene: Scene) -> Iterator[str]:
    """I7, at the end: what the cloud would send a bill for is in the books from begin to end, and nothing else is."""
    if scene.operation:
        return
    yield from accounts.deployments_in_the_books(scene.truth, scene.struck, scene.people.deleted)
    yield from accounts.jobs_in_the_books(scene.truth)
    yield from accounts.report_adds_up(scene.truth, scene.now)


def no_deployment_begins_beyond_the_budget(scene: Scene) -> Iterator[str]:
    """I7, its other half: nothing begins that the month's budget does not allow, unless an operator did."""
    if not scene.truth.settings.monthly_budget or scene.who is None:
        return
    tuning = scene.truth.tuning(scene.who.of)
    if tuning is not None and not tuning.budget_exempt:
        yield from accounts.beyond_the_budget(scene.truth, tuning, scene.now)


def nothing_is_dropped_in_silence(scene: Scene) -> Iterator[str]:
    """I8, when a function that was told of an event has ended well."""
    who = scene.who
    if scene.operation == "ended" and who is not None and not who.tells:
        yield f"{who.name} left neither a row, nor a message, nor a line in the log"


_UNFINISHED = frozenset(State) - {
    State.LIVE,
    State.REJECTED,
    State.FAILED,
    State.ROLLED_BACK,
    State.SUPERSEDED,
    State.RETIRED,
}
_LONGEST_WAIT = timedelta(minutes=45)
"""The longest delay that the simulation's settings give, and two wrong clocks."""

_NEWS = 8
"""More entries than one write adds to a history."""

MOST_MESSAGES = 600
"""More than a storm of wake-ups makes of six tunings."""

MOMENTS: Mapping[Invariant, tuple[str, ...]] = {
    one_job_per_tuning_and_one_tuning_per_content: ("after sdk.submit_job",),
    no_more_jobs_run_than_allowed: ("after sdk.submit_job",),
    a_job_trains_what_was_validated: ("after sdk.submit_job",),
    one_model_per_completed_job: ("after sdk.register_model",),
    nothing_is_left_over: (),
    only_what_nobody_needs_is_deleted: ("before arm.delete_endpoint",),
    nothing_of_others_is_touched: (
        "before arm.create_endpoint",
        "before arm.set_traffic",
        "before arm.set_endpoint_tags",
        "before arm.create_deployment",
        "before arm.delete_deployment",
        "before arm.delete_endpoint",
    ),
    only_what_is_idle_is_given_up: ("after ledger.put",),
    a_sleeping_endpoint_is_woken_once: ("after ledger.put",),
    every_tuning_ends_or_waits_for_something: ("after ledger.put",),
    looks_do_not_multiply: ("after wake_ups.tuning", "after wake_ups.smoke_test"),
    every_end_has_a_cause: (),
    a_canary_goes_on_only_on_evidence: ("after ledger.put",),
    traffic_goes_forward_to_what_passed: ("after arm.set_traffic", "before arm.delete_deployment"),
    what_existed_is_accounted_for: (),
    no_deployment_begins_beyond_the_budget: ("after arm.create_deployment",),
    nothing_is_dropped_in_silence: ("ended",),
}


def number(invariant: Invariant) -> str:
    """As in the design: I1 to I8."""
    return (invariant.__doc__ or "")[:2]


@cache
def sentence(invariant: Invariant) -> str:
    return f"{number(invariant)} {invariant.__name__.replace('_', ' ')}"


def _kept(scene: Scene, endpoint: str, decided: datetime | None) -> bool:
    """Whether whoever acts could know of the keep mark: it was there when this invocation read the endpoint."""
    since = scene.people.kept_since(endpoint)
    if since is None or scene.who is None or (decided is not None and decided < since):
        return False
    read = scene.who.seen.get(f"arm.get_endpoint {endpoint}")
    return read is not None and since < read


def _removed_too_early(scene: Scene, endpoint: str, deployment: str) -> Iterator[str]:
    found = scene.truth.cloud.endpoints.all[endpoint].deployments.get(deployment)
    tuning = scene.truth.tuning(found.tags.get(names.TAG_TUNING, "")) if found else None
    if tuning is None:
        return
    record = scene.truth.record(tuning.dataset)
    if record.live == tuning.id and record.name == endpoint and record.status is EndpointStatus.ACTIVE:
        yield f"deployment {deployment} is removed while it is live on {endpoint}"


def _passed(scene: Scene, tuning: Tuning, of: str) -> bool:
    limit = tuning.smoke_expectations.get("max_latency_seconds") or scene.truth.settings.smoke_max_latency_seconds
    kept = scene.truth.cloud.blobs.get(names.TUNINGS, names.snapshot_blob(tuning.id, RESULT_FILE))
    if kept is None:
        return False
    samples = SmokeReport.parse(kept.content).samples
    return all(
        any(
            fate.outcome is Outcome.SUCCEED and fate.seconds <= float(limit)
            for fate in scene.scores.get(f"{of}?{sample.question[-1]['content']}", ())
        )
        for sample in samples
    )


def _tunings_of(scene: Scene) -> list[Tuning]:
    if not scene.operation:
        return scene.truth.tunings()
    table, _, key = scene.of.partition("/")
    tuning = scene.truth.tuning(key) if table == names.TUNINGS_TABLE else None
    return [] if tuning is None else [tuning]
