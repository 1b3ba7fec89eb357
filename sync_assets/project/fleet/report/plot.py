"""Lines of growth as SVG inside of a page: its colours are the page's, so it reads in light and dark.

A day that is not known is a gap in the line; where a part of it is known, that is a hollow dot: at least so much. Must
not know what the numbers are of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from sync_assets.project.fleet.report.page import Html, joined, tag
from sync_assets.project.fleet.report.text import size

_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 14, 12, 24


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where a day and a number stand in the picture."""

    width: int
    height: int
    first: date
    last: date
    low: float
    high: float
    left: int = _LEFT

    def x(self, day: date) -> float:
        days = (self.last - self.first).days or 1
        return round(self.left + (day - self.first).days / days * (self.width - self.left - _RIGHT), 1)

    def y(self, number: float) -> float:
        return round(_TOP + (self.high - number) / (self.high - self.low) * (self.height - _TOP - _BOTTOM), 1)


def plot(
    points: Mapping[date, int],
    label: str,
    *,
    atleast: Mapping[date, int] | None = None,
    limit: int | None = None,
    width: int = 440,
    height: int = 170,
) -> Html:
    """A line over the days. `atleast`: days of which only a part is known; `limit`: a volume, drawn if it is near."""
    partly = dict(atleast or {})
    days, numbers = sorted({*points, *partly}), [*points.values(), *partly.values()]
    if not days:
        return tag("p", "no day is known", class_="soft")
    frame = _frame(days, numbers, limit, width, height)
    return tag(
        "svg", tag("title", label), *_axes(frame), *_limit(frame, limit), *_lines(frame, points),
        *(_dot(frame, day, n, hollow=True) for day, n in sorted(partly.items()) if day not in points),
        viewBox=f"0 0 {width} {height}", width=width, height=height, role="img",
    )  # fmt: skip


def spark(points: Mapping[date, int], width: int = 110, height: int = 26) -> Html:
    """A line without words, for a table."""
    if len(points) < 2:
        return Html("")
    low, high = min(points.values()), max(points.values())
    days, room = sorted(points), (high - low) or 1
    length = (days[-1] - days[0]).days
    place = {d: (round(2 + (d - days[0]).days / length * (width - 4), 1),
                 round(3 + (high - points[d]) / room * (height - 6), 1)) for d in days}  # fmt: skip
    lines = [_polyline([place[d] for d in piece], 1.5) for piece in _pieces(days)]
    return tag("svg", *lines, viewBox=f"0 0 {width} {height}", width=width, height=height, aria_hidden="true")


def _frame(days: Sequence[date], numbers: Sequence[int], limit: int | None, width: int, height: int) -> _Frame:
    low, high = min(numbers), max(numbers)
    if limit is not None and limit < high * 2:
        high = max(high, limit)
    room = (high - low) * 0.08 or max(high * 0.05, 1)
    return _Frame(width, height, days[0], days[-1], max(0.0, low - room), high + room)


def _axes(frame: _Frame) -> list[Html]:
    steps = [frame.low + (frame.high - frame.low) * n / 3 for n in range(4)]
    found = []
    for step in steps:
        y = frame.y(step)
        found.append(_rule(frame, y, "var(--line)"))
        found.append(tag("text", size(step), x=frame.left - 8, y=y + 4, text_anchor="end"))
    for day, anchor in _dates(frame):
        found.append(tag("text", day, x=frame.x(day), y=frame.height - 6, text_anchor=anchor))
    return found


def _dates(frame: _Frame) -> list[tuple[date, str]]:
    length = (frame.last - frame.first).days
    if not length:
        return [(frame.first, "start")]
    middle = [(frame.first + timedelta(days=length // 2), "middle")] if length >= 8 else []
    return [(frame.first, "start"), *middle, (frame.last, "end")]


def _rule(frame: _Frame, y: float, colour: str, dash: str = "") -> Html:
    return tag("line", x1=frame.left, x2=frame.width - _RIGHT, y1=y, y2=y, stroke=colour, stroke_dasharray=dash)


def _limit(frame: _Frame, limit: int | None) -> list[Html]:
    if limit is None or not frame.low <= limit <= frame.high:
        return []
    y = frame.y(limit)
    words = tag("text", f"volume {size(limit)}", x=frame.left + 6, y=y + 13)
    return [_rule(frame, y, "var(--bad)", "5 4"), words]


def _lines(frame: _Frame, points: Mapping[date, int]) -> list[Html]:
    found = []
    for piece in _pieces(sorted(points)):
        if len(piece) == 1:
            found.append(_dot(frame, piece[0], points[piece[0]]))
        else:
            found.append(_polyline([(frame.x(day), frame.y(points[day])) for day in piece], 2))
    return found


def _pieces(days: Sequence[date]) -> list[list[date]]:
    """Days without one missing between them."""
    found: list[list[date]] = []
    for day in days:
        if found and (day - found[-1][-1]).days == 1:
            found[-1].append(day)
        else:
            found.append([day])
    return found


def _polyline(places: Sequence[tuple[float, float]], thick: float) -> Html:
    text = " ".join(f"{x},{y}" for x, y in places)
    return tag("polyline", points=text, fill="none", stroke="var(--mark)", stroke_width=thick, stroke_linejoin="round")


def _dot(frame: _Frame, day: date, number: int, hollow: bool = False) -> Html:
    fill = "var(--card)" if hollow else "var(--mark)"
    return joined(
        tag("circle", cx=frame.x(day), cy=frame.y(number), r=2.6, fill=fill, stroke="var(--mark)", stroke_width=1.2)
    )
