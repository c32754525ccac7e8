"""Delivery to webhooks: handshakes, both schemas, retries, faults, restarts."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from localcloud.config import WORKSPACE_ID
from localcloud.eventgrid import EventGrid
from tests.integration.eventgrid_harness import new_config, records, running, subscription, until, webhook

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.localcloud

COMPLETED = "Microsoft.MachineLearningServices.RunCompleted"
SUBJECT = "experiments/e/runs/r"


def send(grid: EventGrid, number: int = 0) -> None:
    grid.publish(WORKSPACE_ID, COMPLETED, SUBJECT, {"number": number})


def test_an_event_arrives_as_event_grid_sends_it(tmp_path: Path) -> None:
    with webhook() as hook, running(new_config(tmp_path, subscription(hook))) as grid:
        send(grid, 7)
        until(lambda: len(hook.notifications) == 1, "no notification")

    [received] = hook.notifications
    assert isinstance(received.body, list)
    assert received.headers["aeg-subscription-name"] == "SUB"
    assert received.headers["aeg-delivery-count"] == "0"
    assert received.headers["content-type"].startswith("application/json")
    assert received.event["topic"] == WORKSPACE_ID
    assert received.event["eventType"] == COMPLETED
    assert received.event["subject"] == SUBJECT
    assert received.event["data"] == {"number": 7}


def test_a_cloud_event_arrives_alone_and_not_in_a_list(tmp_path: Path) -> None:
    with webhook() as hook:
        config = new_config(tmp_path, subscription(hook, schema="CloudEventSchemaV1_0"))
        with running(config) as grid:
            send(grid)
            until(lambda: len(hook.notifications) == 1, "no notification")

    [received] = hook.notifications
    assert received.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert received.body["specversion"] == "1.0"
    assert received.body["source"] == WORKSPACE_ID


def test_a_failed_delivery_comes_again_with_a_higher_count(tmp_path: Path) -> None:
    with webhook(statuses=[500, 503, 302]) as hook:
        config = new_config(tmp_path, subscription(hook))
        with running(config) as grid:
            send(grid)
            until(lambda: len(hook.notifications) == 4, "not tried again")
            until(lambda: records(config)[0].deliveries[0].state == "delivered", "not recorded")

    assert [r.headers["aeg-delivery-count"] for r in hook.notifications] == ["0", "1", "2", "3"]
    assert len({r.event["id"] for r in hook.notifications}) == 1
    [delivery] = records(config)[0].deliveries
    assert (delivery.attempts, delivery.status) == (4, 200)


def test_retries_keep_to_the_scaled_schedule(tmp_path: Path) -> None:
    with (
        webhook(statuses=[500, 500]) as hook,
        running(new_config(tmp_path, subscription(hook), scale=0.01)) as grid,
    ):
        send(grid)
        until(lambda: len(hook.notifications) == 3, "not tried again")

    first, second, third = (received.at for received in hook.notifications)
    assert 0.1 <= second - first < 5
    assert 0.3 <= third - second < 5


def test_an_endpoint_that_is_away_gets_its_event_when_it_is_back(tmp_path: Path) -> None:
    with webhook() as away:
        config = new_config(tmp_path, subscription(away, name="away"), scale=0.01)
        with running(config) as grid:
            until(lambda: len(away.handshakes) == 1, "no handshake")
            away.statuses = [502] * 3
            send(grid)
            until(lambda: len(away.notifications) == 4, "not delivered")


def test_one_slow_subscriber_does_not_hold_up_another(tmp_path: Path) -> None:
    with webhook(willing=False) as slow, webhook() as quick:
        config = new_config(tmp_path, subscription(slow, name="slow"), subscription(quick, name="quick"))
        with running(config) as grid:
            for number in range(40):
                send(grid, number)
            until(lambda: len(quick.notifications) == 40, "not all delivered")

    assert {r.event["data"]["number"] for r in quick.notifications} == set(range(40))


def test_only_what_the_filters_let_through_is_delivered(tmp_path: Path) -> None:
    with webhook() as hook:
        wanted = subscription(hook, event_types=(COMPLETED,), subject_begins_with="experiments/E/")
        with running(new_config(tmp_path, wanted)) as grid:
            grid.publish(WORKSPACE_ID, "Microsoft.MachineLearningServices.ModelRegistered", SUBJECT, {})
            grid.publish(WORKSPACE_ID, COMPLETED, "experiments/other/runs/r", {})
            send(grid, 3)
            until(lambda: len(hook.notifications) == 1, "no notification")

    assert [r.event["data"] for r in hook.notifications] == [{"number": 3}]


def test_what_was_accepted_before_a_crash_is_delivered_after_it(tmp_path: Path) -> None:
    with webhook() as hook:
        config = new_config(tmp_path, subscription(hook))
        crashed = EventGrid(config, tmp_path / "eventgrid.db")
        send(crashed, 1)
        crashed.close()

        with running(config):
            until(lambda: len(hook.notifications) == 1, "forgotten")


def test_what_was_delivered_is_not_delivered_again_after_a_restart(tmp_path: Path) -> None:
    with webhook() as hook:
        config = new_config(tmp_path, subscription(hook))
        for number in (1, 2):
            with running(config) as grid:
                send(grid, number)
                until(lambda: records(config)[-1].deliveries[0].state == "delivered", "not delivered")

    assert [r.event["data"]["number"] for r in hook.notifications] == [1, 2]


def test_events_may_be_published_from_many_threads(tmp_path: Path) -> None:
    with webhook() as hook, running(new_config(tmp_path, subscription(hook))) as grid:
        threads = [threading.Thread(target=send, args=(grid, number)) for number in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        until(lambda: len(hook.notifications) == 30, "not all delivered")

    assert {r.event["data"]["number"] for r in hook.notifications} == set(range(30))


def test_a_doubled_event_comes_twice_with_the_same_id(tmp_path: Path) -> None:
    with webhook() as hook, running(new_config(tmp_path, subscription(hook))) as grid:
        grid.faults = replace(grid.faults, duplicate=True)
        send(grid)
        until(lambda: len(hook.notifications) == 2, "not doubled")

    assert len({r.event["id"] for r in hook.notifications}) == 1


def test_a_delayed_event_comes_late(tmp_path: Path) -> None:
    with webhook() as hook, running(new_config(tmp_path, subscription(hook))) as grid:
        grid.faults = replace(grid.faults, delay=0.5)
        send(grid)
        grid.faults = replace(grid.faults, delay=0)
        send(grid, 1)
        until(lambda: len(hook.notifications) == 2, "not delivered")

    assert [r.event["data"]["number"] for r in hook.notifications] == [1, 0]
    assert hook.notifications[1].at - hook.notifications[0].at > 0.15


def test_an_outage_records_events_as_lost_and_delivers_none_of_them(tmp_path: Path) -> None:
    with webhook() as hook:
        config = replace(new_config(tmp_path, subscription(hook)), event_grid_enabled=False)
        with running(config) as grid:
            send(grid, 1)
            grid.faults = replace(grid.faults, enabled=True, lose=1.0)
            send(grid, 2)
            grid.faults = replace(grid.faults, lose=0.0)
            send(grid, 3)
            until(lambda: len(hook.notifications) == 1, "no notification")

    assert [record.lost for record in records(config)] == [True, True, False]
    assert [r.event["data"]["number"] for r in hook.notifications] == [3]


def test_two_subscriptions_of_the_same_name_are_refused(tmp_path: Path) -> None:
    with webhook() as hook:
        config = new_config(tmp_path, subscription(hook), subscription(hook))

    with pytest.raises(ValueError, match="different names"):
        EventGrid(config, tmp_path / "eventgrid.db")
