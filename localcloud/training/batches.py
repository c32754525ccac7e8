"""Which examples go together: rows of like length, so that little is padding."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from localcloud.training.encoding import Example

_BATCHES_PER_POOL = 32

Batch = Sequence[Example]


def training_batches(examples: Sequence[Example], size: int, rng: random.Random) -> Iterator[Batch]:
    """One epoch in random order. Rows are sorted by length only within pools, so that batches differ by epoch."""
    shuffled = rng.sample(examples, len(examples))
    pool = size * _BATCHES_PER_POOL
    batches = [
        batch
        for start in range(0, len(shuffled), pool)
        for batch in evaluation_batches(shuffled[start : start + pool], size)
    ]
    rng.shuffle(batches)
    return iter(batches)


def evaluation_batches(examples: Sequence[Example], size: int) -> Iterator[Batch]:
    by_length = sorted(examples, key=lambda example: len(example.tokens))
    return (by_length[start : start + size] for start in range(0, len(by_length), size))
