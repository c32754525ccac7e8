"""Made-up chat splits with the shape of HuggingFaceH4/ultrachat_200k: sizes, lengths, turns, escapes.

    python -m benchmarks.corpus --rows 207865 --out train_sft.jsonl

ultrachat_200k's train_sft has 207,865 rows and 1,397,058,554 bytes (its dataset card): 6,721 bytes a row. Lengths
of its rows are spread with a coefficient of variation of 0.65, the longest 190 times the shortest. Rows are written
as Hugging Face's `Dataset.to_json` writes them: ASCII, with `\\u` escapes. One seed always gives the same bytes.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

TRAIN_ROWS = 207_865
TEST_ROWS = 23_110

_MESSAGES = (2, 4, 6, 8, 10, 12, 14)
_MESSAGES_WEIGHTS = (6, 27, 32, 22, 9, 3, 1)
_ANSWER_CHARACTERS = (1_240, 0.6)
_QUESTION_CHARACTERS = (95, 0.6)
_LONG_QUESTION_CHARACTERS = (2_600, 0.5)
"""Median and sigma of log-normal lengths. One opening question in twelve quotes a text that is asked about."""
_WORDINESS = 0.45
"""Sigma of the log-normal factor of all answers in a row."""
_LONG_QUESTIONS = 1 / 12
_POOL_SENTENCES = 40_000
_ONSETS = (*"bcdfghlmnprstvw", "st", "br", "cl", "tr", "pl", "gr", "sh", "ch")
_NUCLEI = (*"aeiou", "ea", "ou", "ai", "io")
_CODAS = ("", "", "", "", *"nrstl", "nd", "rs", "ng")
_COMMON = ("the", "of", "and", "to", "in", "is", "that", "for", "it", "as", "with", "on", "by", "are", "or", "from")
_ODD = (
    "caf\u00e9",
    "na\u00efve",
    "\u201cquoted\u201d",
    "it\u2019s",
    "\u2014",
    "\u4f60\u597d",
    "\U0001f642",
    'say "so"',
)


class _Prose:
    """Pieces of a pool of sentences, in JSON's escaped form, of any wanted length."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        words = [_word(rng) for _ in range(6_000)]
        weights = [1 / (rank + 8) for rank in range(len(words))]
        self._words = rng.choices(words, weights, k=200_000)
        self._sentences = [_escaped(self._sentence(number)) for number in range(_POOL_SENTENCES)]

    def piece(self, characters: float) -> str:
        """At least so many characters of whole sentences, with a paragraph now and then."""
        begin = self._rng.randrange(_POOL_SENTENCES)
        parts: list[str] = []
        length, number = 0, begin
        while length < characters:
            sentence = self._sentences[number % _POOL_SENTENCES]
            parts.append(sentence)
            length += len(sentence)
            number += 1
        return "".join(parts).rstrip(" ").removesuffix("\\n\\n")

    def _sentence(self, number: int) -> str:
        rng = self._rng
        begin = rng.randrange(len(self._words) - 40)
        words = self._words[begin : begin + rng.randrange(6, 19)]
        for place in range(2, len(words), 3):
            words[place] = rng.choice(_COMMON)
        if number % 150 == 0:
            words[rng.randrange(1, len(words))] = rng.choice(_ODD)
        text = " ".join(words).capitalize()
        return f"{text}.\n\n" if number % 5 == 0 else f"{text}. "


def rows(count: int, *, seed: int = 7, first: int = 0) -> Iterator[bytes]:
    """`count` rows with their line feeds; rows of other `first` numbers are other conversations."""
    rng = random.Random(f"{seed}/{first}")
    prose = _Prose(rng)
    for number in range(first, first + count):
        turns: list[str] = []
        wordiness = rng.lognormvariate(0, _WORDINESS)
        for place in range(rng.choices(_MESSAGES, _MESSAGES_WEIGHTS)[0]):
            text = prose.piece(_length(rng, place, wordiness))
            turns.append(f"Case {number}: {text}" if place == 0 else text)
        messages = ",".join(
            f'{{"content":"{text}","role":"{"assistant" if place % 2 else "user"}"}}'
            for place, text in enumerate(turns)
        )
        prompt_id = f"{rng.getrandbits(256):064x}"
        yield f'{{"prompt":"{turns[0]}","prompt_id":"{prompt_id}","messages":[{messages}]}}\n'.encode()


def write(path: Path, count: int, *, seed: int = 7, first: int = 0) -> int:
    """The bytes written; through a temporary name, so that a file that is there is whole."""
    part = path.with_suffix(".part")
    size = 0
    with part.open("wb") as file:
        for row in rows(count, seed=seed, first=first):
            size += file.write(row)
    part.rename(path)
    return size


def _length(rng: random.Random, place: int, wordiness: float) -> float:
    if place % 2:
        median, sigma = _ANSWER_CHARACTERS[0] * wordiness, _ANSWER_CHARACTERS[1]
    elif place == 0 and rng.random() < _LONG_QUESTIONS:
        median, sigma = _LONG_QUESTION_CHARACTERS
    else:
        median, sigma = _QUESTION_CHARACTERS
    return median * rng.lognormvariate(0, sigma)


def _word(rng: random.Random) -> str:
    syllables = rng.choices((1, 2, 3), (50, 38, 12))[0]
    return "".join(rng.choice(_ONSETS) + rng.choice(_NUCLEI) + rng.choice(_CODAS) for _ in range(syllables))


def _escaped(text: str) -> str:
    return json.dumps(text)[1:-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=TRAIN_ROWS)
    parser.add_argument("--first", type=int, default=0, help="number of the first row: other numbers, other rows")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    size = write(arguments.out, arguments.rows, seed=arguments.seed, first=arguments.first)
    print(f"{arguments.out}: {arguments.rows} rows, {size / 1e6:,.0f} MB, {size / arguments.rows:,.0f} bytes a row")


if __name__ == "__main__":
    main()
