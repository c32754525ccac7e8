"""Wake-up messages. They carry an id and nothing else: what is to be done is read from the ledger."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from shared import names
from shared.azureml.translate import translated
from shared.datasets.paths import SETTINGS_FILE, parse_blob_name
from shared.errors import InvalidDatasetError, PermanentError
from shared.telemetry.traces import valid_traceparent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from azure.storage.queue import QueueClient, QueueServiceClient

_Value = TypeVar("_Value", str, int)

_SECONDS_PER_WEEK = 7 * 24 * 3600 - 60
"""Queue messages become visible within 7 days; whatever is later is left to `reconcile`."""


@dataclass(frozen=True)
class TuningMessage:
    """`due` is the planned look that the message stands for, as the ledger has it; empty: a hint, look anyway."""

    tuning_id: str
    due: str = ""
    traceparent: str = ""
    """W3C's, of the work that sent it; empty if it had none, or it is malformed."""


@dataclass(frozen=True)
class VersionMessage:
    dataset: str
    version: str
    revision: int
    traceparent: str = ""


class WakeUps:
    """Delays are in seconds. A lost message is healed by `reconcile`, a doubled one by the ledger."""

    def __init__(self, service: QueueServiceClient, traceparent: Callable[[], str] = str) -> None:
        """`traceparent` tells of the work that is under way."""
        self._service = service
        self._traceparent = traceparent
        self._clients: dict[str, QueueClient] = {}

    def tuning(self, tuning_id: str, delay: float = 0, due: str = "") -> None:
        self._send(names.DEPLOYMENT_PROGRESS_QUEUE, _tuning_body(tuning_id, due), delay)

    def smoke_test(self, tuning_id: str, delay: float = 0, due: str = "") -> None:
        self._send(names.SMOKE_TEST_QUEUE, _tuning_body(tuning_id, due), delay)

    def version(self, message: VersionMessage, delay: float) -> None:
        body = {"dataset": message.dataset, "version": message.version, "revision": message.revision}
        self._send(names.DATASET_SETTLED_QUEUE, body, delay)

    def put_back(self, queue: str, body: bytes, delay: float) -> None:
        """A message as it was received, as a new one: its tries are counted anew."""
        self._send_bytes(queue, body, delay)

    def _send(self, queue: str, body: Mapping[str, object], delay: float) -> None:
        traceparent = self._traceparent()
        carried = {**body, "traceparent": traceparent} if traceparent else body
        self._send_bytes(queue, json.dumps(carried).encode(), delay)

    def _send_bytes(self, queue: str, body: bytes, delay: float) -> None:
        content = base64.b64encode(body).decode()
        with translated(f"send to queue {queue}"):
            if queue not in self._clients:
                self._clients[queue] = self._service.get_queue_client(queue)
            self._clients[queue].send_message(
                content, visibility_timeout=min(max(0, round(delay)), _SECONDS_PER_WEEK), time_to_live=-1
            )


def _tuning_body(tuning_id: str, due: str) -> dict[str, str]:
    return {"tuning_id": tuning_id, "due": due} if due else {"tuning_id": tuning_id}


def parse_tuning_message(body: bytes) -> TuningMessage:
    """Raises PermanentError for anything that is not one of our messages."""
    raw = _object(body)
    due = _field({"due": "", **raw}, "due", str)
    return TuningMessage(_field(raw, "tuning_id", str), due, valid_traceparent(raw.get("traceparent")))


def parse_version_message(body: bytes) -> VersionMessage:
    raw = _object(body)
    message = VersionMessage(
        _field(raw, "dataset", str),
        _field(raw, "version", str),
        _field(raw, "revision", int),
        valid_traceparent(raw.get("traceparent")),
    )
    try:
        parse_blob_name(f"{message.dataset}/{message.version}/{SETTINGS_FILE}")
    except InvalidDatasetError as error:
        raise PermanentError("MalformedMessage", f"the queue message names no version: {error.message}") from error
    return message


def parse_blob_message(body: bytes) -> str:
    """The blob in `datasets` that the host's own message of a blob event names. Raises PermanentError."""
    raw = _object(body)
    if _field(raw, "ContainerName", str) != names.DATASETS:
        raise PermanentError("MalformedMessage", f"the queue message names no blob of {names.DATASETS}")
    return _field(raw, "BlobName", str)


def _object(body: bytes) -> dict[str, object]:
    try:
        raw = json.loads(body)
    except (ValueError, RecursionError):
        raw = None
    if not isinstance(raw, dict):
        raise PermanentError("MalformedMessage", "the queue message is no JSON object")
    return raw


def _field(raw: dict[str, object], name: str, kind: type[_Value]) -> _Value:
    value = raw.get(name)
    if not isinstance(value, kind):
        raise PermanentError("MalformedMessage", f"the queue message has no {kind.__name__} {name!r}")
    return value
