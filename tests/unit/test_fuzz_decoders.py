"""Whatever comes in from outside is read or refused by name; no decoder fails in another way.

Paths, `tuning.json` and model tags are fuzzed beside their own tests. Hypothesis takes the same examples each time
where the variable CI is set (its own profile `ci`).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared import names
from shared.config import Settings, setting_name
from shared.datasets.paths import parse_blob_name
from shared.errors import ConfigurationError, PermanentError
from shared.lifecycle.job_events import RUN_COMPLETED, RUN_STATUS_CHANGED, JobEvent, run_that_ended
from shared.lifecycle.queues import parse_blob_message, parse_tuning_message, parse_version_message
from shared.serving.scoring import parse_text
from tests.unit.test_configuration import REQUIRED
from tests.unit.test_job_events import WORKSPACE

Value = TypeVar("Value")

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)
ID = st.text(alphabet=st.characters(codec="ascii", categories=["L", "N"]) | st.sampled_from("-_"), max_size=40)
DATA = st.fixed_dictionaries(
    {},
    optional={
        "runId": ID | JSON,
        "runType": st.sampled_from(["azureml.PipelineRun", "azureml.StepRun"]) | JSON,
        "runStatus": st.sampled_from(["Completed", "Failed", "Running"]) | JSON,
        "runTags": st.dictionaries(st.sampled_from(["azureml.pipelinerunid", "a"]), JSON) | JSON,
    },
)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([WORKSPACE]) | st.text(), st.sampled_from([RUN_COMPLETED, RUN_STATUS_CHANGED]) | JSON, DATA | JSON
)
def test_an_event_names_a_plain_run_id_or_a_reason_why_it_is_ignored(topic: str, kind: Any, data: Any) -> None:
    run_id, ignored = run_that_ended(JobEvent(topic, kind, data), WORKSPACE)
    assert bool(run_id) != bool(ignored)
    if run_id:
        assert topic == WORKSPACE
        assert run_id.isascii()
        assert set(run_id) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
        assert len(run_id) <= 255
    else:
        assert len(ignored) < 500
        assert ignored.isprintable()


def message(*fields: str) -> st.SearchStrategy[bytes]:
    values = st.text(max_size=30) | ID | JSON
    documents = st.fixed_dictionaries({}, optional=dict.fromkeys(fields, values)) | JSON
    return st.binary(max_size=100) | documents.map(lambda value: json.dumps(value).encode())


def parsed(parse: Callable[[bytes], Value], body: bytes) -> Value | PermanentError:
    try:
        return parse(body)
    except PermanentError as error:
        return error


def read_settings(environment: dict[str, str]) -> Settings | ConfigurationError:
    try:
        return Settings.from_environment(environment)
    except ConfigurationError as error:
        return error


@given(message("tuning_id", "due"))
@example(b'{"tuning_id": "a", "due": 7}')
def test_a_message_names_a_tuning_or_is_refused(body: bytes) -> None:
    found = parsed(parse_tuning_message, body)
    if isinstance(found, PermanentError):
        assert found.code == "MalformedMessage"
        return
    assert isinstance(found.tuning_id, str)
    assert isinstance(found.due, str)


@given(message("dataset", "version", "revision"))
@example(b'{"dataset": "a", "version": "../b", "revision": 1}')
@example(b'{"dataset": "a", "version": "b", "revision": true}')
def test_a_message_names_a_version_that_can_be_or_is_refused(body: bytes) -> None:
    found = parsed(parse_version_message, body)
    if isinstance(found, PermanentError):
        assert found.code == "MalformedMessage"
        return
    assert parse_blob_name(f"{found.dataset}/{found.version}/tuning.json").dataset == found.dataset
    assert isinstance(found.revision, int)


@given(message("ContainerName", "BlobName"))
def test_a_message_of_the_host_names_a_blob_of_ours_or_is_refused(body: bytes) -> None:
    found = parsed(parse_blob_message, body)
    if isinstance(found, PermanentError):
        assert found.code == "MalformedMessage"
        return
    assert json.loads(body)["ContainerName"] == names.DATASETS
    assert isinstance(found, str)


NAMES = [setting_name(item) for item in dataclasses.fields(Settings)]
VALUES = st.text(max_size=20) | st.sampled_from(["0", "-1", "1e999", "nan", "true", "10", "0.5", "٣", "1_000"])


@given(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=6))
def test_the_environment_gives_settings_or_an_error_that_names_the_setting(changes: dict[str, str]) -> None:
    found = read_settings({**REQUIRED, **changes})
    if isinstance(found, ConfigurationError):
        assert any(name in str(found) for name in changes)
        return
    for item in dataclasses.fields(Settings):
        value = getattr(found, item.name)
        assert type(value).__name__ == item.type
        minimum = item.metadata["minimum"]
        assert minimum is None or minimum <= value < float("inf")


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
@example(b'"' + b"[" * 10_000 + b'"')
@example(b"[" * 100_000)
@example(b'{"output": "{\\"output\\": 7}"}')
@example(b"9" * 5000)
def test_the_answer_of_an_endpoint_is_a_text_or_none(body: bytes) -> None:
    found = parse_text(body)
    assert found is None or isinstance(found, str)
