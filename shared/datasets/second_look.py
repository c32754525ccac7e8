"""Read a few lines of a split once more, to compare their conversations in full."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from shared.datasets.blocks import BYTE_ORDER_MARK, Block, split_blocks
from shared.datasets.diagnosis import diagnose
from shared.datasets.rows import OPEN, CheckedRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from shared.datasets.blocks import Chunk
    from shared.datasets.limits import Limits, SplitRules
    from shared.datasets.rows import AnyRow


def full_hashes(
    chunks: Iterable[Chunk], raws: Mapping[int, int], rules: SplitRules, limits: Limits
) -> Mapping[int, int]:
    """Hashes over all of a conversation, for the valid lines in `raws` (from 1), by the lines' own hashes there."""
    found: dict[int, int] = {}
    wanted = sorted(raws, reverse=True)
    for part in split_blocks(chunks, block_bytes=limits.block_bytes, max_line_bytes=limits.max_line_bytes):
        if not isinstance(part, Block):
            continue
        while wanted and wanted[-1] < part.first_line + len(part.lines):
            line = wanted.pop()
            found[raws[line]] = _full_hash(
                bytes(part.lines[line - part.first_line]).removeprefix(BYTE_ORDER_MARK), rules
            )
        if not wanted:
            break
    return found


def _full_hash(line: bytes, rules: SplitRules) -> int:
    row: AnyRow
    try:
        view = memoryview(line)
        (row,) = OPEN.rows(Block(1, 0, [view], view))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        checked = diagnose(line.rstrip(b"\r\n"), rules)
        assert isinstance(checked, CheckedRow), "the line was valid before"
        row = checked
    calls = row.calls if isinstance(row, CheckedRow) else ""
    return hash((calls, *[(message.role, message.content) for message in row.messages]))
