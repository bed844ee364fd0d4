"""The noise floor: the spread between centres that chance alone gives, however good the model.

F² = mean over centres of α² Σ v_i / M_k², where v_i = Var(C | need) is what the best predictor at hand leaves
unexplained of a person's cost and M_k the centre's listed months. A predictor that misses some need leaves it among
the residuals, so F is an upper bound that sinks as predictors improve. It is the same for every model of payment.

Three estimators, which lean on different things and must agree:

- analytic: v pooled over all centres within strata of risk;
- squared residuals: each centre's own residuals about its own mean, nothing pooled, no strata;
- permutation: residuals dealt out anew to the centres within strata of risk; the spread that comes of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lakemedelsmodell.data.cohort import Cohort
from lakemedelsmodell.measures.stays import Stays, chance_variance, risk_strata, stays, within_strata


@dataclass(frozen=True, eq=False)
class NoiseFloor:
    """Spread by chance of the net per listed month over K centres. All in SEK per listed month unless said.

    Attributes
    ----------
    analytic, squared_residuals, permutation : float
        F by the three estimators; nan with fewer than two centres of two persons each.
    permutation_se : float
        Monte-Carlo standard error of ``permutation``.
    low, high : float
        2.5th and 97.5th percentile of the SD over the permutations: where the SD lies if it is chance alone.
    variance : float64, shape (K,)
        α² Σ v_i / M_k² of each centre by the analytic estimator, (SEK per listed month)²; nan with fewer than two
        persons.
    """

    analytic: float
    squared_residuals: float
    permutation: float
    permutation_se: float
    low: float
    high: float
    variance: np.ndarray

    @property
    def floor(self) -> float:
        """F, by the analytic estimator."""
        return self.analytic

    @property
    def disagreement(self) -> float:
        """Largest over smallest of the three estimates, less 1."""
        three = np.array([self.analytic, self.squared_residuals, self.permutation])
        return float(three.max() / three.min() - 1) if (three > 0).all() else np.nan

    def to_frame(self) -> pd.DataFrame:
        """One row per estimator: estimator, noise_floor, standard_error (of simulation; nan where nothing is drawn)."""
        return pd.DataFrame({
            "estimator": ["analytic", "squared_residuals", "permutation"],
            "noise_floor": [self.analytic, self.squared_residuals, self.permutation],
            "standard_error": [np.nan, np.nan, self.permutation_se],
        })

    def _repr_html_(self) -> str:
        return (self.to_frame().to_html(index=False, float_format=lambda v: f"{v:,.3f}", na_rep="")
                + f"<p>SEK per listed month. By chance alone the SD lies between {self.low:,.3f} and {self.high:,.3f} "
                  "(95 %).</p>")


def noise_floor(cohort: Cohort, predicted: np.ndarray, cost_responsibility: float, *, permutations: int = 100,
                seed: int = 20260507) -> NoiseFloor:
    """F by three estimators.

    Parameters
    ----------
    cohort : Cohort of the paid period; chance is that of its listed persons' costs
    predicted : the best predictor's cost, SEK per listed month before α, shape (n,); not fitted on these costs, or
        fitted with few amounts on many persons
    cost_responsibility : α in (0, 1]
    permutations, seed : of the third estimator; with no permutations it is nan, and so are ``low`` and ``high``
    """
    here = stays(cohort)
    expected = cohort.exposure * predicted
    residual = cost_responsibility * here.sum(cohort.weighted(cohort.cost) - expected)
    stratum = risk_strata(here.per_month(expected), here.listed)
    del expected  # of a whole country what the permutations need is much
    variance = chance_variance(here, residual, stratum)
    counted = here.number > 1
    if counted.sum() < 2:
        return NoiseFloor(np.nan, np.nan, np.nan, np.nan, np.nan, np.nan, variance)
    drawn = permuted_variances(here, residual, stratum, permutations, seed) if permutations else np.zeros(0)
    floor = np.sqrt(drawn.mean()) if permutations else np.nan
    low, high = np.sqrt(np.quantile(drawn, [0.025, 0.975])) if permutations else (np.nan, np.nan)
    return NoiseFloor(
        analytic=float(np.sqrt(variance[counted].mean())),
        squared_residuals=float(np.sqrt(own_variance(here, residual)[counted].mean())),
        permutation=float(floor),
        permutation_se=(float(drawn.std(ddof=1) / np.sqrt(permutations) / (2 * floor)) if floor > 0
                        else 0.0 if permutations else np.nan),
        low=float(low), high=float(high), variance=variance,
    )


def own_variance(here: Stays, residual: np.ndarray) -> np.ndarray:
    """Σ (r_i − r̄_k e_i)² / M_k² per centre, made up for the mean, (SEK per listed month)², shape (K,).

    From the centre's own residuals (SEK over the stay, shape (U,)) about its own mean, which is style and misfit and
    not chance. What the mean takes away is 1/n when stays are equally long. nan for a centre with fewer than two.
    """
    months = here.months
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = here.by_centre(residual) / months
        squares = here.by_centre((residual - mean[here.centre] * here.exposure) ** 2)
        return np.where(here.number > 1, squares / here.left_by_mean / months**2, np.nan)


def permuted_variances(here: Stays, residual: np.ndarray, stratum: np.ndarray, permutations: int,
                       seed: int) -> np.ndarray:
    """Variance over centres (ddof 1) when residuals are dealt out anew within strata, shape (permutations,).

    Whole stays keep their residual per root month and change places; a centre keeps its number of stays of every
    risk. A sum to zero over all centres, which dealing without replacement brings, is what ddof 1 makes up for.

    The stays of a stratum are put in random order once and then turned by a random step each time: any two places are
    then as far apart as in a fresh permutation, so the mean of the variance is the same, at a quarter of the time.
    """
    rng = np.random.default_rng(seed)
    by_stratum = np.argsort(stratum.astype(np.int16), kind="stable")
    bounds = np.concatenate([[0], np.cumsum(np.bincount(stratum))])
    blocks = [slice(low, high) for low, high in zip(bounds[:-1], bounds[1:], strict=True)]
    for block in blocks:
        rng.shuffle(by_stratum[block])
    scale, centre = here.scale[by_stratum], here.centre[by_stratum]
    z = within_strata(residual / here.scale, stratum)[by_stratum]
    del by_stratum
    turned, found = np.empty_like(z), np.empty(permutations)
    counted = here.number > 1
    months = here.months[counted]
    for p in range(permutations):
        for block in blocks:
            step = int(rng.integers(block.stop - block.start))
            cut, to = block.stop - step, block.start + step
            np.multiply(z[cut:block.stop], scale[block.start:to], out=turned[block.start:to])
            np.multiply(z[block.start:cut], scale[to:block.stop], out=turned[to:block.stop])
        sums = np.bincount(centre, turned, here.n_centres)[counted]
        found[p] = (sums / months).var(ddof=1)
    return found
