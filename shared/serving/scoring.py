"""Asking one deployment of an endpoint one question, whatever the endpoint makes of it."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PARAMETERS: Mapping[str, float | bool] = {
    "temperature": 0.6,
    "top_p": 0.9,
    "do_sample": True,
    "max_new_tokens": 200,
}
"""Those of the chat-completion notebook in azureml-examples."""

CONNECT_TIMEOUT = 5.0
"""Seconds."""
MAX_ANSWER_BYTES = 1024 * 1024
_CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True)
class Answer:
    """What came back. `status` is 0 if there was no HTTP answer, `problem` is empty if there is a text.

    `problem` never quotes what was sent or answered, so it may be logged; `text` may not.
    """

    status: int
    text: str | None = field(repr=False)
    latency_seconds: float
    problem: str


@dataclass(frozen=True)
class _Exchange:
    status: int = 0
    model_status: str = ""
    body: bytes = field(default=b"", repr=False)
    problem: str = ""


class ScoringClient:
    """One request per call: no retries, no redirects, no connection or credential that outlives it.

    `online_endpoints.invoke` of azure-ai-ml is no alternative: it needs a file, retries, and lets the pinned
    deployment and the key of one call leak into others.
    """

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        self._timer = timer

    def score(
        self,
        scoring_uri: str,
        key: str,
        deployment: str,
        messages: Sequence[Mapping[str, str]],
        timeout: float,
    ) -> Answer:
        """Send a conversation to one deployment, also one without traffic. Returns within `timeout` seconds.

        Raises nothing that the endpoint could provoke: time-outs, garbage, huge or endless answers, refused
        connections and bad certificates are Answers with a problem.
        """
        if not _is_https(scoring_uri):
            return Answer(0, None, 0.0, "the scoring URI is no https URL, so the key is not sent")
        # Imported here, before the clock runs: the first import takes longer than a small model's answer.
        import azure.core.pipeline.transport  # noqa: F401

        headers = {
            "Authorization": f"Bearer {key}",
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "azureml-model-deployment": deployment,
        }
        body = json.dumps(request_body(messages)).encode()
        outcome: SimpleQueue[_Exchange] = SimpleQueue()
        started = self._timer()

        def work() -> None:
            outcome.put(_exchange(scoring_uri, headers, body, timeout, lambda: self._timer() - started))

        # Socket time-outs bound each read, but neither name resolution nor an answer that trickles.
        threading.Thread(target=work, name="scoring", daemon=True).start()
        try:
            exchange = outcome.get(timeout=timeout)
        except Empty:
            exchange = _Exchange(problem=_too_slow(timeout))
        return _to_answer(exchange, self._timer() - started)


def request_body(messages: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """The form of the model cards: a flat list of messages, without `params`.

    The notebook wraps the messages in one more list and adds an empty `params`. Every version of Azure ML's
    inference server for chat models takes the flat list, only newer ones the wrapped one; and the MLflow
    scoring script looks at `parameters` only when `params` is absent.
    """
    return {
        "input_data": {
            "input_string": [dict(message) for message in messages],
            "parameters": dict(PARAMETERS),
        }
    }


def parse_text(body: bytes) -> str | None:
    """The generated text in any of the forms that Azure ML's servers use; None if there is none.

    {"output": text}, a list of such or of texts (the first counts), a text, and each of these once more as a
    JSON string. An error that is reported with status 200, {"error": ...}, is no text.
    """
    try:
        return _text_in(json.loads(body))
    except (ValueError, RecursionError):
        return None


def _text_in(value: Any, depth: int = 4) -> str | None:
    if depth == 0:
        return None
    if isinstance(value, str):
        return _unwrapped(value, depth)
    if isinstance(value, list):
        return _text_in(value[0], depth - 1) if value else None
    if isinstance(value, dict) and "error" not in value:
        output = value.get("output", value.get("0"))
        return output if isinstance(output, str) else _text_in(output, depth - 1)
    return None


def _unwrapped(text: str, depth: int) -> str | None:
    """Scoring scripts that return json.dumps(...) are encoded twice."""
    try:
        inner = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if isinstance(inner, dict) and not {"output", "error"}.isdisjoint(inner):
        return _text_in(inner, depth - 1)
    return text


def _is_https(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
    except ValueError:
        return False
    return parts.scheme == "https" and bool(parts.hostname)


def _exchange(
    url: str, headers: Mapping[str, str], body: bytes, timeout: float, elapsed: Callable[[], float]
) -> _Exchange:
    from azure.core.pipeline.transport import HttpRequest, RequestsTransport

    request = HttpRequest("POST", url, headers=dict(headers), data=body)
    try:
        with RequestsTransport(connection_timeout=min(CONNECT_TIMEOUT, timeout), read_timeout=timeout) as transport:
            response = transport.send(request, stream=True).internal_response
            with response:
                return _read(response, timeout, elapsed)
    except Exception as error:  # noqa: BLE001 - whatever an endpoint provokes is its answer
        inner = getattr(error, "inner_exception", None) or error
        return _Exchange(problem=f"the request failed: {type(inner).__name__}")


def _read(response: Any, timeout: float, elapsed: Callable[[], float]) -> _Exchange:
    """`response` is a requests.Response whose body was not read yet."""
    status = int(response.status_code)
    model_status = str(response.headers.get("ms-azureml-model-error-statuscode") or "")
    if not 200 <= status < 300:
        return _Exchange(status, model_status)
    chunks: list[bytes] = []
    size = 0
    # read1 returns what has arrived; read would wait for a full chunk, however long that takes.
    while chunk := response.raw.read1(_CHUNK_BYTES):
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_ANSWER_BYTES:
            return _Exchange(status, problem=f"the answer has more than {MAX_ANSWER_BYTES} bytes")
        if elapsed() > timeout:
            return _Exchange(status, problem=_too_slow(timeout))
    return _Exchange(status, body=b"".join(chunks))


def _to_answer(exchange: _Exchange, latency: float) -> Answer:
    status = exchange.status
    if exchange.problem:
        return Answer(status, None, latency, exchange.problem)
    if 300 <= status < 400:
        return Answer(status, None, latency, f"HTTP {status}: redirects are not followed")
    if not 200 <= status < 300:
        model = f"; the model answered {exchange.model_status}" if exchange.model_status.isdigit() else ""
        return Answer(status, None, latency, f"HTTP {status}{model}")
    text = parse_text(exchange.body)
    if text is None:
        return Answer(status, None, latency, "the answer holds no generated text")
    return Answer(status, text, latency, "")


def _too_slow(timeout: float) -> str:
    return f"no complete answer within {timeout:g} s"
