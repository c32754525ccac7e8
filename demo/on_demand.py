"""`make on-demand`: an endpoint that nobody calls goes, and comes back for who calls it. Prints the times.

The main job with quick training, then: called, idle, marked, deleted, called, woken, answered, by one address.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from demo.app_client import AppClient, question_body
from demo.dialogues import write_dataset
from demo.topology import ROOT, Topology, prepare_storage

DATASET = "booking-desk"
QUESTION = question_body("Can I book a table for two tonight?")
_DEADLINE = 600.0


@dataclass
class Story:
    client: AppClient
    begun: float = field(default_factory=time.monotonic)

    def tell(self, what: str) -> None:
        print(f"{time.monotonic() - self.begun:7.1f} s  {what}", flush=True)

    def until(self, what: str, look: Callable[[], Any]) -> Any:
        end = time.monotonic() + _DEADLINE
        while not (found := look()):
            if time.monotonic() > end:
                raise TimeoutError(f"not within {_DEADLINE:.0f} s: {what}")
            time.sleep(0.5)
        return found

    def state(self) -> str:
        found = self.client.tunings(dataset=DATASET)["tunings"]
        return str(found[0]["state"]) if found else ""

    def endpoint(self) -> dict[str, Any]:
        return next((item for item in self.client.endpoints() if item["dataset"] == DATASET), {})

    def score(self, **headers: str) -> httpx.Response:
        """As a user calls it; says how long it took and what came."""
        begun = time.monotonic()
        answer = self.client.score(DATASET, QUESTION, **headers)
        preference = f" ({', '.join(f'{name}: {value}' for name, value in headers.items())})" if headers else ""
        took = f"POST /api/score/{DATASET}{preference}: HTTP {answer.status_code} in {time.monotonic() - begun:.2f} s"
        if answer.status_code == 200:
            text = str(answer.json().get("output", ""))
            self.tell(f"{took}: {text[:60]!r}")
        else:
            self.tell(f"{took}, Retry-After: {answer.headers.get('retry-after')}: {answer.json()['error']['message']}")
        return answer


def main() -> int:
    logging.basicConfig(level=logging.WARNING)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    base = ROOT / ".localcloud"
    base.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="on-demand-", dir=base) as folder, _running(Path(folder)) as client:
        write_dataset(Path(folder) / "dataset", train=160, test=16, gen=16)
        return _tell(Story(client), Path(folder) / "dataset")


@contextmanager
def _running(folder: Path) -> Iterator[AppClient]:
    cloud = Topology(state_dir=folder / "cloud", fast_training=True, persistent=False).cloud()
    cloud.start()
    try:
        prepare_storage(cloud)
        os.environ.update(cloud.client_environment())
        yield AppClient(cloud)
    finally:
        cloud.stop()


def _tell(story: Story, folder: Path) -> int:
    client = story.client
    client.upload(folder, DATASET, "v1")
    story.tell("uploaded")
    story.until("live", lambda: story.state() == "live")
    story.tell(f"live on {story.endpoint()['name']}")
    story.score()
    marked = story.until("marked", lambda: story.endpoint().get("idle_since"))
    story.tell(f"idle: marked at {marked}")
    story.until("closed", lambda: story.state() != "live")
    story.tell("the grace is over: being deleted")
    story.until("retired", lambda: story.state() == "retired")
    story.tell("deleted; nothing of it runs or costs")
    refused = story.score()
    answered = story.score(Prefer="wait=200")
    story.tell(f"on {story.endpoint().get('name')}, by {answered.headers.get('preference-applied')}")
    story.score()
    return 0 if (refused.status_code, answered.status_code) == (503, 200) else 1


if __name__ == "__main__":
    sys.exit(main())
