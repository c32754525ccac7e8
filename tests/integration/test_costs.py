"""Prices over HTTP from the local cloud's list, and the books of a whole life against what the cloud says existed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from shared.clock import utc_now
from shared.costs.records import CostRecord, Kind
from shared.costs.retail import ListPrice, RetailPrices, UnknownPriceError
from shared.errors import PermanentError, TransientError
from shared.lifecycle.allowance import allow_budget
from shared.lifecycle.records import EndpointStatus
from shared.lifecycle.tuning import State, Tuning
from shared.timeouts import Timeouts
from tests.integration.azureml_support import Cloud
from tests.integration.lifecycle_harness import App, app_on

pytest_plugins = ("tests.integration.azureml_fixtures",)
pytestmark = pytest.mark.localcloud

SIZE = "Standard_NC24ads_A100_v4"
SINCE = datetime.fromisoformat("2024-01-01T00:00:00Z")


@pytest.fixture
def app(azureml_cloud: Cloud) -> Iterator[App]:
    with app_on(azureml_cloud) as found:
        yield found
    azureml_cloud.control("DELETE", "/faults")


@pytest.fixture
def retail(azureml_cloud: Cloud) -> Iterator[RetailPrices]:
    client = RetailPrices(f"{azureml_cloud.config.azure_url}/api/retail/prices", Timeouts(2, 2))
    yield client
    client.close()
    azureml_cloud.control("DELETE", "/faults")


def test_the_list_has_one_price_of_a_size_among_many_that_are_not(azureml_cloud: Cloud, retail: RetailPrices) -> None:
    hourly = azureml_cloud.config.prices[SIZE]
    assert retail.hourly(SIZE, "eastus", "USD", utc_now()) == ListPrice(hourly, SINCE)
    assert retail.hourly(SIZE, "westeurope", "USD", utc_now()).hourly == pytest.approx(hourly * 1.2)
    assert retail.hourly(SIZE, "eastus", "EUR", utc_now()).hourly == pytest.approx(hourly * 0.9)


def test_what_is_not_in_the_list_is_unknown(retail: RetailPrices) -> None:
    with pytest.raises(UnknownPriceError, match="has no Standard_Nothing"):
        retail.hourly("Standard_Nothing", "eastus", "USD", utc_now())
    with pytest.raises(UnknownPriceError):
        retail.hourly(SIZE, "mars", "USD", utc_now())
    with pytest.raises(PermanentError, match="not supported"):
        retail.hourly(SIZE, "eastus", "XXX", utc_now())


def test_every_page_is_read(azureml_cloud: Cloud, retail: RetailPrices, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two items a page, so that the plain price comes with a later one."""
    monkeypatch.setattr("localcloud.prices.service.PAGE", 2)
    assert retail.hourly(SIZE, "eastus", "USD", utc_now()).hourly == azureml_cloud.config.prices[SIZE]
    monkeypatch.setattr("shared.costs.retail.MAX_PAGES", 1)
    with pytest.raises(UnknownPriceError, match="pages"):
        retail.hourly(SIZE, "eastus", "USD", utc_now())


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"status": 503}, TransientError),
        ({"status": 429}, TransientError),
        ({"drop": True}, TransientError),
        ({"status": 200, "body": {"Items": "none"}}, UnknownPriceError),
        ({"status": 200, "body": {"Items": [], "NextPageLink": "https://elsewhere.invalid/"}}, UnknownPriceError),
        ({"status": 404}, PermanentError),
    ],
)
def test_a_list_that_fails_says_how(
    azureml_cloud: Cloud, retail: RetailPrices, fault: dict[str, object], error: type[Exception]
) -> None:
    azureml_cloud.control("POST", "/faults", [{"operation": "RetailPrices_List", **fault}])
    with pytest.raises(error):
        retail.hourly(SIZE, "eastus", "USD", utc_now())


def the_tuning(app: App, dataset: str, *states: State) -> Tuning | None:
    found = app.tunings_of(dataset)
    return found[-1] if found and found[-1].state in states else None


def records_of(app: App, dataset: str) -> list[CostRecord]:
    return [row.value for row in app.instance().lifecycle.ledger.costs(dataset)]


def test_the_books_of_a_whole_life_are_what_the_cloud_says_existed(app: App) -> None:
    app.instance().prices.hourly(SIZE)
    assert app.instance().prices.refresh() == 1
    app.upload_version("books-life")
    app.instance().intake.version_changed("books-life", "v1")
    with app.workers(2):
        live = app.until(lambda: the_tuning(app, "books-life", State.LIVE), 60)
        lifecycle = app.instance().lifecycle
        record = lifecycle.ledger.endpoint("books-life")
        idle = replace(record.value, status=EndpointStatus.DELETING, retire_reason="no request")
        lifecycle.ledger.put(replace(record, value=idle))
        lifecycle.wake_ups.tuning(live.id)
        app.until(lambda: the_tuning(app, "books-life", State.RETIRED), 60)
    (deployment,) = app.of_dataset("deployments", "books-life")
    job = app.cloud.control("GET", f"/jobs/{live.job}")
    records = {record.kind: record for record in records_of(app, "books-life")}
    held = records[Kind.DEPLOYMENT]
    assert held.ended is not None
    assert held.exact
    assert held.retired
    assert abs(held.began.timestamp() - deployment["created"]) < 1e-3
    assert abs(held.ended.timestamp() - deployment["deleted"]) < 1e-3
    run = records[Kind.JOB]
    assert run.ended is not None
    assert run.exact
    assert abs(run.ended.timestamp() - job["ended"]) < 1e-3

    statement = app.instance().statement.costs(dataset="books-life")
    (line,) = statement["costs"]
    assert line["deployment_hours"] == pytest.approx(deployment["lifetime_seconds"] / 3600, abs=1e-3)
    assert line["deployment_cost"] == pytest.approx(deployment["cost"], abs=1e-3)
    assert line["unpriced_hours"] == 0
    assert line["avoided_hours"] >= 0
    assert statement["endpoints"] == []
    table = app.instance().statement.table(dataset="books-life").splitlines()
    assert table[0].startswith("month,dataset,currency,")
    assert table[1].split(",")[1:3] == ["books-life", "USD"]


def test_a_deployment_beyond_the_budget_waits_until_an_operator_allows_it(azureml_cloud: Cloud) -> None:
    with app_on(azureml_cloud, monthly_budget=0.01, prices=f'{{"{SIZE}": 3.0}}') as app:
        app.upload_version("budget-waits")
        app.instance().intake.version_changed("budget-waits", "v1")
        with app.workers(2):
            waiting = app.until(lambda: the_tuning(app, "budget-waits", State.WAITING_FOR_BUDGET), 60)
            assert "3.00 an hour more the month would come to" in waiting.waiting_for
            assert waiting.wake_at - utc_now() > timedelta(seconds=0.1)
            assert app.instance().statement.costs()["budget"]["waiting"] == [waiting.id]
            assert app.of_dataset("endpoints", "budget-waits") == []
            allow_budget(app.instance().lifecycle, waiting.id)
            live = app.until(lambda: the_tuning(app, "budget-waits", State.LIVE), 60)
    assert live.budget_exempt
    assert [entry.state for entry in live.history if "operator allowed" in entry.message] == [State.WAITING_FOR_BUDGET]
