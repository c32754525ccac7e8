"""What an event costs: events per second through the functions, and calls of a tuning from drop to live.

    python -m benchmarks.events               # about two minutes

The functions run in this process, on Azurite and the emulator over HTTPS; trainings and scoring servers are stand-ins.
Azurite answers a call in some milliseconds, Azure in some tens: what carries over is the number of calls.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import azure.functions as func

from handlers.deployment_progress import deployment_progress
from handlers.job_completed import job_completed
from shared.lifecycle.job_events import RUN_COMPLETED
from shared.lifecycle.ledger import Versioned
from shared.lifecycle.tuning import State, Tuning
from tests.contract.twins.real_subject import real_subject
from tests.integration.outgoing_calls import OutgoingCalls, outgoing_calls
from tests.integration.whole_life import Life, at_once, run_event

THREADS = (1, 8)
"""8 is what the local Functions host gives a worker."""

Handle = Callable[[int], None]
"""Handles one event on the thread of this number."""


@dataclass(frozen=True)
class Rate:
    event: str
    threads: int
    per_second: list[float]
    calls: dict[str, float]
    """Of one event, by service."""


def life_table(outgoing: OutgoingCalls) -> str:
    by_function = outgoing.by_function()
    services = sorted({service for counts in by_function.values() for service in counts})
    lines = [f"| Function | {' | '.join(services)} | in all |", f"|---|{'---:|' * (len(services) + 1)}"]
    for function, counts in by_function.items():
        cells = [str(counts.get(service, "")) for service in services]
        lines.append(f"| {function} | {' | '.join(cells)} | {sum(counts.values())} |")
    totals = outgoing.by_service()
    cells = [str(totals[service]) for service in services]
    lines.append(f"| in all | {' | '.join(cells)} | {sum(totals.values())} |")
    return "\n".join(lines)


def rate_table(rates: list[Rate]) -> str:
    lines = ["| Event | threads | events/s (spread) | calls an event |", "|---|---:|---:|---|"]
    for rate in rates:
        speeds = sorted(rate.per_second)
        speed = f"{statistics.median(speeds):,.0f} ({speeds[0]:,.0f}–{speeds[-1]:,.0f})"
        calls = ", ".join(f"{service} {count:.1f}" for service, count in rate.calls.items()) or "none"
        lines.append(f"| {rate.event} | {rate.threads} | {speed} | {calls} |")
    return "\n".join(lines)


def measure(event: str, handle: Handle, threads: int, rounds: int, seconds: float, outgoing: OutgoingCalls) -> Rate:
    speeds: list[float] = []
    handled = 0
    counted: Counter[str] = Counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(handle, range(threads)))  # each thread's connections are made
        for _ in range(rounds):
            outgoing.clear()
            began = time.perf_counter()
            with outgoing.running(event):
                done = sum(pool.map(_repeat, [handle] * threads, range(threads), [began + seconds] * threads))
            speeds.append(done / (time.perf_counter() - began))
            handled += done
            counted.update(outgoing.by_service())
    return Rate(event, threads, speeds, {service: count / handled for service, count in sorted(counted.items())})


def _repeat(handle: Handle, thread: int, end: float) -> int:
    done = 0
    while time.perf_counter() < end:
        handle(thread)
        done += 1
    return done


def events(life: Life) -> dict[str, Handle]:
    """One tuning a thread, so that none waits for another's row."""
    workspace = life.services.settings.workspace_id
    training = life.drop("training", until=State.TRAINING)
    deploying = life.drop("deploying", until=State.DEPLOYING)
    progress, ended = _function(deployment_progress), _function(job_completed)
    with patch("shared.services.services", lambda: life.services):
        progress(_wake_up(deploying))  # begins the endpoint, which the emulator's clock now never finishes
    row = life.subject.ledger.tuning(deploying.id)
    assert row is not None
    waiting = [_copy(life, row.value, number) for number in range(max(THREADS))]
    of_a_job = run_event(workspace, RUN_COMPLETED, {"runId": training.job, "runStatus": "Completed"})
    of_a_step = run_event(workspace, RUN_COMPLETED, {"runId": training.job, "runType": "azureml.StepRun"})
    return {
        "job_completed: a job ended": lambda _: ended(of_a_job),
        "job_completed: a step ended": lambda _: ended(of_a_step),
        "deployment_progress: not yet": lambda thread: progress(_wake_up(waiting[thread])),
    }


def _copy(life: Life, tuning: Tuning, number: int) -> Tuning:
    """Another tuning that waits for the same endpoint."""
    ledger = life.subject.ledger
    copy = replace(tuning, id=f"{tuning.id}-{number}")
    record = ledger.endpoint(tuning.dataset)
    ledger.put(replace(record, value=record.value.joined(copy.id, tuning.endpoint)))
    return ledger.put(Versioned(copy, "")).value


def _wake_up(tuning: Tuning) -> func.QueueMessage:
    return func.QueueMessage(body=json.dumps({"tuning_id": tuning.id}).encode())


def _function(function: Any) -> Callable[[object], None]:
    user_function: Callable[[object], None] = function.build().get_user_function()
    return user_function


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3, help="of each round")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    with (
        tempfile.TemporaryDirectory() as folder,
        real_subject(Path(folder)) as subject,
        outgoing_calls(subject._config) as outgoing,
    ):
        life = Life(subject, at_once(subject), outgoing.running)
        life.drop("first")
        outgoing.clear()
        life.drop("second")
        print(f"Calls of a tuning from drop to live, on an instance that had one before\n\n{life_table(outgoing)}\n")
        handles = events(life)
        with patch("shared.services.services", lambda: life.services):
            rates = [
                measure(event, handle, threads, arguments.rounds, arguments.seconds, outgoing)
                for event, handle in handles.items()
                for threads in THREADS
            ]
    print(f"{arguments.rounds} rounds of {arguments.seconds:g} s\n\n{rate_table(rates)}")


if __name__ == "__main__":
    main()
