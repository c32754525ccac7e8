"""When a version that is being uploaded is looked at in earnest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from shared.lifecycle.intake import due
from shared.lifecycle.records import DatasetVersion, VersionState
from tests.simulation.test_calm_day import SETTINGS

NOW = datetime(2026, 11, 28, tzinfo=UTC)


def version(*files: str) -> DatasetVersion:
    return DatasetVersion(
        dataset="chats",
        version="v1",
        state=VersionState.COLLECTING,
        files=dict.fromkeys(files, "etag"),
        first_seen=NOW,
        changed_at=NOW,
        wake_at=NOW,
    )


def test_one_that_has_its_splits_is_taken_after_the_settle_time() -> None:
    whole = version("train_sft.jsonl", "test_sft.jsonl")
    assert due(whole, SETTINGS) == NOW + timedelta(seconds=SETTINGS.settle_seconds)


def test_one_that_lacks_a_split_has_much_longer() -> None:
    assert SETTINGS.missing_split_minutes * 60 > SETTINGS.settle_seconds
    for part in (version("train_sft.jsonl"), version("tuning.json"), version()):
        assert due(part, SETTINGS) == NOW + timedelta(minutes=SETTINGS.missing_split_minutes)
