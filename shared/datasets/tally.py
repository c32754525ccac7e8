"""What is counted, compared and remembered over the valid rows of a split."""

from __future__ import annotations

import re
from collections import Counter
from random import Random
from typing import TYPE_CHECKING

from msgspec import UNSET

from shared.datasets.sampling import Reservoir
from shared.datasets.split_report import Findings

if TYPE_CHECKING:
    from collections.abc import Sequence, Set

    from shared.datasets.blocks import Block
    from shared.datasets.limits import Limits
    from shared.datasets.rows import AnyRow

Shape = tuple[str, ...]
"""The roles of a conversation, in order."""

_PROMPT_IDS = re.compile(r"(?:[0-9a-fA-F]{64}\n)*", re.ASCII)


class Tally:
    """Takes valid rows only, a block at a time: the work per row is what validation's speed hangs on."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.rows = 0
        self.turns = 0
        self.characters = 0
        self.roles: Counter[str] = Counter()
        self.warnings = Findings(limits.max_findings)
        self._conversations = _Seen(limits.tracked_rows)
        self._prompt_ids = _Seen(limits.tracked_rows)
        # A generator of its own, so that the same file gives the same sample; nothing secret hangs on it.
        self._reservoir = Reservoir(limits.sample_rows, limits.sample_row_bytes, Random(limits.sample_seed))  # noqa: S311
        self._expects_prompt = False
        self._expects_prompt_id = False

    def add(self, rows: Sequence[AnyRow], shapes: Sequence[Shape], block: Block) -> None:
        """`rows`, `shapes` and the block's lines belong together, one by one."""
        if not rows:
            return
        hashes: list[int] = []
        lengths: list[int] = []
        blank: list[int] = []
        for index, row in enumerate(rows):
            contents = [message.content for message in row.messages]
            hashes.append(hash((shapes[index], *contents)))
            lengths.append(sum(map(len, contents)))
            if any(map(str.isspace, contents)):
                blank.append(index)
        self._count(shapes, lengths)
        self._reservoir.offer(block.lines)
        self._warn("blank_content", "a message holds nothing but white space", blank, block)
        self._check_repetitions(rows, hashes, block)
        self._check_columns(rows, block)
        limit = self._limits.long_row_characters
        if max(lengths) > limit:
            long = [index for index, length in enumerate(lengths) if length > limit]
            self._warn("long_row", f"more than {limit} characters; training cuts it at max_seq_length", long, block)

    def sample(self) -> tuple[bytes, ...]:
        return self._reservoir.drawn()

    def conversations(self) -> Set[int]:
        return self._conversations.hashes

    def _count(self, shapes: Sequence[Shape], lengths: Sequence[int]) -> None:
        if self.rows == 0:
            self.roles.update(dict.fromkeys(shapes[0], 0))
        self.rows += len(shapes)
        self.characters += sum(lengths)
        for shape, times in Counter(shapes).items():
            self.turns += len(shape) * times
            for role, count in Counter(shape).items():
                self.roles[role] += count * times

    def _check_repetitions(self, rows: Sequence[AnyRow], hashes: Sequence[int], block: Block) -> None:
        repeated = self._conversations.add(hashes)
        self._warn("duplicate_conversation", "the same conversation stands on an earlier line", repeated, block)
        with_id = [index for index, row in enumerate(rows) if row.prompt_id is not UNSET]
        repeated = self._prompt_ids.add([hash(rows[index].prompt_id) for index in with_id])
        lines = [with_id[place] for place in repeated]
        self._warn("duplicate_prompt_id", "the same prompt_id stands on an earlier line", lines, block)

    def _check_columns(self, rows: Sequence[AnyRow], block: Block) -> None:
        """A column that the first valid row has is expected in all."""
        if self.rows == len(rows):
            self._expects_prompt = rows[0].prompt is not UNSET
            self._expects_prompt_id = rows[0].prompt_id is not UNSET
        if self._expects_prompt:
            missing = [index for index, row in enumerate(rows) if row.prompt is UNSET]
            self._warn("missing_prompt", "prompt is missing, other rows have it", missing, block)
        if self._expects_prompt_id:
            missing = [index for index, row in enumerate(rows) if row.prompt_id is UNSET]
            self._warn("missing_prompt_id", "prompt_id is missing, other rows have it", missing, block)
        ids = [row.prompt_id for row in rows if isinstance(row.prompt_id, str)]
        if ids and not _PROMPT_IDS.fullmatch("\n".join(ids) + "\n"):
            odd = [
                index
                for index, row in enumerate(rows)
                if isinstance(row.prompt_id, str) and not _PROMPT_IDS.fullmatch(row.prompt_id + "\n")
            ]
            self._warn("odd_prompt_id", "prompt_id is not 64 hexadecimal digits", odd, block)

    def _warn(self, kind: str, reason: str, indexes: Sequence[int], block: Block) -> None:
        for place, index in enumerate(indexes):
            if self.warnings.full:
                self.warnings.count(kind, len(indexes) - place)
                return
            line, offset = block.first_line + index, block.offset_of(index)
            self.warnings.add(kind, reason, line=line, offset=offset)


class _Seen:
    """Finds what was seen before, by 8-byte hashes of the first `limit` different values."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.hashes: set[int] = set()

    def add(self, hashes: Sequence[int]) -> list[int]:
        """The places in `hashes` of those that came before, in this call or an earlier one."""
        fresh = set(hashes)
        if len(fresh) == len(hashes) and self.hashes.isdisjoint(fresh):
            if len(self.hashes) < self._limit:
                self.hashes |= fresh
            return []
        repeated: list[int] = []
        within: set[int] = set()
        for place, value in enumerate(hashes):
            if value in self.hashes or value in within:
                repeated.append(place)
            within.add(value)
        if len(self.hashes) < self._limit:
            self.hashes |= within
        return repeated
