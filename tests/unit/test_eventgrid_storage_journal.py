"""The journal of the storage account: what is an operation on a blob, and reading on without losing any."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from localcloud.eventgrid.storage_journal import BlobOperation, forget, parse, read_on
from localcloud.eventgrid.store import LogPosition

if TYPE_CHECKING:
    from pathlib import Path


def line(**changes: Any) -> str:
    entry = {
        "time": 1795370135.25,
        "method": "PUT",
        "path": "/devstoreaccount1/datasets/a/b.jsonl",
        "comp": "",
        "status": 201,
        "etag": '"0x1FAF2D9FC484290"',
        "requestId": "5dd8aea9-b465-4fcb-a845-d7c6d10ad830",
        "clientRequestId": "1f8689a6-e6b9-11f1-adca-02fc00000001",
        "contentType": "text/plain",
        "contentLength": 5,
        "blobType": "BlockBlob",
        "copied": False,
    }
    return json.dumps({**entry, **changes})


def test_an_upload_tells_everything_that_its_event_needs() -> None:
    assert parse(line()) == BlobOperation(
        "PutBlob",
        "datasets",
        "a/b.jsonl",
        1795370135.25,
        "0x1FAF2D9FC484290",
        "5dd8aea9-b465-4fcb-a845-d7c6d10ad830",
        "1f8689a6-e6b9-11f1-adca-02fc00000001",
        "text/plain",
        5,
        "BlockBlob",
    )


@pytest.mark.parametrize(
    ("changes", "api", "told"),
    [
        ({}, "PutBlob", True),
        ({"blobType": "PageBlob"}, "PutBlob", False),
        ({"contentLength": -1}, "PutBlob", False),
        ({"copied": True}, "PutBlob", False),
        ({"comp": "blocklist", "blobType": ""}, "PutBlockList", False),
        ({"status": 202, "copied": True, "blobType": ""}, "CopyBlob", False),
        ({"method": "DELETE", "status": 202, "etag": ""}, "DeleteBlob", False),
    ],
)
def test_each_way_has_its_name_and_only_a_plain_upload_tells_its_length(
    changes: dict[str, Any], api: str, told: bool
) -> None:
    operation = parse(line(**changes))

    assert operation is not None
    assert operation.api == api
    assert (operation.content_length is not None) is told


@pytest.mark.parametrize(
    "changes",
    [
        {"comp": "block"},
        {"comp": "metadata", "status": 200},
        {"status": 409},
        {"path": "/devstoreaccount1/datasets"},
        {"path": "/devstoreaccount1/datasets/"},
        {"path": "/otheraccount/datasets/a.jsonl"},
        {"path": "/"},
        {"path": 7},
        {"method": "DELETE", "status": 404},
        {"time": "late"},
    ],
)
def test_nothing_else_is_an_operation(changes: dict[str, Any]) -> None:
    assert parse(line(**changes)) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", line()[:40]])
def test_a_line_that_was_cut_off_is_ignored(text: str) -> None:
    assert parse(text) is None


def test_names_are_decoded() -> None:
    operation = parse(line(path="/devstoreaccount1/data/caf%C3%A9%20%231/x%2By.jsonl"))

    assert operation is not None
    assert operation.blob == "café #1/x+y.jsonl"


def test_reading_goes_on_where_it_stopped(tmp_path: Path) -> None:
    journal = tmp_path / "000000000001.jsonl"
    journal.write_text("one\ntwo\nthr")
    lines, position = read_on(tmp_path, None)
    assert lines == ["one", "two"]

    with journal.open("a") as stream:
        stream.write("ee\n")

    assert read_on(tmp_path, position)[0] == ["three"]


def test_the_next_file_is_read_after_the_last_line_of_the_one_before(tmp_path: Path) -> None:
    (tmp_path / "000000000001.jsonl").write_text("one\ncut o")
    (tmp_path / "000000000002.jsonl").write_text("two\n")
    (tmp_path / "notes.txt").write_text("not ours\n")

    first, position = read_on(tmp_path, None)
    second, position = read_on(tmp_path, position)

    assert (first, second) == (["one"], ["two"])
    assert position == LogPosition(2, 4)
    assert read_on(tmp_path, position) == ([], position)


def test_only_what_was_read_is_deleted(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        (tmp_path / f"{number:012d}.jsonl").write_text(f"{number}\n")

    forget(tmp_path, LogPosition(2, 2))

    assert sorted(file.name for file in tmp_path.iterdir()) == ["000000000002.jsonl", "000000000003.jsonl"]
    assert read_on(tmp_path, LogPosition(2, 2))[0] == ["3"]
    assert read_on(tmp_path, LogPosition(1, 2))[0] == ["2"]


def test_a_journal_that_was_begun_anew_is_read_from_its_beginning(tmp_path: Path) -> None:
    (tmp_path / "000000000001.jsonl").write_text("new\n")

    assert read_on(tmp_path, LogPosition(7, 100)) == (["new"], LogPosition(1, 4))


def test_a_journal_that_is_not_there_yet_has_nothing_new(tmp_path: Path) -> None:
    assert read_on(tmp_path / "none", None) == ([], LogPosition(0, 0))


def test_a_long_journal_is_read_in_pieces_of_whole_lines(tmp_path: Path) -> None:
    written = [f"{number} {'x' * 1000}" for number in range(700)]
    (tmp_path / "000000000001.jsonl").write_text("\n".join(written) + "\n")

    seen: list[str] = []
    position: LogPosition | None = None
    while True:
        lines, position = read_on(tmp_path, position)
        if not lines:
            break
        assert len(lines) < 300
        seen += lines

    assert seen == written
