"""`python -m cli`: one subcommand a module."""

from __future__ import annotations

import typer

from cli.costs import costs
from cli.doctor import doctor
from cli.fetch import fetch
from cli.idle import idle
from cli.status import show, status
from cli.steering import cancel, keep, replay, sleep, wake
from cli.upload_version import upload_version
from cli.validate import validate

app = typer.Typer(
    help="droptune from a laptop: datasets before they are uploaded, tunings and endpoints afterwards.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for command in (validate, fetch, status, show, replay, cancel, wake, sleep, keep, costs, doctor):
    app.command()(command)
app.command("upload")(upload_version)
app.add_typer(idle, name="idle")


def main() -> None:
    app(prog_name="droptune")


if __name__ == "__main__":
    app(prog_name="python -m cli")
