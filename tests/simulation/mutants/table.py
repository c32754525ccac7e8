"""docs/mutants.md: what each run of the mutants says, for people, and what a test holds against the list of defects."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tests.simulation.mutants.defects import Defect
from tests.simulation.mutants.trials import Catch

_HEAD = """# Mutants

`make mutants` makes each of these {count} defects in the app, one at a time, and lets the tests judge it: the unit
tests of the lifecycle, and up to {seeds:,} schedules of the [simulation](simulation.md) – {few} where a unit test has
caught it already. A defect that neither catches fails the run. {simulation} are caught by the simulation, {unit} by a
unit test, {both} by both. This page is written by the run; a test holds it against the list of defects.

| Defect | In | Caught by the simulation: invariant (first seed) | Caught by the unit test |
|---|---|---|---|
"""


_CELL = re.compile(r" \| ")
_NOBODY = "–"


def page(catches: Sequence[tuple[Defect, Catch]], seeds: int, few: int) -> str:
    head = _HEAD.format(
        count=len(catches),
        seeds=seeds,
        few=few,
        simulation=sum(bool(catch.simulation) for _, catch in catches),
        unit=sum(bool(catch.unit) for _, catch in catches),
        both=sum(bool(catch.simulation and catch.unit) for _, catch in catches),
    )
    rows = [
        f"| {defect.name} | `{defect.file}` | {_shown(catch.simulation)} | {_shown(catch.unit)} |"
        for defect, catch in catches
    ]
    return head + "\n".join(rows) + "\n"


def read(text: str) -> dict[str, Catch]:
    """By the defect's name, what a page tells."""
    rows = [_CELL.split(line.strip("| ")) for line in text.splitlines() if line.startswith("| ")]
    return {name: Catch(_caught(simulation), _caught(unit)) for name, _, simulation, unit in rows[1:]}


def _shown(caught_by: str) -> str:
    return caught_by.replace("|", "\\|").replace("_", " ") or _NOBODY


def _caught(shown: str) -> str:
    return "" if shown == _NOBODY else shown.replace("\\|", "|")
