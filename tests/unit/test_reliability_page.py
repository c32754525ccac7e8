"""docs/reliability.md says of states, deadlines and actions what the code does."""

from __future__ import annotations

import re
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import get_args

import pytest

from shared.config import Settings, setting_name
from shared.lifecycle.actions import Action
from shared.lifecycle.deadlines import stage_deadlines
from shared.lifecycle.decide import _RULES
from shared.lifecycle.tuning import ENDED, State
from tests.unit.test_configuration import REQUIRED

PAGE = (Path(__file__).parents[2] / "docs" / "reliability.md").read_text()
DURATIONS = {"minutes": timedelta(minutes=1), "hours": timedelta(hours=1)}


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    section = PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def named(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


STATES = {named(row[0])[0]: row for row in rows("State by state")}


def test_every_state_has_its_row() -> None:
    assert set(STATES) == {"collecting", *map(str, State)}


@pytest.mark.parametrize("state", sorted(State))
def test_the_deadline_on_the_page_is_the_one_that_counts(state: State) -> None:
    settings = Settings.from_environment(REQUIRED)
    setting = named(STATES[state][3])
    if state not in stage_deadlines(settings):
        assert setting == []
        return
    (item,) = [item for item in fields(Settings) if setting_name(item) == setting[0]]
    unit = DURATIONS[item.name.rsplit("_", 1)[1]]
    changed = Settings.from_environment({**REQUIRED, setting[0]: "1234"})
    assert stage_deadlines(changed)[state] == 1234 * unit


def test_what_a_state_ends_in_are_states() -> None:
    for row in STATES.values():
        assert set(named(row[4])) <= set(State)


def test_what_is_on_its_way_has_a_rule_and_a_way_on_and_what_ended_has_none() -> None:
    assert set(_RULES) == set(State) - ENDED
    for state in State:
        assert bool(named(STATES[state][4])) is (state not in ENDED)


def test_every_action_is_argued_for() -> None:
    argued = [name for row in rows("Action by action") for name in named(row[0])]
    assert sorted(argued) == sorted(action.__name__ for action in get_args(Action))
