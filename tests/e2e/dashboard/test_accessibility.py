"""Everybody can use the page: axe-core finds nothing, the keyboard reaches everything, it fits a phone."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page

from demo import specimens
from shared.lifecycle.ledger import Versioned
from shared.lifecycle.tuning import State, Tuning
from tests.e2e.dashboard.site import SCHEMES, WIDTHS, Scheme, Site, axe_violations, policy_violations

pytestmark = [pytest.mark.localcloud, pytest.mark.xdist_group("dashboard")]

REPORT = b"""{"valid": true, "problems": [], "splits": {"train_sft": {"rows": 1600, "estimated_tokens": 412338,
"lengths": {"median": 231, "p95": 512, "longest": 911}, "error_counts": {}, "warning_counts": {"long_row": 3}}}}"""


@pytest.fixture(scope="module")
def tunings(site: Site) -> list[Tuning]:
    site.clear()
    now = datetime.now(UTC)
    found = specimens.tunings(now)
    site.put(found)
    ledger = site.services.lifecycle.ledger
    for version in specimens.versions(now):
        ledger.put(Versioned(version, ""))
    slots = ledger.job_slots()
    ledger.put(Versioned(specimens.slots(found), slots.etag))
    blobs = site.services.lifecycle.blobs
    for tuning in found[:1]:
        blobs.write_report(tuning.id, REPORT)
    return found


@pytest.fixture(scope="module")
def paths(tunings: list[Tuning]) -> list[str]:
    failed = next(tuning for tuning in tunings if tuning.state is State.FAILED)
    return ["", "?state=live", f"tunings/{tunings[0].id}", f"tunings/{failed.id}", "endpoints", "money", "tunings/none"]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_axe_finds_nothing_and_no_page_is_wider_than_the_screen(
    site: Site, paths: list[str], width: int, scheme: Scheme
) -> None:
    with site.visit(width=width, scheme=scheme) as page:
        for path in paths:
            page.goto(site.address(path))
            _is_fine(page, width)
            for summary in page.locator("summary").all():
                summary.click()
            _is_fine(page, width)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_who_is_not_signed_in_finds_a_page_as_good(site: Site, scheme: Scheme) -> None:
    with site.context(width=WIDTHS[0], scheme=scheme) as context:
        page = context.new_page()
        page.goto(site.root)
        page.get_by_label("Function key").wait_for()
        _is_fine(page, WIDTHS[0])


def test_axe_would_find_something(site: Site) -> None:
    """The check is alive: an image without a text is one of its simplest rules."""
    with site.visit() as page:
        page.evaluate("document.getElementById('main').append(new Image())")
        assert any(found.startswith("image-alt") for found in axe_violations(page))


def test_the_keyboard_reaches_everything_in_order_and_shows_where_it_is(site: Site, tunings: list[Tuning]) -> None:
    with site.visit(f"tunings/{tunings[0].id}") as page:
        reachable = page.evaluate(
            "[...document.querySelectorAll('a[href],button,input:not([type=hidden]),select,summary,[tabindex=\"0\"]')]"
            ".filter(node => node.checkVisibility()).length"
        )
        seen = []
        for _ in range(reachable):
            page.keyboard.press("Tab")
            seen.append(
                page.evaluate(
                    "() => { const node = document.activeElement, style = getComputedStyle(node);"
                    "const all = [...document.querySelectorAll('*')];"
                    "return [all.indexOf(node), style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2] }"
                )
            )
        assert [place for place, _ in seen] == sorted({place for place, _ in seen}), "not in order, or a trap"
        assert all(visible for _, visible in seen)


def test_the_first_key_leads_to_the_content(site: Site) -> None:
    with site.visit() as page:
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"


@pytest.mark.usefixtures("tunings")
def test_nothing_moves_for_who_does_not_want_it(site: Site, tunings: list[Tuning]) -> None:
    training = next(tuning for tuning in tunings if tuning.state is State.TRAINING)
    moving = "getComputedStyle(document.querySelector('.running .bar')).animationName"
    with site.visit(f"tunings/{training.id}", reduced_motion="reduce") as page:
        assert page.evaluate(moving) == "none"
    with site.visit(f"tunings/{training.id}", reduced_motion="no-preference") as page:
        assert page.evaluate(moving) == "breathe"


def _is_fine(page: Page, width: int) -> None:
    assert axe_violations(page) == []
    assert policy_violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width, page.url
