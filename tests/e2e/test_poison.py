"""Messages that the host gave up, through the Functions host: an operator sees what became of each."""

from __future__ import annotations

import base64

import pytest
from azure.storage.queue import QueueServiceClient

from shared import names
from tests.e2e.playground import Playground, wait_for

pytestmark = [pytest.mark.localcloud, pytest.mark.training]


def test_a_message_that_nobody_understands_is_shown_and_published(playground: Playground) -> None:
    body = b"no message of ours"
    cloud = playground.cloud
    with QueueServiceClient.from_connection_string(
        cloud.storage_connection_string(), connection_verify=str(cloud.config.ca_file)
    ) as queues:
        queue = queues.get_queue_client(names.poison_queue(names.DEPLOYMENT_PROGRESS_QUEUE))
        # The host's own listener makes the queue when it looks for the first time.
        wait_for(lambda: True if _exists(queues, queue.queue_name) else None, 60, lambda: "no poison queue")
        queue.send_message(base64.b64encode(body).decode())
        tuning_id = f"poison-{names.digest(names.DEPLOYMENT_PROGRESS_QUEUE, body, length=8)}"

        def shown() -> dict[str, object] | None:
            found = playground.client.tunings()["tunings"]
            return next((item for item in found if item["id"] == tuning_id), None)

        item = wait_for(shown, 60, playground.client.tunings)
        assert item["state"] == "rejected"
        wait_for(
            lambda: True if queue.get_queue_properties().approximate_message_count == 0 else None, 30, lambda: "kept"
        )
    published = [event for event in playground.events() if tuning_id in str(event)]
    assert published


def _exists(queues: QueueServiceClient, name: str | None) -> bool:
    return any(queue.name == name for queue in queues.list_queues())
