"""The reception of the dashboard: who may see a page, and whether a button was pressed by who sees it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from shared.dashboard.deeds import DONE, about
from shared.dashboard.frame import Chrome
from shared.dashboard.sign_in_page import refusal_page, sign_in_page
from shared.dashboard.visitor import HEADERS, Reply, Visitor, see_other
from shared.dashboard.words import ROOT
from shared.errors import PermanentError, TransientError

if TYPE_CHECKING:
    from shared.clock import Clock
    from shared.dashboard.deeds import Deeds
    from shared.dashboard.sessions import Session, Sessions

log = logging.getLogger(__name__)

_LATER = "The ledger or Azure Machine Learning can not be reached at the moment. Try again in a minute."
_NOT_OURS = "The form did not come from a page of this session. Open the page again and press the button there."


@dataclass(frozen=True)
class Desk:
    """`easy_auth`: whoever App Service authentication signed in is let in, and nobody else.

    `platform_authenticates` says that it is on: where it is not, anybody could send the headers that it sets.
    """

    sessions: Sessions
    deeds: Deeds
    clock: Clock
    workspace: str
    easy_auth: bool
    platform_authenticates: bool

    def show(
        self,
        visitor: Visitor,
        render: Callable[[Chrome], bytes | None],
        headers: Mapping[str, str] = HEADERS,
    ) -> Reply:
        """A page for who is signed in. `render` gives None for what does not exist."""

        def answer() -> Reply:
            if key := visitor.query.get("code"):
                return see_other(f"{ROOT}/session?{urlencode({'code': key})}")
            session = self._session(visitor)
            if session is None and not self._principal(visitor):
                return self._sign_in_first()
            opened = session or self.sessions.open(self._principal(visitor))
            reply = self._rendered(visitor, render, opened, headers)
            return reply if session else self._with_cookie(reply, visitor, opened)

        return _closed(answer)

    def _rendered(
        self,
        visitor: Visitor,
        render: Callable[[Chrome], bytes | None],
        session: Session,
        headers: Mapping[str, str],
    ) -> Reply:
        notice = DONE.get(visitor.query.get("done", ""), "")
        try:
            page = render(Chrome(self.workspace, self.clock(), session.form_token, notice))
        except PermanentError as error:
            return Reply(400, refusal_page("Not understood", error.message))
        if page is None:
            return Reply(404, refusal_page("Not found", "There is nothing of that name."))
        return Reply(200, page, headers=headers)

    def sign_in(self, visitor: Visitor) -> Reply:
        """The host has checked the function key of this call."""

        def answer() -> Reply:
            if self.easy_auth:
                return Reply(403, refusal_page("No keys", "This dashboard is opened by App Service authentication."))
            reply = Reply(204) if visitor.method == "POST" else see_other(ROOT)
            return self._with_cookie(reply, visitor, self.sessions.open())

        return _closed(answer)

    def act(self, visitor: Visitor) -> Reply:
        """Only for a form of the session's own pages, sent by a browser from there."""

        def answer() -> Reply:
            session = self._session(visitor)
            if session is None:
                return self._sign_in_first()
            form = visitor.form
            if not visitor.from_our_pages or not session.gave(form.get("token", "")):
                log.warning("dashboard: a form was refused: it came from another page")
                return Reply(403, refusal_page("Refused", _NOT_OURS, about(form)))
            if form.get("do") == "sign-out":
                self.sessions.close(session)
                return see_other(ROOT, **{"Set-Cookie": visitor.cookie("", 0)})
            try:
                return see_other(self.deeds.do(form))
            except PermanentError as error:
                status = {"NotFound": 404, "BadRequest": 400}.get(error.code, 409)
                return Reply(status, refusal_page("Not done", error.message, about(form)))

        return _closed(answer)

    def _session(self, visitor: Visitor) -> Session | None:
        principal = self._principal(visitor)
        if self.easy_auth and not principal:
            return None
        return self.sessions.find(visitor.secret, principal)

    def _principal(self, visitor: Visitor) -> str:
        """Whom App Service authentication named. It takes the header off what comes from outside."""
        if not (self.easy_auth and self.platform_authenticates):
            return ""
        return visitor.headers.get("x-ms-client-principal-id", "")

    def _with_cookie(self, reply: Reply, visitor: Visitor, session: Session) -> Reply:
        cookie = visitor.cookie(session.secret, int(self.sessions.lasting.total_seconds()))
        return replace(reply, headers={**reply.headers, "Set-Cookie": cookie})

    def _sign_in_first(self) -> Reply:
        return Reply(401, sign_in_page(easy_auth=self.easy_auth), headers={"WWW-Authenticate": "FunctionKey"})


def _closed(answer: Callable[[], Reply]) -> Reply:
    """With the headers that keep a page to itself; when the cloud says "later", so do we."""
    try:
        reply = answer()
    except TransientError as error:
        log.warning("dashboard: %s", error)
        reply = Reply(503, refusal_page("Later", _LATER), headers={"Retry-After": "30"})
    return replace(reply, headers={**HEADERS, **reply.headers})
