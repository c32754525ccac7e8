"""HTTP that all services of the emulated cloud share: error envelope, bearer tokens, case-blind paths."""

from __future__ import annotations

import json
import logging
import re
from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from starlette.routing import Route

from localcloud.config import TENANT_ID
from localcloud.identity import ISSUER, InvalidTokenError, caller_of
from localcloud.responses import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

    from starlette.requests import Request

    from localcloud.identity import Caller

    Handler = Callable[[Request], Awaitable[Response]]

log = logging.getLogger(__name__)

MANAGEMENT = "https://management.azure.com"


class CloudError(Exception):
    """An error answer. `code` and `message` are what a client compares and shows; without a code it has no body."""

    says_code_in_header = True
    """As Resource Manager and Monitor do, but not the services behind them."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        return {"error": {"code": self.code, "message": self.message}}


def error_response(error: CloudError) -> Response:
    if not error.code:
        return Response(status_code=error.status, headers=error.headers)
    headers = dict(error.headers)
    if error.says_code_in_header:
        headers["x-ms-error-code"] = error.code
    return JSONResponse(error.body(), error.status, headers)


def unknown_operation(request: Request, *, is_path_known: bool) -> Response:
    """For what no route takes: said in the log too, because it is what an emulator lacks."""
    log.warning("not emulated: %s %s", request.method, request.url.path)
    status, code = (405, "MethodNotAllowed") if is_path_known else (404, "NotFound")
    message = f"The local cloud does not know {request.method} {request.url.path}."
    return JSONResponse({"error": {"code": code, "message": message}}, status)


class ArmRoute(Route):
    """ARM paths are compared without case: clients write resourceGroups and resourcegroups."""

    def __init__(self, path: str, endpoint: Handler, methods: Sequence[str]) -> None:
        super().__init__(path, endpoint, methods=list(methods))
        self.path_regex = re.compile(self.path_regex.pattern, re.IGNORECASE)


def with_token(handler: Handler, audiences: Collection[str]) -> Handler:
    """Let a request through only with a token for one of `audiences` (written without a trailing slash)."""

    async def checked(request: Request) -> Response:
        require_token(request, audiences)
        return await handler(request)

    return checked


def require_token(request: Request, audiences: Collection[str]) -> Caller:
    """Who calls. Raises CloudError 401 as Azure Resource Manager does."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise _unauthorized(
            request,
            "AuthenticationFailed",
            "Authentication failed. The 'Authorization' header is missing or is not a bearer token.",
        )
    try:
        caller = caller_of(token)
    except InvalidTokenError as error:
        raise _unauthorized(request, error.code, str(error)) from error
    if caller.audience.rstrip("/") not in audiences:
        raise _unauthorized(
            request,
            "InvalidAuthenticationTokenAudience",
            f"The access token has been obtained for wrong audience or resource '{caller.audience}'. "
            f"It should exactly match with one of the allowed audiences {sorted(audiences)}.",
        )
    if caller.issuer not in ("", ISSUER):
        raise _unauthorized(
            request,
            "InvalidAuthenticationTokenTenant",
            f"The access token is from the wrong issuer '{caller.issuer}'. It must match the tenant '{ISSUER}' "
            "associated with this subscription. Please use the authority (URL) "
            f"'https://login.windows.net/{TENANT_ID}' to get the token.",
        )
    return caller


def _unauthorized(request: Request, code: str, message: str) -> CloudError:
    challenge = f'Bearer authorization_uri="{request.base_url}login/", error="invalid_token"'
    return CloudError(401, code, message, {"WWW-Authenticate": challenge})


async def json_object(request: Request) -> dict[str, Any]:
    """The body, which must be a JSON object. Raises CloudError 400."""
    try:
        body = json.loads(await request.body())
    except ValueError as error:
        raise CloudError(
            400, "InvalidRequestContent", f"The request content was invalid and could not be read: {error}."
        ) from error
    if not isinstance(body, dict):
        raise CloudError(400, "InvalidRequestContent", "The request content must be a JSON object.")
    return body


def null_response(status: int, headers: Mapping[str, str] | None = None) -> Response:
    """Azure ML's empty answers are the four characters `null`, but a 204 has no body."""
    return Response(b"null" if status != 204 else b"", status, headers, "application/json; charset=utf-8")
