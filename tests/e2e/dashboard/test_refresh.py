"""The page refreshes itself: only what differs is touched, and whoever looks at it is not disturbed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from demo import specimens
from shared.lifecycle.tuning import State, Tuning
from tests.e2e.dashboard.site import Site
from tests.e2e.playground import wait_for

pytestmark = [pytest.mark.localcloud, pytest.mark.xdist_group("dashboard")]

PERIOD = 10_000
"""Milliseconds between two refreshes, as the page has it."""


@pytest.fixture
def tunings(site: Site) -> list[Tuning]:
    site.clear()
    found = specimens.tunings(datetime.now(UTC))
    site.put(found)
    return found


def of(tunings: list[Tuning], state: State) -> Tuning:
    return next(tuning for tuning in tunings if tuning.state is state)


def pass_time(page: Page, milliseconds: int = PERIOD + 100) -> None:
    """The page's own clock, driven; then until the answer to what it asked is in the page."""
    page.clock.fast_forward(milliseconds)
    settled = "document.body.hasAttribute('data-asking') ? null : true"
    wait_for(lambda: page.evaluate(settled), 15, page.content)


def driven(page: Page, site: Site, path: str = "") -> None:
    page.clock.install()
    page.goto(site.address(path))


def test_what_changed_is_changed_and_all_else_stays_the_same_node(site: Site, tunings: list[Tuning]) -> None:
    training, live = of(tunings, State.TRAINING), of(tunings, State.LIVE)
    with site.visit() as page:
        driven(page, site)
        page.evaluate(
            "(id) => { window.kept = document.getElementById(id); window.removed = 0;"
            "new MutationObserver(records => records.forEach(record => window.removed += record.removedNodes.length))"
            ".observe(document.getElementById('live'), {childList: true, subtree: true}) }",
            f"tuning-{live.id}",
        )
        site.put([training.moved(State.REGISTERED, datetime.now(UTC), "model registered")])
        pass_time(page)
        row = page.locator(f"[id='tuning-{training.id}']")
        expect(row.locator(".badge")).to_have_text("registered")
        assert page.evaluate(f"window.kept === document.getElementById('tuning-{live.id}')")
        assert page.evaluate("window.removed") == 0


def test_focus_text_open_details_and_scrolling_stay(site: Site, tunings: list[Tuning]) -> None:
    training = of(tunings, State.TRAINING)
    with site.visit() as page:
        driven(page, site)
        page.get_by_label("Dataset").fill("booking")
        page.evaluate("scrollTo(0, 300)")
        site.put([training.moved(State.REGISTERED, datetime.now(UTC), "model registered")])
        pass_time(page)
        expect(page.locator(f"[id='tuning-{training.id}'] .badge")).to_have_text("registered")
        assert page.evaluate("document.activeElement.name") == "dataset"
        assert page.get_by_label("Dataset").input_value() == "booking"
        assert page.evaluate("scrollY") == 300
        driven(page, site, f"tunings/{training.id}")
        page.get_by_text("Parameters (").click()
        site.put([training.moved(State.DEPLOYING, datetime.now(UTC), "creating deployment")])
        pass_time(page)
        expect(page.locator("#now .badge")).to_have_text("deploying")
        assert page.locator("details[open]").count() == 1


def test_the_row_that_has_the_focus_keeps_it_when_newer_ones_come_and_others_go(
    site: Site, tunings: list[Tuning]
) -> None:
    ended = [tuning for tuning in tunings if tuning.ended]
    kept, newer = ended[-1], specimens.tunings(datetime.now(UTC) + timedelta(days=9))
    with site.visit() as page:
        driven(page, site)
        page.locator(f"[id='tuning-{kept.id}'] a").focus()
        site.clear()
        renamed = [tuning for tuning in newer if tuning.ended and tuning.dataset == "faq-german"]
        site.put([kept, *renamed])
        pass_time(page)
        expect(page.locator("#listed li")).to_have_count(2)
        focused = page.evaluate("document.activeElement.closest('li')?.id")
        assert focused == f"tuning-{kept.id}"


def test_a_page_that_can_not_be_refreshed_says_so_asks_less_often_and_recovers(site: Site) -> None:
    asked: list[str] = []
    with site.visit() as page:
        driven(page, site)
        page.on("request", lambda request: asked.append(request.url))
        page.route(site.root, lambda route: route.abort())
        pass_time(page)
        expect(page.get_by_role("status").first).to_contain_text("Not refreshed since")
        assert len(asked) == 1
        pass_time(page)  # twice the time must pass now
        assert len(asked) == 1
        pass_time(page)
        assert len(asked) == 2
        page.unroute(site.root)
        pass_time(page, 4 * PERIOD + 100)
        expect(page.locator("#stale")).to_be_empty()


def test_a_page_that_nobody_sees_is_not_refreshed_until_it_is_seen(site: Site) -> None:
    asked: list[str] = []
    with site.visit() as page:
        driven(page, site)
        page.on("request", lambda request: asked.append(request.url))
        _see(page, hidden=True)
        pass_time(page, 10 * PERIOD)
        assert asked == []
        with page.expect_response(site.root):
            _see(page, hidden=False)
        assert len(asked) == 1


def test_a_session_that_ended_is_said_and_not_asked_for_again(site: Site) -> None:
    asked: list[str] = []
    with site.visit() as page:
        driven(page, site)
        page.context.clear_cookies()
        page.on("request", lambda request: asked.append(request.url))
        pass_time(page)
        expect(page.locator("#stale")).to_contain_text("The session has ended")
        pass_time(page, 20 * PERIOD)
        assert len(asked) == 1


def test_refresh_can_be_asked_for_and_works_without_script(site: Site, tunings: list[Tuning]) -> None:
    training = of(tunings, State.TRAINING)
    for script in (True, False):
        with site.visit(java_script_enabled=script) as page:
            moved = training.moved(State.REGISTERED if script else State.DEPLOYING, datetime.now(UTC), "on")
            site.put([moved])
            page.get_by_role("link", name="Refresh").click()
            expect(page.locator(f"[id='tuning-{training.id}'] .badge")).to_have_text(str(moved.state))


def _see(page: Page, *, hidden: bool) -> None:
    page.evaluate(
        "(hidden) => { Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});"
        "document.dispatchEvent(new Event('visibilitychange')) }",
        hidden,
    )
