"""The side effects of the app's process: its write requests, named so that two runs can be compared."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

WRITES = frozenset({"PUT", "POST", "PATCH", "MERGE", "DELETE"})
ACCOUNT = "devstoreaccount1"
HOST_QUEUE = re.compile(r"^azure-webjobs-blobtrigger-")

_READS = re.compile(r"/(listKeys|rundata|getLogs|metrics:getBatch|versions/latest)$|/oauth2/|/msi/")
"""Writes by their method only: they change nothing."""
_OF_THE_HOST = re.compile(r"^azure-webjobs-(hosts|secrets)$")
"""Locks and status of the host's timers: they belong to no main job."""
_FINGERPRINT = re.compile(r"(?<![0-9a-f])[0-9a-f]{8}(?![0-9a-f])")
_LONG = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{16,64}")
_DOINGS = frozenset({"creating endpoint", "creating deployment", "giving traffic"})
"""History entries that tell apart the looks in one state."""
_MODEL_VERSION = re.compile(r"/versions/[^/?]+")


@dataclass(frozen=True)
class WriteRequest:
    """`port` tells which service was asked; `body` is its beginning, as it was sent."""

    method: str
    port: int
    target: str
    headers: frozenset[str] = frozenset()
    """Names, lower case."""
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class Services:
    """Which port is which service, as the local cloud has them."""

    blob: int
    queue: int
    table: int


@dataclass(frozen=True)
class Effect:
    """`name` is the same in every run of a main job. `state`: what the ledger says of the tuning from then on."""

    name: str
    state: str = ""


def effect_of(request: WriteRequest, services: Services, datasets: re.Pattern[str]) -> Effect | None:
    """None for what has no effect, or none that belongs to a main job."""
    url = urlsplit(request.target)
    path = unquote(url.path)
    if request.method not in WRITES or _READS.search(path):
        return None
    query = parse_qs(url.query)
    match request.port:
        case services.blob:
            return _blob(request, path, query, datasets)
        case services.queue:
            return _queue(request, path)
        case services.table:
            return _table(request, path)
        case _:
            return _azure(request, path, datasets)


def _blob(request: WriteRequest, path: str, query: dict[str, list[str]], datasets: re.Pattern[str]) -> Effect | None:
    container, _, blob = path.removeprefix(f"/{ACCOUNT}/").partition("/")
    if _OF_THE_HOST.match(container):
        return None
    how = "copy to" if "x-ms-copy-source" in request.headers else request.method
    part = f" {query['comp'][0]}" if "comp" in query else ""
    return Effect(f"blob: {how} {container}/{_plain(blob, datasets)}{part}")


def _queue(request: WriteRequest, path: str) -> Effect | None:
    queue, _, rest = path.removeprefix(f"/{ACCOUNT}/").partition("/")
    queue = "blob trigger" if HOST_QUEUE.match(queue) else queue
    if not rest:
        return Effect(f"queue: create {queue}")
    if request.method == "PUT":
        return None  # a lease that is renewed after some time, or a message that is put back
    return Effect(f"queue: {'send to' if request.method == 'POST' else 'delete from'} {queue}")


def _table(request: WriteRequest, path: str) -> Effect | None:
    table = re.split(r"[(/]", path.removeprefix(f"/{ACCOUNT}/"))[0]
    entity = _json(request.body)
    state = str(entity.get("state") or "")
    verb = "insert into" if request.method == "POST" else "replace in"
    if table == "prices" or (table, verb, state) == ("costs", "replace in", "running"):
        return None  # passes of reconcile write them, and no main job has them for certain
    row = _json(str(entity.get("body0") or "").encode())
    detail = f" {state}" if state else ""
    if table == "tunings" and row.get("history"):
        newest = row["history"][-1]
        what = " ".join(str(newest["message"]).split()[:2]) if newest["state"] == state else ""
        detail += f" ({what})" if what in _DOINGS else ""
        detail += ", published" if row.get("published") == newest["seq"] else ""
    return Effect(f"table: {verb} {table}{detail}", state if table == "tunings" else "")


def _azure(request: WriteRequest, path: str, datasets: re.Pattern[str]) -> Effect:
    if "/eventgrid/" in path:
        return Effect("event grid: publish " + ", ".join(_event_types(request.body)))
    if path.endswith("/score"):
        return Effect("scoring: ask the new deployment")
    short = re.sub(r"^.*/providers/Microsoft\.MachineLearningServices/workspaces/[^/]+", "", path)
    traffic = ""
    if request.method == "PUT" and re.search(r"/onlineEndpoints/[^/]+$", short):
        given = (_json(request.body).get("properties") or {}).get("traffic")
        traffic = " with traffic" if given else ""
    return Effect(f"azure ml: {request.method} {_plain(short, datasets)}{traffic}")


def _event_types(body: bytes) -> list[str]:
    found = _parsed(body)
    events = found if isinstance(found, list) else [found]
    return [str(event.get("type", event.get("eventType", "?"))) for event in events if isinstance(event, dict)]


def _plain(text: str, datasets: re.Pattern[str]) -> str:
    """Without what differs from run to run: names of datasets (an endpoint's has a digest), digests, versions."""
    text = re.sub(rf"{datasets.pattern}(-[0-9a-f]{{6}}\b)?", "*", _MODEL_VERSION.sub("/versions/*", text))
    return _FINGERPRINT.sub("*", _LONG.sub("*", text))


def _json(raw: bytes) -> dict[str, Any]:
    found = _parsed(raw)
    return found if isinstance(found, dict) else {}


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return None
