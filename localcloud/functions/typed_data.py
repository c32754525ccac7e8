"""The values that host and worker exchange, in the kinds that the Functions RPC protocol has.

The .NET host sends strings as string, byte arrays as bytes, requests as http, SDK-type bindings as model
binding data; everything else (numbers, dates, dictionaries) as JSON (GrpcMessageConversionExtensions.ToRpc).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Text:
    value: str


@dataclass(frozen=True)
class Binary:
    value: bytes


@dataclass(frozen=True)
class JsonText:
    """`value` is the serialised document."""

    value: str


@dataclass(frozen=True)
class BlobReference:
    """Model binding data of a blob: where it is, never what is in it."""

    connection: str
    container: str
    blob: str

    version = "1.0"
    source = "AzureStorageBlobs"
    content_type = "application/json"

    @property
    def content(self) -> bytes:
        return json.dumps(
            {"Connection": self.connection, "ContainerName": self.container, "BlobName": self.blob}
        ).encode()


@dataclass(frozen=True)
class HttpCall:
    """Header names are lower case; query parameters without a value are left out, as the host does."""

    method: str
    url: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    params: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class HttpReply:
    """`cookies` are complete values of Set-Cookie."""

    status: int
    headers: Mapping[str, str]
    cookies: tuple[str, ...]
    body: bytes


InputData = Text | Binary | JsonText | BlobReference | HttpCall
OutputData = Text | Binary | JsonText | HttpReply
Metadata = Mapping[str, InputData]


def as_json(value: object) -> JsonText:
    return JsonText(json.dumps(value, default=str))
