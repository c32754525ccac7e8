"""Rows of a chat dataset, under the rules of the real component's validation and preprocessing."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcloud.training.errors import UserError

log = logging.getLogger(__name__)

MESSAGES = "messages"
MIN_MESSAGES = 2
MIN_TRAIN_ROWS = 10
HELD_OUT_SHARE = 0.1
MAX_HELD_OUT_ROWS = 200

_FORMATS = (".jsonl", ".json")
_FORMATS_OF_AZURE = (".csv", ".tsv", ".parquet")

Conversation = Sequence[Mapping[str, Any]]
"""Messages as they are in the file, without keys whose value is null."""


@dataclass(frozen=True)
class Splits:
    train: tuple[Conversation, ...]
    validation: tuple[Conversation, ...]
    test: tuple[Conversation, ...]


def check_file(name: str, file: Path) -> None:
    """Check what can be known from the first row. Raises UserError."""
    if not file.is_file():
        raise UserError(f"Input {name} is not a file: {file.name}.")
    if file.suffix in _FORMATS_OF_AZURE:
        raise UserError(f"Input {name} has the format {file.suffix}, which the local cloud does not read.")
    if file.suffix not in _FORMATS:
        raise UserError(
            f"Input {name} has the format '{file.suffix}'. Supported are {', '.join(_FORMATS + _FORMATS_OF_AZURE)}."
        )
    first = next(_rows(file), None)
    if first is None:
        raise UserError(f"Input {name} has no rows.")
    if MESSAGES not in first:
        columns = ", ".join(sorted(first)) or "none"
        raise UserError(f"Input {name} must have the column '{MESSAGES}'. Its columns are: {columns}.")


def read(name: str, file: Path) -> tuple[Conversation, ...]:
    """The rows that can be used. Raises UserError for a row that is broken, and when none is left."""
    conversations = []
    dropped = 0
    for number, row in enumerate(_rows(file), start=1):
        messages = row.get(MESSAGES)
        if messages is None or messages == "":
            dropped += 1
            continue
        conversations.append(_conversation(messages, f"Row {number} of {name}"))
    if dropped:
        log.info("%s: %d rows without messages were dropped", name, dropped)
    if not conversations:
        raise UserError(f"No rows of {name} are left after those without messages were dropped.")
    return tuple(conversations)


def split(
    train: Sequence[Conversation],
    validation: Sequence[Conversation],
    test: Sequence[Conversation],
    seed: int,
) -> Splits:
    """Without validation rows, a tenth of the training rows (at most 200) is held out. Raises UserError.

    Without test rows, the validation rows serve.
    """
    if len(train) < MIN_TRAIN_ROWS:
        raise UserError(f"The training data has {len(train)} rows; fine-tuning needs at least {MIN_TRAIN_ROWS}.")
    rows = list(train)
    held_out = list(validation)
    if not held_out:
        random.Random(seed).shuffle(rows)  # noqa: S311  # a split, not a secret
        count = min(MAX_HELD_OUT_ROWS, int(len(rows) * HELD_OUT_SHARE))
        held_out, rows = rows[:count], rows[count:]
        log.info("no validation data is given: %d of %d training rows are held out", count, len(train))
    return Splits(tuple(rows), tuple(held_out), tuple(test) or tuple(held_out))


def _conversation(messages: object, where: str) -> Conversation:
    if not isinstance(messages, list):
        raise UserError(f"{where}: '{MESSAGES}' must be a list of messages.")
    if len(messages) < MIN_MESSAGES:
        raise UserError(f"{where} has {len(messages)} messages; a conversation needs at least {MIN_MESSAGES}.")
    if not all(isinstance(message, dict) for message in messages):
        raise UserError(f"{where}: every message must be an object with 'role' and 'content'.")
    return [{key: value for key, value in message.items() if value is not None} for message in messages]


def _rows(file: Path) -> Iterator[Mapping[str, Any]]:
    if file.suffix == ".json":
        yield from _rows_of_array(file)
        return
    with file.open(encoding="utf-8", errors="strict") as lines:
        try:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _row(line, f"Line {number} of {file.name}")
        except UnicodeDecodeError as error:
            raise UserError(f"{file.name} is not UTF-8 text: {error.reason}.") from error


def _rows_of_array(file: Path) -> Iterator[Mapping[str, Any]]:
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{file.name} is not JSON: {error}.") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UserError(f"{file.name} must be an array of objects.")
    yield from rows


def _row(line: str, where: str) -> Mapping[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise UserError(f"{where} is not JSON: {error}.") from error
    if not isinstance(row, dict):
        raise UserError(f"{where} is not an object.")
    return row
