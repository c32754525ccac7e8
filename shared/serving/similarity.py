"""How near an answer is to the one that the data holds."""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\W_]+")
_NO_SPACES = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
"""Scripts that write words without spaces between them: each character counts as a word."""


def words(text: str) -> list[str]:
    """In lower case, without punctuation."""
    return _WORD.findall(_NO_SPACES.sub(r" \g<0> ", text.casefold()))


def rouge_l(answer: str, truth: str) -> float:
    """F-measure over the longest common subsequence of words, 0 to 1 (Lin 2004, with beta 1)."""
    # Imported here: only the smoke test needs it.
    from rapidfuzz.distance import LCSseq

    said, wanted = words(answer), words(truth)
    if not said or not wanted:
        return float(said == wanted)
    return 2 * LCSseq.similarity(said, wanted) / (len(said) + len(wanted))


def is_exact(answer: str, truth: str) -> bool:
    """The same words in the same order; of texts without a word the same text."""
    said, wanted = words(answer), words(truth)
    return said == wanted if said or wanted else answer.strip() == truth.strip()
