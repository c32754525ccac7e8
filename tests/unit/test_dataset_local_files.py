"""Files on this machine are checked as the function checks blobs."""

import gzip
import json
from pathlib import Path

import pytest

from shared.datasets.local_files import CHUNK_BYTES, LocalFile, check_file, check_folder
from shared.datasets.source import Source
from shared.datasets.validation import validate_split


def row(number: int, size: int = 40) -> bytes:
    messages = [{"role": "user", "content": f"question {number}"}, {"role": "assistant", "content": "x" * size}]
    return json.dumps({"messages": messages}).encode() + b"\n"


TRAIN = b"".join(map(row, range(20)))
TEST = b"".join(map(row, range(100, 105)))


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES])
def test_a_file_is_read_whole_each_time(tmp_path: Path, size: int) -> None:
    data = (b"0123456789" * (size // 10 + 1))[:size]
    path = tmp_path / "file"
    path.write_bytes(data)
    file = LocalFile(path)

    assert b"".join(map(bytes, file)) == data
    assert b"".join(map(bytes, file)) == data


def test_a_large_file_is_checked_as_its_bytes_are(tmp_path: Path) -> None:
    data = b"".join(row(number, 900 + number % 700) for number in range(2_500)) + row(3) + b"garbage\n" + row(3)
    path = tmp_path / "train_sft.jsonl"
    path.write_bytes(data)

    report = check_file(path)

    assert len(data) > 2 * CHUNK_BYTES
    assert report == validate_split(Source("train_sft", [data]))
    assert report.error_counts == {"not_json": 1}


@pytest.mark.parametrize(
    ("name", "split"), [("test_gen.jsonl", "test_gen"), ("test_sft.jsonl.gz", "test_sft"), ("my.jsonl", "train_sft")]
)
def test_a_file_is_checked_by_the_rules_of_its_name(tmp_path: Path, name: str, split: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(TRAIN) if name.endswith(".gz") else TRAIN)

    assert check_file(path) == validate_split(Source(split, [TRAIN]))


def test_a_folder_is_checked_as_a_version_is(tmp_path: Path) -> None:
    (tmp_path / "train_sft.jsonl.gz").write_bytes(gzip.compress(TRAIN))
    (tmp_path / "test_sft.jsonl").write_bytes(TEST + row(3))
    (tmp_path / "tuning.json").write_text(json.dumps({"parameters": {"max_seq_length": 15}}))
    (tmp_path / "README.md").write_text("not of the version")

    reports, problems = check_folder(tmp_path)

    assert problems == []
    assert [report.split for report in reports] == ["train_sft", "test_sft"]
    assert reports[1].warning_counts == {"leaked_conversation": 1, "long_row": 6}
    assert reports[0].warning_counts == {"long_row": 20}


def test_what_is_wrong_with_a_folder_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "train_sft.jsonl").write_bytes(TRAIN)
    (tmp_path / "train_sft.jsonl.gz").write_bytes(gzip.compress(TRAIN))
    (tmp_path / "tuning.json").write_text("{")

    _, problems = check_folder(tmp_path)

    assert [problem.kind for problem in problems] == ["InvalidTuningFile", "AmbiguousSplit", "MissingSplit"]
