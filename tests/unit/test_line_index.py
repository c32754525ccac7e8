"""The line index holds each line, or each as likely as any other."""

from array import array
from collections import Counter
from random import Random

from shared.datasets.line_index import ENTRY_BYTES, MAX_LINE_BYTES, LineIndex, place_of


def filled(lines: int, capacity: int, seed: int) -> list[tuple[int, int]]:
    """Lines of 10 bytes, numbered by their offset."""
    index = LineIndex(capacity, Random(seed))
    for first in range(0, lines, 7):
        begins = array("Q", [10 * number for number in range(first, min(first + 7, lines))])
        index.add(begins, array("I", [10] * len(begins)))
    raw = index.to_bytes()
    return [place_of(raw[at : at + ENTRY_BYTES]) for at in range(0, len(raw), ENTRY_BYTES)]


def test_as_many_lines_as_fit_are_all_kept() -> None:
    assert filled(50, 50, seed=1) == [(10 * number, 10) for number in range(50)]


def test_of_more_lines_a_part_is_kept_in_the_order_of_the_file() -> None:
    kept = filled(1_000, 64, seed=1)

    assert 16 <= len(kept) <= 64
    assert kept == sorted(kept)
    assert all(size == 10 for _, size in kept)


def test_every_line_is_as_likely_to_be_kept() -> None:
    times: Counter[int] = Counter()
    for seed in range(3_000):
        times.update(offset // 10 for offset, _ in filled(60, 8, seed))

    expected = times.total() / 60
    # 59 degrees of freedom: 98.3 is exceeded once in a thousand.
    assert sum((times[line] - expected) ** 2 / expected for line in range(60)) < 98.3


def test_the_same_seed_gives_the_same_index() -> None:
    assert filled(500, 32, seed=5) == filled(500, 32, seed=5) != filled(500, 32, seed=6)


def test_the_largest_lines_and_files_have_entries() -> None:
    index = LineIndex(2, Random(1))
    index.add(array("Q", [2**40 - 1]), array("I", [MAX_LINE_BYTES]))

    assert place_of(index.to_bytes()) == (2**40 - 1, MAX_LINE_BYTES)
