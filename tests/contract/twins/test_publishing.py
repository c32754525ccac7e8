"""The custom topic for lifecycle events: on the twin and on the local Event Grid."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from azure.core.messaging import CloudEvent

from tests.contract.twins.subject import Subject

Fresh = Callable[[str], str]


def event(tuning: str, number: int) -> CloudEvent[dict[str, Any]]:
    return CloudEvent(
        source="/subscriptions/s/workspaces/w",
        type="droptune.tuning.live",
        subject=f"tunings/{tuning}",
        id=f"{tuning}:{number}",
        time=datetime(2026, 11, 22, 12, tzinfo=UTC),
        data={"tuning": tuning, "reason": None, "message": "ä"},
    )


def test_a_batch_of_events_is_accepted_in_its_order_and_as_often_as_it_is_sent(cloud: Subject, fresh: Fresh) -> None:
    tuning = fresh("t")
    for _ in range(2):
        cloud.publisher.send([event(tuning, number) for number in (1, 2)])
    seen = [found for found in cloud.events() if found.subject == f"tunings/{tuning}"]
    assert [found.id for found in seen] == [f"{tuning}:{number}" for number in (1, 2, 1, 2)]
    assert {found.type for found in seen} == {"droptune.tuning.live"}
    assert {found.topic for found in seen} == {"/subscriptions/s/workspaces/w"}
    assert seen[0].data == {"tuning": tuning, "reason": None, "message": "ä"}


def test_an_event_that_is_changed_after_it_was_sent_is_not_changed_in_the_topic(cloud: Subject, fresh: Fresh) -> None:
    tuning = fresh("t")
    sent = event(tuning, 1)
    cloud.publisher.send([sent])
    assert sent.data is not None
    sent.data["message"] = "changed"
    (seen,) = [found for found in cloud.events() if found.subject == f"tunings/{tuning}"]
    assert seen.data["message"] == "ä"
