"""The board is right, and as quick, with no tuning, with one, and with thousands."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from demo import specimens
from shared.lifecycle.tuning import State, Tuning
from tests.e2e.dashboard.site import Site

pytestmark = [pytest.mark.localcloud, pytest.mark.xdist_group("dashboard")]

MANY = 5_000
LONGEST = 8.0
"""Seconds for a page of 5,000 tunings, where Azurite and other tests share two cores; alone it is a fraction."""
LARGEST = 200_000
"""Bytes of a page."""


def test_no_tuning(site: Site) -> None:
    site.clear()
    with site.visit() as page:
        expect(page.get_by_text("Nothing is under way.")).to_be_visible()
        expect(page.get_by_text("Nothing is live.")).to_be_visible()
        assert page.locator("#listed").get_by_role("listitem").count() == 0


def test_one_tuning(site: Site) -> None:
    site.clear()
    (live,) = [item for item in specimens.tunings(datetime.now(UTC)) if item.dataset == "travel-agent"]
    site.put([live])
    with site.visit() as page:
        expect(page.locator("#pipeline .live b")).to_have_text("1")
        page.get_by_role("link", name=live.dataset).click()
        expect(page.get_by_role("heading", name=live.dataset)).to_be_visible()


def test_thousands_are_counted_and_paged_without_a_gap(site: Site) -> None:
    site.clear()
    everyone = crowd(datetime.now(UTC))
    site.put(everyone)
    ended = [tuning.id for tuning in everyone if tuning.ended]
    with site.visit() as page:
        expect(page.locator("#pipeline .failed b")).to_have_text(f"{MANY - 10:,}")
        expect(page.locator("#under-way li")).to_have_count(10)
        found: list[str] = []
        for _ in range(3):
            begun = time.monotonic()
            rows = page.locator("#listed .rows > li")
            found += rows.evaluate_all("nodes => nodes.map(node => node.id.replace('tuning-', ''))")
            page.get_by_role("link", name="Older").click()
            page.wait_for_load_state()
            assert time.monotonic() - begun < LONGEST
            assert len(page.content()) < LARGEST
        assert found == ended[:150]
        page.get_by_role("link", name="Newest").click()
        expect(page.locator("#listed .rows > li").first).to_have_id(f"tuning-{ended[0]}")


def test_a_filter_finds_one_of_thousands(site: Site) -> None:
    with site.visit() as page:
        page.get_by_label("Dataset").fill("crowd-777")
        page.get_by_label("State", exact=True).select_option("failed")
        page.get_by_role("button", name="Show").click()
        expect(page.locator("#listed .rows > li")).to_have_count(1)


def crowd(now: datetime) -> list[Tuning]:
    """The newest first; the ten newest are under way."""
    failed = next(tuning for tuning in specimens.tunings(now) if tuning.state is State.FAILED)
    training = next(tuning for tuning in specimens.tunings(now) if tuning.state is State.TRAINING)
    return [
        replace(
            failed if number >= 10 else training,
            id=f"crowd-{number}-v1-{number:08}",
            dataset=f"crowd-{number}",
            version="v1",
            created_at=now - timedelta(minutes=number),
        )
        for number in range(MANY)
    ]
