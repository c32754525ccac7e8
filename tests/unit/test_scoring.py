from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from shared.serving.scoring import MAX_ANSWER_BYTES, Answer, ScoringClient, parse_text, request_body
from tests.unit.https_server import HttpsServer, send, serve

KEY = "the-secret-key"
QUESTION = "the private question"
MESSAGES = [{"role": "user", "content": QUESTION}]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpsServer]:
    with serve(tmp_path, monkeypatch) as running:
        yield running


def ask(server: HttpsServer, timeout: float = 5.0) -> Answer:
    return ScoringClient().score(f"{server.url}/score", KEY, "t-12345678", MESSAGES, timeout)


def answering(status: int, body: bytes, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    return lambda handler: send(handler, status, body, **headers)


def test_the_request_is_pinned_to_the_deployment_and_carries_the_notebooks_parameters(
    server: HttpsServer,
) -> None:
    server.respond = answering(200, b'{"output": "Hello."}')

    answer = ask(server)

    assert (answer.status, answer.text, answer.problem) == (200, "Hello.", "")
    assert 0 < answer.latency_seconds < 5
    [request] = server.requests
    assert request.path == "/score"
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert request.headers["azureml-model-deployment"] == "t-12345678"
    assert request.headers["Content-Type"] == "application/json"
    assert json.loads(request.body) == {
        "input_data": {
            "input_string": MESSAGES,
            "parameters": {"temperature": 0.6, "top_p": 0.9, "do_sample": True, "max_new_tokens": 200},
        }
    }


def test_the_parameters_of_one_request_can_not_be_changed_through_another() -> None:
    request_body(MESSAGES)["input_data"]["parameters"]["max_new_tokens"] = 1

    assert request_body(MESSAGES)["input_data"]["parameters"]["max_new_tokens"] == 200


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 424, 429, 500, 503])
def test_an_error_status_is_an_answer_after_one_attempt(server: HttpsServer, status: int) -> None:
    server.respond = answering(status, b'{"output": "not a text"}', Retry_After="1")

    answer = ask(server)

    assert (answer.status, answer.text, answer.problem) == (status, None, f"HTTP {status}")
    assert len(server.requests) == 1


def test_the_status_of_the_model_behind_the_endpoint_is_named(server: HttpsServer) -> None:
    server.respond = answering(424, b"", ms_azureml_model_error_statuscode="500")

    assert ask(server).problem == "HTTP 424; the model answered 500"


def test_a_redirect_is_not_followed(server: HttpsServer) -> None:
    server.respond = answering(307, b"", Location=f"{server.url}/elsewhere")

    answer = ask(server)

    assert (answer.status, answer.problem) == (307, "HTTP 307: redirects are not followed")
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>oops", b"\xff\xfe\x00", b"null", b"42", b"[]", b"{}", b'{"output": 7}', b"[" * 100_000],
)
def test_garbage_is_an_answer_without_text(server: HttpsServer, body: bytes) -> None:
    server.respond = answering(200, body)

    answer = ask(server)

    assert (answer.status, answer.text) == (200, None)
    assert answer.problem == "the answer holds no generated text"


def test_an_answer_of_50_mb_is_given_up_after_one(server: HttpsServer) -> None:
    sent = 0

    def flood(handler: BaseHTTPRequestHandler) -> None:
        nonlocal sent
        handler.send_response(200)
        handler.end_headers()
        for _ in range(50):
            handler.wfile.write(b"x" * 1024 * 1024)
            sent += 1

    server.respond = flood

    answer = ask(server)

    assert answer.text is None
    assert answer.problem == f"the answer has more than {MAX_ANSWER_BYTES} bytes"
    assert sent < 40


def test_an_answer_that_breaks_off_has_no_text(server: HttpsServer) -> None:
    def break_off(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b'{"output": "half a')

    server.respond = break_off

    answer = ask(server)

    assert answer.text is None
    assert answer.problem.startswith("the request failed: ")


def silent(server: HttpsServer) -> Callable[[BaseHTTPRequestHandler], None]:
    def respond(handler: BaseHTTPRequestHandler) -> None:
        server.stopping.wait(20)

    return respond


def trickling(server: HttpsServer, head: bytes, drop: bytes) -> Callable[[BaseHTTPRequestHandler], None]:
    def respond(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(head)
        while not server.stopping.wait(0.02):
            handler.wfile.write(drop)

    return respond


@pytest.mark.parametrize("way", ["silent", "headers", "body", "chunks"])
def test_an_answer_that_takes_for_ever_is_given_up_in_time(server: HttpsServer, way: str) -> None:
    server.respond = {
        "silent": silent(server),
        "headers": trickling(server, b"HTTP/1.1 200 OK\r\nX-Endless: ", b"x"),
        "body": trickling(server, b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x"),
        "chunks": trickling(server, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    }[way]
    started = time.monotonic()

    answer = ask(server, timeout=0.4)

    assert time.monotonic() - started < 2
    assert answer.text is None
    assert answer.problem in ("no complete answer within 0.4 s", "the request failed: ReadTimeout")


def test_a_request_that_was_given_up_leaves_no_thread_behind(server: HttpsServer) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
    server.respond = trickling(server, head, b"x")

    ask(server, timeout=0.2)

    deadline = time.monotonic() + 5
    while any(thread.name == "scoring" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_refused_connection_is_an_answer() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    answer = ScoringClient().score(f"https://127.0.0.1:{port}/score", KEY, "d", MESSAGES, 5)

    assert (answer.status, answer.text) == (0, None)
    assert answer.problem.startswith("the request failed: ")


def test_a_server_that_nobody_vouches_for_gets_no_key(server: HttpsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    server.respond = answering(200, b'{"output": "I am the endpoint, trust me."}')

    answer = ask(server)

    assert answer.text is None
    assert server.requests == []


@pytest.mark.parametrize("uri", ["", "http://127.0.0.1:1/score", "ftp://x/", "https://", "https://[", "score"])
def test_only_an_https_uri_gets_the_key(uri: str) -> None:
    answer = ScoringClient().score(uri, KEY, "d", MESSAGES, 5)

    assert (answer.status, answer.text) == (0, None)
    assert "https" in answer.problem


def test_a_key_that_is_no_header_value_is_an_answer_that_does_not_quote_it(server: HttpsServer) -> None:
    answer = ScoringClient().score(f"{server.url}/score", "bad\nkey", "d", MESSAGES, 5)

    assert answer.status == 0
    assert "bad" not in answer.problem


@pytest.mark.parametrize("status", [200, 500])
def test_neither_key_nor_question_nor_answer_are_logged_or_shown(
    server: HttpsServer, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    server.respond = answering(status, b'{"output": "the private answer"}')

    with caplog.at_level(logging.DEBUG):
        answer = ask(server)

    shown = caplog.text + repr(answer) + answer.problem
    assert not [secret for secret in (KEY, QUESTION, "the private answer") if secret in shown]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ('{"output": "A"}', "A"),
        ('{"output": ["A", "B"]}', "A"),
        ('[{"output": "A"}]', "A"),
        ('["A"]', "A"),
        ('"A"', "A"),
        ('{"0": "A"}', "A"),
        ('[{"0": "A"}]', "A"),
        ('"{\\"output\\": \\"A\\"}"', "A"),
        ('{"output": "{\\"a\\": 1}"}', '{"a": 1}'),
        ('"{\\"a\\": 1}"', '{"a": 1}'),
        ('{"output": ""}', ""),
        ('{"error": "out of memory"}', None),
        ('"{\\"error\\": \\"out of memory\\"}"', None),
        ('{"output": "partial", "error": "out of memory"}', None),
        ('{"output": null}', None),
        ("[[[[[[[[[[]]]]]]]]]]", None),
    ],
)
def test_the_text_is_found_in_every_form_that_servers_use(body: str, text: str | None) -> None:
    assert parse_text(body.encode()) == text
