"""HTTP: what is going on, and an operator's second try. All with a function key."""

import json
import logging
from collections.abc import Callable
from typing import Any

import azure.functions as func

log = logging.getLogger(__name__)
blueprint = func.Blueprint()

_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""The page is self-contained; the address that it was called with may hold the function key."""


@blueprint.function_name("list_tunings")
@blueprint.route(route="tunings", methods=["GET"])
def list_tunings(req: func.HttpRequest) -> func.HttpResponse:
    from shared.errors import PermanentError
    from shared.lifecycle.listing import Listing
    from shared.services import services

    def answer() -> func.HttpResponse:
        try:
            listing = Listing.parse(req.params)
        except PermanentError as error:
            return _error(400, error.code, error.message)
        return _json(services().status.tunings(listing))

    return _answer(answer)


@blueprint.function_name("get_tuning")
@blueprint.route(route="tunings/{id}", methods=["GET"])
def get_tuning(req: func.HttpRequest) -> func.HttpResponse:
    from shared.services import services

    def answer() -> func.HttpResponse:
        tuning_id = req.route_params["id"]
        found = services().status.tuning(tuning_id)
        return _json(found) if found else _error(404, "NotFound", f"there is no tuning {tuning_id[:200]!a}")

    return _answer(answer)


@blueprint.function_name("get_report")
@blueprint.route(route="tunings/{id}/report", methods=["GET"])
def get_report(req: func.HttpRequest) -> func.HttpResponse:
    from shared.services import services

    tuning_id = req.route_params["id"]
    page = services().status.report_page(tuning_id)
    if page is None:
        return _error(404, "NotFound", f"there is no report of a tuning {tuning_id[:200]}")
    return func.HttpResponse(page, mimetype="text/html", charset="utf-8", headers=_PAGE_HEADERS)


@blueprint.function_name("replay_tuning")
@blueprint.route(route="tunings/{id}/replay", methods=["POST"])
def replay_tuning(req: func.HttpRequest) -> func.HttpResponse:
    from shared.errors import PermanentError
    from shared.lifecycle.status import summary
    from shared.services import services

    def answer() -> func.HttpResponse:
        wish = req.params.get("as_newest", "false").lower()
        if wish not in ("true", "false"):
            return _error(400, "BadRequest", "as_newest must be true or false")
        try:
            tuning = services().replayer.replay(req.route_params["id"], as_newest=wish == "true")
        except PermanentError as error:
            return _error(404 if error.code == "NotFound" else 409, error.code, error.message)
        return _json(summary(tuning), status=202)

    return _answer(answer)


@blueprint.function_name("list_endpoints")
@blueprint.route(route="endpoints", methods=["GET"])
def list_endpoints(req: func.HttpRequest) -> func.HttpResponse:
    from shared.services import services

    return _answer(lambda: _json(services().status.endpoints()))


def _answer(call: Callable[[], func.HttpResponse]) -> func.HttpResponse:
    """When the cloud says "later", so do we: HTTP 503 instead of the host's bare 500."""
    from shared.errors import TransientError

    try:
        return call()
    except TransientError as error:
        log.warning("status API: %s", error)
        return _error(503, "TryLater", "the ledger or Azure Machine Learning can not be reached at the moment")


def _json(body: Any, status: int = 200) -> func.HttpResponse:
    return func.HttpResponse(json.dumps(body), status_code=status, mimetype="application/json")


def _error(status: int, code: str, message: str) -> func.HttpResponse:
    return _json({"error": {"code": code, "message": message}}, status)
