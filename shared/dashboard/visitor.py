"""A call of the page as the rules need it, and what is answered; knows nothing of Functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Visitor:
    """`headers` have names in lower case."""

    method: str
    url: str
    headers: Mapping[str, str]
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def host(self) -> str:
        return self.headers.get("host", "") or urlsplit(self.url).netloc

    @property
    def cookie_name(self) -> str:
        """Browsers take the prefix only from the host itself, over TLS: no neighbour can set such a cookie."""
        return "droptune-session" if self._is_local else "__Host-droptune-session"

    @property
    def secret(self) -> str:
        """What the session's cookie holds; empty without one."""
        for part in self.headers.get("cookie", "").split(";"):
            name, _, value = part.strip().partition("=")
            if name == self.cookie_name:
                return value
        return ""

    def cookie(self, secret: str, seconds: int) -> str:
        """A value of Set-Cookie. Lax, so that a link from a chat opens the page of who is signed in; nothing that is
        done by GET changes anything."""
        secure = "" if self._is_local else "; Secure"
        return f"{self.cookie_name}={secret}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"

    @property
    def form(self) -> Mapping[str, str]:
        """Empty for what is no form."""
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/x-www-form-urlencoded":
            return {}
        try:
            fields = parse_qs(self.body.decode(), max_num_fields=20)
        except ValueError:
            return {}
        return {name: values[0] for name, values in fields.items()}

    @property
    def from_our_pages(self) -> bool:
        """Whether a browser says that a page of this very host sent it; what does not say so is refused."""
        site = self.headers.get("sec-fetch-site")
        if site is not None:
            return site == "same-origin"
        origin = urlsplit(self.headers.get("origin", ""))
        return bool(origin.netloc) and origin.netloc == self.host

    @property
    def _is_local(self) -> bool:
        return urlsplit(f"//{self.host}").hostname in _LOCAL


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes = b""
    media_type: str = "text/html"
    headers: Mapping[str, str] = field(default_factory=dict)


def see_other(address: str, **headers: str) -> Reply:
    return Reply(303, headers={"Location": address, **headers})
