"""The two schemas of an event, dead letters, and the store."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from localcloud.config import STORAGE_ACCOUNT_ID
from localcloud.eventgrid.events import (
    DeadLetterInfo,
    Event,
    InvalidEventError,
    from_cloud_event,
    from_event_grid_schema,
    system_event,
    timestamp,
    to_dead_letter,
    to_wire,
)
from localcloud.eventgrid.store import Accepted, LogPosition, Result, Store

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1795370135.25
SUBJECT = "/blobServices/default/containers/datasets/blobs/chat/v1/train_sft.jsonl"
CREATED = "Microsoft.Storage.BlobCreated"
EVENT = system_event(STORAGE_ACCOUNT_ID, CREATED, SUBJECT, {"api": "PutBlob"}, NOW)


def test_a_system_event_in_the_event_grid_schema_has_all_eight_properties() -> None:
    wire = to_wire(EVENT, "EventGridSchema")

    assert wire == {
        "topic": STORAGE_ACCOUNT_ID,
        "subject": SUBJECT,
        "eventType": CREATED,
        "id": EVENT.id,
        "data": {"api": "PutBlob"},
        "dataVersion": "",
        "metadataVersion": "1",
        "eventTime": "2026-11-22T17:55:35.2500000Z",
    }


def test_the_same_event_as_cloud_event_names_its_topic_as_source() -> None:
    wire = to_wire(EVENT, "CloudEventSchemaV1_0")

    assert wire == {
        "specversion": "1.0",
        "source": STORAGE_ACCOUNT_ID,
        "subject": SUBJECT,
        "type": CREATED,
        "id": EVENT.id,
        "data": {"api": "PutBlob"},
        "time": "2026-11-22T17:55:35.2500000Z",
    }


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the first text takes a second
@given(
    st.fixed_dictionaries(
        {
            "specversion": st.just("1.0"),
            "id": st.text(min_size=1),
            "source": st.text(min_size=1),
            "type": st.text(min_size=1),
            "time": st.just("2026-11-22T17:55:35Z"),
            "data": st.dictionaries(st.text(), st.integers() | st.text(), min_size=1),
        },
        optional={"subject": st.text(min_size=1), "traceparent": st.text(), "datacontenttype": st.text()},
    )
)
def test_a_cloud_event_comes_out_as_it_went_in(published: dict[str, object]) -> None:
    assert to_wire(from_cloud_event("lifecycle", published, NOW), "CloudEventSchemaV1_0") == published


def test_a_published_event_of_the_event_grid_schema_gets_the_topic_of_azure() -> None:
    published = {
        "id": "1",
        "subject": "tunings/a",
        "eventType": "Done",
        "eventTime": timestamp(NOW),
        "data": [1],
        "dataVersion": "2",
    }

    wire = to_wire(from_event_grid_schema("lifecycle", published), "EventGridSchema")

    assert str(wire.pop("topic")).endswith("/providers/Microsoft.EventGrid/topics/lifecycle")
    assert wire == {**published, "metadataVersion": "1"}


@pytest.mark.parametrize(
    "published",
    [
        "text",
        {},
        {"specversion": "0.3", "id": "1", "source": "s", "type": "t"},
        {"specversion": "1.0", "id": "", "source": "s", "type": "t"},
        {"specversion": "1.0", "id": 7, "source": "s", "type": "t"},
        {"specversion": "1.0", "id": "1", "type": "t"},
    ],
)
def test_what_is_no_cloud_event_is_refused(published: object) -> None:
    with pytest.raises(InvalidEventError):
        from_cloud_event("lifecycle", published, NOW)


INFO = DeadLetterInfo("MaxDeliveryAttemptsExceeded", 3, "NotFound", 404, NOW, NOW + 60)


def test_a_dead_letter_says_why_and_when() -> None:
    letter = to_dead_letter(EVENT, "EventGridSchema", INFO)

    assert letter["id"] == EVENT.id
    assert letter["deadLetterReason"] == "MaxDeliveryAttemptsExceeded"
    assert letter["deliveryAttempts"] == 3
    assert letter["lastDeliveryOutcome"] == "NotFound"
    assert letter["lastHttpStatusCode"] == 404
    assert letter["publishTime"] == "2026-11-22T17:55:35.2500000Z"
    assert letter["lastDeliveryAttemptTime"] == "2026-11-22T17:56:35.2500000Z"


def test_a_dead_cloud_event_has_lower_case_attributes() -> None:
    letter = to_dead_letter(EVENT, "CloudEventSchemaV1_0", INFO)

    assert letter["deadletterreason"] == "MaxDeliveryAttemptsExceeded"
    assert all(name == name.lower() for name in letter)


def test_an_event_that_was_never_tried_has_no_time_of_a_last_attempt() -> None:
    info = DeadLetterInfo("TimeToLiveExceeded", 0, "Probation", None, NOW, None)

    letter = to_dead_letter(EVENT, "EventGridSchema", info)

    assert letter.keys() & {"lastDeliveryAttemptTime", "lastHttpStatusCode"} == set()
    assert (letter["deliveryAttempts"], letter["lastDeliveryOutcome"]) == (0, "Probation")


def test_events_and_read_position_are_written_together_or_not_at_all(tmp_path: Path) -> None:
    store = Store(tmp_path / "grid.db")
    unwritable = Event("2", "t", "t", "T", "s", "now", data={1, 2})
    good = Accepted(EVENT, ("a",), due=0)

    with pytest.raises(TypeError):
        store.accept([good, Accepted(unwritable, ("a",), due=0)], NOW, read=("azurite.log", LogPosition(1, 100)))

    assert store.since(0, 10) == []
    assert store.schedule("a", 10) == []
    assert store.position("azurite.log") is None
    store.close()


def test_a_subscription_that_was_deleted_is_owed_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "grid.db")
    store.accept([Accepted(EVENT, ("kept", "gone"), due=0)], NOW)

    assert store.drop_all_except(["kept"]) == 1

    assert len(store.schedule("kept", 10)) == 1
    assert store.schedule("gone", 10) == []
    [record] = store.since(0, 10)
    assert {d.subscription: d.state for d in record.deliveries} == {"kept": "pending", "gone": "dropped"}
    store.close()


def test_a_result_of_an_event_that_was_acknowledged_meanwhile_changes_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "grid.db")
    store.accept([Accepted(EVENT, ("a",), due=0)], NOW)
    [(number, _)] = store.schedule("a", 10)

    store.record([Result(number, "delivered", 1, "Delivered", 200, NOW)])
    store.record([Result(number, "pending", 2, "TimedOut", None, NOW, due=NOW + 10)])

    assert store.schedule("a", 10) == []
    [record] = store.since(0, 10)
    assert [(d.state, d.attempts) for d in record.deliveries] == [("delivered", 1)]
    store.close()


def test_a_database_of_an_earlier_version_is_taken_over(tmp_path: Path) -> None:
    store = Store(tmp_path / "grid.db")
    store.accept([Accepted(EVENT, ("a",), due=0)], NOW)
    store.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "grid.db")) as database:
        database.execute("ALTER TABLE deliveries DROP COLUMN reason")

    store = Store(tmp_path / "grid.db")

    assert [delivery.event for delivery in store.deliveries([1])] == [EVENT]
    store.close()


def test_what_is_stored_comes_back_equal(tmp_path: Path) -> None:
    published = {"specversion": "1.0", "id": "1", "source": "s", "type": "t", "data": None, "ext": "x"}
    event = from_cloud_event("lifecycle", json.loads(json.dumps(published)), NOW)
    store = Store(tmp_path / "grid.db")

    store.accept([Accepted(event, ("a",), due=0)], NOW)

    [(delivery_id, _)] = store.schedule("a", 10)
    [delivery] = store.deliveries([delivery_id])
    assert delivery.event == event
    store.close()
