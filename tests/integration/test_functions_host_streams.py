"""HTTP streams: the host passes calls to the worker's own HTTP server, and answers as they come."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.integration.functions_app_sample.harness import FunctionsHost, eventually

if TYPE_CHECKING:
    from tests.integration.functions_app_sample.harness import Azurite

pytest_plugins = ("tests.integration.functions_app_sample.fixtures", "tests.python313")
pytestmark = pytest.mark.localcloud

STREAMING_APP = Path(__file__).parent / "functions_app_sample" / "streaming_app"


@pytest.fixture(scope="module", params=["sdk", "runtime"])
def host(
    request: pytest.FixtureRequest, functions_storage: Azurite, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FunctionsHost]:
    directory = tmp_path_factory.mktemp("streams")
    settings = {"AzureWebJobsStorage": functions_storage.connection_string, "PYTHON_ENABLE_INIT_INDEXING": "1"}
    more = {}
    if request.param == "runtime":
        more = {"python": request.getfixturevalue("python_313"), "options": ("--engine", "runtime")}
    started = FunctionsHost(directory, settings, directory / "record.jsonl", app=STREAMING_APP, **more).start()
    yield started
    assert started.stop() == 0


def test_a_request_and_its_answer_are_what_they_were_without_streams(host: FunctionsHost) -> None:
    headers = {"X-Sample": "seen", "Cookie": "a=b"}
    response = host.call("GET", "/api/items/7?a=1&b=x%20y", headers=headers)
    assert (response.status_code, response.headers["x-answer"]) == (203, "yes")
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {
        "method": "GET",
        "query": {"a": "1", "b": "x y"},
        "route": {"id": "7"},
        "header": "seen",
        "cookies": {"a": "b"},
    }
    assert host.call("GET", "/api/items/seven").status_code == 404


def test_bodies_are_read_by_async_functions(host: FunctionsHost) -> None:
    assert host.call("POST", "/api/echo", content=b"body").content == b"body"
    assert host.call("POST", "/api/echo", content=iter([b"in ", b"pieces"])).content == b"in pieces"


def test_what_a_function_raises_is_an_error_without_a_word_about_it(host: FunctionsHost) -> None:
    response = host.call("GET", "/api/broken")
    assert (response.status_code, response.content) == (500, b"")
    eventually(lambda: "as the test asked" in host.log(), "the error is in the host's log")


def test_a_function_gets_the_first_piece_of_a_body_before_the_last_is_sent(host: FunctionsHost, tmp_path: Path) -> None:
    file = tmp_path / "received"

    def pieces() -> Iterator[bytes]:
        yield b"first"
        eventually(lambda: file.exists() and file.read_bytes() == b"first", "the first piece is there")
        yield b", last"

    assert host.call("POST", "/api/receives", params={"file": str(file)}, content=pieces()).text == "received"
    assert file.read_bytes() == b"first, last"


def test_a_caller_gets_the_first_event_before_the_last_is_made(host: FunctionsHost, tmp_path: Path) -> None:
    file = tmp_path / "go-on"
    with httpx.stream("GET", f"{host.url}/api/sends", params={"file": str(file)}, timeout=20) as response:
        events = response.iter_bytes()
        assert next(events) == b"data: one\n\n"
        file.touch()
        assert b"".join(events) == b"data: two\n\n"
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"


def test_the_function_sees_that_its_caller_has_gone(host: FunctionsHost, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{host.url}/api/waits", params={"file": str(seen)}, timeout=1)
    eventually(seen.exists, "the function has noticed")
