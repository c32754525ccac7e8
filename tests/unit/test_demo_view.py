"""The demo's view draws a journey in every state that it can be in, on a terminal and without one."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from demo.journey import Journey
from demo.view import View, stage_spans

HISTORY = [
    {"seq": 1, "at": "2026-11-22T12:00:00+00:00", "state": "preparing", "message": "valid: train_sft 10 rows"},
    {"seq": 2, "at": "2026-11-22T12:00:03+00:00", "state": "training", "message": "job chats-v1 submitted"},
    {"seq": 3, "at": "2026-11-22T12:01:03+00:00", "state": "registered", "message": "model [bold]m[/] registered"},
]
JOB = {
    "total_steps": 30,
    "steps": [
        {"name": "chat_completion_model_import", "status": "Completed", "started": 1.0, "ended": 4.0},
        {"name": "chat_completion_finetune", "status": "Running", "started": 4.0, "ended": None},
        {"name": "ft_nlp_model_converter", "status": "NotStarted", "started": None, "ended": None},
    ],
    "metrics": [
        {"name": "eval_loss", "value": 7.7, "at": 0},
        {"name": "loss", "value": 3.21, "at": 10},
    ],
}
STATES = ["preparing", "training", "registered", "deploying", "testing", "promoting", "live", "cleaning_up"]
ENDS = ["rejected", "failed", "rolled_back", "superseded", "retired"]


def journey(state: str, **changes: Any) -> Journey:
    tuning = {"id": "chats-v1-aaaaaaaa", "state": state, "history": HISTORY, "last_error": "", "reason": None}
    return Journey("chats", "v1", tuning={**tuning, **changes}, job=JOB)


def shown(*journeys: Journey, terminal: bool) -> str:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=110)
    view = View(console)
    with view.live():
        for item in journeys:
            view.show(item)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_before_anything_is_known_the_stages_are_there() -> None:
    text = shown(Journey("chats", "v1"), Journey("chats", "v1", collecting=True), terminal=True)
    assert "collecting" in text
    assert "training" in text


@pytest.mark.parametrize("state", STATES + ENDS)
def test_every_state_can_be_drawn(state: str) -> None:
    reason = {"code": "Code", "message": "why it ended"} if state in ENDS else None
    text = shown(journey(state, reason=reason), terminal=True)
    assert state in text
    if state in ENDS:
        assert "why it ended" in text


def test_training_shows_the_running_step_its_progress_and_its_loss() -> None:
    text = shown(journey("training"), terminal=True)
    assert "chat_completion_finetune" in text
    assert "step 10 of 30" in text
    assert "loss 3.210" in text
    assert "7.700" in text


def test_without_a_terminal_every_entry_and_every_step_is_told_once() -> None:
    text = shown(journey("training"), journey("registered"), terminal=False)
    lines = text.splitlines()
    assert [line.split()[2] for line in lines] == ["preparing", "training", "registered", "training"]
    assert "model [bold]m[/] registered" in text


def test_the_time_of_a_stage_is_from_its_first_entry_to_the_next_stage() -> None:
    spans = stage_spans(journey("registered"))
    assert spans["preparing"] == 3
    assert spans["training"] == 60
