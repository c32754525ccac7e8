"""The list of deliberate defects, the code that they are made in, and the page of who caught them agree."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.simulation.mutants.defects import DEFECTS, Defect
from tests.simulation.mutants.spoiled import spoiled_text

PAGE = Path(__file__).parents[2] / "docs" / "mutants.md"
ROW = re.compile(r"^\| (?P<name>.+?) \| `(?P<file>.+?)` \| (?P<simulation>.+?) \| (?P<unit>.+?) \|$", re.MULTILINE)


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_every_defect_can_still_be_made(defect: Defect) -> None:
    """If this fails after a change of the code: say in defects.py what the defect is now."""
    compile(spoiled_text(defect), defect.file, "exec")


def test_no_two_defects_have_the_same_name() -> None:
    assert [name for name, count in Counter(defect.name for defect in DEFECTS).items() if count > 1] == []


def test_the_page_names_who_caught_each_defect() -> None:
    """If this fails: run `.venv/bin/python -m tests.simulation.mutants --write`."""
    rows = {row["name"]: row for row in ROW.finditer(PAGE.read_text())}
    assert list(rows) == [defect.name for defect in DEFECTS]
    assert [name for name, row in rows.items() if row["simulation"] == row["unit"] == "–"] == []
