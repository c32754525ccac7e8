"""The ledger: on the twin and on Azurite's tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.errors import RaceLostError, TransientError
from shared.lifecycle.ledger import Versioned
from shared.lifecycle.listing import Listing, Place
from shared.lifecycle.own_requests import MinuteOfRequests
from shared.lifecycle.records import DatasetVersion, EndpointRecord, LastCall, VersionState
from shared.lifecycle.tuning import MAX_HISTORY, Reason, SmokeResult, Split, State, Tuning
from shared.serving.smoke_report import Figures
from tests.contract.twins.subject import Subject

Fresh = Callable[[str], str]
NOW = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)


def tuning(name: str) -> Tuning:
    return Tuning(
        id=name,
        dataset="chats",
        version="v1",
        fingerprint="a" * 64,
        state=State.TRAINING,
        created_at=NOW,
        state_since=NOW,
        wake_at=NOW,
    )


def test_the_job_slots_are_one_row_that_is_written_by_compare_and_swap(cloud: Subject) -> None:
    row = cloud.ledger.job_slots()
    changed = row.value.claimed(tuning("holder")).joined(tuning("waits"))
    written = cloud.ledger.put(replace(row, value=changed))
    assert cloud.ledger.job_slots() == written
    with pytest.raises(RaceLostError):
        cloud.ledger.put(row)
    cloud.ledger.put(replace(written, value=changed.left(["holder", "waits"])))


def test_the_last_call_of_a_dataset_is_a_row_of_its_own(cloud: Subject, fresh: Fresh) -> None:
    name = fresh("called")
    assert cloud.ledger.usage(name) is None
    written = cloud.ledger.put(Versioned(LastCall(dataset=name, at=NOW), ""))
    assert cloud.ledger.usage(name) == written
    with pytest.raises(RaceLostError):
        cloud.ledger.put(Versioned(LastCall(dataset=name, at=NOW), ""))
    later = cloud.ledger.put(replace(written, value=LastCall(dataset=name, at=NOW + timedelta(minutes=1))))
    assert later in list(cloud.ledger.usages())


def full(name: str) -> Tuning:
    row = replace(
        tuning(name),
        splits=(Split("train_sft", "0x8D", 10, 2, "f" * 64),),
        parameters={"learning_rate": "5e-06"},
        smoke_expectations={"must_contain": ["ä"], "max_latency_seconds": 2.5, "min_characters": None},
        own_requests=(MinuteOfRequests(NOW, 2),),
        smoke=SmokeResult(True, 0.25, 200, "fine", NOW, Figures(5, 0, 0.2, 0.25, 0.4, 0.2), Figures(5, 1, 0.2, 0.3)),
        outcome=State.ROLLED_BACK,
        reason=Reason("SmokeTestFailed", "\u2028 it said ''nothing'' ☃"),
        failed_stage=State.TESTING,
    )
    for number in range(MAX_HISTORY + 5):
        row = row.noted(NOW, f"{number} ä" + "x" * 400)
    return row


def version(dataset: str, name: str, files: dict[str, str] | None = None) -> DatasetVersion:
    return DatasetVersion(
        dataset=dataset,
        version=name,
        state=VersionState.COLLECTING,
        files={} if files is None else files,
        first_seen=NOW,
        changed_at=NOW,
        wake_at=NOW,
    )


def test_a_row_comes_back_as_it_was_written(cloud: Subject, fresh: Fresh) -> None:
    row = full(fresh("t"))
    written = cloud.ledger.put(Versioned(row, ""))
    found = cloud.ledger.tuning(row.id)
    assert found == Versioned(row, written.etag)
    assert written.value == row
    assert written.etag


def test_a_row_that_was_never_written_is_none(cloud: Subject, fresh: Fresh) -> None:
    assert cloud.ledger.tuning(fresh("t")) is None
    assert cloud.ledger.version(fresh("d"), "v1") is None


@pytest.mark.parametrize("name", ["it's", "with space", "ä", "a%2Fb", "..", "x" * 400])
def test_a_row_is_not_found_under_a_strange_name_either(cloud: Subject, name: str) -> None:
    assert cloud.ledger.tuning(name) is None


def test_an_endpoint_record_that_was_never_written_is_of_the_first_generation(cloud: Subject, fresh: Fresh) -> None:
    dataset = fresh("d")
    row = cloud.ledger.endpoint(dataset)
    assert row == Versioned(EndpointRecord(dataset=dataset), "")
    cloud.ledger.put(replace(row, value=row.value.joined("t1", "e1")))
    assert cloud.ledger.endpoint(dataset).value.tenants == ("t1",)


def test_a_row_that_exists_can_not_be_inserted_again(cloud: Subject, fresh: Fresh) -> None:
    name = fresh("t")
    cloud.ledger.put(Versioned(tuning(name), ""))
    with pytest.raises(RaceLostError) as caught:
        cloud.ledger.put(Versioned(full(name), ""))
    assert isinstance(caught.value, TransientError)
    assert caught.value.retry_after == 1
    found = cloud.ledger.tuning(name)
    assert found is not None
    assert found.value == tuning(name)


def test_who_read_an_older_row_loses_the_race(cloud: Subject, fresh: Fresh) -> None:
    first = cloud.ledger.put(Versioned(tuning(fresh("t")), ""))
    second = cloud.ledger.put(replace(first, value=first.value.waiting(NOW, 1)))
    with pytest.raises(RaceLostError):
        cloud.ledger.put(replace(first, value=first.value.waiting(NOW, 2)))
    third = cloud.ledger.put(replace(second, value=second.value.waiting(NOW, 3)))
    assert cloud.ledger.tuning(first.value.id) == third


def test_the_first_of_two_inserts_of_an_endpoint_record_wins(cloud: Subject, fresh: Fresh) -> None:
    row = cloud.ledger.endpoint(fresh("d"))
    cloud.ledger.put(replace(row, value=row.value.joined("t1", "e1")))
    with pytest.raises(RaceLostError):
        cloud.ledger.put(replace(row, value=row.value.joined("t2", "e1")))


def test_writing_the_same_content_changes_the_etag_too(cloud: Subject, fresh: Fresh) -> None:
    first = cloud.ledger.put(Versioned(tuning(fresh("t")), ""))
    second = cloud.ledger.put(first)
    assert second.etag != first.etag
    with pytest.raises(RaceLostError):
        cloud.ledger.put(first)


def test_reading_does_not_change_the_etag(cloud: Subject, fresh: Fresh) -> None:
    written = cloud.ledger.put(Versioned(tuning(fresh("t")), ""))
    assert cloud.ledger.tuning(written.value.id) == written
    assert cloud.ledger.tuning(written.value.id) == written
    assert written in list(cloud.ledger.tunings())


def test_a_row_that_is_to_be_replaced_and_is_not_there_is_a_lost_race(cloud: Subject, fresh: Fresh) -> None:
    other = cloud.ledger.put(Versioned(tuning(fresh("t")), ""))
    with pytest.raises(RaceLostError):
        cloud.ledger.put(replace(other, value=tuning(fresh("other"))))


def test_rows_are_listed_in_the_order_of_their_keys_and_of_their_kind_only(cloud: Subject, fresh: Fresh) -> None:
    ids = [fresh(name) for name in ("b", "a", "C", "a.b")]
    for name in ids:
        cloud.ledger.put(Versioned(tuning(name), ""))
    dataset = fresh("d")
    for name in ("v2", "v1"):
        cloud.ledger.put(Versioned(version(dataset, name), ""))
        cloud.ledger.put(Versioned(version(f"{dataset}-more", name), ""))
    record = cloud.ledger.endpoint(dataset)
    cloud.ledger.put(record)
    assert [row.value.id for row in cloud.ledger.tunings() if row.value.id in ids] == sorted(ids)
    found = [(row.value.dataset, row.value.version) for row in cloud.ledger.versions()]
    assert [item for item in found if item[0].startswith(dataset)] == [
        (dataset, "v1"),
        (dataset, "v2"),
        (f"{dataset}-more", "v1"),
        (f"{dataset}-more", "v2"),
    ]
    assert record.value in [row.value for row in cloud.ledger.endpoints()]


def test_what_is_changed_in_memory_after_the_write_is_not_in_the_row(cloud: Subject, fresh: Fresh) -> None:
    files = {"train_sft.jsonl": "0x1"}
    row = version(fresh("d"), "v1", files)
    cloud.ledger.put(Versioned(row, ""))
    files["test_sft.jsonl"] = "0x2"
    found = cloud.ledger.version(row.dataset, "v1")
    assert found is not None
    assert found.value.files == {"train_sft.jsonl": "0x1"}
    found.value.files["test_gen.jsonl"] = "0x3"
    again = cloud.ledger.version(row.dataset, "v1")
    assert again is not None
    assert again.value.files == {"train_sft.jsonl": "0x1"}


def test_a_page_of_tunings_shows_the_newest_of_a_dataset_without_what_grows(cloud: Subject, fresh: Fresh) -> None:
    dataset = fresh("d")
    rows = [
        replace(full(f"{dataset}-v1-{name}"), dataset=dataset, created_at=NOW + timedelta(seconds=number))
        for number, name in enumerate("cab")
    ]
    for row in [*rows, replace(tuning(f"{dataset}-more-v1-x"), dataset=f"{dataset}-more")]:
        cloud.ledger.put(Versioned(row, ""))
    found = cloud.ledger.page(Listing(limit=2, dataset=dataset))
    assert [row.id for row in found] == [f"{dataset}-v1-b", f"{dataset}-v1-a"]
    assert [row.reason for row in found] == [rows[2].reason, rows[1].reason]
    rest = cloud.ledger.page(Listing(limit=2, dataset=dataset, after=Place.of(found[-1])))
    assert [row.id for row in rest] == [f"{dataset}-v1-c"]
    assert cloud.ledger.page(Listing(dataset=dataset, after=Place.of(rest[-1]))) == []


def test_a_page_of_tunings_shows_the_wanted_states_as_they_are_now(cloud: Subject, fresh: Fresh) -> None:
    dataset = fresh("d")
    first = cloud.ledger.put(Versioned(replace(tuning(f"{dataset}-v1-1"), dataset=dataset), ""))
    wanted = Listing(dataset=dataset, states=frozenset({State.TRAINING, State.QUEUED}))
    assert [row.id for row in cloud.ledger.page(wanted)] == [first.value.id]
    cloud.ledger.put(replace(first, value=replace(first.value, state=State.LIVE)))
    assert cloud.ledger.page(wanted) == []
    assert [row.state for row in cloud.ledger.page(Listing(dataset=dataset))] == [State.LIVE]
    assert cloud.ledger.page(Listing(dataset=dataset, states=frozenset())) == []


def test_tunings_are_counted_by_state(cloud: Subject, fresh: Fresh) -> None:
    before = cloud.ledger.counts()
    for number, state in enumerate([State.LIVE, State.LIVE, State.FAILED]):
        name = fresh("d")
        cloud.ledger.put(Versioned(replace(tuning(f"{name}-v1-{number}"), state=state), ""))
    assert cloud.ledger.counts() - before == {State.LIVE: 2, State.FAILED: 1}


def test_versions_that_have_no_tuning_yet_are_found_by_their_dataset(cloud: Subject, fresh: Fresh) -> None:
    dataset = fresh("d")
    for name in ("v2", "v1"):
        cloud.ledger.put(Versioned(version(dataset, name), ""))
    cloud.ledger.put(Versioned(replace(version(dataset, "v3"), state=VersionState.TAKEN), ""))
    cloud.ledger.put(Versioned(version(f"{dataset}-more", "v1"), ""))
    assert [row.version for row in cloud.ledger.collecting(dataset)] == ["v1", "v2"]
    assert {dataset, f"{dataset}-more"} <= {row.dataset for row in cloud.ledger.collecting()}
