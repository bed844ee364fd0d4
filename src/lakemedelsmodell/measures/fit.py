"""How well amounts follow the cost of persons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class FitMeasures:
    """Fit per person, weighted by listed months; nan where it cannot be known.

    Attributes
    ----------
    r2 : float
        1 − Σ(C−Ĉ)²/Σ(C−C̄)².
    cpm : float
        Cumming's prediction measure, 1 − Σ|C−Ĉ|/Σ|C−C̄|.
    mae : float
        Mean absolute error, SEK per listed month.
    """

    r2: float
    cpm: float
    mae: float


def fit_measures(cost: np.ndarray, predicted: np.ndarray, exposure: np.ndarray) -> FitMeasures:
    """R², CPM and mean absolute error of a prediction.

    Parameters
    ----------
    cost : SEK per row, shape (n,)
    predicted : Ĉ = R/(αe), SEK per listed month, shape (n,)
    exposure : listed months e > 0, shape (n,), times any survey weight; ``cost`` is for these months
    """
    per_month = cost / exposure
    mean = cost.sum() / exposure.sum()
    error, deviation = per_month - predicted, per_month - mean

    def total(x: np.ndarray) -> float:
        return float((exposure * x).sum())  # not a dot product, whose last bits vary with the number of threads

    mae = total(np.abs(error)) / float(exposure.sum())
    if np.ptp(per_month) <= 1e-12 * abs(mean):  # nothing varies, so there is nothing to explain
        return FitMeasures(np.nan, np.nan, mae)
    return FitMeasures(
        r2=1 - total(error**2) / total(deviation**2),
        cpm=1 - total(np.abs(error)) / total(np.abs(deviation)),
        mae=mae,
    )
