"""The host's admin API: run a function by hand, ask how the host is.

Reference: https://learn.microsoft.com/azure/azure-functions/functions-manually-run-non-http
"""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from typing import TYPE_CHECKING, Any

from starlette.responses import PlainTextResponse, Response

from localcloud.functions.engine import FunctionFailedError
from localcloud.functions.queue_trigger import body_properties
from localcloud.functions.timer_trigger import run_timer
from localcloud.functions.typed_data import InputData, JsonText, Text, as_json
from localcloud.responses import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from datetime import datetime

    from starlette.requests import Request

    from localcloud.functions.blob_trigger import BlobTriggers
    from localcloud.functions.keys import Keys
    from localcloud.functions.metadata import FunctionMetadata
    from localcloud.functions.runner import FunctionRunner

log = logging.getLogger(__name__)

_REASON = "This function was programmatically called via the host APIs."


class AdminApi:
    def __init__(
        self,
        functions: Mapping[str, FunctionMetadata],
        errors: Mapping[str, str],
        host_id: str,
        keys: Keys,
        runner: FunctionRunner,
        blobs: BlobTriggers,
        clock: Callable[[], datetime],
    ) -> None:
        self._functions = functions
        self._errors = errors
        self._host_id = host_id
        self._keys = keys
        self._runner = runner
        self._blobs = blobs
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()

    async def status(self, request: Request) -> Response:
        """Needs no key, so that whoever started the host can wait for it."""
        del request
        return JSONResponse(
            {
                "id": self._host_id,
                "state": "Running",
                "functions": sorted(self._functions),
                "errors": [f"The '{name}' function is in error: {text}" for name, text in self._errors.items()],
            }
        )

    async def run(self, request: Request) -> Response:
        """POST {"input": "…"} → 202 at once. The input of a blob trigger is "container/blob"."""
        key = request.query_params.get("code") or request.headers.get("x-functions-key", "")
        if not self._keys.opens_admin(key):
            return Response(status_code=401)
        function = self._functions.get(request.path_params["name"])
        if function is None:
            return Response(status_code=404)
        try:
            work = self._work(function, _input(await request.body()))
        except ValueError as error:
            return PlainTextResponse(str(error), status_code=400)
        task = asyncio.create_task(self._quietly(function, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return Response(status_code=202)

    def _work(self, function: FunctionMetadata, text: str) -> Coroutine[Any, Any, object]:
        trigger = function.trigger
        match trigger.type:
            case "timerTrigger":
                return run_timer(self._runner, function, self._clock(), status=None, past_due=False)
            case "queueTrigger":
                return self._runner.run(function, {trigger.name: Text(text)}, _manual_message(text), _REASON)
            case "eventGridTrigger":
                event = json.loads(text)
                if not isinstance(event, dict):
                    raise ValueError("the input must be one event")
                metadata: dict[str, InputData] = {"data": as_json(event.get("data"))}
                return self._runner.run(function, {trigger.name: JsonText(text)}, metadata, _REASON)
            case "blobTrigger":
                container, slash, blob = text.partition("/")
                if not slash or not blob:
                    raise ValueError('the input must be "container/blob"')
                return self._blobs.run(function, container, blob)
        raise ValueError("call an HTTP function by its own URL")

    async def _quietly(self, function: FunctionMetadata, work: Coroutine[Any, Any, object]) -> None:
        try:
            await work
        except FunctionFailedError:
            return  # the runner has logged it
        except Exception:
            log.exception("the manual run of '%s' failed", function.name)


def _input(body: bytes) -> str:
    """Raises ValueError."""
    document = json.loads(body or b"{}")
    if not isinstance(document, dict):
        raise ValueError('the body must be {"input": "..."}')
    value = document.get("input", "")
    return value if isinstance(value, str) else json.dumps(value)


def _manual_message(text: str) -> dict[str, InputData]:
    return {
        **body_properties(text),
        "QueueTrigger": Text(text),
        "Id": Text(str(uuid.uuid4())),
        "PopReceipt": Text(""),
        "DequeueCount": as_json(0),
    }
