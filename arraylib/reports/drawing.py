"""Bars with labels, as SVG text of our own or as a picture that matplotlib draws."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from arraylib.errors import ArgumentError, mistake
from arraylib.record import record

_ROW, _LEFT, _WIDTH, _RIGHT = 22, 380, 460, 90  # pixels
_BAR, _MARK = "#4878a8", "#c44e52"


@record
class Bar:
    """A length with its label, a mark on it (None: no mark), and the text at its end."""

    label: str
    length: float
    mark: float | None
    text: str


def _scale(bars: Sequence[Bar]) -> float:
    return max([max(bar.length, bar.mark or 0.0) for bar in bars], default=0.0) or 1.0


def bars_svg(title: str, bars: Sequence[Bar]) -> str:
    """The bars as an SVG document."""
    width, height = _LEFT + _WIDTH + _RIGHT, _ROW * (len(bars) + 3)
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
             'font-family="sans-serif" font-size="12">',
             f'<rect width="{width}" height="{height}" fill="white"/>',
             f'<text x="8" y="18" font-size="14">{escape(title)}</text>']
    longest = _scale(bars)
    for row, bar in enumerate(bars, 1):
        top, end = _ROW * row + 8, _LEFT + _WIDTH * bar.length / longest
        lines.append(f'<text x="{_LEFT - 8}" y="{top + 12}" text-anchor="end">'
                     f"{escape(bar.label)}</text>")
        lines.append(f'<rect x="{_LEFT}" y="{top}" width="{end - _LEFT:.1f}" height="14" '
                     f'fill="{_BAR}"/>')
        lines.append(f'<text x="{end + 6:.1f}" y="{top + 12}">{escape(bar.text)}</text>')
        if bar.mark is not None:
            at = _LEFT + _WIDTH * bar.mark / longest
            lines.append(f'<rect x="{at - 1:.1f}" y="{top - 3}" width="2" height="20" '
                         f'fill="{_MARK}"/>')
    lines.append(f'<text x="{_LEFT}" y="{height - 10}" fill="{_MARK}">red: the least that the '
                 "machine could take</text></svg>")
    return "\n".join(lines) + "\n"


def bars_png(title: str, bars: Sequence[Bar], path: str | Path) -> None:
    """The bars as a picture in a file; ArgumentError without matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise mistake(ArgumentError, "plot", "drawing this kind of file needs matplotlib",
                      hint="pip install 'arraylib[plot]', or a name that ends in .svg") from None
    figure = Figure(figsize=(10, 1.2 + 0.28 * len(bars)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    places = range(len(bars))
    axes.barh(places, [bar.length for bar in bars], color=_BAR)
    marks = [(i, bar.mark) for i, bar in enumerate(bars) if bar.mark is not None]
    axes.scatter([mark for _, mark in marks], [i for i, _ in marks], marker="|", s=160, zorder=3,
                 color=_MARK, label="the least that the machine could take")
    for i, bar in enumerate(bars):
        axes.annotate(bar.text, (bar.length, i), (4, 0), textcoords="offset points", va="center",
                      fontsize=8)
    axes.set_yticks(list(places), [bar.label for bar in bars], fontsize=8)
    axes.invert_yaxis()
    axes.set_xticks([])
    axes.margins(x=0.12)
    axes.set_title(title, fontsize=10)
    if marks:
        axes.legend(loc="lower right", fontsize=8)
    figure.savefig(path, dpi=150)
