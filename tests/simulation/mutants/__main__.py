"""`python -m tests.simulation.mutants`: makes each defect, one at a time, and says which tests caught it.

With `--write` the table goes into docs/mutants.md. Its rows are in the order of the defects.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tests.simulation.mutants.defects import DEFECTS, Defect
from tests.simulation.mutants.spoiled import ROOT, spoiled_text
from tests.simulation.mutants.table import page, read
from tests.simulation.mutants.trials import Catch, load_all_but_the_app, simulated, tested

PAGE = Path("docs/mutants.md")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.mutants", description=__doc__)
    parser.add_argument("--seeds", type=int, default=400, help="schedules per defect at most")
    parser.add_argument("--few", type=int, default=60, help="so many where a unit test has caught it already")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", default="", help="those with this in their names; the page keeps its other rows")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE}")
    given = parser.parse_args()
    chosen = [defect for defect in DEFECTS if given.only in defect.name]
    for defect in chosen:
        spoiled_text(defect)
    begun = time.monotonic()
    catches = _catches(chosen, given.seeds, given.few, given.jobs)
    missed = [defect.name for defect in chosen if not catches[defect.name].caught]
    print(f"{len(chosen) - len(missed)} of {len(chosen)} defects were caught, in {time.monotonic() - begun:.0f} s")
    for name in missed:
        print(f"NOT CAUGHT: {name}")
    if given.write:
        known = read((ROOT / PAGE).read_text()) if given.only else {}
        told = [(defect, (known | catches)[defect.name]) for defect in DEFECTS]
        (ROOT / PAGE).write_text(page(told, given.seeds, given.few))
    return 1 if missed else 0


def _catches(defects: Sequence[Defect], seeds: int, few: int, jobs: int) -> dict[str, Catch]:
    """By name. Each trial has a process of its own, forked from this one."""
    load_all_but_the_app()
    with multiprocessing.get_context("fork").Pool(jobs, maxtasksperchild=1) as pool:
        unit = dict(_told(pool.imap_unordered(_unit, defects)))
        trials = [(defect, few if unit[defect.name] else seeds) for defect in defects]
        simulation = dict(_told(pool.imap_unordered(_simulation, trials)))
    return {name: Catch(simulation[name], unit[name]) for name in unit}


def _told(results: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for name, caught_by in results:
        print(f"{name}: {caught_by or 'not caught'}", flush=True)
        yield name, caught_by


def _unit(defect: Defect) -> tuple[str, str]:
    return defect.name, tested(defect)


def _simulation(trial: tuple[Defect, int]) -> tuple[str, str]:
    defect, seeds = trial
    return defect.name, simulated(defect, range(1, seeds + 1))


if __name__ == "__main__":
    sys.exit(main())
