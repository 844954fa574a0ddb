"""A plot of values over time as SVG: no program runs in it, and it needs nothing from elsewhere."""

import html
import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 720, 260, 70, 28, 34
_COLOURS = ("#1f6fb4", "#c4501b", "#2f7d32", "#7b3fa0", "#8a6d00", "#00798c")
"""Readable on white and on black; more series than these are not drawn, and named as left out."""

Points = Sequence[tuple[float, float]]


def svg(title: str, lines: Sequence[tuple[str, Points]], width: int = _WIDTH) -> str:
    """A plot of up to six series, so many pixels wide. A value that is no number is a gap."""
    title, lines = _plain(title), [(_plain(name), points) for name, points in lines]
    drawn = lines[: len(_COLOURS)]
    known = [(at, value) for _, points in drawn for at, value in points if math.isfinite(value)]
    legend = "".join(_legend(lines))
    height = _HEIGHT + 18 * legend.count("<text")
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" font-family="sans-serif" font-size="12" fill="currentColor"><title>{html.escape(title)}</title>'
        f'<text x="0" y="14">{html.escape(title)}</text>'
    )
    if not known:
        return f'{head}<text x="{_LEFT}" y="{_HEIGHT / 2}">no values</text></svg>'
    scale = _Scale(known, width)
    paths = "".join(
        f'<polyline points="{piece}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        for colour, (_, points) in zip(_COLOURS, drawn, strict=False)
        for piece in scale.pieces(points)
    )
    return f"{head}{''.join(scale.axes())}{paths}{legend}</svg>"


def _plain(text: str) -> str:
    """Text without what XML cannot hold."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


class _Scale:
    """Where a time and a value are in the plot. The axis begins at 0 unless a value is below."""

    def __init__(self, known: Points, width: int) -> None:
        self.width = width
        times, values = [at for at, _ in known], [value for _, value in known]
        self.begin, self.end = min(times), max(times)
        self.low, high = min(0.0, *values), max(0.0, *values)
        self.high = high if high > self.low else self.low + 1

    def pieces(self, points: Points) -> Iterator[str]:
        """The lines of a series between its gaps; a point alone is a short one."""
        piece: list[str] = []
        for at, value in (*points, (0.0, math.nan)):
            if math.isfinite(value):
                piece.append(f"{self._x(at):.1f},{self._y(value):.1f}")
            elif piece:
                x, _, y = piece[0].partition(",")
                yield " ".join(piece if len(piece) > 1 else [*piece, f"{float(x) + 1.5:.1f},{y}"])
                piece = []

    def axes(self) -> Iterator[str]:
        for value in (self.low, (self.low + self.high) / 2, self.high):
            y = self._y(value)
            yield f'<line x1="{_LEFT}" x2="{self.width}" y1="{y:.1f}" y2="{y:.1f}" stroke="currentColor" opacity=".2"/>'
            yield f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_short(value)}</text>'
        for at, x, anchor in ((self.begin, _LEFT, "start"), (self.end, self.width, "end")):
            said = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")
            yield f'<text x="{x}" y="{_HEIGHT - 12}" text-anchor="{anchor}">{said} UTC</text>'

    def _x(self, at: float) -> float:
        return _LEFT + (at - self.begin) / ((self.end - self.begin) or 1) * (self.width - _LEFT)

    def _y(self, value: float) -> float:
        return _HEIGHT - _BOTTOM - (value - self.low) / (self.high - self.low) * (_HEIGHT - _BOTTOM - _TOP)


def _short(value: float) -> str:
    size, sign = next((each for each in ((1e9, "G"), (1e6, "M"), (1e3, "k")) if abs(value) >= each[0]), (1, ""))
    return f"{value / size:.3g}{sign}"


def _legend(lines: Sequence[tuple[str, Points]]) -> Iterator[str]:
    for number, (colour, (name, _)) in enumerate(zip(_COLOURS, lines, strict=False)):
        y = _HEIGHT + 18 * number
        yield f'<rect x="{_LEFT}" y="{y}" width="12" height="12" fill="{colour}"/>'
        yield f'<text x="{_LEFT + 20}" y="{y + 11}">{html.escape(name)}</text>'
    if len(lines) > len(_COLOURS):
        left = len(lines) - len(_COLOURS)
        yield f'<text x="{_LEFT}" y="{_HEIGHT + 18 * len(_COLOURS) + 11}">{left} others are not drawn</text>'
