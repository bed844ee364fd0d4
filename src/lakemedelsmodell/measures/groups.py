"""Who is paid too little: predictive ratios of groups of persons."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pandas as pd

from lakemedelsmodell.data.cohort import Cohort
from lakemedelsmodell.facts import BAND_FROM, BAND_LABELS
from lakemedelsmodell.models.named_groups import named_groups


def groups(cohort: Cohort) -> Iterator[tuple[str, np.ndarray]]:
    """Name and rows of every five-year band (``age:60-64``) and every condition (``condition:doak``).

    Conditions are as dispensed, for every model alike, so that models are compared on the same persons.
    """
    by_band = np.argsort(cohort.band, kind="stable")
    bounds = np.searchsorted(cohort.band[by_band], np.arange(len(BAND_FROM) + 1))
    for band, label in enumerate(BAND_LABELS):
        yield f"age:{label}", by_band[bounds[band]:bounds[band + 1]]
    if (flags := cohort.flags.get("dispensed")) is not None:
        for c, name in enumerate(cohort.conditions):
            yield f"condition:{name}", np.flatnonzero(flags[:, c])


def outside_groups(cohort: Cohort) -> Iterator[tuple[str, np.ndarray]]:
    """Name and rows of the groups that no model has amounts for (:func:`~.named_groups.named_groups`)."""
    for name, mask in named_groups(cohort):
        yield name, np.flatnonzero(mask)


def predictive_ratios(cohort: Cohort, paid_per_month: Mapping[str, np.ndarray], cost_responsibility: float,
                      found_groups: Iterable[tuple[str, np.ndarray]] | None = None) -> pd.DataFrame:
    """ΣR / ΣαC per model and group, with a 95 % interval.

    The interval is that of a ratio of sums over centres (linearised, centres independent); with fewer
    than ten centres, over persons' rows.

    Parameters
    ----------
    cohort : Cohort of the paid period
    paid_per_month : model → SEK per listed month as paid (φ included), shape (n,)
    cost_responsibility : α in (0, 1]
    found_groups : names and rows of groups; None = :func:`groups`

    Returns
    -------
    DataFrame: model, group, persons, listed_months, ratio, ci_low, ci_high, under_compensation_sek
    (mean R − αC, SEK per listed month, negative when paid too little). Empty groups are left out; the
    ratio is nan where a group has no cost.
    """
    exposure = cohort.exposure
    own_cost = cost_responsibility * (cohort.cost if cohort.weight is None else cohort.cost * cohort.weight)
    clusters = cohort.centre if cohort.n_centres >= 10 else np.arange(len(own_cost))
    n_persons = int(cohort.person.max(initial=-1)) + 1
    found = []
    for group, rows in groups(cohort) if found_groups is None else found_groups:
        if not len(rows):
            continue
        e, spent, cluster = exposure[rows], own_cost[rows], clusters[rows]
        months, cost = e.sum(), spent.sum()
        seen = np.zeros(n_persons, dtype=bool)
        seen[cohort.person[rows]] = True
        for model, per_month in paid_per_month.items():
            paid = e * per_month[rows]
            ratio = paid.sum() / cost if cost > 0 else np.nan
            apart = np.bincount(cluster, paid - ratio * spent)
            n = np.count_nonzero(np.bincount(cluster))
            half = 1.96 * np.sqrt(n / (n - 1) * (apart**2).sum()) / cost if n > 1 and cost > 0 else np.nan
            found.append((model, group, int(seen.sum()), months, ratio, ratio - half, ratio + half,
                          (paid.sum() - cost) / months))
    return pd.DataFrame(found, columns=["model", "group", "persons", "listed_months", "ratio", "ci_low", "ci_high",
                                        "under_compensation_sek"])
