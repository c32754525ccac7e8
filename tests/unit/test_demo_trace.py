"""The picture of a trace: what is drawn, and where."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

from demo.trace import Span, draw, draw_all, finished

ROOT = Span("aa", "tuning <chats>", "", 100, 200, False)
STAGE = Span("aa", "stage training", "r", 120, 180, True)
LOOKS = [Span("aa", "deployment_progress", "s", start, start + 1, False) for start in (110, 130)]


def test_a_trace_without_its_root_is_not_finished() -> None:
    assert finished([STAGE, *LOOKS]) == []


def test_what_came_after_the_root_ended_is_left_out() -> None:
    late = Span("aa", "deployment_progress", "s", 500, 501, False)
    assert late not in finished([ROOT, STAGE, late])[0]


def test_the_root_the_stages_and_the_functions_have_a_row_each() -> None:
    picture = draw([ROOT, *LOOKS, STAGE])
    labels = re.findall(r'<text x="12"[^>]*>([^<]*)</text>', picture)[1:]
    assert labels == ["tuning &lt;chats&gt;", "stage training", "deployment_progress × 2"]


def test_bars_lie_where_their_times_are_and_failures_have_their_colour() -> None:
    rects = [node.attrib for node in ElementTree.fromstring(draw([ROOT, STAGE])).iter() if node.tag.endswith("rect")]
    root, stage = rects
    assert float(stage["x"]) == float(root["x"]) + 0.2 * float(root["width"])
    assert float(stage["width"]) == 0.6 * float(root["width"])
    assert (root["class"], stage["class"]) == ("root", "failed")


def test_each_finished_trace_of_the_collector_is_a_file(tmp_path: Path) -> None:
    assert draw_all(tmp_path, tmp_path) == []
    span = {"traceId": "ab", "name": "tuning x", "startTimeUnixNano": "1000000000", "endTimeUnixNano": "2000000000"}
    export = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
    (tmp_path / "telemetry").mkdir()
    (tmp_path / "telemetry" / "traces.jsonl").write_text(json.dumps(export) + "\n")
    (file,) = draw_all(tmp_path, tmp_path)
    assert file.name == "trace-ab.svg"
    assert "1.0 s" in file.read_text()
