"""The ledger, the queues and the blobs on Azurite, with managed identity: what the lifecycle relies on."""

from __future__ import annotations

import gzip
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest
from azure.data.tables import TableServiceClient
from azure.identity import ManagedIdentityCredential
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from localcloud.config import CloudConfig
from localcloud.ports import allot_ports
from localcloud.stack import LocalCloud
from shared import names
from shared.blobs import BlobChangedError, Blobs
from shared.datasets.gzip_stream import expanded
from shared.datasets.source import Source
from shared.datasets.validation import validate_split
from shared.errors import PermanentError, RaceLostError
from shared.lifecycle.decide import CopyState
from shared.lifecycle.ledger import Ledger, Versioned
from shared.lifecycle.queues import (
    TuningMessage,
    VersionMessage,
    WakeUps,
    parse_tuning_message,
    parse_version_message,
)
from shared.lifecycle.records import DatasetVersion, EndpointRecord, VersionState
from shared.lifecycle.tuning import MAX_HISTORY, State, Tuning
from shared.serving.sample import draw_samples
from shared.serving.snapshot_lines import SnapshotLines

pytestmark = pytest.mark.localcloud
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Storage:
    ledger: Ledger
    wake_ups: WakeUps
    blobs: Blobs
    queue_service: QueueServiceClient
    blob_service: BlobServiceClient


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    state = tmp_path_factory.mktemp("cloud")
    config = CloudConfig(state_dir=str(state), ports=allot_ports(state), identity_header="secret", models=())
    before = dict(os.environ)
    with LocalCloud(config, persistent=False) as cloud:
        cloud.create_storage(containers=names.CONTAINERS, queues=names.QUEUES, tables=names.TABLES)
        os.environ.update(cloud.client_environment())
        credential = ManagedIdentityCredential()
        queues = QueueServiceClient(config.queue_url, credential=credential)
        blobs = BlobServiceClient(config.blob_url, credential=credential)
        tables = TableServiceClient(config.table_url, credential=credential)
        yield Storage(Ledger(tables), WakeUps(queues), Blobs(blobs), queues, blobs)
        for service in (queues, blobs, tables):
            service.close()
        credential.close()
    os.environ.clear()
    os.environ.update(before)


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


def test_a_row_comes_back_as_it_was_written(storage: Storage) -> None:
    row = tuning("roundtrip")
    for number in range(MAX_HISTORY):
        row = row.noted(NOW, f"{number} ä" + "x" * 400)
    storage.ledger.put(Versioned(row, ""))
    found = storage.ledger.tuning("roundtrip")
    assert found is not None
    assert found.value == row
    assert row in [item.value for item in storage.ledger.tunings()]


def test_a_row_that_exists_can_not_be_inserted_again(storage: Storage) -> None:
    storage.ledger.put(Versioned(tuning("twice"), ""))
    with pytest.raises(RaceLostError):
        storage.ledger.put(Versioned(tuning("twice"), ""))


def test_who_read_an_older_row_loses_the_race(storage: Storage) -> None:
    first = storage.ledger.put(Versioned(tuning("race"), ""))
    second = storage.ledger.put(replace(first, value=first.value.waiting(NOW, 1)))
    with pytest.raises(RaceLostError):
        storage.ledger.put(replace(first, value=first.value.waiting(NOW, 2)))
    storage.ledger.put(replace(second, value=second.value.waiting(NOW, 3)))


def test_of_many_writers_at_once_one_wins(storage: Storage) -> None:
    row = storage.ledger.put(Versioned(tuning("many"), ""))
    won: list[int] = []

    def write(number: int) -> None:
        try:
            storage.ledger.put(replace(row, value=row.value.waiting(NOW, number)))
        except RaceLostError:
            return
        won.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1


def test_versions_and_endpoint_records_have_rows_of_their_own(storage: Storage) -> None:
    version = DatasetVersion(
        dataset="chats",
        version="2026-11-22",
        state=VersionState.COLLECTING,
        files={"train_sft.jsonl": "e"},
        first_seen=NOW,
        changed_at=NOW,
        wake_at=NOW,
    )
    storage.ledger.put(Versioned(version, ""))
    found = storage.ledger.version("chats", "2026-11-22")
    assert found is not None
    assert found.value == version
    assert storage.ledger.endpoint("never-seen").value == EndpointRecord(dataset="never-seen")
    record = storage.ledger.endpoint("chats")
    storage.ledger.put(replace(record, value=record.value.joined("t1", "chats-abc")))
    assert storage.ledger.endpoint("chats").value.tenants == ("t1",)


def test_wake_ups_arrive_as_they_were_sent_and_not_before_their_time(storage: Storage) -> None:
    storage.wake_ups.tuning("now")
    storage.wake_ups.tuning("later", delay=3600)
    storage.wake_ups.version(VersionMessage("chats", "v1", 7), 0)
    progress = storage.queue_service.get_queue_client(names.DEPLOYMENT_PROGRESS_QUEUE)
    settled = storage.queue_service.get_queue_client(names.DATASET_SETTLED_QUEUE)
    bodies = [_decoded(message.content) for message in progress.receive_messages()]
    assert [parse_tuning_message(body) for body in bodies] == [TuningMessage("now")]
    (message,) = settled.receive_messages()
    assert parse_version_message(_decoded(message.content)) == VersionMessage("chats", "v1", 7)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"tuning_id": 7}', b"\xff", b"[" * 100_000])
def test_a_message_that_is_none_of_ours_is_refused(body: bytes) -> None:
    with pytest.raises(PermanentError, match="MalformedMessage"):
        parse_tuning_message(body)


def test_an_upload_is_read_and_copied_only_while_it_is_the_one_that_was_seen(storage: Storage) -> None:
    blob = storage.blob_service.get_blob_client(names.DATASETS, "chats/v1/train_sft.jsonl")
    blob.upload_blob(b"first", overwrite=True)
    (seen,) = list(storage.blobs.uploaded("chats/v1/"))
    assert b"".join(storage.blobs.read_uploaded(seen.name, seen.etag)) == b"first"
    assert storage.blobs.copy_states("t1", ("train_sft.jsonl",)) == {"train_sft.jsonl": CopyState.ABSENT}
    storage.blobs.begin_copy(seen.name, seen.etag, "t1", "train_sft.jsonl")
    assert storage.blobs.copy_states("t1", ("train_sft.jsonl",)) == {"train_sft.jsonl": CopyState.DONE}

    blob.upload_blob(b"second", overwrite=True)
    with pytest.raises(BlobChangedError):
        list(storage.blobs.read_uploaded(seen.name, seen.etag))
    with pytest.raises(BlobChangedError):
        storage.blobs.begin_copy(seen.name, seen.etag, "t2", "train_sft.jsonl")
    assert storage.blobs.read_snapshot("t1", "train_sft.jsonl") == b"first"


def test_a_compressed_upload_becomes_plain_lines_where_the_job_reads_them(storage: Storage) -> None:
    content = b"".join(b'{"row": %d, "text": "%s"}\n' % (number, b"x" * 200) for number in range(50_000))
    blob = storage.blob_service.get_blob_client(names.DATASETS, "chats/v2/train_sft.jsonl.gz")
    blob.upload_blob(gzip.compress(content, 1), overwrite=True)
    (seen,) = list(storage.blobs.uploaded("chats/v2/"))
    upload = storage.blobs.uploaded_content(seen.name, seen.etag)

    storage.blobs.write_expanded(expanded(upload, max_bytes=10**9, max_ratio=1_000), "t3", "train_sft.jsonl")
    storage.blobs.write_expanded([b"a second writer of the same content"], "t3", "train_sft.jsonl")

    assert len(content) > 10_000_000
    assert storage.blobs.read_snapshot("t3", "train_sft.jsonl") == content
    assert storage.blobs.copy_states("t3", ("train_sft.jsonl",)) == {"train_sft.jsonl": CopyState.DONE}


def test_an_upload_that_is_replaced_while_it_is_expanded_leaves_no_snapshot(storage: Storage) -> None:
    blob = storage.blob_service.get_blob_client(names.DATASETS, "chats/v3/train_sft.jsonl.gz")
    blob.upload_blob(gzip.compress(b"first"), overwrite=True)
    (seen,) = list(storage.blobs.uploaded("chats/v3/"))
    blob.upload_blob(gzip.compress(b"second"), overwrite=True)
    upload = storage.blobs.uploaded_content(seen.name, seen.etag)

    with pytest.raises(BlobChangedError):
        storage.blobs.write_expanded(expanded(upload, max_bytes=10**9, max_ratio=1_000), "t4", "train_sft.jsonl")

    assert storage.blobs.copy_states("t4", ("train_sft.jsonl",)) == {"train_sft.jsonl": CopyState.ABSENT}


def test_a_sample_is_read_with_a_few_bytes_by_the_index(storage: Storage) -> None:
    lines = [b'{"messages": [{"role": "user", "content": "%d"}]}\n' % number for number in range(3_000)]
    report = validate_split(Source("test_gen", [b"".join(lines)]))
    storage.blobs.write_snapshot("t5", "test_gen.jsonl", b"".join(lines))
    storage.blobs.write_snapshot("t5", "smoke_index.bin", report.index)
    snapshot = SnapshotLines(storage.blobs, "t5", "test_gen.jsonl", "smoke_index.bin")

    assert snapshot.count() == 3_000
    assert [snapshot.read(number) for number in (0, 1_234, 2_999)] == [lines[0], lines[1_234], lines[2_999]]
    assert draw_samples(snapshot, seed=3, count=2) == draw_samples(snapshot, seed=3, count=2)
    for gone in (
        SnapshotLines(storage.blobs, "t5", "a", "b"),
        SnapshotLines(storage.blobs, "t5", "a", "smoke_index.bin"),
    ):
        with pytest.raises(PermanentError, match="NoSample"):
            draw_samples(gone, seed=3, count=1)


def test_a_report_has_a_page_beside_it(storage: Storage) -> None:
    storage.blobs.write_report_page("t6", b"<!doctype html>")

    page = storage.blob_service.get_blob_client(names.REPORTS, "t6.html")
    assert page.get_blob_properties().content_settings.content_type == "text/html; charset=utf-8"
    assert storage.blobs.read_report_page("t6") == b"<!doctype html>"
    assert storage.blobs.read_report_page("t7") is None


def test_an_empty_upload_is_read_as_nothing(storage: Storage) -> None:
    storage.blob_service.get_blob_client(names.DATASETS, "chats/v4/train_sft.jsonl").upload_blob(b"", overwrite=True)
    (seen,) = list(storage.blobs.uploaded("chats/v4/"))

    assert list(storage.blobs.read_uploaded(seen.name, seen.etag)) == []


def test_what_is_not_there_is_none(storage: Storage) -> None:
    assert storage.blobs.read_report("never") is None
    assert storage.blobs.uploaded_file("never/v1/train_sft.jsonl") is None
    assert storage.ledger.tuning("never") is None


def _decoded(content: str) -> bytes:
    import base64

    return base64.b64decode(content)
