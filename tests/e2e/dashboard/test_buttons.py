"""The buttons do what they say, to a tuning that really runs on the local cloud."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import expect

from shared import names
from shared.lifecycle.job_slots import JobSlots
from tests.e2e.dashboard.site import Site
from tests.e2e.playground import with_smoke
from tests.e2e.stub_cloud import small_dataset

pytestmark = [pytest.mark.localcloud, pytest.mark.xdist_group("dashboard")]

IMPOSSIBLE = {"must_contain": ["what the model never says"]}


@pytest.mark.parametrize("script", [True, False])
def test_replay_makes_a_tuning_go_on_where_it_failed(site: Site, tmp_path: Path, script: bool) -> None:
    site.clear()
    dataset = "again" if script else "again-plain"
    folder = with_smoke(small_dataset(tmp_path / "data"), tmp_path / "impossible", IMPOSSIBLE)
    site.playground.upload(folder, dataset)
    before = site.playground.until(dataset, "rolled_back", "live", "failed")
    assert before["state"] == "rolled_back", before["reason"]
    with site.visit(f"tunings/{before['id']}", java_script_enabled=script) as page:
        page.get_by_role("button", name="Replay").click()
        expect(page.locator("#notice")).to_contain_text("It goes on")
        assert page.get_by_role("button", name="Replay").count() == 0
    after = site.playground.until(dataset, "rolled_back", "live", "failed")
    assert "replayed by an operator: new deployment" in [entry["message"] for entry in after["history"]]
    assert after["job"] == before["job"]


@pytest.fixture
def no_slot(site: Site) -> Iterator[None]:
    """All job slots are taken, so that the next tuning waits for one."""
    ledger = site.services.lifecycle.ledger
    ledger.put(replace(ledger.job_slots(), value=JobSlots(holders=("one", "two"))))
    yield
    ledger.put(replace(ledger.job_slots(), value=JobSlots()))


@pytest.mark.usefixtures("no_slot")
def test_cancel_asks_first_and_then_ends_the_tuning(site: Site, tmp_path: Path) -> None:
    site.playground.upload(small_dataset(tmp_path / "data"), "stopped")
    waiting = site.playground.until("stopped", "queued")
    with site.visit(f"tunings/{waiting['id']}") as page:
        button = page.get_by_role("button", name="Yes, cancel it")
        assert not button.is_visible()
        page.get_by_text("Cancel …").click()
        button.click()
        expect(page.locator("#notice")).to_contain_text("It is canceled")
    ended = site.playground.until("stopped", "failed")
    assert ended["reason"]["code"] == "Canceled"
    assert site.playground.of_dataset("jobs", "stopped") == []


def test_an_endpoint_is_kept_let_go_put_to_sleep_and_woken(site: Site, tmp_path: Path) -> None:
    site.playground.upload(small_dataset(tmp_path / "data"), "sleeper")
    tuning = site.playground.until("sleeper", "live", "rolled_back", "failed")
    assert tuning["state"] == "live", tuning["reason"]
    with site.visit("endpoints") as page:
        card = page.locator(f"[id='endpoint-{tuning['endpoint']}']")
        card.get_by_role("button", name="Keep").click()
        expect(page.locator("#notice")).to_contain_text("leaves it alone")
        assert keep_tag(site, tuning["endpoint"]) == "true"
        card.get_by_role("button", name="Keep no longer").click()
        expect(page.locator("#notice")).to_contain_text("looks at it again")
        assert keep_tag(site, tuning["endpoint"]) == "false"
        card.get_by_text("Put to sleep …").click()
        card.get_by_role("button", name="Yes, delete it").click()
        expect(page.locator("#notice")).to_contain_text("It is being deleted")
        site.playground.until("sleeper", "retired")
        page.goto(site.address("endpoints"))
        asleep = page.locator("#asleep-sleeper")
        expect(asleep).to_contain_text(tuning["id"])
        asleep.get_by_role("button", name="Wake").click()
        expect(page.locator("#notice")).to_contain_text("deployed again")
    woken = site.playground.until("sleeper", "live", "rolled_back", "failed")
    assert woken["state"] == "live", woken["reason"]
    assert woken["job"] == tuning["job"]
    assert woken["endpoint"] != tuning["endpoint"]


def keep_tag(site: Site, endpoint: str) -> str | None:
    found = site.playground.arm.get_endpoint(endpoint)
    assert found is not None
    return found.tags.get(names.TAG_KEEP)
