"""HTTP: the operator's page. To the host all but the sign-in is anonymous: a session opens the pages, not a key."""

import asyncio
from typing import TYPE_CHECKING

import azure.functions as func

from handlers.http import Request, Response, TooLargeError, body

if TYPE_CHECKING:
    from shared.dashboard.visitor import Reply, Visitor

blueprint = func.Blueprint()

_LONGEST_FORM = 4096


@blueprint.function_name("dashboard")
@blueprint.route(route="dashboard", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def dashboard(req: Request) -> Response:
    from shared.services import services

    return _answer(services().dashboard.board(_visitor(req)))


@blueprint.function_name("dashboard_tuning")
@blueprint.route(route="dashboard/tunings/{id}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def dashboard_tuning(req: Request) -> Response:
    from shared.services import services

    return _answer(services().dashboard.tuning(_visitor(req), req.path_params["id"]))


@blueprint.function_name("dashboard_report")
@blueprint.route(route="dashboard/tunings/{id}/report", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def dashboard_report(req: Request) -> Response:
    from shared.services import services

    return _answer(services().dashboard.report(_visitor(req), req.path_params["id"]))


@blueprint.function_name("dashboard_smoke")
@blueprint.route(route="dashboard/tunings/{id}/smoke", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def dashboard_smoke(req: Request) -> Response:
    from shared.services import services

    return _answer(services().dashboard.smoke(_visitor(req), req.path_params["id"]))


@blueprint.function_name("dashboard_endpoints")
@blueprint.route(route="dashboard/endpoints", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def dashboard_endpoints(req: Request) -> Response:
    from shared.services import services

    return _answer(services().dashboard.endpoints(_visitor(req)))


@blueprint.function_name("dashboard_money")
@blueprint.route(route="dashboard/money", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def dashboard_money(req: Request) -> Response:
    from shared.services import services

    return _answer(services().dashboard.money(_visitor(req)))


@blueprint.function_name("dashboard_asset")
@blueprint.route(route="dashboard/assets/{name}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def dashboard_asset(req: Request) -> Response:
    from shared.dashboard.assets import asset_reply

    return _answer(asset_reply(req.path_params["name"]))


@blueprint.function_name("dashboard_sign_in")
@blueprint.route(route="dashboard/session", methods=["GET", "POST"])
def dashboard_sign_in(req: Request) -> Response:
    """The host lets nobody in here without a function key."""
    from shared.services import services

    return _answer(services().dashboard.desk.sign_in(_visitor(req)))


@blueprint.function_name("dashboard_act")
@blueprint.route(route="dashboard/act", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
async def dashboard_act(req: Request) -> Response:
    from shared.services import services

    try:
        form = await body(req, _LONGEST_FORM)
    except TooLargeError:
        return Response(status_code=413)
    return _answer(await asyncio.to_thread(services().dashboard.desk.act, _visitor(req, form)))


def _visitor(req: Request, form: bytes = b"") -> "Visitor":
    from shared.dashboard.visitor import Visitor

    return Visitor(req.method, str(req.url), dict(req.headers), dict(req.query_params), form)


def _answer(reply: "Reply") -> Response:
    return Response(reply.body, reply.status, reply.headers, reply.media_type)
