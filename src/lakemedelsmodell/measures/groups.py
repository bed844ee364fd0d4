"""Who is paid too little: predictive ratios of groups of persons."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lakemedelsmodell.data.cohort import Cohort
from lakemedelsmodell.facts import BAND_FROM, BAND_LABELS
from lakemedelsmodell.models.named_groups import named_groups

FEWEST_PERSONS = 5
"""Nothing that describes fewer persons than this is shown."""
FEWEST_CLUSTERS = 10
"""With fewer centres than this, intervals take persons' rows as independent instead."""
BLOCK_ROWS = 1 << 12
SIDE_BY_SIDE = 1 << 26
"""Rows × columns that are laid side by side; half a gigabyte."""


def groups(cohort: Cohort) -> Iterator[tuple[str, np.ndarray]]:
    """Name and rows of every five-year band (``age:60-64``) and every condition (``condition:doak``).

    Conditions are as dispensed, for every model alike, so that models are compared on the same persons.
    """
    by_band = np.argsort(cohort.band, kind="stable")
    bounds = np.cumsum(np.bincount(cohort.band, minlength=len(BAND_FROM)))
    for label, rows in zip(BAND_LABELS, np.split(by_band, bounds[:-1]), strict=True):
        yield f"age:{label}", rows
    if "dispensed" in cohort.flags:
        for name, rows in zip(cohort.conditions, cohort.holders("dispensed"), strict=True):
            yield f"condition:{name}", rows


def outside_groups(cohort: Cohort) -> Iterator[tuple[str, np.ndarray]]:
    """Name and rows of the groups that no model has amounts for (:func:`~.named_groups.named_groups`)."""
    for name, mask in named_groups(cohort):
        yield name, np.flatnonzero(mask)


def predictive_ratios(cohort: Cohort, paid_per_month: Mapping[str, np.ndarray], cost_responsibility: float,
                      found_groups: Iterable[tuple[str, np.ndarray]] | None = None) -> pd.DataFrame:
    """ΣR / ΣαC and mean R − αC per model and group, each with a 95 % interval.

    The intervals are those of a ratio of sums over centres (linearised, centres independent, Student's t); with fewer
    than ten centres, over persons' rows.

    Parameters
    ----------
    cohort : Cohort of the paid period
    paid_per_month : model → SEK per listed month as paid (φ included), shape (n,)
    cost_responsibility : α in (0, 1]
    found_groups : names and rows of groups; None = :func:`groups`

    Returns
    -------
    DataFrame: model, group, persons, listed_months, ratio, ci_low, ci_high, under_compensation_sek, under_ci_low,
    under_ci_high (mean R − αC, SEK per listed month, negative when paid too little). Empty groups are left out; the
    ratio is nan where a group has no cost, an interval where it has a single centre.
    """
    from scipy.sparse import csr_matrix

    own_cost = cost_responsibility * (cohort.cost if cohort.weight is None else cohort.cost * cohort.weight)
    n, n_persons = len(own_cost), int(cohort.person.max(initial=-1)) + 1
    members = groups(cohort) if found_groups is None else found_groups
    models = list(paid_per_month)
    at_once = max(1, SIDE_BY_SIDE // max(n, 1) - 2)
    if len(models) > at_once:  # several passes over the groups
        members = [(group, rows.astype(np.int32)) for group, rows in members]
    found: dict[tuple[int, int], tuple[Any, ...]] = {}
    for start in range(0, len(models), at_once):
        together = models[start:start + at_once]
        per_row = _side_by_side(cohort.exposure, own_cost, [paid_per_month[model] for model in together])
        for g, (group, rows) in enumerate(members):
            if not len(rows):
                continue
            seen = np.zeros(n_persons, dtype=bool)
            seen[cohort.person[rows]] = True
            cluster = cohort.centre[rows] if cohort.n_centres >= FEWEST_CLUSTERS else np.arange(len(rows))
            there = np.bincount(cluster) > 0
            # One pass over the group's rows adds up the clusters of all these models at once.
            sums = csr_matrix((np.ones(len(rows)), (cluster, rows)), shape=(len(there), n)) @ per_row
            months, spent, *paid = sums[there].T
            found |= {(g, start + m): (model, group, int(seen.sum()), months.sum(), *ratio_of_sums(got, spent),
                                       *ratio_of_sums(got - spent, months))
                      for m, (model, got) in enumerate(zip(together, paid, strict=True))}
    return pd.DataFrame([found[at] for at in sorted(found)], columns=[
        "model", "group", "persons", "listed_months", "ratio", "ci_low", "ci_high", "under_compensation_sek",
        "under_ci_low", "under_ci_high"])


def _side_by_side(exposure: np.ndarray, own_cost: np.ndarray, paid_per_month: list[np.ndarray]) -> np.ndarray:
    """Exposure, own cost and each model's pay as columns, shape (n, 2 + models); filled by blocks that stay at hand."""
    columns = np.empty((len(exposure), 2 + len(paid_per_month)))
    for start in range(0, len(exposure), BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        columns[rows, 0], columns[rows, 1] = exposure[rows], own_cost[rows]
        for j, paid in enumerate(paid_per_month, 2):
            np.multiply(exposure[rows], paid[rows], out=columns[rows, j])
    return columns


def ratio_of_sums(above: np.ndarray, below: np.ndarray) -> tuple[float, float, float]:
    """ΣY/ΣX over n independent clusters and the ends of its linearised 95 % interval; nan without ΣX > 0 or with n = 1.

    ``above`` and ``below`` have shape (n,).
    """
    n, total = len(below), float(below.sum())
    if total <= 0:
        return np.nan, np.nan, np.nan
    ratio = float(above.sum()) / total
    half = half_width(mean_variance(above - ratio * below, total), n - 1)
    return ratio, ratio - half, ratio + half


def mean_variance(apart: np.ndarray, total: float) -> float:
    """Variance of a ratio of sums, from each cluster's departure from it and ΣX; nan with one cluster."""
    n = len(apart)
    return n / (n - 1) * float((apart**2).sum()) / total**2 if n > 1 else np.nan


def half_width(variance: float, df: int) -> float:
    """Half the 95 % interval of a mean, by Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(df, 0.975) * np.sqrt(variance)) if df > 0 else np.nan


@dataclass(frozen=True)
class Neutrality:
    """Public against private centres' net; all in SEK per listed month, nan where a kind has no centre.

    Attributes
    ----------
    public_sek, private_sek : float
        Mean net, lists weighing as they are long.
    difference_sek, ci_low, ci_high : float
        Public less private, with its 95 % interval (centres independent); the ends are nan where a kind has one centre.
    """

    public_sek: float
    private_sek: float
    difference_sek: float
    ci_low: float
    ci_high: float


def neutrality(net_sek: np.ndarray, months: np.ndarray, operator: np.ndarray) -> Neutrality:
    """Does it matter to the payment who runs a centre?

    Of one model's net this holds prescribing style too; of the difference between two models' nets, the payment alone.

    Parameters
    ----------
    net_sek : net, or its change from one model to another, SEK over the period, shape (K,)
    months : listed months, shape (K,); centres without any are left out
    operator : "public" or "private", shape (K,); any other value is left out
    """
    mean, variance, df = list[float](), 0.0, -2
    for kind in ("public", "private"):
        here = (operator == kind) & (months > 0)
        n, listed = int(here.sum()), float(months[here].sum())
        mean.append(float(net_sek[here].sum()) / listed if n else np.nan)
        variance += mean_variance(net_sek[here] - mean[-1] * months[here], listed)
        df += n
    public, private = mean
    difference = public - private
    half = half_width(variance, df)
    return Neutrality(public, private, difference, difference - half, difference + half)
