"""Managed identity as App Service and Functions offer it (IDENTITY_ENDPOINT), and the tokens that it mints.

The protocol: https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
import logging
import time
import uuid
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from azure.core.credentials import AccessToken
from starlette.routing import Route

from localcloud.config import TENANT_ID
from localcloud.responses import JSONResponse

if TYPE_CHECKING:
    from starlette.requests import Request

    from localcloud.config import CloudConfig

log = logging.getLogger(__name__)

PRINCIPAL_ID = "abababab-1111-2222-3333-444444444444"
CLIENT_ID = "cdcdcdcd-1111-2222-3333-444444444444"
LIFETIME = 24 * 3600
"""Seconds. Managed identity tokens live 24 hours."""

ISSUER = f"https://sts.windows.net/{TENANT_ID}/"

_SKEW = 300


class InvalidTokenError(Exception):
    """`code` is Azure Resource Manager's; the message says what is wrong with the token, without quoting it."""

    def __init__(self, message: str, code: str = "InvalidAuthenticationToken") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Caller:
    """What a token says. `issuer` is empty when it does not say who made it."""

    audience: str
    issuer: str
    object_id: str
    client_id: str


def mint_token(
    audience: str, *, key: str, now: float | None = None, client_id: str = CLIENT_ID, issuer: str = ISSUER
) -> str:
    """A signed JWT with the claims that the Azure SDKs and Azurite's basic OAuth look at."""
    issued = int(time.time() if now is None else now)
    claims = {
        "aud": audience,
        "iss": issuer,
        "iat": issued,
        "nbf": issued,
        "exp": issued + LIFETIME,
        "appid": client_id,
        "idtyp": "app",
        "oid": object_id_of(client_id),
        "sub": object_id_of(client_id),
        "tid": TENANT_ID,
        "ver": "1.0",
    }
    head = f"{_encoded({'alg': 'HS256', 'typ': 'JWT'})}.{_encoded(claims)}"
    signature = hmac.new(key.encode(), head.encode(), hashlib.sha256).digest()
    return f"{head}.{_base64(signature)}"


def object_id_of(client_id: str) -> str:
    """Of the principal: each client id is an identity of its own, as user-assigned identities are."""
    return PRINCIPAL_ID if client_id == CLIENT_ID else str(uuid.uuid5(uuid.NAMESPACE_OID, client_id))


def audience_of(token: str, now: float | None = None) -> str:
    """The audience of a token that is valid now. Raises InvalidTokenError."""
    return caller_of(token, now).audience


def caller_of(token: str, now: float | None = None) -> Caller:
    """Who sends a token that is valid now. Raises InvalidTokenError.

    The signature is not checked, as in Azurite: tests may bring tokens of their own making.
    """
    begins, ends, caller = _claims(token)
    now = time.time() if now is None else now
    if now >= ends:
        raise InvalidTokenError(
            f"The access token expiry UTC time '{_utc(ends)}' is earlier than current UTC time '{_utc(now)}'.",
            "ExpiredAuthenticationToken",
        )
    if now < begins - _SKEW:
        raise InvalidTokenError("The access token is not valid yet.")
    return caller


@lru_cache(maxsize=64)
def _claims(token: str) -> tuple[float, float, Caller]:
    """Not before, expires, and who it is. Raises InvalidTokenError."""
    try:
        claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
        audience, begins, ends = str(claims["aud"]), float(claims.get("nbf", 0)), float(claims["exp"])
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise InvalidTokenError("The access token is invalid.") from error
    return (
        begins,
        ends,
        Caller(
            audience=audience,
            issuer=str(claims.get("iss") or ""),
            object_id=str(claims.get("oid") or ""),
            client_id=str(claims.get("appid") or claims.get("azp") or ""),
        ),
    )


class LocalCredential:
    """The emulator's own azure-core credential, for its calls to storage."""

    def __init__(self, key: str) -> None:
        self._key = key

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        return AccessToken(mint_token(scopes[0].removesuffix("/.default"), key=self._key), int(time.time()) + LIFETIME)


def routes(config: CloudConfig) -> list[Route]:
    async def token(request: Request) -> JSONResponse:
        if not hmac.compare_digest(request.headers.get("x-identity-header", ""), config.identity_header):
            return _refusal(401, "unauthorized_client", "X-IDENTITY-HEADER is missing or wrong.")
        resource = request.query_params.get("resource")
        if not resource:
            return _refusal(400, "invalid_request", "The parameter 'resource' is missing.")
        log.info("issued a token for %s", resource)
        now = time.time()
        client_id = request.query_params.get("client_id", CLIENT_ID)
        return JSONResponse(
            {
                "access_token": mint_token(resource, key=config.identity_header, now=now, client_id=client_id),
                "expires_on": str(int(now) + LIFETIME),
                "resource": resource,
                "token_type": "Bearer",
                "client_id": client_id,
            }
        )

    return [Route("/msi/token", token, methods=["GET"])]


def _refusal(status: int, code: str, message: str) -> JSONResponse:
    return JSONResponse({"statusCode": status, "error": code, "message": message}, status)


def _utc(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%m/%d/%Y %I:%M:%S %p")


def _encoded(claims: dict[str, Any]) -> str:
    return _base64(json.dumps(claims, separators=(",", ":")).encode())


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
