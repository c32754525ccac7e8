"""When each dataset was last called through the gateway: use that the idle sweep knows of before metrics do."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from shared.errors import DroptuneError, RaceLostError
from shared.lifecycle.ledger import Versioned
from shared.lifecycle.records import LastCall

if TYPE_CHECKING:
    from shared.clock import Clock
    from shared.lifecycle.ledger import Ledger

log = logging.getLogger(__name__)

WRITE_SECONDS = 60.0
"""An instance writes a dataset's row at most so often."""
_TRIES = 5


class Usage:
    def __init__(self, ledger: Ledger, clock: Clock, timer: Callable[[], float]) -> None:
        self._ledger = ledger
        self._clock = clock
        self._timer = timer
        self._written: dict[str, float] = {}

    async def note(self, dataset: str) -> None:
        """Before the call is passed on, so that no sweep decides in between; a failure does not keep the call."""
        now = self._timer()
        if now - self._written.get(dataset, -WRITE_SECONDS) < WRITE_SECONDS:
            return
        self._written[dataset] = now
        try:
            await asyncio.to_thread(self.write, dataset, self._clock())
        except DroptuneError as error:
            self._written.pop(dataset, None)
            log.warning("gateway: the use of dataset %s can not be noted: %s", dataset, error)

    def write(self, dataset: str, at: datetime) -> None:
        """The later one stays, whoever writes last. Raises DroptuneError."""
        for attempt in range(_TRIES):
            row = self._ledger.usage(dataset)
            if row is not None and row.value.at >= at:
                return
            try:
                self._ledger.put(Versioned(LastCall(dataset=dataset, at=at), row.etag if row else ""))
            except RaceLostError:
                if attempt == _TRIES - 1:
                    raise
            else:
                return

    def last_call(self, dataset: str) -> datetime | None:
        row = self._ledger.usage(dataset)
        return None if row is None else row.value.at

    def last_calls(self) -> Mapping[str, datetime]:
        return {row.value.dataset: row.value.at for row in self._ledger.usages()}
