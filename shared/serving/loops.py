"""Answers that go round in circles: one phrase said over and over, as models do that were trained too far."""

from __future__ import annotations

LONGEST_PHRASE = 200
"""Characters."""
ROUNDS = 4
"""A phrase counts as a loop when it stands so many times in a row."""
MAX_CHARACTERS = 4000
"""Of an answer that are looked at: the last ones, where loops are."""
_SHORTEST_LOOP = 60
"""Characters: shorter ones are rulers, dots and laughter."""


def looping_share(text: str) -> float:
    """The share of a text, 0 to 1, that is filled by the longest phrase which is said over and over."""
    tail = " ".join(text.split())[-MAX_CHARACTERS:]
    longest = max((_longest_loop(tail, phrase) for phrase in range(1, LONGEST_PHRASE + 1)), default=0)
    return longest / len(tail) if longest >= _SHORTEST_LOOP else 0.0


def _longest_loop(text: str, phrase: int) -> int:
    """Characters of the longest stretch in which each is the one `phrase` characters before it."""
    longest = run = 0
    for now, before in zip(text[phrase:], text, strict=False):
        run = run + 1 if now == before else 0
        longest = max(longest, run)
    return longest + phrase if longest >= phrase * (ROUNDS - 1) else 0
