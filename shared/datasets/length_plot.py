"""How long the rows of a split are, as an SVG picture that needs nothing else."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.datasets.lengths import Histogram

_WIDTH, _HEIGHT = 720, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 12, 22, 40
_GRID_LINES = 4
_LABELS = 8


def length_plot(lengths: Histogram, split: str, max_seq_length: int) -> str:
    """Colours come from classes of the page: `bar`, `over` (beyond max_seq_length), `grid`, `limit`."""
    width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    bars, highest = len(lengths.counts), max(*lengths.counts, 1)
    step = width / bars
    name = f"lengths-{escape(split, quote=True)}"
    summary = f"half of the rows have up to {lengths.median:,} estimated tokens, 95 % up to {lengths.p95:,}"
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-labelledby="{name}-title {name}-text">',
        f'<title id="{name}-title">Lengths of the rows of {escape(split)}</title>',
        f'<desc id="{name}-text">A histogram: {summary}, the longest {lengths.longest:,}.</desc>',
    ]
    for line in range(_GRID_LINES + 1):
        y = _TOP + height * (1 - line / _GRID_LINES)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        if highest >= _GRID_LINES or line in (0, _GRID_LINES):
            rows = round(highest * line / _GRID_LINES)
            parts.append(f'<text class="end" x="{_LEFT - 8}" y="{y + 4:.1f}">{rows:,}</text>')
    for place, count in enumerate(lengths.counts):
        begin, end = lengths.edges[place], lengths.edges[place + 1]
        tall = height * count / highest
        kind = "bar over" if begin >= max_seq_length else "bar"
        parts.append(
            f'<rect class="{kind}" x="{_LEFT + place * step + 0.5:.1f}" y="{_TOP + height - tall:.1f}" '
            f'width="{max(step - 1, 1):.1f}" height="{tall:.1f}">'
            f"<title>{begin:,} to {end:,} tokens: {count:,} rows</title></rect>"
        )
    every = -(-bars // _LABELS)
    for place in range(0, bars, every):
        x = _LEFT + place * step
        parts.append(f'<text class="middle" x="{x:.1f}" y="{_HEIGHT - 22}">{lengths.edges[place]:,}</text>')
    parts.append(
        f'<text class="middle" x="{_LEFT + width / 2:.1f}" y="{_HEIGHT - 5}">estimated tokens of a row</text>'
        f'<text class="end" x="{_LEFT - 8}" y="{_TOP - 9}">rows</text>'
    )
    parts.append(_limit(lengths, max_seq_length, step, height))
    parts.append("</svg>")
    return "".join(parts)


def _limit(lengths: Histogram, max_seq_length: int, step: float, height: float) -> str:
    """A line at max_seq_length, if it lies within the picture."""
    edges = lengths.edges
    place = next(
        (number for number in range(len(edges) - 1) if edges[number] <= max_seq_length < edges[number + 1]), None
    )
    if place is None:
        return ""
    within = (max_seq_length - edges[place]) / (edges[place + 1] - edges[place])
    x = _LEFT + (place + within) * step
    anchor, gap = ("end", -5) if x > _WIDTH * 0.7 else ("start", 5)
    return (
        f'<line class="limit" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 8}" y2="{_TOP + height}"/>'
        f'<text class="{anchor}" x="{x + gap:.1f}" y="{_TOP - 9}">max_seq_length {max_seq_length:,}</text>'
    )
