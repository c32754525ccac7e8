"""The loss of a job, read from Azure ML; kept for a while, since it takes several calls and the page asks often."""

from __future__ import annotations

import logging
import threading
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.errors import DroptuneError
from shared.lifecycle.tuning import State

if TYPE_CHECKING:
    from shared.azureml.arm import ArmClient
    from shared.clock import Clock
    from shared.dashboard.views import Curves
    from shared.lifecycle.tuning import Tuning

log = logging.getLogger(__name__)

_METRICS = ("loss", "eval_loss")
_RUNNING = timedelta(minutes=1)
_ENDED = timedelta(hours=1)
_REMEMBERED = 200


class Training:
    def __init__(self, arm: ArmClient, clock: Clock) -> None:
        self._arm = arm
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, tuple[datetime, Curves]] = {}

    def curves(self, tuning: Tuning) -> Curves:
        """Empty where there are none, or none can be read now: the page has more to show."""
        if not tuning.job:
            return {}
        now = self._clock()
        read_at, known = self._known.get(tuning.job, (datetime.min.replace(tzinfo=now.tzinfo), {}))
        if now - read_at < (_RUNNING if tuning.state is State.TRAINING else _ENDED):
            return known
        try:
            found: Curves = self._arm.metric_histories(tuning.job, _METRICS)
        except DroptuneError as error:
            log.info("job %s: no metrics for the page: %s", tuning.job, error)
            found = known
        with self._lock:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[tuning.job] = (now, found)
        return found
