"""HTTP: what is going on, and an operator's second try. All with a function key."""

import azure.functions as func

from handlers.http import Request, Response, answered, error_answer, flag, json_answer, page

blueprint = func.Blueprint()


@blueprint.function_name("list_tunings")
@blueprint.route(route="tunings", methods=["GET"])
def list_tunings(req: Request) -> Response:
    from shared.errors import PermanentError
    from shared.lifecycle.listing import Listing
    from shared.services import services

    def answer() -> Response:
        try:
            listing = Listing.parse(req.query_params)
        except PermanentError as error:
            return error_answer(400, error.code, error.message)
        return json_answer(services().status.tunings(listing))

    return answered(answer)


@blueprint.function_name("get_tuning")
@blueprint.route(route="tunings/{id}", methods=["GET"])
def get_tuning(req: Request) -> Response:
    from shared.services import services

    def answer() -> Response:
        tuning_id = req.path_params["id"]
        found = services().status.tuning(tuning_id)
        return json_answer(found) if found else error_answer(404, "NotFound", f"there is no tuning {tuning_id[:200]!a}")

    return answered(answer)


@blueprint.function_name("get_report")
@blueprint.route(route="tunings/{id}/report", methods=["GET"])
def get_report(req: Request) -> Response:
    from shared.services import services

    def answer() -> Response:
        tuning_id = req.path_params["id"]
        found = services().status.report_page(tuning_id)
        if found is None:
            return error_answer(404, "NotFound", f"there is no report of a tuning {tuning_id[:200]!a}")
        return page(found)

    return answered(answer)


@blueprint.function_name("get_smoke_test")
@blueprint.route(route="tunings/{id}/smoke", methods=["GET"])
def get_smoke_test(req: Request) -> Response:
    from shared.services import services

    def answer() -> Response:
        tuning_id = req.path_params["id"]
        found = services().status.smoke_page(tuning_id)
        if found is None:
            return error_answer(404, "NotFound", f"there is no smoke test of a tuning {tuning_id[:200]!a}")
        return page(found)

    return answered(answer)


@blueprint.function_name("get_training_curve")
@blueprint.route(route="tunings/{id}/training", methods=["GET"])
def get_training_curve(req: Request) -> Response:
    from shared.services import services

    def answer() -> Response:
        tuning_id = req.path_params["id"]
        found = services().status.training_curve(tuning_id)
        if found is None:
            return error_answer(404, "NotFound", f"there is no tuning {tuning_id[:200]!a}")
        return json_answer(found)

    return answered(answer)


@blueprint.function_name("replay_tuning")
@blueprint.route(route="tunings/{id}/replay", methods=["POST"])
def replay_tuning(req: Request) -> Response:
    from shared.errors import PermanentError
    from shared.lifecycle.status import summary
    from shared.services import services

    def answer() -> Response:
        try:
            tuning = services().replayer.replay(req.path_params["id"], as_newest=flag(req, "as_newest"))
        except PermanentError as error:
            return error_answer(404 if error.code == "NotFound" else 409, error.code, error.message)
        return json_answer(summary(tuning), status=202)

    return answered(answer)


@blueprint.function_name("cancel_tuning")
@blueprint.route(route="tunings/{id}/cancel", methods=["POST"])
def cancel_tuning(req: Request) -> Response:
    from shared.errors import PermanentError
    from shared.lifecycle.status import summary
    from shared.services import services

    def answer() -> Response:
        try:
            tuning = services().canceler.cancel(req.path_params["id"])
        except PermanentError as error:
            return error_answer(404 if error.code == "NotFound" else 409, error.code, error.message)
        return json_answer(summary(tuning), status=202)

    return answered(answer)


@blueprint.function_name("allow_budget")
@blueprint.route(route="tunings/{id}/allow-budget", methods=["POST"])
def allow_budget(req: Request) -> Response:
    from shared.errors import PermanentError
    from shared.lifecycle import allowance
    from shared.lifecycle.status import summary
    from shared.services import services

    def answer() -> Response:
        try:
            tuning = allowance.allow_budget(services().lifecycle, req.path_params["id"])
        except PermanentError as error:
            return error_answer(404 if error.code == "NotFound" else 409, error.code, error.message)
        return json_answer(summary(tuning), status=202)

    return answered(answer)


@blueprint.function_name("list_endpoints")
@blueprint.route(route="endpoints", methods=["GET"])
def list_endpoints(req: Request) -> Response:
    from shared.services import services

    return answered(lambda: json_answer(services().status.endpoints()))


@blueprint.function_name("idle_report")
@blueprint.route(route="idle", methods=["GET"])
def idle_report(req: Request) -> Response:
    from shared.services import services

    def answer() -> Response:
        found = services().status.idle_report()
        return json_answer(found) if found else error_answer(404, "NotFound", "there was no idle sweep yet")

    return answered(answer)
