"""Queue triggers: what a function gets for a message of its queue."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from localcloud.functions.typed_data import InputData, Text, as_json

if TYPE_CHECKING:
    from localcloud.functions.message_queue import ReceivedMessage
    from localcloud.functions.metadata import FunctionMetadata
    from localcloud.functions.runner import FunctionRunner

_REASON = "New queue message detected on '{}'."


async def run_for_message(
    runner: FunctionRunner, function: FunctionMetadata, queue_name: str, message: ReceivedMessage
) -> None:
    """Raises FunctionFailedError."""
    body = message.body or ""
    await runner.run(
        function, {function.trigger.name: Text(body)}, message_metadata(message), _REASON.format(queue_name)
    )


def message_metadata(message: ReceivedMessage) -> dict[str, InputData]:
    """The message's own fields win over equally named properties of its JSON body."""
    body = message.body or ""
    return {
        **body_properties(body),
        "QueueTrigger": Text(body),
        "Id": Text(message.id),
        "PopReceipt": Text(message.receipt),
        "DequeueCount": as_json(message.dequeue_count),
        "ExpirationTime": as_json(message.expires_on.isoformat()),
        "InsertionTime": as_json(message.inserted_on.isoformat()),
        "NextVisibleTime": as_json(message.next_visible_on.isoformat()),
    }


def body_properties(body: str) -> dict[str, InputData]:
    """Top-level properties of a JSON object, except arrays and nulls."""
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    if not isinstance(document, dict):
        return {}
    properties: dict[str, InputData] = {}
    for name, value in document.items():
        if value is None or isinstance(value, list):
            continue
        properties[name] = Text(value) if isinstance(value, str) else as_json(value)
    return properties
