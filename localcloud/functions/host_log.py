"""What the host prints: one line per decision, each line of a function under the function's name."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from localcloud.functions.http_trigger import endpoint_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from localcloud.functions.metadata import FunctionMetadata

log = logging.getLogger(__name__)

_QUIET = ("azure", "urllib3", "uvicorn", "asyncio", "msal", "httpx")


class _Formatter(logging.Formatter):
    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        del datefmt
        return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


class _InvocationFilter(logging.Filter):
    """Adds `record.source`: the function and its invocation, or the host's own module."""

    def __init__(self, current: Callable[[], str | None], running: Mapping[str, str]) -> None:
        super().__init__()
        self._current = current
        self._running = running

    def filter(self, record: logging.LogRecord) -> bool:
        invocation = self._current()
        function = self._running.get(invocation) if invocation is not None else None
        if invocation is not None and function is not None:
            record.source = f"{function} {invocation[:8]}"
        else:
            record.source = "host"
        return True


def configure_logging() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(
        _Formatter("[%(asctime)s] %(levelname)s [%(source)s] %(message)s", defaults={"source": "host"})
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def name_invocations(current: Callable[[], str | None], running: Mapping[str, str]) -> None:
    """From now on every record says which invocation it belongs to."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(_InvocationFilter(current, running))


def log_functions(
    functions: Iterable[FunctionMetadata], errors: Mapping[str, str], base_url: str, route_prefix: str
) -> None:
    """The table that `func start` prints, and why functions are missing from it."""
    lines = [f"    {f.name}: {_describe(f, base_url, route_prefix)}" for f in functions]
    log.info("Functions:\n\n%s\n", "\n".join(lines) or "    No job functions found.")
    for name, reason in errors.items():
        log.error("The '%s' function is in error: %s", name, reason)


def _describe(function: FunctionMetadata, base_url: str, route_prefix: str) -> str:
    trigger = function.trigger
    match trigger.type:
        case "httpTrigger":
            endpoint = endpoint_of(function, route_prefix)
            return f"[{','.join(sorted(endpoint.methods))}] {base_url}/{endpoint.route.template}"
        case "queueTrigger":
            return f"{trigger.type} {trigger.text('queueName')}"
        case "blobTrigger":
            return f"{trigger.type} {trigger.text('path')} (Event Grid)"
        case "timerTrigger":
            return f"{trigger.type} {trigger.text('schedule')}"
    return trigger.type
