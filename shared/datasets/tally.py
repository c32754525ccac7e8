"""What is counted, compared and remembered over the valid rows of a split."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from random import Random
from typing import TYPE_CHECKING

import xxhash
from msgspec import UNSET, UnsetType

from shared.datasets.lengths import Lengths, utf8_size
from shared.datasets.line_index import LineIndex
from shared.datasets.row_table import NO_ID, RowTable
from shared.datasets.split_report import Findings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.datasets.blocks import Block
    from shared.datasets.limits import Limits
    from shared.datasets.rows import AnyRow

Shape = tuple[str, ...]
"""The roles of a conversation, in order."""

_ID_LENGTH = 64
_SIGNED_CHARACTERS = 200
"""Of a conversation's beginning, that are part of its signature beside the lengths of all messages."""
_MANY_SHAPES = 1_000


class Tally:
    """Takes valid rows only, a block at a time: the work per row is what validation's speed hangs on."""

    def __init__(self, limits: Limits) -> None:
        self.rows = 0
        self.characters = 0
        self.warnings = Findings(limits.max_findings)
        self.table = RowTable(limits.tracked_rows)
        self.lengths = Lengths(limits.token_bytes)
        # A generator of its own, so that the same file gives the same index; nothing secret hangs on it.
        self.index = LineIndex(limits.indexed_rows, Random(limits.index_seed))  # noqa: S311
        self._shapes: Counter[Shape] = Counter()
        self._roles: Counter[str] = Counter()
        self._max_tokens = limits.max_seq_length
        self._max_size = int(limits.max_seq_length * limits.token_bytes)
        self._expects_prompt = False
        self._expects_prompt_id = False

    def add(
        self, rows: Sequence[AnyRow], shapes: Sequence[Shape], contents: Sequence[Sequence[str]], block: Block
    ) -> None:
        """`rows`, `shapes`, `contents` and the block's lines belong together, one by one."""
        if not rows:
            return
        self.rows += len(rows)
        self._shapes.update(shapes)
        if len(self._shapes) > _MANY_SHAPES:
            self._fold_shapes()
        sizes = self._remember(rows, contents, block)
        self.characters += sum(sizes)
        self._measure(sizes, contents, block)
        self._check_columns(rows, block)

    def roles(self) -> dict[str, int]:
        """Messages by role, in the order in which the roles came up."""
        self._fold_shapes()
        return dict(self._roles)

    def warn(self, kind: str, reason: str, indexes: Sequence[int], block: Block) -> None:
        for index in indexes:
            self.warnings.add(kind, reason, line=block.first_line + index, offset=block.offset_of(index))

    def _fold_shapes(self) -> None:
        for shape, times in self._shapes.items():
            for role in shape:
                self._roles[role] += times
        self._shapes.clear()

    def _remember(self, rows: Sequence[AnyRow], contents: Sequence[Sequence[str]], block: Block) -> list[int]:
        """The rows' sizes in characters, which are found on the way."""
        data, raw_hash = block.data, xxhash.xxh3_64_intdigest
        signatures: list[int] = []
        raws: list[int] = []
        sizes: list[int] = []
        begin = 0
        for end, texts in zip(block.ends, contents):  # noqa: B905 - strict takes as long as the rest of the line
            lengths = [*map(len, texts)]
            sizes.append(sum(lengths))
            signatures.append(hash((texts[0][:_SIGNED_CHARACTERS], *lengths)))
            raws.append(raw_hash(data[begin:end]))
            begin = end
        offset = block.offset
        ends = [offset + end for end in block.ends]
        begins = [offset, *ends[:-1]]
        self.table.add(block.first_line, begins, signatures, raws, _hashed([row.prompt_id for row in rows]))
        self.index.add(begins, ends)
        return sizes

    def _measure(self, sizes: list[int], contents: Sequence[Sequence[str]], block: Block) -> None:
        if not all(map(str.isascii, chain.from_iterable(contents))):
            sizes = [utf8_size(texts, size) for texts, size in zip(contents, sizes, strict=True)]
        template = self.lengths.template_bytes
        sizes = [size + template * len(texts) for size, texts in zip(sizes, contents, strict=True)]
        self.lengths.add(sizes)
        if max(sizes) > self._max_size:
            long = [index for index, size in enumerate(sizes) if size > self._max_size]
            reason = f"more than about {self._max_tokens} tokens, of which training keeps no more"
            self.warn("long_row", reason, long, block)

    def _check_columns(self, rows: Sequence[AnyRow], block: Block) -> None:
        """A column that the first valid row has is expected in all."""
        prompts = [row.prompt for row in rows]
        prompt_ids = [row.prompt_id for row in rows]
        if self.rows == len(rows):
            self._expects_prompt = prompts[0] is not UNSET
            self._expects_prompt_id = prompt_ids[0] is not UNSET
        if self._expects_prompt and UNSET in prompts:
            missing = [index for index, value in enumerate(prompts) if value is UNSET]
            self.warn("missing_prompt", "prompt is missing, other rows have it", missing, block)
        if self._expects_prompt_id and UNSET in prompt_ids:
            missing = [index for index, value in enumerate(prompt_ids) if value is UNSET]
            self.warn("missing_prompt_id", "prompt_id is missing, other rows have it", missing, block)
        given = [value for value in prompt_ids if isinstance(value, str)]
        if not _all_hexadecimal(given):
            odd = [
                index
                for index, value in enumerate(prompt_ids)
                if isinstance(value, str) and not _all_hexadecimal([value])
            ]
            self.warn("odd_prompt_id", "prompt_id is not 64 hexadecimal digits", odd, block)


def _hashed(prompt_ids: Sequence[str | UnsetType]) -> list[int] | None:
    missing = prompt_ids.count(UNSET)
    if not missing:
        return list(map(hash, prompt_ids))
    if missing == len(prompt_ids):
        return None
    return [NO_ID if value is UNSET else hash(value) for value in prompt_ids]


def _all_hexadecimal(prompt_ids: Sequence[str]) -> bool:
    digits = "".join(prompt_ids)
    if len(digits) != len(prompt_ids) * _ID_LENGTH or any([len(value) != _ID_LENGTH for value in prompt_ids]):
        return False
    try:
        # It reads over white space, so that the result would be shorter.
        return len(bytes.fromhex(digits)) * 2 == len(digits)
    except ValueError:
        return False
