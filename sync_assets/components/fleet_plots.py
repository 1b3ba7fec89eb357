"""Small pictures for metadata: bars of characters, and a line as SVG inside Markdown. Knows nothing of fleets."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from xml.sax.saxutils import escape

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 640, 160, 76, 24


def sized(bytes_: int | float | None) -> str:
    """Bytes for people, in powers of 1000; empty for what is not known."""
    if bytes_ is None:
        return ""
    size, unit = float(abs(bytes_)), 0
    while size >= 999.5 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    sign = "-" if bytes_ < 0 else ""
    return f"{sign}{size:.0f} {_UNITS[unit]}" if unit == 0 or size >= 99.5 else f"{sign}{size:.3g} {_UNITS[unit]}"


def bar(share: float, width: int = 12) -> str:
    """A bar of characters for a share between 0 and 1."""
    full = round(max(0.0, min(1.0, share)) * width)
    return "█" * full


def plot(sizes: Mapping[str, int | None], title: str) -> str:
    """A line over the days as a Markdown image; a day that is missing is a gap in the line, never a 0."""
    return f"![{title}](data:image/svg+xml;base64,{b64encode(_svg(sizes, title).encode()).decode()})"


def _svg(sizes: Mapping[str, int | None], title: str) -> str:
    known = [size for size in sizes.values() if size is not None]
    low, high, days = min(known, default=0), max(known, default=0), sorted(sizes)
    text = 'font-family="sans-serif" font-size="11" fill="#667"'
    lines = "".join(_line(points) for points in _pieces(sizes, low, (high - low) or 1))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}">'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>'
        f'<text x="4" y="14" {text}>{escape(title)}</text>'
        f'<text x="4" y="30" {text}>{sized(high)}</text>'
        f'<text x="4" y="{_HEIGHT - _BOTTOM}" {text}>{sized(low)}</text>'
        f'<text x="{_LEFT}" y="{_HEIGHT - 6}" {text}>{escape(days[0])}</text>'
        f'<text x="{_WIDTH - 8}" y="{_HEIGHT - 6}" text-anchor="end" {text}>{escape(days[-1])}</text>'
        f"{lines}</svg>"
    )


def _pieces(sizes: Mapping[str, int | None], low: int, span: int) -> list[list[str]]:
    """The points of each unbroken piece of the line."""
    pieces: list[list[str]] = [[]]
    days = sorted(sizes)
    for at, day in enumerate(days):
        size = sizes[day]
        if size is None:
            pieces.append([])
            continue
        x = _LEFT + at * (_WIDTH - _LEFT - 8) / max(len(days) - 1, 1)
        y = 24 + (1 - (size - low) / span) * (_HEIGHT - 24 - _BOTTOM)
        pieces[-1].append(f"{x:.1f},{y:.1f}")
    return [piece for piece in pieces if piece]


def _line(points: list[str]) -> str:
    if len(points) == 1:
        x, _, y = points[0].partition(",")
        return f'<circle cx="{x}" cy="{y}" r="2" fill="#3b6fd4"/>'
    return f'<polyline points="{" ".join(points)}" fill="none" stroke="#3b6fd4" stroke-width="2"/>'
