"""Azurite's access log as a source of storage events. The lines are Azurite 3.35's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from localcloud.eventgrid.access_log import BlobOperation, parse, read_on
from localcloud.eventgrid.store import LogPosition

if TYPE_CHECKING:
    from pathlib import Path

AT = 1795370135.0  # 2026-11-22T17:55:35Z


def line(request: str, status: int) -> str:
    return f'127.0.0.1 - - [22/Nov/2026:17:55:35 +0000] "{request} HTTP/1.1" {status} -'


@pytest.mark.parametrize(
    ("request_line", "status", "api"),
    [
        ("PUT /devstoreaccount1/datasets/a/b.jsonl", 201, "PutBlob"),
        ("PUT /devstoreaccount1/datasets/a/b.jsonl?timeout=30", 201, "PutBlob"),
        ("PUT /devstoreaccount1/datasets/a/b.jsonl?comp=blocklist", 201, "PutBlockList"),
        ("PUT /devstoreaccount1/datasets/a/b.jsonl", 202, "CopyBlob"),
        ("DELETE /devstoreaccount1/datasets/a/b.jsonl", 202, "DeleteBlob"),
        ("PUT /devstoreaccount1/datasets/a/b.jsonl?sv=2026&sig=x%2By&se=z", 201, "PutBlob"),
    ],
)
def test_what_creates_or_deletes_a_blob_is_an_operation(request_line: str, status: int, api: str) -> None:
    assert parse(line(request_line, status)) == BlobOperation(api, "datasets", "a/b.jsonl", AT)  # type: ignore[arg-type]  # a table of literals


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("GET /devstoreaccount1/datasets/a.jsonl", 200),
        ("PUT /devstoreaccount1/datasets/a.jsonl", 409),
        ("PUT /devstoreaccount1/datasets/a.jsonl?comp=block&blockid=AAAA", 201),
        ("PUT /devstoreaccount1/datasets/a.jsonl?comp=appendblock", 201),
        ("PUT /devstoreaccount1/datasets/a.jsonl?comp=page", 201),
        ("PUT /devstoreaccount1/datasets/a.jsonl?comp=lease", 201),
        ("PUT /devstoreaccount1/datasets/a.jsonl?comp=lease", 202),
        ("PUT /devstoreaccount1/datasets/a.jsonl?comp=snapshot", 201),
        ("PUT /devstoreaccount1/datasets/a.jsonl?comp=tier", 202),
        ("PUT /devstoreaccount1/datasets/a.jsonl?comp=metadata", 200),
        ("DELETE /devstoreaccount1/datasets/a.jsonl?snapshot=2026-11-22T00%3A00%3A00Z", 202),
        ("DELETE /devstoreaccount1/datasets/a.jsonl", 404),
        ("PUT /devstoreaccount1/datasets?restype=container", 201),
        ("DELETE /devstoreaccount1/datasets?restype=container", 202),
        ("PUT /devstoreaccount1/work-queue", 201),
        ("POST /devstoreaccount1/work-queue/messages", 201),
        ("PUT /devstoreaccount1/work-queue/messages/0a1b?popreceipt=x&visibilitytimeout=5", 204),
        ("DELETE /devstoreaccount1/work-queue/messages/0a1b?popreceipt=x", 204),
        ("PUT /devstoreaccount1/tunings(PartitionKey='a',RowKey='b')", 204),
        ("PUT /otheraccount/datasets/a.jsonl", 201),
    ],
)
def test_nothing_else_is_an_operation(request_line: str, status: int) -> None:
    assert parse(line(request_line, status)) is None


def test_a_line_that_is_no_request_is_ignored() -> None:
    assert parse("Azurite Blob service is successfully listening at https://127.0.0.1:10000") is None


def test_names_are_decoded() -> None:
    operation = parse(line("PUT /devstoreaccount1/data/caf%C3%A9%20%231/x%2By.jsonl", 201))

    assert operation is not None
    assert operation.blob == "café #1/x+y.jsonl"


def test_reading_goes_on_where_it_stopped(tmp_path: Path) -> None:
    log = tmp_path / "azurite.log"
    log.write_text("one\ntwo\n")
    lines, position = read_on(log, None)
    assert lines == ["one", "two"]

    with log.open("a") as stream:
        stream.write("three\n")

    assert read_on(log, position)[0] == ["three"]


def test_half_a_line_is_left_until_it_is_whole(tmp_path: Path) -> None:
    log = tmp_path / "azurite.log"
    log.write_text("one\ntw")
    lines, position = read_on(log, None)
    assert lines == ["one"]

    with log.open("a") as stream:
        stream.write("o\n")

    assert read_on(log, position)[0] == ["two"]


def test_a_cut_log_is_read_from_its_new_beginning(tmp_path: Path) -> None:
    log = tmp_path / "azurite.log"
    log.write_text("a long first line\n")
    _, position = read_on(log, None)

    log.write_text("new\n")

    assert read_on(log, position)[0] == ["new"]


def test_a_rotated_log_is_read_from_its_beginning(tmp_path: Path) -> None:
    log = tmp_path / "azurite.log"
    log.write_text("old\n")
    _, position = read_on(log, None)

    log.rename(tmp_path / "azurite.log.1")
    log.write_text("a line of the new file\n")

    assert read_on(log, position)[0] == ["a line of the new file"]


def test_a_log_that_is_not_there_yet_has_nothing_new(tmp_path: Path) -> None:
    assert read_on(tmp_path / "azurite.log", None) == ([], None)
    assert read_on(tmp_path / "azurite.log", LogPosition(1, 2)) == ([], LogPosition(1, 2))


def test_a_line_longer_than_any_request_does_not_stop_the_reader(tmp_path: Path) -> None:
    log = tmp_path / "azurite.log"
    log.write_text("x" * 600_000 + "\nlast\n")

    seen: list[str] = []
    position: LogPosition | None = None
    for _ in range(4):
        lines, position = read_on(log, position)
        seen += lines

    assert seen[-1] == "last"
