"""Which calls the dashboard takes for its own pages', and whom it lets in."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import cast
from urllib.parse import parse_qsl

import pytest

from shared.dashboard.deeds import Deeds
from shared.dashboard.desk import Desk
from shared.dashboard.sessions import Session, Sessions
from shared.dashboard.visitor import Visitor
from shared.errors import TransientError

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
HOST = "droptune.azurewebsites.net"
FORM = "application/x-www-form-urlencoded"


@dataclass
class Kept:
    """Sessions in memory."""

    lasting: timedelta = timedelta(hours=8)
    rows: dict[str, str] = field(default_factory=dict)
    down: bool = False

    def open(self, principal: str = "") -> Session:
        secret = f"s{len(self.rows)}"
        self.rows[secret] = principal
        return Session(secret, principal)

    def find(self, secret: str, principal: str = "") -> Session | None:
        if self.down:
            raise TransientError("storage is out")
        return Session(secret, principal) if self.rows.get(secret) == principal else None

    def close(self, session: Session) -> None:
        del self.rows[session.secret]


def desk(kept: Kept, *, easy_auth: bool = False, platform: bool = False) -> Desk:
    deeds = cast("Deeds", None)
    return Desk(cast("Sessions", kept), deeds, lambda: NOW, "w", easy_auth, platform)


def visitor(method: str = "GET", query: str = "", body: str = "", **headers: str) -> Visitor:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"https://{HOST}/api/dashboard"
    return Visitor(method, url, {"host": HOST, **named}, dict(parse_qsl(query)), body.encode("latin-1"))


@pytest.mark.parametrize(
    ("headers", "ours"),
    [
        ({"sec_fetch_site": "same-origin"}, True),
        ({"sec_fetch_site": "same-origin", "origin": "null"}, True),
        ({"sec_fetch_site": "same-site"}, False),
        ({"sec_fetch_site": "cross-site"}, False),
        ({"sec_fetch_site": "cross-site", "origin": f"https://{HOST}"}, False),
        ({"sec_fetch_site": "none"}, False),
        ({"sec_fetch_site": ""}, False),
        ({"origin": f"https://{HOST}"}, True),
        ({"origin": f"https://evil.example/?{HOST}"}, False),
        ({"origin": f"https://{HOST}.evil.example"}, False),
        ({"origin": "null"}, False),
        ({"origin": ""}, False),
        ({}, False),
    ],
)
def test_only_a_page_of_this_very_host_may_press_a_button(headers: dict[str, str], ours: bool) -> None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    assert Visitor("POST", f"https://{HOST}/", {"host": HOST, **named}).from_our_pages is ours


def test_the_cookie_is_bound_to_the_host_and_to_tls_but_on_a_laptop() -> None:
    assert visitor().cookie("x", 60) == (
        "__Host-droptune-session=x; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure"
    )
    local = Visitor("GET", "http://127.0.0.1:7071/api/dashboard", {"host": "127.0.0.1:7071"})
    assert local.cookie("x", 60) == "droptune-session=x; Path=/; Max-Age=60; HttpOnly; SameSite=Lax"


def test_the_cookie_is_found_among_others_and_only_by_its_whole_name() -> None:
    assert visitor(cookie="a=b; __Host-droptune-session=x; c=d").secret == "x"
    assert visitor(cookie="droptune-session=x; X__Host-droptune-session=y").secret == ""


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        (FORM, "do=replay&tuning=a%20b", {"do": "replay", "tuning": "a b"}),
        (f"{FORM}; charset=utf-8", "do=x", {"do": "x"}),
        ("text/plain", "do=replay", {}),
        ("application/json", "{}", {}),
        (FORM, "\xff=1", {}),
        (FORM, "&".join("a=1" for _ in range(50)), {}),
    ],
)
def test_a_form_is_read_as_one_and_nothing_else_is(kind: str, body: str, expected: dict[str, str]) -> None:
    assert visitor("POST", body=body, content_type=kind).form == expected


def test_without_a_session_there_is_the_sign_in_page_and_a_key_in_the_address_goes_to_the_host() -> None:
    kept = Kept()
    assert desk(kept).show(visitor(), lambda _: b"secret").status == 401
    reply = desk(kept).show(visitor(query="code=a%2Bb"), lambda _: b"secret")
    assert (reply.status, reply.headers["Location"]) == (303, "/api/dashboard/session?code=a%2Bb")


def test_a_claim_to_be_signed_in_by_app_service_counts_only_where_that_is_on_and_wanted() -> None:
    claimed = visitor(x_ms_client_principal_id="alice")
    assert desk(Kept()).show(claimed, lambda _: b"page").status == 401
    assert desk(Kept(), platform=True).show(claimed, lambda _: b"page").status == 401
    assert desk(Kept(), easy_auth=True).show(claimed, lambda _: b"page").status == 401
    assert desk(Kept(), easy_auth=True, platform=True).show(claimed, lambda _: b"page").status == 200
    assert desk(Kept(), easy_auth=True, platform=True).show(visitor(), lambda _: b"page").status == 401


def test_a_session_of_app_service_is_its_principal_s_alone() -> None:
    kept = Kept()
    reception = desk(kept, easy_auth=True, platform=True)
    reply = reception.show(visitor(x_ms_client_principal_id="alice"), lambda _: b"page")
    cookie = reply.headers["Set-Cookie"].partition(";")[0]
    again = reception.show(visitor(x_ms_client_principal_id="alice", cookie=cookie), lambda _: b"page")
    assert "Set-Cookie" not in again.headers
    form = visitor(
        "POST",
        body=f"do=sign-out&token={Session('s0', 'alice').form_token}",
        content_type=FORM,
        cookie=cookie,
        sec_fetch_site="same-origin",
        x_ms_client_principal_id="bob",
    )
    assert reception.act(form).status == 401
    assert kept.rows == {"s0": "alice"}


def test_a_key_opens_nothing_where_app_service_signs_in() -> None:
    kept = Kept()
    assert desk(kept, easy_auth=True, platform=True).sign_in(visitor("POST")).status == 403
    assert kept.rows == {}


def test_when_storage_is_out_the_page_says_later() -> None:
    reply = desk(Kept(down=True)).show(visitor(), lambda _: b"page")
    assert (reply.status, reply.headers["Retry-After"]) == (503, "30")
    assert reply.headers["Cache-Control"] == "no-store"


def test_the_token_of_a_form_does_not_tell_the_cookie() -> None:
    session = Session("secret", "")
    assert session.gave(session.form_token)
    assert not session.gave("")
    assert not session.gave(Session("other", "").form_token)
    assert "secret" not in session.form_token
