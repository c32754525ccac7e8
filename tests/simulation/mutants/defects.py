"""The defects: where, what, instead of what, and which promise it breaks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Defect:
    """`old` is found exactly once in `file`, or the list is out of date."""

    name: str
    file: str
    old: str
    new: str


LIFECYCLE = "shared/lifecycle"

DEFECTS: tuple[Defect, ...] = (
    Defect(
        "a lost race for an endpoint record is taken for won",
        f"{LIFECYCLE}/engine.py",
        "            case RaceLostError():\n"
        '                log.info("tuning %s: %s", tuning.id, error)\n'
        "                return tuning.waiting(now, 1)",
        "            case RaceLostError():\n"
        '                log.info("tuning %s: %s", tuning.id, error)\n'
        "                return tuning.moved(State.LIVE, now, str(error))",
    ),
    Defect(
        "the wake-up is sent before the row is recorded, and not after",
        f"{LIFECYCLE}/engine.py",
        "        if after != before:\n            try:",
        "        self.wake(before, now)\n        if after != before:\n            try:",
    ),
    Defect(
        "nobody wakes a tuning up after its step was recorded",
        f"{LIFECYCLE}/engine.py",
        "        self.events.publish_new(row)\n        self.wake(after, now)",
        "        self.events.publish_new(row)",
    ),
    Defect(
        "every overtaken look starts a chain of looks of its own",
        f"{LIFECYCLE}/engine.py",
        "    if not due or due == tuning.due or now >= tuning.wake_at or tuning.ended:",
        "    if True:",
    ),
    Defect(
        "what is live fails with the first permanent error",
        f"{LIFECYCLE}/engine.py",
        "if tuning.state not in (State.CLEANING_UP, State.LIVE):",
        "if tuning.state is not State.CLEANING_UP:",
    ),
    Defect(
        "a clean-up that met a permanent error is given up",
        f"{LIFECYCLE}/engine.py",
        "if tuning.state not in (State.CLEANING_UP, State.LIVE):",
        "if tuning.state is State.CLEANING_UP:\n"
        "            return tuning.moved(State.FAILED, now, reason.message)\n"
        "        if tuning.state is not State.LIVE:",
    ),
    Defect(
        "a failed look at what ended ends it anew",
        f"{LIFECYCLE}/engine.py",
        "            if tuning.ended:\n                raise\n",
        "",
    ),
    Defect(
        "time in which nobody could look counts against the deadline",
        f"{LIFECYCLE}/tuning.py",
        "if late <= LATE or self.state not in UNFINISHED:",
        "if True:",
    ),
    Defect(
        "deadlines are forgotten",
        f"{LIFECYCLE}/deadlines.py",
        "return until is not None and now > until",
        "return False",
    ),
    Defect(
        "a job is submitted while its splits are still being copied",
        f"{LIFECYCLE}/decide.py",
        "if CopyState.PENDING in states.values():",
        "if False:",
    ),
    Defect(
        "a job that Azure ML does not know counts as completed",
        f"{LIFECYCLE}/decide.py",
        '        return Wait(f"Azure ML does not know job {tuning.job}")',
        "        return RegisterModel()",
    ),
    Defect(
        "a canceled job is waited for",
        f"{LIFECYCLE}/decide.py",
        '    if job.status == "Canceled":',
        '    if job.status == "Cancelled":',
    ),
    Defect(
        "a tuning joins an endpoint that is being deleted",
        f"{LIFECYCLE}/decide.py",
        "    if record.status is EndpointStatus.DELETING:\n        if endpoint is not None:",
        "    if False:\n        if endpoint is not None:",
    ),
    Defect(
        "somebody else's endpoint of our name is taken over",
        f"{LIFECYCLE}/decide.py",
        "    if not observed.ours:\n        reason = Reason(",
        "    if False:\n        reason = Reason(",
    ),
    Defect(
        "somebody else's endpoint of our name is cleaned up",
        f"{LIFECYCLE}/decide.py",
        "    if not observed.ours:\n        return Finish(outcome, endpoint_gone=False)",
        "    if False:\n        return Finish(outcome, endpoint_gone=False)",
    ),
    Defect(
        "a failed deployment is smoke-tested and promoted",
        f"{LIFECYCLE}/decide.py",
        '    if deployment.provisioning_state != "Succeeded":',
        "    if False:",
    ),
    Defect(
        "an older tuning takes the traffic from a newer one that is live",
        f"{LIFECYCLE}/decide.py",
        "if other is None or other.id == tuning.id or not other.is_newer_than(tuning):",
        "if other is None or other.id == tuning.id or other.is_newer_than(tuning):",
    ),
    Defect(
        "traffic moves without the claim to it",
        f"{LIFECYCLE}/decide.py",
        "    if record.promoting == tuning.id:\n        return None",
        "    if True:\n        return None",
    ),
    Defect(
        "a tuning is live before the traffic is",
        f"{LIFECYCLE}/decide.py",
        '    if _positive(endpoint.traffic) == wanted and endpoint.provisioning_state == "Succeeded":\n'
        "        return BecomeLive()",
        '    if endpoint.provisioning_state == "Succeeded":\n        return BecomeLive()',
    ),
    Defect(
        "a canary gets all of the traffic at once",
        f"{LIFECYCLE}/canary.py",
        "    return {new: policy.percent, live: 100 - policy.percent}",
        "    return {new: 100}",
    ),
    Defect(
        "a canary of which Monitor tells nothing is promoted",
        f"{LIFECYCLE}/canary.py",
        '        doubt = f"no metrics: {seen.reason}"',
        '        return CanaryVerdict("promote", seen.reason)',
    ),
    Defect(
        "a canary that answers badly goes on",
        f"{LIFECYCLE}/canary.py",
        "        problem = _too_bad(policy, seen)",
        '        problem = ""',
    ),
    Defect(
        "a canary is watched for ever",
        f"{LIFECYCLE}/canary.py",
        "    if now - began < policy.deadline:",
        "    if True:",
    ),
    Defect(
        "who leaves gives traffic back that is a newer canary's",
        f"{LIFECYCLE}/decide.py",
        "    return SetTraffic({**rest, heir: rest.get(heir, 0) + share})",
        "    return SetTraffic({heir: 100})",
    ),
    Defect(
        "who leaves gives its traffic to nobody though somebody is live",
        f"{LIFECYCLE}/decide.py",
        "        heir = live.deployment\n    elif rest:",
        "        return SetTraffic({**rest, deployment.name: 0})\n    elif rest:",
    ),
    Defect(
        "a canary beside which nobody is live is watched on",
        f"{LIFECYCLE}/decide.py",
        '        return EndCanary("nobody is live beside it")',
        '        return Wait("nobody is live beside it")',
    ),
    Defect(
        "few requests are enough for a canary",
        f"{LIFECYCLE}/canary.py",
        "    if new.requests < policy.min_requests:\n",
        "    if not new.requests:\n",
    ),
    Defect(
        "a canary is promoted before its time",
        f"{LIFECYCLE}/canary.py",
        "    if seen.until - since < policy.span:",
        "    if False:",
    ),
    Defect(
        "a canary answers for errors that the live one has too",
        f"{LIFECYCLE}/canary.py",
        "new.errors > allowed and new.error_rate > live.error_rate:",
        "new.errors > allowed:",
    ),
    Defect(
        "a canary that is only slow goes on",
        f"{LIFECYCLE}/canary.py",
        '    return f"max_latency_p95_seconds:',
        '    return ""\n    return f"max_latency_p95_seconds:',
    ),
    Defect(
        "minutes that Monitor does not tell are minutes without errors",
        f"{LIFECYCLE}/canary_metrics.py",
        "        if missing:",
        "        if False:",
    ),
    Defect(
        "whoever's error it is, it is the canary's",
        f"{LIFECYCLE}/canary_metrics.py",
        "    return status in _NOT_THE_CALLERS or",
        '    return status.startswith("4") or',
    ),
    Defect(
        "whoever waits for the budget goes on without it",
        f"{LIFECYCLE}/decide.py",
        "    return Wait(observed.over_budget) if observed.over_budget else TakeBudget()",
        "    return TakeBudget()",
    ),
    Defect(
        "nobody waits for the budget",
        f"{LIFECYCLE}/decide.py",
        "    if observed.over_budget:\n        return AwaitBudget(observed.over_budget)",
        "    if False:\n        return AwaitBudget(observed.over_budget)",
    ),
    Defect(
        "those that wait for the budget overtake each other",
        "shared/costs/budget.py",
        "    if before:\n",
        "    if False:\n",
    ),
    Defect(
        "a deployment that is about to begin does not count for the budget",
        "shared/costs/budget.py",
        "            rate += price.hourly * item.instance_count",
        "            rate += 0.0",
    ),
    Defect(
        "a price that nobody knows is no price",
        "shared/costs/budget.py",
        "    if price is None or seen.unknown:",
        "    if price is None:\n        return ''\n    if False:",
    ),
    Defect(
        "the books close a deployment that was seen after they looked",
        "shared/costs/books.py",
        "        closed = [row.value.seen <= sighting.looked and self._close(row, tuning) for row in gone]",
        "        closed = [self._close(row, tuning) for row in gone]",
    ),
    Defect(
        "the books do not notice that a deployment is gone",
        "shared/costs/books.py",
        "        gone = [row for key, row in running.items() if key not in seen]",
        "        gone: list[Row] = []",
    ),
    Defect(
        "a live tuning does not notice that its endpoint is gone",
        f"{LIFECYCLE}/decide.py",
        "    if observed.endpoint is None or not observed.ours:\n        message",
        "    if False:\n        message",
    ),
    Defect(
        "the last one to leave deletes an endpoint that others use",
        f"{LIFECYCLE}/decide.py",
        "record.name == tuning.endpoint and set(record.tenants) <= {tuning.id}",
        "record.name == tuning.endpoint",
    ),
    Defect(
        "a deployment is removed without looking at its traffic",
        f"{LIFECYCLE}/decide.py",
        "        if _positive(endpoint.traffic).get(deployment.name):",
        "        if False:",
    ),
    Defect(
        "what became live while it was given up is removed",
        f"{LIFECYCLE}/decide.py",
        '        if record.live == tuning.id and deployment.provisioning_state == "Succeeded":',
        "        if False:",
    ),
    Defect(
        "who loses a race looks once more out of turn",
        f"{LIFECYCLE}/engine.py",
        'self.wake_ups.tuning(tuning_id, delay, due="" if row is None else row.value.due)',
        "self.wake_ups.tuning(tuning_id, delay)",
    ),
    Defect(
        "nobody looks at a live tuning whose endpoint is gone",
        "shared/idle/sweep.py",
        "            sweep.wake_ups.tuning(tuning_id)",
        "            pass",
    ),
    Defect(
        "somebody else's endpoint of our name passes for the one that is live",
        f"{LIFECYCLE}/decide.py",
        "    if observed.endpoint is None or not observed.ours:",
        "    if observed.endpoint is None:",
    ),
    Defect(
        "an endpoint with a keep mark is deleted with its last tuning",
        f"{LIFECYCLE}/decide.py",
        "    return bool(keep_reason(endpoint.tags, now))",
        "    return False",
    ),
    Defect(
        "a keep mark on an endpoint whose deletion failed comes too late",
        f"{LIFECYCLE}/records.py",
        "        return self.status is EndpointStatus.DELETING and bool(self.retire_reason)",
        "        return self.status is EndpointStatus.DELETING",
    ),
    Defect(
        "the deadline of a deployment counts the wait for other versions",
        f"{LIFECYCLE}/engine.py",
        "                tuning = tuning.counted_from(observed.deployment.created_at)",
        "                pass",
    ),
    Defect(
        "a worker that stood still acts on what it saw before",
        f"{LIFECYCLE}/engine.py",
        "self.clock() - now > _STALE",
        "False",
    ),
    Defect(
        "the operation that made a deployment passes for its deletion",
        "shared/costs/sightings.py",
        "if end > record.seen)",
        "if end)",
    ),
    Defect(
        "a job whose tuning ended runs on",
        f"{LIFECYCLE}/decide.py",
        "    if job is not None and not job.ended:\n        return Wait(",
        "    if False:\n        return Wait(",
    ),
    Defect(
        "an endpoint is deleted before its record is closed to others",
        f"{LIFECYCLE}/perform.py",
        "if record.value.name == tuning.endpoint and record.value.status is not EndpointStatus.DELETING:",
        "if False:",
    ),
    Defect(
        "a deleted endpoint's name is used again at once",
        f"{LIFECYCLE}/records.py",
        "generation=self.generation + 1",
        "generation=self.generation",
    ),
    Defect(
        "a tuning that ended stays a tenant",
        f"{LIFECYCLE}/records.py",
        "tenants=tuple(tenant for tenant in self.tenants if tenant != tuning_id),",
        "tenants=self.tenants,",
    ),
    Defect(
        "a job's name counts the looks, so that every try is another job",
        f"{LIFECYCLE}/perform.py",
        "        job = names.job_name(tuning.id, tuning.attempt)\n        self.sdk.submit_job(",
        "        job = names.job_name(tuning.id, tuning.attempt + tuning.looks)\n        self.sdk.submit_job(",
    ),
    Defect(
        "a model's version is the moment of its registration",
        f"{LIFECYCLE}/perform.py",
        "names.model_version(tuning.created_at,",
        "names.model_version(now,",
    ),
    Defect(
        "job slots are not given back",
        f"{LIFECYCLE}/slot_keeper.py",
        "        self._wake_next(self._change(lambda slots: slots.left([tuning_id])))",
        "        return",
    ),
    Defect(
        "one job more than allowed",
        f"{LIFECYCLE}/job_slots.py",
        "free=before < limit - len(self.holders),",
        "free=before <= limit - len(self.holders),",
    ),
    Defect(
        "a split is copied whatever its ETag has become",
        f"{LIFECYCLE}/perform.py",
        "self.blobs.begin_copy(source, split.etag, tuning.id, file)",
        "there = self.blobs.uploaded_file(source)\n"
        "                    self.blobs.begin_copy(source, there.etag if there else split.etag, tuning.id, file)",
    ),
    Defect(
        "the version is marked as taken before its tuning is recorded",
        f"{LIFECYCLE}/intake.py",
        "        existing = lifecycle.ledger.tuning(tuning.id)\n        if existing is None:",
        "        row = lifecycle.ledger.put(replace(row, value=replace(row.value, state=VersionState.TAKEN)))\n"
        "        existing = lifecycle.ledger.tuning(tuning.id)\n        if existing is None:",
    ),
    Defect(
        "a version is taken as soon as its first file is there",
        f"{LIFECYCLE}/intake.py",
        "    if version.files and not missing_splits(version):",
        "    if version.files:",
    ),
    Defect(
        "events of child runs wake tunings up as if the job had ended",
        f"{LIFECYCLE}/job_events.py",
        'if data.get("runType") == "azureml.StepRun" or',
        "if False and",
    ),
    Defect(
        "events of other workspaces are believed",
        f"{LIFECYCLE}/job_events.py",
        "if str(event.topic).rstrip",
        "if not event.topic and str(event.topic).rstrip",
    ),
    Defect(
        "an ignored event leaves no line in the log",
        f"{LIFECYCLE}/job_events.py",
        '            log.info("job event ignored: %s", ignored)\n',
        "",
    ),
    Defect(
        "reconcile does not look for uploads of which no event came",
        f"{LIFECYCLE}/reconcile.py",
        "self._uploads(known, rows, errors) + self._collecting(known.values(), now, errors)",
        "self._collecting(known.values(), now, errors)",
    ),
    Defect(
        "reconcile does not look for overdue tunings",
        f"{LIFECYCLE}/reconcile.py",
        "                due = self._overdue(tuning.wake_at, now)",
        "                due = False",
    ),
    Defect(
        "reconcile does not look for overdue versions",
        f"{LIFECYCLE}/reconcile.py",
        "if version.state is VersionState.COLLECTING and self._overdue(version.wake_at, now):",
        "if False:",
    ),
    Defect(
        "a smoke test that failed passes",
        f"{LIFECYCLE}/smoke_stage.py",
        "        if tuning.smoke.passed:",
        "        if tuning.smoke is not None:",
    ),
    Defect(
        "missing metrics count as no requests",
        "shared/idle/metrics.py",
        "    missing = [minute for minute in wanted if minute not in minutes]",
        "    minutes = {**dict.fromkeys(wanted, 0.0), **minutes}\n    missing: list[datetime] = []",
    ),
    Defect(
        "the sweep ignores the keep mark",
        "shared/idle/rule.py",
        "_untouchable(facts) or keep_reason(facts.endpoint.tags, now)",
        "_untouchable(facts)",
    ),
    Defect(
        "the sweep deletes without a time of grace",
        "shared/idle/rule.py",
        "    if hours or deletes_at is None or now < deletes_at or series.end < deletes_at:",
        "    if False:",
    ),
    Defect(
        "the sweep deletes while a new tuning is on its way",
        "shared/idle/rule.py",
        "    if facts.unfinished:",
        "    if False:",
    ),
    Defect(
        "the sweep believes an endpoint record that was written meanwhile",
        "shared/idle/acting.py",
        "        if row.value != record:",
        "        if False:",
    ),
    Defect(
        "the sweep ignores keep hours",
        "shared/idle/policy.py",
        "        return next((hours for hours in self.keep_hours if hours.contains(now)), None)",
        "        return None",
    ),
    Defect(
        "the sweep ignores what a version says about its idle time",
        "shared/idle/sweep.py",
        "            return overridden(policy, facts.live.idle)",
        "            return policy",
    ),
    Defect(
        "the sweep takes changes by hand for none",
        "shared/idle/memory.py",
        "        return before if before.looks == looks else replace(before, looks=looks, changed_at=now)",
        "        return before",
    ),
    Defect(
        "an endpoint that no tuning uses is left where it is",
        "shared/idle/gather.py",
        '        orphan=_orphan(record, users, ledger.by_id) if ours else "",',
        '        orphan="",',
    ),
    Defect(
        "an endpoint whose tuning goes on is taken for an orphan",
        "shared/idle/gather.py",
        "    if any(not tuning.ended for tuning in known.values()):",
        "    if False:",
    ),
    Defect(
        "a throttled call ends the tuning",
        "shared/azureml/translate.py",
        "    if status == 429:",
        "    if status == -429:",
    ),
    Defect(
        "a conflict ends the tuning",
        "shared/azureml/translate.py",
        "_LATER = frozenset({408, 409, 423, 425, 500, 502, 503, 504})",
        "_LATER = frozenset({408, 423, 425, 500, 502, 503, 504})",
    ),
    Defect(
        "who was live last is forgotten with its endpoint",
        f"{LIFECYCLE}/records.py",
        "generation=self.generation + 1, last_live=self.last_live)",
        "generation=self.generation + 1)",
    ),
    Defect(
        "what is being deleted is woken",
        f"{LIFECYCLE}/standing.py",
        "    if last.state in (State.LIVE, State.CLEANING_UP):",
        "    if last.state is State.CLEANING_UP:\n        return Situation.ASLEEP\n    if last.state is State.LIVE:",
    ),
    Defect(
        "the time of the last call moves backwards",
        "shared/gateway/usage.py",
        "            if row is not None and row.value.at >= at:",
        "            if row is not None and row.value.at == at:",
    ),
)
