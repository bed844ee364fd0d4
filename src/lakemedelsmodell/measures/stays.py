"""A stay: one person's time at one centre. It is the unit of chance, not the row.

A person's rows at the same centre (a birthday into a new age band) carry one illness and one run of luck, so they are
added up before any variance is taken; a mover has one stay per centre.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lakemedelsmodell.data.cohort import Cohort

RISK_STRATA = 50
"""Strata of risk among stays of the whole period, and as many among shorter ones."""
SMALLEST_STRATUM = 30
"""Stays; a smaller stratum is merged with the next."""
_SAMPLE = 100_000
_GRID = 4096


@dataclass(frozen=True, eq=False)
class Stays:
    """U stays at K centres, sorted by person and centre.

    Attributes
    ----------
    person : int32, shape (U,)
    centre : int64, shape (U,)
        Row of the cohort's centres.
    listed : float64, shape (U,)
        Listed months.
    exposure : float64, shape (U,)
        Listed months times survey weight; equals ``listed`` without weights.
    scale : float64, shape (U,)
        √Σ w²m over the stay's rows: chance is taken to grow with the root of the months listed, √m without weights.
    n_centres : int
    first : int64, shape (U,)
        Where each stay begins among the ordered rows.
    order : int64, shape (n,), or None
        Order that sorts the rows; None when they lie sorted, as a cohort's do.
    """

    person: np.ndarray
    centre: np.ndarray
    listed: np.ndarray
    exposure: np.ndarray
    scale: np.ndarray
    n_centres: int
    first: np.ndarray
    order: np.ndarray | None

    def sum(self, per_row: np.ndarray) -> np.ndarray:
        """Rows of shape (n,) added up per stay, shape (U,)."""
        return _sum_rows(per_row, self.first, self.order)

    def per_month(self, per_row: np.ndarray) -> np.ndarray:
        """Money of rows (SEK, shape (n,)) per listed month of each stay, shape (U,).

        Rounded to a millionth, so that equal amounts over unlike months stay equal.
        """
        return np.round(self.sum(per_row) / self.exposure, 6)

    def by_centre(self, per_stay: np.ndarray) -> np.ndarray:
        """Stays of shape (U,) added up per centre, shape (K,)."""
        return np.bincount(self.centre, per_stay, self.n_centres)

    @cached_property
    def months(self) -> np.ndarray:
        """M_k, listed months (times weight) per centre, shape (K,)."""
        return self.by_centre(self.exposure)

    @cached_property
    def number(self) -> np.ndarray:
        """Stays per centre, int64, shape (K,)."""
        return np.bincount(self.centre, minlength=self.n_centres)

    @cached_property
    def left_by_mean(self) -> np.ndarray:
        """Share of the squares about a centre's own mean that the mean leaves, shape (K,): 1 − 1/n of equal stays."""
        months, squared = self.months, self.scale**2
        with np.errstate(invalid="ignore", divide="ignore"):
            return (1 - 2 * self.by_centre(self.exposure * squared) / (months * self.by_centre(squared))
                    + self.by_centre(self.exposure**2) / months**2)


def stays(cohort: Cohort) -> Stays:
    """The stays of a cohort, found once."""
    return cohort.once("stays", lambda: _stays(cohort))


def cost_of_stays(cohort: Cohort) -> np.ndarray:
    """What each stay of a cohort cost, SEK times weight, shape (U,), found once."""
    return cohort.once("cost of stays", lambda: stays(cohort).sum(cohort.weighted(cohort.cost)))


def _stays(cohort: Cohort) -> Stays:
    key = cohort.person.astype(np.int64) * cohort.n_centres + cohort.centre
    order = None
    if (np.diff(key) < 0).any():
        order = np.argsort(key, kind="stable")
        key = key[order]
    first = np.flatnonzero(np.diff(key, prepend=-1))
    person, centre = np.divmod(key[first], cohort.n_centres)
    listed = _sum_rows(cohort.months, first, order)
    if cohort.weight is None:
        exposure, squared = listed, listed
    else:
        exposure = _sum_rows(cohort.exposure, first, order)
        squared = _sum_rows(cohort.exposure * cohort.weight, first, order)
    return Stays(person.astype(np.int32), centre, listed, exposure, np.sqrt(squared), cohort.n_centres, first, order)


def _sum_rows(per_row: np.ndarray, first: np.ndarray, order: np.ndarray | None) -> np.ndarray:
    return np.add.reduceat(np.asarray(per_row, dtype=np.float64)[... if order is None else order], first)


def risk_strata(predicted: np.ndarray, listed: np.ndarray, *, strata: int = RISK_STRATA,
                smallest: int = SMALLEST_STRATUM) -> np.ndarray:
    """Stratum 0..S-1 of each stay: alike in predicted cost, and listed for the whole period or not.

    Strata hold about equal shares of the predicted cost rather than of the persons, since variance lies where cost
    lies. Equal predictions stay together; a stratum of fewer than ``smallest`` stays is merged with the next.

    Parameters
    ----------
    predicted : cost expected, SEK per listed month, shape (U,)
    listed : listed months, shape (U,)
    """
    sample = np.sort(predicted[:: max(1, len(predicted) // _SAMPLE)])
    spent = np.cumsum(sample.clip(min=0))
    at = np.searchsorted(spent, spent[-1] * np.arange(1, strata) / strata)
    risk = _bounds_passed(np.unique(sample[at]), predicted)
    cell = (listed >= listed.max() * (1 - 1e-9)) * strata + risk
    return _merged(np.bincount(cell, minlength=2 * strata), smallest)[cell]


def _bounds_passed(bounds: np.ndarray, value: np.ndarray) -> np.ndarray:
    """How many of a few ascending bounds each value reaches, int16: ``searchsorted(bounds, value, side="right")``.

    A third of its time: one look at a fine grid, whose cells grow with the value, leaves the bounds in the cell.
    """
    width = (bounds[-1] - bounds[0] or 1.0) / _GRID

    def cell_of(x: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            return (np.clip((x - bounds[0]) / width, -1, _GRID) + 1).astype(np.int16)

    of_bound, cell = cell_of(bounds), cell_of(value)
    below = np.searchsorted(of_bound, np.arange(_GRID + 2)).astype(np.int16)
    passed = below[cell]
    place = np.arange(len(bounds)) - below[of_bound]  # among the bounds of its cell
    for nth in range(place.max() + 1):
        bound = np.full(_GRID + 2, np.inf)
        bound[of_bound[place == nth]] = bounds[place == nth]
        passed += value >= bound[cell]
    passed[np.isnan(value)] = len(bounds)
    return passed


def _merged(sizes: np.ndarray, smallest: int) -> np.ndarray:
    """New number of each stratum, neighbours joined until each holds ``smallest``; what is left joins the last."""
    label, current, held = [], 0, 0
    for size in sizes:
        label.append(current)
        held += size
        if held >= smallest:
            current, held = current + 1, 0
    return np.minimum(label, max(current - 1, 0))


def chance_variance(here: Stays, value: np.ndarray, stratum: np.ndarray) -> np.ndarray:
    """Σ v_i / M_k² per centre, (SEK per listed month)², shape (K,): v from the variance within strata of all centres.

    Within a stratum value / scale varies alike for all stays (ddof 1). nan for a centre with fewer than two stays.

    Parameters
    ----------
    here : the stays
    value : SEK over the stay (a residual, or a net), shape (U,)
    stratum : integers 0..S-1, shape (U,), two stays or more in each
    """
    z = within_strata(value / here.scale, stratum)
    per_month = np.bincount(stratum, np.square(z, out=z)) / (np.bincount(stratum) - 1).clip(min=1)
    chance = np.multiply(per_month[stratum], here.scale**2, out=z)
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = here.by_centre(chance) / here.months**2
    return np.where(here.number > 1, variance, np.nan)


def within_strata(value: np.ndarray, stratum: np.ndarray) -> np.ndarray:
    """Each value less the mean of its stratum, shape (U,)."""
    mean = (np.bincount(stratum, value) / np.bincount(stratum).clip(min=1))[stratum]
    return np.subtract(value, mean, out=mean)
