"""Who may see the page and press its buttons; where the key gets to; what hostile names can do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from azure.data.tables import TableServiceClient
from playwright.sync_api import expect

from demo import specimens
from shared import names
from shared.lifecycle.smoke_stage import RESULT_FILE
from shared.lifecycle.tuning import HistoryEntry, Reason, State, Tuning
from shared.serving.smoke_report import AnswerReport, Figures, SampleReport, SmokeReport
from tests.e2e.dashboard.site import Site, policy_violations

pytestmark = [pytest.mark.localcloud, pytest.mark.xdist_group("dashboard")]

FORM = "application/x-www-form-urlencoded"
OURS = {"sec-fetch-site": "same-origin"}
HOSTILE = """"><script>window.hacked=1</script><img src=x onerror="window.hacked=1">'&lt;\u202e</bdi></li>"""


@pytest.fixture
def failed(site: Site) -> Tuning:
    site.clear()
    found = next(tuning for tuning in specimens.tunings(datetime.now(UTC)) if tuning.state is State.FAILED)
    site.put([found])
    return found


def token_of(page: str) -> str:
    return page.partition('name="token" value="')[2].partition('"')[0]


@pytest.mark.parametrize("path", ["", "tunings/x", "tunings/x/report", "tunings/x/smoke", "endpoints", "money"])
def test_without_a_session_nothing_is_shown_but_the_sign_in(site: Site, failed: Tuning, path: str) -> None:
    for cookie in ("", "droptune-session=", f"droptune-session={'A' * 43}", "droptune-session=' or 1 eq 1"):
        answer = site.get(path, cookie=cookie)
        assert answer.status_code == 401
        assert "Function key" in answer.text
        assert failed.dataset not in answer.text


def test_a_wrong_key_opens_no_session(site: Site) -> None:
    for method in (site.get, site.post):
        answer = method("session?code=wrong")
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers


def test_headers_keep_a_page_to_itself(site: Site) -> None:
    headers = site.get("", cookie=site.session()).headers
    assert headers["content-security-policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(site: Site) -> None:
    cookie = site.post("session", headers={"x-functions-key": site.key}).headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=28800"} <= set(cookie.split("; "))
    assert site.key not in cookie


def test_what_is_not_an_asset_is_not_found(site: Site) -> None:
    for name in ("__init__.py", "..%2Fdesk.py", "%2Fetc%2Fpasswd", "app.js%00"):
        assert site.get(f"assets/{name}").status_code == 404, name
    assert site.get("assets/app.js").headers["content-type"].startswith("text/javascript")


def test_the_policy_is_alive(site: Site) -> None:
    with site.visit() as page:
        page.evaluate("document.body.append(document.createElement('style'))")
        page.evaluate(
            "{ const script = document.createElement('script'); script.textContent = 'window.ran = 1';"
            "document.body.append(script) }"
        )
        assert page.evaluate("window.ran") is None
        assert policy_violations(page)


def test_signing_in_puts_the_key_into_no_address(site: Site) -> None:
    addresses: list[str] = []
    with site.context() as context:
        page = context.new_page()
        page.on("request", lambda request: addresses.append(request.url + str(request.headers.get("referer"))))
        page.goto(site.root)
        page.get_by_label("Function key").fill("wrong")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_have_text("The key was refused.")
        page.get_by_label("Function key").fill(site.key)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("heading", name="Tunings").wait_for()
        assert site.key not in page.content()
        assert not any(site.key in address for address in addresses)


@pytest.mark.parametrize("script", [True, False])
def test_an_address_with_the_key_opens_a_page_without_it(site: Site, script: bool) -> None:
    with site.context(java_script_enabled=script) as context:
        page = context.new_page()
        page.goto(f"{site.root}?code={site.key}")
        expect(page.get_by_role("heading", name="Tunings", exact=True)).to_be_visible()
        assert page.url == site.root
        assert site.key not in page.content()
        referrers: list[str] = []
        page.on("request", lambda request: referrers.append(str(request.headers.get("referer"))))
        page.get_by_role("link", name="Money").click()
        page.get_by_role("heading", name="Money").wait_for()
        assert not any(site.key in referrer for referrer in referrers)


def test_signing_in_works_without_script(site: Site) -> None:
    with site.context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(site.root)
        page.get_by_label("Function key").fill(site.key)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="Tunings", exact=True)).to_be_visible()
        assert page.url == site.root


def test_signing_out_ends_the_session_for_good(site: Site) -> None:
    with site.visit() as page:
        cookie = f"droptune-session={page.context.cookies()[0]['value']}"
        page.get_by_role("button", name="Sign out").click()
        page.get_by_label("Function key").wait_for()
        assert page.context.cookies() == []
    assert site.get("", cookie=cookie).status_code == 401


def test_the_table_of_sessions_opens_none(site: Site) -> None:
    secret = site.session().partition("=")[2]
    table: TableServiceClient = site.services._tables
    rows = [dict(row) for row in table.get_table_client(names.SESSIONS_TABLE).list_entities()]
    assert rows
    assert secret not in str(rows)


def test_a_form_that_is_not_from_a_page_of_the_session_changes_nothing(site: Site, failed: Tuning) -> None:
    cookie, other = site.session(), site.session()
    token = token_of(site.get("", cookie=cookie).text)
    strange = token_of(site.get("", cookie=other).text)
    form = {"do": "replay", "tuning": failed.id, "token": token}
    own = {"cookie": cookie, **OURS}
    refused = [
        site.post("act", data={**form, "token": ""}, headers=own),
        site.post("act", data={**form, "token": strange}, headers=own),
        site.post("act", data={**form, "token": "ä" * 64}, headers=own),
        site.post("act", data=form, headers={"cookie": cookie, "sec-fetch-site": "cross-site"}),
        site.post("act", data=form, headers={"cookie": cookie, "sec-fetch-site": "same-site"}),
        site.post("act", data=form, headers={"cookie": cookie, "sec-fetch-site": "none"}),
        site.post("act", data=form, headers={"cookie": cookie, "origin": "https://evil.example"}),
        site.post("act", data=form, headers={"cookie": cookie, "origin": "null"}),
        site.post("act", data=form, headers={"cookie": cookie}),
        site.post("act", json=form, headers=own),
    ]
    assert [answer.status_code for answer in refused] == [403] * len(refused)
    assert site.post("act", data=form, headers=OURS).status_code == 401
    large = {"content": b"token=" + b"A" * 10_000, "headers": {**own, "content-type": FORM}}
    assert site.post("act", **large).status_code == 413
    assert site.get(f"act?do=replay&tuning={failed.id}&token={token}", **own).status_code == 404
    assert site.tuning(failed.id) == failed


def test_what_can_not_be_done_is_said(site: Site, failed: Tuning) -> None:
    cookie = site.session()
    form = {"token": token_of(site.get("", cookie=cookie).text)}
    own = {"cookie": cookie, **OURS}
    live = next(tuning for tuning in specimens.tunings(datetime.now(UTC)) if tuning.state is State.LIVE)
    site.put([live])
    for asked, status, said in [
        ({"do": "replay", "tuning": live.id}, 409, "has not ended"),
        ({"do": "replay", "tuning": "none"}, 404, "there is no tuning"),
        ({"do": "cancel", "tuning": live.id}, 409, "put the endpoint to sleep"),
        ({"do": "allow-budget", "tuning": failed.id}, 409, "replay it first"),
        ({"do": "replay", "tuning": "../x"}, 404, "there is no tuning"),
        ({"do": "format-disk"}, 400, "there is no deed"),
        ({}, 400, "there is no deed"),
    ]:
        answer = site.post("act", data={**form, **asked}, headers=own)
        assert (answer.status_code, said in answer.text) == (status, True)


@contextmanager
def evil_page(action: str, fields: dict[str, str]) -> Iterator[str]:
    """Of another origin, which sends its form as soon as it is loaded."""
    inputs = "".join(f'<input name="{name}" value="{value}">' for name, value in fields.items())
    content = (
        f'<form method="post" action="{action}">{inputs}</form><script>document.forms[0].submit()</script>'
    ).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def test_another_page_in_the_same_browser_can_not_press_a_button(site: Site, failed: Tuning) -> None:
    """Of the same site even, so that the cookie is sent, and with the right token, as if it had leaked."""
    with site.visit() as page:
        token = token_of(page.content())
        with evil_page(site.address("act"), {"do": "replay", "tuning": failed.id, "token": token}) as address:
            page.goto(address)
            expect(page.get_by_role("heading", name="Refused")).to_be_visible()
    assert site.tuning(failed.id) == failed


def test_names_and_messages_from_outside_are_text_and_nothing_else(site: Site) -> None:
    site.clear()
    now = datetime.now(UTC)
    plain = next(tuning for tuning in specimens.tunings(now) if tuning.state is State.FAILED)
    hostile = replace(
        plain,
        dataset=HOSTILE,
        version=HOSTILE,
        reason=Reason(HOSTILE, HOSTILE),
        last_error=HOSTILE,
        job=HOSTILE,
        endpoint=HOSTILE,
        parameters={HOSTILE: HOSTILE},
        history=(HistoryEntry(1, now, State.FAILED, HOSTILE),),
    )
    waiting = replace(hostile, id="waiting-1", state=State.TRAINING, reason=None, waiting_for=HOSTILE)
    site.put([hostile, waiting])
    blobs = site.services.lifecycle.blobs
    said = ({"role": HOSTILE, "content": HOSTILE}, {"role": "user", "content": HOSTILE})
    sample = SampleReport(said, HOSTILE, AnswerReport(200, HOSTILE, 1.0, faults=(HOSTILE,)))
    smoke = SmokeReport(hostile.id, "d", now, 1, False, HOSTILE, Figures(1, 1, 1.0, 1.0), (sample,))
    blobs.write_snapshot(hostile.id, RESULT_FILE, smoke.to_json())
    for path in ("", f"tunings/{hostile.id}", f"tunings/{waiting.id}"):
        with site.visit(path) as page:
            assert page.evaluate("window.hacked") is None
            assert page.get_by_text("<script>window.hacked=1</script>").count()
            assert page.locator("main script, main img").count() == 0
            assert policy_violations(page) == []


def test_a_question_that_can_not_be_meant_is_refused_in_words(site: Site) -> None:
    cookie = site.session()
    for query in ("state=burning", "dataset=../x", "continuation=1' or 'a' eq 'a", "state=%00"):
        assert site.get(f"?{query}", cookie=cookie).status_code == 400, query
    assert site.get("money?month=2026-13", cookie=cookie).status_code == 400
