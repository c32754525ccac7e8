"""The typed form of a row, for speed: what msgspec can check while it decodes.

Rows that do not fit are not always wrong (with tools, an assistant message may have no content):
`diagnosis` has the last word.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, UnsetType

PLAIN_ROLES = ("system", "user", "assistant")

# mypy and msgspec both read the literals from here, so they can not come from PLAIN_ROLES.
Role = Literal["system", "user", "assistant"]
NonEmpty = Annotated[str, msgspec.Meta(min_length=1)]


class Message(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    role: Role
    content: NonEmpty


class Row(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    messages: list[Message]
    prompt: str | UnsetType = UNSET
    prompt_id: str | UnsetType = UNSET


class OpenMessage(msgspec.Struct, gc=False):
    role: Role
    content: NonEmpty


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


AnyRow = Row | OpenRow | CheckedRow

decode_row = msgspec.json.Decoder(Row).decode
decode_open_row = msgspec.json.Decoder(OpenRow).decode
