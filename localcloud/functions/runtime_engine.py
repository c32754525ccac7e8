"""The engine for Python 3.13 and later: Microsoft's own azure-functions-runtime indexes and invokes.

It is the library inside the real worker; only the gRPC around it is replaced by direct calls.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from localcloud.functions.engine import FunctionFailedError, IndexingError, Invocation
from localcloud.functions.metadata import Binding, FunctionMetadata, RetryPolicy
from localcloud.functions.runtime_messages import Message, Protos, from_message, to_message
from localcloud.functions.worker_thread import WorkerThread

if TYPE_CHECKING:
    from pathlib import Path

    from localcloud.functions.typed_data import OutputData

_DEFAULT_THREADS = "8"


class RuntimeEngine:
    def __init__(self, app: Path) -> None:
        sys.path.insert(0, str(app))
        os.environ.setdefault("PYTHON_THREADPOOL_THREAD_COUNT", _DEFAULT_THREADS)
        self._runtime: Any = importlib.import_module("azure_functions_runtime")
        self._worker = WorkerThread()
        self._protos = Protos()
        self._runtime.start_threadpool_executor()
        init = Message(worker_init_request=Message(capabilities={}, function_app_directory=str(app)))
        response = self._worker.run_blocking(self._runtime.worker_init_request(self._envelope(init)))
        failure = _failure(response)
        if failure is not None:
            raise IndexingError(f"{failure.message}\n{failure.stack_trace}")
        self._http_uri = str(response.capabilities.get("HttpUri", ""))
        response = self._worker.run_blocking(self._runtime.functions_metadata_request(self._envelope(Message())))
        self._functions = {f.name: _metadata(f) for f in response.function_metadata_results or ()}

    @property
    def functions(self) -> tuple[FunctionMetadata, ...]:
        return tuple(self._functions.values())

    @property
    def http_uri(self) -> str:
        return self._http_uri

    def current_invocation(self) -> str | None:
        invocation: str | None = self._runtime.invocation_id_cv.get()
        return invocation

    async def invoke(self, invocation: Invocation) -> Mapping[str, OutputData]:
        request = Message(
            invocation_id=invocation.id,
            function_id=self._functions[invocation.function].function_id,
            input_data=[Message(name=name, data=to_message(data)) for name, data in invocation.inputs.items()],
            trigger_metadata={name: to_message(data) for name, data in invocation.metadata.items()},
            trace_context=Message(trace_parent="", trace_state="", attributes={}),
            retry_context=Message(
                retry_count=invocation.retry_count, max_retry_count=invocation.max_retry_count, exception=None
            ),
        )
        response = await self._worker.run(
            self._runtime.invocation_request(self._envelope(Message(invocation_request=request)))
        )
        failure = _failure(response)
        if failure is not None:
            raise FunctionFailedError(failure.message, failure.stack_trace)
        outputs = {output.name: output.data for output in response.output_data}
        if response.return_value is not None:
            outputs["$return"] = response.return_value
        return {name: from_message(data) for name, data in outputs.items()}

    def _envelope(self, request: Message) -> SimpleNamespace:
        return SimpleNamespace(request=request, properties={"protos": self._protos, "host": "127.0.0.1"})


def _failure(response: Any) -> Any:
    """The RpcException of a failed response, else None."""
    return response.result.exception if response.result.status == Protos.StatusResult.Failure else None


def _metadata(function: Any) -> FunctionMetadata:
    bindings = tuple(Binding.parse(raw) for raw in function.raw_bindings)
    return FunctionMetadata(
        name=function.name,
        bindings=bindings,
        deferred=frozenset(binding.name for binding in bindings if _is_deferred(binding)),
        retry=_retry(function.retry_options),
    )


def _is_deferred(binding: Binding) -> bool:
    properties = binding.attributes.get("properties")
    return isinstance(properties, Mapping) and properties.get("SupportsDeferredBinding") is True


def _retry(options: Any) -> RetryPolicy | None:
    if options is None:
        return None
    fixed = getattr(options, "delay_interval", None)
    minimum, maximum = (fixed, fixed) if fixed is not None else (options.minimum_interval, options.maximum_interval)
    return RetryPolicy(int(options.max_retry_count), minimum.total_seconds(), maximum.total_seconds())
