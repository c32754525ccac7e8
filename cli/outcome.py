"""How a command ends: programs that call it look at nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import NoReturn

import typer

from shared.errors import ConfigurationError


class Outcome(IntEnum):
    """The exit code."""

    VALID = 0
    """The dataset is valid; the app did what was asked."""
    INVALID = 1
    """The dataset is invalid; the app refused; a check of the installation failed."""
    UNUSABLE = 2
    """The question could not be answered: nothing there, not readable, not reachable, a bad setting."""


class UnusableError(Exception):
    """Ends the command with its message as one line and Outcome.UNUSABLE."""


class RefusedError(Exception):
    """Ends the command with its message as one line and Outcome.INVALID."""


def end(outcome: Outcome) -> NoReturn:
    raise typer.Exit(int(outcome))


def give_up(reason: object) -> NoReturn:
    """Say in one line on stderr why nothing can be done."""
    _say(reason)
    end(Outcome.UNUSABLE)


@contextmanager
def ending() -> Iterator[None]:
    """What is raised within ends the command as its kind says."""
    try:
        yield
    except RefusedError as error:
        _say(error)
        end(Outcome.INVALID)
    except (UnusableError, ConfigurationError, OSError) as error:
        give_up(error)


def _say(reason: object) -> None:
    typer.echo(" ".join(str(reason).split())[:500], err=True)
