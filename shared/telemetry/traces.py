"""The trace of a tuning: ids that whoever works on it derives alike, so that a span made twice is the same span."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from shared import names

_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)


@dataclass(frozen=True)
class Trace:
    """`id` is W3C's trace-id: 32 hex digits. `began` is when the first file arrived, or an operator asked again."""

    id: str
    began: datetime

    @property
    def root_span(self) -> str:
        """16 hex digits, as every span id."""
        return names.digest(self.id, length=16)

    def stage_span(self, state: str, since: datetime) -> str:
        return names.digest(self.id, state, since.isoformat(), length=16)


def begun(subject: str, began: datetime) -> Trace:
    """The trace of what begins with `subject` at that time."""
    return Trace(names.digest(subject, began.isoformat(), length=32), began)


def traceparent(trace: Trace, span: str = "") -> str:
    """W3C Trace Context: version, trace, span (the root's unless given), sampled."""
    return f"00-{trace.id}-{span or trace.root_span}-01"


def valid_traceparent(text: object) -> str:
    """What came with a message, or empty: https://www.w3.org/TR/trace-context/#traceparent-header."""
    return text if isinstance(text, str) and _TRACEPARENT.fullmatch(text) else ""
