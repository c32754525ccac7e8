"""Batches, limits of attempts and of time, late acknowledgements, probation."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from localcloud.config import WORKSPACE_ID, AdvancedFilter
from localcloud.eventgrid import EventGrid
from localcloud.eventgrid.store import Store
from tests.integration.eventgrid_harness import Webhook, new_config, records, running, subscription, until, webhook

if TYPE_CHECKING:
    from pathlib import Path

    from localcloud.config import CloudConfig
    from localcloud.eventgrid.store import DeliveryRecord

pytestmark = pytest.mark.localcloud


class ManualClock:
    """Stands still until a test moves it."""

    def __init__(self, now: float = 1795370135.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def send(grid: EventGrid, number: int = 0, **data: Any) -> None:
    grid.publish(WORKSPACE_ID, "Type", "experiments/e/runs/r", {"number": number, **data})


def owe(config: CloudConfig, tmp_path: Path, count: int, **data: Any) -> None:
    """Events that were accepted while nobody delivered."""
    grid = EventGrid(config, tmp_path / "eventgrid.db")
    for number in range(count):
        send(grid, number, **data)
    grid.close()


def last(config: CloudConfig) -> DeliveryRecord:
    [delivery] = records(config)[-1].deliveries
    return delivery


def sizes(hook: Webhook) -> list[int]:
    return [len(received.body) for received in hook.notifications]


@pytest.mark.parametrize(
    ("schema", "content_type"),
    [
        ("EventGridSchema", "application/json; charset=utf-8"),
        ("CloudEventSchemaV1_0", "application/cloudevents-batch+json; charset=utf-8"),
    ],
)
def test_what_is_owed_comes_in_batches_of_at_most_the_wanted_number(
    tmp_path: Path, schema: str, content_type: str
) -> None:
    with webhook() as hook:
        config = new_config(tmp_path, subscription(hook, schema=schema, max_events_per_batch=4))
        owe(config, tmp_path, 10)
        with running(config):
            until(lambda: len(hook.events) == 10, "not all delivered")

    assert sorted(sizes(hook)) == [2, 4, 4]
    assert {received.headers["content-type"] for received in hook.notifications} == {content_type}
    assert sorted(event["data"]["number"] for event in hook.events) == list(range(10))


def test_a_batch_keeps_to_the_preferred_size_but_takes_an_event_that_is_bigger(tmp_path: Path) -> None:
    with webhook() as hook:
        settings = {"max_events_per_batch": 100, "preferred_batch_kilobytes": 2}
        config = new_config(tmp_path, subscription(hook, **settings))
        owe(config, tmp_path, 4, text="x" * 600)
        owe(config, tmp_path, 1, text="x" * 5000)
        with running(config):
            until(lambda: len(hook.events) == 5, "not all delivered")

    assert sorted(sizes(hook)) == [1, 2, 2]
    for received in hook.notifications:
        assert len(received.body) == 1 or len(json.dumps(received.body)) < 2100


def test_a_batch_that_fails_comes_again_as_a_whole(tmp_path: Path) -> None:
    with webhook(statuses=[500]) as hook:
        config = new_config(tmp_path, subscription(hook, max_events_per_batch=3))
        owe(config, tmp_path, 3)
        with running(config):
            until(lambda: len(hook.events) >= 6, "not tried again")

    first = hook.notifications[0].body
    again = [event for received in hook.notifications[1:] for event in received.body]
    assert sorted(event["id"] for event in again) == sorted(event["id"] for event in first)
    assert {received.headers["aeg-delivery-count"] for received in hook.notifications} == {"0", "1"}


def test_the_number_of_attempts_can_be_limited(tmp_path: Path) -> None:
    with webhook(statuses=[500, 500, 500]) as hook:
        config = new_config(tmp_path, subscription(hook, max_delivery_attempts=2))
        with running(config) as grid:
            send(grid)
            until(lambda: last(config).state == "dropped", "not given up")

    assert len(hook.notifications) == 2
    assert (last(config).reason, last(config).outcome) == ("MaxDeliveryAttemptsExceeded", "InternalServerError")


def test_a_dead_letter_is_dropped_when_storage_is_away_for_a_scaled_four_hours(tmp_path: Path) -> None:
    with webhook(statuses=[400]) as hook:
        wanted = subscription(hook, dead_letter_container="letters")
        config = new_config(tmp_path, wanted, scale=0.0001)
        with running(config) as grid:
            send(grid)
            until(lambda: last(config).state == "undeliverable", "not given up")
            until(lambda: last(config).state == "dropped", "kept for ever")

    assert last(config).reason == "UndeliverableDueToHttpBadRequest"


def test_an_event_expires_at_the_first_attempt_after_its_time_to_live(tmp_path: Path) -> None:
    clock = ManualClock()
    with webhook(statuses=[500]) as hook:
        config = new_config(tmp_path, subscription(hook, event_ttl_minutes=5), scale=1)
        with running(config, clock=clock) as grid:
            send(grid)
            until(lambda: records(config)[0].deliveries[0].attempts == 1, "not tried")
            clock.now += 301
            send(grid, 1)  # wakes it up
            until(lambda: records(config)[0].deliveries[0].state == "dropped", "not expired")

    [expired] = records(config)[0].deliveries
    assert (expired.reason, expired.attempts) == ("TimeToLiveExceeded", 1)
    assert [event["data"]["number"] for event in hook.events] == [0, 1]


def test_who_does_not_acknowledge_in_time_gets_the_event_again(tmp_path: Path) -> None:
    with webhook(delays=[0.6], statuses=[500]) as hook:
        config = replace(new_config(tmp_path, subscription(hook)), event_acknowledge_seconds=0.2)
        with running(config) as grid:
            send(grid)
            until(lambda: last(config).state == "delivered", "not delivered")

    assert len(hook.notifications) >= 2
    assert len({event["id"] for event in hook.events}) == 1


def test_what_was_under_way_when_event_grid_ended_comes_again(tmp_path: Path) -> None:
    with webhook(delays=[0.5]) as hook:
        config = new_config(tmp_path, subscription(hook))
        with running(config) as grid:
            send(grid)
            until(lambda: len(hook.notifications) == 1, "not sent")
        assert last(config).state == "pending"

        with running(config):
            until(lambda: last(config).state == "delivered", "not sent again")

    assert len({event["id"] for event in hook.events}) == 1
    assert len(hook.notifications) == 2


def test_a_late_acknowledgement_ends_the_retries(tmp_path: Path) -> None:
    with webhook(delays=[0.6]) as hook:
        config = replace(new_config(tmp_path, subscription(hook), scale=1), event_acknowledge_seconds=0.2)
        with running(config) as grid:
            send(grid)
            until(lambda: last(config).outcome == "TimedOut", "not timed out")
            until(lambda: last(config).state == "delivered", "the late answer was not heard")

    assert len(hook.notifications) == 1


def test_an_endpoint_that_keeps_failing_is_left_alone_for_a_while(tmp_path: Path) -> None:
    clock = ManualClock()
    with webhook(statuses=[404] * 10) as hook:
        config = new_config(tmp_path, subscription(hook), scale=1)
        with running(config, clock=clock) as grid:
            for number in range(10):
                send(grid, number)
            until(lambda: all(r.deliveries[0].attempts == 1 for r in records(config)), "not all tried")
            clock.now += 60  # the retries are due by now, but NotFound puts an endpoint on probation for five minutes
            send(grid, 10)
            send(grid, 11)
            pause = threading.Event()
            assert not pause.wait(0.3)
            assert len(hook.notifications) == 10

            clock.now += 241
            send(grid, 12)
            until(lambda: {d.state for r in records(config) for d in r.deliveries} == {"delivered"}, "not delivered")

    assert len(hook.notifications) == 23


def test_the_randomness_of_the_schedule_is_seeded(tmp_path: Path) -> None:
    def due(folder: Path, seed: int) -> list[float]:
        folder.mkdir()
        clock = ManualClock()
        with webhook(statuses=[500] * 3) as hook:
            config = replace(new_config(folder, subscription(hook), scale=1), event_seed=seed)
            with running(config, clock=clock) as grid:
                for number in range(3):
                    send(grid, number)
                    until(lambda: last(config).attempts == 1, "not tried")
                store = Store(folder / "eventgrid.db")
                owed = store.schedule("sub", 10)
                store.close()
                return [moment - clock.now for _, moment in owed]

    first, second = due(tmp_path / "a", 7), due(tmp_path / "b", 7)

    assert first == second
    assert all(10 <= delay <= 11 for delay in first)
    assert len(set(first)) == 3


def test_advanced_filters_decide_about_real_deliveries(tmp_path: Path) -> None:
    wanted = AdvancedFilter("NumberInRange", "data.number", ((2, 3),))
    with webhook() as hook:
        config = new_config(tmp_path, subscription(hook, advanced_filters=(wanted,)))
        with running(config) as grid:
            for number in range(5):
                send(grid, number)
            until(lambda: len(hook.events) == 2, "not delivered")

    assert sorted(event["data"]["number"] for event in hook.events) == [2, 3]
    assert [len(record.deliveries) for record in records(config)] == [0, 0, 1, 1, 0]


def test_a_name_that_does_not_resolve_has_its_own_outcome(tmp_path: Path) -> None:
    with webhook() as hook:
        config = new_config(tmp_path, subscription(hook, max_delivery_attempts=1))
        with running(config) as grid:
            until(lambda: len(hook.handshakes) == 1, "no handshake")
            until(lambda: grid.validations()[0][1].state == "Succeeded", "not validated")
            [worker] = grid._subscribers
            worker.subscription = replace(worker.subscription, endpoint="http://no-such-host.invalid/hook")
            send(grid)
            until(lambda: last(config).state == "dropped", "not given up")

    assert last(config).outcome == "ResolutionError"
