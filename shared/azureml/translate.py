"""From azure-core's exceptions to ours: what to do, not what happened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)

from shared.errors import DroptuneError, PermanentError, ThrottledError, TransientError

_LATER = frozenset({408, 409, 423, 425, 500, 502, 503, 504})
_NOT_ALLOWED = frozenset({401, 403})


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn SDK exceptions into TransientError or PermanentError; `doing` opens the message.

    401 and 403 become a plain DroptuneError: a role that was assigned a moment ago may still be on its way,
    so they are worth a few tries, but not endless ones.
    """
    try:
        yield
    except ClientAuthenticationError as error:
        raise DroptuneError(f"{doing}: not authorized: {describe(error)}") from error
    except HttpResponseError as error:
        raise _translate(doing, error) from error
    except (ServiceRequestError, ServiceResponseError) as error:
        raise TransientError(f"{doing}: {type(error).__name__}") from error
    except AzureError as error:
        raise DroptuneError(f"{doing}: {type(error).__name__}: {str(error)[:500]}") from error


def _translate(doing: str, error: HttpResponseError) -> DroptuneError:
    status = error.status_code
    if status == 429:
        return ThrottledError(f"{doing}: HTTP 429: {describe(error)}", _retry_after(error))
    if status is None or status in _LATER:
        return TransientError(f"{doing}: HTTP {status}: {describe(error)}", _retry_after(error))
    if status in _NOT_ALLOWED:
        return DroptuneError(f"{doing}: HTTP {status}: {describe(error)}")
    code = error.error.code if error.error is not None else None
    return PermanentError(code or f"Http{status}", f"{doing}: {describe(error)}")


def describe(error: AzureError) -> str:
    """The service's own messages, without the response dump that str() of an SDK error carries.

    What endpoints and deployments are refused for stands in the details: above them it says "The request is invalid."
    """
    detail = getattr(error, "error", None)
    message = getattr(detail, "message", None) or getattr(error, "message", None) or type(error).__name__
    details = (getattr(item, "message", None) for item in getattr(detail, "details", None) or ())
    return " ".join(" ".join(str(text) for text in (message, *details) if text).split())[:1000]


def _retry_after(error: HttpResponseError) -> float:
    headers = getattr(error.response, "headers", None) or {}
    raw = headers.get("Retry-After")
    try:
        return max(1.0, min(float(raw), 600.0)) if raw else 15.0
    except ValueError:
        return 15.0
