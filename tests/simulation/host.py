"""The Functions host of the simulation: finds the app's functions by their triggers and calls them as the host does."""

from __future__ import annotations

import functools
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import azure.functions as func
from azure.functions.timer import TimerRequest

import function_app
from handlers.http import Request, Response
from shared import names, services
from shared.config import Settings
from shared.gateway.directory import EndpointVanishedError
from shared.gateway.gateway import CALLER
from tests.simulation.dice import Dice
from tests.simulation.faults import Kind
from tests.simulation.twins.calm import START
from tests.simulation.twins.cloud import Clients, TwinCloud
from tests.simulation.twins.queues import LEASE, LeaseLostError, Listener, Message
from tests.simulation.twins.services import TwinServices
from tests.simulation.world import Instance, Invocation, SimulatedWorld

POLL_SECONDS = 5.0
"""maxPollingInterval of host.json."""
RETRY_SECONDS = 30.0
"""visibilityTimeout of host.json: until a message whose function failed is seen again."""
FUNCTION_TIMEOUT = 1800.0
"""functionTimeout of host.json: the host ends a worker process whose function runs for longer."""
BLOB_TRIES = 5
RESTART_SECONDS = 20.0

Ended = Callable[[BaseException | None], None]
Answered = Callable[[Response | None], None]


@dataclass(frozen=True)
class Function:
    name: str
    call: Callable[..., Any]
    trigger: Mapping[str, Any]


@functools.cache
def functions() -> tuple[Function, ...]:
    found = function_app.app.get_functions()
    triggers = [(item, item.get_trigger()) for item in found]
    return tuple(
        Function(str(item.get_function_name()), item.get_user_function(), dict(trigger.get_dict_repr()))
        for item, trigger in triggers
        if trigger is not None
    )


@functools.cache
def triggered_by(kind: str) -> list[Function]:
    return [function for function in functions() if function.trigger["type"] == kind]


@dataclass(frozen=True)
class UploadedBlob:
    """Of the SDK's BlobClient, what the binding promises and the handler uses."""

    container_name: str
    blob_name: str


@dataclass(eq=False)
class Host:
    """All instances of the app. `finished` is told of every invocation that ended, with its error if it raised one."""

    world: SimulatedWorld
    cloud: TwinCloud
    settings: Settings
    finished: Callable[[Invocation, BaseException | None], None]
    instances: list[Instance] = field(default_factory=list)
    _counts: Counter[str] = field(default_factory=Counter)
    _polls: dict[str, datetime] = field(default_factory=dict)
    _starting: set[int] = field(default_factory=set)
    _down_until: datetime = START

    def __post_init__(self) -> None:
        self.instances = [Instance(number) for number in range(self.world.plan.instances)]
        for instance in self.instances:
            self._boot(instance)
        self.world.crashed = self._crashed
        self._listeners = {
            function.trigger["queueName"]: (Listener(self.cloud.queues, function.trigger["queueName"]), function)
            for function in triggered_by("queueTrigger")
        }
        for function in triggered_by("timerTrigger"):
            self._tick(function, self._period(function), 0)

    def uploaded(self, container: str, blob: str, tries: int = 1) -> None:
        """What the blob extension does with an event of Event Grid: five tries, then its poison queue."""
        if not self._up:
            self.world.scheduler.after(RESTART_SECONDS, lambda: self.uploaded(container, blob, tries))
            return
        for function in triggered_by("blobTrigger"):
            if self.cloud.blobs.get(container, blob) is None:
                return

            def ended(error: BaseException | None) -> None:
                if error is None:
                    return
                if tries < BLOB_TRIES:
                    self.world.scheduler.after(RETRY_SECONDS, lambda: self.uploaded(container, blob, tries + 1))
                    return
                message = {"Type": "BlobTrigger", "ContainerName": container, "BlobName": blob}
                self.cloud.queues.send(names.poison_queue(names.BLOB_TRIGGER_QUEUE), json.dumps(message).encode())
                self.look_at_queues()

            self._run(function, blob, (UploadedBlob(container, blob),), ended, died=lambda: ended(OSError("died")))

    def told(self, event: func.EventGridEvent | func.CloudEvent, about: str, ended: Ended) -> None:
        for function in triggered_by("eventGridTrigger"):
            self._run(function, about, (event,), ended, died=lambda: ended(OSError("died")))

    def request(
        self, name: str, route: Mapping[str, str], answered: Answered, params: Mapping[str, str] | None = None
    ) -> None:
        """`answered` gets None for an internal server error."""
        function = next(item for item in functions() if item.name == name)
        method = str(function.trigger["methods"][0]).rpartition(".")[2]
        scope = {
            "type": "http",
            "method": method,
            "path": f"/api/{function.trigger['route']}",
            "query_string": urlencode(params or {}).encode(),
            "headers": [],
            "path_params": dict(route),
        }
        asked = Request(scope)
        answers: list[Response] = []
        call = Function(name, lambda request: answers.append(function.call(request)), function.trigger)

        def ended(error: BaseException | None) -> None:
            answered(None if error else answers[0])

        self._run(call, ",".join(route.values()), (asked,), ended, died=lambda: answered(None))

    def call_gateway(self, dataset: str, passed_on: Callable[[str], None]) -> None:
        """What the function `score` does in its threads, one after the other; the rest of it is asyncio and HTTP.

        `passed_on` is told of the endpoint that gets the call.
        """

        def call(_: None) -> None:
            lent = services.services()
            try:
                target = lent.gateway.directory.read(dataset)
            except EndpointVanishedError as error:
                lent.endpoint_keeper.look_again(error.tuning)
                return
            if target is None:
                lent.endpoint_keeper.wake(dataset, CALLER)
                return
            lent.usage.write(dataset, lent.clock())
            passed_on(target.endpoint)

        self._run(Function("score", call, {}), dataset, (None,), lambda error: None)

    def look_at_queues(self) -> None:
        """To be called after anything that may have changed when a message becomes visible."""
        for queue in self.cloud.queues.changed():
            if queue not in self._listeners:
                continue
            soonest = self.cloud.queues.soonest(queue)
            if soonest is None:
                continue
            due = max(soonest, self.world.now())
            planned = self._polls.get(queue)
            if planned is None or due < planned:
                self._polls[queue] = due
                wait = (due - self.world.now()).total_seconds()
                delay = Dice(self.world.plan.seed, "poll", queue, due).between(0, POLL_SECONDS)
                self.world.scheduler.after(wait + delay, functools.partial(self._poll, queue, due))

    def stop_for(self, seconds: float) -> None:
        """All instances die, and none comes back before that."""
        self._down_until = self.world.now() + timedelta(seconds=seconds)
        for instance in self.instances:
            self.world.crash(instance)

    def stop(self) -> None:
        """Whatever still runs is dropped, as the schedule is over."""
        for instance in self.instances:
            self.world.crash(instance)

    @property
    def _up(self) -> list[Instance]:
        return [instance for instance in self.instances if instance.number not in self._starting]

    @property
    def idle(self) -> bool:
        return not any(instance.running for instance in self.instances)

    def _poll(self, queue: str, planned: datetime) -> None:
        if self._polls.get(queue) == planned:
            del self._polls[queue]
        if not self._up:
            return  # nobody asks; who comes up looks at all of them
        listener, function = self._listeners[queue]
        for message in listener.take(32):
            self._deliver(listener, function, message)
        self.cloud.queues.look_again(queue)
        self.look_at_queues()

    def _deliver(self, listener: Listener, function: Function, message: Message) -> None:
        of = _subject(message.body)
        where = f"{function.name}({of})#{self._counts[f'{function.name}({of})'] + 1}"
        twice = self.world.injector.strikes(Kind.PROCESSED_TWICE, where)
        again = self.world.injector.strikes(Kind.REDELIVERED, where)

        def renew() -> None:
            nonlocal message
            if who is not None and who in who.instance.running:
                try:
                    message = self.cloud.queues.extend(message, LEASE)
                except LeaseLostError:
                    return
                self.world.scheduler.after(LEASE / 2, renew)

        def ended(error: BaseException | None) -> None:
            if error is not None:
                self._failed(listener, message)
            elif not again:
                listener.succeeded(message)
            self.look_at_queues()

        argument = func.QueueMessage(id=message.id, body=message.body, pop_receipt=message.receipt)
        who = self._run(function, of, (argument,), ended)
        self.world.scheduler.after(LEASE / 2, renew)
        if twice:
            delay = Dice(self.world.plan.seed, "twice", where).magnitude(0.01, 10)
            self.world.scheduler.after(delay, lambda: self._run_beside(function, of, argument))

    def _run_beside(self, function: Function, of: str, argument: func.QueueMessage) -> None:
        """Whoever lost the lease of a message runs on without knowing it, and its end changes nothing."""
        self._run(function, of, (argument,), lambda error: None)

    def _failed(self, listener: Listener, message: Message) -> None:
        listener.failed(message)
        waiting = {item.id: item for item in self.cloud.queues.waiting(listener.queue)}
        found = waiting.get(message.id)
        if found is not None and found.visible_at <= self.world.now():
            self.cloud.queues.extend(found, RETRY_SECONDS)

    def _tick(self, function: Function, period: float, number: int) -> None:
        """Host-wide singletons: one run at a time, unless two instances both believe that they have the lease."""
        where = f"{function.name} tick {number}"
        injector = self.world.injector
        self.world.scheduler.after(period, lambda: self._tick(function, period, number + 1))
        busy = any(who.function == function.name for item in self.instances for who in item.running)
        if number == 0 or busy or injector.strikes(Kind.TIMER_SKIPPED, where):
            return
        times = 2 if injector.strikes(Kind.TIMER_TWICE, where) else 1
        for _ in range(times):
            self._run(function, "", (TimerRequest(past_due=False),), lambda error: None)

    def _period(self, function: Function) -> float:
        setting = str(function.trigger["schedule"]).strip("%").lower()
        schedule = str(getattr(self.settings, setting))
        found = re.fullmatch(r"0 \*/(\d+) \* \* \* \*", schedule)
        assert found, f"the simulation knows schedules of every so many minutes, not {schedule!r}"
        return int(found[1]) * 60.0

    def _run(
        self,
        function: Function,
        of: str,
        arguments: tuple[Any, ...],
        ended: Ended,
        died: Callable[[], None] = lambda: None,
    ) -> Invocation | None:
        """None if no instance is up: whoever sent this tries again, as after a death."""
        base = f"{function.name}({of})"
        self._counts[base] += 1
        name = f"{base}#{self._counts[base]}"
        if not self._up:
            self.world.scheduler.after(RESTART_SECONDS, died)
            return None
        pace = Dice(self.world.plan.seed, "pace", name)
        faults = Dice(self.world.plan.seed, "faults", name)
        who = Invocation(name, function.name, of, pace.choice(self._up), faults, pace, self.world.now(), died)

        def over(error: BaseException | None) -> None:
            self.world.trace.note(name, "ends" if error is None else f"raises {type(error).__name__}: {error}")
            self.finished(who, error)
            ended(error)

        def timed_out() -> None:
            if who in who.instance.running:
                self.world.trace.note(name, "runs for too long; the host kills its process")
                self.world.crash(who.instance)

        self.world.trace.note(name, f"starts on {who.instance}")
        self.world.scheduler.after(FUNCTION_TIMEOUT, timed_out)
        self.world.start(who, lambda: function.call(*arguments), over)
        return who

    def _boot(self, instance: Instance) -> None:
        self._starting.discard(instance.number)
        instance.services = TwinServices(self.settings, self.world.local_time, clients=Clients(self.cloud, self.world))

    def _restart(self, instance: Instance) -> None:
        self._boot(instance)
        for queue in self._listeners:
            self.cloud.queues.look_again(queue)
        self.look_at_queues()

    def _crashed(self, instance: Instance) -> None:
        self.world.trace.note(str(instance), "DIES with everything that runs on it")
        self._starting.add(instance.number)
        for who in instance.running:
            self.world.scheduler.after(RESTART_SECONDS, who.died)
        down = (self._down_until - self.world.now()).total_seconds()
        self.world.scheduler.after(max(RESTART_SECONDS, down), lambda: self._restart(instance))
        self.world.scheduler.after(LEASE + 1, self.look_at_queues)


def _subject(body: bytes) -> str:
    """The tuning or the version that a message is about, for the names of invocations."""
    try:
        raw = json.loads(body)
        return str(raw.get("tuning_id") or f"{raw['dataset']}/{raw['version']}")
    except (ValueError, KeyError, AttributeError):
        return "?"
