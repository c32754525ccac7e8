"""What was spent, and what was not because nobody called: by month, and by dataset within it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from shared.costs.report import Amounts
from shared.dashboard.frame import Chrome, page
from shared.dashboard.html import Html, tag
from shared.dashboard.tuning_page import scrolled
from shared.dashboard.words import link, money, outside

if TYPE_CHECKING:
    from shared.costs.months import Month
    from shared.costs.report import CostReport, EndpointCost, Line

MAX_MONTHS = 24
MAX_DATASETS = 200
_WIDTH = 1000


def money_page(report: CostReport, chosen: Month | None, chrome: Chrome) -> bytes:
    """`chosen` is the month whose datasets are shown; None: the newest."""
    months = [(month, list(lines)) for month, lines in groupby(report.lines(), key=lambda line: line.month)][
        :MAX_MONTHS
    ]
    shown = next(((month, lines) for month, lines in months if chosen in (None, month)), None)
    nothing = tag("section", tag("p", "Nothing was paid for yet.", class_="soft"))
    return page(
        chrome,
        "Money",
        "money",
        tag("h1", "Money"),
        _running(report.endpoints({})),
        _months(months) if months else nothing,
        _datasets(*shown) if shown else None,
    )


def _running(endpoints: Sequence[EndpointCost]) -> Html | None:
    if not endpoints:
        return None
    hourly: defaultdict[str, float] = defaultdict(float)
    for endpoint in endpoints:
        hourly[endpoint.currency] += endpoint.hourly or 0.0
    unknown = sum(endpoint.hourly is None for endpoint in endpoints)
    total = " + ".join(money(amount, currency) for currency, amount in sorted(hourly.items()))
    return tag(
        "section",
        tag("h2", "Running now"),
        tag("p", tag("b", total, class_="figure"), f" per hour for {len(endpoints):,} endpoints", class_="big"),
        tag("p", f"and {unknown:,} without a known price", class_="soft") if unknown else None,
        id="running",
    )


def _months(months: Sequence[tuple[Month, list[Line]]]) -> Html:
    totals = [(month, currency, amounts) for month, lines in months for currency, amounts in _totals(lines)]
    highest = max((max(amounts.spent, amounts.avoided) for _, _, amounts in totals), default=0.0)
    rows = [
        tag(
            "tr",
            tag("th", link("/money", str(month), month=str(month)), scope="row"),
            tag("td", money(amounts.spent, currency), class_="number"),
            tag("td", money(amounts.avoided, currency), class_="number good"),
            tag("td", _bars(amounts, highest), class_="bars"),
        )
        for month, currency, amounts in totals
    ]
    head = tag(
        "tr",
        tag("th", "Month", scope="col"),
        tag("th", "Spent", scope="col", class_="number"),
        tag("th", "Avoided", scope="col", class_="number"),
        tag("td", tag("span", "spent", class_="key spent"), " ", tag("span", "avoided", class_="key avoided")),
    )
    note = (
        "Avoided are the hours from the deletion of an unused endpoint until its dataset was deployed again, at the "
        "price that it had."
    )
    table = tag("table", tag("caption", note), tag("thead", head), tag("tbody", rows))
    return tag("section", tag("h2", "By month"), scrolled(table, "Money by month"), id="months")


def _bars(amounts: Amounts, highest: float) -> Html:
    def bar(value: float, y: int, kind: str) -> Html:
        width = _WIDTH * value / highest if highest else 0.0
        return tag("rect", x="0", y=str(y), width=f"{width:.1f}", height="6", class_=kind)

    return tag(
        "svg",
        bar(amounts.spent, 0, "spent"),
        bar(amounts.avoided, 8, "avoided"),
        viewBox=f"0 0 {_WIDTH} 14",
        preserveAspectRatio="none",
        aria_hidden="true",
    )


def _datasets(month: Month, lines: Sequence[Line]) -> Html:
    """The dearest first."""
    lines = sorted(lines, key=lambda line: (-line.amounts.spent, line.dataset))
    more = len(lines) - MAX_DATASETS
    titles = ("Deployment hours", "Job hours", "Spent", "Avoided", "Hours without a price")
    rows = [
        tag(
            "tr",
            tag("th", link("", outside(line.dataset), dataset=line.dataset), scope="row"),
            tag("td", f"{line.amounts.deployment_hours:,.1f}", class_="number"),
            tag("td", f"{line.amounts.job_hours:,.1f}", class_="number"),
            tag("td", money(line.amounts.spent, line.currency), class_="number"),
            tag("td", money(line.amounts.avoided, line.currency), class_="number"),
            tag("td", f"{line.amounts.unpriced_hours:,.1f}", class_="number"),
        )
        for line in lines[:MAX_DATASETS]
    ]
    head = tag(
        "tr", tag("th", "Dataset", scope="col"), [tag("th", name, scope="col", class_="number") for name in titles]
    )
    table = tag("table", tag("caption", "Hours of instances"), tag("thead", head), tag("tbody", rows))
    return tag(
        "section",
        tag("h2", f"Datasets in {month}"),
        scrolled(table, f"Money of {month} by dataset"),
        tag("p", f"and {more:,} more; GET /api/costs has them all", class_="soft") if more > 0 else None,
        id="datasets",
    )


def _totals(lines: Sequence[Line]) -> list[tuple[str, Amounts]]:
    totals: defaultdict[str, Amounts] = defaultdict(Amounts)
    for line in lines:
        totals[line.currency].add(line.amounts)
    return sorted(totals.items())
