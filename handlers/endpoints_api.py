"""HTTP: an operator's hand on a dataset's endpoint: wake it, put it to sleep, keep it."""

import azure.functions as func

from handlers.http import BadRequestError, Request, Response, answered, error_answer, flag, json_answer

blueprint = func.Blueprint()


@blueprint.function_name("wake_endpoint")
@blueprint.route(route="endpoints/{dataset}/wake", methods=["POST"])
def wake_endpoint(req: Request) -> Response:
    from shared.lifecycle.standing import Situation
    from shared.lifecycle.waking import BY_OPERATOR, described
    from shared.services import services

    def answer() -> Response:
        keeper = services().endpoint_keeper
        standing = keeper.wake(req.path_params["dataset"], BY_OPERATOR)
        if standing.situation is Situation.UNKNOWN:
            return error_answer(404, "NotFound", f"there is no dataset {req.path_params['dataset'][:100]!a}")
        if standing.situation is Situation.NEVER_LIVE:
            return error_answer(409, "NeverLive", "the dataset never had a live model")
        return json_answer(described(keeper, standing), 200 if standing.situation is Situation.LIVE else 202)

    return answered(answer)


@blueprint.function_name("sleep_endpoint")
@blueprint.route(route="endpoints/{dataset}/sleep", methods=["POST"])
def sleep_endpoint(req: Request) -> Response:
    from shared.errors import PermanentError
    from shared.lifecycle.waking import described
    from shared.services import services

    def answer() -> Response:
        keeper = services().endpoint_keeper
        try:
            standing = keeper.sleep(req.path_params["dataset"], force=flag(req, "force"))
        except PermanentError as error:
            return error_answer(409, error.code, error.message)
        return json_answer(described(keeper, standing), 202)

    return answered(answer)


@blueprint.function_name("keep_endpoint")
@blueprint.route(route="endpoints/{dataset}/keep", methods=["POST"])
def keep_endpoint(req: Request) -> Response:
    from shared.errors import PermanentError
    from shared.services import services

    def answer() -> Response:
        until, off = req.query_params.get("until", ""), flag(req, "off")
        if until and off:
            raise BadRequestError("until and off exclude each other")
        tag = "false" if off else until or "true"
        try:
            name = services().endpoint_keeper.keep(req.path_params["dataset"], tag)
        except PermanentError as error:
            return error_answer(400 if error.code == "BadRequest" else 409, error.code, error.message)
        return json_answer({"endpoint": name, "keep": tag})

    return answered(answer)
