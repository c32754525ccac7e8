"""HTTP: what was spent and avoided, as JSON or CSV. With a function key."""

import azure.functions as func

from handlers.http import Request, Response, answered, error_answer, json_answer

blueprint = func.Blueprint()


@blueprint.function_name("costs")
@blueprint.route(route="costs", methods=["GET"])
def costs(req: Request) -> Response:
    from shared.costs.statement import last_requests
    from shared.services import services

    def answer() -> Response:
        month, dataset = req.query_params.get("month", ""), req.query_params.get("dataset", "")
        form = req.query_params.get("format", "json")
        statement = services().statement
        try:
            if form == "csv":
                table = statement.table(month, dataset)
                headers = {"Content-Disposition": 'attachment; filename="costs.csv"'}
                return Response(table, headers=headers, media_type="text/csv; charset=utf-8")
            if form == "json":
                return json_answer(statement.costs(month, dataset, last_requests(services().status.idle_report())))
        except ValueError as error:
            return error_answer(400, "BadRequest", str(error))
        return error_answer(400, "BadRequest", "format must be json or csv")

    return answered(answer)
