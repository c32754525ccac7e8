"""Names obey Azure ML's rules and never run into each other."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from shared import names

DATASET = st.from_regex(r"[a-z0-9](-?[a-z0-9]){0,25}", fullmatch=True)
VERSION = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,30}[A-Za-z0-9])?", fullmatch=True)
FINGERPRINT = st.text("0123456789abcdef", min_size=64, max_size=64)
AZURE_ML_NAME = re.compile(r"[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?")
WORKSPACE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"


@given(DATASET, st.integers(1, 999))
def test_endpoint_names_are_valid_and_differ_between_generations(dataset: str, generation: int) -> None:
    name = names.endpoint_name(WORKSPACE, dataset, generation)
    assert AZURE_ML_NAME.fullmatch(name)
    assert 3 <= len(name) <= 32
    assert name != names.endpoint_name(WORKSPACE, dataset, generation + 1)


def test_endpoint_names_differ_between_workspaces_and_between_long_datasets() -> None:
    long = "a" * 40
    assert names.endpoint_name(WORKSPACE, "chats", 1) != names.endpoint_name(WORKSPACE + "2", "chats", 1)
    assert names.endpoint_name(WORKSPACE, long, 1) != names.endpoint_name(WORKSPACE, long[:-1] + "b", 1)


@given(FINGERPRINT, st.integers(1, 99))
def test_deployment_names_are_valid(fingerprint: str, attempt: int) -> None:
    name = names.deployment_name(fingerprint, attempt)
    assert AZURE_ML_NAME.fullmatch(name)
    assert 3 <= len(name) <= 32


@given(DATASET, VERSION, FINGERPRINT, st.integers(1, 99))
def test_a_job_leads_back_to_its_tuning(dataset: str, version: str, fingerprint: str, attempt: int) -> None:
    tuning = names.tuning_id(dataset, version, fingerprint)
    job = names.job_name(tuning, attempt)
    assert re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,254}", job)
    assert names.tuning_of_job(job) == tuning


@given(FINGERPRINT, st.integers(1, 99))
def test_model_versions_sort_by_age_and_fit(fingerprint: str, attempt: int) -> None:
    early = names.model_version(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), fingerprint, attempt)
    late = names.model_version(datetime(2026, 1, 2, 3, 4, 6, tzinfo=UTC), fingerprint, attempt)
    assert early < late
    assert re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,29}", late)


def test_parts_of_a_digest_do_not_run_into_each_other() -> None:
    assert names.digest("ab", "c", length=16) != names.digest("a", "bc", length=16)
