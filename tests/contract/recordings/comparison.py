"""Says how an answer of the local cloud differs from the recorded one: status, headers, shape, states, errors."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tests.contract.openapi.exchanges import Exchange

_OF_THE_TRANSPORT = frozenset({"connection", "content-encoding", "content-length", "transfer-encoding", "vary"})
"""Compression and connections: what proxies decide, not the service."""
_NEW_TO_US = frozenset({"date", "server"})

_TELLING = frozenset(
    {
        "authMode",
        "code",
        "endpointComputeType",
        "isAnonymous",
        "isArchived",
        "jobOutputType",
        "jobServiceType",
        "jobType",
        "kind",
        "message",
        "modelType",
        "name",
        "provisioningState",
        "publicNetworkAccess",
        "runType",
        "scaleType",
        "status",
        "tier",
        "tokenType",
        "type",
    }
)
"""Properties whose values are compared, not only their kinds."""

_SCRUBBED = re.compile(r"Sanitized|^0[0-]+$")
_KINDS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("duration", re.compile(r"^P(\d+D)?(T[\d.HMS]+)?$")),
    ("uuid", re.compile(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", re.IGNORECASE)),
    ("azureml URI", re.compile(r"^azureml://")),
    ("URL", re.compile(r"^https?://")),
    ("resource id", re.compile(r"^/subscriptions/")),
)


def differences(
    recorded: Exchange, answered: Exchange, translate: Callable[[str], str], *, has_all_headers: bool = True
) -> Iterator[str]:
    """`translate` puts our names in place of the recorded ones."""
    if recorded.status != answered.status:
        yield f"status {answered.status}, not {recorded.status}"
        return
    ours = answered.response_headers.keys() - _NEW_TO_US - _OF_THE_TRANSPORT
    theirs = recorded.response_headers.keys() - _NEW_TO_US - _OF_THE_TRANSPORT
    yield from (f"header {name} is missing" for name in sorted(theirs - ours))
    if has_all_headers:
        yield from (f"header {name} is not recorded" for name in sorted(ours - theirs))
    yield from _compare("", recorded.response_body, answered.response_body, translate)


def _compare(where: str, recorded: Any, answered: Any, translate: Callable[[str], str]) -> Iterator[str]:
    if isinstance(recorded, dict) and isinstance(answered, dict):
        yield from _compare_objects(where, recorded, answered, translate)
    elif isinstance(recorded, list) and isinstance(answered, list):
        yield from _compare_lists(where, recorded, answered, translate)
    elif (expected := _kind(recorded)) != (found := _kind(answered)) and not _is_scrubbed(recorded, answered):
        yield f"{where} is {found}, not {expected}"
    elif where.rpartition("/")[2] in _TELLING and not _is_scrubbed(recorded, answered):
        expected_value = translate(recorded) if isinstance(recorded, str) else recorded
        if expected_value != answered:
            yield f"{where} is {answered!r}, not {expected_value!r}"


def _compare_objects(
    where: str, recorded: Mapping[str, Any], answered: Mapping[str, Any], translate: Callable[[str], str]
) -> Iterator[str]:
    theirs = {translate(name): value for name, value in recorded.items()}
    yield from (f"{where}/{name} is missing" for name in sorted(theirs.keys() - answered.keys()))
    yield from (f"{where}/{name} is not recorded" for name in sorted(answered.keys() - theirs.keys()))
    for name in theirs.keys() & answered.keys():
        yield from _compare(f"{where}/{name}", theirs[name], answered[name], translate)


def _compare_lists(
    where: str, recorded: Iterable[Any], answered: Iterable[Any], translate: Callable[[str], str]
) -> Iterator[str]:
    """What has a type by its type; else element by element, as far as both go, but nothing is not something."""
    theirs, ours = list(recorded), list(answered)
    if all(isinstance(item, dict) and "type" in item for item in (*theirs, *ours)):
        yield from _compare_objects(where, _by_type(theirs), _by_type(ours), translate)
        return
    if bool(theirs) != bool(ours):
        yield f"{where} has {len(ours)} elements, not {len(theirs)}"
    for number, (expected, found) in enumerate(zip(theirs, ours, strict=False)):
        yield from _compare(f"{where}/{number}", expected, found, translate)


def _by_type(items: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {item["type"]: item for item in items}


def _is_scrubbed(recorded: Any, answered: Any) -> bool:
    return isinstance(recorded, str) and isinstance(answered, str) and _SCRUBBED.search(recorded) is not None


def _kind(value: Any) -> str:
    if not isinstance(value, str):
        return {type(None): "null", bool: "a truth value", int: "a number", float: "a number"}.get(
            type(value), type(value).__name__
        )
    if _is_time(value):
        return "a time"
    return next((name for name, pattern in _KINDS if pattern.match(value)), "text")


def _is_time(text: str) -> bool:
    try:
        return len(text) > 12 and bool(dt.datetime.fromisoformat(text))
    except ValueError:
        return False
