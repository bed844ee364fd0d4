"""How sure each amount is, as it is paid: 95 % intervals of the amounts for age and sex and of the add-ons.

Amounts b = αβ are set on the persons of a half-year; other centres would have set others. With A = X'WX over the
columns solved for and s_k = X_k'(C − eXβ) the scores of a centre,

    Var(b) = α² A⁻¹ (Σ_k s_k s_k') A⁻¹

(sandwich over clusters: Liang & Zeger 1986; persons of one centre may depend on each other in any way). What is paid
is a_j = φ b_j, and φ = (B − pool) / T'b depends on every amount: da_j = φ (db_j − b_j T'db / T'b) (delta method), T the
listed months of each column in the paid period. Whole kronor add the variance of rounding, 1/12.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from lakemedelsmodell.amounts import AmountTable
from lakemedelsmodell.data.cohort import Cohort
from lakemedelsmodell.facts import N_CELLS
from lakemedelsmodell.measures.groups import FEWEST_CLUSTERS
from lakemedelsmodell.models.base import cost_to_fit
from lakemedelsmodell.models.least_squares import DUST, normal_equations

ROUNDING = 1 / 12
"""Variance of what rounding to whole kronor adds, SEK²."""
NOTHING = 1e-6
"""Share of a column's cost that its scores sum to at most where the column was solved for."""


def amount_intervals(table: AmountTable, fitted_as: AmountTable, fitted: Cohort, paid: Cohort,
                     cost_responsibility: float, phi: float) -> pd.DataFrame:
    """Intervals of the amounts of a table set by least squares with one amount per age and sex and condition.

    Parameters
    ----------
    table : the amounts as published
    fitted_as : the same as estimated on ``fitted``, α times least squares, not rounded
    fitted, paid : what the amounts are set on, and whom they pay
    cost_responsibility, phi : α, and the φ that closes the table to the budget of the paid period

    Returns
    -------
    DataFrame, one row per amount: kind, name, sex, age_from; sek_per_month, standard_error, ci_low and ci_high of the
    amount as published; closed_sek, closed_error, closed_low and closed_high of φ times it. SEK per listed month.
    Errors and ends are nan for what its own column has not set: an add-on held at a bound, a cell nobody was listed in,
    what one centre alone has set. Student's t with G − 1 degrees of freedom, G = (Σ m_k)² / Σ m_k² the effective number
    of centres behind an amount, m_k its listed months (Carter, Schnepel & Steigerwald 2017, centres' designs taken as
    alike); with fewer than ten centres the rows of persons are taken as independent.
    """
    from scipy.special import stdtrit
    from threadpoolctl import threadpool_limits

    amounts, sek = table.to_frame(), _columns(table)
    listed = _months(paid, table.rule).sum(axis=0)
    with threadpool_limits(1):  # threaded sums differ in the last bits from run to run
        covariance, centres = _covariance(fitted_as, fitted, cost_responsibility)
        closing = phi * (np.eye(len(sek)) - np.outer(sek, listed) / (sek @ listed))
        variances = np.diag(covariance), np.diag(closing @ covariance @ closing.T)
    rounding = ROUNDING if table.unrounded is not None else 0.0
    few = centres / np.where(centres > 1, centres - 1, np.nan)
    known = np.where(np.isnan(few) | (variances[0] == 0), np.nan, 1.0)
    found = amounts.iloc[:len(sek)][["kind", "name", "sex", "age_from"]].copy()
    t = stdtrit(np.where(centres > 1, centres - 1, np.nan), 0.975)
    for paid_as, scale, variance, (value, error, low, high) in (
            (sek, 1.0, variances[0], ("sek_per_month", "standard_error", "ci_low", "ci_high")),
            (phi * sek, phi, variances[1], ("closed_sek", "closed_error", "closed_low", "closed_high"))):
        se = known * np.sqrt(few * variance + scale**2 * rounding)
        found = found.assign(**{value: paid_as, error: se, low: paid_as - t * se, high: paid_as + t * se})
    return found.assign(sek_per_month=amounts["sek_per_month"].iloc[:len(sek)])


def _columns(table: AmountTable) -> np.ndarray:
    """Cells and add-ons below each other, SEK per listed month, shape (42 + C,); 0 where none is set."""
    return np.nan_to_num(np.concatenate([table.cells.reshape(-1), table.add_ons]))


def _months(cohort: Cohort, rule: str | None) -> np.ndarray:
    """Listed months of each column at each centre, shape (K, 42 + C)."""
    totals = cohort.totals(rule)
    return np.hstack([totals.months_by_cell, totals.flagged_months])


def _covariance(fitted_as: AmountTable, fitted: Cohort, cost_responsibility: float) -> tuple[np.ndarray, np.ndarray]:
    """Var(b), 0 for what was not solved for, shape (p, p); and the effective number of centres, shape (p,)."""
    rule, e = fitted_as.rule, fitted.exposure
    profiles = fitted.profiles(rule)
    cost = cost_to_fit(fitted, fitted_as.pool_threshold)
    expected = fitted_as.per_month(profiles.cell, profiles.flags)[profiles.of_row] / cost_responsibility
    left = np.where(e > 0, cost - e * expected, 0.0)

    def crossed(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        sums = normal_equations(profiles.cell, profiles.flags, profiles.sum(weight), profiles.sum(cost))
        return sums.xtx[0], sums.xty[0]

    (design, spent), months, scores = crossed(e), _months(fitted, rule), _scores(fitted, rule, left)
    met = np.abs(scores.sum(axis=0)) <= NOTHING * np.abs(spent)
    solved = met & (_columns(fitted_as) != 0) & (np.diag(design) > 0)
    if (months.sum(axis=1) > 0).sum() < FEWEST_CLUSTERS:
        meat, squares = crossed(left**2)[0], np.diag(crossed(e**2)[0])
    else:
        meat, squares = scores.T @ scores, (months**2).sum(axis=0)
    behind = np.divide(np.diag(design) ** 2, squares, out=np.zeros(len(squares)), where=squares > 0)
    at = np.ix_(solved, solved)
    scale = np.sqrt(np.diag(design)[solved])
    bread = np.linalg.pinv(design[at] / np.outer(scale, scale), DUST, hermitian=True) / np.outer(scale, scale)
    covariance = np.zeros_like(design)
    covariance[at] = cost_responsibility**2 * bread @ meat[at] @ bread
    return covariance, behind


def _scores(cohort: Cohort, rule: str | None, per_row: np.ndarray) -> np.ndarray:
    """Sums of rows of shape (n,) over each column at each centre, shape (K, 42 + C)."""
    K = cohort.n_centres
    cells = np.bincount(cohort.centre * np.int64(N_CELLS) + cohort.cell, per_row, K * N_CELLS).reshape(K, N_CELLS)
    flagged = [np.bincount(cohort.centre[on], per_row[on], K) for on in (cohort.holders(rule) if rule else ())]
    return np.column_stack([cells, *flagged])
