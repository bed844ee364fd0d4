"""Are those expected to cost much the ones who do, and how well does the payment itself follow cost?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lakemedelsmodell.data.cohort import Cohort
from lakemedelsmodell.measures.fit import FitMeasures, Variation, fit_measures
from lakemedelsmodell.measures.stays import cost_of_stays, stays
from lakemedelsmodell.models.named_groups import equal_groups

if TYPE_CHECKING:
    from matplotlib.axes import Axes


NORMAL_95 = 1.96
"""Standard errors to either side of a 95 % interval of many persons."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """Predicted against actual cost by groups of equal size in predicted cost.

    Attributes
    ----------
    groups : DataFrame, one row per group, cheapest first
        group (1..10), persons, listed_months, predicted and actual (SEK per listed month), ratio (predicted over
        actual; nan without cost), ci_low, ci_high (95 % of the ratio, persons independent). Persons with the same
        prediction share a group, so a coarse model fills fewer than ten.
    slope : float
        Of actual on predicted cost, weighted by listed months: 1 when well calibrated, below 1 when predictions are too
        far apart; nan when all are alike.
    """

    groups: pd.DataFrame
    slope: float

    def to_frame(self) -> pd.DataFrame:
        return self.groups

    def plot(self, ax: Axes | None = None) -> Axes:
        """Actual by predicted cost, with the line where they agree."""
        if ax is None:
            import matplotlib.pyplot as plt

            ax = plt.subplots(figsize=(4.5, 4.5))[1]
        ax.axline((0, 0), slope=1, color="0.6", lw=0.8)
        ax.plot(self.groups["predicted"], self.groups["actual"], "o-", ms=4)
        ax.set(xlabel="Predicted, SEK per listed month", ylabel="Actual, SEK per listed month")
        return ax

    def _repr_html_(self) -> str:
        return (self.groups.to_html(index=False, float_format=lambda v: f"{v:,.2f}")
                + f"<p>Slope of actual on predicted: {self.slope:.3f}. Money in SEK per listed month.</p>")


def calibration(cohort: Cohort, predicted: np.ndarray, *, groups: int = 10) -> Calibration:
    """Calibration by decile of predicted cost, each decile with about a tenth of the listed months.

    Parameters
    ----------
    cohort : Cohort of the paid period
    predicted : Ĉ, SEK of cost per listed month, shape (n,)
    """
    here, cost = stays(cohort), cost_of_stays(cohort)
    per_month, e = here.per_month(cohort.exposure * predicted), here.exposure
    expected = e * per_month
    group = equal_groups(per_month, e, groups)
    months, spent, foreseen = (np.bincount(group, v, groups) for v in (e, cost, expected))
    filled = np.flatnonzero(months > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(spent > 0, foreseen / spent, np.nan)
        half = NORMAL_95 * np.sqrt(np.bincount(group, (expected - ratio[group] * cost) ** 2, groups)) / spent
    frame = pd.DataFrame({
        "group": filled + 1, "persons": np.bincount(group, minlength=groups)[filled], "listed_months": months[filled],
        "predicted": foreseen[filled] / months[filled], "actual": spent[filled] / months[filled],
        "ratio": ratio[filled], "ci_low": (ratio - half)[filled], "ci_high": (ratio + half)[filled],
    })
    apart = per_month - foreseen.sum() / months.sum()
    varied = (e * apart**2).sum()
    return Calibration(frame, float((apart * cost).sum() / varied) if np.ptp(per_month) > 0 else np.nan)


def payment_system_fit(cohort: Cohort, payment: np.ndarray, cost_responsibility: float,
                       varies: Variation | None = None) -> FitMeasures:
    """R², CPM and mean error of what is paid, not of what was predicted (Layton, Ellis, McGuire & van Kleef 2017).

    Parameters
    ----------
    cohort : Cohort of the paid period
    payment : SEK the centre gets for each row, after φ, pooling and rounding (and times any weight), shape (n,)
    cost_responsibility : α in (0, 1]; a payment is right when it is α times the cost
    varies : how the cohort's cost varies, where it is at hand
    """
    worth = payment / (cost_responsibility * cohort.exposure)
    return fit_measures(cohort.weighted(cohort.cost), worth, cohort.exposure, varies)
