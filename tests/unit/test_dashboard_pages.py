"""The dashboard's pages as functions: markup that is whole, text that stays text, bars that add up."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from demo import specimens
from demo.pages import pages
from shared.azureml.resources import MetricPoint
from shared.dashboard.board import board_page
from shared.dashboard.curve import curve, thinned
from shared.dashboard.documents import smoke_test, validation
from shared.dashboard.endpoints_page import endpoints_page, per_minute, sparkline
from shared.dashboard.frame import Chrome
from shared.dashboard.html import Html, join, tag
from shared.dashboard.timeline import timeline, visits
from shared.dashboard.tuning_page import tuning_page
from shared.dashboard.views import Asleep, Board, Endpoints, EndpointView, TuningView
from shared.dashboard.words import address, span
from shared.idle.series import Series
from shared.lifecycle.tuning import Reason, State, Tuning
from tests.unit.test_dataset_page import HOSTILE, Page

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
CHROME = Chrome("w", NOW, "token")


def of(state: State) -> Tuning:
    return next(tuning for tuning in specimens.tunings(NOW) if tuning.state is state)


def test_what_is_not_markup_is_escaped_wherever_it_stands() -> None:
    made = tag("p", HOSTILE, [HOSTILE, tag("b", HOSTILE)], title=HOSTILE, data_of=HOSTILE)
    assert "<script>" not in made
    assert "<img" not in made
    assert made.count("&lt;script&gt;") == 5


def test_what_is_added_to_markup_is_text_again() -> None:
    assert not isinstance(Html("<b>") + HOSTILE, Html)
    assert join(Html("<b>") + "<i>") == "&lt;b&gt;&lt;i&gt;"


@pytest.mark.parametrize(("value", "expected"), [(None, "<p></p>"), (False, "<p></p>"), (True, "<p hidden></p>")])
def test_attributes_are_left_out_bare_or_given(value: bool | None, expected: str) -> None:
    assert tag("p", hidden=value) == expected


def test_every_page_is_whole_and_acts_by_forms_only() -> None:
    for name, content in pages(NOW).items():
        page = Page(content)
        assert page.tags.count("main") == 1, name
        assert page.tags.count("h1") == 1, name
        assert not [value for key, value in page.attributes if key.startswith("on") or key == "style"], name
        assert page.tags.count("script") == 1, name


def test_every_button_of_a_page_has_the_session_s_token() -> None:
    page = Page(tuning_page(TuningView(tuning=of(State.FAILED)), CHROME))
    assert page.tags.count("form") == page.attributes.count(("value", "token")) == 2


@pytest.mark.parametrize(
    ("state", "button"),
    [
        (State.FAILED, "Replay"),
        (State.RETIRED, "Replay"),
        (State.SUPERSEDED, "Return to this version"),
        (State.TRAINING, "Yes, cancel it"),
        (State.QUEUED, "Yes, cancel it"),
    ],
)
def test_a_tuning_offers_what_can_be_done_about_it(state: State, button: str) -> None:
    page = Page(tuning_page(TuningView(tuning=of(state)), CHROME))
    assert button in page.text
    assert page.tags.count("button") == 2


@pytest.mark.parametrize("state", [State.LIVE, State.REJECTED])
def test_a_tuning_offers_nothing_that_would_be_refused(state: State) -> None:
    assert Page(tuning_page(TuningView(tuning=of(state)), CHROME)).tags.count("button") == 1


def test_hostile_text_stays_text_on_the_board_and_on_the_tuning_s_page() -> None:
    failed = replace(of(State.FAILED), dataset=HOSTILE, version=HOSTILE, job=HOSTILE, endpoint=HOSTILE)
    hostile = replace(failed, reason=Reason(HOSTILE, HOSTILE))
    board = Board(counts=Counter([State.FAILED]), listed=(hostile,), dataset=HOSTILE)
    for content in (board_page(board, CHROME), tuning_page(TuningView(tuning=hostile), CHROME)):
        page = Page(content)
        assert page.tags.count("script") == 1
        assert page.tags.count("img") == 0
        assert "<script>alert" in page.text


def test_visits_follow_each_other_without_a_gap_and_end_now() -> None:
    live = of(State.LIVE)
    found = visits(live, NOW)
    assert [visit.state for visit in found][-1] is State.LIVE
    assert all(before.ended == after.begun for before, after in pairwise(found))
    assert found[-1].ended == NOW
    assert [visit.running for visit in found] == [False] * (len(found) - 1) + [True]


def test_what_ended_is_not_running_and_its_end_is_no_visit() -> None:
    found = visits(of(State.RETIRED), NOW)
    assert not any(visit.running for visit in found)
    assert found[-1].state is State.CLEANING_UP


def test_a_model_that_is_live_for_weeks_leaves_room_for_how_it_got_there() -> None:
    live = of(State.LIVE)
    picture = Page(str(timeline(live, NOW + timedelta(days=60))).encode())
    widths = [float(value or 0) for key, value in picture.attributes if key == "width"]
    assert widths[-1] == pytest.approx(250, abs=1)
    assert max(widths[:-1]) > 500


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(-5, "0 s"), (0.6, "1 s"), (59.6, "1 min"), (3599, "59 min"), (3660, "1 h 01 min"), (90000, "1 d 1 h")],
)
def test_spans_have_two_units_at_most(seconds: float, expected: str) -> None:
    assert span(timedelta(seconds=seconds)) == expected


def test_addresses_are_quoted() -> None:
    assert address("/tunings/a b", dataset="a&b", state="") == "/api/dashboard/tunings/a%20b?dataset=a%26b"


def test_a_curve_is_drawn_of_few_points_and_of_numbers_only() -> None:
    points = tuple(MetricPoint(step, 1 / (step + 1), NOW) for step in range(5000))
    assert len(thinned(points)) == 400
    assert (thinned(points)[0], thinned(points)[-1]) == (points[0], points[-1])
    assert thinned((MetricPoint(0, float("nan"), NOW), MetricPoint(1, float("inf"), NOW))) == []
    assert curve({"loss": ()}) is None
    assert "training loss 1 →" in Page(str(curve({"loss": points})).encode()).text


@pytest.mark.parametrize("document", [None, b"", b"[]", b'{"at": 3}', b'{"splits": []}', b"\xff"])
def test_a_document_that_can_not_be_read_is_none(document: bytes | None) -> None:
    assert smoke_test(document) is None
    assert validation(document) is None


def test_an_endpoint_that_is_kept_can_be_let_go_and_one_that_sleeps_be_woken() -> None:
    kept = EndpointView(name="e", dataset="d", live="d-1", keep="2026-12-24")
    both = (kept, replace(kept, keep="false"))
    view = Endpoints(endpoints=both, in_all=2, asleep=(Asleep("s", "s-1"),), asleep_in_all=9)
    page = Page(endpoints_page(view, CHROME))
    assert [word in page.text for word in ("Keep no longer", "Keep\n", "Wake", "and 8 more")] == [True] * 4
    assert page.attributes.count(("value", "token")) == page.tags.count("form") == 6


def test_requests_of_every_minute_are_a_bar_and_their_figures_stand_beside() -> None:
    start = NOW - timedelta(minutes=4)
    series = Series(start, NOW, {start + timedelta(minutes=1): 2.0, start + timedelta(minutes=3): 6.0})
    assert list(per_minute(series)) == [0.0, 2.0, 0.0, 6.0]
    assert "8 requests in 4 min, at most 6 in one" in Page(str(sparkline(series, "")).encode()).text
    assert "throttled" in sparkline(None, "throttled")
