"""`python -m cli validate`: the function's checks, before anything is uploaded."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from cli.checked import check, size_of
from cli.outcome import Outcome, UnusableError, end, give_up
from cli.progress import bytes_bar
from cli.tables import print_report
from cli.thresholds import thresholds
from shared.clock import utc_now
from shared.errors import ConfigurationError

Split = Literal["train_sft", "test_sft", "test_gen"]


def validate(
    path: Annotated[
        Path, typer.Argument(metavar="FILE|FOLDER", help="A split, or a folder with the files of one version.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as the app would store it.")] = False,
    split: Annotated[
        Split | None, typer.Option(help="Whose rules a file follows that is not named for its split.")
    ] = None,
) -> None:
    """Check chat data as the app does when it is uploaded.

    The thresholds are those of the app settings that are set as environment variables (MAX_SEQ_LENGTH and others),
    else their defaults. Only the registry knows whether the base model takes the parameters of tuning.json.

    Ends with 0 (valid), 1 (invalid) or 2 (nothing could be checked).
    """
    try:
        with bytes_bar(f"checking {path.name}", size_of(path)) as watch:
            checked = check(path, thresholds(os.environ), utc_now(), split=split, watch=watch)
    except (UnusableError, ConfigurationError, OSError) as error:
        give_up(error)
    if as_json:
        typer.echo(json.dumps(checked.as_json(), ensure_ascii=False, indent=1).encode(errors="replace"))
    else:
        print_report(Console(), checked)
    end(Outcome.VALID if checked.valid else Outcome.INVALID)
