"""How much of a split is looked at, kept and asked for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes are bytes unless they say otherwise."""

    max_line_bytes: int = 16 * 1024 * 1024
    block_bytes: int = 512 * 1024
    """Lines are decoded this many bytes at a time; a bad line makes its block be read again line by line."""
    max_findings: int = 100
    """Errors, and separately warnings, that are kept with their line. All are counted."""
    sample_rows: int = 20
    sample_row_bytes: int = 64 * 1024
    sample_seed: int = 20
    long_row_characters: int = 32_768
    """Warned about: some 8,000 tokens of English, more than most models' max_seq_length keeps."""
    tracked_rows: int = 1_000_000
    """Rows that are remembered to find repetitions, some 130 bytes each. Later rows are compared to these."""


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
