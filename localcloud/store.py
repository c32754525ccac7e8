"""One SQLite file of JSON documents: what the emulated cloud knows survives kill -9 and a restart."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from _typeshed import DataclassInstance

    Record = TypeVar("Record", bound=DataclassInstance)
else:
    Record = TypeVar("Record")

Document = dict[str, Any]
Made = TypeVar("Made")

_MOST_RECALLED = 4096
"""What was made of documents is kept for so many: a thousand endpoints with two deployments each, about."""
_BEYOND = "\U0010ffff"
"""Sorts after every key that the local cloud makes."""


class Store:
    """Documents by collection and key, in key order. Thread-safe; what was written is there after a crash.

    In an event loop, what one step (between two awaits) writes is one commit, all of it or nothing: code
    that changes several documents without awaiting leaves no half of its change behind when it is killed. It
    is committed when the loop goes on, or by `commit`. Without a loop, each write is a commit.
    """

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._depth = 0
        self._closed = False
        self._listeners: list[Callable[[], None]] = []
        self._changes: Counter[str] = Counter()
        self._rollbacks = 0
        self._recalled: dict[tuple[str, str], object] = {}
        self._db = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        # WAL with synchronous=NORMAL can lose the last writes to a power cut, not to the death of a process.
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute("PRAGMA busy_timeout=5000")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS documents (collection TEXT, key TEXT, body TEXT NOT NULL,"
            " PRIMARY KEY (collection, key)) WITHOUT ROWID"
        )

    def after_commit(self, listener: Callable[[], None]) -> None:
        """Call it after every commit from now on. What it writes belongs to the next one."""
        self._listeners.append(listener)

    def index(self, collection: str, field: str) -> None:
        """Make `where` fast for this field of the documents of a collection."""
        name, found = f"{collection}_{field}", _field(field)
        if not name.isidentifier():
            raise ValueError(f"no index can be named {name}")
        self._db.execute(f"CREATE INDEX IF NOT EXISTS {name} ON documents ({found}) WHERE collection = '{collection}'")

    def version(self, collection: str) -> tuple[int, int]:
        """Another one whenever something in the collection may have changed."""
        return self._changes[collection], self._rollbacks

    def get(self, collection: str, key: str) -> Document | None:
        with self._lock:
            row = self._db.execute(
                "SELECT body FROM documents WHERE collection = ? AND key = ?", (collection, key)
            ).fetchone()
        return None if row is None else _parsed(row[0])

    def recall(self, collection: str, key: str, make: Callable[[Document], Made]) -> Made | None:
        """What `make` made of a document, until the document changes. A collection has one `make`, whose results are
        never changed: most documents are looked at much more often than they are written.
        """
        with self._lock:
            found = cast("Made | None", self._recalled.get((collection, key)))
            if found is None:
                document = self.get(collection, key)
                if document is None:
                    return None
                if len(self._recalled) >= _MOST_RECALLED:
                    self._recalled.clear()
                found = make(document)
                self._recalled[collection, key] = found
        return found

    def where(self, collection: str, field: str, value: str) -> list[Document]:
        """Those whose field has this value, in key order; fast after `index`. Both names are identifiers."""
        # Both names come from code, not from a client, and only as literals do they match the index.
        condition = f"collection = '{collection}' AND {_field(field)} = ?"
        query = f"SELECT body FROM documents WHERE {condition} ORDER BY key"  # noqa: S608 - see above
        with self._lock:
            rows = self._db.execute(query, (value,)).fetchall()
        return [_parsed(body) for (body,) in rows]

    def put(self, collection: str, key: str, document: Document) -> None:
        with self._lock:
            self._recalled.pop((collection, key), None)
            self._write(
                "INSERT INTO documents VALUES (?, ?, ?)"
                " ON CONFLICT (collection, key) DO UPDATE SET body = excluded.body",
                (collection, key, msgspec.json.encode(document).decode()),
            )

    def delete(self, collection: str, key: str) -> None:
        with self._lock:
            self._recalled.pop((collection, key), None)
            self._write("DELETE FROM documents WHERE collection = ? AND key = ?", (collection, key))

    def delete_prefix(self, collection: str, prefix: str) -> None:
        with self._lock:
            self._recalled.clear()
            self._write(
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

    def count(self, collection: str) -> int:
        with self._lock:
            row = self._db.execute("SELECT COUNT(*) FROM documents WHERE collection = ?", (collection,)).fetchone()
        return int(row[0])

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes inside or none, also when it ends with an exception. May be nested."""
        with self._lock:
            if self._depth == 0:
                self._begin_step()
                self._db.execute("SAVEPOINT explicit")
            self._depth += 1
            try:
                yield
            except BaseException:
                self._depth -= 1
                if self._depth == 0:
                    self._rollbacks += 1
                    self._recalled.clear()
                    self._db.execute("ROLLBACK TO explicit")
                    self._db.execute("RELEASE explicit")
                raise
            self._depth -= 1
            if self._depth > 0:
                return
            self._db.execute("RELEASE explicit")
        self._notify_if_committed()

    def commit(self) -> None:
        """Make durable what this step of the event loop has written so far. Not inside a transaction."""
        with self._lock:
            if self._closed or not self._db.in_transaction:
                return
            self._db.execute("COMMIT")
        self._notify_if_committed()

    def close(self) -> None:
        with self._lock:
            self.commit()
            self._closed = True
            self._db.close()

    def _write(self, statement: str, values: tuple[str, ...]) -> None:
        """The first value is the collection."""
        with self._lock:
            self._begin_step()
            self._changes[values[0]] += 1
            self._db.execute(statement, values)
        self._notify_if_committed()

    def _begin_step(self) -> None:
        if self._db.in_transaction:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # no loop, no steps
        self._db.execute("BEGIN IMMEDIATE")
        loop.call_soon(self.commit)

    def _notify_if_committed(self) -> None:
        if not self._db.in_transaction:
            for listener in self._listeners:
                listener()


class Collection(Generic[Record]):
    """A collection whose documents are one flat dataclass with JSON-able fields, none of which is ever changed."""

    def __init__(self, store: Store, name: str, record: type[Record], *, index: Sequence[str] = ()) -> None:
        """`index`: the fields that `where` is asked for."""
        self._store = store
        self._name = name
        self._record = record
        self._found: dict[tuple[str, str], tuple[tuple[int, int], list[Record]]] = {}
        for field in index:
            store.index(name, field)

    def get(self, key: str) -> Record | None:
        return self._store.recall(self._name, key, self._made)

    def put(self, key: str, record: Record) -> None:
        self._store.put(self._name, key, vars(record))

    def delete(self, key: str) -> None:
        self._store.delete(self._name, key)

    def delete_prefix(self, prefix: str) -> None:
        self._store.delete_prefix(self._name, prefix)

    def where(self, field: str, value: str) -> list[Record]:
        """Remembered until the collection changes: the answer is often asked for, and often empty."""
        version = self._store.version(self._name)
        known, found = self._found.get((field, value), (None, []))
        if known != version:
            found = [self._record(**document) for document in self._store.where(self._name, field, value)]
            self._found = {(field, value): (version, found)}
        return list(found)

    def __len__(self) -> int:
        return self._store.count(self._name)

    def _made(self, document: Document) -> Record:
        return self._record(**document)

    def all(self, prefix: str = "") -> list[Record]:
        return [self._record(**document) for _, document in self._store.scan(self._name, prefix)]


def _field(name: str) -> str:
    """Raises ValueError for what is no name: it becomes part of a statement."""
    if not name.isidentifier():
        raise ValueError(f"{name} is no field")
    return f"json_extract(body, '$.{name}')"


def _parsed(body: str) -> Document:
    document: Document = msgspec.json.decode(body)
    return document
