"""Each test asks one question that the documentation leaves open, and names the answers that droptune copes with."""

from __future__ import annotations

import io
import json
from datetime import timedelta

import pytest

from shared.azureml.sdk import pipeline_specification
from shared.clock import utc_now
from shared.errors import PermanentError, TransientError
from shared.idle.series import Series, floor_minute
from tests.azure.facts import Facts
from tests.azure.target import Target

pytestmark = pytest.mark.localcloud


def test_a_blob_that_is_not_there_and_a_condition_that_it_is(cloud: Target, facts: Facts) -> None:
    from azure.core import MatchConditions
    from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError

    name = f"{cloud.run}/condition.txt"
    blob = cloud.services._blobs._blob("tunings", name)
    try:
        blob.upload_blob(b"x", overwrite=True, match_condition=MatchConditions.IfPresent)
        outcome = "it is written all the same"
        cloud.blobs.append(name)
    except (ResourceModifiedError, ResourceNotFoundError) as error:
        outcome = f"it is refused with {error.status_code}"
    handled = ("it is written all the same", "it is refused with 412", "it is refused with 404")
    facts.record("If-Match: * for a blob that is not there", outcome, handled)


def test_a_job_that_is_submitted_twice(cloud: Target, facts: Facts) -> None:
    """`submit_job` after a crash: whether it was submitted is not known."""
    from azure.ai.ml import load_job
    from azure.core.exceptions import AzureError

    name = f"{cloud.run}-job"
    request = cloud.job(name)
    cloud.jobs.append(name)
    cloud.services._sdk.submit_job(request)
    again = load_job(io.StringIO(json.dumps(pipeline_specification(request))))
    try:
        cloud.services._sdk._workspace.jobs.create_or_update(again, skip_validation=True)
        outcome = "accepted"
    except AzureError as error:
        outcome = "refused: already exists" if "already exists" in str(error) else f"refused: {error}"
    cloud.services._sdk.submit_job(request)
    facts.record("an identical job under the same name", outcome, ("accepted", "refused: already exists"))


def test_a_tag_that_is_left_out(cloud: Target, facts: Facts, endpoint: str) -> None:
    arm = cloud.services._arm
    arm.set_endpoint_tags(endpoint, {"first": "changed"})
    found = cloud.until(lambda: (found := arm.get_endpoint(endpoint)) and not found.busy and found)
    assert found.tags["first"] == "changed"
    outcome = "it stays" if "second" in found.tags else "it is removed"
    facts.record("a tag that a PATCH of the endpoint leaves out", outcome, ("it stays", "it is removed"))


def test_a_deployment_without_traffic_is_reached_by_its_name(cloud: Target, facts: Facts, endpoint: str) -> None:
    arm = cloud.services._arm
    there = arm.get_endpoint(endpoint)
    blue = arm.get_deployment(endpoint, "blue")
    assert there is not None
    assert blue is not None
    assert blue.provisioning_state == "Succeeded", arm.deployment_logs(endpoint, "blue", 50)
    messages = [{"role": "user", "content": "Are you there?"}]
    key = arm.endpoint_key(endpoint)
    by_name = cloud.services._scoring.score(there.scoring_uri, key, "blue", messages, 60)
    facts.record("a deployment at 0 % and the header with its name", f"HTTP {by_name.status}", ("HTTP 200",))
    wrong = cloud.services._scoring.score(there.scoring_uri, key, "green", messages, 60)
    assert wrong.problem, "a deployment that is not there must not answer"


def test_minutes_without_a_request_in_the_metrics(cloud: Target, facts: Facts, endpoint: str) -> None:
    there = cloud.services._arm.get_endpoint(endpoint)
    assert there is not None
    end = floor_minute(utc_now()) - timedelta(minutes=1)
    start = end - timedelta(minutes=3)
    found = cloud.services._metrics.requests_per_minute([there.id], start, end)[there.id]
    outcome = "they are there" if isinstance(found, Series) else "they are absent"
    # Absent ones keep the endpoint: an outage could not be told from rest.
    facts.record("minutes without a request in RequestsPerMinute", outcome, ("they are there", "they are absent"))


def test_writing_to_an_endpoint_that_is_busy(cloud: Target, facts: Facts) -> None:
    name = f"{cloud.run}-b"
    arm = cloud.services._arm
    cloud.endpoints.append(name)
    arm.create_endpoint(name, description="droptune verification", tags={})
    try:
        arm.set_endpoint_tags(name, {"while": "busy"})
        outcome = "it is accepted"
    except TransientError:
        outcome = "it is put off"
    except PermanentError as error:
        outcome = f"it is refused: {error.code}"
    cloud.until(lambda: (found := arm.get_endpoint(name)) and not found.busy)
    facts.record("a change of an endpoint that is being made", outcome, ("it is accepted", "it is put off"))


def test_deleting_what_is_gone(cloud: Target, facts: Facts) -> None:
    from azure.core.rest import HttpRequest

    arm = cloud.services._arm
    answer = arm._pipeline().send_request(HttpRequest("DELETE", arm._url(f"onlineEndpoints/{cloud.run}-never")))
    facts.record(
        "deleting an endpoint that is not there",
        f"HTTP {answer.status_code}",
        ("HTTP 200", "HTTP 202", "HTTP 204", "HTTP 404"),
    )
    arm.delete_endpoint(f"{cloud.run}-never")


def test_the_name_of_an_endpoint_that_was_deleted(cloud: Target, facts: Facts) -> None:
    name = f"{cloud.run}-n"
    arm = cloud.services._arm
    cloud.endpoints.append(name)
    arm.create_endpoint(name, description="droptune verification", tags={})
    cloud.until(lambda: (found := arm.get_endpoint(name)) and not found.busy)
    arm.delete_endpoint(name)
    cloud.until(lambda: arm.get_endpoint(name) is None)
    try:
        arm.create_endpoint(name, description="droptune verification", tags={})
        outcome = "it can be had again at once"
    except (TransientError, PermanentError) as error:
        outcome = f"it is refused: {type(error).__name__}"
    handled = ("it can be had again at once", "it is refused: TransientError", "it is refused: PermanentError")
    # droptune never asks for it: what comes back is the next generation.
    facts.record("the name of an endpoint that was just deleted", outcome, handled)


def test_flavors_of_a_registered_model(cloud: Target, facts: Facts, endpoint: str) -> None:
    blue = cloud.services._arm.get_deployment(endpoint, "blue")
    assert blue is not None
    name, version = blue.model.rstrip("/").split("/")[-3::2]
    model = cloud.services._sdk._workspace.models.get(name, version=version)
    outcome = "they are told" if getattr(model, "flavors", None) else "they are not told"
    facts.record("flavors of a registered MLflow model", outcome, ("they are told", "they are not told"))
