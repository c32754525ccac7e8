"""Uploads, conditional reads and copies: on the twin and on Azurite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from shared import names
from shared.blobs import BlobChangedError, UploadedFile
from shared.datasets.blocks import Chunk
from shared.errors import PermanentError
from shared.lifecycle.decide import CopyState
from tests.contract.twins.subject import SMALL_CHUNK, Subject

Fresh = Callable[[str], str]
FILE = "train_sft.jsonl"


@pytest.fixture
def name(fresh: Fresh) -> str:
    return f"{fresh('chats')}/v1/{FILE}"


def seen(cloud: Subject, name: str) -> UploadedFile:
    found = cloud.blobs.uploaded_file(name)
    assert found is not None
    return found


def test_uploads_are_listed_below_their_prefix_in_the_order_of_their_names(cloud: Subject, fresh: Fresh) -> None:
    dataset = fresh("chats")
    for name in (f"{dataset}/v2/b", f"{dataset}/v1/b", f"{dataset}/v1/A", f"{dataset}/v1.1/a", f"{dataset}"):
        cloud.upload(names.DATASETS, name, b"x")
    assert [file.name for file in cloud.blobs.uploaded(f"{dataset}/v1/")] == [f"{dataset}/v1/A", f"{dataset}/v1/b"]
    everything = [file.name for file in cloud.blobs.uploaded()]
    assert everything == sorted(everything)
    assert f"{dataset}/v1.1/a" in everything
    assert list(cloud.blobs.uploaded(f"{dataset}/v3/")) == []


def test_a_listing_and_a_look_at_one_upload_say_the_same(cloud: Subject, name: str) -> None:
    before = cloud.now() - timedelta(seconds=2)
    cloud.upload(names.DATASETS, name, b"12345")
    (listed,) = cloud.blobs.uploaded(name)
    assert listed == seen(cloud, name)
    assert (listed.name, listed.size) == (name, 5)
    assert before <= listed.last_modified <= cloud.now() + timedelta(seconds=1)
    assert listed.etag
    assert '"' not in listed.etag


def test_an_upload_that_is_not_there_is_none(cloud: Subject, name: str) -> None:
    assert cloud.blobs.uploaded_file(name) is None
    cloud.upload(names.DATASETS, name, b"x")
    cloud.remove(names.DATASETS, name)
    assert cloud.blobs.uploaded_file(name) is None


def test_the_same_content_uploaded_again_is_another_etag(cloud: Subject, name: str) -> None:
    cloud.upload(names.DATASETS, name, b"x")
    first = seen(cloud, name)
    cloud.upload(names.DATASETS, name, b"x")
    assert seen(cloud, name).etag != first.etag


@pytest.mark.parametrize("size", [0, 1, SMALL_CHUNK, SMALL_CHUNK + 1, 3 * SMALL_CHUNK])
def test_an_upload_is_read_in_chunks(cloud: Subject, name: str, size: int) -> None:
    content = bytes(number % 251 for number in range(size))
    cloud.upload(names.DATASETS, name, content)
    chunks = list(cloud.small_chunks.read_uploaded(name, seen(cloud, name).etag))
    assert b"".join(chunks) == content
    assert all(chunks) or size == 0


@pytest.mark.parametrize("content", [b"", b"second"])
def test_an_upload_that_was_overwritten_is_not_read(cloud: Subject, name: str, content: bytes) -> None:
    cloud.upload(names.DATASETS, name, b"first")
    etag = seen(cloud, name).etag
    cloud.upload(names.DATASETS, name, content)
    with pytest.raises(BlobChangedError, match=name) as caught:
        next(cloud.blobs.read_uploaded(name, etag))
    assert caught.value.code == "DatasetChanged"
    assert isinstance(caught.value, PermanentError)


def test_an_upload_that_was_deleted_is_not_read(cloud: Subject, name: str) -> None:
    cloud.upload(names.DATASETS, name, b"first")
    etag = seen(cloud, name).etag
    cloud.remove(names.DATASETS, name)
    with pytest.raises(BlobChangedError):
        next(cloud.blobs.read_uploaded(name, etag))


def test_an_upload_that_is_overwritten_in_the_middle_is_read_as_it_was_or_no_further(cloud: Subject, name: str) -> None:
    cloud.upload(names.DATASETS, name, b"1" * 3 * SMALL_CHUNK)
    chunks = cloud.small_chunks.read_uploaded(name, seen(cloud, name).etag)
    first = next(chunks)
    cloud.upload(names.DATASETS, name, b"2" * 3 * SMALL_CHUNK)
    assert _rest(first, chunks) in (b"1" * 3 * SMALL_CHUNK, None)


def test_an_upload_that_is_deleted_in_the_middle_is_read_as_it_was_or_no_further(cloud: Subject, name: str) -> None:
    cloud.upload(names.DATASETS, name, b"1" * 3 * SMALL_CHUNK)
    chunks = cloud.small_chunks.read_uploaded(name, seen(cloud, name).etag)
    first = next(chunks)
    cloud.remove(names.DATASETS, name)
    assert _rest(first, chunks) in (b"1" * 3 * SMALL_CHUNK, None)


def _rest(first: Chunk, chunks: Iterator[Chunk]) -> bytes | None:
    """Everything, or None if the blob is said to have changed."""
    try:
        return bytes(first) + b"".join(chunks)
    except BlobChangedError:
        return None


def test_an_upload_can_be_read_from_its_beginning_again(cloud: Subject, name: str) -> None:
    cloud.upload(names.DATASETS, name, b"1" * 3 * SMALL_CHUNK)
    content = cloud.small_chunks.uploaded_content(name, seen(cloud, name).etag)
    assert b"".join(content) == b"".join(content) == b"1" * 3 * SMALL_CHUNK
    cloud.upload(names.DATASETS, name, b"2")
    with pytest.raises(BlobChangedError):
        list(content)


def test_a_part_of_a_snapshot_can_be_read(cloud: Subject, fresh: Fresh) -> None:
    tuning = fresh("t")
    cloud.blobs.write_snapshot(tuning, FILE, b"0123456789")
    assert cloud.blobs.snapshot_size(tuning, FILE) == 10
    assert cloud.blobs.read_snapshot_range(tuning, FILE, 3, 4) == b"3456"
    assert cloud.blobs.read_snapshot_range(tuning, FILE, 8, 4) == b"89"
    assert cloud.blobs.read_snapshot_range(tuning, FILE, 10, 4) == b""
    assert cloud.blobs.read_snapshot_range(tuning, "gone", 0, 4) is None
    assert cloud.blobs.snapshot_size(tuning, "gone") is None


def test_what_a_compressed_split_holds_is_written_once(cloud: Subject, fresh: Fresh) -> None:
    tuning = fresh("t")
    cloud.blobs.write_expanded(iter([b"first ", b"content"]), tuning, FILE)
    cloud.blobs.write_expanded(iter([b"second"]), tuning, FILE)
    assert cloud.blobs.read_snapshot(tuning, FILE) == b"first content"
    assert cloud.blobs.copy_states(tuning, (FILE,)) == {FILE: CopyState.DONE}


def test_a_report_has_a_page(cloud: Subject, fresh: Fresh) -> None:
    tuning = fresh("t")
    assert cloud.blobs.read_report_page(tuning) is None
    cloud.blobs.write_report_page(tuning, b"<!doctype html>")
    assert cloud.blobs.read_report_page(tuning) == b"<!doctype html>"


def test_what_was_read_to_its_end_is_not_asked_for_again(cloud: Subject, name: str) -> None:
    cloud.upload(names.DATASETS, name, b"1" * SMALL_CHUNK)
    chunks = cloud.small_chunks.read_uploaded(name, seen(cloud, name).etag)
    next(chunks)
    cloud.upload(names.DATASETS, name, b"2")
    assert list(chunks) == []


def test_an_upload_is_copied_while_it_is_the_one_that_was_seen(cloud: Subject, name: str, fresh: Fresh) -> None:
    tuning = fresh("t")
    cloud.upload(names.DATASETS, name, b"first")
    assert cloud.blobs.copy_states(tuning, (FILE, "test_sft.jsonl")) == {
        FILE: CopyState.ABSENT,
        "test_sft.jsonl": CopyState.ABSENT,
    }
    cloud.blobs.begin_copy(name, seen(cloud, name).etag, tuning, FILE)
    assert cloud.blobs.copy_states(tuning, (FILE, "test_sft.jsonl")) == {
        FILE: CopyState.DONE,
        "test_sft.jsonl": CopyState.ABSENT,
    }
    cloud.upload(names.DATASETS, name, b"second")
    assert cloud.blobs.read_snapshot(tuning, FILE) == b"first"


def test_a_copy_that_is_there_stays_as_it_is(cloud: Subject, name: str, fresh: Fresh) -> None:
    tuning = fresh("t")
    cloud.upload(names.DATASETS, name, b"first")
    cloud.blobs.begin_copy(name, seen(cloud, name).etag, tuning, FILE)
    cloud.upload(names.DATASETS, name, b"second")
    cloud.blobs.begin_copy(name, seen(cloud, name).etag, tuning, FILE)
    assert cloud.blobs.copy_states(tuning, (FILE,)) == {FILE: CopyState.DONE}
    assert cloud.blobs.read_snapshot(tuning, FILE) == b"first"


def test_what_changed_since_it_was_seen_is_not_copied(cloud: Subject, name: str, fresh: Fresh) -> None:
    tuning = fresh("t")
    cloud.upload(names.DATASETS, name, b"first")
    etag = seen(cloud, name).etag
    cloud.upload(names.DATASETS, name, b"second")
    with pytest.raises(BlobChangedError, match=name):
        cloud.blobs.begin_copy(name, etag, tuning, FILE)
    cloud.remove(names.DATASETS, name)
    with pytest.raises(BlobChangedError, match=name):
        cloud.blobs.begin_copy(name, etag, tuning, FILE)
    assert cloud.blobs.copy_states(tuning, (FILE,)) == {FILE: CopyState.ABSENT}
    assert cloud.blobs.read_snapshot(tuning, FILE) is None


def test_what_is_written_over_a_copy_counts_as_done(cloud: Subject, fresh: Fresh) -> None:
    tuning = fresh("t")
    cloud.blobs.write_snapshot(tuning, FILE, b"x")
    assert cloud.blobs.copy_states(tuning, (FILE,)) == {FILE: CopyState.DONE}


def test_snapshots_and_reports_are_written_over_and_read_whole(cloud: Subject, fresh: Fresh) -> None:
    tuning = fresh("t")
    assert cloud.blobs.read_report(tuning) is None
    assert cloud.blobs.read_snapshot(tuning, "smoke.json") is None
    for content in (b"first", b"", b"third" * SMALL_CHUNK):
        cloud.blobs.write_report(tuning, content)
        cloud.blobs.write_snapshot(tuning, "smoke.json", content)
        assert cloud.blobs.read_report(tuning) == content
        assert cloud.blobs.read_snapshot(tuning, "smoke.json") == content
    assert cloud.blobs.snapshot_url(tuning, FILE).startswith("https://")
    assert cloud.blobs.snapshot_url(tuning, FILE).endswith(f"/tunings/{tuning}/{FILE}")


def test_event_grid_hears_of_uploads_copies_and_deletions(cloud: Subject, name: str, fresh: Fresh) -> None:
    tuning = fresh("t")
    cloud.upload(names.DATASETS, name, b"first")
    cloud.blobs.begin_copy(name, seen(cloud, name).etag, tuning, FILE)
    cloud.remove(names.DATASETS, name)
    folder = "/blobServices/default/containers"
    subjects = (f"{folder}/datasets/blobs/{name}", f"{folder}/tunings/blobs/{tuning}/{FILE}")

    def look() -> list[tuple[str, str, object]]:
        found = [
            (event.type, event.subject, event.data["api"]) for event in cloud.events() if event.subject in subjects
        ]
        return found if len(found) >= 3 else []

    assert sorted(cloud.until(look)) == [
        ("Microsoft.Storage.BlobCreated", subjects[0], "PutBlob"),
        ("Microsoft.Storage.BlobCreated", subjects[1], "CopyBlob"),
        ("Microsoft.Storage.BlobDeleted", subjects[0], "DeleteBlob"),
    ]
