"""A bar on stderr while something long goes on; nothing where stderr is no terminal."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TransferSpeedColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import ProgressColumn

WORTH_A_BAR = 32 * 1024 * 1024
"""Bytes; less is done before a bar could be read."""


@contextmanager
def bytes_bar(what: str, total: int, console: Console | None = None) -> Iterator[Callable[[int], None]]:
    """Yields what is to be told how many more bytes are done."""
    with _bar(what, total, total >= WORTH_A_BAR, console, DownloadColumn(), TransferSpeedColumn()) as advance:
        yield advance


@contextmanager
def rows_bar(what: str, total: int, console: Console | None = None) -> Iterator[Callable[[int], None]]:
    with _bar(what, total, True, console, MofNCompleteColumn()) as advance:
        yield advance


@contextmanager
def _bar(
    what: str, total: int, visible: bool, console: Console | None, *columns: ProgressColumn
) -> Iterator[Callable[[int], None]]:
    shown = console or Console(stderr=True)
    text = TextColumn("{task.description}", markup=False)
    with Progress(
        text,
        BarColumn(),
        *columns,
        console=shown,
        transient=True,
        disable=not (visible and shown.is_terminal),
    ) as progress:
        task = progress.add_task(what, total=total)

        def advance(amount: int) -> None:
            progress.advance(task, amount)

        yield advance
