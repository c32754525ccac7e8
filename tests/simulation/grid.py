"""Event Grid: at least once, in no order, and in a bad hour not at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import azure.functions as func

from shared.names import DATASETS
from tests.simulation.dice import Dice
from tests.simulation.faults import Kind
from tests.simulation.host import Host
from tests.simulation.twins.world import Event
from tests.simulation.world import SimulatedWorld

RETRY_SECONDS = (10, 30, 60, 300, 600, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600)
"""https://learn.microsoft.com/azure/event-grid/delivery-and-retry"""
_BLOBS = "/blobServices/default/containers/"


@dataclass(eq=False)
class EventGrid:
    """Two subscriptions: blobs created in `datasets`, and everything of the workspace."""

    world: SimulatedWorld
    host: Host
    _counts: Counter[str] = field(default_factory=Counter)
    _held: list[Callable[[], None]] = field(default_factory=list)

    def publish(self, event: Event) -> None:
        if event.type == "Microsoft.Storage.BlobCreated":
            container, _, blob = event.subject.removeprefix(_BLOBS).partition("/blobs/")
            if container != DATASETS:
                return
            name = f"blob {blob}"
            self._dispatch(name, lambda: self.host.uploaded(container, blob))
        elif event.type.startswith("Microsoft.MachineLearningServices."):
            self._dispatch(self._name_of_run(event), lambda: self._tell(event, 0))

    def deliver_stranger(self, event: Event) -> None:
        """As it is: who may publish to our subscription is not for the app to choose."""
        self._tell(event, 0)

    def _name_of_run(self, event: Event) -> str:
        name = f"{event.type.rpartition('.')[2]} {event.subject.rpartition('/')[2]}"
        if "azureml.pipelinerunid" in event.data.get("runTags", {}):
            name = f"{event.type.rpartition('.')[2]} child of {event.data['runTags']['azureml.pipelinerunid']}"
        return name

    def _dispatch(self, what: str, deliver: Callable[[], None]) -> None:
        self._counts[what] += 1
        where = f"{what} #{self._counts[what]}"
        injector, after = self.world.injector, self.world.scheduler.after
        if " child of " in where and not injector.allows(Kind.EVENT_OF_CHILD_RUN, where):
            return
        if injector.strikes(Kind.EVENT_LOST, where):
            self.world.trace.note("event grid", f"LOSES {where}")
            return
        dice = Dice(self.world.plan.seed, "event", where)
        if injector.strikes(Kind.EVENT_REORDERED, where):
            self.world.trace.note("event grid", f"HOLDS {where} until another one came")
            self._held.append(deliver)
            after(dice.between(600, 1200), self._release_held)
            return
        delay = dice.magnitude(0.1, 3)
        if injector.strikes(Kind.EVENT_DELAYED, where):
            delay = dice.magnitude(60, 4 * 3600)
            self.world.trace.note("event grid", f"DELAYS {where} by {delay:.0f} s")
        after(delay, deliver)
        after(delay, self._release_held)
        if injector.strikes(Kind.EVENT_DOUBLED, where):
            self.world.trace.note("event grid", f"DOUBLES {where}")
            after(delay + (dice.magnitude(0.01, 600) if dice.chance(0.5) else 0.0), deliver)

    def _release_held(self) -> None:
        held, self._held = self._held, []
        for deliver in held:
            self.world.scheduler.after(1, deliver)

    def _tell(self, event: Event, attempt: int) -> None:
        def ended(error: BaseException | None) -> None:
            if error is not None and attempt < len(RETRY_SECONDS):
                self.world.scheduler.after(RETRY_SECONDS[attempt], lambda: self._tell(event, attempt + 1))

        self.host.told(self._in_schema(event), event.subject.rpartition("/")[2], ended)

    def _in_schema(self, event: Event) -> func.EventGridEvent | func.CloudEvent:
        if self.world.plan.cloud_events:
            return func.CloudEvent(
                id=event.id,
                source=event.topic,
                type=event.type,
                specversion="1.0",
                data=dict(event.data),
                time=event.at,
                subject=event.subject,
            )
        return func.EventGridEvent(
            id=event.id,
            data=dict(event.data),
            topic=event.topic,
            subject=event.subject,
            event_type=event.type,
            event_time=event.at,
            data_version="1",
        )
