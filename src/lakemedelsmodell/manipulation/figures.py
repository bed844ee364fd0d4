"""Pictures of play: the frontier of fit and robustness, and gains by strategy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from lakemedelsmodell.manipulation.designs import PROPOSAL, TODAY
from lakemedelsmodell.manipulation.frontier import EFFORT
from lakemedelsmodell.palette import FAINT_COLOUR, INK, OTHER_COLOUR, PROPOSAL_COLOUR, TODAY_COLOUR

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOOKS: tuple[dict[str, Any], ...] = (
    {"color": "white", "edgecolor": TODAY_COLOUR}, {"color": PROPOSAL_COLOUR}, {"color": INK},
    {"color": OTHER_COLOUR}, {"color": "white", "edgecolor": INK, "hatch": "////"})
"""Bars of today's model, the proposal and the designs beside them, in this order."""


def frontier_figure(frontier: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Distance to the ideal net (or 1 − R²) across, worst gain up: down and to the left is better; dominated pale.

    Designs are numbered by their gain, worst first, and named beside the picture.
    """
    import matplotlib.pyplot as plt

    ax = plt.subplots(figsize=(9, 5.4), layout="constrained")[1] if ax is None else ax
    known = frontier["rmse_to_ideal"].notna().all()
    table = frontier.assign(loss=frontier["rmse_to_ideal"] if known else 1 - frontier["r2"])
    table = table.sort_values(["worst_gain", "loss"], ascending=False, ignore_index=True)
    own = {TODAY: TODAY_COLOUR, PROPOSAL: PROPOSAL_COLOUR}
    colours = [own.get(r.design, INK if r.recommended else FAINT_COLOUR if r.dominated else OTHER_COLOUR)
               for r in table.itertuples()]
    ax.scatter(table["loss"], table["worst_gain"], c=colours, s=[70 if r else 36 for r in table["recommended"]])
    for x, y, numbers in _close_together(table):
        ax.annotate(numbers, (x, y), (6, 4), textcoords="offset points", fontsize=8)
    for i, (row, colour) in enumerate(zip(table.itertuples(), colours, strict=True)):
        ax.text(1.02, 1 - i / max(len(table), 16), f"{i + 1}  {row.design.replace('_', ' ')}", va="top", fontsize=8,
                color=OTHER_COLOUR if colour == FAINT_COLOUR else colour, transform=ax.transAxes)
    ax.set_xlabel("RMSE to the ideal net, SEK per listed month" if known else "1 − R² out of period")
    ax.set_ylabel(f"Worst gain, SEK per listed month\n(one centre, {EFFORT:.0%} of those eligible)")
    ax.set_ylim(bottom=0)
    return ax


def _close_together(table: pd.DataFrame) -> list[tuple[float, float, str]]:
    """Where to write the numbers of the designs: those that lie on one another share a place."""
    wide, high = (max(float(table[c].max() - table[c].min()), 1e-9) for c in ("loss", "worst_gain"))
    places: list[tuple[float, float, list[int]]] = []
    for i, (x, y) in enumerate(zip(table["loss"], table["worst_gain"], strict=True), 1):
        near = next((p for p in places if abs(p[0] - x) < 0.03 * wide and abs(p[1] - y) < 0.045 * high), None)
        if near:
            near[2].append(i)
        else:
            places.append((float(x), float(y), [i]))
    return [(x, y, ", ".join(map(str, numbers))) for x, y, numbers in places]


def gains_figure(gains: pd.DataFrame, designs: Sequence[str], effort: float = EFFORT, ax: Axes | None = None) -> Axes:
    """Gain per listed month of one centre (where all play, of each) by strategy, a bar per design."""
    import matplotlib.pyplot as plt
    import numpy as np

    shown = gains[(gains["effort"] == effort) & gains["design"].isin(designs) & (gains["amounts"] == "frozen")
                  & ((gains["played_by"] == "one") | (gains["strategy"] == "everyone"))]
    order = list(dict.fromkeys(shown.sort_values("number", kind="stable")["strategy"]))
    ax = plt.subplots(figsize=(8, 0.42 * len(order) + 1.2), layout="constrained")[1] if ax is None else ax
    height = 0.8 / max(len(designs), 1)
    for i, design in enumerate(designs):
        of = shown[shown["design"] == design].set_index("strategy")["gain_per_listed_month"].reindex(order)
        ax.barh(np.arange(len(order)) + (i - (len(designs) - 1) / 2) * height, of, height,
                label=design.replace("_", " "), **LOOKS[i % len(LOOKS)])
    ax.set_yticks(range(len(order)), [name.replace("_", " ") for name in order])
    ax.invert_yaxis()
    ax.set_xscale("symlog", linthresh=1)
    ax.axvline(0, color="black", lw=0.8)
    ax.set_xlabel(f"Gain, SEK per listed month, {effort:.0%} of those eligible (scale: linear to ±1, then logarithmic)")
    ax.legend(frameon=False, loc="lower right")
    return ax
