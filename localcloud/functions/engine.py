"""The language worker's place: indexes the app and runs one function at a time of asking."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from localcloud.functions.metadata import FunctionMetadata
    from localcloud.functions.typed_data import InputData, Metadata, OutputData

EngineName = Literal["sdk", "runtime"]


class IndexingError(Exception):
    """The worker refuses the app; the host does not start. The message is for the app's author."""


class FunctionFailedError(Exception):
    """A function raised, or its values could not be converted. `stack_trace` is a formatted traceback."""

    def __init__(self, message: str, stack_trace: str) -> None:
        super().__init__(message)
        self.stack_trace = stack_trace


@dataclass(frozen=True)
class Invocation:
    id: str
    function: str
    inputs: Mapping[str, InputData]
    metadata: Metadata
    retry_count: int = 0
    max_retry_count: int = 0


class Engine(Protocol):
    @property
    def functions(self) -> tuple[FunctionMetadata, ...]: ...

    @property
    def http_uri(self) -> str:
        """Where the worker wants calls of HTTP functions passed to ("HTTP streams"); empty: it takes them by value."""
        ...

    def current_invocation(self) -> str | None:
        """Id of the invocation that the calling thread works for, so that log records can name it."""
        ...

    async def invoke(self, invocation: Invocation) -> Mapping[str, OutputData]:
        """Run the function; the result has one value per output binding that was set.

        Raises FunctionFailedError.
        """
        ...


def load_engine(name: EngineName, app: Path) -> Engine:
    """Import DIR/function_app.py and index it. Once per process (module caches). Raises IndexingError."""
    if name == "runtime":
        if importlib.util.find_spec("azure_functions_runtime") is None:
            raise IndexingError("engine 'runtime' needs the package azure-functions-runtime (Python 3.13 or later)")
        from localcloud.functions.runtime_engine import RuntimeEngine

        return RuntimeEngine(app)
    from localcloud.functions.sdk_engine import SdkEngine

    return SdkEngine(app)
