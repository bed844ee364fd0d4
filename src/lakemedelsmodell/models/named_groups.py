"""Groups of persons that no model has amounts for, and that may yet be paid too little."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

import numpy as np
import pandas as pd

from lakemedelsmodell.data.cohort import Cohort

MANY_CONDITIONS = 4
PRIOR_COST_GROUPS = 10


def named_groups(cohort: Cohort, only: Collection[str] | None = None) -> Iterator[tuple[str, np.ndarray]]:
    """Name and mask, bool of shape (n,), of every group that the cohort's columns tell apart; empty ones left out.

    ``movers`` (listed at several centres), ``part_of_period`` (listed for less than the longest listed), how many
    conditions (as dispensed), deciles of last period's cost, what the cohort brings in ``groups``; and by centre: the
    most deprived fifth of listed months, operator, rural, quarters by list size. Of names in ``only`` alone, if given.
    """
    def wanted(name: str) -> bool:
        return only is None or name in only

    for names, number in families_of_persons(cohort):
        if any(map(wanted, names)):
            of_row = number()
            yield from ((name, mask) for g, name in enumerate(names) if wanted(name) and (mask := of_row == g).any())
    for name, centres in centre_groups(cohort):
        if wanted(name) and (mask := centres[cohort.centre]).any():
            yield name, mask


def families_of_persons(cohort: Cohort) -> Iterator[tuple[tuple[str, ...], Callable[[], np.ndarray]]]:
    """Names of groups of persons that share nobody, and which of them each row is in, integers of shape (n,); a number
    that names nothing for a row that is in none."""
    yield ("movers",), lambda: np.where(_movers(cohort)[cohort.person], 0, -1).astype(np.int8)
    yield ("part_of_period",), lambda: np.where(_listed_in_part(cohort)[cohort.person], 0, -1).astype(np.int8)
    if "dispensed" in cohort.flags and cohort.conditions:
        profiles = cohort.profiles("dispensed")
        held = profiles.flags.sum(axis=1).clip(max=MANY_CONDITIONS).astype(np.int8)
        yield (*(f"conditions:{number}" for number in range(MANY_CONDITIONS)), f"conditions:{MANY_CONDITIONS}+"), (
            lambda: held[profiles.of_row])
    if cohort.prior_cost is not None:
        yield ("prior_cost:none", *(f"prior_cost:{number + 1:02d}" for number in range(PRIOR_COST_GROUPS)),
               "prior_cost:unknown"), lambda: _by_prior_cost(cohort)
    for name, mask in cohort.groups.items():
        yield (name,), lambda mask=mask: mask.astype(np.int8) - np.int8(1)  # type: ignore[misc]


def _movers(cohort: Cohort) -> np.ndarray:
    """Persons listed at several centres, bool by number of the person; a person's rows lie together."""
    found = np.zeros(int(cohort.person.max(initial=-1)) + 1, dtype=bool)
    moved = np.flatnonzero((np.diff(cohort.person) == 0) & (np.diff(cohort.centre) != 0))
    found[cohort.person[moved]] = True
    return found


def _listed_in_part(cohort: Cohort) -> np.ndarray:
    """Persons listed for less than the longest listed, bool by number of the person."""
    listed = np.bincount(cohort.person, cohort.months)
    return np.asarray(listed < listed.max(initial=0) * (1 - 1e-9))


def _by_prior_cost(cohort: Cohort) -> np.ndarray:
    """0 without cost, 1 to 10 by tenths of those known, 11 where it is not known, int8, shape (n,)."""
    assert cohort.prior_cost is not None
    known = np.flatnonzero(~np.isnan(cohort.prior_cost))
    cost = cohort.prior_cost[known]
    found = np.full(len(cohort.prior_cost), PRIOR_COST_GROUPS + 1, dtype=np.int8)
    found[known] = np.where(cost > 0, 1 + equal_groups(cost, cohort.months[known], PRIOR_COST_GROUPS), 0)
    return found


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
    quarter = equal_groups(months, np.ones(len(months)), 4)
    for number in range(4):
        yield f"list_size:{number + 1}", (quarter == number) & (months > 0)


def equal_groups(value: np.ndarray, weight: np.ndarray, groups: int) -> np.ndarray:
    """Group 0..groups-1 by ``value``, each of about the same weight; equal values stay together (by their middle)."""
    code, values = pd.factorize(value)  # few values are paid to many, so they are told apart before they are sorted
    rank = np.empty(len(values), dtype=np.int64)
    rank[np.argsort(values)] = np.arange(len(values))
    tie = rank[code]
    held = np.bincount(tie, weight, len(values))
    middle = (np.cumsum(held) - held / 2) / max(held.sum(), 1e-300)
    return np.minimum((middle * groups).astype(np.int64), groups - 1)[tie]
