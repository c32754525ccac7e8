"""What every page has about its content: head, navigation, when it was true, sign-out, and forms that act."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from shared.dashboard import assets
from shared.dashboard.html import Child, Html, document, join, tag
from shared.dashboard.words import ROOT, address, link

_PLACES = (("tunings", "", "Tunings"), ("endpoints", "/endpoints", "Endpoints"), ("money", "/money", "Money"))


@dataclass(frozen=True)
class Chrome:
    """Who looks, and when. `token` proves that a form comes from a page of this session."""

    workspace: str
    now: datetime
    token: str
    notice: str = ""
    """What was done just now."""


def page(chrome: Chrome, title: str, current: str, *content: Child) -> bytes:
    """`current` is the place in the navigation. What has an id and stands in `main` is refreshed in place."""
    places = [
        tag("li", tag("a", name, href=address(path), aria_current="page" if key == current else None))
        for key, path, name in _PLACES
    ]
    header = tag(
        "header",
        tag("a", "Skip to the content", href="#main", class_="skip"),
        tag("p", link("", "droptune"), tag("span", chrome.workspace, class_="soft"), class_="brand"),
        tag("nav", tag("ul", *places), aria_label="Pages"),
        _as_of(chrome.now),
        class_="top",
    )
    footer = tag(
        "footer",
        tag("p", "All times in UTC.", class_="soft"),
        action(chrome, "sign-out", "Sign out", kind="quiet"),
    )
    notice = tag("p", chrome.notice, class_="notice", id="notice", role="status") if chrome.notice else None
    main = tag("main", notice, *content, id="main", tabindex="-1")
    stale = tag("p", id="stale", role="status", class_="stale")
    return _document(title, join(header, stale, main, footer), refreshed=True)


def bare_page(title: str, *content: Child) -> bytes:
    """Without session: nothing but the content, and no refresh."""
    return _document(title, tag("main", *content, id="main", class_="bare"), refreshed=False)


def action(chrome: Chrome, do: str, label: str, *, kind: str = "", about: str = "", **fields: str) -> Html:
    """A button that does something: a form of its own, so that it works without script.

    `about` says of what, for those who hear the button without what stands about it.
    """
    given = {"do": do, "token": chrome.token, **fields}
    hidden = [tag("input", type="hidden", name=name, value=value) for name, value in given.items()]
    spoken = tag("span", f" {about}", class_="unseen") if about else None
    button = tag("button", label, spoken, type="submit", class_=kind or None)
    return tag("form", hidden, button, method="post", action=f"{ROOT}/act", class_="act")


def _as_of(now: datetime) -> Html:
    time = tag("time", f"{now:%H:%M:%S}", datetime=now.isoformat(timespec="seconds"))
    return tag(
        "p", "as of ", time, " UTC ", tag("a", "Refresh", href="", id="refresh"), id="as-of", class_="as-of soft"
    )


def _document(title: str, body: Html, *, refreshed: bool) -> bytes:
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width,initial-scale=1"),
        tag("meta", name="robots", content="noindex"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{title} · droptune"),
        tag("link", rel="icon", href="data:,"),
        tag("link", rel="stylesheet", href=assets.address("style.css")),
        tag("script", src=assets.address("app.js"), defer=True),
    )
    return document(head, tag("body", body, data_refresh="10" if refreshed else None))
