"""Which faults may strike which call, and the errors that the app sees of them, made by its own translation."""

from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import Any, NoReturn

from azure.core.exceptions import HttpResponseError, ServiceResponseError

from shared.azureml.translate import translated
from shared.errors import RaceLostError
from tests.simulation.dice import Dice
from tests.simulation.faults import Kind
from tests.simulation.outages import STORAGE_SEAMS

_ANY = (Kind.CRASH_BEFORE, Kind.SLOW, Kind.CLOCK_JUMP)
_HTTP = (Kind.THROTTLED, Kind.SERVER_ERROR, Kind.FORBIDDEN, Kind.TIMEOUT)
_BY_HAND = (Kind.ENDPOINT_DELETED, Kind.DEPLOYMENT_DELETED)


@functools.cache
def kinds_for(operation: str, *, writes: bool) -> tuple[Kind, ...]:
    """What may befall a call. The scoring client raises nothing: it has troubles of its own."""
    seam = operation.partition(".")[0]
    kinds: list[Kind] = list(_ANY)
    if writes:
        kinds.append(Kind.CRASH_AFTER)
    if seam != "scoring":
        kinds.extend(_HTTP)
        if writes:
            kinds.append(Kind.TIMEOUT_AFTER)
    if seam in ("arm", "sdk"):
        kinds.append(Kind.REFUSED_FOR_LONG)
        if writes:
            kinds.append(Kind.CONFLICT)
    if seam in STORAGE_SEAMS:
        kinds.append(Kind.STORAGE_OUT)
    if seam == "wake_ups":
        kinds.append(Kind.MESSAGE_LOST)
    if operation == "ledger.put":
        kinds.append(Kind.OWN_RACE)
    if operation in ("blobs.read_uploaded", "blobs.begin_copy"):
        kinds.extend((Kind.BLOB_OVERWRITTEN, Kind.BLOB_DELETED))
    if operation == "arm.get_job":
        kinds.append(Kind.JOB_CANCELED)
    elif seam in ("arm", "scoring"):
        kinds.extend(_BY_HAND)
    return tuple(kinds)


DONE_BEFORE = frozenset({Kind.TIMEOUT_AFTER, Kind.OWN_RACE, Kind.CRASH_AFTER})
"""The call is carried out, and then goes wrong."""
OUTAGES = frozenset({Kind.REFUSED_FOR_LONG, Kind.STORAGE_OUT})
REFUSALS = frozenset(
    {
        Kind.CONFLICT,
        Kind.THROTTLED,
        Kind.SERVER_ERROR,
        Kind.FORBIDDEN,
        Kind.TIMEOUT,
        Kind.TIMEOUT_AFTER,
        Kind.OWN_RACE,
    }
)


def refuse(kind: Kind, operation: str, dice: Dice) -> NoReturn:
    """Raise what the seam raises when the service answers like this."""
    with translated(f"{operation} (injected)"):
        if kind is Kind.OWN_RACE:
            # The SDK sends a conditional write again when no answer came, and meets its own first try.
            raise RaceLostError(f"{operation} (injected) was changed by somebody else")
        if kind in (Kind.TIMEOUT, Kind.TIMEOUT_AFTER):
            raise ServiceResponseError("injected: no answer in time")
        raise _http_error(_STATUS.get(kind) or dice.choice((500, 502, 503, 504)), dice)
    raise AssertionError("translated lets every error through")


_STATUS = {Kind.CONFLICT: 409, Kind.THROTTLED: 429, Kind.FORBIDDEN: 403}


def _http_error(status: int, dice: Dice) -> HttpResponseError:
    headers = {"Retry-After": str(dice.choice((1, 20, 90)))} if status == 429 else {}
    response: Any = SimpleNamespace(status_code=status, reason="injected", headers=headers, request=None)
    error = HttpResponseError(message=f"injected {status}")
    error.response, error.status_code = response, status
    return error
