from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from shared.errors import PermanentError
from shared.serving.sample import Lines, Sample, draw_samples

USER = {"role": "user", "content": "2026-01-01"}
ANSWER = {"role": "assistant", "content": "007"}


@dataclass(frozen=True)
class Rows:
    """Lines in memory, read as the ones of a snapshot are."""

    lines: Sequence[bytes]

    def count(self) -> int:
        return len(self.lines)

    def read(self, number: int) -> bytes:
        return self.lines[number]


def draw_sample(rows: Lines, *, seed: int) -> Sample:
    (sample,) = draw_samples(rows, seed=seed, count=1)
    return sample


def lines(*rows: object) -> Rows:
    return Rows([json.dumps(row).encode() + b"\n" for row in rows])


def test_a_final_answer_is_held_back_as_the_ground_truth() -> None:
    system = {"role": "system", "content": "Be brief."}

    sample = draw_sample(lines({"messages": [system, USER, ANSWER]}), seed=1)

    assert sample == Sample((system, USER), "007")


def test_a_row_that_ends_with_the_users_turn_has_no_ground_truth() -> None:
    sample = draw_sample(lines({"messages": [USER, ANSWER, USER]}), seed=1)

    assert sample == Sample((USER, ANSWER, USER), None)


def test_earlier_answers_are_part_of_the_question() -> None:
    last = {"role": "assistant", "content": "last"}

    sample = draw_sample(lines({"messages": [USER, ANSWER, USER, last]}), seed=1)

    assert sample == Sample((USER, ANSWER, USER), "last")


def test_only_role_and_content_are_sent() -> None:
    sample = draw_sample(lines({"messages": [{**USER, "name": "Ann", "extra": 1}]}), seed=1)

    assert sample.messages == (USER,)


def test_the_seed_decides_which_row_is_drawn() -> None:
    rows = lines(*({"messages": [{"role": "user", "content": str(number)}]} for number in range(20)))

    drawn = {seed: draw_sample(rows, seed=seed).messages[0]["content"] for seed in range(40)}

    assert drawn == {seed: draw_sample(rows, seed=seed).messages[0]["content"] for seed in range(40)}
    assert len(set(drawn.values())) > 10


def test_any_integer_is_a_seed() -> None:
    rows = lines({"messages": [USER]})

    assert draw_sample(rows, seed=-1) == draw_sample(rows, seed=2**80) == Sample((USER,), None)


def test_texts_stay_what_they_are() -> None:
    content = "00123 2026-01-01 1e5 \u2028 \u0085 \x00 null 😀"

    sample = draw_sample(lines({"date": "2026-01-01", "messages": [{"role": "user", "content": content}]}), seed=1)

    assert sample.messages[0]["content"] == content


@pytest.mark.parametrize(
    "row",
    [
        lines({"id": 10**30, "messages": [USER]}).lines[0],
        b"\xef\xbb\xbf" + lines({"messages": [USER]}).lines[0],
        lines({"messages": [USER]}).lines[0].replace(b"\n", b"\r\n"),
        lines({"messages": [USER]}).lines[0].strip(),
    ],
    ids=["integer beyond 64 bits", "byte order mark", "Windows line end", "no line end"],
)
def test_valid_rows_that_readers_stumble_over_are_read(row: bytes) -> None:
    assert draw_sample(Rows([row]), seed=1).messages == (USER,)


def test_a_conversation_with_tools_is_asked_up_to_the_first_call() -> None:
    call: object = {"role": "assistant", "content": None, "tool_calls": []}
    tool = {"role": "tool", "content": "42"}

    sample = draw_sample(lines({"messages": [USER, ANSWER, USER, call, tool, ANSWER]}), seed=1)

    assert sample == Sample((USER, ANSWER, USER), None)


def test_rows_that_make_no_question_are_never_drawn() -> None:
    rows = lines(
        {"messages": [{"role": "tool", "content": "42"}, USER]},
        {"messages": [ANSWER]},
        {"messages": "text"},
        {"messages": [{"role": ["user"], "content": "?"}]},
        {"messages": None},
        {"messages": []},
        {"messages": [{"role": "user", "content": ["part"]}]},
        {"other": 1},
        {"messages": [USER]},
    )

    assert all(draw_sample(rows, seed=seed).messages == (USER,) for seed in range(20))


@pytest.mark.parametrize(
    "rows",
    [
        Rows([]),
        Rows([b"\n", b"no json\n", b"[1]\n", b"7\n", b"\xff"]),
        lines({"a": 1}),
        lines({"messages": [ANSWER]}),
    ],
)
def test_without_a_usable_row_there_is_no_sample(rows: Rows) -> None:
    with pytest.raises(PermanentError) as caught:
        draw_sample(rows, seed=1)

    assert caught.value.code == "NoSample"


def test_every_row_is_as_likely_to_be_drawn() -> None:
    rows = lines(*({"messages": [{"role": "user", "content": str(number)}]} for number in range(20)))
    times = Counter(draw_sample(rows, seed=seed).messages[0]["content"] for seed in range(4_000))

    # Each row is expected 200 times; 19 degrees of freedom: 43.8 is exceeded once in a thousand.
    assert sum((times[str(number)] - 200) ** 2 / 200 for number in range(20)) < 43.8


def test_contents_do_not_show_in_the_representation() -> None:
    assert "2026" not in repr(draw_sample(lines({"messages": [USER, ANSWER]}), seed=1))


def questions(count: int) -> Rows:
    return lines(*({"messages": [{"role": "user", "content": str(number)}]} for number in range(count)))


def asked(samples: list[Sample]) -> list[str]:
    return [sample.messages[0]["content"] for sample in samples]


def test_no_row_is_drawn_twice() -> None:
    assert sorted(asked(draw_samples(questions(20), seed=1, count=20)), key=int) == [str(n) for n in range(20)]


def test_where_there_are_fewer_rows_than_wanted_all_are_drawn() -> None:
    assert sorted(asked(draw_samples(questions(3), seed=1, count=5))) == ["0", "1", "2"]


def test_rows_that_make_no_question_do_not_count() -> None:
    rows = lines(*([{"other": 1}] * 15), *({"messages": [{"role": "user", "content": str(n)}]} for n in range(5)))

    assert sorted(asked(draw_samples(rows, seed=1, count=5))) == ["0", "1", "2", "3", "4"]
