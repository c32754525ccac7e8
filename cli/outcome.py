"""How a command ends: programs that call it look at nothing else."""

from __future__ import annotations

from enum import IntEnum
from typing import NoReturn

import typer


class Outcome(IntEnum):
    """The exit code."""

    VALID = 0
    INVALID = 1
    UNUSABLE = 2
    """The question could not be answered: nothing there, not readable, not reachable, a bad setting."""


class UnusableError(Exception):
    """Ends the command with its message as one line and Outcome.UNUSABLE."""


def end(outcome: Outcome) -> NoReturn:
    raise typer.Exit(int(outcome))


def give_up(reason: object) -> NoReturn:
    """Say in one line on stderr why nothing can be done."""
    typer.echo(" ".join(str(reason).split())[:500], err=True)
    end(Outcome.UNUSABLE)
