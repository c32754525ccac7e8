"""GET /api/costs and POST /api/tunings/{id}/allow-budget, as the Functions host calls them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from handlers.costs import costs
from handlers.http import Request, Response
from handlers.status_api import allow_budget
from shared.config import Settings
from shared.costs.records import CostRecord, Kind, Price
from shared.errors import RaceLostError, TransientError
from shared.lifecycle import allowance
from shared.lifecycle.ledger import Versioned
from shared.lifecycle.tuning import State, Tuning
from tests.simulation.twins.calm import START, Calm
from tests.simulation.twins.cloud import TwinCloud
from tests.simulation.twins.services import TwinServices, lent
from tests.unit.test_configuration import REQUIRED
from tests.unit.test_decide import tuning as some_tuning


@pytest.fixture
def app() -> Iterator[TwinServices]:
    settings = Settings.from_environment({**REQUIRED, "MONTHLY_BUDGET": "1000", "PRICES": '{"Standard_F2s_v2": 4}'})
    world = Calm()
    services = TwinServices.of(settings, TwinCloud(world, settings.workspace_id), world)
    with lent(services):
        yield services


def called(function: Any, query: str = "", **path: str) -> Response:
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": query.encode(), "headers": []}
    answer: Response = function.build().get_user_function()(Request({**scope, "path_params": path}))
    return answer


def body(response: Response) -> Any:
    return json.loads(bytes(response.body))


def put_record(app: TwinServices, dataset: str = "chats") -> None:
    began = START - timedelta(hours=10)
    record = CostRecord(
        kind=Kind.DEPLOYMENT,
        dataset=dataset,
        tuning="t",
        name=f"{dataset}-1/blue",
        instance_type="Standard_F2s_v2",
        instance_count=1,
        began=began,
        seen=began,
        price=Price(4.0, "USD"),
    )
    app.lifecycle.ledger.put(Versioned(record, ""))


def put_tuning(app: TwinServices, state: State) -> Tuning:
    tuning = replace(some_tuning(state), id="chats-v1-aaaaaaaa")
    app.lifecycle.ledger.put(Versioned(tuning, ""))
    return tuning


def test_costs_are_json_with_totals_lines_endpoints_and_the_budget(app: TwinServices) -> None:
    put_record(app)
    answer = body(called(costs))
    (line,) = answer["costs"]
    assert (line["month"], line["dataset"], line["deployment_hours"], line["spent"]) == ("2026-11", "chats", 10, 40.0)
    assert [total["spent"] for total in answer["total"]] == [40.0]
    assert [(item["name"], item["hourly"]) for item in answer["endpoints"]] == [("chats-1", 4.0)]
    assert (answer["budget"]["limit"], answer["budget"]["spent"], answer["budget"]["hourly"]) == (1000, 40.0, 4.0)


def test_a_month_and_a_dataset_are_what_is_asked_for(app: TwinServices) -> None:
    put_record(app)
    put_record(app, "faq")
    assert body(called(costs, "month=2026-10"))["costs"] == []
    assert [line["dataset"] for line in body(called(costs, "month=2026-11&dataset=faq"))["costs"]] == ["faq"]


def test_a_table_for_spreadsheets_has_no_formulas(app: TwinServices) -> None:
    put_record(app, "=cmd|' /C calc'!A0")
    response = called(costs, "format=csv")
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in response.headers["content-disposition"]
    assert bytes(response.body).decode().splitlines()[1].startswith("2026-11,'=cmd")


@pytest.mark.parametrize("query", ["month=2026-13", "month=november", "format=xml", "format=csv&month=1"])
def test_what_is_not_understood_is_refused(app: TwinServices, query: str) -> None:
    response = called(costs, query)
    assert response.status_code == 400
    assert body(response)["error"]["code"] == "BadRequest"


def test_a_ledger_that_can_not_be_reached_is_asked_later(app: TwinServices, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*_: Any) -> None:
        raise TransientError("list costs: HTTP 503")

    monkeypatch.setattr(app.lifecycle.ledger, "costs", down)
    assert called(costs).status_code == 503


def test_an_operators_word_is_recorded_published_and_wakes_the_tuning(app: TwinServices) -> None:
    tuning = put_tuning(app, State.WAITING_FOR_BUDGET)
    response = called(allow_budget, id=tuning.id)
    assert response.status_code == 202
    row = app.lifecycle.ledger.tuning(tuning.id)
    assert row is not None
    assert row.value.budget_exempt
    assert "operator" in row.value.history[-1].message
    assert app.clients.wake_ups is app.lifecycle.wake_ups
    assert app.lifecycle.budget.objection(row.value, app.clock()) == ""
    assert body(called(allow_budget, id=tuning.id))["id"] == tuning.id


@pytest.mark.parametrize(("state", "status"), [(State.FAILED, 409), (State.RETIRED, 409)])
def test_what_has_ended_is_not_allowed_anything(app: TwinServices, state: State, status: int) -> None:
    assert called(allow_budget, id=put_tuning(app, state).id).status_code == status


@pytest.mark.parametrize("tuning_id", ["nobody-v1-aaaaaaaa", "../tunings", "a" * 200, ""])
def test_what_there_is_not_is_not_found(app: TwinServices, tuning_id: str) -> None:
    assert called(allow_budget, id=tuning_id).status_code == 404


def test_a_word_that_loses_a_race_is_said_again(app: TwinServices, monkeypatch: pytest.MonkeyPatch) -> None:
    tuning = put_tuning(app, State.TRAINING)
    ledger, put, races = app.lifecycle.ledger, app.lifecycle.ledger.put, [1, 2]

    def raced(row: Any) -> Any:
        if races:
            races.pop()
            raise RaceLostError("changed")
        return put(row)

    monkeypatch.setattr(ledger, "put", raced)
    assert allowance.allow_budget(app.lifecycle, tuning.id).budget_exempt
    races[:] = range(10)
    with pytest.raises(RaceLostError):
        allowance.allow_budget(app.lifecycle, put_again(app, tuning))


def put_again(app: TwinServices, tuning: Tuning) -> str:
    row = app.lifecycle.ledger.tuning(tuning.id)
    assert row is not None
    app.clients.ledger._tables.put("tunings", ("tuning", tuning.id), _plain(row.value), row.etag)
    return tuning.id


def _plain(tuning: Tuning) -> bytes:
    import msgspec

    return msgspec.json.encode(replace(tuning, budget_exempt=False))
