"""One SQLite file of JSON documents: what the emulated cloud knows survives kill -9 and a restart."""

from __future__ import annotations

import json
import sqlite3
import threading
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from _typeshed import DataclassInstance

    Record = TypeVar("Record", bound=DataclassInstance)
else:
    Record = TypeVar("Record")

Document = dict[str, Any]

_BEYOND = "\U0010ffff"
"""Sorts after every key that the local cloud makes."""


class Store:
    """Documents by collection and key, in key order. Thread-safe; what was written is there after a crash."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._depth = 0
        self._db = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        # WAL with synchronous=NORMAL can lose the last writes to a power cut, not to the death of a process.
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute("PRAGMA busy_timeout=5000")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS documents (collection TEXT, key TEXT, body TEXT NOT NULL,"
            " PRIMARY KEY (collection, key)) WITHOUT ROWID"
        )

    def get(self, collection: str, key: str) -> Document | None:
        with self._lock:
            row = self._db.execute(
                "SELECT body FROM documents WHERE collection = ? AND key = ?", (collection, key)
            ).fetchone()
        return None if row is None else _parsed(row[0])

    def put(self, collection: str, key: str, document: Document) -> None:
        with self._lock:
            self._db.execute(
                "INSERT INTO documents VALUES (?, ?, ?)"
                " ON CONFLICT (collection, key) DO UPDATE SET body = excluded.body",
                (collection, key, json.dumps(document, separators=(",", ":"))),
            )

    def delete(self, collection: str, key: str) -> None:
        with self._lock:
            self._db.execute("DELETE FROM documents WHERE collection = ? AND key = ?", (collection, key))

    def delete_prefix(self, collection: str, prefix: str) -> None:
        with self._lock:
            self._db.execute(
                "DELETE FROM documents WHERE collection = ? AND key >= ? AND key < ?",
                (collection, prefix, prefix + _BEYOND),
            )

    def scan(self, collection: str, start: str = "", end: str | None = None) -> list[tuple[str, Document]]:
        """Keys in [start, end), in order; without `end`, all that begin with `start`."""
        with self._lock:
            rows = self._db.execute(
                "SELECT key, body FROM documents WHERE collection = ? AND key >= ? AND key < ? ORDER BY key",
                (collection, start, start + _BEYOND if end is None else end),
            ).fetchall()
        return [(key, _parsed(body)) for key, body in rows]

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes inside or none. May be nested: the outermost one commits."""
        with self._lock:
            if self._depth == 0:
                self._db.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            except BaseException:
                self._depth -= 1
                if self._depth == 0:
                    self._db.execute("ROLLBACK")
                raise
            self._depth -= 1
            if self._depth == 0:
                self._db.execute("COMMIT")

    def close(self) -> None:
        with self._lock:
            self._db.close()


class Collection(Generic[Record]):
    """A collection whose documents are one flat dataclass with JSON-able fields."""

    def __init__(self, store: Store, name: str, record: type[Record]) -> None:
        self._store = store
        self._name = name
        self._record = record

    def get(self, key: str) -> Record | None:
        document = self._store.get(self._name, key)
        return None if document is None else self._record(**document)

    def put(self, key: str, record: Record) -> None:
        self._store.put(self._name, key, asdict(record))

    def delete(self, key: str) -> None:
        self._store.delete(self._name, key)

    def delete_prefix(self, prefix: str) -> None:
        self._store.delete_prefix(self._name, prefix)

    def all(self, prefix: str = "") -> list[Record]:
        return [self._record(**document) for _, document in self._store.scan(self._name, prefix)]


def _parsed(body: str) -> Document:
    document: Document = json.loads(body)
    return document
