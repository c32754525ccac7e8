"""The gateway in front of a real HTTPS endpoint: what passes, what does not, what is tried again, and what never."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from shared.azureml.resources import OnlineEndpoint
from shared.gateway import body as bodies
from shared.gateway.directory import FRESH_SECONDS, USABLE_SECONDS, Directory
from shared.gateway.gateway import Call, Gateway, Reply
from shared.gateway.headers import preferred_wait
from shared.gateway.upstream import Upstream
from shared.lifecycle.ledger import Versioned
from shared.lifecycle.records import EndpointRecord, EndpointStatus
from shared.lifecycle.standing import Situation, Standing
from tests.unit.https_server import HttpsServer, send, serve

LIVE = EndpointRecord(dataset="chats", name="chats-1", status=EndpointStatus.ACTIVE, live="chats-v1-1", tenants=("x",))
ASLEEP = EndpointRecord(dataset="chats", generation=2, last_live="chats-v1-1")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpsServer]:
    with serve(tmp_path, monkeypatch) as found:
        yield found


@dataclass
class Azure:
    """The ledger's record, Azure ML's endpoints with their keys, the lifecycle's wake, and the noted use."""

    uris: dict[str, str]
    record: EndpointRecord = LIVE
    keys: list[str] = field(default_factory=lambda: ["key-1"])
    """The last one is handed out, and earlier ones before it, one by one."""
    asked: list[str] = field(default_factory=list)
    noted: list[str] = field(default_factory=list)
    wakes: int = 0
    hints: list[str] = field(default_factory=list)
    live_after: int = 0
    """Looks until a wake has ended; 0: it never does."""

    def endpoint(self, dataset: str) -> Versioned[EndpointRecord]:
        self.asked.append("record")
        return Versioned(self.record, "1")

    def get_endpoint(self, name: str) -> OnlineEndpoint | None:
        self.asked.append("endpoint")
        uri = self.uris.get(name)
        if uri is None:
            return None
        return OnlineEndpoint("id", name, "Succeeded", uri, {}, {}, "", "Key", "eastus", None, None)

    def endpoint_key(self, name: str) -> str:
        self.asked.append("key")
        return self.keys.pop(0) if len(self.keys) > 1 else self.keys[0]

    async def note(self, dataset: str) -> None:
        self.noted.append(dataset)

    def wake(self, dataset: str, who: str) -> Standing:
        self.wakes += 1
        if self.live_after and self.wakes >= self.live_after:
            self.record = LIVE
        if dataset != "chats":
            return Standing(Situation.UNKNOWN, EndpointRecord(dataset=""))
        return Standing(Situation.LIVE if self.record.live else Situation.COMING, self.record)

    def seconds_to_live(self, standing: Standing) -> float:
        return 600.0

    def look_again(self, tuning_id: str) -> None:
        self.hints.append(tuning_id)


@dataclass
class Answered:
    status: int
    headers: dict[str, str]
    body: bytes
    reply: Reply


@dataclass
class Front:
    azure: Azure
    timeout: float = 5.0
    max_body: int = 4 * 1024 * 1024
    gone: bool = False
    """Whether the caller has left."""

    def __post_init__(self) -> None:
        directory = Directory(self.azure, self.azure, time.monotonic)
        any_azure: Any = self.azure
        self.gateway = Gateway(directory, Upstream(), any_azure, any_azure, self.timeout, self.max_body, time.monotonic)

    async def left(self) -> bool:
        return self.gone

    def call(self, *bodies: bytes, dataset: str = "chats", **headers: str) -> Answered:
        return asyncio.run(self.called(*bodies, dataset=dataset, **headers))

    async def called(self, *pieces: bytes, dataset: str = "chats", **headers: str) -> Answered:
        async def body() -> AsyncIterator[bytes]:
            for piece in pieces:
                yield piece

        raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        length = sum(map(len, pieces)) if len(pieces) == 1 else None
        reply = await self.gateway.score(Call(dataset, raw, body(), length, self.left))
        if reply.refusal is not None:
            return Answered(reply.refusal.status, {}, reply.refusal.message.encode(), reply)
        assert reply.answer is not None
        content = b"".join([chunk async for chunk in reply.answer.chunks])
        answered = {name.decode(): value.decode() for name, value in reply.answer.headers}
        return Answered(reply.answer.status, answered, content, reply)


@pytest.fixture
def front(server: HttpsServer) -> Front:
    server.respond = lambda handler: send(handler, 200, b'{"output": "yes"}', Content_Type="application/json")
    return Front(Azure({"chats-1": f"{server.url}/score", "chats-2": f"{server.url}/new"}))


def test_body_and_answer_pass_as_they_are(front: Front, server: HttpsServer) -> None:
    found = front.call(b'{"input_data": 1}', content_type="application/json")
    assert (found.status, found.body, found.headers["content-type"]) == (
        200,
        b'{"output": "yes"}',
        "application/json",
    )
    [seen] = server.requests
    assert (seen.path, seen.body) == ("/score", b'{"input_data": 1}')
    assert front.azure.noted == ["chats"]


def test_the_endpoint_gets_its_own_key_and_nothing_of_the_callers_secrets(front: Front, server: HttpsServer) -> None:
    front.call(
        b"{}",
        authorization="Bearer of-the-caller",
        x_functions_key="function-key",
        cookie="session=1",
        azureml_model_deployment="untested",
        AzureML_Model_Deployment="untested",
        x_ms_client_principal="forged",
        x_forwarded_for="1.2.3.4",
        connection="x-request-id",
        x_request_id="abc",
    )
    [seen] = server.requests
    lowered = {name.lower(): value for name, value in seen.headers.items()}
    assert lowered == {
        "host": server.url.removeprefix("https://"),
        "authorization": "Bearer key-1",
        "content-length": "2",
        "x-request-id": "abc",
    }


def test_the_caller_gets_neither_key_nor_address_nor_the_insides(front: Front, server: HttpsServer) -> None:
    headers = {
        "azureml-model-deployment": "t-1",
        "WWW-Authenticate": "Bearer",
        "Set-Cookie": "a=b",
        "Connection": "x-private",
        "x-private": "1",
        "ms-azureml-model-error-statuscode": "400",
        "x-request-id": "abc",
    }
    server.respond = lambda handler: send(handler, 424, b"refused", **headers)
    found = front.call(b"{}")
    assert (found.status, found.body) == (424, b"refused")
    assert found.headers == {"content-length": "7", "ms-azureml-model-error-statuscode": "400", "x-request-id": "abc"}


def test_a_redirect_is_not_passed_on(front: Front, server: HttpsServer) -> None:
    server.respond = lambda handler: send(handler, 307, b"", Location="https://elsewhere")
    assert front.call(b"{}").status == 502


def test_an_answer_is_passed_on_piece_by_piece(front: Front, server: HttpsServer) -> None:
    go_on = threading.Event()

    def respond(handler: BaseHTTPRequestHandler) -> None:
        handler.protocol_version = "HTTP/1.1"
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.send_header("Content-Type", "text/event-stream")
        handler.end_headers()
        handler.wfile.write(b"b\r\ndata: one\n\n\r\n")
        assert go_on.wait(10), "the first event was not passed on before the second was made"
        handler.wfile.write(b"b\r\ndata: two\n\n\r\n0\r\n\r\n")

    server.respond = respond

    async def events() -> list[bytes]:
        async def body() -> AsyncIterator[bytes]:
            yield b"{}"

        reply = await front.gateway.score(Call("chats", [], body(), 2, front.left))
        assert reply.answer is not None
        first = await anext(reply.answer.chunks)
        go_on.set()
        return [first, *[chunk async for chunk in reply.answer.chunks]]

    assert asyncio.run(events()) == [b"data: one\n\n", b"data: two\n\n"]


def test_a_long_body_is_passed_on_without_being_kept(front: Front, server: HttpsServer) -> None:
    received: list[int] = []

    def respond(handler: BaseHTTPRequestHandler) -> None:
        size = 0
        while length := int(handler.rfile.readline(), 16):
            size += len(handler.rfile.read(length))
            handler.rfile.readline()
        received.append(size)
        send(handler, 200, b"{}")

    server.respond = respond
    pieces = [b"x" * 100_000] * 20
    assert sum(map(len, pieces)) > bodies.KEPT_BYTES
    assert front.call(*pieces).status == 200
    assert received == [2_000_000]


@pytest.mark.parametrize("pieces", [[b"x" * 101], [b"x" * 50, b"x" * 51]])
def test_a_body_that_is_too_large_is_refused(server: HttpsServer, pieces: list[bytes]) -> None:
    front = Front(Azure({"chats-1": server.url}), max_body=100)
    assert front.call(*pieces).status == 413
    assert server.requests == []


def test_a_rotated_key_is_fetched_once_and_the_call_sent_again(front: Front, server: HttpsServer) -> None:
    def respond(handler: BaseHTTPRequestHandler) -> None:
        ours = handler.headers["authorization"] == "Bearer key-2"
        send(handler, 200 if ours else 401, b"")

    server.respond = respond
    front.azure.keys = ["key-1", "key-2"]
    assert front.call(b"{}").status == 200
    assert front.azure.asked.count("key") == 2
    assert [seen.body for seen in server.requests] == [b"{}", b"{}"]


def test_an_endpoint_that_refuses_our_key_for_good_is_not_the_callers_401(front: Front, server: HttpsServer) -> None:
    server.respond = lambda handler: send(handler, 401, b"key_auth_access_denied")
    found = front.call(b"{}")
    assert (found.status, len(server.requests)) == (503, 1)
    assert front.azure.hints == ["chats-v1-1"]


def test_a_call_that_the_endpoint_may_have_had_is_never_sent_again(front: Front, server: HttpsServer) -> None:
    server.respond = lambda handler: handler.connection.shutdown(2)
    assert front.call(b"{}").status == 502
    assert len(server.requests) == 1


def test_a_slow_endpoint_is_a_504_that_says_so(server: HttpsServer) -> None:
    front = Front(Azure({"chats-1": server.url}), timeout=0.3)

    def respond(_: BaseHTTPRequestHandler) -> None:
        server.stopping.wait(10)

    server.respond = respond
    found = front.call(b"{}")
    assert (found.status, found.body) == (504, b"the endpoint gave no answer within 0.3 s")
    assert len(server.requests) == 1


def test_an_endpoint_that_is_replaced_under_a_call_gets_the_call_at_its_new_place(
    front: Front, server: HttpsServer
) -> None:
    def respond(handler: BaseHTTPRequestHandler) -> None:
        if handler.path == "/score":
            front.azure.record = EndpointRecord(
                dataset="chats", generation=2, name="chats-2", status=EndpointStatus.ACTIVE, live="chats-v1-1"
            )
        send(handler, 404 if handler.path == "/score" else 200, b"")

    server.respond = respond
    assert front.call(b"{}").status == 200
    assert [seen.path for seen in server.requests] == ["/score", "/new"]


def test_an_endpoint_that_can_not_be_connected_to_is_looked_up_again_and_looked_at(server: HttpsServer) -> None:
    front = Front(Azure({"chats-1": "https://127.0.0.1:1/score"}))
    found = front.call(b"{}")
    assert (found.status, found.reply.refusal and found.reply.refusal.retry_after) == (503, 15)
    assert front.azure.asked.count("record") == 3
    assert front.azure.hints == ["chats-v1-1"]


def test_an_endpoint_that_azure_ml_does_not_know_is_looked_at(server: HttpsServer) -> None:
    front = Front(Azure({}))
    assert front.call(b"{}").status == 503
    assert front.azure.hints == ["chats-v1-1"]


def test_a_call_that_finds_its_endpoint_gone_begins_the_wake(front: Front, server: HttpsServer) -> None:
    def respond(handler: BaseHTTPRequestHandler) -> None:
        front.azure.record = ASLEEP
        send(handler, 404, b"")

    server.respond = respond
    found = front.call(b"{}")
    assert found.reply.refusal is not None
    assert (found.status, found.reply.refusal.code, found.reply.refusal.retry_after) == (503, "Waking", 600.0)
    assert front.azure.wakes == 1


def test_a_sleeping_dataset_is_woken_and_says_when_to_come_back(front: Front, server: HttpsServer) -> None:
    front.azure.record = ASLEEP
    found = front.call(b"{}")
    assert found.reply.refusal is not None
    assert (found.status, found.reply.refusal.retry_after, found.reply.waited) == (503, 600.0, None)
    assert server.requests == []
    assert front.azure.noted == []


def test_who_prefers_to_wait_waits_and_is_answered(front: Front, server: HttpsServer) -> None:
    front.azure.record, front.azure.live_after = ASLEEP, 2
    found = front.call(b"{}", prefer="respond-async, wait=30")
    assert (found.status, found.reply.waited) == (200, 30)


def test_who_prefers_to_wait_is_told_when_it_takes_longer(front: Front) -> None:
    front.azure.record = ASLEEP
    found = front.call(b"{}", prefer="wait=1")
    assert (found.status, found.reply.waited) == (503, 1)


def test_nobody_is_waited_for_who_has_left(front: Front) -> None:
    front.azure.record, front.gone = ASLEEP, True
    begun = time.monotonic()
    assert front.call(b"{}", prefer="wait=200").status == 503
    assert time.monotonic() - begun < 10


def test_an_unknown_dataset_is_a_404(front: Front) -> None:
    front.azure.record = ASLEEP
    assert front.call(b"{}", dataset="nobodys").status == 404


def test_addresses_and_keys_are_not_asked_for_each_call(front: Front) -> None:
    async def calls() -> None:
        for _ in range(20):
            assert (await front.called(b"{}")).status == 200

    asyncio.run(calls())
    assert front.azure.asked == ["record", "endpoint", "key"]


def test_many_callers_of_what_is_not_known_yet_are_one_look_up(front: Front) -> None:
    async def calls() -> None:
        found = await asyncio.gather(*(front.called(b"{}") for _ in range(10)))
        assert {item.status for item in found} == {200}

    asyncio.run(calls())
    assert front.azure.asked == ["record", "endpoint", "key"]


def test_what_is_known_is_looked_up_again_while_it_is_still_used(server: HttpsServer) -> None:
    azure, now = Azure({"chats-1": server.url}), [0.0]
    directory = Directory(azure, azure, lambda: now[0])

    async def ages() -> None:
        assert await directory.find("chats")
        now[0] = FRESH_SECONDS + 1
        azure.record = ASLEEP
        assert await directory.find("chats"), "it is used until the look-up is done"
        while azure.asked.count("record") < 2:
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        assert await directory.find("chats") is None

    asyncio.run(ages())


def test_what_was_known_long_ago_is_not_used(server: HttpsServer) -> None:
    azure, now = Azure({"chats-1": server.url}), [0.0]
    directory = Directory(azure, azure, lambda: now[0])

    async def ages() -> None:
        assert await directory.find("chats")
        now[0], azure.record = USABLE_SECONDS, ASLEEP
        assert await directory.find("chats") is None

    asyncio.run(ages())


def test_a_key_is_sent_over_https_only() -> None:
    front = Front(Azure({"chats-1": "http://127.0.0.1:1/score"}))
    assert front.call(b"{}").status == 503
    assert "key" not in front.azure.asked


def test_an_endpoint_whose_certificate_nobody_vouches_for_gets_nothing(
    front: Front, server: HttpsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    assert front.call(b"{}").status == 503
    assert server.requests == []


@pytest.mark.parametrize(
    ("values", "seconds"),
    [
        ([], 0),
        (["wait=10"], 10),
        (['respond-async, WAIT = "20"; x=y'], 20),
        (["respond-async", "wait=5"], 5),
        (["wait=5, wait=9"], 5),
        (["wait=100000000000000000000"], 220),
        (["wait=-1"], 0),
        (["wait=\u0661"], 0),
        (["wait"], 0),
        (["awaits=3"], 0),
    ],
)
def test_the_preference_to_wait_is_read_as_rfc_7240_says(values: list[str], seconds: int) -> None:
    assert preferred_wait([(b"Prefer", value.encode()) for value in values]) == seconds
