"""The live view of a journey in the terminal."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from demo.journey import Journey

_STAGES = (
    ("collecting", "dataset uploaded, waiting until it is quiet"),
    ("preparing", "valid; splits are copied to where the job reads them"),
    ("queued", "waiting for a job slot"),
    ("training", "fine-tune pipeline on Azure ML"),
    ("registered", "model registered"),
    ("deploying", "endpoint and deployment at 0 % traffic"),
    ("testing", "smoke test on the new deployment"),
    ("promoting", "traffic moves to the new deployment"),
    ("live", "serving"),
    ("cleaning_up", "removing what is not used"),
)
_ENDS = ("rejected", "failed", "rolled_back", "superseded", "retired")


class View:
    """On a terminal one live panel; elsewhere a line whenever something happened."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._told = 0
        self._told_steps: set[str] = set()
        self._started = time.monotonic()

    @contextlib.contextmanager
    def live(self) -> Iterator[None]:
        """While this is open, `show` redraws one panel, if there is a terminal to draw on; its last state stays."""
        if not self._console.is_terminal:
            yield
            return
        with Live(console=self._console, refresh_per_second=4) as self._live:
            yield
        self._live = None

    def show(self, journey: Journey) -> None:
        if self._live is not None:
            self._live.update(self._panel(journey))
        else:
            self._tell(journey)

    def _tell(self, journey: Journey) -> None:
        for entry in journey.history:
            if entry["seq"] > self._told:
                self._told = entry["seq"]
                self._line(entry["state"], entry["message"])
        for step in journey.job.get("steps", ()):
            if step["ended"] and step["name"] not in self._told_steps:
                self._told_steps.add(step["name"])
                self._line("training", f"{step['name']} {step['status']} in {step['ended'] - step['started']:.1f} s")

    def _line(self, state: str, message: str) -> None:
        elapsed = time.monotonic() - self._started
        self._console.print(f"{elapsed:6.1f} s  {state:<12} {message}", highlight=False, markup=False, soft_wrap=True)

    def _panel(self, journey: Journey) -> RenderableType:
        parts: list[RenderableType] = [self._stages(journey)]
        if journey.state == "training":
            parts.append(training(journey.job))
        if journey.state == "live":
            parts.append(Text(idle_line(journey), style="yellow"))
        if journey.tuning.get("last_error"):
            parts.append(Text(f"later: {journey.tuning['last_error']}", style="dim"))
        return Panel(Group(*parts), title=f"[bold]{journey.tuning.get('id', journey.dataset)}", border_style="cyan")

    def _stages(self, journey: Journey) -> Table:
        table = Table.grid(padding=(0, 2))
        spans = stage_spans(journey)
        for state, meaning in _STAGES:
            span = spans.get(state)
            if state == journey.state:
                mark: RenderableType = Spinner("dots", style="cyan")
            else:
                mark = Text("✓", style="green") if span else Text("·", style="dim")
            style = "bold" if state == journey.state else ("" if span else "dim")
            seconds = f"{span:6.1f} s" if span and state != "collecting" else ""
            table.add_row(mark, Text(state, style=style), Text(seconds, style=style), Text(meaning, style="dim"))
        for state in _ENDS:
            if state == journey.state:
                table.add_row(Text("■"), Text(state, style="bold"), "", Text(_reason(journey)))
        return table


def training(job: dict[str, Any]) -> RenderableType:
    """Steps that ran, the running one with its loss and progress."""
    table = Table.grid(padding=(0, 2))
    now = time.time()
    for step in job.get("steps", ()):
        seconds = (step["ended"] or now) - step["started"] if step["started"] else 0
        table.add_row("  ", step["name"], step["status"], f"{seconds:5.1f} s")
    losses = [metric for metric in job.get("metrics", ()) if metric["name"] == "loss"]
    evaluations = [metric for metric in job.get("metrics", ()) if metric["name"] == "eval_loss"]
    if not losses and not evaluations:
        return table
    parts: list[RenderableType] = [table]
    if losses:
        last, total = losses[-1], job.get("total_steps") or losses[-1]["at"]
        bar = Table.grid(padding=(0, 2))
        bar.add_row(
            "  ", ProgressBar(total=total, completed=last["at"], width=40), f"step {last['at']} of {total}",
            f"loss {last['value']:.3f}",
        )  # fmt: skip
        parts.append(bar)
    if evaluations:
        parts.append(Text("   evaluation loss " + " → ".join(f"{item['value']:.3f}" for item in evaluations)))
    return Group(*parts)


def stage_spans(journey: Journey) -> dict[str, float]:
    """Seconds spent in each state so far."""
    spans: dict[str, float] = {}
    history = journey.history
    for entry, following in zip_longest(history, history[1:]):
        end = datetime.fromisoformat(following["at"]) if following else datetime.now(UTC)
        spans[entry["state"]] = (
            spans.get(entry["state"], 0) + (end - datetime.fromisoformat(entry["at"])).total_seconds()
        )
    if history:
        spans.setdefault("collecting", 0.001)  # over, but the history begins after it
    return spans


def idle_line(journey: Journey) -> str:
    since = journey.endpoint.get("idle_since")
    if since:
        return f"nobody calls it: marked at {since[11:19]}, deleted after the grace time if it stays so"
    return "waiting for the idle sweep to notice that nobody calls it"


def _reason(journey: Journey) -> str:
    reason = journey.tuning.get("reason") or {}
    return str(reason.get("message") or "")
