"""The figures of the report. Each function draws on an Axes and returns it; ``svg`` turns a figure into text.

Today's model is always amber and hollow, the proposal blue and filled: told apart by eyes that do not see
colours and in greyscale print.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from io import StringIO
from textwrap import fill as wrapped
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TODAY_COLOUR, PROPOSAL_COLOUR, OTHER_COLOUR, INK, BAND_COLOUR = "#b5500c", "#1b5e9b", "#5d6875", "#1d2733", "#e6ecf2"
NAMED_CENTRES = 40
"""Up to so many centres are written by name; above, centres are ranks along an axis."""


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


def _axes(ax: Axes | None) -> Axes:
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.subplots()[1]
    return ax


def _legend_above(ax: Axes) -> None:
    """Above the whole figure, so that a narrow one with long names keeps its width for the data."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper left", handletextpad=0.3)


def _ticks(axis: Any, words: Words) -> None:
    """Tick labels in the reader's language, with as many decimals as the step needs."""
    from matplotlib.ticker import FuncFormatter

    def label(value: float, _position: int | None = None) -> str:
        places = axis.get_majorticklocs()
        step = abs(places[1] - places[0]) if len(places) > 1 else 1
        return words.number(value, next((d for d in range(4) if np.isclose(step * 10**d % 1, [0, 1]).any()), 4))

    axis.set_major_formatter(FuncFormatter(label))


def centre_nets(today: Sequence[float], proposal: Sequence[float], words: Words, *, names: Sequence[str] | None = None,
                within: float | None = None, lying: bool = False, ax: Axes | None = None) -> Axes:
    """Every centre's net under today's model and under the proposal, in the order given.

    Parameters
    ----------
    today, proposal : SEK per listed month, shape (K,), sorted by today's net
    names : written beside the centres where they are few enough; the centres then lie down the page
    within : half-width of a band around 0 to shade, SEK per listed month
    lying : True puts the nets on the horizontal axis (a narrow screen, or named centres)
    """
    ax = _axes(ax)
    a, b = np.asarray(today, dtype=float), np.asarray(proposal, dtype=float)
    place = np.arange(1, len(a) + 1)
    size = float(np.clip(2400 / max(len(a), 1), 9, 46))
    lines, span, net_axis, rank_axis = (
        (ax.hlines, ax.axvspan, ax.xaxis, ax.yaxis) if lying else (ax.vlines, ax.axhspan, ax.yaxis, ax.xaxis))

    if within:
        span(-within, within, color=BAND_COLOUR, zorder=0, lw=0, label=words.band)
    (ax.axvline if lying else ax.axhline)(0, color=INK, lw=0.9, zorder=1)
    lines(place, a, b, color="#b9c1ca", lw=0.8 if len(a) > NAMED_CENTRES else 1.4, zorder=1.5)
    for net, label, fill, edge, width in ((a, words.today, "white", TODAY_COLOUR, 1.0),
                                          (b, words.proposal, PROPOSAL_COLOUR, "white", 0.4)):
        x, y = (net, place) if lying else (place, net)
        ax.scatter(x, y, s=size, label=label, facecolors=fill, edgecolors=edge, linewidths=width, zorder=3)

    net_axis.set_label_text(words.value)
    _ticks(net_axis, words)
    ax.grid(True, axis="x" if lying else "y")
    ax.grid(False, axis="y" if lying else "x")
    if names is not None and len(a) <= NAMED_CENTRES:
        rank_axis.set_ticks(place, [_cut(n) for n in names])
        rank_axis.set_tick_params(length=0)
    else:
        rank_axis.set_label_text(words.rank)
        # The last rank is always written; a round one too near it would collide with it.
        rank_axis.set_ticks([1, *(rank for rank in range(20, len(a), 20) if len(a) - rank > 8), len(a)])
    (ax.set_ylim if lying else ax.set_xlim)(0.3, len(a) + 0.7)
    if lying:
        _legend_above(ax)
    else:
        ax.legend(loc="upper left", handletextpad=0.3)
        _beside(ax, a, b, words)
    return ax


def _cut(name: str, longest: int = 30) -> str:
    return name if len(name) <= longest else name[: longest - 1] + "…"


def _beside(ax: Axes, a: np.ndarray, b: np.ndarray, words: Words) -> None:
    """How the centres pile up under each model, on the same scale, to the right of the dots."""
    from matplotlib.ticker import MaxNLocator

    side = ax.inset_axes((1.02, 0, 0.17, 1), sharey=ax)
    edges = np.histogram_bin_edges(np.concatenate([a, b]), bins=22)
    for net, colour, fill in ((b, PROPOSAL_COLOUR, True), (a, TODAY_COLOUR, False)):
        count, _ = np.histogram(net, edges)
        side.stairs(count, edges, orientation="horizontal", color=colour, fill=fill, alpha=0.35 if fill else 1,
                    lw=0 if fill else 1.4, baseline=0)
    side.axhline(0, color=INK, lw=0.9)
    side.set_xlim(left=0)
    side.set_xlabel(words.spread)
    side.tick_params(labelleft=False, left=False)
    side.spines["left"].set_visible(False)
    side.xaxis.set_major_locator(MaxNLocator(2, integer=True, prune="lower"))
    side.grid(False)


def amounts_by_age(ages: Sequence[int], profiles: Mapping[str, Sequence[float]], styles: Mapping[str, str],
                   words: Words, *, title: str = "", ax: Axes | None = None) -> Axes:
    """Amount per listed month by age, one stepped line per table.

    Parameters
    ----------
    ages : first age of each band
    profiles : label → SEK per listed month, shape (len(ages),); nan leaves a gap
    styles : label → ``published``, ``today`` or ``proposal``
    """
    ax = _axes(ax)
    looks: dict[str, dict[str, Any]] = {
        "published": {"color": OTHER_COLOUR, "lw": 1.3, "ls": (0, (1.5, 1.5))},
        "today": {"color": TODAY_COLOUR, "lw": 1.5},
        "proposal": {"color": PROPOSAL_COLOUR, "lw": 2.2},
    }
    edges = np.append(np.asarray(ages, dtype=float), ages[-1] + 5)
    for label, values in profiles.items():
        look = looks[styles[label]]
        step = np.append(np.asarray(values, dtype=float), values[-1])
        ax.plot(edges, step, drawstyle="steps-post", label=label, **look)
    ax.set(title=title, xlim=(0, edges[-1]), xticks=range(0, 101, 20))
    ax.set_xlabel(words.rank)
    ax.set_ylabel(words.value)
    ax.axhline(0, color=INK, lw=0.9, zorder=1).sticky_edges.y.append(0)  # no margin below 0 unless an amount lies there
    _ticks(ax.yaxis, words)
    return ax


def starter_packs(labels: Sequence[str], cost: Sequence[float], pays: Sequence[float], words: Words, *,
                  ax: Axes | None = None) -> Axes:
    """What one pack costs the centre against what the flag it raises pays, SEK, first group at the top."""
    ax = _axes(ax)
    place = np.arange(len(labels))[::-1]
    c, p = np.asarray(cost, dtype=float), np.asarray(pays, dtype=float)
    ax.hlines(place, c, p, color=np.where(p > c, PROPOSAL_COLOUR, TODAY_COLOUR), lw=1.6, alpha=0.55)
    ax.scatter(c, place, s=34, facecolors="white", edgecolors=TODAY_COLOUR, linewidths=1.3, label=words.today, zorder=3)
    ax.scatter(p, place, s=34, color=PROPOSAL_COLOUR, marker="D", label=words.proposal, zorder=3)
    figure = ax.get_figure(root=True)
    ax.set_yticks(place, [_cut(label, 26 if figure and figure.get_figwidth() < 5 else 44) for label in labels])
    ax.set_ylim(-0.7, len(labels) - 0.3)
    ax.set_xlim(left=0)
    ax.set_xlabel(words.value)
    ax.grid(True, axis="x")
    ax.grid(False, axis="y")
    ax.margins(x=0.04)
    _ticks(ax.xaxis, words)
    _legend_above(ax)
    return ax


def calibration(reference: Sequence[float], simulated: Sequence[float], words: Words, *,
                ax: Axes | None = None) -> Axes:
    """Simulated against reference prevalence per 1000, both on a logarithmic scale, with the line of equality."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    def power_of_ten(value: float, _position: int | None = None) -> str:
        return words.number(value, max(0, -int(np.floor(np.log10(value))))) if value > 0 else ""

    ax = _axes(ax)
    x, y = np.asarray(reference, dtype=float), np.asarray(simulated, dtype=float)
    seen = (x > 0) & (y > 0)
    x, y = x[seen], y[seen]
    if len(x):
        ends = [min(x.min(), y.min()) * 0.8, max(x.max(), y.max()) * 1.25]
        ax.plot(ends, ends, color=INK, lw=0.9, label=words.band)
        ax.scatter(x, y, s=9, color=PROPOSAL_COLOUR, alpha=0.45, linewidths=0)
        ax.set(xscale="log", yscale="log", xlim=ends, ylim=ends, aspect="equal")
        ax.legend(loc="upper left")
    for axis, label in ((ax.xaxis, words.rank), (ax.yaxis, words.value)):
        axis.set_label_text(label)
        axis.set_major_formatter(FuncFormatter(power_of_ten))
        axis.set_minor_formatter(NullFormatter())
    ax.grid(True, axis="both")
    return ax


def group_gaps(panels: Sequence[tuple[str, Sequence[str], Mapping[str, Sequence[Sequence[float]]]]], words: Words,
               figure: Figure) -> list[Axes]:
    """Payment less own cost per group under two models, with intervals; a panel per family of groups, stacked.

    Each panel is (title, labels, {"today" and "proposal": (value, low, high) per label}), SEK per listed month. Panels
    have scales of their own: groups of persons lie an order of magnitude further from zero than groups of centres.
    """
    heights = [len(labels) + 1.5 for _, labels, _ in panels]
    axes = figure.subplots(len(panels), 1, height_ratios=heights, squeeze=False)[:, 0]
    width = 26 if figure.get_figwidth() < 5 else 50
    for ax, (title, labels, values) in zip(axes, panels, strict=True):
        place = np.arange(len(labels))[::-1]
        ax.axvline(0, color=INK, lw=0.9, zorder=1)
        for key, shift, label, inside, edge in (("today", 0.14, words.today, "white", TODAY_COLOUR),
                                                ("proposal", -0.14, words.proposal, PROPOSAL_COLOUR, PROPOSAL_COLOUR)):
            gap, low, high = np.array(values[key], dtype=float).T
            ax.hlines(place + shift, low, high, color=edge, lw=1.4, alpha=0.6, zorder=2)
            ax.scatter(gap, place + shift, s=26, label=label, facecolors=inside, edgecolors=edge, linewidths=1.2,
                       zorder=3)
        ax.set_yticks(place, [wrapped(label, width) for label in labels])
        ax.set(title=title, ylim=(-0.7, len(labels) - 0.3))
        ax.grid(True, axis="x")
        ax.grid(False, axis="y")
        _ticks(ax.xaxis, words)
    axes[-1].set_xlabel(words.value)
    _legend_above(axes[0])
    return list(axes)


def decile_gaps(points: Mapping[str, Sequence[Sequence[float]]], words: Words, *, ax: Axes | None = None) -> Axes:
    """Predicted less actual cost by decile of predicted cost, SEK per listed month, with intervals.

    ``points``: "today" and "proposal" → (decile, predicted, actual, ratio, ci_low, ci_high) per decile there is.
    """
    ax = _axes(ax)
    ax.axhline(0, color=INK, lw=0.9, zorder=1)
    for key, shift, label, fill, edge in (("today", -0.12, words.today, "white", TODAY_COLOUR),
                                          ("proposal", 0.12, words.proposal, PROPOSAL_COLOUR, PROPOSAL_COLOUR)):
        decile, predicted, actual, _, low, high = np.array(points[key], dtype=float).T
        ax.vlines(decile + shift, (low - 1) * actual, (high - 1) * actual, color=edge, lw=1.4, alpha=0.6, zorder=2)
        ax.scatter(decile + shift, predicted - actual, s=26, label=label, facecolors=fill, edgecolors=edge,
                   linewidths=1.2, zorder=3)
    ax.set(xticks=range(1, 11), xlim=(0.4, 10.6))
    ax.set_xlabel(words.rank)
    ax.set_ylabel(words.value)
    ax.grid(True, axis="y")
    _ticks(ax.yaxis, words)
    _legend_above(ax)
    return ax
