"""The engine for Python 3.10–3.12: azure.functions indexes and converts, this module does the worker's rest.

Microsoft's worker for these versions is not on PyPI; `RuntimeEngine` runs the original where it exists.
"""

from __future__ import annotations

import asyncio
import concurrent.futures.thread
import contextvars
import importlib
import inspect
import os
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import azure.functions

from localcloud.functions.engine import FunctionFailedError, IndexingError, Invocation
from localcloud.functions.metadata import Binding, FunctionMetadata, RetryPolicy
from localcloud.functions.sdk_context import InvocationContext, OutValue, RetryContext, thread_local
from localcloud.functions.sdk_converters import converter, from_datum, to_datum, to_datums
from localcloud.functions.sdk_http import WorkerHttpServer
from localcloud.functions.sdk_signature import Parameter, Signature, read_signature
from localcloud.functions.worker_thread import WorkerThread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from localcloud.functions.typed_data import OutputData

_DEFAULT_THREADS = "8"
_OWN_FILES = (__file__, concurrent.futures.thread.__file__)
_current_invocation: contextvars.ContextVar[str | None] = contextvars.ContextVar("invocation", default=None)


@dataclass(frozen=True)
class LoadedFunction:
    metadata: FunctionMetadata
    signature: Signature
    call: Callable[..., Any]
    directory: str


class SdkEngine:
    def __init__(self, app: Path) -> None:
        self._functions = {function.metadata.name: function for function in index_app(app)}
        threads = int(os.environ.get("PYTHON_THREADPOOL_THREAD_COUNT", _DEFAULT_THREADS))
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="function")
        self._worker = WorkerThread()
        self._http = WorkerHttpServer.start(self._worker)

    @property
    def functions(self) -> tuple[FunctionMetadata, ...]:
        return tuple(function.metadata for function in self._functions.values())

    @property
    def http_uri(self) -> str:
        return self._http.uri if self._http is not None else ""

    def current_invocation(self) -> str | None:
        return _current_invocation.get()

    async def invoke(self, invocation: Invocation) -> Mapping[str, OutputData]:
        return await self._worker.run(self._invoke(self._functions[invocation.function], invocation))

    async def _invoke(self, function: LoadedFunction, invocation: Invocation) -> Mapping[str, OutputData]:
        _current_invocation.set(invocation.id)
        http = self._http if function.metadata.trigger.type == "httpTrigger" else None
        try:
            outs = {parameter.name: OutValue() for parameter in function.signature.outputs}
            arguments = _arguments(function, invocation) | outs
            if http is not None:
                trigger = function.metadata.trigger.name
                arguments[trigger] = await http.request(invocation.id, arguments[trigger].route_params)
            if inspect.iscoroutinefunction(function.call):
                result = await function.call(**arguments)
            else:
                result = await asyncio.get_running_loop().run_in_executor(
                    self._threads,
                    contextvars.copy_context().run,
                    _call,
                    function.call,
                    arguments,
                    invocation.id,
                )
            if http is not None:
                http.answer(invocation.id, result)
            return _results(function, outs, result, answered=http is not None)
        except Exception as error:
            if http is not None:
                http.answer(invocation.id, error)
            raise FunctionFailedError(f"{type(error).__name__}: {error}", _trace(error)) from error


def _trace(error: Exception) -> str:
    """Without the engine's own frames at its top."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        if trace.tb_frame.f_code.co_filename not in _OWN_FILES:
            break
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace))


def _call(function: Callable[..., Any], arguments: Mapping[str, Any], invocation_id: str) -> Any:
    thread_local.invocation_id = invocation_id
    try:
        return function(**arguments)
    except SystemExit as error:  # would end the worker's loop, not only this invocation
        raise RuntimeError(f"the function called sys.exit({error.code!r})") from error
    finally:
        thread_local.invocation_id = None


def _arguments(function: LoadedFunction, invocation: Invocation) -> dict[str, Any]:
    metadata = to_datums(invocation.metadata)
    arguments: dict[str, Any] = {}
    for parameter in function.signature.inputs:
        context: dict[str, object] = {"trigger_metadata": metadata}
        if parameter.deferred:
            context["pytype"] = parameter.annotation
        decoder = converter(parameter.converter_type, deferred=parameter.deferred)
        arguments[parameter.name] = decoder.decode(to_datum(invocation.inputs[parameter.name]), **context)
    if function.signature.wants_context:
        arguments["context"] = InvocationContext(
            invocation_id=invocation.id,
            function_name=function.metadata.name,
            function_directory=function.directory,
            retry_context=RetryContext(invocation.retry_count, invocation.max_retry_count),
        )
    return arguments


def _results(
    function: LoadedFunction, outs: Mapping[str, OutValue], result: Any, *, answered: bool
) -> dict[str, OutputData]:
    """`answered`: the caller gets the result from the worker's own HTTP server."""
    signature = function.signature
    if result is not None and signature.return_type is None:
        raise RuntimeError(f"function {function.metadata.name!r} without a $return binding returned a non-None value")
    results = {
        parameter.name: _encode(parameter.converter_type, outs[parameter.name].get(), parameter)
        for parameter in signature.outputs
        if outs[parameter.name].get() is not None
    }
    if signature.return_type is not None and not answered:
        results["$return"] = _encode(signature.return_type, result, None)
    return results


def _encode(binding_type: str, value: Any, parameter: Parameter | None) -> OutputData:
    expected = parameter.annotation if parameter is not None else None
    try:
        return from_datum(converter(binding_type).encode(value, expected_type=expected))
    except NotImplementedError:
        raise TypeError(
            f"unable to encode outgoing TypedData: unsupported type {binding_type!r} "
            f"for Python type {type(value).__name__!r}"
        ) from None


def index_app(app: Path) -> list[LoadedFunction]:
    """Import the app's module and load its functions as the worker does. Raises IndexingError."""
    script = os.environ.get("PYTHON_SCRIPT_FILE_NAME", "function_app.py")
    if not (app / script).is_file():
        raise IndexingError(f"{app / script} does not exist")
    sys.path.insert(0, str(app))
    try:
        module = importlib.import_module(Path(script).stem)
    except Exception as error:
        trace = "".join(traceback.format_exception(error))
        raise IndexingError(f"{script} cannot be imported: {error}\n{trace}") from error
    apps = [value for value in vars(module).values() if isinstance(value, azure.functions.FunctionRegister)]
    if len(apps) != 1:
        raise IndexingError(f"{script} must have exactly one top level function app instance, found {len(apps)}")
    try:
        functions = apps[0].get_functions()
    except (ValueError, TypeError) as error:
        raise IndexingError(str(error)) from error
    return [_load(function) for function in functions]


def _load(function: Any) -> LoadedFunction:
    name = str(function.get_function_name())
    bindings = tuple(Binding.parse(raw) for raw in function.get_raw_bindings())
    call = function.get_user_function()
    signature = read_signature(name, call, bindings)
    return LoadedFunction(
        metadata=FunctionMetadata(
            name=name,
            bindings=bindings,
            deferred=frozenset(parameter.name for parameter in signature.inputs if parameter.deferred),
            retry=_retry(function.get_settings_dict("retry_policy")),
        ),
        signature=signature,
        call=call,
        directory=str(Path(inspect.getfile(call)).parent),
    )


def _retry(policy: Mapping[str, Any] | None) -> RetryPolicy | None:
    if not policy:
        return None
    fixed = policy.get("strategy") == "fixed_delay"
    minimum = _seconds(policy.get("delay_interval" if fixed else "minimum_interval")) or 0.0
    maximum = minimum if fixed else _seconds(policy.get("maximum_interval"))
    return RetryPolicy(
        max_retry_count=int(policy["max_retry_count"]),
        minimum_delay=minimum,
        maximum_delay=float("inf") if maximum is None else maximum,
    )


def _seconds(span: str | None) -> float | None:
    """hh:mm:ss, as the worker parses it."""
    if span is None:
        return None
    parsed = time.strptime(span, "%H:%M:%S")
    return parsed.tm_hour * 3600.0 + parsed.tm_min * 60.0 + parsed.tm_sec
