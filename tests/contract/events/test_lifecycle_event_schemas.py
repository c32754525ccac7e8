"""Every type of lifecycle event has a schema in docs/events, and what the app publishes fits it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from shared.lifecycle.events import TYPE_PREFIX
from shared.lifecycle.tuning import State, Tuning
from tests.contract.events.schemas import FOLDER, schemas
from tests.contract.twins.real_subject import real_subject
from tests.integration.whole_life import Life, at_once


def test_the_schemas_in_the_docs_are_those_of_the_code() -> None:
    """Write them anew: python -m tests.contract.events.schemas"""
    written = {file.stem: json.loads(file.read_text()) for file in FOLDER.glob("*.json")}
    assert written == schemas()


def test_every_state_has_a_schema() -> None:
    assert {f"{TYPE_PREFIX}tuning.{state}" for state in State} <= schemas().keys()


def test_the_docs_name_every_type() -> None:
    text = (FOLDER.parent / "events.md").read_text()
    assert [kind for kind in schemas() if f"`{kind}`" not in text] == []


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Tuning, list[dict[str, Any]]]]:
    with real_subject(tmp_path_factory.mktemp("cloud")) as subject:
        tuning = Life(subject, at_once(subject)).drop("announced")
        events = subject.control("GET", "/events?since=0")["events"]
        yield tuning, [event for event in events if event["eventType"].startswith(TYPE_PREFIX)]


@pytest.mark.localcloud
def test_what_a_main_job_publishes_fits_its_schemas(published: tuple[Tuning, list[dict[str, Any]]]) -> None:
    tuning, events = published
    assert tuning.state is State.LIVE, tuning.reason
    kinds = {event["eventType"] for event in events}
    assert {f"{TYPE_PREFIX}tuning.{state}" for state in ("preparing", "training", "deploying", "live")} <= kinds
    for event in events:
        envelope = {
            "specversion": "1.0",
            "id": event["id"],
            "source": event["source"],
            "type": event["eventType"],
            "subject": event["subject"],
            "time": event["eventTime"],
            "data": event["data"],
        }
        jsonschema.validate(envelope, schemas()[event["eventType"]], format_checker=jsonschema.FormatChecker())


@pytest.mark.parametrize("damage", [{"surprise": 1}, {"state": "nowhere"}, {"reason": "because"}, {"tuning": None}])
def test_a_schema_refuses_what_does_not_fit(damage: dict[str, Any]) -> None:
    kind = f"{TYPE_PREFIX}tuning.live"
    texts = ("tuning", "dataset", "version", "message", "job", "model", "endpoint", "deployment")
    data: dict[str, Any] = {**dict.fromkeys(texts, "x"), "state": "live", "reason": None}
    event = {"specversion": "1.0", "id": "x:1", "source": "/s", "type": kind, "subject": "tunings/x"}
    good = {**event, "time": "2026-11-27T00:00:00+00:00", "data": data}
    jsonschema.validate(good, schemas()[kind])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**good, "data": {**data, **damage}}, schemas()[kind])


def test_no_file_is_left_of_a_type_that_is_no_more() -> None:
    assert {file.stem for file in Path(FOLDER).glob("*.json")} == schemas().keys()
