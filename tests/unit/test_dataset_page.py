"""The validation report as a page: whole, readable without anything else, and safe."""

import json
from datetime import UTC, datetime
from html.parser import HTMLParser

from shared.datasets.limits import Limits
from shared.datasets.report import VersionReport
from shared.datasets.report_page import to_page
from shared.datasets.source import Source
from shared.datasets.split_report import Problem
from shared.datasets.version_check import check_version

CREATED = datetime(2026, 11, 22, 8, 30, tzinfo=UTC)
HOSTILE = "<script>alert('x')</script><img src=x onerror=y>\ud800"


class Page(HTMLParser):
    """Checks that tags are closed in their order, and gathers what the page holds."""

    VOID = ("meta", "br", "hr", "link", "img", "input")

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(page.decode())
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data + "\n"


def row(number: int) -> bytes:
    answer = {"role": "assistant", "content": "SECRET " * (1 + number % 40)}
    return json.dumps({"messages": [{"role": "user", "content": f"SECRET {number}"}, answer]}).encode() + b"\n"


def report(train: bytes, test: bytes, *problems: Problem) -> VersionReport:
    limits = Limits(max_leak_percent=20)
    reports, found = check_version([Source("train_sft", [train]), Source("test_sft", [test])], limits)
    return VersionReport(
        tuning_id="chats-1-0123abcd",
        dataset="chats",
        version="1",
        splits=tuple(reports),
        problems=(*problems, *found),
        created=CREATED,
    )


def test_a_valid_version_has_figures_and_a_picture_for_each_split() -> None:
    page = Page(to_page(report(b"".join(map(row, range(500))), b"".join(map(row, range(500, 540))))))

    assert "Validation of chats 1" in page.text
    assert "\nvalid\n" in page.text
    assert page.tags.count("svg") == 2
    for shown in ("train_sft", "500", "1,000", "assistant 500, user 500", "2026-11-22 08:30 UTC", "chats-1-0123abcd"):
        assert shown in page.text
    assert "Errors" not in page.text


def test_errors_and_warnings_are_listed_with_their_places() -> None:
    train = b"".join(map(row, range(50)))
    page = Page(to_page(report(train + b"garbage\n", row(99) + row(7) + row(8))))

    assert "rejected" in page.text
    assert "not_json 1" in page.text
    assert f"\n{len(train):,}\n" in page.text
    assert "the same conversation as on line 8 of train_sft.jsonl" in page.text
    assert "LeakedTestData" in page.text


def test_of_many_errors_the_first_are_shown_and_all_counted() -> None:
    page = Page(to_page(report(b"garbage\n" * 400, row(1))))

    assert "100 of 400" in page.text
    assert page.text.count("not JSON from column 1 on") == 100


def test_nothing_of_a_dataset_is_shown_and_names_are_no_markup() -> None:
    found = report(b"".join(map(row, range(20))) + b"SECRET\n", row(99), Problem("UnsupportedPath", HOSTILE, HOSTILE))
    content = to_page(found)
    page = Page(content)

    assert b"SECRET" not in content
    assert "<script>alert('x')</script>" in page.text
    assert not {"script", "img", "link", "iframe", "object", "form"}.intersection(page.tags)


def test_the_page_needs_and_starts_nothing_else() -> None:
    content = to_page(report(b"".join(map(row, range(20))), row(99)))
    page = Page(content)

    assert b"http" not in content.lower()
    assert b"url(" not in content
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in ("src", "href")]


def test_the_page_can_be_read_by_everybody() -> None:
    content = to_page(report(b"".join(map(row, range(20))), row(99))).decode()

    assert '<html lang="en">' in content
    assert "prefers-color-scheme:dark" in content
    assert 'name="viewport"' in content
    assert content.count('role="img" aria-labelledby=') == content.count("<svg")
    assert content.count("<caption>") == content.count("<table>")
    ids = [part.split('"')[0] for part in content.split('id="')[1:]]
    assert len(ids) == len(set(ids))
    assert len(content) < 60_000
