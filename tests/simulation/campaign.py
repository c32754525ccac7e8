"""Thousands of schedules on all cores, and the table of what was injected and what was checked."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field

from tests.simulation.faults import Kind
from tests.simulation.invariants import MOMENTS, number
from tests.simulation.schedule import run

_CHUNK = 10
ENOUGH_FOR_ALL_KINDS = 1000
"""So many schedules must have hit every kind of fault."""


@dataclass(frozen=True)
class Brief:
    """What is kept of one schedule."""

    seed: int
    profile: str
    violation: str
    kinds: Counter[Kind]
    checks: Counter[str]
    ends: Counter[str]
    effects: int


@dataclass
class Tally:
    seconds: float = 0.0
    effects: int = 0
    failures: list[Brief] = field(default_factory=list)
    profiles: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    times: Counter[Kind] = field(default_factory=Counter)
    schedules: Counter[Kind] = field(default_factory=Counter)
    checks: defaultdict[Kind, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """By kind of fault: how often each of I1 to I8 was checked in the schedules that it struck."""
    all_checks: Counter[str] = field(default_factory=Counter)

    def add(self, brief: Brief) -> None:
        self.effects += brief.effects
        self.profiles[brief.profile] += 1
        self.ends.update(brief.ends)
        self.times.update(brief.kinds)
        self.schedules.update(set(brief.kinds))
        self.all_checks.update(brief.checks)
        for kind in brief.kinds:
            self.checks[kind].update(brief.checks)
        if brief.violation:
            self.failures.append(brief)

    @property
    def missed(self) -> list[Kind]:
        return [kind for kind in Kind if not self.times[kind]]


def brief(seed: int) -> Brief:
    result = run(seed)
    checks: Counter[str] = Counter()
    for name, count in result.checks.items():
        checks[name[:2]] += count
    violation = str(result.violation or "")
    return Brief(seed, result.profile, violation, result.kinds, checks, result.ends, result.effects)


def campaign(seeds: range, processes: int, *, stop: bool = False) -> Tally:
    """With `stop`, at the first violation."""
    tally = Tally()
    begun = time.monotonic()
    for done, found in enumerate(_briefs(seeds, processes), 1):
        tally.add(found)
        if found.violation:
            print(f"seed {found.seed} ({found.profile}): {found.violation}", flush=True)
            if stop:
                break
        if done % 1000 == 0:
            rate = done / (time.monotonic() - begun)
            print(f"{done} of {len(seeds)} schedules, {rate:.0f} a second", flush=True)
    tally.seconds = time.monotonic() - begun
    return tally


def _briefs(seeds: range, processes: int) -> Iterator[Brief]:
    if processes == 1:
        _prepare()
        yield from map(brief, seeds)
        return
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _prepare)
    try:
        chunks = [pool.submit(_briefs_of, seeds[start : start + _CHUNK]) for start in range(0, len(seeds), _CHUNK)]
        for done in as_completed(chunks):
            yield from done.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _briefs_of(seeds: range) -> list[Brief]:
    return [brief(seed) for seed in seeds]


def _prepare() -> None:
    """What every schedule needs is loaded once, and then no longer looked through for garbage."""
    # https://docs.python.org/3.11/howto/logging.html#optimization: nobody reads where a line was logged.
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    brief(0)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def table(tally: Tally) -> str:
    """Markdown: fault kind × times injected × invariants checked in the schedules that it struck."""
    numbers = sorted({number(invariant) for invariant in MOMENTS})
    lines = [
        "| fault | times | schedules | " + " | ".join(f"{name} checked" for name in numbers) + " |",
        "|---|--:|--:|" + "--:|" * len(numbers),
    ]
    for kind in Kind:
        counts = " | ".join(f"{tally.checks[kind][name]:,}" for name in numbers)
        lines.append(f"| {kind} | {tally.times[kind]:,} | {tally.schedules[kind]:,} | {counts} |")
    total = " | ".join(f"{tally.all_checks[name]:,}" for name in numbers)
    schedules = sum(tally.profiles.values())
    lines.append(f"| **all** | {sum(tally.times.values()):,} | {schedules:,} | {total} |")
    return "\n".join(lines)
