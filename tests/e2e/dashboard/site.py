"""The dashboard as its users meet it: the app in the Functions host on the local cloud, and Chromium in front."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

import httpx
from playwright.sync_api import Browser, BrowserContext, Page

from demo.topology import FAST_SETTINGS, app_settings
from shared import names
from shared.config import Settings
from shared.lifecycle.job_slots import JobSlots
from shared.lifecycle.ledger import Versioned, _address, _to_entity
from shared.lifecycle.tuning import Tuning
from shared.services import Services
from tests.browser import AXE
from tests.e2e.playground import Playground

QUIET = {"RECONCILE_SCHEDULE": "0 0 0 1 1 *", "IDLE_CLEANUP_SCHEDULE": "0 0 0 1 1 *", "MAX_ACTIVE_JOBS": "2"}
"""Nothing looks at made-up rows of the ledger."""
Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
WIDTHS = (360, 768, 1280)
_VIOLATIONS = "addEventListener('securitypolicyviolation', event => (window.violations ??= []).push(event.blockedURI))"


@dataclass(frozen=True)
class Site:
    playground: Playground
    browser: Browser

    @property
    def root(self) -> str:
        return f"{self.playground.cloud.config.functions_url}/api/dashboard"

    @property
    def key(self) -> str:
        return self.playground.cloud.function_key()

    @property
    def services(self) -> Services:
        """The app's services in this process, for arranging what a page is to show."""
        config = self.playground.cloud.config
        return Services(Settings.from_environment({**app_settings(config), **FAST_SETTINGS, **QUIET}))

    def address(self, path: str) -> str:
        """`path` is one of the dashboard's, or a query of its first page."""
        return self.root + path if path[:1] in ("", "?") else f"{self.root}/{path}"

    def session(self) -> str:
        """The cookie of a new session, as a browser would send it."""
        answer = self.post("session", headers={"x-functions-key": self.key})
        assert answer.status_code == 204, answer.text
        return answer.headers["set-cookie"].partition(";")[0]

    def get(self, path: str, **headers: str) -> httpx.Response:
        return httpx.get(self.address(path), headers=headers, trust_env=False, timeout=30)

    def post(self, path: str, **arguments: Any) -> httpx.Response:
        return httpx.post(self.address(path), trust_env=False, timeout=30, **arguments)

    @contextmanager
    def visit(self, path: str = "", *, width: int = 1280, scheme: Scheme = "light", **options: Any) -> Iterator[Page]:
        """A page in a browser that is signed in."""
        with self.context(width=width, scheme=scheme, **options) as context:
            name, _, value = self.session().partition("=")
            context.add_cookies([{"name": name, "value": value, "domain": "127.0.0.1", "path": "/"}])
            page = context.new_page()
            page.goto(self.address(path))
            yield page

    @contextmanager
    def context(self, *, width: int = 1280, scheme: Scheme = "light", **options: Any) -> Iterator[BrowserContext]:
        context = self.browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, **options)
        context.set_default_timeout(15_000)
        context.add_init_script(_VIOLATIONS)
        try:
            yield context
        finally:
            context.close()

    def put(self, tunings: Iterable[Tuning]) -> None:
        """Many rows at once: Ledger.put writes one after the other."""
        self._change([("upsert", _entity(tuning)) for tuning in tunings])

    def clear(self) -> None:
        """No tunings, and nobody who holds or waits for a job slot."""
        ledger = self.services.lifecycle.ledger
        ledger.put(replace(ledger.job_slots(), value=JobSlots()))
        table = self._table(names.TUNINGS_TABLE)
        rows = table.list_entities(select=["PartitionKey", "RowKey"])
        self._change([("delete", dict(row)) for row in rows])

    def tuning(self, tuning_id: str) -> Tuning:
        row: Versioned[Tuning] | None = self.services.lifecycle.ledger.tuning(tuning_id)
        assert row is not None
        return row.value

    def _change(self, operations: list[tuple[str, dict[str, Any]]]) -> None:
        table = self._table(names.TUNINGS_TABLE)
        for batch in batches(operations, 100):
            table.submit_transaction(batch)

    def _table(self, name: str) -> Any:
        return self.services._tables.get_table_client(name)


def batches(items: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def axe_violations(page: Page) -> list[str]:
    """What axe-core finds, each with its rule and place. It runs beside the page's policy, not within it."""
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run()")
    return [
        f"{violation['id']}: {node['html'][:200]}" for violation in found["violations"] for node in violation["nodes"]
    ]


def policy_violations(page: Page) -> list[str]:
    return list(page.evaluate("window.violations ?? []"))


def _entity(tuning: Tuning) -> dict[str, Any]:
    _, partition, key = _address(tuning)
    return _to_entity(tuning, partition, key)
