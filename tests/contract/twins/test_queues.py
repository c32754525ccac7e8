"""Wake-ups and the queues that they lie in: on the twin and on Azurite, read as the Functions host does."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable

import pytest

from shared import names
from shared.lifecycle.queues import TuningMessage, VersionMessage, parse_tuning_message, parse_version_message
from tests.contract.twins.subject import LostError, Received, Subject

_queues = itertools.count(1)


@pytest.fixture
def queue() -> str:
    """One that no wake-up goes to."""
    return f"queue-{next(_queues)}"


@pytest.fixture(autouse=True)
def _emptied(cloud: Subject) -> None:
    for name in names.QUEUES:
        for message in cloud.receive(name):
            cloud.finish(message)


def only(messages: list[Received]) -> Received:
    (message,) = messages
    return message


@pytest.mark.parametrize(
    ("send", "queue"),
    [
        (lambda cloud: cloud.wake_ups.tuning("chats-v1-0123abcd"), names.DEPLOYMENT_PROGRESS_QUEUE),
        (lambda cloud: cloud.wake_ups.smoke_test("chats-v1-0123abcd"), names.SMOKE_TEST_QUEUE),
    ],
)
def test_a_tuning_is_woken_up_in_the_queue_of_its_stage(
    cloud: Subject, send: Callable[[Subject], None], queue: str
) -> None:
    send(cloud)
    assert parse_tuning_message(only(cloud.receive(queue)).body) == TuningMessage("chats-v1-0123abcd")
    assert [name for name in names.QUEUES if cloud.receive(name)] == []


def test_a_version_is_woken_up_with_its_revision(cloud: Subject) -> None:
    wanted = VersionMessage("chats", "v1", 7)
    cloud.wake_ups.version(wanted, 0)
    assert parse_version_message(only(cloud.receive(names.DATASET_SETTLED_QUEUE)).body) == wanted


def test_a_planned_look_names_its_time(cloud: Subject) -> None:
    cloud.wake_ups.tuning("t", 0, "2026-11-22T12:00:00+00:00")
    (message,) = cloud.receive(names.DEPLOYMENT_PROGRESS_QUEUE)
    assert parse_tuning_message(message.body) == TuningMessage("t", "2026-11-22T12:00:00+00:00")


def test_a_message_is_put_back_as_it_was(cloud: Subject) -> None:
    body = b"no message of ours"
    cloud.wake_ups.put_back(names.DEPLOYMENT_PROGRESS_QUEUE, body, 0)
    assert only(cloud.receive(names.DEPLOYMENT_PROGRESS_QUEUE)).body == body


def test_two_wake_ups_are_two_messages(cloud: Subject) -> None:
    cloud.wake_ups.tuning("t")
    cloud.wake_ups.tuning("t")
    assert len(cloud.receive(names.DEPLOYMENT_PROGRESS_QUEUE)) == 2


@pytest.mark.parametrize("delay", [0, -5, 0.4])
def test_a_wake_up_without_a_second_s_delay_is_there_at_once(cloud: Subject, delay: float) -> None:
    cloud.wake_ups.tuning("t", delay)
    assert only(cloud.receive(names.DEPLOYMENT_PROGRESS_QUEUE)).dequeue_count == 1


def test_a_delayed_wake_up_is_not_there_before_its_time(cloud: Subject) -> None:
    cloud.wake_ups.tuning("soon", 1)
    cloud.wake_ups.tuning("much later", 10**9)
    assert cloud.receive(names.DEPLOYMENT_PROGRESS_QUEUE) == []
    cloud.wait(1.1)
    message = only(cloud.receive(names.DEPLOYMENT_PROGRESS_QUEUE))
    assert json.loads(message.body) == {"tuning_id": "soon"}
    assert message.dequeue_count == 1


def test_a_received_message_is_hidden_until_its_lease_is_over(cloud: Subject, queue: str) -> None:
    cloud.put_message(queue, b"once")
    first = only(cloud.receive(queue, lease=1))
    assert first.dequeue_count == 1
    assert cloud.receive(queue) == []
    cloud.wait(1.1)
    second = only(cloud.receive(queue))
    assert (second.body, second.dequeue_count) == (b"once", 2)


def test_who_let_the_lease_go_by_can_not_delete_what_another_has(cloud: Subject, queue: str) -> None:
    cloud.put_message(queue, b"once")
    first = only(cloud.receive(queue, lease=1))
    cloud.wait(1.1)
    second = only(cloud.receive(queue))
    with pytest.raises(LostError):
        cloud.finish(first)
    with pytest.raises(LostError):
        cloud.extend(first, 10)
    cloud.finish(second)


def test_who_let_the_lease_go_by_can_delete_what_nobody_else_took(cloud: Subject, queue: str) -> None:
    cloud.put_message(queue, b"once")
    first = only(cloud.receive(queue, lease=1))
    cloud.wait(1.1)
    cloud.finish(first)
    assert cloud.receive(queue) == []


def test_a_renewed_lease_has_another_receipt(cloud: Subject, queue: str) -> None:
    cloud.put_message(queue, b"once")
    first = only(cloud.receive(queue))
    renewed = cloud.extend(first, 60)
    with pytest.raises(LostError):
        cloud.finish(first)
    cloud.finish(renewed)
    with pytest.raises(LostError):
        cloud.finish(renewed)


def test_a_message_that_is_released_is_seen_again_at_once(cloud: Subject, queue: str) -> None:
    cloud.put_message(queue, b"once")
    cloud.extend(only(cloud.receive(queue)), 0)
    assert only(cloud.receive(queue)).dequeue_count == 2


def test_a_function_that_succeeds_sees_its_message_once(cloud: Subject, queue: str) -> None:
    cloud.put_message(queue, b"fine")
    seen: list[bytes] = []
    cloud.run_function(queue, seen.append, until=lambda: bool(seen))
    assert seen == [b"fine"]
    assert cloud.receive(queue) == []
    assert cloud.receive(f"{queue}-poison") == []


def test_a_function_that_fails_once_sees_its_message_again(cloud: Subject, queue: str) -> None:
    cloud.put_message(queue, b"second time lucky")
    seen: list[bytes] = []

    def function(body: bytes) -> None:
        seen.append(body)
        if len(seen) == 1:
            raise ValueError("not yet")

    cloud.run_function(queue, function, until=lambda: len(seen) == 2)
    assert cloud.receive(f"{queue}-poison") == []


def test_a_message_that_fails_five_times_goes_to_the_poison_queue(cloud: Subject, queue: str) -> None:
    cloud.put_message(queue, b"hopeless")
    cloud.put_message(f"{queue}-poison", b"from before")
    seen: list[bytes] = []
    buried: list[Received] = []

    def function(body: bytes) -> None:
        seen.append(body)
        raise ValueError("never")

    def is_buried() -> bool:
        buried.extend(message for message in cloud.receive(f"{queue}-poison") if message.body == b"hopeless")
        return bool(buried)

    cloud.run_function(queue, function, until=is_buried)
    assert seen == [b"hopeless"] * 5
    assert only(buried).dequeue_count == 1
    assert cloud.receive(queue) == []


def test_a_message_of_a_poison_queue_has_no_further_poison_queue(cloud: Subject, queue: str) -> None:
    poison = f"{queue}-poison"
    cloud.put_message(poison, b"hopeless")
    seen: list[bytes] = []

    def function(body: bytes) -> None:
        seen.append(body)
        raise ValueError("never")

    cloud.run_function(poison, function, until=lambda: bool(seen))
    assert seen == [b"hopeless"]
    assert cloud.receive(poison) == []
