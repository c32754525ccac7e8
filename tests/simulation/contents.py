"""What users upload: small datasets that the real validation accepts or refuses."""

from __future__ import annotations

import json
from collections.abc import Mapping

TRAIN_ROWS = 12
TEST_ROWS = 3


def _rows(flavour: str, count: int, split: str) -> bytes:
    lines = []
    for number in range(count):
        question = f"What is {flavour} number {number} of {split}?"
        messages = [{"role": "user", "content": question}, {"role": "assistant", "content": f"It is {number}."}]
        lines.append(json.dumps({"prompt": question, "prompt_id": f"{split}-{flavour}-{number}", "messages": messages}))
    return ("\n".join(lines) + "\n").encode()


TRAIN: Mapping[str, bytes] = {flavour: _rows(flavour, TRAIN_ROWS, "train_sft") for flavour in ("tea", "jam", "oat")}
BAD_TRAIN: Mapping[str, bytes] = {
    "broken": TRAIN["tea"] + b'{"messages": [\n',
    "too few": _rows("rye", 3, "train_sft"),
}
TEST: Mapping[str, bytes] = {flavour: _rows(flavour, TEST_ROWS, "test_sft") for flavour in ("tea", "jam")}
BAD_TEST: Mapping[str, bytes] = {"no messages": b'{"prompt": "hi", "prompt_id": "1"}\n' * TEST_ROWS}
GEN: Mapping[str, bytes] = {"tea": _rows("tea", TEST_ROWS, "test_gen")}
SETTINGS: Mapping[str, bytes] = {
    "two epochs": b'{"parameters": {"num_train_epochs": "2"}}',
    "slow is bad": b'{"smoke": {"max_latency_seconds": 5}}',
    "soon idle": b'{"idle": {"after_minutes": 25, "grace_minutes": 15}}',
    "idle late": b'{"idle": {"after_minutes": 150}}',
    "awake in the afternoon": b'{"idle": {"after_minutes": 25, "awake": "Sun-Mon 15:30-17:00 UTC"}}',
    "kept in the afternoon": b'{"idle": {"keep_hours": "Sun-Mon 15:00-18:30 Europe/Berlin"}}',
}
BAD_SETTINGS: Mapping[str, bytes] = {"no JSON": b"{", "unknown model": b'{"base_model": "no-such-model"}'}

BY_FILE: Mapping[str, tuple[Mapping[str, bytes], Mapping[str, bytes]]] = {
    "train_sft.jsonl": (TRAIN, BAD_TRAIN),
    "test_sft.jsonl": (TEST, BAD_TEST),
    "test_gen.jsonl": (GEN, BAD_TEST),
    "tuning.json": (SETTINGS, BAD_SETTINGS),
}
"""Good and bad contents of each file of a version."""


def other_content(file: str, content: bytes) -> bytes:
    """A good one that differs from `content`."""
    good, _ = BY_FILE[file]
    return next((found for found in good.values() if found != content), content + b"\n")
