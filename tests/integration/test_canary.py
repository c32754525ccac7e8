"""A canary on the local cloud: its share of the traffic is real, and so are the requests that decide.

Minutes pass as seconds, for the app as for Monitor.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.lifecycle.tuning import State, Tuning
from tests.integration.azureml_support import azurite, new_config, running
from tests.integration.lifecycle_harness import App, app_on

pytestmark = pytest.mark.localcloud

BEGUN = time.time()


def wall() -> float:
    return BEGUN + (time.time() - BEGUN) * 60


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    config = new_config(tmp_path)
    with (
        azurite(config),
        running(config, wall=wall) as cloud,
        app_on(
            cloud,
            clock=lambda: datetime.fromtimestamp(wall(), UTC),
            canary_percent=50,
            canary_minutes=8,
            canary_min_requests=6,
            metrics_delay_minutes=0,
            metrics_endpoint=cloud.config.azure_url,
        ) as found,
        found.workers(3),
    ):
        yield found


def ask(app: App, endpoint: str) -> int:
    """As a user does, who knows of no deployments."""
    key = app.cloud.arm("POST", f"/onlineEndpoints/{endpoint}/listKeys").json()["primaryKey"]
    return app.cloud.http.post(
        f"/inference/{endpoint}/score",
        headers={"Authorization": f"Bearer {key}"},
        json={"input_data": {"input_string": [{"role": "user", "content": "a user asks"}]}},
    ).status_code


@contextmanager
def users(app: App, endpoint: str) -> Iterator[list[int]]:
    """Ask all the time; gives the statuses of the answers."""
    stop, statuses = threading.Event(), list[int]()

    def call() -> None:
        while not stop.wait(0.05):
            statuses.append(ask(app, endpoint))

    thread = threading.Thread(target=call)
    thread.start()
    try:
        yield statuses
    finally:
        stop.set()
        thread.join()


def version(app: App, number: str) -> Tuning:
    return next(item for item in app.tunings_of("bird") if item.version == number)


def drop(app: App, number: str, *states: State, note: str = "") -> Tuning:
    app.upload_version("bird", number, note)
    app.instance().intake.version_changed("bird", number)
    app.until(lambda: [item for item in app.tunings_of("bird") if item.version == number and item.state in states], 90)
    return version(app, number)


def traffic(app: App, endpoint: str) -> dict[str, int]:
    shares = app.cloud.arm("GET", f"/onlineEndpoints/{endpoint}").json()["properties"]["traffic"]
    return {name: share for name, share in shares.items() if share}


def test_a_bad_canary_is_rolled_back_and_a_good_one_gets_everything(app: App) -> None:
    ended = (State.LIVE, State.ROLLED_BACK, State.FAILED)
    live = drop(app, "v1", *ended)
    assert live.state is State.LIVE, live
    with users(app, live.endpoint) as statuses:
        bad = drop(app, "v2", *ended, note="unfriendly")
        assert (bad.state, bad.reason and bad.reason.code) == (State.ROLLED_BACK, "CanaryFailed"), bad
        assert bad.smoke is not None
        assert bad.smoke.passed, "its smoke test told nothing"
        assert bad.canary is not None
        assert bad.canary.new.errors >= 2
        assert {200, 424} == set(statuses), "users met it, and it failed them"
        assert version(app, "v1").state is State.LIVE
        assert traffic(app, live.endpoint) == {live.deployment: 100}
        left = app.cloud.arm("GET", f"/onlineEndpoints/{live.endpoint}/deployments").json()["value"]
        assert [item["name"] for item in left] == [live.deployment]

        good = drop(app, "v3", *ended)
        assert good.state is State.LIVE, good
        assert any("canary passed" in entry.message for entry in good.history)
        assert traffic(app, live.endpoint) == {good.deployment: 100}
