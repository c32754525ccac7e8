"""Making a failing schedule smaller: faults and deeds go, as long as the same invariant is violated."""

from __future__ import annotations

from tests.simulation.faults import Fault
from tests.simulation.schedule import Result, Selection, run

MAX_RUNS = 600

Item = Fault | str
"""A fault, or the id of a deed."""


def shrink(result: Result, runs: int = MAX_RUNS) -> tuple[Selection, Result]:
    """Greedily, in ever smaller portions, within `runs` runs. What is left is needed, or was not tried."""
    assert result.violation is not None, "only failing schedules are made smaller"
    search = _Search(result.seed, result.violation.invariant, runs)
    items: list[Item] = [*result.faults, *result.steps]
    before = 0
    while len(items) != before and search.runs > 0:
        before = len(items)
        items = search.without_what_is_not_needed(items)
    selection = _selected(items)
    return selection, run(result.seed, selection, traced=True)


class _Search:
    """`runs` is how many are left."""

    def __init__(self, seed: int, invariant: str, runs: int) -> None:
        self.runs = runs
        self._seed = seed
        self._invariant = invariant

    def without_what_is_not_needed(self, items: list[Item]) -> list[Item]:
        portion = max(1, len(items) // 2)
        while self.runs > 0:
            start = 0
            while start < len(items) and self.runs > 0:
                fewer = items[:start] + items[start + portion :]
                if self._fails(fewer):
                    items = fewer
                else:
                    start += portion
            if portion == 1:
                break
            portion //= 2
        return items

    def _fails(self, items: list[Item]) -> bool:
        self.runs -= 1
        found = run(self._seed, _selected(items))
        return found.violation is not None and found.violation.invariant == self._invariant


def _selected(items: list[Item]) -> Selection:
    faults = frozenset(item for item in items if isinstance(item, Fault))
    return Selection(faults, frozenset(item for item in items if isinstance(item, str)))
