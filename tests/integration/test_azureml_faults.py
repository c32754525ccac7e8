"""Faults by operation, over HTTP: what a client sees, and what the cloud has done meanwhile."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from localcloud.config import WORKSPACE_ID, EventSubscription
from tests.integration.azureml_support import ENDPOINT, Cloud, RecordingSink, environment, new_config, running
from tests.soak.cloud import SoakCloud, soak_cloud
from tests.soak.flow import Arm, Flow

if TYPE_CHECKING:
    from collections.abc import Iterator

CREATE = {"operation": "OnlineEndpoints_CreateOrUpdate"}
LIST = {"operation": "OnlineEndpoints_List"}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Without storage."""
    config = new_config(tmp_path_factory.mktemp("faults"))
    with running(config) as cloud, environment(config):
        yield cloud


@pytest.fixture(autouse=True)
def no_faults_left(cloud: Cloud) -> Iterator[None]:
    yield
    cloud.control("DELETE", "/faults")


def inject(cloud: Cloud, **rule: Any) -> None:
    cloud.control("POST", "/faults", [rule])


def names(cloud: Cloud) -> set[str]:
    return {item["name"] for item in cloud.arm("GET", "/onlineEndpoints").json()["value"]}


def test_an_operation_fails_by_its_name_and_its_neighbours_do_not(cloud: Cloud) -> None:
    inject(cloud, **CREATE, status=503)

    listed = cloud.arm("GET", "/onlineEndpoints")
    refused = cloud.arm("PUT", "/onlineEndpoints/by-name", ENDPOINT)
    accepted = cloud.arm("PUT", "/onlineEndpoints/by-name", ENDPOINT)

    assert [answer.status_code for answer in (listed, refused, accepted)] == [200, 503, 201]


@pytest.mark.parametrize("after_commit", [False, True])
def test_a_closed_connection_leaves_the_work_done_or_not(cloud: Cloud, after_commit: bool) -> None:
    name = f"closed-{after_commit}"
    inject(cloud, **CREATE, drop=True, after_commit=after_commit)

    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        cloud.arm("PUT", f"/onlineEndpoints/{name}", ENDPOINT)

    assert (name in names(cloud)) is after_commit


@pytest.mark.parametrize("after_commit", [False, True])
def test_a_delay_passes_before_the_answer_whether_the_work_comes_first_or_not(cloud: Cloud, after_commit: bool) -> None:
    inject(cloud, **LIST, delay=0.3, after_commit=after_commit)

    begun = time.monotonic()
    answer = cloud.arm("GET", "/onlineEndpoints")

    assert answer.status_code == 200
    assert time.monotonic() - begun >= 0.3


def test_a_trickle_is_the_true_answer_in_small_pieces(cloud: Cloud) -> None:
    expected = cloud.arm("GET", "/onlineEndpoints").json()
    inject(cloud, **LIST, trickle=0.3)

    begun = time.monotonic()
    headers = {"Authorization": f"Bearer {cloud.token()}"}
    path = "/onlineEndpoints?api-version=2023-04-01-preview"
    with cloud.http.stream("GET", WORKSPACE_ID + path, headers=headers) as answer:
        pieces = list(answer.iter_raw())

    assert time.monotonic() - begun >= 0.28
    assert len(pieces) > 5
    assert httpx.Response(200, content=b"".join(pieces)).json() == expected


def test_a_trickle_that_is_dropped_ends_in_the_middle(cloud: Cloud) -> None:
    inject(cloud, **LIST, trickle=0.02, drop=True)

    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
        cloud.arm("GET", "/onlineEndpoints")


def test_the_request_log_names_operation_and_fault(cloud: Cloud) -> None:
    inject(cloud, **LIST, status=429)
    [rule] = cloud.control("GET", "/faults")

    cloud.arm("GET", "/onlineEndpoints")
    cloud.arm("GET", "/onlineEndpoints")

    lines = cloud.control("GET", "/requests?operation=OnlineEndpoints_List")[-2:]
    assert [(line["status"], line["fault"]) for line in lines] == [(429, rule["number"]), (200, None)]
    assert {line["operation"] for line in lines} == {"OnlineEndpoints_List"}


def test_secrets_in_a_query_are_not_logged(cloud: Cloud) -> None:
    cloud.http.get("/discovery?sig=hidden&code=hidden&x=shown")

    [line] = cloud.control("GET", "/requests?operation=Discovery_Get")
    assert line["query"] == "sig=...&code=...&x=shown"


def test_a_server_in_a_process_of_others_is_not_ended_by_a_fault(cloud: Cloud) -> None:
    inject(cloud, **LIST, crash=True)

    assert cloud.arm("GET", "/onlineEndpoints").status_code == 500
    assert cloud.arm("GET", "/onlineEndpoints").status_code == 200


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoakCloud]:
    """In a process of its own, with Event Grid. Nobody listens at the subscription's endpoint."""
    nobody = EventSubscription("nobody", WORKSPACE_ID, "http://127.0.0.1:9/")
    with soak_cloud(tmp_path_factory.mktemp("own"), event_subscriptions=(nobody,)) as own:
        yield own


def test_every_operation_that_can_be_named_is_listed_once_with_a_name_of_its_own(own: SoakCloud) -> None:
    operations = own.control("GET", "operations")
    keys = [(operation["method"], operation["template"]) for operation in operations]

    assert len(keys) == len(set(keys)) > 30
    assert [operation for operation in operations if " " in operation["name"]] == []
    assert not any(operation["template"].startswith("/_localcloud") for operation in operations)


def test_a_crash_after_the_work_keeps_the_work(own: SoakCloud) -> None:
    own.control("POST", "faults", [{**CREATE, "crash": True, "after_commit": True}])
    cloud = Cloud(own.config, RecordingSink())
    with pytest.raises(httpx.RemoteProtocolError):
        cloud.arm("PUT", "/onlineEndpoints/survives", ENDPOINT)
    assert own.process.wait(10) == -9
    own.restart()
    assert "survives" in names(cloud)
    assert own.impossible() == []
    cloud.close()


def test_events_are_lost_and_doubled_by_the_rules_of_the_same_control(own: SoakCloud) -> None:
    own.control("POST", "faults", [{"event": "*.RunCompleted", "lose": True, "times": 9}])
    own.control("POST", "faults", [{"event": "*.ModelRegistered", "duplicate": 1, "reorder": 60}])
    arm = Arm(own.config)
    Flow(arm, "eventful").run()
    arm.close()

    events = own.control("GET", "events")["events"]
    kinds: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        kinds.setdefault(event["eventType"].rpartition(".")[2], []).append(event)
    assert {event["lost"] for event in kinds["RunCompleted"]} == {True}
    assert {len(event["deliveries"]) for event in kinds["ModelRegistered"]} == {2}
    assert {len(event["deliveries"]) for event in kinds["RunStatusChanged"]} == {1}
