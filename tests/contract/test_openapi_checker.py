"""The checker finds what is wrong with an exchange, wherever it is."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.openapi.checker import Checker, Verdict
from tests.contract.openapi.deviations import KNOWN
from tests.contract.openapi.exchanges import Exchange
from tests.contract.openapi.families import FAMILIES
from tests.contract.openapi.report import judge
from tests.contract.recordings.recording import load
from tests.reference import EXCERPTS, OPENAPI, RECORDINGS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.skipif(not OPENAPI.is_dir(), reason="there are no OpenAPI documents beside the checkout")

WORKSPACE = "https://cloud/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/ws1"
ENDPOINT = Exchange(
    method="PUT",
    url=f"{WORKSPACE}/onlineEndpoints/ep?api-version=2022-02-01-preview",
    request_headers={"user-agent": "azure-ai-ml/1"},
    request_body={"location": "eastus", "properties": {"authMode": "Key"}},
    status=201,
    response_headers={
        "content-type": "application/json; charset=utf-8",
        "azure-asyncoperation": "https://cloud/operation",
        "x-ms-async-operation-timeout": "PT30M",
    },
    response_body={
        "id": "/subscriptions/s",
        "location": "eastus",
        "properties": {"authMode": "Key", "provisioningState": "Creating", "traffic": {"blue": 100}},
        "systemData": {"createdAt": "2023-04-24T04:58:41.9214513+00:00"},
    },
)


@cache
def checker() -> Checker:
    return Checker(OPENAPI)


def check(exchange: Exchange) -> Verdict:
    return checker().check(exchange)


def changed(body: Any, path: str, value: Any) -> Any:
    body = copy.deepcopy(body)
    at = body
    *parents, last = path.split("/")
    for name in parents:
        at = at[name]
    at[last] = value
    return body


def test_all_that_is_wrong_with_an_optional_part_is_said() -> None:
    body = changed(changed(ENDPOINT.response_body, "systemData/a", 1), "systemData/b", 2)

    verdict = check(replace(ENDPOINT, response_body=body))

    assert verdict.response == ("body /systemData: unknown property a", "body /systemData: unknown property b")


def test_an_exchange_as_specified_has_no_deviations() -> None:
    assert check(ENDPOINT) == Verdict("OnlineEndpoints_CreateOrUpdate", (), ())


@pytest.mark.parametrize(
    ("path", "value", "deviation"),
    [
        ("new", 1, "body /: unknown property new"),
        ("properties/new", 1, "body /properties: unknown property new"),
        ("systemData/new", 1, "body /systemData: unknown property new"),
        ("properties/provisioningState", "Making", "body /properties/provisioningState: 'Making' is not one of"),
        ("properties/traffic/blue", "all", "body /properties/traffic/blue: 'all' is not of type 'integer'"),
        ("systemData/createdAt", "yesterday", "body /systemData/createdAt: 'yesterday' is not a 'date-time'"),
        ("location", None, "body /location: None is not of type 'string'"),
    ],
)
def test_every_part_of_an_answer_is_checked(path: str, value: Any, deviation: str) -> None:
    verdict = check(replace(ENDPOINT, response_body=changed(ENDPOINT.response_body, path, value)))

    assert verdict.request == ()
    assert [message[: len(deviation)] for message in verdict.response or ()] == [deviation]


@pytest.mark.parametrize(
    ("change", "deviation"),
    [
        ({"request_body": {"location": "eastus", "properties": {"authMode": "None"}}}, "body /properties/authMode"),
        ({"request_body": {"location": "eastus", "properties": {"authMode": "Key"}, "x": 1}}, "body /: unknown prop"),
        ({"request_body": {"location": "eastus"}}, "body /: 'properties' is a required property"),
        ({"request_body": None}, "body is missing"),
        ({"url": ENDPOINT.url.replace("/ep?", "/ep%20a?")}, "path endpointName"),
    ],
)
def test_every_part_of_a_request_is_checked(change: dict[str, Any], deviation: str) -> None:
    verdict = check(replace(ENDPOINT, **change))

    assert [message[: len(deviation)] for message in verdict.request or ()] == [deviation]
    assert verdict.response == ()


@pytest.mark.parametrize(
    ("change", "deviation"),
    [
        ({"status": 204}, "status 204 is not declared (200, 201, default)"),
        ({"x-ms-async-operation-timeout": "half an hour"}, "header x-ms-async-operation-timeout"),
        ({"x-ms-async-operation-timeout": None}, "header x-ms-async-operation-timeout is missing"),
        ({"content-type": "text/html"}, "the body's content type is 'text/html'"),
    ],
)
def test_status_and_headers_are_checked(change: dict[str, Any], deviation: str) -> None:
    headers = {**ENDPOINT.response_headers, **{name: value for name, value in change.items() if name != "status"}}
    given = {name: value for name, value in headers.items() if value is not None}
    verdict = check(replace(ENDPOINT, status=change.get("status", 201), response_headers=given))

    assert [message[: len(deviation)] for message in verdict.response or ()] == [deviation]


@pytest.mark.parametrize(
    "url",
    [
        f"{WORKSPACE}/onlineEndpoints/ep?api-version=2031-01-01",
        f"{WORKSPACE}/onlineEndpoints/ep",
        f"{WORKSPACE}/offlineEndpoints/ep?api-version=2022-02-01-preview",
    ],
)
def test_what_no_document_knows_is_a_deviation(url: str) -> None:
    report = judge([replace(ENDPOINT, url=url)], checker())

    assert sum(report.unexplained.values()) == 1


def test_requests_of_tests_that_are_refused_are_not_held_against_the_specification() -> None:
    by_hand = {"user-agent": "python-httpx/1"}
    refused = replace(
        ENDPOINT,
        request_headers=by_hand,
        request_body={},
        status=400,
        response_body={"error": {"code": "UserError", "message": "No."}},
    )

    assert check(refused).request is None
    assert check(replace(refused, request_headers=ENDPOINT.request_headers)).request != ()
    assert check(replace(ENDPOINT, request_headers=by_hand, request_body={})).request != ()


@pytest.mark.parametrize("name", ["-ep", "e" * 300])
def test_a_bad_name_of_an_sdk_is_explained_where_it_is_refused(name: str) -> None:
    bad = replace(ENDPOINT, url=ENDPOINT.url.replace("/ep?", f"/{name}?"))
    refused = replace(bad, status=400, response_body={"error": {"code": "UserError", "message": "No."}})

    assert sum(judge([bad], checker()).unexplained.values()) == 1
    assert judge([refused], checker()).unexplained == {}


def test_answers_that_a_specification_can_tell_apart_are_checked_each() -> None:
    other = replace(ENDPOINT, response_body=changed(ENDPOINT.response_body, "properties/provisioningState", "Making"))
    twin = replace(ENDPOINT, url=ENDPOINT.url.replace("/ep?", "/another-ep-2?"))

    report = judge([ENDPOINT, twin, other, ENDPOINT], checker())

    assert report.exchanges == 4
    assert report.operations["OnlineEndpoints_CreateOrUpdate"].responses == 4
    assert sum(report.unexplained.values()) == 1


@pytest.mark.skipif(not RECORDINGS.is_dir(), reason="there are no recordings beside the checkout")
def test_the_real_services_traffic_deviates_only_where_it_is_known_to() -> None:
    """The judge is judged: what it says of real traffic must be what is known of the service."""
    flows = (
        "online_endpoint_and_deployment_create_delete",
        "pipeline_job_cancel_400",
        "pipeline_job_child_runs",
        "pipeline_job_create_invalid_compute",
    )
    exchanges = [exchange for flow in flows for exchange in load(RECORDINGS, flow)]
    exchanges += load(EXCERPTS, "online_endpoint_e2e_2026-03-03")

    of_known_versions = [e for e in exchanges if checker().knows(e) and not e.url.startswith("https://master")]
    report = judge(of_known_versions, checker())

    assert report.exchanges > 20
    assert report.unexplained == {}
    assert {rule for tally in report.operations.values() for rule in tally.known} == {
        known.id for known in KNOWN if known.fault == "service"
    }


def test_what_has_no_specification_is_held_against_something_that_exists(pytestconfig: pytest.Config) -> None:
    missing = [file for family in FAMILIES for file in family.tests if not (pytestconfig.rootpath / file).is_file()]

    assert missing == []


def test_an_unexplained_deviation_fails_a_run_that_passed(
    tmp_path: Path, run_pytest: Callable[[Path], tuple[int, str]]
) -> None:
    line = {
        "method": "GET",
        "url": f"{WORKSPACE}?api-version=2024-10-01-preview",
        "request_headers": {},
        "request_read": True,
        "request_size": 0,
        "request_body": "",
        "status": 200,
        "response_headers": {"content-type": "application/json"},
        "response_size": 33,
        "response_body": '{"properties": {}, "surprise": 1}',
    }
    (tmp_path / "1.jsonl").write_text(json.dumps(line) + "\n")

    code, output = run_pytest(tmp_path)

    assert " failed" not in output
    assert "UNEXPLAINED DEVIATIONS: 1 different" in output
    assert "unknown property surprise" in output
    assert code == pytest.ExitCode.TESTS_FAILED


@pytest.fixture
def run_pytest(pytestconfig: pytest.Config) -> Callable[[Path], tuple[int, str]]:
    """One quick test of ours in another process, with the exchanges in a folder."""

    def run(folder: Path) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "tests/unit/test_display_name.py"],
            cwd=pytestconfig.rootpath,
            env={**os.environ, "LOCALCLOUD_EXCHANGES": str(folder)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout

    return run
