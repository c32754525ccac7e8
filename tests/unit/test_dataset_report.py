import json
from datetime import UTC, datetime

from shared.datasets.report import VersionReport, to_json
from shared.datasets.split_report import Problem
from shared.datasets.validation import Source, SplitReport, validate_split

CREATED = datetime(2026, 11, 22, 8, 30, tzinfo=UTC)


def good_row(number: int) -> bytes:
    question = {"role": "user", "content": f"SECRET {number:03}"}
    return json.dumps({"messages": [question, {"role": "assistant", "content": "SECRET"}]}).encode() + b"\n"


def report(*splits: SplitReport, problems: tuple[Problem, ...] = ()) -> dict[str, object]:
    data = to_json(
        VersionReport(
            tuning_id="chats-1-0123abcd",
            dataset="chats",
            version="1",
            splits=splits,
            problems=problems,
            created=CREATED,
        )
    )
    assert b"SECRET" not in data
    loaded = json.loads(data)
    assert isinstance(loaded, dict)
    return loaded


def split(name: str, *, good: int = 10, bad: int = 0) -> SplitReport:
    return validate_split(Source(name, [b"".join(map(good_row, range(good))) + b"SECRET\n" * bad]))


def test_a_valid_version_is_reported_with_its_statistics() -> None:
    found = report(split("train_sft", good=12), split("test_sft", good=1))

    assert found["valid"] is True
    assert (found["tuning"], found["dataset"], found["version"]) == ("chats-1-0123abcd", "chats", "1")
    assert found["created"] == "2026-11-22T08:30:00+00:00"
    assert isinstance(found["splits"], dict)
    train = found["splits"]["train_sft"]
    assert (train["rows"], train["turns"], train["roles"]) == (12, 24, {"user": 12, "assistant": 12})
    assert found["errors"] == []


def test_errors_of_all_splits_are_listed_up_to_a_hundred_and_all_counted() -> None:
    found = report(split("train_sft", bad=70), split("test_sft", bad=80))

    assert found["valid"] is False
    assert isinstance(found["errors"], list)
    assert len(found["errors"]) == 100
    assert found["errors"][0] == {
        "file": "train_sft.jsonl",
        "line": 11,
        "offset": 10 * len(good_row(0)),
        "kind": "not_json",
        "reason": "not JSON from column 1 on",
    }
    assert found["errors"][70]["file"] == "test_sft.jsonl"
    assert isinstance(found["splits"], dict)
    assert found["splits"]["test_sft"]["error_counts"] == {"not_json": 80}


def test_a_problem_on_no_line_makes_the_version_invalid() -> None:
    problem = Problem("MissingSplit", "test_sft", "upload test_sft.jsonl as well")

    found = report(split("train_sft"), split("test_sft"), problems=(problem,))

    assert found["valid"] is False
    assert found["problems"] == [
        {"kind": "MissingSplit", "subject": "test_sft", "reason": "upload test_sft.jsonl as well"}
    ]


def test_a_version_without_a_required_split_is_never_valid() -> None:
    assert report(split("train_sft"))["valid"] is False


def test_a_blob_name_that_utf_8_can_not_spell_does_not_stop_the_report() -> None:
    found = report(problems=(Problem("UnsupportedPath", "\ud800/1/x", "rename it"),))

    assert isinstance(found["problems"], list)
    assert found["problems"][0]["subject"] == "?/1/x"
