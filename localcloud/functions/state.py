"""The host's state directory: who this host is, across restarts, and that it is one process only."""

from __future__ import annotations

import fcntl
import hashlib
import os
import uuid
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from localcloud.functions.app_settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_HOST_ID_SETTING = "AzureFunctionsWebHost__hostid"


@dataclass(frozen=True)
class HostIdentity:
    """`id` names the app's queues, locks and timers in storage and is shared by all hosts of one app.

    `lock_owner` is a GUID of this host alone.
    """

    id: str
    lock_owner: str


class StateDirectory:
    """Holds a file lock until the process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        """Raises SettingsError when another host uses the directory."""
        path.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._lock: IO[str] = (path / "host.lock").open("a")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SettingsError(f"the state directory {path} is in use by another host") from error

    def identity(self, app: Path, settings: Mapping[str, str]) -> HostIdentity:
        return HostIdentity(id=host_id(app, settings), lock_owner=self._owner())

    def _owner(self) -> str:
        file = self._path / "lock-owner"
        if not file.exists():
            partial = file.with_suffix(".new")
            partial.write_text(str(uuid.uuid4()))
            os.replace(partial, file)
        return file.read_text().strip()


def host_id(app: Path, settings: Mapping[str, str]) -> str:
    """At most 32 lower-case letters, digits and dashes; the same for all hosts of one app directory."""
    digest = hashlib.md5(str(app).encode(), usedforsecurity=False).hexdigest()
    return settings.get(_HOST_ID_SETTING) or f"local-{digest[:12]}"
