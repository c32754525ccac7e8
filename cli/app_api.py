"""The app's HTTP functions, for commands: answers, or an error that says in one line what is wrong."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cli.outcome import RefusedError, UnusableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import httpx

URL, KEY, AUDIENCE = "DROPTUNE_URL", "DROPTUNE_KEY", "DROPTUNE_AUDIENCE"
_SECONDS = 30


@dataclass(frozen=True)
class AppApi:
    """`headers` say who calls: a function key, or a token of Entra ID."""

    url: str
    headers: Mapping[str, str]

    @staticmethod
    def from_environment(environment: Mapping[str, str] = os.environ) -> AppApi:
        """Raises UnusableError. A key is taken from the environment only: a command line can be read by others."""
        url = environment.get(URL, "").rstrip("/")
        if not url.startswith(("https://", "http://127.0.0.1", "http://localhost")):
            raise UnusableError(f"set {URL} to the address of the app, for example https://my-app.azurewebsites.net")
        if key := environment.get(KEY, ""):
            return AppApi(url, {"x-functions-key": key})
        if audience := environment.get(AUDIENCE, ""):
            return AppApi(url, {"Authorization": f"Bearer {_token(audience)}"})
        raise UnusableError(f"set {KEY} to a function key, or {AUDIENCE} to the app's audience in Entra ID")

    def get(self, path: str, **query: str) -> dict[str, Any]:
        """Raises RefusedError for what the app does not want, UnusableError if it can not be asked."""
        answer: dict[str, Any] = self._answer("GET", path, query).json()
        return answer

    def text(self, path: str, **query: str) -> str:
        return self._answer("GET", path, query).text

    def post(self, path: str, **query: str) -> dict[str, Any]:
        answer: dict[str, Any] = self._answer("POST", path, query).json()
        return answer

    def tunings(self, **query: str) -> Iterator[dict[str, Any]]:
        """Of all pages, the newest first."""
        continuation = ""
        while True:
            page = self.get("tunings", **query, **({"continuation": continuation} if continuation else {}))
            yield from page["tunings"]
            continuation = page["next"] or ""
            if not continuation:
                return

    def _answer(self, method: str, path: str, query: Mapping[str, str]) -> httpx.Response:
        import httpx

        try:
            answer = httpx.request(
                method, f"{self.url}/api/{path}", params=dict(query), headers=dict(self.headers), timeout=_SECONDS
            )
        except httpx.HTTPError as error:
            raise UnusableError(f"{self.url} can not be reached: {type(error).__name__}: {error}") from error
        if answer.status_code in (401, 403):
            raise UnusableError(
                f"{self.url} does not let you in (HTTP {answer.status_code}): check {KEY} or {AUDIENCE}"
            )
        if answer.status_code >= 400:
            kind = RefusedError if answer.status_code < 500 else UnusableError
            raise kind(_reason(answer))
        return answer


def _reason(answer: httpx.Response) -> str:
    try:
        error = answer.json()["error"]
        return f"{error['code']}: {error['message']}"
    except (ValueError, KeyError, TypeError):
        return f"HTTP {answer.status_code} of {answer.request.url.path}"


def _token(audience: str) -> str:
    from azure.core.exceptions import AzureError
    from azure.identity import DefaultAzureCredential

    try:
        with DefaultAzureCredential() as credential:
            return credential.get_token(f"{audience.removesuffix('/.default')}/.default").token
    except AzureError as error:
        raise UnusableError(f"no token for {audience}: {type(error).__name__}: {error.message}") from error
