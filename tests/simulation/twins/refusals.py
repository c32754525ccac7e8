"""What Azure Machine Learning refuses, and what the app's seam makes of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from shared.errors import PermanentError, TransientError


class RefusedError(Exception):
    """An HTTP error of the service: `code` is the one of its body, not of its inner error."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"HTTP {status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message


def not_found(message: str) -> RefusedError:
    return RefusedError(404, "UserError", message)


def invalid(message: str) -> RefusedError:
    return RefusedError(400, "UserError", message)


def bad_request(message: str, field: str = "") -> RefusedError:
    """Of the service behind the front end that runs endpoints and deployments: the reason stands in a detail."""
    problems = {"errors": {field: [message]}, "title": "One or more validation errors occurred."}
    return RefusedError(400, "BadRequest", f"The request is invalid. {json.dumps(problems, separators=(',', ':'))}")


def name_not_yet_free() -> RefusedError:
    return RefusedError(404, "NotFound", 'The specified resource was not found. {{"title":"Not Found"}}')


def name_taken() -> RefusedError:
    return bad_request(
        "There is already an endpoint with this name, Endpoint name needs to be unique within a region. "
        "Try some other name."
    )


def busy(message: str) -> RefusedError:
    return RefusedError(409, "Conflict", message)


@contextmanager
def translated(doing: str) -> Iterator[None]:
    try:
        yield
    except RefusedError as error:
        if error.status == 409:
            raise TransientError(f"{doing}: HTTP 409: {error.message}") from error
        raise PermanentError(error.code, f"{doing}: {error.message}") from error
