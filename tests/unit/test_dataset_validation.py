"""What validation reports of a whole split, whatever the chunks it arrives in."""

import hashlib
import json
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shared.datasets.digest import Digest
from shared.datasets.sampling import Reservoir

from shared.datasets.diagnosis import diagnose
from shared.datasets.limits import rules_for
from shared.datasets.turns import Fault
from shared.datasets.validation import Limits, SplitReport, find_leaks, validate_split


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
    return validate_split([data], split=split, limits=limits)


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
        roles={"user": 3, "assistant": 3, "system": 1},
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        errors=(),
        error_counts={},
        warnings=(),
        warning_counts={},
        sample=tuple(data.splitlines()),
    )


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("last_end", [True, False])
def test_line_ends_of_all_systems_and_a_missing_last_one_are_the_same_rows(end: bytes, last_end: bool) -> None:
    data = jsonl(*rows(12), end=end)

    report = check(data if last_end else data.removesuffix(end), split="train_sft")

    assert report.valid
    assert report.rows == 12
    assert all(json.loads(line) in rows(12) for line in report.sample)
    assert not any(line.endswith((b"\r", b"\n")) for line in report.sample)


def test_a_byte_order_mark_is_read_over_with_a_warning() -> None:
    data = b"\xef\xbb\xbf" + jsonl(*rows(3)) + b"garbage"

    report = check(data)

    assert report.warning_counts == {"byte_order_mark": 1}
    assert report.valid_rows == 3
    (error,) = report.errors
    assert data[error.offset :] == b"garbage"


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
    limits = Limits(max_line_bytes=650, sample_rows=5)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=30)))
    chunks = [content[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(content)], strict=True)]
    block_bytes = data.draw(st.sampled_from([1, 64, 500, 100_000]))

    whole = validate_split([content], split="train_sft", limits=limits)
    cut = validate_split(chunks, split="train_sft", limits=replace(limits, block_bytes=block_bytes))

    assert cut == whole
    assert cut.conversations == whole.conversations


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
    report = validate_split(chunks, split="test_gen")

    data = b"".join(chunks)
    assert (report.size, report.sha256) == (len(data), hashlib.sha256(data).hexdigest())
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
    assert report.warning_counts == {
        "odd_prompt_id": 500,
        "duplicate_prompt_id": 499,
        "duplicate_conversation": 499,
    }


def test_conversations_that_differ_anywhere_are_not_duplicates() -> None:
    report = check(
        jsonl(
            conversation("q", "a"),
            conversation("q", "b"),
            conversation("q", "a", "q", "a"),
            conversation("q", "a", system="s"),
            conversation("q", "a", system="t"),
        )
    )

    assert report.warning_counts == {}


def test_large_and_small_chunks_are_hashed_in_their_order() -> None:
    chunks = [b"a" * 8_000_000, *(b"b" * size for size in range(50)), b"c" * 8_000_000, b"d"]

    with Digest() as digest:
        for _ in digest.watch(chunks):
            pass
        found = digest.finish()

    content = b"".join(chunks)
    assert found == (hashlib.sha256(content).hexdigest(), len(content))


def test_a_conversation_in_both_splits_is_a_leak() -> None:
    train = check(jsonl(*rows(20)), split="train_sft")
    test = check(jsonl(*rows(5, first=17)))

    assert find_leaks(train, test) == 3


def test_a_failure_to_read_is_passed_on() -> None:
    def broken() -> Iterator[bytes]:
        yield jsonl(*rows(20)) * 1_000
        raise ConnectionError("cut")

    with pytest.raises(ConnectionError, match="cut"):
        validate_split(broken(), split="train_sft")


def test_memory_does_not_grow_with_the_file() -> None:
    chunk = jsonl(*[conversation("q" * 100, "a" * 2_000)] * 100) + b"garbage\n"

    def peak(chunks: int) -> int:
        tracemalloc.start()
        validate_split((chunk for _ in range(chunks)), split="train_sft")
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(2)
    assert peak(60) < peak(6) + 200_000


def test_a_long_line_is_not_held_in_memory() -> None:
    chunk = b"x" * 100_000

    tracemalloc.start()
    report = validate_split((chunk for _ in range(100)), split="test_gen", limits=Limits(max_line_bytes=200_000))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert report.error_counts == {"overlong_line": 1}
    assert most < 1_000_000


def test_the_sample_is_the_same_for_the_same_file_and_another_for_another_seed() -> None:
    data = jsonl(*rows(5_000))

    one, same = check(data), check(data)
    other = check(data, limits=Limits(sample_seed=1))

    assert one.sample == same.sample
    assert len(set(one.sample)) == 20
    assert set(one.sample) != set(other.sample)


def test_long_rows_are_valid_but_not_sampled() -> None:
    report = check(jsonl(conversation("q", "a" * 70_000), *rows(2)))

    assert report.valid_rows == 3
    assert report.sample == tuple(jsonl(*rows(2)).splitlines())


def test_every_row_is_equally_likely_to_be_sampled() -> None:
    lines = [str(number).encode() for number in range(60)]
    times: Counter[bytes] = Counter()

    for seed in range(3_000):
        reservoir = Reservoir(6, 10, Random(seed))
        for begin in range(0, 60, 7):
            reservoir.offer(lines[begin : begin + 7])
        times.update(reservoir.drawn())

    # Each line is expected 300 times, with a standard deviation of 16.4.
    assert sum(times.values()) == 18_000
    chi_square = sum((times[line] - 300) ** 2 / 300 for line in lines)
    assert chi_square < 100  # 59 degrees of freedom: exceeded once in a thousand
    assert min(times[line] for line in lines) > 225
