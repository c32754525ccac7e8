"""HTTP: what was spent and avoided, as JSON or CSV. With a function key."""

import azure.functions as func

from handlers.status_api import _answer, _error, _json

blueprint = func.Blueprint()


@blueprint.function_name("costs")
@blueprint.route(route="costs", methods=["GET"])
def costs(req: func.HttpRequest) -> func.HttpResponse:
    from shared.services import services

    def answer() -> func.HttpResponse:
        month, dataset = req.params.get("month", ""), req.params.get("dataset", "")
        form = req.params.get("format", "json")
        statement = services().statement
        try:
            if form == "csv":
                table = statement.table(month, dataset)
                headers = {"Content-Disposition": 'attachment; filename="costs.csv"'}
                return func.HttpResponse(table, mimetype="text/csv", charset="utf-8", headers=headers)
            if form == "json":
                return _json(statement.costs(month, dataset))
        except ValueError as error:
            return _error(400, "BadRequest", str(error))
        return _error(400, "BadRequest", "format must be json or csv")

    return _answer(answer)
