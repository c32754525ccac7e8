"""The endpoints: how much each is used, since when it is idle, what it costs, and keeping or letting go of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from shared.dashboard.frame import Chrome, action, page
from shared.dashboard.html import Html, join, tag
from shared.dashboard.views import Endpoints, EndpointView
from shared.dashboard.words import address, age, link, moment, money, outside, until
from shared.idle.series import MINUTE, Series

_HEIGHT = 24


def endpoints_page(view: Endpoints, chrome: Chrome) -> bytes:
    cards = [_card(endpoint, chrome) for endpoint in view.endpoints]
    listed = tag("ul", cards, class_="cards") if cards else tag("p", "There is no endpoint.", class_="soft")
    return page(
        chrome,
        "Endpoints",
        "endpoints",
        tag("h1", "Endpoints ", tag("small", f"{view.in_all:,}")),
        tag("p", view.warning, class_="warning") if view.warning else None,
        listed,
        _turns(view),
        _asleep(view, chrome),
        tag("p", "idle sweep of ", moment(view.swept_at), class_="soft") if view.swept_at else None,
    )


def _card(endpoint: EndpointView, chrome: Chrome) -> Html:
    live = endpoint.live and link(f"/tunings/{endpoint.live}", outside(endpoint.live))
    heading = tag("h2", outside(endpoint.name), " ", tag("small", outside(endpoint.state)))
    return tag(
        "li",
        heading,
        tag(
            "dl",
            _line("Dataset", link("", outside(endpoint.dataset), dataset=endpoint.dataset)),
            _line("Live", live or "nothing"),
            _line("Cost", _cost(endpoint)),
            _line("Idle", _idle(endpoint, chrome.now)),
            class_="facts",
        ),
        sparkline(endpoint.requests, endpoint.no_requests),
        _buttons(endpoint, chrome) if endpoint.live else None,
        id=f"endpoint-{endpoint.name}",
    )


def _buttons(endpoint: EndpointView, chrome: Chrome) -> Html:
    about, dataset = f"endpoint {endpoint.name}", endpoint.dataset
    if endpoint.keep and endpoint.keep != "false":
        keep = action(chrome, "let-go", "Keep no longer", about=about, dataset=dataset)
    else:
        keep = action(chrome, "keep", "Keep", about=about, dataset=dataset)
    sleep = action(chrome, "sleep", "Yes, delete it", kind="danger", about=about, dataset=dataset)
    warning = tag("p", "Its requests fail until it is woken; the model stays.", class_="soft")
    asked = tag("details", tag("summary", "Put to sleep …", tag("span", f" {about}", class_="unseen")), warning, sleep)
    return tag("div", keep, asked, class_="buttons")


def _asleep(view: Endpoints, chrome: Chrome) -> Html | None:
    if not view.asleep:
        return None
    rows = [
        tag(
            "li",
            tag("p", link("", outside(item.dataset), dataset=item.dataset), class_="name"),
            tag("p", "last live ", link(f"/tunings/{item.last_live}", outside(item.last_live)), class_="why"),
            action(chrome, "wake", "Wake", about=item.dataset, dataset=item.dataset),
            id=f"asleep-{item.dataset}",
        )
        for item in view.asleep
    ]
    more = view.asleep_in_all - len(view.asleep)
    return tag(
        "section",
        tag("h2", "Asleep ", tag("small", f"{view.asleep_in_all:,}")),
        tag("ul", rows, class_="rows asleep"),
        tag("p", f"and {more:,} more", class_="soft") if more else None,
        id="asleep",
    )


def _idle(endpoint: EndpointView, now: datetime) -> Html:
    """The clock first, then the sweep's reason in its own words."""
    parts: list[Html] = []
    if endpoint.idle_since is not None:
        parts.append(join("since ", age(endpoint.idle_since, now)))
    if endpoint.deletes_at is not None:
        parts.append(tag("strong", "is deleted ", until(endpoint.deletes_at, now), class_="bad"))
    if endpoint.keep:
        parts.append(join("kept: ", outside(endpoint.keep)))
    if endpoint.reason:
        parts.append(outside(endpoint.reason))
    if not parts:
        return join("not swept yet")
    return join(*[part if place == 0 else join("; ", part) for place, part in enumerate(parts)])


def _cost(endpoint: EndpointView) -> str:
    hourly = f"{money(endpoint.hourly, endpoint.currency)} per hour"
    if endpoint.since_last_request is None:
        return hourly
    return f"{hourly}, {money(endpoint.since_last_request, endpoint.currency)} since its last request"


def _line(name: str, value: Html | str) -> Html:
    return tag("div", tag("dt", name), tag("dd", value))


def _turns(view: Endpoints) -> Html | None:
    if view.pages < 2:
        return None
    before = tag("a", "Before", href=address("/endpoints", page=str(view.page - 1))) if view.page > 1 else None
    after = tag("a", "After", href=address("/endpoints", page=str(view.page + 1))) if view.page < view.pages else None
    return tag("nav", before, f"{view.page} of {view.pages}", after, class_="turns", aria_label="More endpoints")


def sparkline(series: Series | None, unknown: str) -> Html:
    """Requests of each minute, as a row of bars; the figures stand beside it in words."""
    if series is None:
        return tag("p", "Requests: ", outside(unknown), class_="spark soft")
    values = per_minute(series)
    highest = max(values, default=0.0)
    bars = [
        tag("rect", x=place, y=f"{_HEIGHT - tall:.1f}", width="0.8", height=f"{tall:.1f}", class_="bar")
        for place, value in enumerate(values)
        if value > 0 and (tall := max(2.0, _HEIGHT * value / highest))
    ]
    base = tag("rect", x="0", y=_HEIGHT - 1, width=len(values), height="1", class_="base")
    picture = tag(
        "svg",
        base,
        bars,
        viewBox=f"0 0 {max(len(values), 1)} {_HEIGHT}",
        preserveAspectRatio="none",
        aria_hidden="true",
    )
    said = f"{sum(values):,.0f} requests in {len(values)} min, at most {highest:,.0f} in one"
    return tag("div", picture, tag("p", said, class_="soft"), class_="spark")


def per_minute(series: Series) -> Sequence[float]:
    minutes = round((series.end - series.start) / MINUTE)
    return [series.minutes.get(series.start + number * MINUTE, 0.0) for number in range(minutes)]
