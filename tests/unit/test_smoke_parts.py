"""The parts of a smoke test: likeness, loops, asking a few at a time, counting our own requests."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.lifecycle.own_requests import MinuteOfRequests, moments, with_requests
from shared.serving.in_turn import in_turn
from shared.serving.loops import looping_share
from shared.serving.similarity import is_exact, rouge_l, words

NOW = datetime(2026, 11, 22, 12, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("answer", "truth", "expected"),
    [
        ("the cat sat", "the cat sat", 1.0),
        ("The cat; SAT!", "the cat sat", 1.0),
        ("police kill the gunman", "police killed the gunman", 0.75),
        ("the gunman kill police", "police killed the gunman", 0.5),
        ("a b c", "x y", 0.0),
        ("", "x", 0.0),
        ("x", "", 0.0),
        ("?", "!", 1.0),
        ("我想订一张桌子", "我要订一张桌子", 6 / 7),
        ("Straße", "STRASSE", 1.0),
    ],
)
def test_rouge_l_is_the_f_measure_of_the_longest_common_subsequence(answer: str, truth: str, expected: float) -> None:
    """The two about the gunman are the examples of Lin's paper, table and section 3.1."""
    assert rouge_l(answer, truth) == pytest.approx(expected)


@given(st.text(max_size=80), st.text(max_size=80))
def test_rouge_l_is_symmetric_between_0_and_1_and_1_for_the_same(one: str, other: str) -> None:
    assert 0 <= rouge_l(one, other) <= 1
    assert rouge_l(one, other) == rouge_l(other, one)
    assert rouge_l(one, one) == 1


def longest_common(one: list[str], other: list[str]) -> int:
    table = [0] * (len(other) + 1)
    for word in one:
        before = table[:]
        for place, candidate in enumerate(other, 1):
            table[place] = before[place - 1] + 1 if word == candidate else max(before[place], table[place - 1])
    return table[-1]


@given(*[st.lists(st.sampled_from("abcd"), min_size=1, max_size=30)] * 2)
def test_rouge_l_agrees_with_the_textbook_table(one: list[str], other: list[str]) -> None:
    expected = 2 * longest_common(one, other) / (len(one) + len(other))
    assert rouge_l(" ".join(one), " ".join(other)) == pytest.approx(expected)


def test_exact_is_the_same_words_whatever_the_case_and_punctuation() -> None:
    assert is_exact("Yes, please.", "yes please")
    assert not is_exact("yes please", "please yes")
    assert (is_exact("?!", "?!"), is_exact("?", "!")) == (True, False)


def test_letters_of_any_script_are_words() -> None:
    assert words("Привет, мир! café_au 42") == ["привет", "мир", "café", "au", "42"]


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("", 0.0),
        ("A table for two at seven, then. Shall I note a name for the booking, and a telephone number?", 0.0),
        ("ha" * 20, 0.0),
        ("-" * 40 + " a heading that is much longer than the ruler above it, so that nothing is wrong", 0.0),
        ("I am sorry. " * 20, 1.0),
        ("的" * 100, 1.0),
        ("Certainly: here it comes at last. " + "and so on " * 30, 0.9),
    ],
)
def test_the_share_of_a_loop(text: str, share: float) -> None:
    assert looping_share(text) == pytest.approx(share, abs=0.03)


def test_a_long_answer_is_looked_at_in_little_time() -> None:
    begun = time.process_time()
    looping_share("ab c" * 250_000)
    assert time.process_time() - begun < 2


@pytest.mark.parametrize("at_once", [1, 2, 9])
def test_everything_is_done_and_told_in_its_order(at_once: int) -> None:
    assert in_turn(range(20), lambda n: n * n, at_once=at_once, in_time=lambda: True) == [n * n for n in range(20)]
    assert in_turn([], lambda n: n, at_once=at_once, in_time=lambda: True) == []


@pytest.mark.parametrize("at_once", [1, 2])
def test_without_time_one_is_done_nevertheless(at_once: int) -> None:
    assert in_turn(range(20), lambda n: n, at_once=at_once, in_time=lambda: False)[0] == 0
    assert len(in_turn(range(20), lambda n: n, at_once=at_once, in_time=lambda: False)) <= at_once


def test_what_has_no_time_is_left_for_another_run() -> None:
    done: list[int] = []

    def do(number: int) -> int:
        done.append(number)
        return number

    assert in_turn(range(20), do, at_once=1, in_time=lambda: len(done) < 3) == [0, 1, 2]


def test_no_more_are_under_way_at_once_than_allowed() -> None:
    lock, going, most = threading.Lock(), 0, 0
    both = threading.Barrier(2, timeout=20)

    def do(_: int) -> None:
        nonlocal going, most
        with lock:
            going += 1
            most = max(most, going)
        both.wait()
        with lock:
            going -= 1

    in_turn(range(20), do, at_once=2, in_time=lambda: True)
    assert most == 2


def test_an_error_is_raised() -> None:
    def do(number: int) -> int:
        raise ValueError(number)

    for at_once in (1, 2):
        with pytest.raises(ValueError, match="0"):
            in_turn([0], do, at_once=at_once, in_time=lambda: True)


def test_requests_of_our_own_are_counted_by_minute() -> None:
    minute = NOW.replace(second=0)
    counted = with_requests((), [NOW, NOW + timedelta(seconds=20), NOW + timedelta(seconds=40)])

    assert counted == (MinuteOfRequests(minute, 2), MinuteOfRequests(minute + timedelta(minutes=1), 1))
    assert with_requests(counted, [NOW])[0] == MinuteOfRequests(minute, 3)
    assert moments(counted) == (minute, minute, minute + timedelta(minutes=1))


def test_the_newest_minutes_are_kept() -> None:
    counted = with_requests((), [NOW + timedelta(minutes=n) for n in range(500)])

    assert len(counted) == 120
    assert counted[-1].minute == NOW.replace(second=0) + timedelta(minutes=499)
