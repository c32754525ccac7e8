"""Users and operators: they do what the plan says, by hand and past the app."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from starlette.responses import Response

from shared import names
from shared.lifecycle.tuning import State
from tests.simulation import contents
from tests.simulation.dice import Dice
from tests.simulation.faults import Kind
from tests.simulation.grid import EventGrid
from tests.simulation.host import Host
from tests.simulation.strangers import STRANGERS_TAGS, forms
from tests.simulation.truth import Truth
from tests.simulation.twins.endpoints import Endpoint
from tests.simulation.twins.refusals import RefusedError
from tests.simulation.workload import (
    DATASETS,
    Calls,
    CallsThroughTheGateway,
    Delete,
    Look,
    Operate,
    Step,
    Strange,
    Upload,
)
from tests.simulation.world import SimulatedWorld

_AGAIN = 60.0
"""Seconds until somebody who found a name taken tries once more."""
_FORCE_AFTER = 300.0
"""Seconds until an operator who took a deployment's traffic away deletes it."""


@dataclass(eq=False)
class People:
    world: SimulatedWorld
    host: Host
    grid: EventGrid
    truth: Truth
    last_call: dict[str, datetime] = field(default_factory=dict)
    """When users called an endpoint last; our own smoke tests do not count."""
    noted_call: dict[str, datetime] = field(default_factory=dict)
    """When the gateway last had noted a call of a dataset."""
    replays: Counter[str] = field(default_factory=Counter)
    marked_at: dict[str, datetime] = field(default_factory=dict)
    changed_at: dict[str, datetime] = field(default_factory=dict)
    """When somebody changed an endpoint's tags, by name."""
    deleted: set[str] = field(default_factory=set)
    """Endpoints, and deployments as `endpoint/deployment`, that they deleted by hand."""

    def kept_since(self, endpoint: str) -> datetime | None:
        """When somebody set the keep mark of the endpoint that is there now; another one had its name before."""
        marked, found = self.marked_at.get(endpoint), self.truth.cloud.endpoints.find(endpoint)
        return None if marked is None or found is None or marked < found.created_at else marked

    def follow(self, steps: tuple[Step, ...]) -> None:
        for step in steps:
            self.world.scheduler.after(step.at, self._doing(step))

    def meddle(self, kind: Kind, operation: str, of: str) -> bool:
        """Change things under the feet of a call; False if there was nothing to change."""
        if kind in (Kind.BLOB_OVERWRITTEN, Kind.BLOB_DELETED):
            return self._meddle_with_blob(kind, operation, of)
        if kind is Kind.JOB_CANCELED:
            return self._by_hand(lambda: self.truth.cloud.jobs.cancel(of))
        endpoint = of.partition("/")[0] or next(iter(sorted(self.truth.our_endpoints())), "")
        if kind is Kind.ENDPOINT_DELETED:
            return self._delete_endpoint(endpoint)
        return self._delete_deployment(endpoint, 0)

    def _doing(self, step: Step) -> Callable[[], None]:
        def do() -> None:
            self.world.trace.note("people", f"{step.id}: {step.deed}")
            self._do(step)

        return do

    def _do(self, step: Step) -> None:
        match step.deed:
            case Upload(blob, content):
                file = blob.rpartition("/")[2]
                good, bad = contents.BY_FILE.get(file, ({}, {}))
                raw = good.get(content) or bad.get(content) or b"?"
                self.truth.cloud.blobs.upload(names.DATASETS, blob, raw)
            case Delete(blob):
                self.truth.cloud.blobs.delete(names.DATASETS, blob)
            case Calls(dataset, seconds, every):
                self._call(dataset, seconds, every)
            case CallsThroughTheGateway(dataset, seconds, every):
                self._call_through_the_gateway(dataset, seconds, every)
            case Operate(kind, which):
                if self.world.injector.allows(kind, step.id):
                    self._operate(kind, which)
            case Strange(form):
                self._pretend(step.id, form)
            case Look():
                self._look()

    def _call(self, dataset: str, seconds: float, every: float) -> None:
        for name, endpoint in self.truth.our_endpoints().items():
            if endpoint.tags.get(names.TAG_DATASET) == dataset and any(endpoint.traffic.values()):
                self._ask(endpoint)
                self.last_call[name] = self.world.now()
        if seconds > every:
            self.world.scheduler.after(every, lambda: self._call(dataset, seconds - every, every))

    def _ask(self, endpoint: Endpoint) -> None:
        """One question, to a deployment that the traffic map gives it to."""
        dice = Dice(self.world.plan.seed, "call", f"{endpoint.name} {self.world.now()}")
        point, chosen = dice.between(0, sum(endpoint.traffic.values())), ""
        for deployment, share in sorted(endpoint.traffic.items()):
            chosen = deployment if share and point >= 0 else chosen
            point -= share
        fails = self.world.fates.answers_badly(f"{endpoint.name}/{chosen}") and dice.chance(0.5)
        self.truth.cloud.usage.record(endpoint.name, chosen, 500 if fails else 200, dice.between(0.1, 3))

    def _call_through_the_gateway(self, dataset: str, seconds: float, every: float) -> None:
        def passed_on(name: str) -> None:
            self.noted_call[dataset] = self.world.now()
            endpoint = self.truth.our_endpoints().get(name)
            if endpoint is not None and any(endpoint.traffic.values()):
                self._ask(endpoint)
                self.last_call[name] = self.world.now()

        self.host.call_gateway(dataset, passed_on)
        if seconds > every:
            again = self._call_through_the_gateway
            self.world.scheduler.after(every, lambda: again(dataset, seconds - every, every))

    def _operate(self, kind: Kind, which: int) -> None:
        if kind is Kind.REPLAYED:
            if tunings := sorted(tuning.id for tuning in self.truth.tunings() if tuning.ended):
                self._replay(tunings[which % len(tunings)], as_newest=which % 3 == 0)
            return
        if kind is Kind.CANCELED:
            if tunings := sorted(tuning.id for tuning in self.truth.tunings() if not tuning.ended):
                self._tell_app("cancel_tuning", tunings[which % len(tunings)])
            return
        if kind is Kind.ALLOWED:
            waiting = (tuning.id for tuning in self.truth.tunings() if tuning.state is State.WAITING_FOR_BUDGET)
            for tuning in sorted(waiting)[:1]:
                self._tell_app("allow_budget", tuning)
            return
        if kind is Kind.JOB_CANCELED:
            if running := sorted(name for name, job in self.truth.cloud.jobs.all.items() if not job.ended):
                self._by_hand(lambda: self.truth.cloud.jobs.cancel(running[which % len(running)]))
            return
        if kind is Kind.APP_DOWN:
            self.host.stop_for(60.0 * (1 + which % 90))
            return
        if kind in (Kind.PUT_TO_SLEEP, Kind.WOKEN):
            self._operate_endpoint(
                "sleep_endpoint" if kind is Kind.PUT_TO_SLEEP else "wake_endpoint", DATASETS[which % len(DATASETS)]
            )
            return
        if kind is Kind.STORM_OF_LOOKS:
            self._storm(size_of_storm(which))
            return
        if kind is Kind.SQUATTER:
            self._squat(DATASETS[which % len(DATASETS)], in_this_workspace=which % 5 > 1)
            return
        if kind is Kind.ORPHANED:
            self._leave_an_orphan()
            return
        endpoints = sorted(self.truth.our_endpoints())
        if not endpoints:
            return
        chosen = endpoints[which % len(endpoints)]
        if kind is Kind.KEPT:
            if self._by_hand(lambda: self.truth.cloud.endpoints.patch_tags(chosen, {names.TAG_KEEP: "true"})):
                self.marked_at[chosen] = self.world.now()
        elif kind is Kind.CHANGED_BY_HAND:
            if self._by_hand(lambda: self.truth.cloud.endpoints.patch_tags(chosen, {"team": f"team {which}"})):
                self.changed_at[chosen] = self.world.now()
        elif kind is Kind.ENDPOINT_DELETED:
            self._delete_endpoint(chosen)
        else:
            self._delete_deployment(chosen, which)

    def _replay(self, tuning: str, *, as_newest: bool) -> None:
        self.replays[tuning] += 1
        self._tell_app("replay_tuning", tuning, {"as_newest": "true"} if as_newest else {})

    def _tell_app(self, function: str, tuning: str, params: dict[str, str] | None = None) -> None:
        def answered(response: Response | None) -> None:
            status = "HTTP 500" if response is None else f"HTTP {response.status_code}"
            self.world.trace.note("people", f"{function} {tuning}: {status}")

        self.host.request(function, {"id": tuning}, answered, params or {})

    def _operate_endpoint(self, function: str, dataset: str) -> None:
        def answered(response: Response | None) -> None:
            status = "HTTP 500" if response is None else f"HTTP {response.status_code}"
            self.world.trace.note("people", f"{function} of {dataset}: {status}")

        self.host.request(function, {"dataset": dataset}, answered)

    def _storm(self, times: int) -> None:
        """So many hints and so many copies of the planned look, for every tuning, whatever it is doing."""
        for tuning in self.truth.tunings():
            queue = names.SMOKE_TEST_QUEUE if tuning.state is State.TESTING else names.DEPLOYMENT_PROGRESS_QUEUE
            for body in ({"tuning_id": tuning.id}, {"tuning_id": tuning.id, "due": tuning.due}):
                for _ in range(times):
                    self.truth.cloud.queues.send(queue, json.dumps(body).encode())
        self.host.look_at_queues()

    def _squat(self, dataset: str, *, in_this_workspace: bool) -> None:
        """Take the name that the dataset's next endpoint will have, as soon as it is free.

        Not in the moment between somebody's look at that name and what he then does: endpoints have no ETags, so
        that nobody could tell that the endpoint that he writes to is another one.
        """
        if not self.world.injector.active:
            return
        cloud, generation = self.truth.cloud.endpoints, self.truth.record(dataset).generation
        current = names.endpoint_name(self.truth.settings.workspace_id, dataset, generation)
        name = current
        if cloud.existed(current):
            name = names.endpoint_name(self.truth.settings.workspace_id, dataset, generation + 1)
        if not in_this_workspace:
            cloud.taken_elsewhere.add(name)
            return
        looked_at = f"arm.get_endpoint {name}"
        seen = any(looked_at in who.seen for instance in self.host.instances for who in instance.running)
        free = not seen and cloud.find(name) is None
        if free and self._by_hand(lambda: cloud.put(name, "somebody else's", STRANGERS_TAGS, {})):
            return
        self.world.scheduler.after(_AGAIN, lambda: self._squat(dataset, in_this_workspace=True))

    def _leave_an_orphan(self) -> None:
        """As of another storage account. Only where the ledger knows some endpoint: an empty one deletes nothing."""
        workspace, dataset = self.truth.settings.workspace_id, "lost"
        tags = {names.TAG_OWNER: names.owner(workspace), names.TAG_DATASET: dataset}
        name = names.endpoint_name(workspace, dataset, 1)
        if self.truth.records() and self.truth.cloud.endpoints.find(name) is None:
            self._by_hand(lambda: self.truth.cloud.endpoints.put(name, "lost", tags, {}))

    def _delete_endpoint(self, name: str) -> bool:
        if self.truth.cloud.endpoints.find(name) is None:
            return False
        if not self._by_hand(lambda: self.truth.cloud.endpoints.delete(name)):
            return False
        self.deleted.add(name)
        return True

    def _delete_deployment(self, endpoint_name: str, which: int) -> bool:
        endpoint = self.truth.cloud.endpoints.find(endpoint_name)
        if endpoint is None or not endpoint.deployments:
            return False
        deployment = sorted(endpoint.deployments)[which % len(endpoint.deployments)]
        endpoints = self.truth.cloud.endpoints

        def delete() -> None:
            if self._by_hand(lambda: endpoints.delete_deployment(endpoint_name, deployment)):
                self.deleted.add(f"{endpoint_name}/{deployment}")

        if endpoint.traffic.get(deployment):
            nobody = dict.fromkeys(endpoint.traffic, 0)
            self._by_hand(lambda: endpoints.put(endpoint_name, endpoint.description, endpoint.tags, nobody))
            self.world.scheduler.after(_FORCE_AFTER, delete)
        else:
            delete()
        return True

    def _meddle_with_blob(self, kind: Kind, operation: str, of: str) -> bool:
        blob = of
        if operation == "blobs.begin_copy":
            tuning_id, _, file = of.partition("/")
            tuning = self.truth.tuning(tuning_id)
            blob = f"{tuning.dataset}/{tuning.version}/{file}" if tuning else ""
        found = self.truth.cloud.blobs.get(names.DATASETS, blob)
        if found is None:
            return False
        self.world.trace.note("people", f"{kind}: {blob}")
        if kind is Kind.BLOB_DELETED:
            self.truth.cloud.blobs.delete(names.DATASETS, blob)
        else:
            other = contents.other_content(blob.rpartition("/")[2], found.content)
            self.truth.cloud.blobs.upload(names.DATASETS, blob, other)
        return True

    def _pretend(self, step: str, form: int) -> None:
        jobs = sorted(self.truth.cloud.jobs.all) or ["no-job-yet"]
        made = forms(self.truth.settings.workspace_id, jobs[form % len(jobs)])
        event = made[form % len(made)](self.world.now(), step)
        if self.world.injector.allows(Kind.EVENT_OF_STRANGER, step):
            self.grid.deliver_stranger(event)

    def _look(self) -> None:
        def ignored(response: Response | None) -> None:
            self.world.trace.note("people", f"page: {'HTTP 500' if response is None else response.status_code}")

        self.host.request("list_tunings", {}, ignored)
        self.host.request("list_endpoints", {}, ignored)
        for tuning in self.truth.tunings()[:1]:
            self.host.request("get_tuning", {"id": tuning.id}, ignored)

    def _by_hand(self, act: Callable[[], object]) -> bool:
        try:
            act()
        except RefusedError as error:
            self.world.trace.note("people", f"refused: {error}")
            return False
        return True


def size_of_storm(which: int) -> int:
    """Hints for every tuning, and as many copies of its planned look."""
    return 10 + which % 30
