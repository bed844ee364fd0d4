"""Pictures of play: the frontier of fit and robustness, and gains by strategy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from lakemedelsmodell.manipulation.frontier import EFFORT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN, GREY, CHOSEN = "#0072b2", "#b0b0b0", "#d55e00"


def frontier_figure(frontier: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Distance to the ideal net (or 1 − R²) across, worst gain up: down and to the left is better; dominated grey."""
    import matplotlib.pyplot as plt

    ax = plt.subplots(figsize=(8, 5.2), layout="constrained")[1] if ax is None else ax
    known = frontier["rmse_to_ideal"].notna().all()
    loss = frontier["rmse_to_ideal"] if known else 1 - frontier["r2"]
    for x, row in zip(loss, frontier.itertuples(), strict=True):
        colour = CHOSEN if row.recommended else GREY if row.dominated else SHOWN
        ax.plot(x, row.worst_gain, "D" if row.recommended else "o", color=colour, ms=8 if row.recommended else 6)
    _labels(ax, [(float(x), float(r.worst_gain), r.design.replace("_", " "),
                  CHOSEN if r.recommended else "#707070" if r.dominated else SHOWN)
                 for x, r in zip(loss, frontier.itertuples(), strict=True)])
    ax.set_xlabel("RMSE to the ideal net, SEK per listed month" if known else "1 − R² out of period")
    ax.set_ylabel(f"Worst gain, SEK per listed month\n(one centre, {EFFORT:.0%} of those eligible)")
    ax.set_ylim(bottom=0)
    ax.margins(x=0.15)
    return ax


def _labels(ax: Axes, points: list[tuple[float, float, str, str]]) -> None:
    """Names beside the points, moved up where they would lie on one another."""
    ax.margins(x=0.15)
    height = max((y for _, y, _, _ in points), default=1.0) * 0.035
    width = (max(x for x, *_ in points) - min(x for x, *_ in points)) * 0.22 if points else 1.0
    taken: list[tuple[float, float]] = []
    for x, y, text, colour in sorted(points, key=lambda p: (p[1], p[0])):
        at = y
        while any(abs(x - a) < width and abs(at - b) < height for a, b in taken):
            at += height
        taken.append((x, at))
        ax.annotate(text, (x, y), (x + width * 0.06, at), fontsize=8, color=colour, va="center")


def gains_figure(gains: pd.DataFrame, designs: Sequence[str], effort: float = EFFORT, ax: Axes | None = None) -> Axes:
    """Gain per listed month of one centre (where all play, of each) by strategy, a bar per design."""
    import matplotlib.pyplot as plt
    import numpy as np

    shown = gains[(gains["effort"] == effort) & gains["design"].isin(designs)
                  & ((gains["played_by"] == "one") | (gains["strategy"] == "everyone"))]
    order = list(dict.fromkeys(shown.sort_values("number", kind="stable")["strategy"]))
    ax = plt.subplots(figsize=(8, 0.42 * len(order) + 1.2), layout="constrained")[1] if ax is None else ax
    colours = [GREY, CHOSEN, SHOWN, "#009e73", "#cc79a7"]
    height = 0.8 / max(len(designs), 1)
    for i, design in enumerate(designs):
        of = shown[shown["design"] == design].set_index("strategy")["gain_per_listed_month"].reindex(order)
        ax.barh(np.arange(len(order)) + (i - (len(designs) - 1) / 2) * height, of, height,
                color=colours[i % len(colours)], label=design.replace("_", " "))
    ax.set_yticks(range(len(order)), [name.replace("_", " ") for name in order])
    ax.invert_yaxis()
    ax.set_xscale("symlog", linthresh=1)
    ax.axvline(0, color="black", lw=0.8)
    ax.set_xlabel(f"Gain, SEK per listed month, {effort:.0%} of those eligible (scale: linear to ±1, then logarithmic)")
    ax.legend(frameon=False, loc="lower right")
    return ax
