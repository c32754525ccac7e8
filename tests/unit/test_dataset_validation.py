"""What validation reports of a whole split, whatever the chunks it arrives in."""

import json
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.datasets.diagnosis import diagnose
from shared.datasets.lengths import Histogram
from shared.datasets.limits import rules_for
from shared.datasets.line_index import ENTRY_BYTES, place_of
from shared.datasets.turns import Fault
from shared.datasets.validation import Limits, Source, SplitReport, validate_split


def conversation(*contents: str, system: str | None = None) -> dict[str, object]:
    messages = [{"role": "system", "content": system}] if system else []
    for index, content in enumerate(contents):
        messages.append({"role": ("user", "assistant")[index % 2], "content": content})
    return {"messages": messages}


def jsonl(*rows: object, end: bytes = b"\n") -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + end for row in rows)


def rows(count: int, first: int = 0) -> list[dict[str, object]]:
    return [conversation(f"question {number}", f"answer {number}") for number in range(first, first + count)]


def check(data: bytes, split: str = "test_sft", limits: Limits = Limits()) -> SplitReport:  # noqa: B008 - frozen
    return validate_split(Source(split, [data]), limits)


def indexed(report: SplitReport, data: bytes) -> list[bytes]:
    places = [place_of(report.index[at : at + ENTRY_BYTES]) for at in range(0, len(report.index), ENTRY_BYTES)]
    return [data[offset : offset + size] for offset, size in places]


@dataclass(frozen=True)
class Stream:
    """Chunks that are made when they are asked for."""

    make: Callable[[], Iterator[bytes]]

    def __iter__(self) -> Iterator[bytes]:
        return self.make()


def test_a_good_split_is_counted() -> None:
    data = jsonl(
        {**conversation("hé", "abc"), "prompt": "hé", "prompt_id": "a" * 64},
        {**conversation("1", "2", "3", "4", system="sys"), "prompt": "1", "prompt_id": "b" * 64},
    )

    report = check(data)

    assert report.valid
    assert report == SplitReport(
        split="test_sft",
        rows=2,
        valid_rows=2,
        turns=7,
        characters=12,
        tokens=31,
        lengths=Histogram(edges=(0, 10, 20, 30), counts=(1, 0, 1), median=9, p95=21, longest=22),
        roles={"user": 3, "assistant": 3, "system": 1},
        size=len(data),
        content=report.content,
        errors=(),
        error_counts={},
        warnings=(),
        warning_counts={},
        compared_rows=2,
        index=report.index,
    )
    assert indexed(report, data) == data.splitlines(keepends=True)


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("last_end", [True, False])
def test_line_ends_of_all_systems_and_a_missing_last_one_are_the_same_rows(end: bytes, last_end: bool) -> None:
    data = jsonl(*rows(12), end=end)
    data = data if last_end else data.removesuffix(end)

    report = check(data, split="train_sft")

    assert report.valid
    assert report.rows == 12
    assert [json.loads(line) for line in indexed(report, data)] == rows(12)


def test_a_byte_order_mark_is_read_over_with_a_warning() -> None:
    data = b"\xef\xbb\xbf" + jsonl(*rows(3)) + b"garbage"

    report = check(data)

    assert report.warning_counts == {"byte_order_mark": 1}
    assert report.valid_rows == 3
    (error,) = report.errors
    assert data[error.offset :] == b"garbage"
    whole = data.removesuffix(b"garbage")
    assert indexed(check(whole), whole) == jsonl(*rows(3)).splitlines(keepends=True)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), seed=st.integers(0, 1000))
def test_the_report_does_not_depend_on_chunks_and_blocks(data: st.DataObject, seed: int) -> None:
    random = Random(seed)
    lines = [
        random.choice(
            [
                jsonl(conversation(f"q{number % 7}", "ü" * random.randrange(300))),
                jsonl({**conversation("q", "a"), "prompt_id": "x"}),
                b"\n",
                b"garbage\r\n",
                jsonl(conversation("q")),
                b"x" * 700 + b"\n",
                jsonl({**conversation("q", str(number)), "other": 1}),
            ]
        )
        for number in range(40)
    ]
    content = b"".join(lines).removesuffix(data.draw(st.sampled_from([b"", b"\n"])))
    limits = Limits(max_line_bytes=650, indexed_rows=5)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=30)))
    chunks = [content[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(content)], strict=True)]
    block_bytes = data.draw(st.sampled_from([1, 64, 500, 100_000]))

    whole = validate_split(Source("train_sft", [content]), limits)
    cut = validate_split(Source("train_sft", chunks), replace(limits, block_bytes=block_bytes))

    assert replace(cut, index=b"") == replace(whole, index=b"")
    assert len(whole.index) <= 5 * ENTRY_BYTES


_roles = st.sampled_from(["user", "assistant", "system", "tool", "human", 1, None])
_contents = st.one_of(st.text(max_size=5), st.none(), st.integers(), st.just(" "))
_messages = st.one_of(
    st.fixed_dictionaries({}, optional={"role": _roles, "content": _contents, "name": st.just("x")}),
    st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": st.text(min_size=1)}),
    st.none(),
)
_turns = st.integers(1, 6).map(lambda count: conversation(*map(str, range(count)))["messages"])
_rows = st.fixed_dictionaries(
    {},
    optional={
        "messages": st.one_of(_turns, st.lists(_messages, max_size=5), st.none()),
        "prompt": st.one_of(st.text(max_size=3), st.none(), st.integers()),
        "prompt_id": st.one_of(st.text(max_size=3), st.none()),
        "tools": st.one_of(st.none(), st.just([{}])),
        "other": st.floats(allow_nan=False),
    },
)


@settings(max_examples=300, deadline=None)
@given(row=_rows, split=st.sampled_from(["test_sft", "test_gen"]))
def test_the_fast_path_and_the_spelled_out_rules_agree(row: dict[str, object], split: str) -> None:
    line = json.dumps(row).encode()

    fault = diagnose(line, rules_for(split))

    kinds = [error.kind for error in check(line, split).errors]
    assert kinds == ([fault.kind] if isinstance(fault, Fault) else [])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=40), st.sampled_from([b"\n", b"{", jsonl(*rows(1)), b"\xef\xbb\xbf"]))))
def test_any_bytes_give_a_report(chunks: list[bytes]) -> None:
    report = validate_split(Source("test_gen", chunks))

    data = b"".join(chunks)
    assert (report.size, report.content) == (len(data), check(data).content)
    assert report.valid_rows <= report.rows
    for error in report.errors:
        assert error.reason.isprintable()
        assert 0 <= error.offset <= len(data)


def test_only_the_first_findings_are_kept_but_all_are_counted() -> None:
    row = {**conversation("q", "a"), "prompt_id": "odd"}

    report = check(jsonl(*[row] * 500) + b"garbage\n" * 300, limits=Limits(block_bytes=2_000))

    assert [error.line for error in report.errors] == list(range(501, 601))
    assert report.error_counts == {"not_json": 300}
    assert len(report.warnings) == 100
    assert Counter(warning.kind for warning in report.warnings) == {
        "duplicate_conversation": 33,
        "duplicate_prompt_id": 33,
        "odd_prompt_id": 34,
    }
    assert report.warning_counts == {
        "odd_prompt_id": 500,
        "duplicate_prompt_id": 499,
        "duplicate_conversation": 499,
    }


def test_many_findings_of_one_kind_leave_room_for_those_of_another() -> None:
    odd = [{**conversation(f"q{number}", "a"), "prompt_id": f"odd {number}"} for number in range(300)]

    report = check(jsonl(*odd, conversation("q7", "a")))

    assert report.warnings[-1].kind == "missing_prompt_id"
    assert [found.other for found in report.warnings if found.kind == "duplicate_conversation"] == [
        ("test_sft.jsonl", 8)
    ]
    assert [found.line for found in report.warnings] == sorted(found.line for found in report.warnings)


def test_the_identity_is_of_every_byte_and_of_their_order() -> None:
    data = jsonl(*rows(20))
    others = [data[:-1], data + b"\n", data.replace(b"7", b"8", 1), data[100:] + data[:100], b""]

    assert len({check(other).content for other in (data, *others)}) == 6
    assert check(data).content == validate_split(Source("train_sft", [data[:999], data[999:]])).content


def test_a_failure_to_read_is_passed_on() -> None:
    def broken() -> Iterator[bytes]:
        yield jsonl(*rows(20)) * 1_000
        raise ConnectionError("cut")

    with pytest.raises(ConnectionError, match="cut"):
        validate_split(Source("train_sft", Stream(broken)))


def test_what_can_be_read_only_once_is_refused() -> None:
    with pytest.raises(TypeError, match="more than once"):
        Source("train_sft", iter([b""]))


def test_memory_does_not_grow_with_the_file() -> None:
    block = [conversation("q" * 100, "a" * 2_000)] * 99
    chunk = jsonl(*block) + b"garbage\n"
    limits = Limits(tracked_rows=300, indexed_rows=100)

    def peak(chunks: int) -> int:
        tracemalloc.start()
        validate_split(Source("train_sft", Stream(lambda: (chunk for _ in range(chunks)))), limits)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(2)
    assert peak(30) < peak(6) + 100_000


def test_a_row_costs_36_bytes_to_remember() -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        table = validate_split(
            Source(
                "test_sft",
                Stream(lambda: (jsonl({**row, "prompt_id": "a" * 64}) for row in rows(count))),
            ),
            Limits(max_findings=1),
        ).table
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(table) == count
        return held

    peak(10)
    assert (peak(2_000) - peak(1_000)) / 1_000 < 60  # arrays grow by an eighth in advance; the index takes 8


def test_beyond_what_is_tracked_rows_are_counted_but_not_compared() -> None:
    report = check(jsonl(*rows(10), *rows(10)), limits=Limits(tracked_rows=12))

    assert report.compared_rows == 12
    assert report.warning_counts == {"duplicate_conversation": 2, "not_all_compared": 1}
    assert report.valid_rows == 20


@pytest.mark.parametrize("tracked", [1, 7, 39, 40, 41])
@pytest.mark.parametrize("block_bytes", [50, 500, 100_000])
def test_the_index_has_all_rows_however_many_are_tracked(tracked: int, block_bytes: int) -> None:
    data = jsonl(*rows(40))

    report = check(data, limits=Limits(tracked_rows=tracked, block_bytes=block_bytes))

    assert indexed(report, data) == data.splitlines(keepends=True)


def test_what_is_too_long_to_be_kept_is_part_of_the_identity() -> None:
    one, other = (jsonl(*rows(3)) + b"x" * 700 + end + b"\n" + jsonl(*rows(3)) for end in (b"x", b"y"))
    limits = Limits(max_line_bytes=600)

    def name(data: bytes, size: int) -> str:
        cut = [data[at : at + size] for at in range(0, len(data), size)]
        return validate_split(Source("test_sft", cut), limits).content

    assert name(one, 10_000) == name(one, 100) == name(one, 7)
    assert name(one, 10_000) != name(other, 10_000)


def test_a_long_line_is_not_held_in_memory() -> None:
    chunk = b"x" * 100_000

    tracemalloc.start()
    report = validate_split(
        Source("test_gen", Stream(lambda: (chunk for _ in range(100)))), Limits(max_line_bytes=200_000)
    )
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert report.error_counts == {"overlong_line": 1}
    assert most < 1_000_000


@pytest.mark.parametrize(
    "spanning",
    [
        b'{"meta":\n{"a": 1}, "messages": MESSAGES}\n',
        b'{"messages": MESSAGES, "meta": {"a": 1}\n}\n',
        b'{"messages":\nMESSAGES}\n',
        b'{"messages": MESSAGES\n, "meta": {"a": 1}}\n',
    ],
)
def test_a_row_over_two_lines_does_not_hide_behind_a_line_with_two_rows(spanning: bytes) -> None:
    """A block of as many values as lines: none of both lines is a row."""
    one = jsonl(rows(1)[0]).strip()
    broken = spanning.replace(b"MESSAGES", json.dumps(rows(1)[0]["messages"]).encode())
    report = check(jsonl(*rows(3)) + broken + one + one + b"\n" + jsonl(*rows(2, 7)))
    assert [error.line for error in report.errors] == [4, 5, 6]
    assert report.valid_rows == 5
