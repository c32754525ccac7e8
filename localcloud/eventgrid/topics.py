"""Custom topics and who may publish to them: two access keys, signatures made with them, or a token.

https://learn.microsoft.com/azure/event-grid/authenticate-with-access-keys-shared-access-signatures
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from localcloud.identity import InvalidTokenError, audience_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localcloud.config import CloudConfig

KEY_HEADER = "aeg-sas-key"
SIGNATURE_HEADER = "aeg-sas-token"

_AUDIENCE = "https://eventgrid.azure.net"


class NotAuthorizedError(Exception):
    """The message says what is wrong, quoting nothing that was sent."""


@dataclass(frozen=True)
class Topic:
    """`keys` in base64, as Azure gives them."""

    name: str
    path: str
    keys: tuple[str, str]


def topics_of(config: CloudConfig) -> dict[str, Topic]:
    """By name in lower case."""
    return {name.lower(): topic_of(config, name) for name in config.custom_topics}


def topic_of(config: CloudConfig, name: str) -> Topic:
    """The keys are the same over restarts, and others in every cloud that has another identity header."""
    first, second = (_derived(config.identity_header, f"{name}/{number}") for number in (1, 2))
    return Topic(name, f"/eventgrid/topics/{name}/api/events", (first, second))


def authorize(topic: Topic, headers: Mapping[str, str], now: float) -> None:
    """One of the three ways is enough, and the first one that is tried decides. Raises NotAuthorizedError."""
    if key := headers.get(KEY_HEADER):
        if not any(hmac.compare_digest(key.encode(), ours.encode()) for ours in topic.keys):
            raise NotAuthorizedError("The access key is not one of the topic's.")
    elif signature := headers.get(SIGNATURE_HEADER):
        _check_signature(topic, signature, now)
    else:
        _check_token(headers.get("authorization", ""), now)


def _check_signature(topic: Topic, signature: str, now: float) -> None:
    """`r={endpoint}&e={expiry}&s={HMAC-SHA256 of what is before}`, each part percent-encoded."""
    signed, _, given = signature.rpartition("&s=")
    parts = dict(part.partition("=")[::2] for part in signed.split("&"))
    if not given or "r" not in parts or "e" not in parts:
        raise NotAuthorizedError("The shared access signature lacks one of r, e and s.")
    if not any(hmac.compare_digest(unquote(given).encode(), _sign(key, signed).encode()) for key in topic.keys):
        raise NotAuthorizedError("The shared access signature was not made with a key of the topic.")
    if urlsplit(unquote(parts["r"])).path.lower() != topic.path.lower():
        raise NotAuthorizedError("The shared access signature is for another topic.")
    if _expiry(unquote(parts["e"])) <= now:
        raise NotAuthorizedError("The shared access signature has expired.")


def _check_token(authorization: str, now: float) -> None:
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise NotAuthorizedError(f"The request needs an authorization header, {KEY_HEADER} or {SIGNATURE_HEADER}.")
    try:
        audience = audience_of(token, now)
    except InvalidTokenError as error:
        raise NotAuthorizedError(str(error)) from None
    if audience.rstrip("/") != _AUDIENCE:
        raise NotAuthorizedError(f"The token's audience is not {_AUDIENCE}.")


def _expiry(text: str) -> float:
    """Seconds since the epoch; UTC unless it says otherwise. Python's and .NET's ways of writing are taken."""
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        moment = _expiry_of_net(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()


def _expiry_of_net(text: str) -> dt.datetime:
    try:
        return dt.datetime.strptime(text, "%m/%d/%Y %I:%M:%S %p").replace(tzinfo=dt.UTC)
    except ValueError:
        raise NotAuthorizedError("The expiry of the shared access signature is not a time.") from None


def _sign(key: str, text: str) -> str:
    return base64.b64encode(hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()).decode()


def _derived(secret: str, name: str) -> str:
    return base64.b64encode(hmac.new(secret.encode(), f"event grid/{name}".encode(), hashlib.sha256).digest()).decode()
