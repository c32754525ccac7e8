"""Who is signed in: the host checks a function key once, then a cookie stands for it, so that no address holds it.

The table has digests only, so that who can read it can not sign in; a row that is deleted ends its session at once.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared import names
from shared.azureml.translate import translated

if TYPE_CHECKING:
    from azure.data.tables import TableServiceClient

    from shared.clock import Clock

_PARTITION = "session"
_TOKEN_BYTES = 32
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_TIDIED = 100
"""Sessions that have run out are removed when another one begins, at most so many at once."""


@dataclass(frozen=True)
class Session:
    """`secret` is what the cookie holds; `principal` whom App Service authentication named, empty with a key."""

    secret: str
    principal: str

    @property
    def form_token(self) -> str:
        """Stands in every form of the session's pages; the cookie does not follow from it."""
        return hmac.new(self.secret.encode(), b"form", hashlib.sha256).hexdigest()

    def gave(self, form_token: str) -> bool:
        return hmac.compare_digest(self.form_token.encode(), form_token.encode(errors="replace"))


class Sessions:
    """Raises TransientError where the table can not be reached."""

    def __init__(self, service: TableServiceClient, clock: Clock, lasting: timedelta) -> None:
        self._table = service.get_table_client(names.SESSIONS_TABLE)
        self._clock = clock
        self.lasting = lasting

    def open(self, principal: str = "") -> Session:
        now = self._clock()
        session = Session(secrets.token_urlsafe(_TOKEN_BYTES), principal)
        with translated("open a session"):
            self._table.create_entity(
                {
                    "PartitionKey": _PARTITION,
                    "RowKey": _key(session.secret),
                    "principal": principal,
                    "expires": _sortable(now + self.lasting),
                }
            )
        self._tidy(now)
        return session

    def find(self, secret: str, principal: str = "") -> Session | None:
        """None for one that has run out or was ended, and for another principal than it was opened for."""
        from azure.core.exceptions import ResourceNotFoundError

        if not _TOKEN.fullmatch(secret):
            return None
        with translated("read a session"):
            try:
                row = self._table.get_entity(_PARTITION, _key(secret))
            except ResourceNotFoundError:
                return None
        if row["expires"] <= _sortable(self._clock()) or row["principal"] != principal:
            return None
        return Session(secret, principal)

    def close(self, session: Session) -> None:
        with translated("end a session"):
            self._table.delete_entity(_PARTITION, _key(session.secret))

    def _tidy(self, now: datetime) -> None:
        with translated("remove old sessions"):
            old = self._table.query_entities(f"expires lt '{_sortable(now)}'", select=["PartitionKey", "RowKey"])
            for _, row in zip(range(_TIDIED), old, strict=False):
                self._table.delete_entity(row)


def _key(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _sortable(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}Z"
