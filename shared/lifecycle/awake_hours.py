"""Hours in which an endpoint is awake: when one that sleeps is to be woken for them."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from shared.idle.hours import WeeklyHours
from shared.lifecycle.standing import seconds_to_live
from shared.lifecycle.tuning import State

if TYPE_CHECKING:
    from datetime import datetime

    from shared.lifecycle.records import EndpointRecord
    from shared.lifecycle.tuning import Tuning

log = logging.getLogger(__name__)


def is_to_be_woken(tuning: Tuning, record: EndpointRecord, usual: float, now: datetime) -> bool:
    """Whether a deployment that begins now is live when the hours begin, or they have begun already.

    Only hours that begin after it went to sleep count: who put it to sleep within them meant it. `usual` is how long a
    deployment takes, in seconds, before one of it was measured.
    """
    text = tuning.idle.get("awake")
    if not text or tuning.state is not State.RETIRED or record.live or record.last_live != tuning.id:
        return False
    try:
        hours = WeeklyHours.parse(str(text))
    except ValueError as error:
        log.warning("tuning %s: its awake hours can not be read: %s", tuning.id, error)
        return False
    ready = now + timedelta(seconds=max(0.0, seconds_to_live(tuning, usual, now)))
    begins = hours.next_start(tuning.state_since)
    return begins is not None and begins <= ready and (hours.contains(now) or hours.contains(ready))
