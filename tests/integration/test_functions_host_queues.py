"""Queue triggers of the local Functions host: tries, poison, visibility, death and restart, several hosts."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from azure.core.exceptions import ResourceExistsError
from azure.storage.queue import QueueClient

from tests.integration.functions_app_sample.harness import eventually, records

if TYPE_CHECKING:
    from tests.integration.functions_app_sample.fixtures import NewHost
    from tests.integration.functions_app_sample.harness import Azurite, FunctionsHost

pytest_plugins = ("tests.integration.functions_app_sample.fixtures",)
pytestmark = pytest.mark.localcloud

SHORT_LEASE = ("--message-lease", "2")


def send(storage: Azurite, queue: str, case: str, delay: int = 0, **body: object) -> None:
    client = storage.queue(queue)
    with contextlib.suppress(ResourceExistsError):
        client.create_queue()
    client.send_message(json.dumps({"case": case, **body}), visibility_timeout=delay)


def seen(host: FunctionsHost, case: str, phase: str) -> list[dict[str, Any]]:
    return records(host.record, "on_message", case=case, phase=phase)


def is_empty(storage: Azurite, queue: str) -> bool:
    """Also of messages that are invisible."""
    return storage.queue(queue).get_queue_properties().approximate_message_count == 0


def test_a_message_runs_once_and_is_deleted(shared_host: FunctionsHost, functions_storage: Azurite) -> None:
    case = str(uuid.uuid4())
    send(functions_storage, "shared-work", case)
    (end,) = eventually(lambda: seen(shared_host, case, "end"), "the function ended")
    assert end["dequeue_count"] == 1
    (start,) = seen(shared_host, case, "start")
    assert start["inserted"].endswith("+00:00")
    eventually(lambda: is_empty(functions_storage, "shared-work"), "the message was deleted")


def test_a_message_that_fails_five_times_goes_to_the_poison_queue_unchanged(
    shared_host: FunctionsHost, functions_storage: Azurite
) -> None:
    case = str(uuid.uuid4())
    send(functions_storage, "shared-work", case, fail=99)

    def poison() -> list[str]:
        return [body for body in functions_storage.peek("shared-work-poison") if case in body]

    (body,) = eventually(poison, "the poison message")
    assert json.loads(body) == {"case": case, "fail": 99}
    assert [start["dequeue_count"] for start in seen(shared_host, case, "start")] == [1, 2, 3, 4, 5]


def test_a_message_that_succeeds_at_last_is_not_poison(shared_host: FunctionsHost, functions_storage: Azurite) -> None:
    case = str(uuid.uuid4())
    send(functions_storage, "shared-work", case, fail=2)
    (end,) = eventually(lambda: seen(shared_host, case, "end"), "the function ended")
    assert end["dequeue_count"] == 3


def test_a_message_that_is_not_base64_goes_to_the_poison_queue(
    shared_host: FunctionsHost, functions_storage: Azurite
) -> None:
    eventually(lambda: functions_storage.has_queue("shared-text"), "the queue exists")
    text = f"not base64! {uuid.uuid4()}"
    with QueueClient.from_connection_string(functions_storage.connection_string, "shared-text") as queue:
        queue.send_message(text)
    eventually(lambda: text in functions_storage.peek("shared-text-poison"), "the poison message")
    assert not records(shared_host.record, "on_text", text=text)


def test_a_text_parameter_and_an_async_function_work(shared_host: FunctionsHost, functions_storage: Azurite) -> None:
    eventually(lambda: functions_storage.has_queue("shared-text"), "the queue exists")
    functions_storage.queue("shared-text").send_message("grüße")
    eventually(lambda: records(shared_host.record, "on_text", text="grüße"), "the function ran")


def test_output_bindings_write_messages_and_blobs_by_binding_expressions(
    shared_host: FunctionsHost, functions_storage: Azurite
) -> None:
    eventually(lambda: functions_storage.has_queue("shared-in"), "the queue exists")
    name = str(uuid.uuid4())
    body = json.dumps({"name": name})
    functions_storage.queue("shared-in").send_message(body)
    eventually(lambda: functions_storage.peek("shared-copies").count(body) == 2, "two messages")
    container = functions_storage.blobs.get_container_client("outputs")
    (blob,) = container.list_blobs(name_starts_with=f"{name}/")
    assert container.download_blob(blob.name).readall() == b"written"


def test_a_message_waits_for_its_own_delay_and_between_tries_for_the_visibility_timeout(
    new_host: NewHost, functions_storage: Azurite
) -> None:
    override = {"AzureFunctionsJobHost__extensions__queues__visibilityTimeout": "00:00:02"}
    host = new_host("delays", settings=override).start()
    sent = time.time()
    send(functions_storage, "delays-work", "delayed", delay=2)
    send(functions_storage, "delays-work", "retried", fail=1)
    (delayed,) = eventually(lambda: seen(host, "delayed", "end"), "the delayed message")
    assert delayed["at"] - sent >= 1.9
    eventually(lambda: seen(host, "retried", "end"), "the second try")
    first, second = seen(host, "retried", "start")
    assert second["at"] - first["at"] >= 1.9


def test_a_message_stays_ours_for_as_long_as_its_function_runs_even_beside_another_host(
    new_host: NewHost, functions_storage: Azurite
) -> None:
    one_at_a_time = {
        "AzureFunctionsJobHost__extensions__queues__batchSize": "1",
        "AzureFunctionsJobHost__extensions__queues__newBatchThreshold": "0",
    }
    hosts = [new_host("pair", name=name, options=SHORT_LEASE, settings=one_at_a_time) for name in ("one", "two")]
    for host in hosts:
        host.launch()
    for host in hosts:
        host.start_waiting()
    cases = [f"short-{number}" for number in range(20)]
    send(functions_storage, "pair-work", "long", sleep=3.5)
    eventually(lambda: seen(hosts[0], "long", "start"), "one host is busy for longer than the lease")
    for case in cases:
        send(functions_storage, "pair-work", case)
    eventually(lambda: all(seen(hosts[0], case, "end") for case in ["long", *cases]), "all messages ran")
    for case in ["long", *cases]:
        (start,) = seen(hosts[0], case, "start")
        assert start["dequeue_count"] == 1
    assert {start["pid"] for start in records(hosts[0].record, "on_message")} == {h.process.pid for h in hosts}
    eventually(lambda: is_empty(functions_storage, "pair-work"), "the messages were deleted")


def test_a_message_of_a_killed_host_runs_again_after_its_lease(new_host: NewHost, functions_storage: Azurite) -> None:
    first = new_host("killed", options=SHORT_LEASE).start()
    send(functions_storage, "killed-work", "survivor", sleep=1)
    eventually(lambda: seen(first, "survivor", "start"), "the function started")
    first.kill()
    assert not seen(first, "survivor", "end")
    first.start()
    (end,) = eventually(lambda: seen(first, "survivor", "end"), "the function ended")
    assert end["dequeue_count"] == 2


def test_a_graceful_stop_lets_functions_end_and_takes_no_new_messages(
    new_host: NewHost, functions_storage: Azurite
) -> None:
    host = new_host("graceful").start()
    send(functions_storage, "graceful-work", "running", sleep=1)
    eventually(lambda: seen(host, "running", "start"), "the function started")
    host.process.terminate()
    eventually(lambda: "Host is stopping" in host.log(), "the host is stopping")
    send(functions_storage, "graceful-work", "late")
    assert host.stop() == 0
    assert seen(host, "running", "end")
    assert not seen(host, "late", "start")
    assert [json.loads(body)["case"] for body in functions_storage.peek("graceful-work")] == ["late"]


def test_a_function_that_will_not_end_does_not_hold_up_the_stop_but_keeps_its_message(
    new_host: NewHost, functions_storage: Azurite
) -> None:
    host = new_host("stubborn", options=("--grace", "0.5")).start()
    send(functions_storage, "stubborn-work", "forever", sleep=60)
    eventually(lambda: seen(host, "forever", "start"), "the function started")
    begun = time.monotonic()
    assert host.stop() == 0
    assert time.monotonic() - begun < 5
    assert not is_empty(functions_storage, "stubborn-work")


def test_a_function_over_its_time_limit_is_reported(shared_host: FunctionsHost, functions_storage: Azurite) -> None:
    send(functions_storage, "shared-work", str(uuid.uuid4()), sleep=1.2)
    text = "exceeded by function 'Functions.on_message'"
    eventually(lambda: text in shared_host.log(), "the host complains")
