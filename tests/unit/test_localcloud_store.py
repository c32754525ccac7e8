"""The document store of the local cloud keeps what was written, in key order, all or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from localcloud.store import Collection, Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Thing:
    name: str
    tags: dict[str, str]
    size: float | None = None


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "new folder" / "cloud.db")
    yield store
    store.close()


def test_what_was_put_last_is_what_is_got(store: Store) -> None:
    store.put("a", "key", {"value": 1})
    store.put("a", "key", {"value": [2, None, "ü"]})

    assert store.get("a", "key") == {"value": [2, None, "ü"]}
    assert store.get("b", "key") is None


def test_a_scan_gives_the_keys_of_its_collection_in_order(store: Store) -> None:
    for key in ("b/2", "b/10", "a", "b/1", "c"):
        store.put("x", key, {})
    store.put("y", "b/5", {})

    assert [key for key, _ in store.scan("x")] == ["a", "b/1", "b/10", "b/2", "c"]
    assert [key for key, _ in store.scan("x", "b/")] == ["b/1", "b/10", "b/2"]
    assert [key for key, _ in store.scan("x", "b/10", "c")] == ["b/10", "b/2"]


def test_deleting_by_prefix_leaves_the_neighbours(store: Store) -> None:
    for key in ("job", "job-1/0", "job-1/1", "job-10/0"):
        store.put("steps", key, {})

    store.delete_prefix("steps", "job-1/")

    assert [key for key, _ in store.scan("steps")] == ["job", "job-10/0"]


def test_a_transaction_that_fails_has_written_nothing(store: Store) -> None:
    store.put("x", "a", {"value": 1})

    def fail() -> None:
        with store.transaction():
            store.put("x", "a", {"value": 2})
            with store.transaction():
                store.put("x", "b", {})
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()

    assert store.scan("x") == [("a", {"value": 1})]


def test_what_a_process_wrote_before_it_was_killed_is_there_for_the_next_one(tmp_path: Path) -> None:
    killed = Store(tmp_path / "cloud.db")
    with killed.transaction():
        killed.put("x", "a", {"value": 1})

    # Not closed: nothing of what a tidy end would do has happened.
    survivor = Store(tmp_path / "cloud.db")

    assert survivor.get("x", "a") == {"value": 1}
    survivor.close()
    killed.close()


def test_a_collection_keeps_dataclasses(store: Store) -> None:
    things = Collection(store, "things", Thing)
    things.put("one", Thing("one", {"a": "b"}))
    things.put("two", Thing("two", {}, 2.5))

    assert things.get("one") == Thing("one", {"a": "b"})
    assert things.get("three") is None
    assert things.all("t") == [Thing("two", {}, 2.5)]
    things.delete("one")
    assert things.all() == [Thing("two", {}, 2.5)]


def test_what_is_recalled_is_what_is_there_now(store: Store) -> None:
    things = Collection(store, "things", Thing)
    things.put("a", Thing("a", {"size": "1"}))
    assert things.get("a") is things.get("a")
    things.put("a", Thing("a", {"size": "2"}))
    assert things.get("a") == Thing("a", {"size": "2"})

    def fails() -> None:
        with store.transaction():
            things.put("a", Thing("a", {"size": "3"}))
            assert things.get("a") == Thing("a", {"size": "3"})
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - its own
        fails()
    assert things.get("a") == Thing("a", {"size": "2"})
    things.delete("a")
    assert things.get("a") is None
    things.put("b/1", Thing("b", {}))
    assert things.get("b/1") is not None
    things.delete_prefix("b/")
    assert things.get("b/1") is None


def test_no_more_is_kept_in_memory_than_a_few_thousand(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("localcloud.store._MOST_RECALLED", 3)
    things = Collection(store, "things", Thing)
    for number in range(9):
        things.put(str(number), Thing(str(number), {}))
        assert things.get(str(number)) == Thing(str(number), {})
    assert len(store._recalled) <= 3
