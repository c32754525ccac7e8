"""Estimated tokens and the picture of them."""

import json
from random import Random
from xml.etree import ElementTree

import pytest

from shared.datasets.length_plot import length_plot
from shared.datasets.lengths import Histogram, Lengths, utf8_size
from shared.datasets.limits import Limits
from shared.datasets.source import Source
from shared.datasets.tuning_file import parse_tuning_file, sequence_length
from shared.datasets.validation import validate_split


def row(number: int, characters: int, letter: str = "x") -> bytes:
    messages = [
        {"role": "user", "content": f"{number:06}"},
        {"role": "assistant", "content": letter * (characters - 6)},
    ]
    return json.dumps({"messages": messages}).encode() + b"\n"


def test_rows_beyond_the_sequence_length_are_reported_on_their_lines() -> None:
    data = b"".join(row(number, 400 if number in (3, 7) else 100) for number in range(12))

    report = validate_split(Source("train_sft", [data]), Limits(max_seq_length=100))

    assert [(found.line, found.kind) for found in report.warnings] == [(4, "long_row"), (8, "long_row")]
    assert "about 100 tokens" in report.warnings[0].reason


@pytest.mark.parametrize(("characters", "long"), [(368, False), (369, True)])
def test_a_token_is_four_bytes_and_a_message_four_tokens_more(characters: int, long: bool) -> None:
    report = validate_split(Source("test_sft", [row(1, characters), row(2, 50)]), Limits(max_seq_length=100))

    assert report.warning_counts == ({"long_row": 1} if long else {})
    assert report.tokens == round((characters + 50) / 4 + 16)


@pytest.mark.parametrize(("long", "valid"), [(6, True), (7, False)])
def test_a_split_of_mostly_too_long_rows_is_refused(long: int, valid: bool) -> None:
    data = b"".join(row(number, 900 if number < long else 60) for number in range(12))

    report = validate_split(Source("train_sft", [data]), Limits(max_seq_length=100, max_long_percent=50))

    assert report.error_counts == ({} if valid else {"too_many_long_rows": 1})


def test_other_scripts_have_more_bytes_to_a_character() -> None:
    assert utf8_size("你好" * 500, "ok", 1_002) == pytest.approx(3_002, rel=0.02)
    assert utf8_size("translate this", "你好" * 500, 1_014) == pytest.approx(3_014, rel=0.2)

    english, chinese = (validate_split(Source("test_sft", [row(1, 1_000, letter)])).tokens for letter in "x好")
    assert chinese == pytest.approx(3 * english, rel=0.1)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [({"max_seq_length": 2048}, 2048), ({"max_seq_length": -1}, 8192), ({"learning_rate": 0.1}, 8192), ({}, 8192)],
)
def test_the_sequence_length_is_the_versions_own_where_it_names_one(parameters: object, expected: int) -> None:
    file = parse_tuning_file(json.dumps({"parameters": parameters}).encode())

    assert sequence_length(file, Limits()).max_seq_length == expected


def test_every_row_is_in_one_bar() -> None:
    random = Random(3)
    lengths = Lengths(4.0)
    sizes = [int(random.lognormvariate(8, 0.6)) for _ in range(5_000)]
    for at in range(0, len(sizes), 40):
        lengths.add(sizes[at : at + 40])

    histogram = lengths.histogram()

    assert sum(histogram.counts) == 5_000
    assert list(histogram.edges) == sorted(set(histogram.edges))
    assert len(histogram.edges) == len(histogram.counts) + 1 <= 33
    ordered = sorted(size / 4 for size in sizes)
    assert histogram.median == pytest.approx(ordered[2_500], abs=3)
    assert histogram.p95 == pytest.approx(ordered[4_750], abs=3)
    assert histogram.longest == round(ordered[-1])
    for begin, end, count in zip(histogram.edges, histogram.edges[1:], histogram.counts, strict=False):
        assert count == pytest.approx(sum(begin <= tokens < end for tokens in ordered), abs=6)


def test_without_rows_there_is_an_empty_picture() -> None:
    histogram = Lengths(4.0).histogram()

    assert histogram.counts == (0,)
    ElementTree.fromstring(length_plot(histogram, "train_sft", 8192))


@pytest.mark.parametrize(("limit", "shown"), [(0, True), (55, True), (99, True), (100, False), (8192, False)])
def test_the_picture_is_drawn_to_scale_with_the_limit_in_its_place(limit: int, shown: bool) -> None:
    histogram = Histogram(edges=(0, 50, 100), counts=(30, 15), median=20, p95=90, longest=99)

    drawn = ElementTree.fromstring(length_plot(histogram, 'a"><b', limit))

    bars = drawn.findall("rect")
    assert [float(bar.get("height", 0)) for bar in bars] == pytest.approx([158, 79])
    assert ("over" in bars[1].get("class", "")) is (limit <= 50)
    assert len([line for line in drawn.findall("line") if line.get("class") == "limit"]) == shown
    assert bars[1].findtext("title") == "50 to 100 tokens: 15 rows"
    assert "half of the rows" in drawn.findtext("desc", "")
