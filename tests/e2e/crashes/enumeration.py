"""A main job for each of its side effects, with the host killed at that one; and kills at random."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tests.e2e.crashes.cloud import CrashCloud
from tests.e2e.crashes.end_state import EndState
from tests.e2e.crashes.plan import Moment, Plan

DEADLINE = 120.0
"""Seconds of one main job, with a kill in it."""
TRIES = 4
"""Runs until one meets the moment that is asked for: looks that are planned twice may fall together."""
_HTTP_ERROR = 400


@dataclass(frozen=True)
class Reference:
    """What happens when nothing goes wrong: the side effects, as moments before them, and the end."""

    effects: tuple[Moment, ...]
    doubles: int
    """Effects of some of the runs only: a hint came while the look that it asks for was under way."""
    end: EndState
    moments: int
    """Befores and afters of the longest run."""


@dataclass(frozen=True)
class Outcome:
    """`differences` to the end state of the reference; `lost`: notes that its history has not. `runs`: until killed."""

    moment: Moment
    kills: int
    seconds: float
    differences: tuple[str, ...]
    lost: tuple[str, ...] = ()
    runs: int = 1

    @property
    def same(self) -> bool:
        return self.kills > 0 and not self.differences

    @property
    def unmet(self) -> bool:
        """One look more than this run needed, which is no effect of every main job."""
        return self.kills == 0 and self.moment.occurrence > 1 and not self.differences


def reference(cloud: CrashCloud, runs: int) -> Reference:
    """The effects that each of so many undisturbed main jobs has, in the order of the first."""
    ends: list[EndState] = []
    found: list[tuple[Moment, ...]] = []
    longest = 0
    for number in range(runs):
        run, dataset = f"reference{number}", f"crash0{number}"
        ends.append(cloud.run(Plan(run), [dataset], DEADLINE)[dataset])
        entries = cloud.entries(run)
        # What was refused (a lost race) changed nothing.
        done = [entry.moment for entry in entries if entry.moment.when == "after" and entry.status < _HTTP_ERROR]
        found.append(tuple(replace(moment, when="before") for moment in done))
        longest = max(longest, len(entries))
    for end in ends[1:]:
        assert end.differences(ends[0]) == [], "two undisturbed main jobs end differently"
    common = frozenset.intersection(*(frozenset(moments) for moments in found))
    effects = tuple(moment for moment in found[0] if moment in common)
    return Reference(effects, len(frozenset().union(*found)) - len(effects), ends[0], longest)


def kill_at(cloud: CrashCloud, number: int, moment: Moment, expected: EndState) -> Outcome:
    """A main job of its own whose host dies at the moment. `number` is for the names."""
    begun = time.monotonic()
    for attempt in range(1, TRIES + 1):
        run, dataset = f"kill{number}-{attempt}", f"crash{number}x{attempt}"
        end = cloud.run(Plan(run, (moment,)), [dataset], DEADLINE)[dataset]
        kills = len(cloud.journal(run).killed)
        if kills or attempt == TRIES:
            break
    return Outcome(
        moment,
        kills,
        time.monotonic() - begun,
        tuple(end.differences(expected)),
        tuple(note for note in expected.notes if note not in end.notes),
        attempt,
    )


def chain(cloud: CrashCloud, run: str, dataset: str, moments: Sequence[Moment], deadline: float) -> EndState:
    """One main job whose host dies at each of these moments, the first time that it comes there."""
    plan = Plan(run, tuple(replace(moment, occurrence=0) for moment in moments))
    return cloud.run(plan, [dataset], deadline)[dataset]


def at_random(
    cloud: CrashCloud, *, seed: int, kills: int, datasets: int, known: Reference, deadline: float
) -> tuple[int, dict[str, EndState]]:
    """Main jobs at once, the host killed at random moments, spread over what so many of them have without kills.

    Returns the number of kills, and the end of each dataset.
    """
    moments = random.Random(seed).sample(range(2, known.moments * datasets * 3 // 4), kills)
    run = f"random{seed}"
    names = [f"crashr{seed}n{number}" for number in range(datasets)]
    ends = cloud.run(Plan(run, numbers=tuple(sorted(moments))), names, deadline)
    return len(cloud.journal(run).killed), ends


def first_of_each(effects: Sequence[Moment]) -> list[Moment]:
    """One moment per kind of effect and state."""
    return list({(moment.state, moment.name): replace(moment, occurrence=0) for moment in effects[::-1]}.values())[::-1]


def kill_at_each(
    cloud: CrashCloud,
    moments: Sequence[Moment],
    expected: EndState,
    say: Callable[[int, Outcome], None],
    first: int = 0,
) -> list[Outcome]:
    """`first` keeps the names of several passes on one cloud apart."""
    outcomes = []
    for number, moment in enumerate(moments, 1):
        outcome = kill_at(cloud, first + number, moment, expected)
        say(number, outcome)
        outcomes.append(outcome)
    return outcomes
