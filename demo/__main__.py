"""`make demo`: drop a dataset, get a smoke-tested endpoint, see it deleted when nobody calls it."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from demo.app_client import AppClient, curl_command
from demo.dialogues import write_dataset
from demo.journey import Journey, JourneyTimeoutError, follow
from demo.topology import ROOT, TRACED, Topology, prepare_storage
from demo.trace import draw_all
from demo.view import View, stage_spans
from localcloud.processes import AlreadyRunningError, StackError, end_leftovers, exclusive
from localcloud.stack import LocalCloud
from shared.datasets.paths import MAX_NAME_LENGTH

_ENDED = ("rejected", "failed", "rolled_back", "superseded", "retired")


def main() -> int:
    arguments = _arguments()
    logging.basicConfig(level=logging.WARNING)
    for number in (signal.SIGINT, signal.SIGTERM):  # SIGINT too: a shell's background jobs start with it ignored
        signal.signal(number, _interrupt)
    console = Console()
    base = ROOT / ".localcloud"
    base.mkdir(exist_ok=True)
    _sweep_old_demos(base)
    state_dir = Path(tempfile.mkdtemp(prefix=f"demo-{os.getpid()}-", dir=base))
    try:
        return _run(arguments, console, state_dir)
    except KeyboardInterrupt:
        console.print("stopped")
        return 130
    except (StackError, JourneyTimeoutError) as error:
        console.print(f"[bold red]The demo failed:[/] {error}")
        return 1
    finally:
        if arguments.keep:
            console.print(f"state and logs are kept in {state_dir}")
            for picture in draw_all(state_dir, state_dir):
                console.print(f"trace: {picture}", highlight=False, soft_wrap=True)
        else:
            shutil.rmtree(state_dir, ignore_errors=True)


def _run(arguments: argparse.Namespace, console: Console, state_dir: Path) -> int:
    started = time.monotonic()
    folder, dataset = arguments.data, arguments.dataset
    if folder is None:
        folder, dataset = state_dir / "dataset", dataset or "booking-desk"
        write_dataset(folder)
        console.print("A seeded generator wrote a sample dataset: 1,600 chats with a booking desk.")
    with console.status("Starting the local cloud: storage, Azure ML, Event Grid, Monitor, identity, Functions host"):
        topology = Topology(state_dir=state_dir, model_path=arguments.model, settings=TRACED, persistent=False)
        cloud = topology.cloud()
        cloud.start()
    with contextlib.ExitStack() as running:
        running.callback(cloud.stop)
        prepare_storage(cloud)
        os.environ.update(cloud.client_environment())
        console.print(f"The local cloud is up after {time.monotonic() - started:.1f} s; the app runs in it unchanged.")
        client = AppClient(cloud)
        journey = Journey(dataset=dataset or _dataset_name(folder), version=f"{datetime.now(UTC):%Y-%m-%d}")
        for blob in client.upload(folder, journey.dataset, journey.version):
            console.print(f"uploaded datasets/{blob}", highlight=False)
        view = View(console)
        with view.live():
            for seen in follow(client, journey, _is_settled, deadline=arguments.deadline):
                view.show(seen)
        _print_training(console, journey.job)
        if journey.state != "live":
            _print_failure(console, cloud, journey)
            return 1
        _print_live(console, cloud, client, journey)
        with view.live():
            for seen in follow(client, journey, lambda seen: seen.state in _ENDED, deadline=arguments.deadline):
                view.show(seen)
        _print_summary(console, journey, client.resources(), time.monotonic() - started)
        return 0 if journey.state == "retired" else 1


def _is_settled(journey: Journey) -> bool:
    return journey.state == "live" or journey.state in _ENDED


def _print_training(console: Console, job: dict[str, Any]) -> None:
    losses = [item["value"] for item in job.get("metrics", ()) if item["name"] == "eval_loss"]
    if losses:
        console.print(f"Trained: evaluation loss {losses[0]:.3f} → {losses[-1]:.3f}", highlight=False)


def _print_live(console: Console, cloud: LocalCloud, client: AppClient, journey: Journey) -> None:
    smoke = journey.tuning["smoke_test"]
    sample = smoke["samples"][0]
    talk = Table.grid(padding=(0, 2))
    for message in sample["question"]:
        talk.add_row(Text(message["role"], style="dim"), Text(message["content"]))
    talk.add_row(Text("answer", style="bold green"), Text(sample["answer"]["text"]))
    talk.add_row(Text("ground truth", style="dim"), Text(sample["truth"] or "none in this row"))
    title = f"Smoke test passed on the new deployment: {smoke['detail']}; the first of them"
    console.print(Panel(talk, title=title, border_style="green"))
    question = next(message["content"] for message in sample["question"] if message["role"] == "user")
    key, uri = client.endpoint_key(journey.tuning["endpoint"]), journey.endpoint["scoring_uri"]
    console.print("[bold]Live.[/] Ask it yourself while it lives:")
    console.print(curl_command(cloud, uri, key, question), highlight=False, soft_wrap=True, markup=False)
    console.print(f"[dim]answer:[/] {escape(client.ask(uri, key, question))}", highlight=False)


def _print_failure(console: Console, cloud: LocalCloud, journey: Journey) -> None:
    reason = journey.tuning.get("reason") or {}
    text = f"[bold red]{journey.state}[/]: {reason.get('code')}: {escape(str(reason.get('message')))}"
    console.print(text, highlight=False, soft_wrap=True)
    report = journey.tuning.get("report") or {}
    for error in report.get("errors", ())[:20]:
        console.print(f"  {error}", highlight=False, markup=False)
    console.print(f"The Functions host's log: {cloud.log_file('functions')}", highlight=False)


def _print_summary(console: Console, journey: Journey, resources: dict[str, Any], seconds: float) -> None:
    table = Table(title="What happened", title_justify="left")
    table.add_column("stage")
    table.add_column("seconds", justify="right")
    for state, span in stage_spans(journey).items():
        if state != "collecting" and state not in _ENDED:
            table.add_row(state, f"{span:.1f}")
    table.add_row("[bold]in all[/]", f"[bold]{seconds:.1f}[/]")
    console.print(table)
    left = [item["name"] for item in resources["endpoints"] if item["state"] != "Deleted"]
    models = ", ".join(f"{item['name']} version {item['version']}" for item in resources["models"])
    console.print(f"{journey.state}: {journey.tuning['reason']['message']}", highlight=False, soft_wrap=True)
    console.print(f"Endpoints left: {', '.join(left) or 'none'}. Registered models stay: {models}.", soft_wrap=True)


def _sweep_old_demos(base: Path) -> None:
    """Processes and folders of demos that were killed; one that still runs keeps what it has."""
    for old in base.glob("demo-*"):
        pid = int(old.name.split("-")[1])
        if Path(f"/proc/{pid}").exists():
            continue
        with contextlib.suppress(AlreadyRunningError), exclusive(old):
            end_leftovers(old)
            shutil.rmtree(old, ignore_errors=True)


def _dataset_name(folder: Path) -> str:
    """The folder's name as far as it can be a dataset's."""
    return re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-")[:MAX_NAME_LENGTH].strip("-") or "chats"


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with train_sft.jsonl and test_sft.jsonl")
    parser.add_argument("--model", type=Path, help="Hugging Face model folder to fine-tune")
    parser.add_argument("--dataset", help="name of the dataset; else the data folder's, or booking-desk")
    parser.add_argument("--deadline", type=float, default=900, help="seconds for each half of the demo")
    parser.add_argument("--keep", action="store_true", help="keep the state folder with all logs")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
