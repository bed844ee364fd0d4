"""Thin groups: how far an add-on set by few persons can be trusted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lakemedelsmodell.amounts import AmountTable
from lakemedelsmodell.data.cohort import Cohort
from lakemedelsmodell.facts import N_CELLS
from lakemedelsmodell.models.base import ProfiledLeastSquares, Rule, cost_to_fit, sums_by_profile
from lakemedelsmodell.models.least_squares import cells_and_add_ons

THIN = 500
"""Persons; a group with fewer is thin."""


@dataclass(frozen=True)
class Credibility(ProfiledLeastSquares):
    """Chronic conditions where the add-on of a thin group is drawn towards the mean of all groups.

    Bühlmann–Straub: Z b + (1 − Z) b̄ with Z = E/(E + σ²/τ²), E listed months of the group. The other amounts are then
    fitted again beside the drawn ones, so that cells and thick groups keep predictive ratio 1.
    """

    name = "credibility"
    role = "the proposal, thin groups steadied"

    rule: Rule = "dispensed"
    condition_set: str | None = None
    thin: int = THIN

    def fit(self, cohort: Cohort, cost_responsibility: float) -> AmountTable:
        sums = self.sums(cohort)
        xtx, xty = sums.xtx[0], sums.xty[0]
        trust = credibility(cohort, self.rule, self.thin)
        drawn = (trust["thin"] & (trust["listed_months"] > 0) & trust["credible"].notna()).to_numpy()
        kept = np.concatenate([np.ones(N_CELLS, dtype=bool), ~drawn])
        add_ons = np.full(len(drawn), np.nan)
        add_ons[drawn] = trust["credible"].to_numpy()[drawn]
        left = xty[kept] - xtx[np.ix_(kept, ~kept)] @ add_ons[drawn]
        cells, add_ons[~drawn] = cells_and_add_ons(xtx[np.ix_(kept, kept)], left)
        return self.amounts(cells, add_ons, cohort, cost_responsibility)


def credibility(cohort: Cohort, rule: Rule, thin: int = THIN) -> pd.DataFrame:
    """How far each add-on of the chronic model can be trusted.

    Returns
    -------
    DataFrame, one row per condition: condition; persons; listed_months E; add_on b (SEK of cost per listed month,
    before α; nan when nobody holds it); standard_error of b (overlap between groups left out); z, E/(E + σ²/τ²);
    credible, Z b + (1 − Z) b̄; thin, fewer than ``thin`` persons. σ² is the variance of a listed month within groups,
    pooled, τ² that between add-ons (Bühlmann & Straub 1970, unbiased, not below 0: then Z is 0).
    """
    sums = sums_by_profile(cohort, rule)
    cells, add_ons = cells_and_add_ons(sums.xtx[0], sums.xty[0])
    profiles = cohort.profiles(rule)
    fitted = cells[profiles.cell] + (profiles.flags * np.nan_to_num(add_ons)).sum(axis=1)
    e = cohort.exposure
    squares = profiles.sum((cost_to_fit(cohort) - e * fitted[profiles.of_row]) ** 2 / e)
    flags = profiles.flags
    months, squared = (np.array([per[flags[:, c]].sum() for c in range(flags.shape[1])])
                       for per in (profiles.sum(e), squares))
    persons = cohort.persons_holding(rule)
    found = pd.DataFrame({"condition": cohort.conditions, "persons": persons, "listed_months": months,
                          "add_on": add_ons})
    held = persons > 1
    sigma2 = squared[held].sum() / max((persons[held] - 1).sum(), 1)
    z, mean = buhlmann_straub(add_ons[held], months[held], sigma2)
    weight = np.zeros(len(persons))
    weight[held] = z
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.where(months > 0, np.sqrt(sigma2 / months), np.nan)
    return found.assign(standard_error=error, z=weight,
                        credible=weight * add_ons + (1 - weight) * mean, thin=persons < thin)


def buhlmann_straub(value: np.ndarray, exposure: np.ndarray, sigma2: float) -> tuple[np.ndarray, float]:
    """Credibility Z of each of G values, shape (G,), and the mean they are drawn to, Σ Z b / Σ Z.

    Where nothing but chance tells the values apart (τ² = 0) Z is 0 and the mean is weighted by exposure.
    """
    total = exposure.sum()
    if not len(value) or total <= 0:
        return np.zeros(len(value)), np.nan
    mean = float((exposure * value).sum() / total)
    spare = total - (exposure**2).sum() / total
    tau2 = ((exposure * (value - mean) ** 2).sum() - (len(value) - 1) * sigma2) / spare if spare > 0 else 0.0
    if tau2 <= 0:
        return np.zeros(len(value)), mean
    z = exposure / (exposure + sigma2 / tau2)
    return z, float((z * value).sum() / z.sum())


def thin_group_warnings(trust: pd.DataFrame) -> tuple[str, ...]:
    """A sentence for every thin group of :func:`credibility`."""
    return tuple(
        f"{row.condition}: held by {row.persons} persons when the amounts were set, too few to trust them by "
        f"themselves (credibility {row.z:.2f}, standard error {row.standard_error:,.0f} SEK of cost per listed month)."
        if row.persons else f"{row.condition}: held by nobody when the amounts were set, so it pays nothing."
        for row in trust[trust["thin"]].itertuples())
