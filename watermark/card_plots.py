"""The plots of a detector card, as SVG that a style sheet colours.

Series differ in shape as well as in colour, and every plot has a title, a description, and on
the page a table with the same figures.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from countermark.watermark.card_html import Html, element, join

__all__ = ["Bars", "Point", "Series", "bar_plot", "line_plot", "log_plot"]

_WIDTH: Final = 680.0
_HEIGHT: Final = 380.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 72.0, 16.0, 16.0, 48.0
_LEGEND: Final = 20.0
_LABEL: Final = 210.0
_SHIFT: Final = 9.0
_BAR, _GAP = 7.0, 10.0
_LONGEST_LABEL: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One measured value `y` at `x`, and its interval; without one `low` and `high` are `y`."""

    x: float
    y: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Points that belong together."""

    name: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """One row of bars: a label, and for each series a share with its interval."""

    label: str
    shares: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class _Axes:
    """From values to places in the drawing."""

    x: Callable[[float], float]
    y: Callable[[float], float]


def log_plot(
    title: str, description: str, series: Sequence[Series], names: tuple[str, str]
) -> Html:
    """Plot positive values on two logarithmic axes, with the diagonal on which they should be.

    Zeros have no place there: of these only the interval is drawn, from the lower edge.
    """
    points = [point for one in series for point in one.points]
    seen = [v for p in points for v in (p.x, p.y, p.high) if v > 0]
    low = math.floor(math.log10(min(seen, default=1e-4)))
    high = max(low + 1, min(0, math.ceil(math.log10(max(seen, default=1.0)))))
    axes = _Axes(
        lambda v: _across(_decade(v, low, high)),
        lambda v: _up(_decade(v, low, high)),
    )
    decades = [10.0**power for power in range(low, high + 1, max(1, (high - low) // 8))]
    grid = [_gridline(axes.y(v), f"1e{round(math.log10(v))}") for v in decades]
    grid += [_tick(axes.x(v), f"1e{round(math.log10(v))}") for v in decades]
    ends = 10.0**low, 10.0**high
    diagonal = _line(axes.x(ends[0]), axes.y(ends[0]), axes.x(ends[1]), axes.y(ends[1]), "ideal")
    drawn = [_marks(one, number, axes) for number, one in enumerate(series)]
    return _plot(title, description, [*grid, diagonal, *drawn], names, [s.name for s in series])


def line_plot(
    title: str, description: str, series: Sequence[Series], names: tuple[str, str]
) -> Html:
    """Plot shares, 0 to 1, over a number that grows from 0."""
    most = max((point.x for one in series for point in one.points), default=1.0)
    axes = _Axes(lambda v: _across(v / most), _up)
    grid = [_gridline(axes.y(v), f"{v:.0%}") for v in (0, 0.2, 0.4, 0.6, 0.8, 1)]
    ticks = sorted({point.x for one in series for point in one.points})
    grid += [_tick(axes.x(v), f"{v:g}") for v in ticks]
    drawn = []
    for number, one in enumerate(series):
        shift = _shift(number)
        places = " L".join(f"{axes.x(p.x) + shift:.1f} {axes.y(p.y):.1f}" for p in one.points)
        if one.points:
            path: dict[str, str | float] = {"d": f"M{places}", "class": f"curve s{number % 6}"}
            drawn.append(element("path", attributes=path))
        drawn.append(_marks(one, number, axes))
    return _plot(title, description, [*grid, *drawn], names, [s.name for s in series])


def bar_plot(title: str, description: str, rows: Sequence[Bars], names: Sequence[str]) -> Html:
    """Plot shares, 0 to 1, as bars to the right: for each row one of each name."""
    step = len(names) * _BAR + _GAP
    height = _TOP + len(rows) * step + _BOTTOM

    def across(share: float) -> float:
        return _LABEL + share * (_WIDTH - _RIGHT - _LABEL)

    bottom = height - _BOTTOM
    parts = []
    for share in (0, 0.25, 0.5, 0.75, 1):
        parts.append(_line(across(share), _TOP, across(share), bottom, "grid"))
        parts.append(_text(f"{share:.0%}", across(share), bottom + 18, "middle"))
    for number, row in enumerate(rows):
        top = _TOP + number * step + _GAP / 2
        parts.append(_text(row.label, _LABEL - 8, top + (step - _GAP) / 2 + 4, "end"))
        for place, share_ in enumerate(row.shares):
            parts.append(_bar(across, share_, top + place * _BAR, place))
    legend = []
    for place, name in enumerate(names):
        key: dict[str, str | float] = {
            "x": _LABEL,
            "y": height + place * _LEGEND + 4,
            "width": 24.0,
            "height": _BAR - 1,
            "class": f"bar s{place % 6}",
        }
        label = _text(
            f"bar {place + 1}: {name}", _LABEL + 32, height + place * _LEGEND + 11, "start"
        )
        legend += [element("rect", attributes=key), label]
    return _svg(title, description, [*parts, *legend], height + _LEGEND * len(names))


def _bar(across: Callable[[float], float], share: Point, top: float, place: int) -> Html:
    box: dict[str, str | float] = {
        "x": across(0),
        "y": top,
        "width": across(share.y) - across(0),
        "height": _BAR - 1,
        "class": f"bar s{place % 6}",
    }
    middle = top + (_BAR - 1) / 2
    whisker = _line(across(share.low), middle, across(share.high), middle, "whisker")
    return join(element("rect", attributes=box), whisker)


def _plot(
    title: str,
    description: str,
    parts: Sequence[Html],
    names: tuple[str, str],
    legend: Sequence[str],
) -> Html:
    turned: dict[str, str | float] = {
        "transform": f"translate(16 {(_HEIGHT - _BOTTOM + _TOP) / 2:.0f}) rotate(-90)",
        "text-anchor": "middle",
    }
    labels = [
        _text(names[0], (_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 10, "middle"),
        element("text", names[1], attributes=turned),
    ]
    height = _HEIGHT + _LEGEND * len(legend)
    return _svg(title, description, [*parts, *labels, *_legend(legend, _HEIGHT)], height)


def _svg(title: str, description: str, parts: Sequence[Html], height: float) -> Html:
    name = f"plot-{zlib.crc32(title.encode('utf-8', 'surrogatepass')):08x}"
    attributes: dict[str, str | float] = {
        "viewBox": f"0 0 {_WIDTH:.0f} {height:.0f}",
        "role": "img",
        "aria-labelledby": f"{name}-t {name}-d",
    }
    heads = (
        element("title", title, attributes={"id": f"{name}-t"}),
        element("desc", description, attributes={"id": f"{name}-d"}),
    )
    return element("svg", *heads, *parts, attributes=attributes)


def _legend(names: Sequence[str], top: float) -> list[Html]:
    parts = []
    for number, name in enumerate(names):
        y = top + number * _LEGEND + 8
        label = name if len(name) <= _LONGEST_LABEL else f"{name[:_LONGEST_LABEL]}…"
        parts += [_mark(_LEFT, y, number), _text(label, _LEFT + 14, y + 4, "start")]
    return parts


def _marks(series: Series, number: int, axes: _Axes) -> Html:
    parts = []
    for point in series.points:
        x = axes.x(point.x) + _shift(number)
        if point.high > point.low:
            parts.append(_line(x, axes.y(point.low), x, axes.y(point.high), f"error s{number % 6}"))
        if point.y > 0:
            parts.append(_mark(x, axes.y(point.y), number))
    return element("g", *parts)


def _shift(number: int) -> float:
    """Return how far a series is moved to the side, so that whiskers do not hide each other."""
    return _SHIFT * ((number + 1) // 2) * (-1 if number % 2 else 1)


def _mark(x: float, y: float, number: int) -> Html:
    """Draw a circle, square, triangle, diamond, or one of the triangles that point elsewhere."""
    if number % 6 == 0:
        return element("circle", attributes={"cx": x, "cy": y, "r": 4.0, "class": "mark s0"})
    shape = (
        "",
        "-4 -4 h8 v8 h-8 z",
        "0 -5 l5 9 h-10 z",
        "0 -6 l5 6 l-5 6 l-5 -6 z",
        "0 5 l5 -9 h-10 z",
        "5 0 l-9 5 v-10 z",
    )[number % 6]
    attributes: dict[str, str | float] = {
        "d": f"M{shape}",
        "transform": f"translate({x:.1f} {y:.1f})",
        "class": f"mark s{number % 6}",
    }
    return element("path", attributes=attributes)


def _gridline(y: float, label: str) -> Html:
    return join(_line(_LEFT, y, _WIDTH - _RIGHT, y, "grid"), _text(label, _LEFT - 6, y + 4, "end"))


def _tick(x: float, label: str) -> Html:
    bottom = _HEIGHT - _BOTTOM
    return join(_line(x, bottom, x, bottom + 5, "grid"), _text(label, x, bottom + 18, "middle"))


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Html:
    places: dict[str, str | float] = {"x1": x1, "y1": y1, "x2": x2, "y2": y2, "class": kind}
    return element("line", attributes=places)


def _text(text: str, x: float, y: float, anchor: str) -> Html:
    return element("text", text, attributes={"x": x, "y": y, "text-anchor": anchor})


def _across(share: float) -> float:
    return _LEFT + share * (_WIDTH - _RIGHT - _LEFT)


def _up(share: float) -> float:
    return _HEIGHT - _BOTTOM - share * (_HEIGHT - _BOTTOM - _TOP)


def _decade(value: float, low: int, high: int) -> float:
    """Return where a value is between two powers of ten, 0 to 1; zeros are at the lower edge."""
    power = math.log10(value) if value > 0 else float(low)
    return min(1.0, max(0.0, (power - low) / (high - low)))
