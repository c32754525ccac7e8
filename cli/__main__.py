"""`python -m cli`: one subcommand a module."""

from __future__ import annotations

import typer

from cli.fetch import fetch
from cli.idle import idle
from cli.validate import validate

app = typer.Typer(
    help="droptune from a laptop: check datasets before they are uploaded, fetch public ones, find idle endpoints.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(validate)
app.command()(fetch)
app.add_typer(idle, name="idle")

if __name__ == "__main__":
    app(prog_name="python -m cli")
