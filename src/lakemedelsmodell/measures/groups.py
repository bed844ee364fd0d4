"""Who is paid too little: predictive ratios of groups of persons."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lakemedelsmodell.data.cohort import Cohort, n_distinct
from lakemedelsmodell.data.threads import of_each
from lakemedelsmodell.facts import BAND_LABELS
from lakemedelsmodell.models.named_groups import centre_groups, families_of_persons

FEWEST_PERSONS = 5
"""Nothing that describes fewer persons than this is shown."""
FEWEST_CLUSTERS = 10
"""With fewer centres than this, intervals take persons' rows as independent instead."""


@dataclass(frozen=True, eq=False)
class Family:
    """G groups of rows.

    Attributes
    ----------
    names : tuple of str, length G
    rows : int32, shape (m,), or slice
        Rows of the groups, ascending within each; a slice for all rows.
    number : integers, shape (m,)
        Group 0..G-1 of each of ``rows``.
    """

    names: tuple[str, ...]
    rows: np.ndarray | slice
    number: np.ndarray

    def places(self, cohort: Cohort) -> Sequence[np.ndarray]:
        """Places among ``rows`` of each group, ascending."""
        in_order = np.argsort(self.number, kind="stable")
        ends = np.cumsum(np.bincount(self.number, minlength=len(self.names)))
        return np.split(in_order, ends[:-1])


@dataclass(frozen=True, eq=False)
class CentreGroups:
    """G groups of the rows listed at the same centres; ``centres`` is bool, shape (G, K)."""

    names: tuple[str, ...]
    centres: np.ndarray

    def places(self, cohort: Cohort) -> Sequence[np.ndarray]:
        """Rows of each group, ascending."""
        return [np.flatnonzero(centres[cohort.centre]) for centres in self.centres]


Grouping = Family | CentreGroups


def groups(cohort: Cohort) -> Iterator[Grouping]:
    """Every five-year band (``age:60-64``) and every condition (``condition:doak``).

    Conditions are as dispensed, for every model alike, so that models are compared on the same persons.
    """
    yield Family(tuple(f"age:{label}" for label in BAND_LABELS), slice(None), cohort.band)
    if "dispensed" in cohort.flags and cohort.conditions:
        held = cohort.holders("dispensed")
        yield Family(tuple(f"condition:{name}" for name in cohort.conditions), np.concatenate(held),
                     np.repeat(np.arange(len(held), dtype=np.int16), [len(rows) for rows in held]))


def outside_groups(cohort: Cohort) -> Iterator[Grouping]:
    """The groups that no model has amounts for (:func:`~.named_groups.named_groups`)."""
    families = list(families_of_persons(cohort))
    numbers = of_each(lambda family: family[1](), families, len(cohort.cost))
    for (names, _), of_row in zip(families, numbers, strict=True):
        if (of_row >= 0).all():
            yield Family(names, slice(None), of_row)
        else:
            rows = np.flatnonzero(of_row >= 0).astype(np.int32)
            yield Family(names, rows, of_row[rows])
    if of_centres := dict(centre_groups(cohort)):
        yield CentreGroups(tuple(of_centres), np.array(list(of_centres.values())))


def predictive_ratios(cohort: Cohort, paid_per_month: Mapping[str, np.ndarray], cost_responsibility: float,
                      found_groups: Iterable[Grouping] | None = None) -> pd.DataFrame:
    """ΣR / ΣαC and mean R − αC per model and group, each with a 95 % interval.

    The intervals are those of a ratio of sums over centres (linearised, centres independent, Student's t); with fewer
    than ten centres, over persons' rows.

    Parameters
    ----------
    cohort : Cohort of the paid period
    paid_per_month : model → SEK per listed month as paid (φ included), shape (n,)
    cost_responsibility : α in (0, 1]
    found_groups : None = :func:`groups`

    Returns
    -------
    DataFrame: model, group, persons, listed_months, ratio, ci_low, ci_high, under_compensation_sek, under_ci_low,
    under_ci_high (mean R − αC, SEK per listed month, negative when paid too little). Empty groups are left out; the
    ratio is nan where a group has no cost, an interval where it has a single centre.
    """
    own_cost = cost_responsibility * cohort.weighted(cohort.cost)
    families = list(groups(cohort) if found_groups is None else found_groups)
    clusters = of_each(lambda family: _Clusters.of(cohort, family), families, len(own_cost))

    def sums(per_row: np.ndarray) -> list[np.ndarray]:
        return [found for family in clusters for found in family.sums(per_row)]

    models = list(paid_per_month) if clusters else []
    months, spent = sums(cohort.exposure), sums(own_cost)
    by_model = of_each(lambda model: sums(cohort.exposure * paid_per_month[model]), models, len(own_cost))
    found = []
    for group, persons, listed, cost, *got in zip(
            (name for family in clusters for name in family.names),
            (number for family in clusters for number in family.persons), months, spent, *by_model, strict=True):
        paid = np.array(got)
        ratios, under = ratio_of_sums(paid, cost), ratio_of_sums(paid - cost, listed)
        found += [(model, group, persons, listed.sum(), *of_model)
                  for model, *of_model in zip(models, *ratios, *under, strict=True)]
    return pd.DataFrame(found, columns=["model", "group", "persons", "listed_months", "ratio", "ci_low", "ci_high",
                                        "under_compensation_sek", "under_ci_low", "under_ci_high"])


@dataclass(frozen=True, eq=False)
class _Clusters:
    """How rows add up to the clusters of the groups of a family that anyone is in: centres, or the rows themselves.

    Attributes
    ----------
    names : list of str, length G
    persons : list of int, length G
    rows : int32, shape (m,), or slice
    cell : int32, shape (m,)
        Which sum each of ``rows`` goes to.
    there : list of integers, length G
        The sums of each group.
    """

    names: list[str]
    persons: list[int]
    rows: np.ndarray | slice
    cell: np.ndarray
    there: list[np.ndarray]

    @classmethod
    def of(cls, cohort: Cohort, family: Grouping) -> _Clusters:
        K = cohort.n_centres
        rows = slice(None) if isinstance(family, CentreGroups) else family.rows
        person, cell = cohort.person[rows], cohort.centre[rows]
        if K < FEWEST_CLUSTERS:
            cell = np.arange(len(cell), dtype=np.int32)
        elif isinstance(family, Family):
            cell = family.number.astype(np.int32) * np.int32(K) + cell
        told = [(name, n_distinct(person[here]), np.flatnonzero(np.bincount(cell[here])))
                for name, here in zip(family.names, family.places(cohort), strict=True) if len(here)]
        names, persons, there = map(list, zip(*told, strict=True)) if told else ([], [], [])
        return cls(names, persons, rows, cell, there)

    def sums(self, per_row: np.ndarray) -> list[np.ndarray]:
        """Rows of shape (n,) added up, in their order, to the clusters of each group."""
        added = np.bincount(self.cell, per_row[self.rows])
        return [added[there] for there in self.there]


def ratio_of_sums(above: np.ndarray, below: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """ΣY/ΣX over n independent clusters and the ends of its linearised 95 % interval; nan without ΣX > 0 or with n = 1.

    ``below`` has shape (n,), ``above`` (n,) or (M, n), and then so many ratios come of it.
    """
    n, total = len(below), float(below.sum())
    if total <= 0:
        unknown = np.full(above.shape[:-1], np.nan)
        return unknown, unknown, unknown
    ratio = above.sum(axis=-1) / total
    half = half_width(mean_variance(above - ratio[..., None] * below, total), n - 1)
    return ratio, ratio - half, ratio + half


def mean_variance(apart: np.ndarray, total: float) -> np.ndarray:
    """Variance of a ratio of sums, from each cluster's departure from it, shape (…, n), and ΣX; nan for n = 1."""
    n = apart.shape[-1]
    return n / (n - 1) * (apart**2).sum(axis=-1) / total**2 if n > 1 else np.full(apart.shape[:-1], np.nan)


def half_width(variance: np.ndarray, df: int) -> np.ndarray:
    """Half the 95 % interval of a mean, by Student's t."""
    from scipy.special import stdtrit

    return stdtrit(df, 0.975) * np.sqrt(variance) if df > 0 else np.full_like(variance, np.nan)


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
        variance += float(mean_variance(net_sek[here] - mean[-1] * months[here], listed))
        df += n
    public, private = mean
    difference = public - private
    half = float(half_width(np.asarray(variance), df))
    return Neutrality(public, private, difference, difference - half, difference + half)
