"""Every kind of damage that was seen in chat files, put on a known line of a good file."""

import json
from collections.abc import Mapping

import pytest

from shared.datasets.validation import Limits, Source, SplitReport, validate_split

Messages = list[dict[str, object]]

USER: dict[str, object] = {"role": "user", "content": "SECRET question"}
ASSISTANT: dict[str, object] = {"role": "assistant", "content": "SECRET answer"}
SYSTEM: dict[str, object] = {"role": "system", "content": "SECRET rules"}
TURN: Messages = [USER, ASSISTANT]


def row(number: int, **columns: object) -> dict[str, object]:
    question = {"role": "user", "content": f"question {number}"}
    return {
        "prompt": f"question {number}",
        "prompt_id": f"{number:064x}",
        "messages": [question, ASSISTANT],
        **columns,
    }


def line(columns: Mapping[str, object]) -> bytes:
    return json.dumps(columns).encode()


def damaged(messages: object) -> bytes:
    return line(row(99, messages=messages))


def content(raw: bytes) -> bytes:
    """A row whose first content holds these raw bytes."""
    return damaged(TURN).replace(b"SECRET question", b"SECRET" + raw)


def without(column: str) -> bytes:
    return line({name: value for name, value in row(99).items() if name != column})


def file_with(middle: bytes, *, before: int = 7, after: int = 6) -> tuple[bytes, int, int]:
    """A file with one odd line, that line's number, and its offset."""
    head = b"".join(line(row(number)) + b"\n" for number in range(before))
    tail = b"".join(line(row(number)) + b"\n" for number in range(before, before + after))
    return head + middle + b"\n" + tail, before + 1, len(head)


def check(data: bytes, split: str = "train_sft", chunk: int = 1 << 20) -> SplitReport:
    return validate_split(Source(split, cut(data, chunk)))


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


GOOD = damaged(TURN)

ERRORS = [
    ("truncated line", GOOD[:-20], "truncated"),
    ("truncated before the last brace", GOOD[:-1], "truncated"),
    ("empty messages", damaged([]), "empty_messages"),
    ("missing messages", without("messages"), "missing_messages"),
    ("null messages", damaged(None), "messages_not_a_list"),
    ("non-list messages", damaged("SECRET"), "messages_not_a_list"),
    ("one message only", damaged([USER]), "too_few_messages"),
    ("message not an object", damaged([USER, "SECRET"]), "message_not_an_object"),
    ("null message", damaged([USER, None]), "message_not_an_object"),
    ("missing role", damaged([USER, {"content": "SECRET"}]), "missing_role"),
    ("unknown role", damaged([USER, {"role": "SECRET", "content": "SECRET"}]), "unknown_role"),
    ("role of another case", damaged([USER, {"role": "Assistant", "content": "SECRET"}]), "unknown_role"),
    ("null role", damaged([USER, {"role": None, "content": "SECRET"}]), "unknown_role"),
    ("tool role without tools", damaged([*TURN, {"role": "tool", "content": "SECRET"}, ASSISTANT]), "unknown_role"),
    ("user twice", damaged([USER, USER, ASSISTANT]), "repeated_role"),
    ("assistant twice", damaged([USER, ASSISTANT, ASSISTANT]), "repeated_role"),
    ("starts with assistant", damaged([ASSISTANT, USER, ASSISTANT]), "starts_with_assistant"),
    ("assistant after system", damaged([SYSTEM, ASSISTANT]), "starts_with_assistant"),
    ("system not first", damaged([USER, ASSISTANT, SYSTEM, USER, ASSISTANT]), "system_not_first"),
    ("system twice", damaged([SYSTEM, SYSTEM, USER, ASSISTANT]), "system_not_first"),
    ("ends with user", damaged([USER, ASSISTANT, USER]), "wrong_last_role"),
    ("missing content", damaged([USER, {"role": "assistant"}]), "missing_content"),
    ("empty content", damaged([USER, {"role": "assistant", "content": ""}]), "empty_content"),
    ("nothing to learn", damaged([USER, {"role": "assistant", "content": " \n\t"}]), "blank_target"),
    ("nothing to learn, not at the end", damaged([USER, {"role": "assistant", "content": " "}, *TURN]), "blank_target"),
    ("null content", damaged([USER, {"role": "assistant", "content": None}]), "null_content"),
    ("number as content", damaged([USER, {"role": "assistant", "content": 42}]), "content_not_text"),
    ("list as content", damaged([USER, {"role": "assistant", "content": [{"text": "SECRET"}]}]), "content_not_text"),
    ("bad UTF-8", content(b"\xff"), "bad_utf8"),
    ("Latin-1", content(b"gr\xfc\xdfe"), "bad_utf8"),
    ("overlong UTF-8", content(b"\xc0\xaf"), "bad_utf8"),
    ("surrogate in UTF-8", content(b"\xed\xa0\x80"), "bad_utf8"),
    ("lone surrogate", content(rb"\ud800"), "lone_surrogate"),
    ("lone low surrogate", content(rb"\udc00 and more"), "lone_surrogate"),
    ("bad escape", content(rb"\q"), "bad_escape"),
    ("bad unicode escape", content(rb"\u12G4"), "bad_escape"),
    ("raw control character", content(b"\x01"), "control_character"),
    ("raw tab", content(b"\t"), "control_character"),
    ("raw carriage return", content(b"\r"), "control_character"),
    ("blank line", b"", "blank_line"),
    ("line of blanks", b" \t \r", "blank_line"),
    ("two objects on a line", GOOD + b" " + GOOD, "two_objects"),
    ("two objects without a gap", GOOD + GOOD, "two_objects"),
    ("a list", b"[" + GOOD + b"]", "not_an_object"),
    ("a string", b'"SECRET"', "not_an_object"),
    ("null", b"null", "not_an_object"),
    ("trailing comma in the object", GOOD[:-1] + b",}", "trailing_comma"),
    ("trailing comma in the list", GOOD.replace(b'"}]', b'"},]'), "trailing_comma"),
    ("comma between lines", GOOD + b",", "trailing_comma"),
    ("garbage", b"SECRET!", "not_json"),
    ("garbage after the object", GOOD + b"SECRET", "not_json"),
    ("NUL bytes", b"\x00" * 20, "not_json"),
    ("single quotes", GOOD.replace(b'"', b"'"), "not_json"),
    ("NaN", line(row(99, score=float("nan"))), "not_json"),
    ("nested too deeply", GOOD[:-1] + b',"x":' + b"[" * 9_000 + b"]" * 9_000 + b"}", "too_deep"),
    ("number as prompt", line(row(99, prompt=42)), "bad_prompt"),
    ("null prompt", line(row(99, prompt=None)), "bad_prompt"),
    ("number as prompt_id", line(row(99, prompt_id=42)), "bad_prompt_id"),
    ("ShareGPT", line({"conversations": [{"from": "human", "value": "SECRET"}]}), "sharegpt"),
    ("Alpaca", line({"instruction": "SECRET", "output": "SECRET"}), "missing_messages"),
    ("bad UTF-8 in another column", GOOD[:-1] + b',"x":"\xff"}', "bad_utf8"),
    ("missing role beside a huge number", damaged([USER, {}])[:-1] + b',"x":1e999}', "missing_role"),
    ("lone surrogate in another column", GOOD[:-1] + rb',"x":"\ud800"}', "lone_surrogate"),
]

WARNINGS = [
    ("missing prompt", without("prompt"), "missing_prompt"),
    ("missing prompt_id", without("prompt_id"), "missing_prompt_id"),
    ("short prompt_id", line(row(99, prompt_id="abc")), "odd_prompt_id"),
    ("prompt_id with a line feed", line(row(99, prompt_id="a" * 64 + "\n")), "odd_prompt_id"),
    ("duplicate prompt_id", line(row(99, prompt_id=f"{3:064x}")), "duplicate_prompt_id"),
    ("duplicate conversation", line(row(99, messages=row(3)["messages"])), "duplicate_conversation"),
    ("blank content", damaged([{"role": "user", "content": " \n"}, ASSISTANT]), "blank_content"),
    ("blank system message", damaged([{"role": "system", "content": "\t"}, *TURN]), "blank_content"),
    ("long row", damaged([USER, {"role": "assistant", "content": "x" * 40_000}]), "long_row"),
]


@pytest.mark.parametrize("chunk", [1 << 20, 97])
@pytest.mark.parametrize(("bad", "kind"), [case[1:] for case in ERRORS], ids=[case[0] for case in ERRORS])
def test_damage_is_found_on_its_line_and_named_without_quoting_it(bad: bytes, kind: str, chunk: int) -> None:
    data, number, offset = file_with(bad)

    report = check(data, chunk=chunk)

    assert not report.valid
    assert report.error_counts == {kind: 1}
    (error,) = report.errors
    assert (error.line, error.offset, error.kind) == (number, offset, kind)
    assert "SECRET" not in error.reason
    assert error.reason.isprintable()
    assert (report.rows, report.valid_rows) == (14, 13)


@pytest.mark.parametrize(("odd", "kind"), [case[1:] for case in WARNINGS], ids=[case[0] for case in WARNINGS])
def test_what_is_only_odd_is_warned_about_on_its_line(odd: bytes, kind: str) -> None:
    data, number, offset = file_with(odd)

    report = check(data)

    assert report.valid
    assert report.warning_counts == {kind: 1}
    (warning,) = report.warnings
    assert (warning.line, warning.offset, warning.kind) == (number, offset, kind)
    assert (report.rows, report.valid_rows) == (14, 14)


@pytest.mark.parametrize(
    "fine",
    [
        damaged([SYSTEM, USER, ASSISTANT, USER, ASSISTANT]),
        line(row(99, source="x", score=1.5, tags=["ü", None])),
        line(row(99, big=1e300)).replace(b"1e+300", b"1e999"),
        damaged([{**USER, "name": "Ann"}, ASSISTANT]),
        content(rb"\ud83d\ude00"),
        content("😀 ü".encode()),
        b"  " + GOOD + b" \t",
        GOOD + b"\r",
        line(row(99, tools=None)),
    ],
)
def test_what_looks_odd_but_is_fine_is_accepted(fine: bytes) -> None:
    data, _, _ = file_with(fine)

    report = check(data)

    assert report.valid
    assert report.warning_counts == {}
    assert report.valid_rows == 14


def test_two_objects_on_a_line_are_found_even_when_a_blank_line_makes_up_for_them() -> None:
    data, number, _ = file_with(GOOD + GOOD + b"\n")

    report = check(data)

    assert [(error.line, error.kind) for error in report.errors] == [
        (number, "two_objects"),
        (number + 1, "blank_line"),
    ]


def test_an_object_over_several_lines_is_an_error_on_each_of_them() -> None:
    data, number, _ = file_with(json.dumps(row(99), indent=1).encode())

    report = check(data)

    assert report.errors[0].line == number
    assert report.valid_rows == 13


@pytest.mark.parametrize(
    ("messages", "kind"),
    [
        ([{"role": "system", "content": "x"}, USER, {"role": "assistant", "content": None, "tool_calls": [{}]}], None),
        ([USER, {"role": "assistant", "tool_calls": [{}]}, {"role": "tool", "content": ""}, ASSISTANT], None),
        ([USER, ASSISTANT, {"role": "tool", "content": "1"}, {"role": "tool", "content": "2"}, ASSISTANT], None),
        ([USER, {"role": "tool", "content": "1"}, ASSISTANT], "misplaced_tool"),
        ([USER, ASSISTANT, {"role": "tool", "content": "1"}, USER, ASSISTANT], "unanswered_tool"),
        ([USER, ASSISTANT, {"role": "tool", "content": "1"}], "wrong_last_role"),
        ([USER, {"role": "assistant", "content": None}], "null_content"),
        (
            [USER, {"role": "assistant", "tool_calls": [{}]}, {"role": "tool", "content": 1}, ASSISTANT],
            "content_not_text",
        ),
    ],
)
def test_rows_with_tools_may_call_them(messages: Messages, kind: str | None) -> None:
    data, number, _ = file_with(line(row(99, messages=messages, tools=[{"name": "search"}])))

    report = check(data)

    assert [(error.line, error.kind) for error in report.errors] == ([(number, kind)] if kind else [])
    assert report.valid_rows == (13 if kind else 14)


def test_a_prompt_alone_is_enough_for_the_smoke_tests_split() -> None:
    report = check(damaged([USER]) + b"\n" + damaged([USER, ASSISTANT, USER]), split="test_gen")

    assert report.valid
    assert report.rows == 2


@pytest.mark.parametrize(
    ("split", "rows", "valid"), [("train_sft", 9, False), ("train_sft", 10, True), ("test_sft", 1, True)]
)
def test_a_split_needs_enough_rows(split: str, rows: int, valid: bool) -> None:
    report = check(b"".join(line(row(number)) + b"\n" for number in range(rows)), split=split)

    assert report.valid is valid
    assert report.error_counts == ({} if valid else {"too_few_rows": 1})


def test_a_blank_line_is_not_a_row_of_a_split_that_has_too_few() -> None:
    report = check(b"\n" + b"".join(line(row(number)) + b"\n" for number in range(9)))

    assert report.error_counts == {"blank_line": 1, "too_few_rows": 1}


@pytest.mark.parametrize("data", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("split", ["train_sft", "test_sft", "test_gen"])
def test_an_empty_split_has_too_few_rows(data: bytes, split: str) -> None:
    assert check(data, split=split).error_counts == {"too_few_rows": 1}


@pytest.mark.parametrize(
    ("data", "hint"),
    [
        (damaged(TURN).decode().encode("utf-16"), "UTF-16"),
        (b"\x1f\x8b\x08\x00" + b"x" * 50, "gzip"),
        (b"PK\x03\x04" + b"x" * 50, "ZIP"),
        (b"PAR1" + b"x" * 50, "Parquet"),
    ],
)
def test_a_file_of_another_format_is_one_error(data: bytes, hint: str) -> None:
    report = check(data, chunk=3)

    assert report.error_counts == {"wrong_format": 1}
    assert hint in report.errors[0].reason
    assert report.size == len(data)


def test_a_line_that_is_too_long_is_one_error_and_the_next_lines_are_read() -> None:
    bad = b'{"messages": "' + b"x" * 5_000 + b'"}'
    data, number, offset = file_with(bad)
    limits = Limits(max_line_bytes=1_000)

    for size in (100, 1_000, 100_000):
        report = validate_split(Source("train_sft", cut(data, size)), limits)

        assert [(error.line, error.offset, error.kind) for error in report.errors] == [
            (number, offset, "overlong_line")
        ]
        assert f"{len(bad)} bytes" in report.errors[0].reason
        assert (report.rows, report.valid_rows) == (14, 13)
