"""Plain objects in the place of the Functions RPC messages, for azure-functions-runtime."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from localcloud.functions.typed_data import (
    Binary,
    BlobReference,
    HttpCall,
    HttpReply,
    InputData,
    JsonText,
    OutputData,
    Text,
)

if TYPE_CHECKING:
    from collections.abc import Iterable


class Message:
    """Any message: fields by keyword. Of the "oneof" groups, only `data` of TypedData matters."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)

    def WhichOneof(self, group: str) -> str | None:
        if group == "rpc_data":
            return "data"
        return next(iter(self.__dict__), None)


class _BindingInfo(Message):
    undefined, out, inout = 0, 1, 2


class _StatusResult(Message):
    Failure, Success = 0, 1


class _HttpCookie(Message):
    SameSite = SimpleNamespace(**{"None": "", "Lax": "Lax", "Strict": "Strict", "ExplicitNone": "None"})


class Protos:
    """The module of message classes, as far as the runtime looks into it."""

    BindingInfo = _BindingInfo
    StatusResult = _StatusResult
    RpcHttpCookie = _HttpCookie

    def __getattr__(self, name: str) -> type[Message]:
        return Message


def to_message(data: InputData) -> Message:
    match data:
        case Text(value):
            return Message(string=value)
        case Binary(content):
            return Message(bytes=content)
        case JsonText(value):
            return Message(json=value)
        case BlobReference():
            return Message(model_binding_data=data)
        case HttpCall():
            return Message(
                http=Message(
                    method=data.method,
                    url=data.url,
                    headers=data.headers,
                    query=data.query,
                    params=data.params,
                    body=Message(bytes=data.body),
                )
            )


def from_message(message: Any) -> OutputData:
    """Raises ValueError for a kind that no output binding of this host takes."""
    kind = message.WhichOneof("data")
    match kind:
        case "string":
            return Text(message.string)
        case "bytes":
            return Binary(message.bytes)
        case "json":
            return JsonText(message.json)
        case "int" | "double":
            return JsonText(str(getattr(message, kind)))
        case "http":
            http = message.http
            return HttpReply(
                status=int(http.status_code),
                headers=dict(http.headers),
                cookies=tuple(_cookies(http.cookies or ())),
                body=getattr(http.body, "bytes", b""),
            )
    raise ValueError(f"unsupported output of kind {kind!r}")


def _cookies(cookies: Iterable[Any]) -> Iterable[str]:
    for cookie in cookies:
        parts = [f"{cookie.name}={cookie.value}"]
        if cookie.domain is not None and cookie.domain.value:
            parts.append(f"Domain={cookie.domain.value}")
        if cookie.path is not None and cookie.path.value:
            parts.append(f"Path={cookie.path.value}")
        if cookie.expires is not None:
            moment = datetime.fromtimestamp(cookie.expires.value.seconds, UTC)
            parts.append(f"Expires={format_datetime(moment, usegmt=True)}")
        if cookie.max_age is not None:
            parts.append(f"Max-Age={cookie.max_age.value:.0f}")
        if cookie.secure is not None and cookie.secure.value:
            parts.append("Secure")
        if cookie.http_only is not None and cookie.http_only.value:
            parts.append("HttpOnly")
        if cookie.same_site:
            parts.append(f"SameSite={cookie.same_site}")
        yield "; ".join(parts)
