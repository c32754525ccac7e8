"""The app's log lines as structured records, with the tuning that they are about."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from opentelemetry._logs import LogRecord, SeverityNumber

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from opentelemetry.sdk._logs import LoggerProvider

    from shared.telemetry.telemetry import Attribute

_LOGGERS = ("shared", "handlers")
_SEVERITIES = (
    (logging.CRITICAL, SeverityNumber.FATAL),
    (logging.ERROR, SeverityNumber.ERROR),
    (logging.WARNING, SeverityNumber.WARN),
    (logging.INFO, SeverityNumber.INFO),
)


class TuningLogs(logging.Handler):
    """Takes what `shared` and `handlers` log from INFO up; libraries' own lines are the host's business.

    Of an exception its type and the last line are kept: a traceback may hold values.
    """

    def __init__(self, provider: LoggerProvider) -> None:
        super().__init__(logging.INFO)
        self._logger = provider.get_logger("droptune")
        self._about: ContextVar[Mapping[str, Attribute] | None] = ContextVar("about", default=None)
        for name in _LOGGERS:
            logger = logging.getLogger(name)
            logger.setLevel(min(logger.getEffectiveLevel(), logging.INFO))
            logger.addHandler(self)

    @contextmanager
    def about(self, attributes: Mapping[str, Attribute]) -> Generator[None]:
        token = self._about.set(attributes)
        try:
            yield
        finally:
            self._about.reset(token)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._logger.emit(self._translated(record))
        except Exception:  # noqa: BLE001 - a line that can not be told must not fail the work that it is about
            self.handleError(record)

    def close(self) -> None:
        for name in _LOGGERS:
            logging.getLogger(name).removeHandler(self)
        super().close()

    def _translated(self, record: logging.LogRecord) -> LogRecord:
        attributes: dict[str, Attribute] = {**(self._about.get() or {}), "code.namespace": record.name}
        if record.exc_info and record.exc_info[0] is not None:
            attributes["exception.type"] = record.exc_info[0].__name__
            attributes["exception.message"] = str(record.exc_info[1])[:500]
        severity = next((number for level, number in _SEVERITIES if record.levelno >= level), SeverityNumber.DEBUG)
        return LogRecord(
            timestamp=round(record.created * 1e9),
            observed_timestamp=time.time_ns(),
            severity_number=severity,
            severity_text=record.levelname,
            body=record.getMessage(),
            attributes=attributes,
        )
