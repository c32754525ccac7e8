"""What is shown to who is not signed in, and what went wrong; both without anything of the ledger."""

from __future__ import annotations

from shared.dashboard.frame import bare_page
from shared.dashboard.html import tag
from shared.dashboard.words import ROOT, link


def sign_in_page(*, easy_auth: bool) -> bytes:
    """Without script the form puts the key into one address, which answers with a redirection and no page of its own;
    the script sends it as a header instead."""
    if easy_auth:
        return bare_page(
            "Sign in",
            tag("h1", "droptune"),
            tag("p", "App Service authentication named nobody. Sign in to this app, then come back."),
        )
    box = tag("input", type="password", name="code", required=True, autocomplete="current-password", id="key")
    form = tag(
        "form",
        tag("label", "Function key", for_="key"),
        box,
        tag("button", "Sign in", type="submit"),
        tag("p", id="refused", role="alert", class_="bad"),
        method="get",
        action=f"{ROOT}/session",
        id="sign-in",
        class_="sign-in",
    )
    note = "A key of the function dashboard_sign_in, or of the whole app. It is exchanged for a session and not kept."
    return bare_page("Sign in", tag("h1", "droptune"), form, tag("p", note, class_="soft"))


def refusal_page(title: str, message: str, back: str = "") -> bytes:
    """`back` is a path of the dashboard."""
    return bare_page(title, tag("h1", title), tag("p", tag("bdi", message), class_="reason"), link(back, "Back"))
