"""The objects that the worker, not azure.functions, gives to a function: Context and Out."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import azure.functions

thread_local = threading.local()


class OutValue(azure.functions.Out[Any]):
    def __init__(self) -> None:
        self._value: Any = None

    def set(self, val: Any) -> None:
        self._value = val

    def get(self) -> Any:
        return self._value


@dataclass(frozen=True)
class TraceContext:
    trace_parent: str = ""
    trace_state: str = ""
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RetryContext:
    retry_count: int
    max_retry_count: int
    exception: None = None


@dataclass(frozen=True)
class InvocationContext:
    """The attributes of azure.functions.Context."""

    invocation_id: str
    function_name: str
    function_directory: str
    retry_context: RetryContext
    trace_context: TraceContext = field(default_factory=TraceContext)

    @property
    def thread_local_storage(self) -> threading.local:
        """`invocation_id` in it is that of the function which runs on this thread."""
        return thread_local
