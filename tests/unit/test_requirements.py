"""The lists of packages say what pip can read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_LINE = re.compile(r"(#.*|-[cr] \S+\.txt|[A-Za-z0-9._-]+(\[[a-z,]+\])?==[^\s;]+( ?;.*)?|)")


@pytest.mark.parametrize(
    "name", ["requirements.txt", "requirements-dev.txt", "requirements-bench.txt", "constraints.txt"]
)
def test_every_line_is_a_comment_an_option_or_one_pinned_package(name: str) -> None:
    odd = [line for line in (ROOT / name).read_text().splitlines() if not _LINE.fullmatch(line.strip())]
    assert odd == []
