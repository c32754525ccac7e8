"""What one step of the event loop writes is one commit."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import pytest

from localcloud.store import Collection, Store


@dataclass(frozen=True)
class Thing:
    name: str
    state: str


def durable(file: Path) -> list[str]:
    """The keys that another process would find."""
    with sqlite3.connect(file) as reader:
        keys = [key for (key,) in reader.execute("SELECT key FROM documents ORDER BY key")]
    reader.close()
    return keys


def test_a_step_is_durable_when_the_loop_goes_on_and_not_in_part_before(tmp_path: Path) -> None:
    file = tmp_path / "cloud.db"
    store = Store(file)
    seen: list[list[str]] = []

    async def steps() -> None:
        for key in ("a", "b"):
            store.put("x", key, {})
            seen.append(durable(file))
        await asyncio.sleep(0)
        seen.append(durable(file))
        store.put("x", "c", {})
        store.commit()
        seen.append(durable(file))

    asyncio.run(steps())

    assert seen == [[], [], ["a", "b"], ["a", "b", "c"]]
    store.close()


def test_a_failed_transaction_takes_back_its_own_writes_only(tmp_path: Path) -> None:
    store = Store(tmp_path / "cloud.db")

    async def step() -> None:
        store.put("x", "before", {})
        try:
            with store.transaction():
                store.put("x", "inside", {})
                raise RuntimeError("stop")
        except RuntimeError:
            store.put("x", "after", {})

    asyncio.run(step())

    assert durable(tmp_path / "cloud.db") == ["after", "before"]
    store.close()


def test_whoever_listens_hears_of_each_commit_and_not_of_each_write(tmp_path: Path) -> None:
    store = Store(tmp_path / "cloud.db")
    heard: list[int] = []
    store.after_commit(lambda: heard.append(len(durable(tmp_path / "cloud.db"))))

    async def steps() -> None:
        for count in (2, 3):
            for number in range(count):
                store.put("x", f"{count}/{number}", {})
            await asyncio.sleep(0)

    asyncio.run(steps())

    assert heard == [2, 5]
    store.close()


def test_a_closed_store_has_kept_the_last_step(tmp_path: Path) -> None:
    store = Store(tmp_path / "cloud.db")

    async def last() -> None:
        store.put("x", "last", {})
        store.close()

    asyncio.run(last())

    assert durable(tmp_path / "cloud.db") == ["last"]


def test_documents_are_found_by_an_indexed_field(tmp_path: Path) -> None:
    store = Store(tmp_path / "cloud.db")
    things = Collection(store, "things", Thing, index=("state",))
    others = Collection(store, "others", Thing)
    for number in range(100):
        things.put(f"{number:03d}", Thing(f"{number:03d}", "old" if number % 50 else "new"))
    others.put("x", Thing("x", "new"))

    assert [thing.name for thing in things.where("state", "new")] == ["000", "050"]
    things.put("000", Thing("000", "old"))
    assert [thing.name for thing in things.where("state", "new")] == ["050"]
    condition = "collection = 'things' AND json_extract(body, '$.state') = 'new'"
    with sqlite3.connect(tmp_path / "cloud.db") as reader:
        assert "things_state" in str(
            reader.execute(f"EXPLAIN QUERY PLAN SELECT body FROM documents WHERE {condition}").fetchall()
        )
    reader.close()
    store.close()


def test_a_field_that_is_no_name_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path / "cloud.db")
    with pytest.raises(ValueError, match="no field"):
        store.where("things", "a') OR 1 --", "x")
    store.close()
