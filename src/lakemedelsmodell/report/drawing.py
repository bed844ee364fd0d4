"""The one look of every figure: how it is drawn, its colours, its words and its ticks; ``drawn`` turns it into SVG."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from io import StringIO
from textwrap import fill as wrapped
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TELEPHONE = 5
"""Narrower figures, in inches, are for a telephone."""


@dataclass(frozen=True)
class Words:
    """What a figure says, in one language; ``number(value, decimals)`` writes its ticks."""

    number: Callable[..., str]
    value: str
    today: str = ""
    proposal: str = ""
    rank: str = ""
    band: str = ""
    spread: str = ""


def drawn(draw: Callable[[Figure], object], size: tuple[float, float], ident: str) -> str:
    """Draw on a new figure of the house style, ``size`` in inches, and return it as inline SVG."""
    import matplotlib.style
    from matplotlib.figure import Figure

    with as_file(files("lakemedelsmodell.report") / "style.mplstyle") as style, matplotlib.style.context(style):
        figure = Figure(figsize=size)
        draw(figure)
        for ax in figure.axes if size[0] < TELEPHONE else ():
            ax.set_xlabel(wrapped(ax.get_xlabel(), 32))
        out = StringIO()
        figure.savefig(out, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return inline_svg(out.getvalue(), ident)


def inline_svg(text: str, ident: str) -> str:
    """matplotlib's SVG as part of an HTML page: ids made unique by ``ident``, size left to the page, fonts too."""
    text = text[text.index("<svg"):]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' (xmlns(:\w+)?|version)="[^"]*"', "", text).replace("xlink:href", "href")
    opening = text[:text.index(">")]
    text = re.sub(r' (width|height)="[^"]*"', "", opening) + text[len(opening):]
    text = re.sub(r'\bid="([^"]+)"', rf'id="{ident}-\1"', text)
    text = re.sub(r'href="#([^"]+)"', rf'href="#{ident}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{ident}-\1)", text)
    text = re.sub(r"(font: [^\";]*?px) [^\";]*", r"\1 sans-serif", text)
    return text.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1).strip()


def axes_of(ax: Axes | None) -> Axes:
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.subplots()[1]
    return ax


def narrow(ax: Axes) -> bool:
    """Whether the figure is made for a telephone."""
    figure = ax.get_figure(root=True)
    return figure is not None and figure.get_figwidth() < TELEPHONE


def legend_above(ax: Axes, columns: int = 1) -> None:
    """Above the whole figure, so that a narrow one with long names keeps its width for the data."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper left", handletextpad=0.3, ncols=columns)


def named(ax: Axes, names: Sequence[tuple[float, float, str, str]], points: Sequence[tuple[float, float]]) -> None:
    """Write (x, y, name, colour) beside their points, in turn where a name covers least of points and earlier names.

    What must go far from its point is tied to it by a line.
    """
    from matplotlib.transforms import Bbox

    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()  # the axes have their place
    scale, inside = figure.dpi / 72, ax.get_window_extent()
    taken = [Bbox.from_bounds(x - 5 * scale, y - 5 * scale, 10 * scale, 10 * scale)
             for x, y in ax.transData.transform(points)]

    def shared(one: Bbox, other: Bbox) -> float:
        both = Bbox.intersection(one, other)
        return both.width * both.height if both else 0.0

    for x, y, name, colour in names:
        probe = ax.text(x, y, name, fontsize=8)
        size = probe.get_window_extent()
        probe.remove()
        at = ax.transData.transform((x, y))
        found = list[tuple[float, int, tuple[float, float], tuple[float, float], Bbox, int]]()
        for far in (7, 16, 28, 42, 58):
            for angle in (0, 180, 30, -30, 150, -150, 60, -60, 120, -120, 90, -90):
                dx, dy = far * np.cos(np.radians(angle)), far * np.sin(np.radians(angle))
                left, up = (0.5 * (1 - np.sign(d)) if abs(d) > least else 0.5 for d, least in ((dx, 1), (dy, 9)))
                box = Bbox.from_bounds(at[0] + dx * scale - left * size.width, at[1] + dy * scale - up * size.height,
                                       size.width, size.height).padded(1.5 * scale)
                outside = box.width * box.height - shared(box, inside)
                cost = 3 * (sum(shared(box, other) for other in taken) + outside) + far * scale**2
                found.append((cost, len(found), (dx, dy), (left, up), box, far))
        _, _, place, (left, up), box, far = min(found, key=lambda f: f[:2])
        tie = {"arrowstyle": "-", "color": colour, "lw": 0.6, "shrinkA": 0, "shrinkB": 3} if far > 16 else None
        ax.annotate(name, (x, y), place, textcoords="offset points", fontsize=8, color=colour, arrowprops=tie,
                    ha={0: "left", 0.5: "center", 1: "right"}[left], va={0: "bottom", 0.5: "center", 1: "top"}[up])
        taken.append(box)


def ticks(axis: Any, words: Words) -> None:
    """Tick labels in the reader's language, with as many decimals as the step needs."""
    from matplotlib.ticker import FuncFormatter

    def label(value: float, _position: int | None = None) -> str:
        places = axis.get_majorticklocs()
        step = abs(places[1] - places[0]) if len(places) > 1 else 1
        return words.number(value, next((d for d in range(4) if np.isclose(step * 10**d % 1, [0, 1]).any()), 4))

    axis.set_major_formatter(FuncFormatter(label))


def cut(name: str, longest: int = 30) -> str:
    return name if len(name) <= longest else name[: longest - 1] + "…"
