"""Groups of persons that no model has amounts for, and that may yet be paid too little."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lakemedelsmodell.data.cohort import Cohort

MANY_CONDITIONS = 4
PRIOR_COST_GROUPS = 10


def named_groups(cohort: Cohort) -> Iterator[tuple[str, np.ndarray]]:
    """Name and mask, bool of shape (n,), of every group that the cohort's columns tell apart; empty ones left out.

    ``movers`` (listed at several centres), ``part_of_period`` (listed for less than the longest listed), how many
    conditions (as dispensed), deciles of last period's cost, what the cohort brings in ``groups``; and by centre: the
    most deprived fifth of listed months, operator, rural, quarters by list size.
    """
    yield from ((name, mask) for name, mask in _all(cohort) if mask.any())


def _all(cohort: Cohort) -> Iterator[tuple[str, np.ndarray]]:
    person, n = cohort.person, int(cohort.person.max(initial=-1)) + 1
    first, last = np.full(n, cohort.n_centres), np.full(n, -1)
    np.minimum.at(first, person, cohort.centre)
    np.maximum.at(last, person, cohort.centre)
    yield "movers", (first != last)[person]
    listed = np.bincount(person, cohort.months, n)
    yield "part_of_period", (listed < listed.max(initial=0) * (1 - 1e-9))[person]
    if "dispensed" in cohort.flags and cohort.conditions:
        profiles = cohort.profiles("dispensed")
        held = profiles.flags.sum(axis=1)[profiles.of_row]
        for number in range(MANY_CONDITIONS):
            yield f"conditions:{number}", held == number
        yield f"conditions:{MANY_CONDITIONS}+", held >= MANY_CONDITIONS
    if cohort.prior_cost is not None:
        known, costly = ~np.isnan(cohort.prior_cost), np.nan_to_num(cohort.prior_cost) > 0
        yield "prior_cost:none", known & ~costly
        group = _equal_groups(cohort.prior_cost[known], cohort.months[known], PRIOR_COST_GROUPS)
        for number in range(PRIOR_COST_GROUPS):
            mask = np.zeros(len(known), dtype=bool)
            mask[np.flatnonzero(known)[group == number]] = True
            yield f"prior_cost:{number + 1:02d}", mask & costly
        yield "prior_cost:unknown", ~known
    yield from cohort.groups.items()
    for name, centres in centre_groups(cohort):
        yield name, centres[cohort.centre]


def centre_groups(cohort: Cohort) -> Iterator[tuple[str, np.ndarray]]:
    """Name and mask, bool of shape (K,), of the groups of centres; unknown belongs to none."""
    about = cohort.centres
    months = np.bincount(cohort.centre, cohort.months, cohort.n_centres)
    if "cni" in about:
        cni = about["cni"].to_numpy(dtype=float)
        known = np.flatnonzero(~np.isnan(cni))
        order = known[np.argsort(-cni[known], kind="stable")]
        needy = np.cumsum(months[order]) - months[order] / 2 < months[known].sum() / 5
        mask = np.zeros(len(cni), dtype=bool)
        mask[order[needy]] = True
        yield "cni:most_deprived_fifth", mask
    for column, said in (("operator", str), ("rural", lambda value: "yes" if value else "no")):
        if column in about:
            for value in sorted(about[column].dropna().unique(), key=str):
                yield f"{column}:{said(value)}", (about[column] == value).fillna(False).to_numpy(dtype=bool)
    quarter = _equal_groups(months, np.ones(len(months)), 4)
    for number in range(4):
        yield f"list_size:{number + 1}", (quarter == number) & (months > 0)


def _equal_groups(value: np.ndarray, weight: np.ndarray, groups: int) -> np.ndarray:
    """Group 0..groups-1 by value, each with about an equal share of the weight; equal values stay together."""
    values, at = np.unique(value, return_inverse=True)
    held = np.bincount(at, weight, len(values))
    middle = (np.cumsum(held) - held / 2) / max(held.sum(), 1e-300)
    return np.minimum((middle * groups).astype(np.int64), groups - 1)[at]
