"""The life of a table: prices move under it, and one table gives way to another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lakemedelsmodell.amounts import AmountTable, blend
from lakemedelsmodell.data.cohort import CentreTotals, Cohort
from lakemedelsmodell.errors import UserError
from lakemedelsmodell.settlement import Settlement, largest_remainder, settle

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LONGEST_PHASE_IN = 5


def repricing_effect(table: AmountTable, repriced: AmountTable, before: Cohort | CentreTotals,
                     after: Cohort | CentreTotals, cost_responsibility: float) -> pd.DataFrame:
    """What a change of prices does to each centre, with and without new amounts.

    Parameters
    ----------
    table, repriced : the amounts as they were, and at the new prices (:func:`~lakemedelsmodell.amounts.reprice`)
    before, after : the paid period at the old and at the new prices (:func:`~lakemedelsmodell.data.new_prices`), or
        its sums under the table's rule, where the amounts simply add up
    cost_responsibility : α in (0, 1]

    Returns
    -------
    DataFrame, one row per centre: centre_id, listed_months; net_before, net_without, net_with (SEK per listed month:
    at old prices; at new prices by the old amounts; by the new); gain_without, gain_with (SEK over the period, against
    before). Each budget is α × its own cost, so gains sum to nothing: what one centre gains others lose.
    """
    was, without, with_ = (settle(t, c, cost_responsibility)
                           for t, c in ((table, before), (table, after), (repriced, after)))
    return pd.DataFrame({
        "centre_id": was.centre_ids, "listed_months": was.months, "net_before": was.net_per_month,
        "net_without": without.net_per_month, "net_with": with_.net_per_month,
        "gain_without": without.net_sek - was.net_sek, "gain_with": with_.net_sek - was.net_sek,
    })


@dataclass(frozen=True, eq=False)
class PhaseIn:
    """Y years from one table to another for K centres, on the same cohort and budget each year.

    Attributes
    ----------
    old : Settlement
        Year 0.
    tables : tuple of AmountTable, length Y
        The blend each year rests on.
    reimbursement_ore : int64, shape (Y + 1, K)
        Öre, year 0 first; every year sums to the budget.
    held_up : bool, shape (Y, K)
        Whom the cap on loss holds up.
    cap : float or None
        Largest loss from one year to the next, SEK per listed month.
    """

    old: Settlement
    tables: tuple[AmountTable, ...]
    reimbursement_ore: np.ndarray
    held_up: np.ndarray
    cap: float | None

    @property
    def net_per_month(self) -> np.ndarray:
        """SEK per listed month, shape (Y + 1, K); nan for a centre without listed months."""
        with np.errstate(invalid="ignore", divide="ignore"):
            net = (self.reimbursement_ore / 100 - self.old.own_cost_sek) / self.old.months
        return np.where(self.old.months > 0, net, np.nan)

    @property
    def yearly_change(self) -> np.ndarray:
        """Against the year before, SEK per listed month, shape (Y, K)."""
        return np.diff(self.net_per_month, axis=0)

    def to_frame(self) -> pd.DataFrame:
        """One row per year (1..Y) and centre: year, centre_id, reimbursement_sek, net_sek_per_listed_month,
        change_sek_per_listed_month, held_up."""
        Y, K = self.held_up.shape
        return pd.DataFrame({
            "year": np.repeat(np.arange(1, Y + 1), K), "centre_id": np.tile(self.old.centre_ids, Y),
            "reimbursement_sek": self.reimbursement_ore[1:].ravel() / 100,
            "net_sek_per_listed_month": self.net_per_month[1:].ravel(),
            "change_sek_per_listed_month": self.yearly_change.ravel(), "held_up": self.held_up.ravel()})

    def plot(self, ax: Axes | None = None) -> Axes:
        """Every centre's net by year, SEK per listed month."""
        if ax is None:
            import matplotlib.pyplot as plt

            ax = plt.subplots()[1]
        ax.plot(np.arange(len(self.reimbursement_ore)), self.net_per_month, color="0.6", lw=0.6)
        ax.axhline(0, color="0.2", lw=0.8)
        ax.set(xlabel="Year", ylabel="Net, SEK per listed month", xticks=np.arange(len(self.reimbursement_ore)))
        return ax

    def _repr_html_(self) -> str:
        by_year = self.to_frame().groupby("year").agg(
            largest_loss=("change_sek_per_listed_month", "min"), largest_gain=("change_sek_per_listed_month", "max"),
            held_up=("held_up", "sum"))
        return by_year.to_html(float_format=lambda v: f"{v:,.2f}") + "<p>SEK per listed month.</p>"


def phase_in(old: AmountTable, new: AmountTable, cohort: Cohort | CentreTotals, cost_responsibility: float, *,
             years: int = 3, cap: float | None = None, budget_sek: float | None = None) -> PhaseIn:
    """Go from one table to another in equal steps, all years settled on the same cohort and budget.

    With a ``cap`` nobody loses more than so many SEK per listed month from one year to the next (to the öre); what that
    costs is taken from the gains of that year's gainers in proportion, so nobody who gains comes to lose. A centre
    still held up in the last year has a way left to go.

    Raises UserError for fewer than 1 or more than 5 years, a negative cap, or tables that cannot be blended.
    """
    if not 1 <= years <= LONGEST_PHASE_IN:
        raise UserError(f"A phase-in of {years} years is not between 1 and {LONGEST_PHASE_IN}.")
    if cap is not None and not cap >= 0:
        raise UserError(f"A cap on loss of {cap} is below 0. Give SEK per listed month.")
    start = settle(old, cohort, cost_responsibility, budget_sek)
    tables = tuple(blend(old, new, year / years) for year in range(1, years + 1))
    most = np.full(len(start.months), np.inf) if cap is None else 100 * cap * start.months
    paid, held_up = [start.reimbursement_ore], []
    for table in tables:
        target = settle(table, cohort, cost_responsibility, budget_sek).reimbursement_ore
        held_up.append(paid[-1] - target > most)
        capped = cap_losses(paid[-1], target, most) if held_up[-1].any() else target
        paid.append(largest_remainder(capped, start.budget_ore))
    return PhaseIn(start, tables, np.array(paid), np.array(held_up), cap)


def cap_losses(before: np.ndarray, target: np.ndarray, most: np.ndarray) -> np.ndarray:
    """Payments of the same sum as ``target`` where nobody gets less than ``before`` − ``most``, shape (K,).

    Losers within their cap get their target; gainers pay for the others in proportion to their gain.
    """
    change = (target - before).astype(np.float64)
    kept = np.maximum(change, -most)
    gains = change.clip(min=0).sum()
    share = 1 - (kept - change).sum() / gains if gains > 0 else 1.0
    return before + np.where(change > 0, change * share, kept)
