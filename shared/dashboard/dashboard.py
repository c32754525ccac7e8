"""The dashboard's pages, by what is asked for: each is looked up for who is signed in, then written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.costs.months import Month
from shared.dashboard.board import board_page
from shared.dashboard.endpoints_page import endpoints_page
from shared.dashboard.money_page import money_page
from shared.dashboard.tuning_page import tuning_page
from shared.dashboard.visitor import HEADERS, Reply, Visitor
from shared.errors import PermanentError

if TYPE_CHECKING:
    from shared.costs.statement import Statement
    from shared.dashboard.desk import Desk
    from shared.dashboard.frame import Chrome
    from shared.dashboard.look import Look
    from shared.dashboard.look_at_endpoints import EndpointsLook
    from shared.lifecycle.status import Status

_SELF_STYLED = {
    **HEADERS,
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
}
"""A report is one file with its style in it, and nothing that acts."""


@dataclass(frozen=True)
class Dashboard:
    desk: Desk
    look: Look
    endpoints_look: EndpointsLook
    status: Status
    statement: Statement

    def board(self, visitor: Visitor) -> Reply:
        return self.desk.show(visitor, lambda chrome: board_page(self.look.board(visitor.query), chrome))

    def tuning(self, visitor: Visitor, tuning_id: str) -> Reply:
        def page(chrome: Chrome) -> bytes | None:
            found = self.look.tuning(tuning_id)
            return None if found is None else tuning_page(found, chrome)

        return self.desk.show(visitor, page)

    def endpoints(self, visitor: Visitor) -> Reply:
        def page(chrome: Chrome) -> bytes:
            number = visitor.query.get("page", "1")
            if not number.isdecimal():
                raise PermanentError("BadRequest", "page must be a number")
            return endpoints_page(self.endpoints_look.page(int(number[:6])), chrome)

        return self.desk.show(visitor, page)

    def money(self, visitor: Visitor) -> Reply:
        def page(chrome: Chrome) -> bytes:
            asked = visitor.query.get("month", "")
            try:
                month = Month.parse(asked) if asked else None
            except ValueError as error:
                raise PermanentError("BadRequest", str(error)) from error
            return money_page(self.statement.report(), month, chrome)

        return self.desk.show(visitor, page)

    def report(self, visitor: Visitor, tuning_id: str) -> Reply:
        return self.desk.show(visitor, lambda _: self.status.report_page(tuning_id), _SELF_STYLED)

    def smoke(self, visitor: Visitor, tuning_id: str) -> Reply:
        return self.desk.show(visitor, lambda _: self.status.smoke_page(tuning_id), _SELF_STYLED)
