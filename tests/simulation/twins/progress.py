"""How a long-running operation of the cloud ends, by its fate."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from tests.simulation.twins.world import Fate, Outcome, World


def settle(world: World, fate: Fate, what: str, *, succeed: Callable[[], None], fail: Callable[[], None]) -> None:
    """Have one of the two happen when its time has come: at once for 0 seconds.

    What hangs fails after its seconds (the service's own time-out); without any it never ends.
    """
    if fate.outcome is Outcome.HANG and fate.seconds <= 0:
        return
    happen = succeed if fate.outcome is Outcome.SUCCEED else fail
    after(world, fate.seconds, what, happen)


def after(world: World, seconds: float, what: str, happen: Callable[[], None]) -> None:
    if seconds <= 0:
        happen()
    else:
        world.at(world.now() + timedelta(seconds=seconds), what, happen)
