"""The first page: how many tunings are where, and each with its age and its reason."""

from __future__ import annotations

from collections.abc import Sequence, Set
from datetime import datetime

from shared.dashboard.frame import Chrome, page
from shared.dashboard.html import Html, join, tag
from shared.dashboard.views import Board, Collecting
from shared.dashboard.words import ROOT, address, age, badge, link, moment, outside, spoken, until
from shared.lifecycle.deadlines import deadline
from shared.lifecycle.tuning import ENDED, UNFINISHED, State, Tuning

_WAY = tuple(state for state in State if state not in ENDED)
_ENDS = tuple(state for state in State if state in ENDED)


def board_page(board: Board, chrome: Chrome) -> bytes:
    title = spoken(board.state).capitalize() if board.state else "Tunings"
    content: list[Html | None] = [
        tag("h1", title, *([" of ", outside(board.dataset)] if board.dataset else [])),
        _pipeline(board),
        _filters(board),
    ]
    if board.filtered or board.later:
        content.append(_listed(board, chrome.now, "All that match" if board.filtered else "Ended"))
    else:
        content += [
            _collecting(board, chrome.now),
            _line(board),
            _section("Under way", board.under_way, UNFINISHED, board, chrome.now),
            _section("Live", board.live, {State.LIVE}, board, chrome.now),
            _listed(board, chrome.now, "Ended"),
        ]
    return page(chrome, title, "tunings", *content)


def _pipeline(board: Board) -> Html:
    def cell(state: State) -> Html:
        count = board.counts.get(state, 0)
        chosen = board.state is state
        number, name = tag("b", f"{count:,}"), tag("span", spoken(state))
        return tag(
            "li",
            tag(
                "a",
                number,
                name,
                href=address("", state="" if chosen else state, dataset=board.dataset),
                aria_current="true" if chosen else None,
            ),
            class_=f"{state}{'' if count else ' none'}",
        )

    collecting = tag(
        "li",
        tag("span", tag("b", f"{board.collecting_in_all:,}"), tag("span", "collecting")),
        class_="collecting" if board.collecting_in_all else "collecting none",
    )
    return tag(
        "nav",
        tag("ol", collecting, [cell(state) for state in _WAY], class_="way"),
        tag("ul", [cell(state) for state in _ENDS], class_="ends"),
        class_="pipeline",
        id="pipeline",
        aria_label="Tunings by state",
    )


def _filters(board: Board) -> Html:
    options = [tag("option", "any state", value="")] + [
        tag("option", spoken(state), value=state, selected=state is board.state) for state in State
    ]
    name = tag("input", type="search", name="dataset", value=board.dataset, autocomplete="off", id="of-dataset")
    return tag(
        "form",
        tag("p", tag("label", "Dataset", for_="of-dataset"), name),
        tag("p", tag("label", "State", for_="in-state"), tag("select", options, name="state", id="in-state")),
        tag("button", "Show", type="submit"),
        link("", "Show all") if board.filtered else None,
        class_="filters",
        method="get",
        action=ROOT,
        role="search",
        aria_label="Filter",
    )


def _collecting(board: Board, now: datetime) -> Html | None:
    if not board.collecting:
        return None
    more = board.collecting_in_all - len(board.collecting)
    return tag(
        "section",
        tag("h2", "Being collected ", tag("small", f"{board.collecting_in_all:,}")),
        tag("ul", [_version(item, now) for item in board.collecting], class_="rows"),
        tag("p", f"and {more:,} more", class_="soft") if more else None,
        id="collecting",
    )


def _version(item: Collecting, now: datetime) -> Html:
    version = item.version
    name = f"{version.dataset} {version.version}"
    waits = f"waits for {', '.join(item.missing)}" if item.missing else "waits for a while without changes"
    return tag(
        "li",
        tag("p", outside(name), class_="name"),
        tag("p", tag("span", "collecting", class_="badge waiting"), " ", age(version.first_seen, now), class_="where"),
        tag(
            "p",
            f"{len(version.files)} files; {waits}",
            [" · ", tag("span", outside(version.last_error), class_="bad")] if version.last_error else None,
            class_="why",
        ),
        tag("p", "taken or rejected ", until(item.due, now), class_="soft"),
        id=f"version-{version.dataset}-{version.version}",
    )


def _line(board: Board) -> Html | None:
    """Who has a job slot, and who waits for one."""
    limit, slots = board.max_active_jobs, board.slots
    if not limit or not (slots.holders or slots.waiting):
        return None
    waiting = [tag("li", link(f"/tunings/{waiter.tuning_id}", outside(waiter.tuning_id))) for waiter in slots.waiting]
    return tag(
        "section",
        tag("h2", "Job slots ", tag("small", f"{len(slots.holders)} of {limit} in use")),
        [tag("p", "Next in line, the oldest first:"), tag("ol", waiting[:20], class_="line")] if waiting else None,
        tag("p", f"and {len(waiting) - 20:,} more", class_="soft") if len(waiting) > 20 else None,
        id="slots",
    )


def _section(title: str, tunings: Sequence[Tuning], states: Set[State], board: Board, now: datetime) -> Html:
    rows = tag("ul", [row(tuning, board, now) for tuning in tunings], class_="rows") if tunings else None
    key = title.lower().replace(" ", "-")
    in_all = sum(board.counts.get(state, 0) for state in states)
    more = max(in_all - len(tunings), 0)
    return tag(
        "section",
        tag("h2", title, " ", tag("small", f"{in_all:,}")),
        rows or tag("p", f"Nothing is {title.lower()}.", class_="soft"),
        tag("p", f"and {more:,} more; a state above shows its own", class_="soft") if more else None,
        id=key,
    )


def _listed(board: Board, now: datetime, title: str) -> Html:
    rows = [row(tuning, board, now) for tuning in board.listed]
    following = address("", state=board.state or "", dataset=board.dataset, continuation=board.next)
    first = address("", state=board.state or "", dataset=board.dataset)
    turns = join(
        tag("a", "Newest", href=first) if board.later else None,
        tag("a", "Older", href=following, rel="next") if board.next else None,
    )
    return tag(
        "section",
        tag("h2", title, " ", tag("small", "the newest first")),
        tag("ul", rows, class_="rows") if rows else tag("p", "None.", class_="soft"),
        tag("nav", turns, class_="turns", aria_label="More tunings") if turns else None,
        id="listed",
    )


def row(tuning: Tuning, board: Board, now: datetime) -> Html:
    return tag(
        "li",
        tag(
            "p",
            link(f"/tunings/{tuning.id}", outside(tuning.dataset), " ", outside(tuning.version)),
            tag("code", tuning.fingerprint[:8], class_="soft"),
            class_="name",
        ),
        tag("p", badge(tuning.state), " ", age(tuning.state_since, now), class_="where"),
        tag("p", why(tuning), class_="why"),
        tag("p", _next(tuning, board, now), class_="soft"),
        id=f"tuning-{tuning.id}",
    )


def why(tuning: Tuning) -> Html:
    """What it waits for, why it ended, and the error that it met last."""
    parts: list[Html] = []
    if tuning.reason is not None:
        parts.append(join(tag("b", tuning.reason.code), " ", outside(tuning.reason.message)))
    elif tuning.waiting_for and not tuning.ended:
        parts.append(outside(tuning.waiting_for))
    if tuning.state is State.LIVE and tuning.endpoint:
        parts.append(join("on endpoint ", outside(tuning.endpoint)))
    if tuning.last_error and not tuning.ended:
        parts.append(tag("span", outside(tuning.last_error), class_="bad"))
    return join(*[part if place == 0 else join(" · ", part) for place, part in enumerate(parts)])


def _next(tuning: Tuning, board: Board, now: datetime) -> Html:
    if tuning.ended or tuning.state is State.LIVE:
        return moment(tuning.created_at)
    ends = deadline(tuning, board.deadlines)
    if ends is None:
        return join("next look ", until(tuning.wake_at, now))
    return join("deadline ", until(ends, now))
