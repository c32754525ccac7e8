"""One tuning: where it is and why, how long each state took, what was seen, and what can be done about it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from shared.costs.records import CostRecord
from shared.dashboard.curve import curve
from shared.dashboard.frame import Chrome, action, page
from shared.dashboard.html import Child, Html, join, tag
from shared.dashboard.timeline import timeline
from shared.dashboard.views import SmokeSample, SmokeTest, TuningView, Validation
from shared.dashboard.words import age, badge, link, moment, money, outside, spoken, until
from shared.lifecycle.tuning import UNFINISHED, State, Tuning


def tuning_page(view: TuningView, chrome: Chrome) -> bytes:
    tuning = view.tuning
    title = f"{tuning.dataset} {tuning.version}"
    return page(
        chrome,
        title,
        "",
        tag("p", link("", "Tunings"), " / ", link("", outside(tuning.dataset), dataset=tuning.dataset), class_="trail"),
        tag("h1", outside(title), " ", tag("code", tuning.fingerprint[:8])),
        _now(view, chrome),
        _buttons(tuning, chrome),
        _times(tuning, chrome),
        _validation(view.validation, tuning),
        curve(view.curves),
        _smoke(view.smoke, tuning),
        _costs(view, chrome),
        _facts(tuning),
        _history(tuning),
    )


def _now(view: TuningView, chrome: Chrome) -> Html:
    tuning, now = view.tuning, chrome.now
    parts: list[Child] = [tag("p", badge(tuning.state), " for ", age(tuning.state_since, now), class_="where")]
    if tuning.reason is not None:
        parts.append(tag("p", tag("b", tuning.reason.code), " ", outside(tuning.reason.message), class_="reason"))
    if tuning.outcome is not None and not tuning.ended:
        parts.append(tag("p", f"it will end {spoken(tuning.outcome)}"))
    if view.waiting_for and not tuning.ended:
        parts.append(tag("p", "waits: ", outside(view.waiting_for)))
    if tuning.last_error and not tuning.ended:
        parts.append(tag("p", "last error: ", outside(tuning.last_error), class_="bad"))
    if view.deadline is not None:
        parts.append(tag("p", "deadline ", until(view.deadline, now), class_="soft"))
    return tag("section", parts, id="now", class_="now", aria_label="State")


def _buttons(tuning: Tuning, chrome: Chrome) -> Html | None:
    if tuning.state in UNFINISHED - {State.PROMOTING, State.CLEANING_UP}:
        cancel = action(chrome, "cancel", "Yes, cancel it", kind="danger", tuning=tuning.id)
        warning = tag("p", "Its job is canceled, and what it has in the cloud is removed.", class_="soft")
        allow = None
        if tuning.state is State.WAITING_FOR_BUDGET and not tuning.budget_exempt:
            allow = action(chrome, "allow-budget", "Deploy beyond the budget", tuning=tuning.id)
        return tag("div", allow, tag("details", tag("summary", "Cancel …"), warning, cancel), id="buttons")
    if not tuning.ended or tuning.state is State.REJECTED:
        return None
    if tuning.state is State.SUPERSEDED:
        again = action(chrome, "replay", "Return to this version", tuning=tuning.id, as_newest="true")
        note = "deployed and tested again, it takes the traffic from the one that is live"
    else:
        again = action(chrome, "replay", "Replay", tuning=tuning.id)
        stage = f" from {spoken(tuning.failed_stage)}" if tuning.failed_stage else ""
        note = f"goes on{stage}; what was done is kept"
    return tag("div", again, tag("p", note, class_="soft"), id="buttons", class_="buttons")


def _times(tuning: Tuning, chrome: Chrome) -> Html | None:
    picture = timeline(tuning, chrome.now)
    return tag("section", tag("h2", "Timeline"), picture, id="timeline") if picture else None


def _validation(found: Validation | None, tuning: Tuning) -> Html | None:
    if found is None:
        return None
    heads = ("Split", "Rows", "Est. tokens", "Median", "95 %", "Longest", "Errors", "Warnings")
    head = [tag("th", text, scope="col", class_="number" if place else None) for place, text in enumerate(heads)]
    rows = [
        tag(
            "tr",
            tag("th", split.name, scope="row"),
            [
                tag("td", f"{figure:,}", class_="number")
                for figure in (split.rows, split.tokens, split.median, split.p95, split.longest)
            ],
            tag("td", f"{split.errors:,}", class_="number bad" if split.errors else "number"),
            tag("td", f"{split.warnings:,}", class_="number"),
        )
        for split in found.splits
    ]
    figures = tag("table", tag("caption", "What was read; tokens per row"), tag("thead", tag("tr", head)),
                  tag("tbody", rows))  # fmt: skip
    return tag(
        "section",
        tag("h2", "Validation ", tag("small", "valid" if found.valid else "rejected")),
        tag("ul", [tag("li", outside(problem), class_="bad") for problem in found.problems])
        if found.problems
        else None,
        scrolled(figures, "Figures of the splits") if rows else None,
        tag("p", link(f"/tunings/{tuning.id}/report", "The whole report")),
        id="validation",
    )


def _smoke(test: SmokeTest | None, tuning: Tuning) -> Html | None:
    if test is None:
        return None
    return tag(
        "section",
        tag("h2", "Smoke test ", tag("small", "passed" if test.passed else "failed")),
        tag("p", outside(test.detail), " · ", moment(test.at), class_="soft"),
        [_sample(number, sample) for number, sample in enumerate(test.samples, 1)],
        tag("p", link(f"/tunings/{tuning.id}/smoke", "Figures, and the answers side by side")),
        id="smoke",
    )


def _sample(number: int, sample: SmokeSample) -> Html:
    before = [join(tag("dt", role), tag("dd", outside(text))) for role, text in sample.before]
    said = tag("details", tag("summary", "What was said before"), tag("dl", before)) if before else None
    lines = (
        ("Question", sample.question),
        ("Answer", sample.answer),
        ("What is wrong with it", "; ".join(sample.faults)),
        ("Answer of the live one", sample.live),
        ("In the dataset", sample.truth),
    )
    return tag(
        "div",
        said,
        tag("dl", [join(tag("dt", name), tag("dd", outside(text))) for name, text in lines if text]),
        class_="sample",
        id=f"sample-{number}",
    )


def _costs(view: TuningView, chrome: Chrome) -> Html | None:
    if not view.costs:
        return None
    titles = ("What", "On", "From", "Until", "Hours", "Per hour", "Cost")
    heads = [
        tag("th", title, scope="col", class_="number" if place > 3 else None) for place, title in enumerate(titles)
    ]
    rows = [_cost(record, chrome.now) for record in view.costs]
    table = tag(
        "table",
        tag("caption", "Hours of instances, until now"),
        tag("thead", tag("tr", heads)),
        tag("tbody", rows),
    )
    return tag("section", tag("h2", "Cost"), scrolled(table, "Cost"), id="cost")


def _cost(record: CostRecord, now: datetime) -> Html:
    hours = record.hours(record.began, now)
    price = record.price
    return tag(
        "tr",
        tag("th", record.kind, scope="row"),
        tag("td", f"{record.instance_count} × ", outside(record.instance_type)),
        tag("td", moment(record.began)),
        tag("td", moment(record.ended) if record.ended else "still there"),
        tag("td", f"{hours:,.1f}", class_="number"),
        tag("td", money(price.hourly, price.currency) if price else "unknown", class_="number"),
        tag("td", money(hours * price.hourly, price.currency) if price else "unknown", class_="number"),
    )


def _facts(tuning: Tuning) -> Html:
    compute = tuning.inference_instance_type and f"{tuning.instance_count} × {tuning.inference_instance_type}"
    facts = {
        "Tuning": tuning.id,
        "Created": f"{tuning.created_at:%Y-%m-%d %H:%M:%S} UTC",
        "Base model": tuning.base_model_id or tuning.base_model,
        "Component": tuning.component_id,
        "Job": tuning.job,
        "Trained on": tuning.finetune_instance_type,
        "Model": tuning.model_id,
        "Endpoint": tuning.endpoint,
        "Deployment": tuning.deployment,
        "Deployed on": compute,
    }
    return tag(
        "section",
        tag("h2", "Facts"),
        definitions(facts),
        _folded("Parameters", tuning.parameters),
        _folded("Defaults of the model that the component does not take", tuning.dropped_parameters),
        id="facts",
    )


def _folded(title: str, values: Mapping[str, str]) -> Html | None:
    if not values:
        return None
    return tag("details", tag("summary", f"{title} ({len(values)})"), definitions(dict(sorted(values.items()))))


def _history(tuning: Tuning) -> Html:
    rows = [
        tag(
            "tr",
            tag("td", moment(entry.at)),
            tag("td", spoken(entry.state)),
            tag("td", outside(entry.message), class_="text"),
        )
        for entry in reversed(tuning.history)
    ]
    head = tag("tr", [tag("th", text, scope="col") for text in ("When", "State", "What happened")])
    table = tag("table", tag("caption", "The latest first"), tag("thead", head), tag("tbody", rows))
    return tag("section", tag("h2", "History"), scrolled(table, "History"), id="history")


def definitions(values: Mapping[str, str]) -> Html:
    rows = [tag("div", tag("dt", name), tag("dd", outside(value))) for name, value in values.items() if value]
    return tag("dl", rows, class_="facts")


def scrolled(table: Html, name: str) -> Html:
    """What is wider than a phone scrolls by itself, with the keyboard too."""
    return tag("div", table, class_="wide", role="region", tabindex="0", aria_label=name)
