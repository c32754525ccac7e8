"""What the lifecycle tells about itself. This class is silent; `otel.OpenTelemetry` sends it somewhere."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Protocol

from shared.telemetry.traces import Trace

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from shared.lifecycle.tuning import Tuning

Attribute = str | int | float | bool

TUNING_ID = "droptune.tuning.id"
STATE = "droptune.tuning.state"
DATASET = "droptune.dataset"
VERSION = "droptune.version"


def about(tuning: Tuning) -> dict[str, Attribute]:
    """The attributes of whatever happens to a tuning."""
    return {TUNING_ID: tuning.id, DATASET: tuning.dataset, VERSION: tuning.version, STATE: str(tuning.state)}


def stage(tuning: Tuning) -> str:
    """The span of the stage that it is in; empty without a trace."""
    return "" if tuning.trace is None else tuning.trace.stage_span(tuning.state, tuning.state_since)


class Work(Protocol):
    """One invocation of a function, while it runs."""

    def note(self, attributes: Mapping[str, Attribute]) -> None: ...


class _Silent:
    def note(self, attributes: Mapping[str, Attribute]) -> None:
        pass


class Telemetry:
    def work(
        self, name: str, trace: Trace | None, about: Mapping[str, Attribute], *, within: str = "", sender: str = ""
    ) -> AbstractContextManager[Work]:
        """A span of one invocation, as a child of the span `within` (the trace's root unless given).

        `sender` is the traceparent that came with the message: a link, because the ledger knows the parent better.
        """
        return nullcontext(_Silent())

    def planned(self, tuning: Tuning, now: datetime) -> None:
        """A version became a tuning, which may have ended at once."""

    def moved(self, before: Tuning, after: Tuning) -> None:
        """A tuning has left a state, which was recorded: the span and the duration of that stage."""

    def validated(self, dataset: str, size: int, seconds: float) -> None:
        """`size` in bytes of JSON Lines."""

    def states(self, counts: Mapping[str, int]) -> None:
        """Tunings by state, all that there are."""

    def endpoint(self, name: str, dataset: str, *, idle_seconds: float | None, hourly_cost: float | None) -> None:
        """What a sweep knows of an endpoint; None is unknown, and not told."""

    def current(self) -> str:
        """The traceparent of the work that is under way, for messages; empty outside of any."""
        return ""

    def flush(self) -> None:
        """Send what waits, for functions after which an instance may sleep."""
