"""Check one split of a chat dataset, in one pass and bounded memory, at close to the speed of decoding it.

A block of lines is decoded to typed rows (fast path). Only a block with something unusual is read line by
line, and only a line that still does not fit is explained (`diagnosis`).
"""

from __future__ import annotations

import logging
from itertools import chain
from typing import TYPE_CHECKING

import msgspec

from shared.datasets.blocks import Block, OverlongLine, split_blocks
from shared.datasets.diagnosis import diagnose
from shared.datasets.digest import Digest
from shared.datasets.limits import DEFAULT_LIMITS, Limits, rules_for
from shared.datasets.rows import decode_open_row, decode_row
from shared.datasets.split_report import Findings, LineError, SplitReport, find_leaks
from shared.datasets.tally import Shape, Tally
from shared.datasets.turns import Fault, find_turn_fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from shared.datasets.limits import SplitRules
    from shared.datasets.rows import AnyRow

__all__ = ["Limits", "LineError", "SplitReport", "find_leaks", "validate_split"]

logger = logging.getLogger(__name__)

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_OTHER_FILES = {
    b"\xff\xfe": "UTF-16 text; save it as UTF-8",
    b"\xfe\xff": "UTF-16 text; save it as UTF-8",
    b"\x1f\x8b": "compressed with gzip; upload it uncompressed",
    b"PK\x03\x04": "a ZIP archive; upload the JSON Lines file in it",
    b"PAR1": "a Parquet file; convert it to JSON Lines",
}
_HEAD_BYTES = 4


def validate_split(chunks: Iterable[bytes], *, split: str, limits: Limits = DEFAULT_LIMITS) -> SplitReport:
    """Reads all of `chunks` (of any sizes; 1 MiB and more is fastest) unless reading them fails.

    Raises nothing of its own: what is wrong with the data is in the report.
    """
    with Digest() as digest:
        check = _Check(rules_for(split), limits)
        head, rest = _take_head(digest.watch(chunks))
        if other := _other_file(head):
            check.fault(Fault("wrong_format", f"the file is {other}"), line=1, offset=0)
            for _ in rest:
                pass
        else:
            check.run(head, rest)
        sha256, size = digest.finish()
    report = check.report(split, sha256, size)
    logger.info(
        "checked split %s: %s, %d rows, %d bytes, errors %s, warnings %s",
        split,
        "valid" if report.valid else "invalid",
        report.rows,
        report.size,
        dict(report.error_counts),
        dict(report.warning_counts),
    )
    return report


class _Check:
    def __init__(self, rules: SplitRules, limits: Limits) -> None:
        self._rules = rules
        self._limits = limits
        self._errors = Findings(limits.max_findings)
        self._tally = Tally(limits)
        self._valid_shapes: set[Shape] = set()
        self._rows = 0
        self._end = 0

    def run(self, head: bytes, rest: Iterable[bytes]) -> None:
        mark = len(_BYTE_ORDER_MARK) if head.startswith(_BYTE_ORDER_MARK) else 0
        if mark:
            self._tally.warnings.add(
                "byte_order_mark", "the file begins with a byte order mark; save it without", line=1, offset=0
            )
        limits = self._limits
        for part in split_blocks(
            chain([head[mark:]], rest),
            block_bytes=limits.block_bytes,
            max_line_bytes=limits.max_line_bytes,
            offset=mark,
        ):
            if isinstance(part, OverlongLine):
                self._rows += 1
                reason = f"the line has {part.size} bytes, at most {limits.max_line_bytes} are allowed"
                self.fault(Fault("overlong_line", reason), line=part.line, offset=part.offset)
            else:
                self._rows += len(part.lines)
                self._check_block(part)
        rows = self._rows - self._errors.counts["blank_line"]
        if rows < self._rules.min_rows:
            reason = f"the split has {rows} rows, at least {self._rules.min_rows} are needed"
            self.fault(Fault("too_few_rows", reason), line=1, offset=0)

    def report(self, split: str, sha256: str, size: int) -> SplitReport:
        tally = self._tally
        return SplitReport(
            split=split,
            rows=self._rows,
            valid_rows=tally.rows,
            turns=tally.turns,
            characters=tally.characters,
            roles=dict(tally.roles),
            size=size,
            sha256=sha256,
            errors=self._errors.in_line_order(),
            error_counts=dict(self._errors.counts),
            warnings=tally.warnings.in_line_order(),
            warning_counts=dict(tally.warnings.counts),
            sample=tally.sample(),
            conversations=tally.conversations(),
        )

    def fault(self, fault: Fault, *, line: int, offset: int) -> None:
        self._errors.add(fault.kind, fault.reason, line=line, offset=offset)

    def _check_block(self, block: Block) -> None:
        if self._accept(block, decode_row):
            return
        if _is_utf8(block) and self._accept(block, decode_open_row):
            return
        for single in block.line_by_line():
            self._check_line(single)

    def _check_line(self, single: Block) -> None:
        if _is_utf8(single) and self._accept(single, decode_open_row):
            return
        found = diagnose(single.lines[0].rstrip(b"\r\n"), self._rules)
        if isinstance(found, Fault):
            self.fault(found, line=single.first_line, offset=single.offset)
        else:
            self._tally.add([found], [tuple(message.role for message in found.messages)], single)

    def _accept(self, block: Block, decode: Callable[[bytes], AnyRow]) -> bool:
        """Counts all rows of the block or, when one is not valid in this typed form, none."""
        try:
            rows = list(map(decode, block.lines))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return False
        shapes = [tuple([message.role for message in row.messages]) for row in rows]
        if not self._valid_shapes.issuperset(shapes) and not all(map(self._is_valid_shape, shapes)):
            return False
        self._tally.add(rows, shapes, block)
        return True

    def _is_valid_shape(self, shape: Shape) -> bool:
        if shape in self._valid_shapes:
            return True
        if find_turn_fault(shape, self._rules):
            return False
        if len(shape) <= _MAX_REMEMBERED_SHAPE:
            self._valid_shapes.add(shape)
        return True


_MAX_REMEMBERED_SHAPE = 256
"""Messages. There are two valid shapes of each length, so that at most 512 are remembered."""


def _is_utf8(block: Block) -> bool:
    """Only needed where columns are skipped: what is decoded is checked by the decoder."""
    for line in block.lines:
        if line.isascii():
            continue
        try:
            line.decode()
        except UnicodeDecodeError:
            return False
    return True


def _take_head(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The first chunk, joined with following ones while it is too short to tell what the file is."""
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= _HEAD_BYTES:
            break
    return head, chunks


def _other_file(head: bytes) -> str | None:
    return next((name for magic, name in _OTHER_FILES.items() if head.startswith(magic)), None)
