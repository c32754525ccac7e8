"""The buttons do what they say, to a tuning that really runs on the local cloud."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import expect

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
