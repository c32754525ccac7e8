"""Conversations and prompt_ids that stand in a dataset twice: within a split, and in train and test."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from shared.datasets import repetition
from shared.datasets.limits import Limits
from shared.datasets.source import Source
from shared.datasets.split_report import Problem, SplitReport
from shared.datasets.validation import validate_split
from shared.datasets.version_check import check_version

Row = dict[str, object]


def conversation(*contents: str, **columns: object) -> Row:
    roles = ("user", "assistant")
    return {**columns, "messages": [{"role": roles[at % 2], "content": text} for at, text in enumerate(contents)]}


def jsonl(*rows: Row) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def rows(count: int, first: int = 0) -> list[Row]:
    return [conversation(f"question {number}", f"answer {number}") for number in range(first, first + count)]


def rewritten(row: Row) -> bytes:
    """The same conversation by another writer: other columns, keys in another order, no blanks, needless escapes."""
    turned = json.dumps({"prompt_id": "b" * 64, **row}, separators=(",", ":"), sort_keys=True)
    return turned.replace("question", r"\u0071uestion").encode() + b"\n"


@dataclass
class CountedReads:
    """A split that says how often it was read."""

    data: bytes
    reads: list[int] = field(default_factory=list)

    def __iter__(self) -> Iterator[bytes]:
        self.reads.append(1)
        yield self.data


def check(train: bytes, test: bytes, limits: Limits = Limits()) -> tuple[list[SplitReport], list[Problem]]:  # noqa: B008
    return check_version([Source("train_sft", [train]), Source("test_sft", [test])], limits)


def places(report: SplitReport, kind: str) -> list[tuple[int, tuple[str, int] | None]]:
    return [(found.line, found.other) for found in report.warnings if found.kind == kind]


def test_a_repeated_conversation_is_reported_with_both_lines() -> None:
    report = validate_split(Source("train_sft", [jsonl(*rows(12), *rows(2, first=3))]))

    assert places(report, "duplicate_conversation") == [(13, ("train_sft.jsonl", 4)), (14, ("train_sft.jsonl", 5))]
    assert report.warnings[0].reason == "the same conversation as on line 4"


def test_lines_are_counted_over_those_that_are_invalid() -> None:
    data = b"garbage\n" + jsonl(*rows(3)) + b"\n" + jsonl(*rows(1))

    report = validate_split(Source("test_sft", [data]))

    assert places(report, "duplicate_conversation") == [(6, ("test_sft.jsonl", 2))]
    assert data[report.warnings[0].offset :] == jsonl(*rows(1))


def test_a_conversation_is_the_same_however_it_is_written() -> None:
    data = jsonl(*rows(12)) + rewritten(rows(1, first=5)[0])

    report = validate_split(Source("train_sft", [data]))

    assert places(report, "duplicate_conversation") == [(13, ("train_sft.jsonl", 6))]


@pytest.mark.parametrize(
    "other",
    [
        conversation("q", "b"),
        conversation("q", "a", "q", "a"),
        {"messages": [{"role": "system", "content": "q"}, *conversation("a", "b")["messages"]]},  # type: ignore[misc]
        conversation("Q", "a"),
        conversation("q" * 300 + "x" + "q" * 300, "a"),
        conversation("q" * 601, "a" * 100 + "b" + "a" * 100),
    ],
)
def test_conversations_that_differ_anywhere_are_not_the_same(other: Row) -> None:
    data = jsonl(conversation("q", "a"), conversation("q" * 601, "a"), conversation("q" * 601, "a" * 201), other)

    assert validate_split(Source("test_sft", [data])).warning_counts == {}


def test_calls_of_tools_tell_conversations_apart() -> None:
    def called(name: str, **columns: object) -> Row:
        call = {"role": "assistant", "tool_calls": [{"function": {"name": name}}]}
        answer = [{"role": "tool", "content": "1"}, {"role": "assistant", "content": "done"}]
        return {"tools": [{}], "messages": [{"role": "user", "content": "q"}, call, *answer], **columns}

    report = validate_split(Source("test_sft", [jsonl(called("a"), called("b"), called("a", extra=1))]))

    assert places(report, "duplicate_conversation") == [(3, ("test_sft.jsonl", 1))]


def test_a_file_is_read_a_second_time_only_if_two_lines_look_like_one_conversation() -> None:
    clean, copied, doubtful = (
        CountedReads(jsonl(*rows(50))),
        CountedReads(jsonl(*rows(50), *rows(5))),
        CountedReads(jsonl(*rows(50)) + rewritten(rows(1)[0])),
    )

    for split in (clean, copied, doubtful):
        validate_split(Source("train_sft", split))

    assert [len(split.reads) for split in (clean, copied, doubtful)] == [1, 1, 2]


def test_a_repeated_prompt_id_is_reported_and_a_missing_or_empty_one_is_not() -> None:
    ids = ["", "a" * 64, "", "b" * 64, "a" * 64]
    data = jsonl(*(conversation(f"q{at}", "a", prompt_id=value) for at, value in enumerate(ids)), *rows(2))

    report = validate_split(Source("test_sft", [data]))

    assert places(report, "duplicate_prompt_id") == [(5, ("test_sft.jsonl", 2))]


def test_prompt_ids_that_begin_late_belong_to_their_lines() -> None:
    late = [conversation(f"late {number}", "a", prompt_id="c" * 64) for number in range(2)]

    report = validate_split(Source("test_sft", [jsonl(*rows(3)), jsonl(*late)]), Limits(block_bytes=64))

    assert places(report, "duplicate_prompt_id") == [(5, ("test_sft.jsonl", 4))]


def test_test_data_that_was_trained_on_is_reported_with_both_places() -> None:
    train, test = jsonl(*rows(40)), jsonl(*rows(20, first=37))

    (train_report, test_report), problems = check(train, test)

    assert places(test_report, "leaked_conversation") == [
        (1, ("train_sft.jsonl", 38)),
        (2, ("train_sft.jsonl", 39)),
        (3, ("train_sft.jsonl", 40)),
    ]
    assert test_report.warnings[1].reason == "the same conversation as on line 39 of train_sft.jsonl"
    assert test_report.warning_counts == {"leaked_conversation": 3}
    assert train_report.warning_counts == {}
    assert problems == []


def test_a_leak_is_found_however_the_conversation_is_written() -> None:
    known = rows(40)[33]
    test = b"\xef\xbb\xbf" + rewritten(known) + jsonl(*rows(20, first=100))

    (_, test_report), _ = check(jsonl(*rows(40)), test)

    assert places(test_report, "leaked_conversation") == [(1, ("train_sft.jsonl", 34))]


def test_what_only_looks_like_a_leak_is_none() -> None:
    (_, test_report), _ = check(
        jsonl(*rows(40), conversation("same start", "ab")), jsonl(conversation("same start", "cd"))
    )

    assert test_report.warning_counts == {}


def test_prompt_ids_leak_as_well() -> None:
    train = jsonl(*rows(20), conversation("x", "y", prompt_id="d" * 64))
    test = jsonl(*rows(5, first=50), conversation("z", "w", prompt_id="d" * 64))

    (_, test_report), _ = check(train, test)

    assert places(test_report, "leaked_prompt_id") == [(6, ("train_sft.jsonl", 21))]


@pytest.mark.parametrize(("leaked", "refused"), [(2, False), (3, True)])
def test_a_version_is_refused_when_too_much_of_its_test_data_was_trained_on(leaked: int, refused: bool) -> None:
    _, problems = check(jsonl(*rows(40)), jsonl(*rows(10, first=40 - leaked)), Limits(max_leak_percent=20))

    assert [(problem.kind, problem.subject) for problem in problems] == (
        [("LeakedTestData", "test_sft.jsonl")] if refused else []
    )


def test_prompts_of_the_smoke_test_may_come_from_the_training_data() -> None:
    sources = [Source("train_sft", [jsonl(*rows(20))]), Source("test_gen", [jsonl(*rows(20))])]
    reports, problems = check_version([*sources, Source("test_sft", [jsonl(*rows(5, first=50))])])

    assert problems == []
    assert reports[1].warning_counts == {"leaked_conversation": 20}


@pytest.mark.parametrize(("copies", "valid"), [(10, True), (11, False)])
def test_a_split_that_mostly_repeats_itself_is_refused(copies: int, valid: bool) -> None:
    report = validate_split(
        Source("train_sft", [jsonl(*rows(10), *rows(1) * copies)]), Limits(max_duplicate_percent=50)
    )

    assert report.valid is valid
    assert report.error_counts == ({} if valid else {"too_many_duplicate_conversations": 1})


def test_by_default_repetitions_and_leaks_are_only_warned_about() -> None:
    reports, problems = check(jsonl(*rows(1) * 20), jsonl(*rows(1)))

    assert problems == []
    assert [report.valid for report in reports] == [True, True]
    assert reports[0].warning_counts == {"duplicate_conversation": 19}
    assert reports[1].warning_counts == {"leaked_conversation": 1}


def test_splits_of_many_rows_are_compared_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repetition, "_AT_ONCE", 7)

    report = validate_split(Source("train_sft", [jsonl(*rows(100), *rows(20, first=30))]))

    assert places(report, "duplicate_conversation") == [(101 + at, ("train_sft.jsonl", 31 + at)) for at in range(20)]


def test_a_version_without_a_required_split_has_that_problem() -> None:
    _, problems = check_version([Source("train_sft", [jsonl(*rows(20))])])

    assert [(problem.kind, problem.subject) for problem in problems] == [("MissingSplit", "test_sft.jsonl")]
