"""How much of a split is looked at, kept and asked for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes are bytes unless they say otherwise; percentages are of a split's valid rows."""

    max_line_bytes: int = 16_000_000
    block_bytes: int = 1280 * 1024
    """Lines are decoded this many bytes at a time: a chunk of 1 MiB, with the line that its border cut in two; a bad
    line makes its block be read again line by line."""
    max_findings: int = 100
    """Of each kind of error and of warning, the first so many are kept with their lines. All are counted."""
    max_seq_length: int = 8_192
    """Tokens, estimated, of which training keeps no more of a row."""
    token_bytes: float = 4.0
    """Bytes of UTF-8 that are taken for a token."""
    max_long_percent: float = 100.0
    """Refused are splits with more rows than this beyond max_seq_length."""
    max_duplicate_percent: float = 100.0
    """Refused are splits with more repeated conversations than this."""
    max_leak_percent: float = 100.0
    """Refused are versions of whose test_sft more than this stands in train_sft as well."""
    tracked_rows: int = 500_000
    """Rows of a split that are compared with one another and with the other splits', 36 bytes each."""
    indexed_rows: int = 65_536
    """Lines that the line index holds, 8 bytes each: all, or as many drawn uniformly."""
    index_seed: int = 20
    max_expanded_bytes: int = 64 * 1024**3
    max_expansion: float = 200.0
    """A gzip file may hold so many times its own size. Chats shrink to a third or, with much repetition, a tenth."""


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class SplitRules:
    """What one split needs, beyond what every conversation needs."""

    min_rows: int
    min_messages: int
    ends_with_assistant: bool


MIN_TRAINING_ROWS = 10
"""azureml-acft-contrib-hf-nlp refuses fewer training rows, after the GPU has been paid for."""


def rules_for(split: str) -> SplitRules:
    """Splits to train and evaluate on (`*_sft`) need an answer in every row; others are only prompts."""
    trained_on = split.endswith("_sft")
    return SplitRules(
        min_rows=MIN_TRAINING_ROWS if split == "train_sft" else 1,
        min_messages=2 if trained_on else 1,
        ends_with_assistant=trained_on,
    )
