"""What is counted, compared and remembered over the valid rows of a split."""

from __future__ import annotations

from array import array
from collections import Counter
from random import Random
from typing import TYPE_CHECKING, cast

from msgspec import UNSET, UnsetType

from shared.datasets.lengths import Lengths, utf8_size
from shared.datasets.line_index import LineIndex
from shared.datasets.row_table import NO_ID, RowTable
from shared.datasets.split_report import Findings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.datasets.blocks import Block
    from shared.datasets.conversations import Conversations
    from shared.datasets.limits import Limits
    from shared.datasets.rows import AnyRow

_ID_LENGTH = 64
_SIGNED_CHARACTERS = 100
_SIGNED_AT_END = 30
"""Characters of the ends of a conversation's first and last message: its signature, with its counts."""


class Tally:
    """Takes valid rows only, a block at a time: the work per row is what validation's speed hangs on."""

    def __init__(self, limits: Limits) -> None:
        self.rows = 0
        self.characters = 0
        self.warnings = Findings(limits.max_findings)
        self.table = RowTable(limits.tracked_rows)
        self.lengths = Lengths(limits.token_bytes)
        self._limits = limits
        self._index: LineIndex | None = None
        self._roles: Counter[str] = Counter()
        self._max_tokens = limits.max_seq_length
        self._max_size = int(limits.max_seq_length * limits.token_bytes)
        self._expects_prompt = False
        self._expects_prompt_id = False

    def add(self, rows: Sequence[AnyRow], talks: Conversations, block: Block, digests: bytes) -> None:
        """`rows`, their conversations, the block's lines and their digests belong together, one by one."""
        self.rows += len(rows)
        self._roles.update(talks.role_counts())
        characters = talks.characters()
        self.characters += sum(characters)
        begins, sizes = block.offsets(), block.sizes()
        if len(self.table) + len(rows) > self._limits.tracked_rows:
            self._index = self._index or self._index_of_table()
            self._index.add(array("Q", begins), array("I", sizes))
        firsts, lasts = talks.firsts(), talks.lasts()
        signed = zip(
            [text[-_SIGNED_CHARACTERS:] for text in firsts],
            [text[-_SIGNED_AT_END:] for text in lasts],
            talks.counts,
            characters,
            strict=True,
        )
        ids = self._check_ids([row.prompt_id for row in rows], block)
        self.table.add(block.first_line, begins, sizes, list(map(hash, signed)), digests, ids)
        self._measure(talks.counts, firsts, lasts, characters, block)
        self._check_prompts([row.prompt for row in rows], block)

    def line_index(self) -> bytes:
        """Of all rows, in a split that has no other lines."""
        return (self._index or self._index_of_table()).to_bytes()

    def roles(self) -> dict[str, int]:
        """Messages by role, in the order in which the roles came up."""
        return dict(self._roles)

    def warn(self, kind: str, reason: str, indexes: Sequence[int], block: Block) -> None:
        for index in indexes:
            self.warnings.add(kind, reason, line=block.first_line + index, offset=block.offsets()[index])

    def _index_of_table(self) -> LineIndex:
        # A generator of its own, so that the same file gives the same index; nothing secret hangs on it.
        index = LineIndex(self._limits.indexed_rows, Random(self._limits.index_seed))  # noqa: S311
        index.add(self.table.offsets, self.table.sizes)
        return index

    def _measure(
        self, counts: list[int], firsts: list[str], lasts: list[str], characters: list[int], block: Block
    ) -> None:
        template = self.lengths.template_bytes
        sizes = [template * count + size for count, size in zip(counts, characters, strict=True)]
        for index in range(len(sizes)):
            first, last = firsts[index], lasts[index]
            if not (first.isascii() and last.isascii()):
                sizes[index] += utf8_size(first, last, characters[index]) - characters[index]
        if self.lengths.add(sizes) > self._max_size:
            long = [index for index, size in enumerate(sizes) if size > self._max_size]
            reason = f"more than about {self._max_tokens} tokens, of which training keeps no more"
            self.warn("long_row", reason, long, block)

    def _check_prompts(self, prompts: Sequence[str | UnsetType], block: Block) -> None:
        """A column that the first valid row has is expected in all."""
        if self.rows == len(prompts):
            self._expects_prompt = prompts[0] is not UNSET
        if self._expects_prompt and _has_gaps(prompts):
            missing = [index for index, value in enumerate(prompts) if value is UNSET]
            self.warn("missing_prompt", "prompt is missing, other rows have it", missing, block)

    def _check_ids(self, prompt_ids: Sequence[str | UnsetType], block: Block) -> list[int] | None:
        """Like the prompts. Returns their hashes, NO_ID for a row without one; None if no row has one."""
        if self._expects_prompt_id and _all_given_hexadecimal(prompt_ids):
            return list(map(hash, prompt_ids))
        gaps = _has_gaps(prompt_ids)
        if self.rows == len(prompt_ids):
            self._expects_prompt_id = prompt_ids[0] is not UNSET
        if gaps and self._expects_prompt_id:
            missing = [index for index, value in enumerate(prompt_ids) if value is UNSET]
            self.warn("missing_prompt_id", "prompt_id is missing, other rows have it", missing, block)
        given = [value for value in prompt_ids if value is not UNSET]
        if not _all_hexadecimal(given):
            odd = [
                index for index, value in enumerate(prompt_ids) if value is not UNSET and not _all_hexadecimal([value])
            ]
            self.warn("odd_prompt_id", "prompt_id is not 64 hexadecimal digits", odd, block)
        if not gaps:
            return list(map(hash, given))
        return [NO_ID if value is UNSET else hash(value) for value in prompt_ids] if given else None


def _all_given_hexadecimal(column: Sequence[str | UnsetType]) -> bool:
    """What nearly all blocks are, asked first."""
    try:
        return _all_hexadecimal(cast("Sequence[str]", column))
    except TypeError:
        return False


def _has_gaps(column: Sequence[str | UnsetType]) -> bool:
    """Types compare faster than values."""
    return UnsetType in set(map(type, column))


def _all_hexadecimal(prompt_ids: Sequence[str]) -> bool:
    if set(map(len, prompt_ids)) - {_ID_LENGTH}:
        return False
    digits = "".join(prompt_ids)
    try:
        # It reads over white space, so that the result would be shorter.
        return len(bytes.fromhex(digits)) * 2 == len(digits)
    except ValueError:
        return False
