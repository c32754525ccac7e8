"""Everything that was accepted and everything that is still owed, in SQLite."""

from __future__ import annotations

import json
import sqlite3
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from localcloud.eventgrid.events import Event

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

State = Literal["pending", "delivered", "undeliverable", "dead-lettered", "dropped"]
"""An undeliverable event waits to become a dead letter."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    accepted REAL NOT NULL, lost INTEGER NOT NULL,
    id TEXT NOT NULL, topic TEXT NOT NULL, source TEXT NOT NULL, type TEXT NOT NULL, subject TEXT NOT NULL,
    time TEXT NOT NULL, data TEXT NOT NULL, data_version TEXT NOT NULL, attributes TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    event INTEGER NOT NULL REFERENCES events (sequence), subscription TEXT NOT NULL,
    state TEXT NOT NULL, due REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    outcome TEXT, status INTEGER, last_attempt REAL, reason TEXT
);
CREATE INDEX IF NOT EXISTS deliveries_owed ON deliveries (subscription, state, due)
    WHERE state IN ('pending', 'undeliverable');
CREATE INDEX IF NOT EXISTS deliveries_event ON deliveries (event);
CREATE INDEX IF NOT EXISTS events_subject ON events (subject, sequence);
CREATE TABLE IF NOT EXISTS positions (
    file TEXT PRIMARY KEY, inode INTEGER NOT NULL, offset INTEGER NOT NULL
);
"""
_EVENT_COLUMNS = "id, topic, source, type, subject, time, data, data_version, attributes"


@dataclass(frozen=True)
class LogPosition:
    """How far a journal was read: up to `offset` of the file with number `inode`."""

    inode: int
    offset: int


@dataclass(frozen=True)
class Accepted:
    """An event with what it causes. `recipients` may name a subscription twice: it is delivered twice.

    Each delivery is made once per entry of `delays`, that many seconds after `due`.
    """

    event: Event
    recipients: tuple[str, ...]
    due: float
    lost: bool = False
    delays: tuple[float, ...] = (0.0,)


@dataclass(frozen=True)
class Delivery:
    """`attempts` were made so far, without success. Times are in seconds since the epoch.

    `outcome`, `status` and `last_attempt` are those of the last attempt, `reason` says why there is no other.
    """

    id: int
    event: Event
    accepted: float
    attempts: int
    outcome: str | None = None
    status: int | None = None
    last_attempt: float | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Result:
    """What becomes of a delivery; `due` is when something is to be done about it again."""

    id: int
    state: State
    attempts: int
    outcome: str | None
    status: int | None
    last_attempt: float | None
    reason: str | None = None
    due: float = 0.0


@dataclass(frozen=True)
class DeliveryRecord:
    subscription: str
    state: str
    attempts: int
    outcome: str | None
    status: int | None
    last_attempt: float | None
    reason: str | None


@dataclass(frozen=True)
class EventRecord:
    sequence: int
    event: Event
    accepted: float
    lost: bool
    deliveries: tuple[DeliveryRecord, ...]


class Store:
    """Thread-safe. What a method wrote outlives the process; a power cut may take the last moment."""

    def __init__(self, database: Path) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(database, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)
        if "reason" not in {row[1] for row in self._db.execute("PRAGMA table_info(deliveries)")}:
            self._db.execute("ALTER TABLE deliveries ADD COLUMN reason TEXT")  # of an earlier version

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def accept(self, accepted: Sequence[Accepted], now: float, *, read: tuple[str, LogPosition] | None = None) -> None:
        """Write the events, what is owed to whom, and how far their source was `read`: all or nothing."""
        with self._lock, self._db:
            for item in accepted:
                event = item.event
                sequence = self._db.execute(
                    f"INSERT INTO events (accepted, lost, {_EVENT_COLUMNS})"  # noqa: S608 - a constant
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        *(now, item.lost, event.id, event.topic, event.source, event.type, event.subject),
                        *(event.time, json.dumps(event.data), event.data_version),
                        json.dumps(dict(event.attributes)),
                    ),
                ).lastrowid
                self._db.executemany(
                    "INSERT INTO deliveries (event, subscription, state, due) VALUES (?, ?, 'pending', ?)",
                    [(sequence, name, item.due + delay) for name in item.recipients for delay in item.delays],
                )
            if read:
                file, position = read
                self._db.execute(
                    "INSERT OR REPLACE INTO positions VALUES (?, ?, ?)",
                    (file, position.inode, position.offset),
                )

    def position(self, file: str) -> LogPosition | None:
        with self._lock:
            row = self._db.execute("SELECT inode, offset FROM positions WHERE file = ?", (file,)).fetchone()
        return LogPosition(*row) if row else None

    def last_data(self, topic: str, subject: str) -> dict[str, object] | None:
        """Data of the last event of a topic about a subject, if it is an object."""
        with self._lock:
            row = self._db.execute(
                "SELECT data FROM events WHERE subject = ? AND topic = ? ORDER BY sequence DESC LIMIT 1",
                (subject, topic),
            ).fetchone()
        data = json.loads(row[0]) if row else None
        return data if isinstance(data, dict) else None

    def schedule(self, subscription: str, limit: int, state: State = "pending") -> list[tuple[int, float]]:
        """Delivery ids and when they are due, the most urgent first."""
        with self._lock:
            return self._db.execute(
                "SELECT id, due FROM deliveries WHERE state = ? AND subscription = ? ORDER BY due, id LIMIT ?",
                (state, subscription, limit),
            ).fetchall()

    def deliveries(self, ids: Sequence[int]) -> list[Delivery]:
        """In the order of `ids`."""
        with self._lock:
            rows = self._db.execute(
                "SELECT deliveries.id, accepted, attempts, outcome, status, last_attempt, reason,"  # noqa: S608 - constants
                f" {_columns_of_event()} FROM deliveries JOIN events ON events.sequence = deliveries.event"
                " WHERE deliveries.id IN (SELECT value FROM json_each(?))",
                (json.dumps(list(ids)),),
            ).fetchall()
        found = {
            number: Delivery(number, _event(event), accepted, *fate)
            for number, accepted, *fate, event in ((*row[:7], row[7:]) for row in rows)
        }
        return [found[number] for number in ids]

    def record(self, results: Iterable[Result]) -> None:
        """All of them or none. What was delivered meanwhile stays so."""
        with self._lock, self._db:
            self._db.executemany(
                "UPDATE deliveries SET state = ?, attempts = ?, outcome = ?, status = ?, last_attempt = ?,"
                " reason = ?, due = ? WHERE id = ? AND state IN ('pending', 'undeliverable')",
                [(r.state, r.attempts, r.outcome, r.status, r.last_attempt, r.reason, r.due, r.id) for r in results],
            )

    def drop_all_except(self, subscriptions: Iterable[str]) -> int:
        """Owe nothing more to subscriptions that were deleted. Returns how many deliveries ended so."""
        known = json.dumps(list(subscriptions))
        with self._lock, self._db:
            return self._db.execute(
                "UPDATE deliveries SET state = 'dropped', outcome = 'SubscriptionDeleted'"
                " WHERE state IN ('pending', 'undeliverable') AND subscription NOT IN (SELECT value FROM json_each(?))",
                (known,),
            ).rowcount

    def since(self, sequence: int, limit: int) -> list[EventRecord]:
        """Events accepted after the one with this sequence number, oldest first."""
        with self._lock:
            events = self._db.execute(
                f"SELECT sequence, accepted, lost, {_columns_of_event()} FROM events"  # noqa: S608 - a constant
                " WHERE sequence > ? ORDER BY sequence LIMIT ?",
                (sequence, limit),
            ).fetchall()
            deliveries: dict[int, list[DeliveryRecord]] = {}
            for event, *rest in self._db.execute(
                "SELECT event, subscription, state, attempts, outcome, status, last_attempt, reason FROM deliveries"
                " WHERE event > ? AND event <= ? ORDER BY id",
                (sequence, events[-1][0] if events else sequence),
            ):
                deliveries.setdefault(event, []).append(DeliveryRecord(*rest))
        return [
            EventRecord(number, _event(event), accepted, bool(lost), tuple(deliveries.get(number, ())))
            for number, accepted, lost, *event in events
        ]


def _columns_of_event() -> str:
    return ", ".join(f"events.{column}" for column in _EVENT_COLUMNS.split(", "))


def _event(row: Sequence[str]) -> Event:
    identifier, topic, source, event_type, subject, time, data, data_version, attributes = row
    return Event(
        identifier,
        topic,
        source,
        event_type,
        subject,
        time,
        json.loads(data),
        data_version,
        json.loads(attributes),
    )
