"""HTTP triggers and the admin API of the local Functions host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.functions_app_sample.harness import eventually, records

if TYPE_CHECKING:
    from tests.integration.functions_app_sample.harness import FunctionsHost

pytest_plugins = ("tests.integration.functions_app_sample.fixtures",)
pytestmark = pytest.mark.localcloud


def test_a_request_reaches_the_function_as_azure_sends_it(shared_host: FunctionsHost) -> None:
    response = shared_host.call(
        "POST", "/api/items/7?a=1&empty=&b=x%20y", headers={"X-Sample": "seen"}, content=b"body"
    )
    assert response.status_code == 203
    assert response.json() == {
        "method": "POST",
        "url": f"{shared_host.url}/api/items/7?a=1&empty=&b=x%20y",
        "params": {"a": "1", "b": "x y"},
        "route": {"id": "7"},
        "header": "seen",
        "body": "body",
    }


def test_a_response_keeps_status_headers_and_cookies(shared_host: FunctionsHost) -> None:
    response = shared_host.call("GET", "/api/items")
    assert (response.status_code, response.headers["x-answer"]) == (203, "yes")
    assert response.headers["content-type"].startswith("application/json")
    assert response.cookies["flavour"] == "lemon"


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/api/items/special", 200, "special"),
        ("GET", "/api/ITEMS/Special", 200, "special"),
        ("GET", "/api/items/seven", 404, ""),
        ("GET", "/api/items/7/8", 404, ""),
        ("PUT", "/api/items/7", 404, ""),
        ("GET", "/items/7", 404, ""),
        ("GET", "/api/files", 200, "none"),
        ("PATCH", "/api/files/a/b%20c.txt", 200, "a/b c.txt"),
    ],
)
def test_routes_and_methods_choose_the_function(
    shared_host: FunctionsHost, method: str, path: str, status: int, text: str
) -> None:
    response = shared_host.call(method, path)
    assert (response.status_code, response.text) == (status, text)


@pytest.mark.parametrize(
    ("path", "key", "status"),
    [
        ("/api/guarded", None, 401),
        ("/api/guarded", "wrong", 401),
        ("/api/guarded", "event-key", 401),
        ("/api/guarded", "default-key", 200),
        ("/api/guarded", "partner-key", 200),
        ("/api/guarded", "master-key", 200),
        ("/api/master_only", "default-key", 401),
        ("/api/master_only", "master-key", 200),
    ],
)
def test_a_key_opens_what_it_is_for_in_the_query_and_in_the_header(
    shared_host: FunctionsHost, path: str, key: str | None, status: int
) -> None:
    by_query = shared_host.call("GET", path, params={"code": key} if key else {})
    by_header = shared_host.call("GET", path, headers={"x-functions-key": key} if key else {})
    assert (by_query.status_code, by_header.status_code) == (status, status)


@pytest.mark.parametrize("function", ["broken", "returns_nothing"])
def test_a_function_that_fails_answers_500_without_details(shared_host: FunctionsHost, function: str) -> None:
    response = shared_host.call("GET", f"/api/{function}")
    assert (response.status_code, response.content) == (500, b"")


def test_a_failure_is_logged_with_traceback_function_and_invocation(shared_host: FunctionsHost) -> None:
    shared_host.call("GET", "/api/broken")
    log = shared_host.log()
    failure = log[log.rindex("Executed 'Functions.broken' (Failed") :]
    invocation = failure.split("Id=")[1].split(",")[0]
    assert "KeyError: 'as the test asked'" in failure
    assert "function_app.py" in failure
    assert f"[broken {invocation[:8]}] about to break" in log


def test_the_context_names_function_and_invocation(shared_host: FunctionsHost) -> None:
    name, invocation = shared_host.call("GET", "/api/guarded?code=default-key").text.split()
    assert name == "guarded"
    assert f"Id={invocation}" in shared_host.log()


def test_the_status_lists_the_functions_and_needs_no_key(shared_host: FunctionsHost) -> None:
    status = shared_host.call("GET", "/admin/host/status").json()
    assert (status["id"], status["state"], status["errors"]) == ("shared", "Running", [])
    assert {"items", "on_blob", "yearly"} <= set(status["functions"])


def test_a_function_can_be_run_by_hand_with_the_master_key_only(shared_host: FunctionsHost) -> None:
    path = "/admin/functions/on_text"
    assert shared_host.call("POST", path, json={"input": "by hand"}).status_code == 401
    default = {"x-functions-key": "default-key"}
    assert shared_host.call("POST", path, json={"input": "by hand"}, headers=default).status_code == 401
    master = {"x-functions-key": "master-key"}
    assert shared_host.call("POST", path, json={"input": "by hand"}, headers=master).status_code == 202
    eventually(lambda: records(shared_host.record, "on_text", text="by hand"), "the function ran")


def test_a_timer_can_be_run_by_hand(shared_host: FunctionsHost) -> None:
    before = len(records(shared_host.record, "yearly"))
    response = shared_host.call("POST", "/admin/functions/yearly?code=master-key", json={})
    assert response.status_code == 202
    ran = eventually(lambda: records(shared_host.record, "yearly")[before:], "the timer ran")
    assert (ran[0]["past_due"], ran[0]["status"]) == (False, {})


@pytest.mark.parametrize(
    ("name", "body", "status"), [("nobody", {}, 404), ("items", {}, 400), ("on_event", {"input": "x"}, 400)]
)
def test_a_run_by_hand_that_makes_no_sense_is_refused(
    shared_host: FunctionsHost, name: str, body: dict[str, str], status: int
) -> None:
    response = shared_host.call("POST", f"/admin/functions/{name}?code=master-key", json=body)
    assert response.status_code == status
