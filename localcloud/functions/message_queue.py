"""One storage queue as the host uses it: base64 bodies, receipts, created when missing. Calls block."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError

if TYPE_CHECKING:
    from azure.storage.queue import QueueClient, QueueMessage

_NEVER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


@dataclass(frozen=True)
class ReceivedMessage:
    """`body` is None when the message is not what the queue's encoding promises; `raw` is what is stored."""

    id: str
    raw: str
    body: str | None
    receipt: str
    dequeue_count: int
    inserted_on: datetime
    expires_on: datetime
    next_visible_on: datetime


class MessageQueue:
    def __init__(self, client: QueueClient, *, base64_bodies: bool) -> None:
        self._client = client
        self._base64 = base64_bodies

    @property
    def name(self) -> str:
        return str(self._client.queue_name)

    @property
    def url(self) -> str:
        return str(self._client.url)

    def create(self) -> None:
        """Idempotent."""
        try:
            self._client.create_queue()
        except ResourceExistsError:
            return

    def send(self, body: bytes) -> None:
        """Creates the queue when it is missing. `body` must be UTF-8 unless the queue is base64."""
        text = base64.b64encode(body).decode() if self._base64 else body.decode()
        try:
            self._client.send_message(text)
        except ResourceNotFoundError:
            self.create()
            self._client.send_message(text)

    def receive(self, count: int, visibility: int) -> list[ReceivedMessage]:
        """`count` (1–32) messages at most, invisible for `visibility` s. Raises ResourceNotFoundError."""
        pages = self._client.receive_messages(messages_per_page=count, visibility_timeout=visibility).by_page()
        return [self._received(message) for message in next(pages, ())]

    def extend(self, message_id: str, receipt: str, visibility: int) -> str:
        """Keep a message invisible for `visibility` more seconds; returns its new receipt.

        Raises HttpResponseError (404, or 400 PopReceiptMismatch) when the message is no longer ours.
        """
        updated = self._client.update_message(message_id, receipt, visibility_timeout=visibility)
        return str(updated.pop_receipt)

    def delete(self, message_id: str, receipt: str) -> None:
        """Raises as `extend` does."""
        self._client.delete_message(message_id, receipt)

    def _received(self, message: QueueMessage) -> ReceivedMessage:
        raw = str(message.content)
        return ReceivedMessage(
            id=message.id,
            raw=raw,
            body=self._decode(raw),
            receipt=str(message.pop_receipt),
            dequeue_count=int(message.dequeue_count or 1),
            inserted_on=message.inserted_on or datetime.now(UTC),
            expires_on=message.expires_on or _NEVER,
            next_visible_on=message.next_visible_on or datetime.now(UTC),
        )

    def _decode(self, raw: str) -> str | None:
        if not self._base64:
            return raw
        try:
            return base64.b64decode(raw, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return None
