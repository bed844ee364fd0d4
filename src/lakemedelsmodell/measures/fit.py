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


def fit_measures(cost: np.ndarray, predicted: np.ndarray, exposure: np.ndarray,
                 varies: Variation | None = None) -> FitMeasures:
    """R², CPM and mean absolute error of a prediction.

    Parameters
    ----------
    cost : SEK per row, shape (n,)
    predicted : Ĉ = R/(αe), SEK per listed month, shape (n,)
    exposure : listed months e > 0, shape (n,), times any survey weight; ``cost`` is for these months
    varies : how ``cost`` varies, where it is at hand
    """
    varies = varies or variation(cost, exposure)
    error = varies.per_month - predicted
    squares = _total(exposure, error**2)
    missed = _total(exposure, np.abs(error, out=error))
    mae = missed / varies.exposure
    if varies.squares is None:
        return FitMeasures(np.nan, np.nan, mae)
    return FitMeasures(r2=1 - squares / varies.squares, cpm=1 - missed / varies.apart, mae=mae)


@dataclass(frozen=True, eq=False)
class Variation:
    """What there is to explain of a cost, the same for every prediction of it.

    Attributes
    ----------
    per_month : float64, shape (n,)
        SEK per listed month.
    exposure : float
        Σe.
    squares : float or None
        Σ e (C−C̄)²; None where nothing varies.
    apart : float
        Σ e |C−C̄|.
    """

    per_month: np.ndarray
    exposure: float
    squares: float | None
    apart: float


def variation(cost: np.ndarray, exposure: np.ndarray) -> Variation:
    """Cost per listed month and its departures from the mean; arguments as of :func:`fit_measures`."""
    per_month, months = cost / exposure, float(exposure.sum())
    mean = cost.sum() / months
    if np.ptp(per_month) <= 1e-12 * abs(mean):  # nothing varies, so there is nothing to explain
        return Variation(per_month, months, None, 0.0)
    deviation = per_month - mean
    return Variation(per_month, months, _total(exposure, deviation**2), _total(exposure, np.abs(deviation)))


def _total(exposure: np.ndarray, x: np.ndarray) -> float:
    return float((exposure * x).sum())  # not a dot product, whose last bits vary with the number of threads
