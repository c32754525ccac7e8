"""`python -m tests.simulation`: many schedules, or one again with its trace, made as small as possible."""

from __future__ import annotations

import argparse
import os
import sys

from tests.simulation.campaign import ENOUGH_FOR_ALL_KINDS, Tally, campaign, table
from tests.simulation.schedule import Result, run
from tests.simulation.shrink import shrink

_LINES = 120


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many schedules")
    parser.add_argument("--first", type=int, default=0, help="the first one's seed")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--seed", type=int, help="run this one alone, with its trace")
    parser.add_argument("--whole", action="store_true", help="with --seed: print the trace of all of it")
    parser.add_argument("--no-table", action="store_true", help="only what went wrong, and how many there were")
    parser.add_argument("--stop", action="store_true", help="at the first violation, without explaining it")
    given = parser.parse_args()
    if given.seed is not None:
        return _one(given.seed, whole=given.whole)
    seeds = range(given.first, given.first + given.seeds)
    tally = campaign(seeds, given.jobs, stop=given.stop)
    if given.stop:
        return 1 if tally.failures else 0
    return _verdict(tally, given.seeds, with_table=not given.no_table)


def _one(seed: int, *, whole: bool) -> int:
    result = run(seed, traced=True)
    print("\n".join(result.trace if whole else result.trace[-_LINES:]))
    ends = ", ".join(f"{count} {state}" for state, count in sorted(result.ends.items()))
    print(f"\nseed {seed} ({result.profile}): {len(result.faults)} faults, {result.effects} side effects; {ends}")
    if result.violation is None:
        print("all invariants hold")
        return 0
    print(f"VIOLATED: {result.violation}")
    _explain(result)
    return 1


def _explain(result: Result) -> None:
    selection, small = shrink(result)
    print(f"\nThe same violation with {len(selection.faults)} faults and {len(selection.steps)} deeds:\n")
    print("\n".join(small.trace[-_LINES:]))
    print("\nfaults that are needed:")
    for fault in sorted(selection.faults):
        print(f"  {fault}")
    print("deeds that are needed:")
    for step in sorted(selection.steps):
        print(f"  {step}")
    print(f"\nVIOLATED: {small.violation}\nagain: make simulate SEED={result.seed}")


def _verdict(tally: Tally, seeds: int, *, with_table: bool) -> int:
    if with_table:
        print(f"\n{table(tally)}\n")
    ends = ", ".join(f"{count:,} {state}" for state, count in sorted(tally.ends.items()))
    print(
        f"{seeds:,} schedules in {tally.seconds:.0f} s ({seeds / tally.seconds:.1f} a second), "
        f"{tally.effects:,} side effects, {sum(tally.all_checks.values()):,} checks; tunings: {ends}"
    )
    missed = tally.missed if seeds >= ENOUGH_FOR_ALL_KINDS else []
    for kind in missed:
        print(f"NEVER HIT: {kind}")
    if tally.failures:
        first = min(tally.failures, key=lambda brief: brief.effects)
        print(f"\n{len(tally.failures)} schedules violate an invariant:\n")
        for brief in sorted(tally.failures, key=lambda brief: brief.seed):
            print(f"seed {brief.seed}: {brief.violation}")
        print("\nThe shortest one:\n")
        _one(first.seed, whole=False)
    return 1 if tally.failures or missed else 0


if __name__ == "__main__":
    sys.exit(main())
