"""The figures of the report. Each function draws on an Axes and returns it.

Today's model is always amber and hollow, the proposal blue and filled: told apart by eyes that do not see
colours and in greyscale print.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill as wrapped
from typing import TYPE_CHECKING, Any

import numpy as np

from lakemedelsmodell.measures.true_spread import FUNNEL_LIMITS
from lakemedelsmodell.palette import FAINT_COLOUR, INK, OTHER_COLOUR, PROPOSAL_COLOUR, TODAY_COLOUR
from lakemedelsmodell.report.drawing import (
    Words,
    axes_of,
    cut,
    legend_above,
    named,
    narrow,
    ticks,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BAND_COLOUR = "#e6ecf2"
NAMED_CENTRES = 40
"""Up to so many centres are written by name; above, centres are ranks along an axis."""


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
    ax = axes_of(ax)
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
    ticks(net_axis, words)
    ax.grid(True, axis="x" if lying else "y")
    ax.grid(False, axis="y" if lying else "x")
    if names is not None and len(a) <= NAMED_CENTRES:
        rank_axis.set_ticks(place, [cut(n) for n in names])
        rank_axis.set_tick_params(length=0)
    else:
        rank_axis.set_label_text(words.rank)
        # The last rank is always written; a round one too near it would collide with it.
        rank_axis.set_ticks([1, *(rank for rank in range(20, len(a), 20) if len(a) - rank > 8), len(a)])
    (ax.set_ylim if lying else ax.set_xlim)(0.3, len(a) + 0.7)
    if lying:
        legend_above(ax)
    else:
        ax.legend(loc="upper left", handletextpad=0.3)
        _beside(ax, a, b, words)
    return ax


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
                   words: Words, *, half_widths: Mapping[str, Sequence[float]] | None = None, title: str = "",
                   ax: Axes | None = None) -> Axes:
    """Amount per listed month by age, one stepped line per table, in its 95 % interval where that is known.

    Parameters
    ----------
    ages : first age of each band
    profiles : label → SEK per listed month, shape (len(ages),); nan leaves a gap
    styles : label → ``published``, ``today`` or ``proposal``
    half_widths : label → half the interval, SEK per listed month, shape (len(ages),); nan where it is not known
    """
    ax = axes_of(ax)
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
        if half_widths and label in half_widths:
            half = np.append(np.asarray(half_widths[label], dtype=float), half_widths[label][-1])
            ax.fill_between(edges, step - half, step + half, step="post", color=look["color"], alpha=0.16, lw=0)
    ax.set(title=title, xlim=(0, edges[-1]), xticks=range(0, 101, 20))
    ax.set_xlabel(words.rank)
    ax.set_ylabel(words.value)
    ax.axhline(0, color=INK, lw=0.9, zorder=1).sticky_edges.y.append(0)  # no margin below 0 unless an amount lies there
    ticks(ax.yaxis, words)
    return ax


def starter_packs(labels: Sequence[str], cost: Sequence[float], pays: Sequence[float], words: Words, *,
                  ax: Axes | None = None) -> Axes:
    """What one pack costs the centre against what the flag it raises pays, SEK, first group at the top."""
    ax = axes_of(ax)
    place = np.arange(len(labels))[::-1]
    c, p = np.asarray(cost, dtype=float), np.asarray(pays, dtype=float)
    ax.hlines(place, c, p, color=np.where(p > c, PROPOSAL_COLOUR, TODAY_COLOUR), lw=1.6, alpha=0.55)
    ax.scatter(c, place, s=34, facecolors="white", edgecolors=TODAY_COLOUR, linewidths=1.3, label=words.today, zorder=3)
    ax.scatter(p, place, s=34, color=PROPOSAL_COLOUR, marker="D", label=words.proposal, zorder=3)
    ax.set_yticks(place, [cut(label, 26 if narrow(ax) else 50) for label in labels])
    ax.set_ylim(-0.7, len(labels) - 0.3)
    ax.set_xlim(left=0)
    ax.set_xlabel(words.value)
    ax.grid(True, axis="x")
    ax.grid(False, axis="y")
    ax.margins(x=0.04)
    ticks(ax.xaxis, words)
    legend_above(ax)
    return ax


def calibration(reference: Sequence[float], simulated: Sequence[float], words: Words, *,
                ax: Axes | None = None) -> Axes:
    """Simulated against reference prevalence per 1000, both on a logarithmic scale, with the line of equality."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    def power_of_ten(value: float, _position: int | None = None) -> str:
        return words.number(value, max(0, -int(np.floor(np.log10(value))))) if value > 0 else ""

    ax = axes_of(ax)
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
        ticks(ax.xaxis, words)
    axes[-1].set_xlabel(words.value)
    legend_above(axes[0])
    return list(axes)


def decile_gaps(points: Mapping[str, Sequence[Sequence[float]]], words: Words, *, ax: Axes | None = None) -> Axes:
    """Predicted less actual cost by decile of predicted cost, SEK per listed month, with intervals.

    ``points``: "today" and "proposal" → (decile, predicted, actual, ratio, ci_low, ci_high) per decile there is.
    """
    ax = axes_of(ax)
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
    ticks(ax.yaxis, words)
    legend_above(ax)
    return ax


def slopes(before: Sequence[float], after: Sequence[float], words: Words, *, ax: Axes | None = None) -> Axes:
    """Every centre from its net under today's model (left) to that under the proposal (right), SEK per listed month.

    Who gains is blue and unbroken, who loses amber and dashed; ``words.today`` and ``proposal`` name the ends,
    ``band`` the gaining and ``spread`` the losing.
    """
    ax = axes_of(ax)
    a, b = np.asarray(before, dtype=float), np.asarray(after, dtype=float)
    for which, colour, style, label in ((b >= a, PROPOSAL_COLOUR, "-", words.band),
                                        (b < a, TODAY_COLOUR, (0, (4, 2)), words.spread)):
        for k, (y0, y1) in enumerate(zip(a[which], b[which], strict=True)):
            # Dashes that all began at once would weave a pattern of their own.
            dashes = style if isinstance(style, str) else (1.7 * k % 6, style[1])
            ax.plot([0, 1], [y0, y1], color=colour, ls=dashes, lw=0.8, alpha=0.55, label="" if k else label)
    ax.axhline(0, color=INK, lw=0.9)
    ax.set(xlim=(-0.12, 1.12))
    ax.set_xticks([0, 1], [words.today, words.proposal])
    ax.set_ylabel(words.value)
    ticks(ax.yaxis, words)
    legend_above(ax, 1 if narrow(ax) else 2)
    return ax


def funnel(net: Sequence[float], error: Sequence[float], outside: Sequence[bool], words: Words, *, target: float,
           tau2: float, ax: Axes | None = None) -> Axes:
    """Centres' nets against how much chance is in them, with limits target ± z √(s² + τ²) (Spiegelhalter 2005).

    Parameters
    ----------
    net, error : SEK per listed month, shape (K,); ``error`` is the standard error s of a centre's net
    outside : beyond the 99.8 % limits
    target : SEK per listed month
    tau2 : (SEK per listed month)², additive over-dispersion
    """
    ax = axes_of(ax)
    y, s, out = np.asarray(net, dtype=float), np.asarray(error, dtype=float), np.asarray(outside, dtype=bool)
    fine = np.linspace(0, float(s.max()) * 1.05, 100)
    half = np.sqrt(fine**2 + tau2)
    for z, style, label in ((FUNNEL_LIMITS["95"], (0, (2, 2)), words.band), (FUNNEL_LIMITS["998"], "-", words.spread)):
        for sign in (-1, 1):
            ax.plot(fine, target + sign * z * half, color=OTHER_COLOUR, lw=1, ls=style, label=label if sign > 0 else "")
    ax.axhline(target, color=INK, lw=0.9)
    ax.scatter(s[~out], y[~out], s=13, color=PROPOSAL_COLOUR, alpha=0.6, linewidths=0, zorder=3)
    ax.scatter(s[out], y[out], s=34, color=TODAY_COLOUR, marker="D", zorder=4, label=words.today if out.any() else "")
    ax.set_xlim(0, fine[-1])
    ax.set_xlabel(words.rank)
    ax.set_ylabel(words.value)
    ticks(ax.xaxis, words)
    ticks(ax.yaxis, words)
    legend_above(ax, 1 if narrow(ax) else 3)
    return ax


def spread_parts(models: Sequence[str], parts: Mapping[str, Sequence[float]], words: Words, *,
                 ax: Axes | None = None) -> Axes:
    """What the variance of centres' nets is made of, (SEK per listed month)²: a bar per model, parts end to end."""
    ax = axes_of(ax)
    place, left = np.arange(len(models))[::-1], np.zeros(len(models))
    looks = (("#c3cad2", ""), ("#8fb4d9", "////"), (PROPOSAL_COLOUR, ""))
    for (label, values), (colour, hatch) in zip(parts.items(), looks, strict=True):
        width = np.asarray(values, dtype=float)
        ax.barh(place, width, 0.6, left, color=colour, hatch=hatch, edgecolor="white", label=label)
        left = left + width
    ax.set_yticks(place, [wrapped(m, 18) for m in models])
    ax.set_xlabel(words.value)
    ax.grid(True, axis="x")
    ax.grid(False, axis="y")
    ticks(ax.xaxis, words)
    legend_above(ax)
    return ax


def weights(labels: Sequence[str], value: Sequence[float], half_width: Sequence[float], words: Words, *,
            ax: Axes | None = None) -> Axes:
    """Add-ons with their intervals, value ± half width, first at the top; both of the unit of ``words.value``."""
    ax = axes_of(ax)
    place = np.arange(len(labels))[::-1]
    b, half = np.asarray(value, dtype=float), np.asarray(half_width, dtype=float)
    ax.hlines(place, b - half, b + half, color=PROPOSAL_COLOUR, lw=6, alpha=0.35)
    ax.scatter(b, place, s=9, color=PROPOSAL_COLOUR, zorder=3)
    ax.axvline(0, color=INK, lw=0.9, zorder=1)
    ax.set_yticks(place, [cut(label, 26 if narrow(ax) else 50) for label in labels])
    ax.set_ylim(-0.7, len(labels) - 0.3)
    ax.set_xlabel(words.value)
    ax.grid(True, axis="x")
    ax.grid(False, axis="y")
    ticks(ax.xaxis, words)
    return ax


def frontier(loss: Sequence[float], gain: Sequence[float], labels: Sequence[str], looks: Sequence[str], words: Words, *,
             ax: Axes | None = None) -> Axes:
    """Designs by misfit (across) and worst gain from manipulation (up, logarithmic): down and to the left is better.

    ``looks``: ``today``, ``proposal``, ``chosen``, ``other`` or ``beaten`` (which has no name in the figure).
    """
    ax = axes_of(ax)
    style: dict[str, dict[str, Any]] = {
        "today": {"marker": "o", "facecolors": "white", "edgecolors": TODAY_COLOUR, "s": 48, "linewidths": 1.6},
        "proposal": {"marker": "o", "color": PROPOSAL_COLOUR, "s": 48},
        "chosen": {"marker": "D", "color": INK, "s": 48},
        "other": {"marker": "o", "color": OTHER_COLOUR, "s": 30},
        "beaten": {"marker": "x", "color": FAINT_COLOUR, "s": 26, "linewidths": 1.1},
    }
    points = sorted(zip(loss, gain, labels, looks, strict=True), key=lambda p: (p[1], p[0]))
    for x, y, _, look in points:
        ax.scatter(x, y, zorder=2 if look == "beaten" else 3, **style[look])
    ax.set_yscale("symlog", linthresh=1, linscale=0.4)
    ax.set_ylim(bottom=0, top=max([*gain, 1]) * 1.6)
    ax.margins(x=0.12)
    ax.set_xlabel(words.value)
    ax.set_ylabel(words.rank)
    ax.grid(True, axis="both")
    ticks(ax.xaxis, words)
    ax.set_yticks([0, 1, *(y for y in (3, 10, 30, 100, 300, 1000) if y <= ax.get_ylim()[1])])
    ax.yaxis.set_major_formatter(lambda value, _: words.number(float(value)))
    ax.yaxis.minorticks_off()
    order = ("today", "proposal", "chosen", "other")
    named(ax, [(x, y, wrapped(label, 22 if narrow(ax) else 40), style[look].get("color", TODAY_COLOUR))
               for x, y, label, look in sorted(points, key=lambda p: order.index(p[3]) if p[3] in order else 9)
               if look in order], [(x, y) for x, y, *_ in points])
    return ax


def sign_flips(strips: Sequence[tuple[str, Sequence[float], Sequence[float]]], words: Words, *,
               ax: Axes | None = None) -> Axes:
    """A strip per assumption, from the low to the high end of its range: blue where the measure is below 0, amber and
    hatched above; a bar where the sign flips.

    ``strips``: (label, place in the range from 0 to 1, value of the measure) per assumption, first at the top.
    """
    ax = axes_of(ax)
    for row, (_, x, y) in enumerate(strips):
        place = len(strips) - 1 - row
        fine = np.linspace(0, 1, 2001)
        value = np.interp(fine, x, y)
        flips = fine[1:][np.diff(value > 0)]
        edges = np.array([0, *flips, 1])
        for left, right in zip(edges[:-1], edges[1:], strict=True):
            above = np.interp((left + right) / 2, x, y) > 0
            ax.barh(place, right - left, 0.76, left, color="#f6d3b8" if above else "#a9c6e3",
                    hatch="////" if above else "", edgecolor="#d98a52", lw=0)
        ax.vlines(flips, place - 0.46, place + 0.46, color=INK, lw=2)
        for at, end, side in ((0.01, y[0], "left"), (0.99, y[-1], "right")):
            ax.text(at, place, words.number(end, 2, sign=True), ha=side, va="center", fontsize=8,
                    bbox={"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 1.5})
    ax.set_yticks(range(len(strips)), [wrapped(label, 24 if narrow(ax) else 44) for label, *_ in strips[::-1]])
    ax.set(xlim=(0, 1), ylim=(-0.6, len(strips) - 0.4))
    ax.set_xticks([0.06, 0.94], [words.today, words.proposal])
    ax.set_xlabel(words.value)
    ax.grid(False)
    ax.spines[:].set_visible(False)
    return ax


def phase_in(years: Sequence[int], free: Sequence[float], capped: Sequence[float], words: Words, *,
             ax: Axes | None = None) -> Axes:
    """The largest loss of any centre in a single year by the number of years the change is spread over.

    ``free`` and ``capped`` : SEK per listed month against the year before, without and with a cap on a year's loss.
    """
    ax = axes_of(ax)
    ax.plot(years, free, "o-", color=PROPOSAL_COLOUR, label=words.proposal)
    if any(np.isfinite(capped)):
        ax.plot(years, capped, "o--", color=TODAY_COLOUR, mfc="white", label=words.today)
    ax.set(xticks=list(years), xlim=(min(years) - 0.3, max(years) + 0.3))
    ax.axhline(0, color=INK, lw=0.9)
    ax.set_xlabel(words.rank)
    ax.set_ylabel(words.value)
    ticks(ax.yaxis, words)
    legend_above(ax, 1 if narrow(ax) else 2)
    return ax
