"""The list of deliberate defects and the code that they are made in agree."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.simulation.mutants.__main__ import PAGE
from tests.simulation.mutants.defects import DEFECTS, Defect
from tests.simulation.mutants.spoiled import ROOT, spoiled_text
from tests.simulation.mutants.table import read


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_every_defect_can_still_be_made(defect: Defect) -> None:
    """If this fails after a change of the code: say in defects.py what the defect is now."""
    compile(spoiled_text(defect), defect.file, "exec")


def test_no_two_defects_have_the_same_name() -> None:
    assert [name for name, count in Counter(defect.name for defect in DEFECTS).items() if count > 1] == []


def test_the_page_tells_of_every_defect_who_caught_it() -> None:
    """If this fails after a change of the list: `make mutants`, or with `--only` for the new ones."""
    told = read((ROOT / PAGE).read_text())
    assert list(told) == [defect.name for defect in DEFECTS]
    assert [name for name, catch in told.items() if not catch.caught] == []
