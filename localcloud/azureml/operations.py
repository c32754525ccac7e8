"""Long-running operations: what `Azure-AsyncOperation` URLs answer. Their state follows from time stamps."""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from localcloud.store import Collection

if TYPE_CHECKING:
    from localcloud.azureml.clock import Clock
    from localcloud.store import Store

log = logging.getLogger(__name__)

WORKSPACE_UUID = "5881e5dc-6e3e-408e-b99e-754026b4a07b"
CANCELED = "OperationCanceled"
"""The error code of an operation that ends as Canceled and not as Failed."""


@dataclass(frozen=True)
class Operation:
    """`awaits_work`: also waits until somebody calls `finish_work` or `fail`, however long that takes."""

    id: str
    target: str
    started: float
    duration: float
    awaits_work: bool = False
    work_done: float | None = None
    error_code: str | None = None
    error_message: str = ""
    ended: float | None = None

    @property
    def status(self) -> str:
        if self.ended is None:
            return "Updating"
        if self.error_code == CANCELED:
            return "Canceled"
        return "Failed" if self.error_code else "Succeeded"


class Operations:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._operations = Collection(store, "operations", Operation)
        self._clock = clock

    def begin(self, prefix: str, target: str, seconds: float, *, awaits_work: bool = False) -> Operation:
        """`prefix` is oeidp (endpoints) or odidp (deployments), as in the real operation ids."""
        operation = Operation(
            id=f"{prefix}:{WORKSPACE_UUID}:{uuid.uuid4()}",
            target=target,
            started=self._clock.now(),
            duration=self._clock.scaled(seconds),
            awaits_work=awaits_work,
        )
        self._operations.put(operation.id, operation)
        return operation

    def look(self, operation_id: str) -> Operation | None:
        """As of now. Its end is recorded when it is first seen, so that it never comes undone."""
        operation = self._operations.get(operation_id)
        if operation is None or operation.ended is not None:
            return operation
        due = self._due(operation)
        if due is None or due > self._clock.now():
            return operation
        ended = replace(operation, ended=due)
        self._operations.put(operation_id, ended)
        log.info("%s: operation %s", operation.target, ended.status.lower())
        return ended

    def awaits_work(self, operation_id: str) -> bool:
        operation = self._operations.get(operation_id)
        return operation is not None and operation.awaits_work and operation.work_done is None

    def finish_work(self, operation_id: str) -> None:
        operation = self._operations.get(operation_id)
        if operation is not None and operation.ended is None:
            self._operations.put(operation_id, replace(operation, work_done=self._clock.now()))

    def fail(self, operation_id: str, code: str, message: str) -> None:
        operation = self._operations.get(operation_id)
        if operation is not None and operation.ended is None:
            failed = replace(operation, error_code=code, error_message=message, work_done=self._clock.now())
            self._operations.put(operation_id, failed)

    def _due(self, operation: Operation) -> float | None:
        if operation.awaits_work and operation.work_done is None:
            return None
        worked = operation.work_done or operation.started
        return max(worked, operation.started + self._clock.scaled(operation.duration))
