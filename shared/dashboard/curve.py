"""A training's loss by step, as a picture that takes the width it gets; its figures stand beside it in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from shared.dashboard.html import Html, tag

if TYPE_CHECKING:
    from shared.azureml.resources import MetricPoint
    from shared.dashboard.views import Curves

_WIDTH, _HEIGHT = 1000, 160
_MARGIN = 4
_MOST_POINTS = 400
"""Of a line: more can not be seen."""
_NAMES = {"loss": "training loss", "eval_loss": "evaluation loss"}


def curve(curves: Curves) -> Html | None:
    drawn = {name: thinned(points) for name, points in curves.items() if points}
    values = [point.value for points in drawn.values() for point in points]
    if not values:
        return None
    lowest, highest = min(values), max(values)
    last = max(point.step for points in drawn.values() for point in points)

    def place(point: MetricPoint) -> str:
        x = _MARGIN + (_WIDTH - 2 * _MARGIN) * point.step / max(last, 1)
        part = (point.value - lowest) / (highest - lowest) if highest > lowest else 0.5
        return f"{x:.1f},{_HEIGHT - _MARGIN - (_HEIGHT - 2 * _MARGIN) * part:.1f}"

    lines = [
        tag("polyline", points=" ".join(place(point) for point in points), class_=f"line-of {name}")
        for name, points in drawn.items()
    ]
    picture = tag("svg", lines, viewBox=f"0 0 {_WIDTH} {_HEIGHT}", preserveAspectRatio="none", aria_hidden="true")
    scale = tag("p", tag("span", f"{highest:.3g}"), tag("span", f"{lowest:.3g}"), class_="scale", aria_hidden="true")
    said = [
        tag("li", f"{_NAMES.get(name, name)} {points[0].value:.3g} → {points[-1].value:.3g}", class_=f"key {name}")
        for name, points in drawn.items()
    ]
    return tag(
        "section",
        tag("h2", "Training ", tag("small", f"{last:,} steps")),
        tag("div", scale, picture, class_="curve"),
        tag("ul", said, class_="keys"),
        id="training",
    )


def thinned(points: Sequence[MetricPoint]) -> list[MetricPoint]:
    """By step, evenly; the first and the last stay. Values that are no numbers can not be drawn."""
    sound = sorted((point for point in points if abs(point.value) < float("inf")), key=lambda point: point.step)
    if len(sound) <= _MOST_POINTS:
        return sound
    return [sound[number * (len(sound) - 1) // (_MOST_POINTS - 1)] for number in range(_MOST_POINTS)]
