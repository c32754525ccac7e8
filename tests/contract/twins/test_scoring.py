"""Scoring and what Monitor counts of it: on the twins and on the emulators, with stand-in models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.azureml.resources import OnlineEndpoint
from shared.idle.series import Series, Unavailable, floor_minute
from tests.contract.twins.subject import Asked, Goes, Subject, deployed, deployment, gone, settled

Models = Mapping[Goes, str]


@pytest.fixture
def served(cloud: Subject, endpoint: str, models: Models) -> OnlineEndpoint:
    """With a deployment `blue` and no traffic, for one test alone."""
    deployed(cloud, endpoint, "blue", models[Goes.WELL])
    return settled(cloud, endpoint)


@pytest.fixture(scope="module")
def shared_one(cloud: Subject, models: Models) -> OnlineEndpoint:
    """The same for tests that only ask it something."""
    cloud.arm.create_endpoint("shared-one", description="", tags={})
    settled(cloud, "shared-one")
    deployed(cloud, "shared-one", "blue", models[Goes.WELL])
    return settled(cloud, "shared-one")


def key_of(cloud: Subject, endpoint: OnlineEndpoint) -> str:
    return cloud.arm.endpoint_key(endpoint.name)


def requests(cloud: Subject, endpoint: OnlineEndpoint) -> float:
    """In the last three minutes, this one included."""
    end = floor_minute(cloud.now()) + timedelta(minutes=1)
    answer = cloud.metrics.requests_per_minute([endpoint.id], end - timedelta(minutes=3), end)[endpoint.id]
    assert isinstance(answer, Series), answer
    assert (answer.start, answer.end) == (end - timedelta(minutes=3), end)
    return sum(answer.minutes.values())


def test_a_deployment_without_traffic_answers_whoever_names_it(cloud: Subject, shared_one: OnlineEndpoint) -> None:
    answer = cloud.ask(shared_one, key_of(cloud, shared_one), "blue", Asked.ANSWERS)
    assert (answer.status, answer.problem) == (200, "")
    assert answer.text.startswith("you said")
    assert 0 < answer.latency_seconds < 20


def test_another_key_is_refused(cloud: Subject, shared_one: OnlineEndpoint) -> None:
    answer = cloud.ask(shared_one, "another key", "blue", Asked.ANSWERS)
    assert (answer.status, answer.text, answer.problem) == (401, None, "HTTP 401")


def test_a_deployment_that_is_not_there_does_not_answer(cloud: Subject, shared_one: OnlineEndpoint) -> None:
    answer = cloud.ask(shared_one, key_of(cloud, shared_one), "green", Asked.ANSWERS)
    assert (answer.status, answer.text, answer.problem) == (404, None, "HTTP 404")


def test_a_deployment_that_is_being_created_does_not_answer(cloud: Subject, endpoint: str, models: Models) -> None:
    found = settled(cloud, endpoint)
    cloud.expect_deployment(Goes.UNLOADABLE)
    cloud.arm.create_deployment(deployment(endpoint, "blue", models[Goes.UNLOADABLE]))
    assert cloud.ask(found, key_of(cloud, found), "blue", Asked.ANSWERS).status == 404
    settled(cloud, endpoint)
    assert cloud.ask(found, key_of(cloud, found), "blue", Asked.ANSWERS).status == 404


def test_a_deployment_goes_on_answering_while_it_is_replaced_and_after_that_failed(
    cloud: Subject, served: OnlineEndpoint, models: Models
) -> None:
    key = key_of(cloud, served)
    failed = deployed(cloud, served.name, "blue", models[Goes.UNLOADABLE], Goes.UNLOADABLE)
    assert failed.provisioning_state == "Failed"
    assert cloud.ask(served, key, "blue", Asked.ANSWERS).status == 200


def test_an_endpoint_that_is_gone_does_not_answer(cloud: Subject, served: OnlineEndpoint) -> None:
    key = key_of(cloud, served)
    cloud.arm.delete_endpoint(served.name)
    gone(cloud, served.name)
    assert cloud.ask(served, key, "blue", Asked.ANSWERS).status == 404


def test_a_model_that_fails_is_a_424_with_its_own_status(cloud: Subject, shared_one: OnlineEndpoint) -> None:
    answer = cloud.ask(shared_one, key_of(cloud, shared_one), "blue", Asked.FAILS)
    assert (answer.status, answer.text, answer.problem) == (424, None, "HTTP 424; the model answered 400")


def test_an_answer_without_a_text_is_a_problem(cloud: Subject, shared_one: OnlineEndpoint) -> None:
    answer = cloud.ask(shared_one, key_of(cloud, shared_one), "blue", Asked.TALKS_NONSENSE)
    assert (answer.status, answer.text, answer.problem) == (200, None, "the answer holds no generated text")


def test_a_model_that_hangs_is_waited_for_no_longer_than_asked(cloud: Subject, shared_one: OnlineEndpoint) -> None:
    answer = cloud.ask(shared_one, key_of(cloud, shared_one), "blue", Asked.HANGS, timeout=0.5)
    assert (answer.status, answer.text, answer.problem) == (0, None, "no complete answer within 0.5 s")
    assert answer.latency_seconds >= 0.5


@pytest.mark.parametrize("uri", ["", "http://127.0.0.1/score", "ftp://127.0.0.1/score", "https:///score"])
def test_the_key_is_sent_to_https_only(cloud: Subject, shared_one: OnlineEndpoint, uri: str) -> None:
    answer = cloud.ask(replace(shared_one, scoring_uri=uri), "key", "blue", Asked.ANSWERS)
    assert (answer.status, answer.text, answer.latency_seconds) == (0, None, 0)
    assert "no https URL" in answer.problem


def test_every_request_counts_also_those_that_were_refused(cloud: Subject, served: OnlineEndpoint) -> None:
    assert requests(cloud, served) == 0
    key = key_of(cloud, served)
    cloud.ask(served, key, "blue", Asked.ANSWERS)
    cloud.ask(served, key, "blue", Asked.FAILS)
    cloud.ask(served, key, "green", Asked.ANSWERS)
    cloud.ask(served, "another key", "blue", Asked.ANSWERS)
    assert requests(cloud, served) == 4


def test_metrics_outlive_their_endpoint(cloud: Subject, served: OnlineEndpoint) -> None:
    cloud.ask(served, key_of(cloud, served), "blue", Asked.ANSWERS)
    cloud.arm.delete_endpoint(served.name)
    gone(cloud, served.name)
    end = floor_minute(cloud.now())
    answer = cloud.metrics.requests_per_minute([served.id], end - timedelta(minutes=2), end)
    assert isinstance(answer[served.id], Series)


def test_one_endpoint_that_never_was_makes_its_whole_batch_unavailable(cloud: Subject, endpoint: str) -> None:
    found = settled(cloud, endpoint)
    never = found.id.replace(endpoint, "never-was")
    end = floor_minute(cloud.now())
    answer = cloud.metrics.requests_per_minute([found.id, never], end - timedelta(minutes=2), end)
    assert set(answer) == {found.id, never}
    assert all(isinstance(item, Unavailable) for item in answer.values())


def test_endpoint_ids_are_compared_without_case(cloud: Subject, endpoint: str) -> None:
    identity = settled(cloud, endpoint).id.replace("onlineEndpoints", "ONLINEENDPOINTS")
    end = floor_minute(cloud.now())
    answer = cloud.metrics.requests_per_minute([identity], end - timedelta(minutes=2), end)
    assert isinstance(answer[identity], Series)


def test_a_time_without_a_whole_minute_has_no_metrics(cloud: Subject, endpoint: str) -> None:
    found = settled(cloud, endpoint)
    start = floor_minute(cloud.now()) - timedelta(minutes=2) + timedelta(seconds=1)
    answer = cloud.metrics.requests_per_minute([found.id], start, start + timedelta(seconds=59))
    assert isinstance(answer[found.id], Unavailable)


def test_a_monitor_that_fails_makes_endpoints_unavailable(cloud: Subject, endpoint: str) -> None:
    found = settled(cloud, endpoint)
    end = floor_minute(cloud.now())
    cloud.monitor(fail=True)
    try:
        answer = cloud.metrics.requests_per_minute([found.id], end - timedelta(minutes=2), end)[found.id]
    finally:
        cloud.monitor()
    assert isinstance(answer, Unavailable)


def test_a_monitor_without_the_newest_minutes_knows_the_older_ones(cloud: Subject, endpoint: str) -> None:
    found = settled(cloud, endpoint)
    end = floor_minute(cloud.now()) + timedelta(minutes=1)
    cloud.monitor(omit_minutes=4)
    try:
        partial = cloud.metrics.requests_per_minute([found.id], end - timedelta(minutes=8), end)[found.id]
        older = end - timedelta(minutes=5)
        complete = cloud.metrics.requests_per_minute([found.id], end - timedelta(minutes=8), older)[found.id]
    finally:
        cloud.monitor()
    assert isinstance(partial, Unavailable)
    assert "minutes are missing" in partial.reason
    assert isinstance(complete, Series)


def test_a_monitor_that_hears_late_shows_no_requests_where_there_were_some(
    cloud: Subject, served: OnlineEndpoint
) -> None:
    cloud.ask(served, key_of(cloud, served), "blue", Asked.ANSWERS)
    cloud.monitor(lag_minutes=3)
    try:
        assert requests(cloud, served) == 0
    finally:
        cloud.monitor()
    assert requests(cloud, served) == 1


def test_the_future_has_no_metrics(cloud: Subject, endpoint: str) -> None:
    found = settled(cloud, endpoint)
    end = floor_minute(cloud.now()) + timedelta(minutes=5)
    answer = cloud.metrics.requests_per_minute([found.id], end - timedelta(minutes=8), end)[found.id]
    assert isinstance(answer, Unavailable)
