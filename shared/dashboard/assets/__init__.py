"""The page's style sheet and script, as files: the page's policy forbids both within it."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path

from shared.dashboard.visitor import Reply
from shared.dashboard.words import ROOT

_FOR_GOOD = "public, max-age=31536000, immutable"
_TYPES = {"style.css": "text/css", "app.js": "text/javascript"}


@dataclass(frozen=True)
class Asset:
    content: bytes
    media_type: str
    digest: str


@functools.cache
def asset(name: str) -> Asset | None:
    """None for a name that is none of ours: a path from outside never reaches the disk."""
    if name not in _TYPES:
        return None
    content = (Path(__file__).parent / name).read_bytes()
    return Asset(content, _TYPES[name], hashlib.sha256(content).hexdigest()[:12])


def address(name: str) -> str:
    """With what it holds in its address, so that browsers may keep it for good."""
    found = asset(name)
    assert found is not None, name
    return f"{ROOT}/assets/{name}?v={found.digest}"


def asset_reply(name: str) -> Reply:
    found = asset(name)
    headers = {"X-Content-Type-Options": "nosniff"}
    if found is None:
        return Reply(404, headers=headers)
    return Reply(200, found.content, found.media_type, {**headers, "Cache-Control": _FOR_GOOD})
