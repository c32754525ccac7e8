"""The typed form of a row, for speed: what msgspec can check while it decodes.

Rows that do not fit are not always wrong (with tools, an assistant message may have no content):
`diagnosis` has the last word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import UNSET, UnsetType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.datasets.blocks import Block

PLAIN_ROLES = ("system", "user", "assistant")

# mypy and msgspec both read the literals from here, so they can not come from PLAIN_ROLES.
Role = Literal["system", "user", "assistant"]
NonEmpty = Annotated[str, msgspec.Meta(min_length=1)]


class Message(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    content: NonEmpty
    role: Role


class Row(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    messages: list[Message]
    prompt: str | UnsetType = UNSET
    prompt_id: str | UnsetType = UNSET


class OpenMessage(msgspec.Struct, gc=False):
    content: NonEmpty
    role: Role


class OpenRow(msgspec.Struct, gc=False):
    """Allows further columns. msgspec skips their values whatever the encoding: check that before."""

    messages: list[OpenMessage]
    prompt: str | UnsetType = UNSET
    prompt_id: str | UnsetType = UNSET


class CheckedMessage(msgspec.Struct, gc=False):
    role: str
    content: str


class CheckedRow(msgspec.Struct, gc=False):
    """Built by `diagnosis` of a row that is valid although the typed forms do not fit."""

    messages: list[CheckedMessage]
    prompt: str | UnsetType = UNSET
    prompt_id: str | UnsetType = UNSET
    calls: str = ""
    """The calls of tools in it, in some fixed form: part of what makes two conversations the same."""


AnyRow = Row | OpenRow | CheckedRow
AnyMessage = Message | OpenMessage | CheckedMessage


_OPENING, _CLOSING = set(b"{"), set(b"}")


class RowDecoder:
    """Raises MsgspecError, UnicodeDecodeError or RecursionError if any line does not fit."""

    def __init__(self, kind: type[Row | OpenRow], *, skips_columns: bool) -> None:
        decoder: msgspec.json.Decoder[Row | OpenRow] = msgspec.json.Decoder(kind)
        self._decode = decoder.decode
        self._decode_lines = decoder.decode_lines
        self._skips_columns = skips_columns

    def rows(self, block: Block) -> Sequence[Row | OpenRow]:
        """One row per line."""
        lines, apart = block.lines, block.apart
        if self._skips_columns:
            # What is decoded is checked by the decoder, what is skipped is not.
            for line in lines:
                str(line, "utf-8")
        if not _are_objects(lines[apart:]):
            return list(map(self._decode, lines))
        rows = [*map(self._decode, lines[:apart]), *self._decode_lines(block.run)]
        if len(rows) != len(lines):
            raise msgspec.DecodeError("a line holds more than one value")
        return rows


def _are_objects(lines: Sequence[memoryview]) -> bool:
    """Whether each line begins with a brace and ends with one.

    Then each begins an object, as none goes on with `{` after `}`, and as many values as lines are one a line. Files
    with other ends of lines are decoded line by line.
    """
    try:
        return {line[0] for line in lines} == _OPENING and {line[-2] for line in lines} == _CLOSING
    except IndexError:
        return False


STRICT = RowDecoder(Row, skips_columns=False)
OPEN = RowDecoder(OpenRow, skips_columns=True)
