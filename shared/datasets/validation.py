"""Check one split of a chat dataset, in one pass and bounded memory, at close to the speed of decoding it.

A block of lines is decoded to typed rows (fast path). Only a block with something unusual is read line by
line, and only a line that still does not fit is explained (`diagnosis`).
"""

from __future__ import annotations

import logging
from itertools import chain
from typing import TYPE_CHECKING

import msgspec

from shared.datasets.blocks import BYTE_ORDER_MARK, Block, OverlongLine, split_blocks
from shared.datasets.conversations import Conversations
from shared.datasets.diagnosis import diagnose
from shared.datasets.gzip_stream import MAGIC, BadArchiveError
from shared.datasets.identity import ContentIdentity
from shared.datasets.limits import DEFAULT_LIMITS, Limits, rules_for
from shared.datasets.paths import SPLIT_SUFFIX
from shared.datasets.repetition import repeated_conversations, repeated_ids
from shared.datasets.rows import OPEN, STRICT
from shared.datasets.source import Source
from shared.datasets.split_report import Findings, LineError, SplitReport
from shared.datasets.tally import Tally
from shared.datasets.turns import Fault, find_turn_fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from shared.datasets.blocks import Chunk
    from shared.datasets.conversations import Shape
    from shared.datasets.rows import RowDecoder

__all__ = ["Limits", "LineError", "Source", "SplitReport", "validate_split"]

logger = logging.getLogger(__name__)

_OTHER_FILES = {
    b"\xff\xfe": "UTF-16 text; save it as UTF-8",
    b"\xfe\xff": "UTF-16 text; save it as UTF-8",
    MAGIC: "compressed with gzip; name it .jsonl.gz",
    b"PK\x03\x04": "a ZIP archive; upload the JSON Lines file in it",
    b"PAR1": "a Parquet file; convert it to JSON Lines",
}
_HEAD_BYTES = 4
_MAX_REMEMBERED_SHAPE = 256
"""Messages. There are two valid shapes of each length, so that at most 512 are remembered."""


def validate_split(source: Source, limits: Limits = DEFAULT_LIMITS) -> SplitReport:
    """Reads all of the source (chunks of 1 MiB are fastest) unless reading it fails.

    Of a compressed one size, identity, lines and offsets are those of its content. Raises nothing of its own:
    what is wrong with the data is in the report.
    """
    identity = ContentIdentity()
    check = _Check(source, limits, identity)
    stream = identity.measure(source.chunks(limits))
    try:
        head, rest = _take_head(stream)
        if other := _other_file(head):
            check.fault(Fault("wrong_format", f"the file is {other}"), line=1, offset=0)
            identity.add(head)
            for chunk in rest:
                identity.add(chunk)
        else:
            check.run(head, rest)
    except BadArchiveError as error:
        check.fault(Fault("bad_archive", error.reason), line=check.rows + 1, offset=identity.size)
    report = check.report()
    logger.info(
        "checked split %s: %s, %d rows, %d bytes, errors %s, warnings %s",
        source.split,
        "valid" if report.valid else "invalid",
        report.rows,
        report.size,
        dict(report.error_counts),
        dict(report.warning_counts),
    )
    return report


class _Check:
    def __init__(self, source: Source, limits: Limits, identity: ContentIdentity) -> None:
        self._source = source
        self._identity = identity
        self._rules = rules_for(source.split)
        self._limits = limits
        self._errors = Findings(limits.max_findings)
        self._tally = Tally(limits)
        self._valid_shapes: set[Shape] = set()
        self._decoders: tuple[RowDecoder, ...] = (STRICT, OPEN)
        self.rows = 0

    def run(self, head: bytes, rest: Iterable[Chunk]) -> None:
        mark = len(BYTE_ORDER_MARK) if head.startswith(BYTE_ORDER_MARK) else 0
        if mark:
            self._identity.add(head[:mark])
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
                self.rows += 1
                self._identity.add(part.digest)
                reason = f"the line has {part.size} bytes, at most {limits.max_line_bytes} are allowed"
                self.fault(Fault("overlong_line", reason), line=part.line, offset=part.offset)
            else:
                self.rows += len(part.lines)
                self._check_block(part)

    def report(self) -> SplitReport:
        tally = self._tally
        if not self._errors.counts["bad_archive"]:
            self._find_repetitions()
        self._check_whole()
        roles = tally.roles()
        limit = self._limits.max_findings
        return SplitReport(
            split=self._source.split,
            rows=self.rows,
            valid_rows=tally.rows,
            turns=sum(roles.values()),
            characters=tally.characters,
            tokens=tally.lengths.tokens,
            lengths=tally.lengths.histogram(),
            roles=roles,
            size=self._identity.size,
            content=self._identity.name(),
            errors=self._errors.first(limit),
            error_counts=dict(self._errors.counts),
            warnings=tally.warnings.mixed(limit),
            warning_counts=dict(tally.warnings.counts),
            compared_rows=len(tally.table),
            index=b"" if self._errors.counts else tally.line_index(),
            table=tally.table,
        )

    def fault(self, fault: Fault, *, line: int, offset: int) -> None:
        self._errors.add(fault.kind, fault.reason, line=line, offset=offset)

    def _find_repetitions(self) -> None:
        table, file = self._tally.table, self._source.split + SPLIT_SUFFIX

        def look(raws: Mapping[int, int]) -> Mapping[int, int]:
            return self._source.look_again(raws, self._limits)

        for kind, what, pairs in (
            ("duplicate_conversation", "conversation", repeated_conversations(table, look)),
            ("duplicate_prompt_id", "prompt_id", repeated_ids(table)),
        ):
            for index, before in pairs:
                first = table.line(before)
                reason = f"the same {what} as on line {first}"
                line, offset = table.line(index), table.offsets[index]
                self._tally.warnings.add(kind, reason, line=line, offset=offset, other=(file, first))

    def _check_whole(self) -> None:
        """What only the whole split can have too few or too many of."""
        limits, tally = self._limits, self._tally
        rows = self.rows - self._errors.counts["blank_line"]
        if rows < self._rules.min_rows and not self._errors.counts["wrong_format"]:
            reason = f"the split has {rows} rows, at least {self._rules.min_rows} are needed"
            self.fault(Fault("too_few_rows", reason), line=1, offset=0)
        for kind, what, limit in (
            ("duplicate_conversation", "repeat an earlier one", limits.max_duplicate_percent),
            ("long_row", f"are longer than {limits.max_seq_length} tokens", limits.max_long_percent),
        ):
            count = tally.warnings.counts[kind]
            if count * 100 > limit * tally.rows:
                reason = f"{count} of {tally.rows} rows {what}; at most {limit:g} % may"
                self.fault(Fault(f"too_many_{kind}s", reason), line=1, offset=0)
        if tally.rows > len(tally.table):
            reason = f"only the first {len(tally.table)} rows were compared with one another"
            tally.warnings.add("not_all_compared", reason, line=1, offset=0)

    def _check_block(self, block: Block) -> None:
        digests = block.digests()
        self._identity.add(digests)
        for decoder in self._decoders:
            if self._accept(block, decoder, digests):
                # Files are alike throughout: what fitted last is tried first.
                self._decoders = (decoder, STRICT if decoder is OPEN else OPEN)
                return
        for single in block.line_by_line():
            self._check_line(single)

    def _check_line(self, single: Block) -> None:
        digest = single.digests()
        if self._accept(single, OPEN, digest):
            return
        found = diagnose(bytes(single.lines[0]).rstrip(b"\r\n"), self._rules)
        if isinstance(found, Fault):
            self.fault(found, line=single.first_line, offset=single.offset)
            return
        talks = Conversations([found])
        self._tally.add([found], talks, single, digest)
        self._tally.warn("blank_content", "a message holds nothing but white space", [0] * talks.any_blank(), single)

    def _accept(self, block: Block, decoder: RowDecoder, digests: bytes) -> bool:
        """Counts all rows of the block or, when one is not valid in this typed form, none."""
        try:
            rows = decoder.rows(block)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return False
        talks = Conversations(rows)
        valid = talks.take_turns or all(map(self._is_valid_shape, talks.shapes()))
        if not valid or talks.any_blank():
            return False
        self._tally.add(rows, talks, block, digests)
        return True

    def _is_valid_shape(self, shape: Shape) -> bool:
        if shape in self._valid_shapes:
            return True
        if find_turn_fault(shape, self._rules):
            return False
        if len(shape) <= _MAX_REMEMBERED_SHAPE:
            self._valid_shapes.add(shape)
        return True


def _take_head(chunks: Iterator[Chunk]) -> tuple[bytes, Iterator[Chunk]]:
    """The first chunk, joined with following ones while it is too short to tell what the file is."""
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= _HEAD_BYTES:
            break
    return head, chunks


def _other_file(head: bytes) -> str | None:
    return next((name for magic, name in _OTHER_FILES.items() if head.startswith(magic)), None)
