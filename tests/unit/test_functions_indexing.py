"""The SDK engine of the local Functions host loads and refuses apps as the Python worker does."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import pytest
from azurefunctions.extensions.base import ModuleTrackerMeta

from localcloud.functions.engine import IndexingError
from localcloud.functions.sdk_engine import index_app
from tests.integration.functions_app_sample.bad_apps import BAD_APPS, GOOD_APPS
from tests.integration.functions_app_sample.harness import SAMPLE_APP

if TYPE_CHECKING:
    from pathlib import Path

    from localcloud.functions.sdk_engine import LoadedFunction


@pytest.fixture
def new_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test imports its own function_app; no other test's import of handlers makes it one with HTTP streams."""
    monkeypatch.setattr(ModuleTrackerMeta, "_module", None)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "function_app", raising=False)
    return tmp_path


def index(app: Path, source: str) -> list[LoadedFunction]:
    (app / "function_app.py").write_text(source)
    try:
        return index_app(app)
    finally:
        sys.modules.pop("function_app", None)


@pytest.mark.parametrize("source", BAD_APPS.values(), ids=BAD_APPS.keys())
def test_an_app_that_the_worker_refuses_is_refused(new_app: Path, source: str) -> None:
    with pytest.raises(IndexingError):
        index(new_app, source)


@pytest.mark.parametrize("source", GOOD_APPS.values(), ids=GOOD_APPS.keys())
def test_an_app_that_the_worker_accepts_is_accepted(new_app: Path, source: str) -> None:
    assert [function.metadata.name for function in index(new_app, source)] == ["one"]


def test_the_refusal_names_function_and_parameter(new_app: Path) -> None:
    with pytest.raises(IndexingError, match=r"cannot load the one function: .*\['other'\]"):
        index(new_app, BAD_APPS["a parameter without a binding"])


def test_a_missing_function_app_is_refused(new_app: Path) -> None:
    with pytest.raises(IndexingError, match="does not exist"):
        index_app(new_app)


def test_the_sample_is_indexed_with_all_that_the_host_needs(new_app: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        functions = {function.metadata.name: function for function in index_app(SAMPLE_APP)}
    on_blob = functions["on_blob"].metadata
    assert on_blob.deferred == {"client"}
    assert on_blob.trigger.text("source") == "EventGrid"
    assert functions["on_stream"].metadata.deferred == frozenset()
    assert functions["guarded"].metadata.trigger.text("authLevel") == "FUNCTION"
    assert functions["guarded"].metadata.trigger.text("route") == "guarded"
    assert functions["guarded"].signature.wants_context
    retry = functions["retrying"].metadata.retry
    assert retry is not None
    assert (retry.max_retry_count, retry.minimum_delay) == (2, 0.0)
