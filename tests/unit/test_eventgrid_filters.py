"""Which event subscription wants which event, and what a subscription may ask for."""

from __future__ import annotations

from typing import Any

import pytest

from localcloud.config import STORAGE_ACCOUNT_ID, AdvancedFilter, CloudConfig, EventSubscription, Ports
from localcloud.eventgrid.advanced_filters import matches
from localcloud.eventgrid.events import Event, from_cloud_event
from localcloud.eventgrid.subscriptions import check, wants

CREATED = "Microsoft.Storage.BlobCreated"
SUBJECT = "/blobServices/default/containers/datasets/blobs/chat/v1/train_sft.jsonl"
DATA: dict[str, Any] = {
    "api": "PutBlob",
    "contentLength": 512,
    "ratio": 0.5,
    "on": True,
    "nothing": None,
    "storageDiagnostics": {"batchId": "b1"},
    "tags": ["Red", "green", 7],
    "sizes": [1, 50],
}
EVENT = Event("1", STORAGE_ACCOUNT_ID, STORAGE_ACCOUNT_ID, CREATED, SUBJECT, "2026-11-22T17:55:35Z", DATA, "2")


def subscription(**settings: Any) -> EventSubscription:
    return EventSubscription(**{"name": "sub", "topic": STORAGE_ACCOUNT_ID, "endpoint": "http://x", **settings})


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({}, True),
        ({"event_types": (CREATED,)}, True),
        ({"event_types": ("All",)}, True),
        ({"event_types": ("Microsoft.Storage.BlobDeleted",)}, False),
        ({"subject_begins_with": "/blobServices/default/containers/datasets/"}, True),
        ({"subject_begins_with": "/BLOBSERVICES/default/containers/Datasets/"}, True),
        ({"subject_begins_with": "/BLOBSERVICES/", "is_subject_case_sensitive": True}, False),
        ({"subject_begins_with": "/blobServices/", "is_subject_case_sensitive": True}, True),
        ({"subject_begins_with": "/blobServices/default/containers/other/"}, False),
        ({"subject_ends_with": ".JSONL"}, True),
        ({"subject_ends_with": ".JSONL", "is_subject_case_sensitive": True}, False),
        ({"subject_ends_with": ".csv"}, False),
        ({"topic": STORAGE_ACCOUNT_ID.upper()}, True),
        ({"topic": "lifecycle"}, False),
        ({"advanced_filters": (AdvancedFilter("StringIn", "data.api", ("PutBlob",)),)}, True),
        (
            {
                "advanced_filters": (
                    AdvancedFilter("StringIn", "data.api", ("PutBlob",)),
                    AdvancedFilter("NumberLessThan", "data.contentLength", (10,)),
                )
            },
            False,
        ),
    ],
)
def test_a_subscription_wants_what_passes_all_its_filters(filters: dict[str, Any], wanted: bool) -> None:
    assert wants(subscription(**filters), EVENT) is wanted


FITS = [
    ("NumberIn", "data.contentLength", (5, 512), True),
    ("NumberIn", "data.contentLength", (5,), False),
    ("NumberIn", "data.ratio", (0.5,), True),
    ("NumberIn", "data.on", (1,), False),
    ("NumberNotIn", "data.contentLength", (5,), True),
    ("NumberNotIn", "data.contentLength", (512,), False),
    ("NumberLessThan", "data.contentLength", (513,), True),
    ("NumberLessThan", "data.contentLength", (512,), False),
    ("NumberGreaterThan", "data.contentLength", (511,), True),
    ("NumberGreaterThan", "data.contentLength", (512,), False),
    ("NumberLessThanOrEquals", "data.contentLength", (512,), True),
    ("NumberLessThanOrEquals", "data.contentLength", (511,), False),
    ("NumberGreaterThanOrEquals", "data.contentLength", (512,), True),
    ("NumberGreaterThanOrEquals", "data.contentLength", (513,), False),
    ("NumberInRange", "data.contentLength", ((1, 2), (512, 600)), True),
    ("NumberInRange", "data.contentLength", ((1, 511.9),), False),
    ("NumberNotInRange", "data.contentLength", ((1, 2),), True),
    ("NumberNotInRange", "data.contentLength", ((1, 512),), False),
    ("BoolEquals", "data.on", (True,), True),
    ("BoolEquals", "data.on", (False,), False),
    ("BoolEquals", "data.contentLength", (True,), False),
    ("StringContains", "Subject", ("nowhere", "/CHAT/"), True),
    ("StringContains", "subject", ("/other/",), False),
    ("StringNotContains", "subject", ("/other/",), True),
    ("StringNotContains", "subject", ("/other/", "/chat/"), False),
    ("StringBeginsWith", "EventType", ("microsoft.storage",), True),
    ("StringBeginsWith", "eventType", ("Storage",), False),
    ("StringNotBeginsWith", "type", ("Storage",), True),
    ("StringNotBeginsWith", "type", ("Microsoft.",), False),
    ("StringEndsWith", "subject", (".JSONL",), True),
    ("StringEndsWith", "subject", (".csv",), False),
    ("StringNotEndsWith", "subject", (".csv",), True),
    ("StringNotEndsWith", "subject", (".csv", ".jsonl"), False),
    ("StringIn", "data.storageDiagnostics.batchId", ("B1",), True),
    ("StringIn", "data.storageDiagnostics", ("b1",), False),
    ("StringIn", "Topic", (STORAGE_ACCOUNT_ID.upper(),), True),
    ("StringIn", "ID", ("1",), True),
    ("StringIn", "dataVersion", ("2",), True),
    ("StringNotIn", "data.api", ("CopyBlob",), True),
    ("StringNotIn", "data.api", ("PUTBLOB",), False),
    ("IsNullOrUndefined", "data.nothing", (), True),
    ("IsNullOrUndefined", "data.missing", (), True),
    ("IsNullOrUndefined", "data.api", (), False),
    ("IsNullOrUndefined", "data.on", (), False),
    ("IsNotNull", "data.api", (), True),
    ("IsNotNull", "data.nothing", (), False),
    ("IsNotNull", "data.missing.deeper", (), False),
]


@pytest.mark.parametrize(("operator", "key", "values", "fits"), FITS)
def test_an_operator_compares_as_azure_does(operator: str, key: str, values: tuple[Any, ...], fits: bool) -> None:
    advanced = AdvancedFilter(operator, key, values)
    check(subscription(advanced_filters=(advanced,)))

    assert matches(advanced, EVENT, arrays=False) is fits


@pytest.mark.parametrize(
    ("operator", "value", "fits"),
    [
        *((operator, 1, False) for operator in ("NumberIn", "NumberLessThan", "NumberGreaterThan")),
        *((operator, 1, False) for operator in ("NumberLessThanOrEquals", "NumberGreaterThanOrEquals")),
        ("NumberInRange", (0, 1), False),
        ("BoolEquals", True, False),
        *((f"String{operator}", "a", False) for operator in ("Contains", "BeginsWith", "EndsWith", "In")),
        *((f"StringNot{operator}", "a", False) for operator in ("Contains", "BeginsWith", "EndsWith")),
        ("NumberNotIn", 1, True),
        ("StringNotIn", "a", True),
    ],
)
def test_an_event_without_the_key_matches_only_where_azure_says_so(operator: str, value: object, fits: bool) -> None:
    assert matches(AdvancedFilter(operator, "data.missing", (value,)), EVENT, arrays=False) is fits


@pytest.mark.parametrize(
    ("operator", "key", "values", "fits"),
    [
        ("StringIn", "data.tags", ("blue", "RED"), True),
        ("StringIn", "data.tags", ("blue",), False),
        ("StringNotIn", "data.tags", ("green",), False),
        ("StringNotIn", "data.tags", ("blue",), True),
        ("NumberIn", "data.tags", (7,), True),
        ("NumberGreaterThan", "data.sizes", (49,), True),
        ("NumberNotInRange", "data.sizes", ((40, 60),), False),
    ],
)
def test_arrays_are_looked_into_only_when_that_is_switched_on(
    operator: str, key: str, values: tuple[Any, ...], fits: bool
) -> None:
    advanced = AdvancedFilter(operator, key, values)

    assert matches(advanced, EVENT, arrays=True) is fits
    assert matches(advanced, EVENT, arrays=False) is ("Not" in operator)


def test_a_cloud_event_is_filtered_by_its_own_names_and_its_extensions() -> None:
    raw = {"specversion": "1.0", "id": "i", "source": "/s", "type": "T", "tenant": "a", "data": {"n": 1}}
    event = from_cloud_event("lifecycle", raw, 0)

    for key, value in (("source", "/s"), ("type", "t"), ("specversion", "1.0"), ("tenant", "A")):
        assert matches(AdvancedFilter("StringIn", key, (value,)), event, arrays=False)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"name": "no"}, "name"),
        ({"name": "under_score"}, "name"),
        ({"endpoint": "ftp://x"}, "HTTP URL"),
        ({"endpoint": "http://x:port"}, "HTTP URL"),
        ({"endpoint": "http://"}, "HTTP URL"),
        ({"schema": "CustomInputSchema"}, "schema"),
        ({"max_events_per_batch": 5001}, "between 1 and 5000"),
        ({"preferred_batch_kilobytes": 1025}, "between 1 and 1024"),
        ({"max_delivery_attempts": 31}, "between 1 and 30"),
        ({"event_ttl_minutes": 0}, "between 1 and 1440"),
        ({"advanced_filters": (AdvancedFilter("StringIn", "a", ("b",)),) * 26}, "at most 25 advanced filters"),
        ({"advanced_filters": (AdvancedFilter("StringIn", "a", ("b",) * 13),) * 2}, "at most 25 values"),
        ({"advanced_filters": (AdvancedFilter("StringIn", "a", ("b" * 513,)),)}, "too long"),
        ({"advanced_filters": (AdvancedFilter("StringIn", "", ("b",)),)}, "no key"),
        ({"advanced_filters": (AdvancedFilter("StringIn", "a"),)}, "takes values"),
        ({"advanced_filters": (AdvancedFilter("StringIs", "a", ("b",)),)}, "no operator"),
        ({"advanced_filters": (AdvancedFilter("NumberIn", "a", ("5",)),)}, "wrong type"),
        ({"advanced_filters": (AdvancedFilter("NumberIn", "a", (True,)),)}, "wrong type"),
        ({"advanced_filters": (AdvancedFilter("NumberLessThan", "a", (1, 2)),)}, "one value"),
        ({"advanced_filters": (AdvancedFilter("NumberInRange", "a", ((2, 1),)),)}, "wrong type"),
        ({"advanced_filters": (AdvancedFilter("NumberInRange", "a", (2,)),)}, "wrong type"),
        ({"advanced_filters": (AdvancedFilter("BoolEquals", "a", ("true",)),)}, "wrong type"),
        ({"advanced_filters": (AdvancedFilter("IsNotNull", "a", (1,)),)}, "no values"),
    ],
)
def test_what_azure_refuses_is_refused(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        check(subscription(**settings))


def test_all_that_azure_allows_is_allowed() -> None:
    filters = (AdvancedFilter("StringIn", "a", ("b" * 512,)),) * 25

    check(subscription(name="s" * 64, advanced_filters=filters, max_events_per_batch=5000, event_ttl_minutes=1440))


def test_subscriptions_come_back_from_the_configuration_file_as_they_went_in(tmp_path: Any) -> None:
    wanted = subscription(
        event_types=(CREATED,),
        advanced_filters=(AdvancedFilter("NumberIn", "data.contentLength", (512,)),),
        filters_on_arrays=True,
        dead_letter_container="letters",
    )
    config = CloudConfig(str(tmp_path), Ports(*range(6)), "secret", (), event_subscriptions=(wanted,))
    config.save()

    assert CloudConfig.load(config.file) == config
