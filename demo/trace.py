"""`python -m demo.trace STATE_DIR`: the traces that the local cloud's collector keeps, each drawn as a picture."""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

_WIDTH, _LABEL, _RIGHT, _TOP, _ROW = 980, 200, 70, 52, 24
_NARROWEST = 2.0
_TICKS = 6
_STYLE = """
svg{font:12px system-ui,sans-serif;background:#fff}text{fill:#24292f}.dim{fill:#57606a}
.root{fill:#8250df}.stage{fill:#0969da}.work{fill:#1a7f37}.failed{fill:#cf222e}.grid{stroke:#d0d7de}
@media(prefers-color-scheme:dark){svg{background:#0d1117}text{fill:#e6edf3}.dim{fill:#8d96a0}
.root{fill:#a371f7}.stage{fill:#4493f8}.work{fill:#3fb950}.failed{fill:#f85149}.grid{stroke:#30363d}}
"""


@dataclass(frozen=True)
class Span:
    """Times in seconds since the epoch."""

    trace: str
    name: str
    parent: str
    start: float
    end: float
    failed: bool


def spans_of(exports: Iterable[dict[str, Any]]) -> list[Span]:
    """`exports` in OTLP's JSON encoding."""
    return [
        Span(
            raw["traceId"],
            raw["name"],
            raw.get("parentSpanId", ""),
            int(raw["startTimeUnixNano"]) / 1e9,
            int(raw["endTimeUnixNano"]) / 1e9,
            raw.get("status", {}).get("code") == "STATUS_CODE_ERROR",
        )
        for export in exports
        for resource in export["resourceSpans"]
        for scope in resource["scopeSpans"]
        for raw in scope["spans"]
    ]


def finished(spans: Iterable[Span]) -> list[list[Span]]:
    """The spans of each trace that has its root, oldest first; what came after the root's end is left out."""
    traces = defaultdict(list)
    for span in spans:
        traces[span.trace].append(span)
    found = []
    for trace in traces.values():
        root = next((span for span in trace if not span.parent), None)
        if root is not None:
            found.append(sorted((span for span in trace if span.start <= root.end), key=lambda span: span.start))
    return sorted(found, key=lambda trace: trace[0].start)


def draw(trace: list[Span]) -> str:
    """An SVG picture: a row for the root, one for each stage, one for all invocations of each function."""
    root = next(span for span in trace if not span.parent)
    lanes: dict[str, list[Span]] = {root.name: [root]}
    for stages in (True, False):
        for span in trace:
            if span is not root and span.name.startswith("stage ") is stages:
                lanes.setdefault(span.name, []).append(span)
    begin, length = root.start, max(root.end - root.start, 1e-6)
    scale = (_WIDTH - _LABEL - _RIGHT) / length
    height = _TOP + _ROW * len(lanes) + 12
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
        f"<title>{escape(root.name)}, trace {root.trace}</title><style>{_STYLE}</style>",
        f'<text x="12" y="20">{escape(root.name)}</text>',
        f'<text class="dim" x="{_WIDTH - 12}" y="20" text-anchor="end">trace {root.trace}</text>',
    ]
    for tick in range(_TICKS + 1):
        x = _LABEL + (_WIDTH - _LABEL - _RIGHT) * tick / _TICKS
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 6}" y2="{height - 12}"/>')
        parts.append(
            f'<text class="dim" x="{x:.1f}" y="{_TOP - 12}" text-anchor="middle">{_time(length * tick / _TICKS)}</text>'
        )
    for row, (name, spans) in enumerate(lanes.items()):
        y = _TOP + _ROW * row
        label = name if len(spans) == 1 else f"{name} × {len(spans)}"
        parts.append(f'<text x="12" y="{y + 15}">{escape(label)}</text>')
        kind = "root" if spans[0] is root else "stage" if name.startswith("stage ") else "work"
        for span in spans:
            x, width = _LABEL + (span.start - begin) * scale, max((span.end - span.start) * scale, _NARROWEST)
            color = "failed" if span.failed else kind
            parts.append(
                f'<rect class="{color}" x="{x:.1f}" y="{y + 4}" width="{width:.1f}" height="{_ROW - 9}" rx="2">'
                f"<title>{escape(name)}: {_time(span.end - span.start)}</title></rect>"
            )
        spent = sum(span.end - span.start for span in spans)
        parts.append(f'<text class="dim" x="{_WIDTH - 12}" y="{y + 15}" text-anchor="end">{_time(spent)}</text>')
    return "".join([*parts, "</svg>\n"])


def draw_all(state_dir: Path, folder: Path) -> list[Path]:
    """One file for each finished trace of a local cloud; none if nothing was told."""
    kept = state_dir / "telemetry" / "traces.jsonl"
    exports = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    drawn = []
    for trace in finished(spans_of(exports)):
        file = folder / f"trace-{trace[0].trace}.svg"
        file.write_text(draw(trace), encoding="utf-8")
        drawn.append(file)
    return drawn


def _time(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m demo.trace", description=__doc__)
    parser.add_argument("state", type=Path, help="folder of the local cloud's state, for example .localcloud/up")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the pictures")
    arguments = parser.parse_args()
    drawn = draw_all(arguments.state, arguments.out)
    for file in drawn:
        print(file)
    if not drawn:
        print(f"no finished trace in {arguments.state}", file=sys.stderr)
    return 0 if drawn else 1


if __name__ == "__main__":
    sys.exit(main())
