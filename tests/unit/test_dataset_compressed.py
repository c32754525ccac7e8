"""Compressed splits: read on the way, in bounded memory, and not without end."""

import gzip
import json
import random
import tracemalloc
import zlib

import pytest

from shared.datasets.gzip_stream import BadArchiveError, expanded
from shared.datasets.limits import Limits
from shared.datasets.source import Source
from shared.datasets.validation import SplitReport, validate_split


def row(number: int) -> bytes:
    messages = [{"role": "user", "content": f"question {number}"}, {"role": "assistant", "content": "x" * 50}]
    return json.dumps({"messages": messages}).encode() + b"\n"


CONTENT = b"".join(map(row, range(200)))


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def check(data: bytes, limits: Limits = Limits(), size: int = 100) -> SplitReport:  # noqa: B008 - frozen
    return validate_split(Source("train_sft", cut(data, size), compressed=True), limits)


@pytest.mark.parametrize("size", [1, 97, 1 << 20])
@pytest.mark.parametrize(
    "data",
    [
        gzip.compress(CONTENT),
        gzip.compress(CONTENT[:777]) + gzip.compress(b"") + gzip.compress(CONTENT[777:]),
        gzip.compress(CONTENT) + b"\0" * 100,
    ],
    ids=["one member", "several members", "padded"],
)
def test_a_compressed_split_is_checked_as_its_content_is(data: bytes, size: int) -> None:
    assert check(data, size=size) == validate_split(Source("train_sft", [CONTENT]))


def test_lines_and_offsets_are_those_of_the_content() -> None:
    report = check(gzip.compress(CONTENT + b"garbage\n"))

    (error,) = report.errors
    assert (error.line, error.offset, error.kind) == (201, len(CONTENT), "not_json")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (gzip.compress(CONTENT)[:-20], "ends too early"),
        (gzip.compress(CONTENT)[:5], "ends too early"),
        (gzip.compress(CONTENT)[:-8] + b"\0" * 8, "is damaged"),
        (gzip.compress(CONTENT) + b"garbage", "is damaged"),
        (CONTENT, "is damaged"),
        (zlib.compress(CONTENT), "is damaged"),
    ],
    ids=["cut", "cut in its head", "wrong checksum", "garbage behind", "not compressed", "zlib"],
)
def test_a_damaged_archive_is_one_error(data: bytes, reason: str) -> None:
    report = check(data)

    assert not report.valid
    errors = [error for error in report.errors if error.kind == "bad_archive"]
    assert [reason in error.reason for error in errors] == [True]


def test_an_empty_file_has_too_few_rows() -> None:
    assert check(b"").error_counts == {"too_few_rows": 1}


def test_an_archive_that_holds_too_much_is_left() -> None:
    report = check(gzip.compress(CONTENT), Limits(max_expanded_bytes=1_000))

    assert report.error_counts["bad_archive"] == 1
    assert report.size <= 1_000


def test_a_bomb_is_left_early_and_costs_no_memory() -> None:
    bomb = gzip.compress(b"\n" * 100_000_000, 9)
    tracemalloc.start()
    with pytest.raises(BadArchiveError, match="more than 200 times larger"):
        for _ in expanded(cut(bomb, 10_000), max_bytes=10**12, max_ratio=200):
            pass
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert most < 2_000_000


def test_small_files_may_repeat_themselves_as_they_like() -> None:
    data = gzip.compress(CONTENT * 100, 9)
    assert len(CONTENT) * 100 / len(data) > 50

    assert b"".join(expanded([data], max_bytes=10**9, max_ratio=2)) == CONTENT * 100


def test_pieces_are_small_however_the_file_comes() -> None:
    content = random.Random(1).randbytes(3_000_000)

    pieces = list(expanded([gzip.compress(content)], max_bytes=10**9, max_ratio=100))

    assert b"".join(pieces) == content
    assert max(map(len, pieces)) <= 256 * 1024


def test_a_compressed_file_under_a_plain_name_is_told_its_right_name() -> None:
    report = validate_split(Source("train_sft", [gzip.compress(CONTENT)]))

    assert report.error_counts == {"wrong_format": 1}
    assert "name it .jsonl.gz" in report.errors[0].reason
