"""The pictures of docs/dashboard.md: the pages of a made-up week, at three widths, light and dark.

python -m demo.screenshots [--out docs/images]
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser

from demo.chromium import chromium, find_chromium
from demo.pages import pages
from shared.dashboard.assets import asset_reply
from shared.dashboard.visitor import HEADERS
from shared.dashboard.words import ROOT

NOW = datetime(2026, 11, 27, 22, 40, tzinfo=UTC)
HEIGHTS = {360: 760, 768: 900, 1280: 860}
LARGEST = 150_000
"""Bytes of a picture."""

Scheme = Literal["light", "dark"]
WANTED: tuple[tuple[str, int, Scheme], ...] = (
    *(("", width, scheme) for width in HEIGHTS for scheme in ("light", "dark")),
    ("/tunings/live", 1280, "light"),
    ("/tunings/live", 360, "dark"),
    ("/tunings/failed", 768, "dark"),
    ("/endpoints", 1280, "dark"),
    ("/endpoints", 360, "light"),
    ("/money", 1280, "light"),
    ("/money", 768, "dark"),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m demo.screenshots", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    folder: Path = parser.parse_args().out
    program = find_chromium()
    if not program:
        print("there is no Chromium; apt-get install chromium", file=sys.stderr)
        return 1
    folder.mkdir(parents=True, exist_ok=True)
    with served(pages(NOW)) as origin, chromium(program) as browser:
        for path, width, scheme in WANTED:
            name = path.strip("/").replace("/", "-") or "board"
            file = folder / f"dashboard-{name}-{width}-{scheme}.png"
            _take(browser, f"{origin}{ROOT}{path}", width, scheme, file)
            print(f"{file}: {file.stat().st_size:,} bytes")
            assert file.stat().st_size <= LARGEST, file
    return 0


def _take(browser: Browser, address: str, width: int, scheme: Scheme, file: Path) -> None:
    context = browser.new_context(viewport={"width": width, "height": HEIGHTS[width]}, color_scheme=scheme)
    page = context.new_page()
    page.goto(address)
    page.screenshot(path=file, animations="disabled")
    context.close()


@contextmanager
def served(made: Mapping[str, bytes]) -> Iterator[str]:
    """The pages and what they load, with the app's own headers, on a port of its own; gives the origin."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0].removeprefix(ROOT)
            if path.startswith("/assets/"):
                found = asset_reply(path.removeprefix("/assets/"))
                self._answer(found.status, found.body, found.media_type)
            elif path in made:
                self._answer(200, made[path], "text/html")
            else:
                self._answer(404, b"", "text/plain")

        def _answer(self, status: int, body: bytes, media_type: str) -> None:
            self.send_response(status)
            for name, value in {**HEADERS, "Content-Type": f"{media_type}; charset=utf-8"}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


if __name__ == "__main__":
    sys.exit(main())
