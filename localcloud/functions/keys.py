"""Access keys: who may call a function, a webhook, the admin API.

The file is a flat JSON object, name → key. "_master" opens everything; "<extension>_extension" are system
keys that open only that extension's webhook; every other name ("default") is a host key that opens HTTP
functions.
"""

from __future__ import annotations

import hmac
import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from localcloud.functions.app_settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

AuthLevel = Literal["anonymous", "function", "admin"]
MASTER = "_master"
_SYSTEM_SUFFIX = "_extension"
_GENERATED = (MASTER, "default", "eventgrid_extension", "blobs_extension")


@dataclass(frozen=True)
class Keys:
    by_name: Mapping[str, str]

    def opens_function(self, key: str, level: AuthLevel) -> bool:
        if level == "anonymous":
            return True
        if level == "admin":
            return self.opens_admin(key)
        return any(_same(key, value) for name, value in self.by_name.items() if not name.endswith(_SYSTEM_SUFFIX))

    def opens_webhook(self, key: str, extension: str) -> bool:
        return _same(key, self.by_name.get(extension + _SYSTEM_SUFFIX, "")) or self.opens_admin(key)

    def opens_admin(self, key: str) -> bool:
        return _same(key, self.by_name.get(MASTER, ""))


def _same(given: str, expected: str) -> bool:
    return bool(expected) and hmac.compare_digest(given.encode(), expected.encode())


def load_keys(file: Path) -> Keys:
    """A missing file is created with random keys, as a new function app has them. Raises SettingsError."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(json.dumps({name: secrets.token_urlsafe(32) for name in _GENERATED}, indent=1))
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"cannot read the keys {file}: {error}") from error
    if not isinstance(raw, dict) or not all(isinstance(value, str) and value for value in raw.values()):
        raise SettingsError(f"{file} must hold a flat JSON object, key name → key")
    return Keys(raw)
