"""What the local cloud writes down of its exchanges, and what it never does."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from localcloud.exchanges import MASK, MAX_BODY, VARIABLE, recorded
from tests.contract.openapi.exchanges import UNKNOWN, recorded_exchanges
from tests.integration.azureml_support import create_endpoint, new_config, running, score

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from starlette.requests import Request

    Send = Callable[..., httpx.Response]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "exchanges"))
    return tmp_path / "exchanges"


@pytest.fixture
def send(folder: Path) -> Send:
    """A request to a recorded app that echoes, or answers what it is told to."""

    async def echo(request: Request) -> Response:
        return Response(await request.body(), media_type="application/json")

    async def unread(_: Request) -> Response:
        return PlainTextResponse("no", 404)

    async def long(_: Request) -> Response:
        return JSONResponse("x" * MAX_BODY)

    paths = {"/echo": echo, "/unread": unread, "/long": long, "/inference/ep/score": echo, "/_localcloud/echo": echo}
    app = recorded(Starlette(routes=[Route(path, handler, methods=["POST"]) for path, handler in paths.items()]))

    def send(path: str, body: Any, **headers: str) -> httpx.Response:
        async def post() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://cloud") as client:
                return await client.post(path, json=body, headers=headers)

        return asyncio.run(post())

    return send


def written(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for file in folder.glob("*.jsonl") for line in file.read_text().splitlines()]


def test_an_exchange_is_written_as_it_was(folder: Path, send: Send) -> None:
    send("/echo?api-version=1", {"a": [1, None]}, **{"User-Agent": "sdk/1"})

    [exchange] = recorded_exchanges(folder)

    assert (exchange.method, exchange.path, exchange.api_version, exchange.status) == ("POST", "/echo", "1", 200)
    assert exchange.request_headers["user-agent"] == "sdk/1"
    assert exchange.request_body == exchange.response_body == {"a": [1, None]}
    assert exchange.response_headers["content-type"] == "application/json"


def test_tokens_keys_and_signatures_are_not_written(folder: Path, send: Send) -> None:
    secrets = {
        "primaryKey": "secret-1",
        "nested": [{"access_token": "secret-2"}],
        "content": "secret-3",
        "uri": "https://account/data?sv=1&sig=secret-4&se=2",
    }
    send("/echo?sig=secret-5", secrets, **{"Authorization": "Bearer secret-6", "x-azureml-token": "secret-7"})

    [line] = written(folder)

    assert "secret" not in json.dumps(line)
    assert json.loads(line["response_body"]) == {
        "primaryKey": MASK,
        "nested": [{"access_token": MASK}],
        "content": MASK,
        "uri": f"https://account/data?sv=1&sig={MASK}&se=2",
    }


def test_what_is_said_to_a_model_is_not_written(folder: Path, send: Send) -> None:
    assert send("/inference/ep/score?code=secret", {"input_data": "secret"}).json() == {"input_data": "secret"}

    [line] = written(folder)

    assert line["status"] == 200
    assert "secret" not in json.dumps(line)


def test_the_control_interface_is_not_recorded(folder: Path, send: Send) -> None:
    assert send("/_localcloud/echo", {}).status_code == 200

    assert written(folder) == []


def test_bodies_that_are_too_long_or_that_nobody_read_are_unknown(folder: Path, send: Send) -> None:
    send("/long", {"a": "x" * MAX_BODY})
    send("/unread", {"a": 1})

    long, unread = recorded_exchanges(folder)

    assert long.response_body is UNKNOWN
    assert unread.request_body is UNKNOWN
    assert unread.response_body == "no"


def test_a_line_that_was_cut_off_is_left_out(folder: Path, send: Send) -> None:
    send("/echo", {})
    [file] = folder.glob("*.jsonl")
    with file.open("a") as stream:
        stream.write('{"method": "GET", "url": ')

    assert len(list(recorded_exchanges(folder))) == 1


def test_nothing_is_written_unless_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE)
    app = Starlette()

    assert recorded(app) is app


@pytest.mark.localcloud
def test_the_cloud_records_what_its_clients_say(folder: Path, tmp_path: Path) -> None:
    with running(new_config(tmp_path)) as cloud:
        create_endpoint(cloud, "recorded")
        key = cloud.arm("POST", "/onlineEndpoints/recorded/listKeys").json()["primaryKey"]
        score(cloud, "recorded", "what nobody else must read", key=key)
        token = cloud.token()

    exchanges = list(recorded_exchanges(folder))
    everything = "".join(file.read_text() for file in folder.glob("*.jsonl"))

    assert {exchange.path.rpartition("/")[2] for exchange in exchanges} >= {"token", "recorded", "listKeys", "score"}
    assert [secret for secret in (key, token, "nobody else") if secret in everything] == []
