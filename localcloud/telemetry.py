"""A collector of OpenTelemetry for a laptop: takes OTLP over HTTP, keeps each export as a line of JSON.

https://opentelemetry.io/docs/specs/otlp/#otlphttp in its binary encoding, which is what Python's exporters send.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from localcloud.http import CloudError
from localcloud.responses import JSONResponse

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.requests import Request

SIGNALS = ("traces", "metrics", "logs")
_IDS = frozenset({"traceId", "spanId", "parentSpanId"})
_PROTOBUF = "application/x-protobuf"


class Collector:
    """Keeps what it takes in `{folder}/{signal}.jsonl`, which survives a restart."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def export(self, request: Request) -> Response:
        signal = _signal(request)
        if request.headers.get("content-type") != _PROTOBUF:
            raise CloudError(415, "UnsupportedMediaType", f"The collector takes {_PROTOBUF}.")
        taken, answer = _decoded(signal, await request.body())
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._folder.joinpath(f"{signal}.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(taken) + "\n")
        return Response(answer, media_type=_PROTOBUF)

    async def kept(self, request: Request) -> Response:
        """All exports of a signal, oldest first, in OTLP's JSON encoding."""
        file = self._folder / f"{_signal(request)}.jsonl"
        if not file.exists():
            return JSONResponse([])
        return JSONResponse([json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()])


def _signal(request: Request) -> str:
    signal: str = request.path_params["signal"]
    if signal not in SIGNALS:
        raise CloudError(404, "NotFound", f"There are {', '.join(SIGNALS)}, no '{signal}'.")
    return signal


def _decoded(signal: str, body: bytes) -> tuple[dict[str, Any], bytes]:
    """Imported here: a cloud to which nobody sends telemetry needs no protobuf."""
    from google.protobuf.json_format import MessageToDict
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
    from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces

    kinds: dict[str, tuple[Any, Any]] = {
        "traces": (traces.ExportTraceServiceRequest, traces.ExportTraceServiceResponse),
        "metrics": (metrics.ExportMetricsServiceRequest, metrics.ExportMetricsServiceResponse),
        "logs": (logs.ExportLogsServiceRequest, logs.ExportLogsServiceResponse),
    }
    request, response = kinds[signal]
    try:
        taken = _with_hex_ids(MessageToDict(request.FromString(body)))
    except DecodeError as error:
        raise CloudError(400, "BadRequest", "The body is no message of OTLP.") from error
    answer: bytes = response().SerializeToString()
    return taken, answer


def _with_hex_ids(value: Any) -> Any:
    """Ids are hex in OTLP's JSON, unlike other bytes in protobuf's."""
    if isinstance(value, list):
        return [_with_hex_ids(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: base64.b64decode(item).hex() if key in _IDS else _with_hex_ids(item) for key, item in value.items()}
