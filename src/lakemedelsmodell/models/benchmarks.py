"""What the proposal is measured against: care need, simpler tables, and upper bounds that are never paid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lakemedelsmodell.amounts import COUNTS, AmountTable
from lakemedelsmodell.data.cohort import Cohort, Profiles
from lakemedelsmodell.errors import UserError
from lakemedelsmodell.facts import N_CELLS
from lakemedelsmodell.models.base import LeastSquares, Predictor, ProfiledLeastSquares, Rule, cost_to_fit
from lakemedelsmodell.models.least_squares import (
    NormalEquations,
    cells_and_add_ons,
    least_squares,
    normal_equations,
    slope_equations,
)
from lakemedelsmodell.models.out_of_fold import folds_of, hash_of
from lakemedelsmodell.settlement import Prediction, care_need

MAX_REPEATS = 20
"""Times the ladder of :class:`HighestOnly` is laid anew before it is taken as it is."""

BOOSTING_PERSONS = 200_000
BOOSTING_FOLDS = 10
BOOSTING_LEAF = 100
"""Rows of a cohort in a leaf at least: cost is so skewed that smaller ones chase single persons."""


class AgeSexCni(LeastSquares):
    """Age band × sex plus one coefficient, of any sign, times the care-need index of the centre."""

    name = "age_sex_cni"
    role = "competitor"

    def lacks(self, cohort: Cohort) -> str:
        try:
            care_need(cohort)
        except UserError as error:
            return str(error)
        return ""

    def sums(self, cohort: Cohort, fold: np.ndarray | None = None, n_folds: int = 1) -> NormalEquations:
        need = care_need(cohort)[cohort.centre]
        return slope_equations(cohort.cell, need[:, None], cohort.exposure, cost_to_fit(cohort), fold, n_folds)

    def table(self, xtx: np.ndarray, xty: np.ndarray, cohort: Cohort, cost_responsibility: float) -> AmountTable:
        beta = least_squares(xtx, xty)
        return self.amounts(beta[:N_CELLS], np.zeros(0), cohort, cost_responsibility, per_cni=float(beta[N_CELLS]))


@dataclass(frozen=True)
class HighestOnly(ProfiledLeastSquares):
    """Age band × sex plus the add-on of the dearest condition a person holds and of no other: a designed ladder.

    Which condition is a person's dearest depends on the amounts and they on it, so the fit is repeated until the
    order stands, beginning with the order of the additive model.
    """

    name = "highest_only"
    role = "simpler variant"
    kind = "highest"

    rule: Rule = "dispensed"
    condition_set: str | None = None

    def columns(self, cohort: Cohort) -> np.ndarray:
        profiles = cohort.profiles(self.rule)
        months, cost = profiles.sum(cohort.exposure), profiles.sum(cost_to_fit(cohort))
        columns, ladder = profiles.flags, np.zeros(0, dtype=np.int64)
        for _ in range(MAX_REPEATS):
            sums = normal_equations(profiles.cell, columns, months, cost)
            add_ons = cells_and_add_ons(sums.xtx[0], sums.xty[0])[1]
            order = np.argsort(-np.nan_to_num(add_ons), kind="stable")
            if np.array_equal(order, ladder):
                break
            columns, ladder = highest_of(profiles, order), order
        return columns


def highest_of(profiles: Profiles, ladder: np.ndarray) -> np.ndarray:
    """Of each profile's flags only the one that stands first in the ladder, bool, shape (U, C)."""
    columns = np.zeros_like(profiles.flags)
    held = np.flatnonzero(profiles.flags.any(axis=1))
    if len(held):
        columns[held, ladder[profiles.flags[held][:, ladder].argmax(axis=1)]] = True
    return columns


@dataclass(frozen=True)
class Count(ProfiledLeastSquares):
    """Age band × sex plus an amount by the number of conditions held, 0, 1, 2, 3 or 4 and more."""

    name = "count"
    role = "simpler variant"
    kind = "count"

    rule: Rule = "dispensed"
    condition_set: str | None = None

    def add_on_names(self, cohort: Cohort) -> tuple[str, ...]:
        return COUNTS

    def columns(self, cohort: Cohort) -> np.ndarray:
        held = cohort.profiles(self.rule).flags.sum(axis=1).clip(max=len(COUNTS))
        return held[:, None] == np.arange(1, len(COUNTS) + 1)


class LastCost(Predictor):
    """Age band × sex plus a share of the person's own cost of the period before, and an amount for who has none.

    Needs the cohort's ``prior_cost`` (:func:`prior_cost`). Every row is paid by amounts set on the paid period
    without its centre, since the fit period's own last period seldom is at hand.
    """

    name = "last_cost"
    role = "upper bound, never paid"

    def lacks(self, paid: Cohort) -> str:
        return "" if paid.prior_cost is not None else "The cost of the period before is not known for the persons."

    def fit(self, cohort: Cohort, cost_responsibility: float, paid: Cohort) -> Prediction:
        assert paid.prior_cost is not None
        columns = np.column_stack([np.isnan(paid.prior_cost), np.nan_to_num(paid.prior_cost)])
        fold, n_folds = folds_of(paid)
        others = slope_equations(paid.cell, columns, paid.exposure, cost_to_fit(paid), fold, n_folds).without_each()
        beta = np.nan_to_num([least_squares(*sums) for sums in zip(others.xtx, others.xty, strict=True)])
        per_month = beta[fold, paid.cell] + sum(beta[fold, N_CELLS + i] * columns[:, i] for i in range(2))
        return Prediction(self.name, cost_responsibility * per_month)


def prior_cost(paid: Cohort, before: Cohort) -> np.ndarray:
    """What each row's person cost in the period before, SEK per month listed then, shape (n,); nan for who was not.

    Both cohorts must number their persons alike, as :func:`~lakemedelsmodell.data.flags.build_cohort` does within
    one half-year's data.
    """
    n = 1 + max(int(c.person.max(initial=-1)) for c in (paid, before))
    months, cost = (np.bincount(before.person, per_row, n) for per_row in (before.months, before.cost))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(months > 0, cost / months, np.nan)[paid.person]


@dataclass(frozen=True, eq=False)
class Oracle(Predictor):
    """Each row is paid what it was expected to cost; a simulation alone can know.

    ``expected``: SEK per listed month before α, shape (n,), for the rows of the paid cohort.
    """

    name = "oracle"
    role = "ideal, simulation only"

    expected: np.ndarray

    def fit(self, cohort: Cohort, cost_responsibility: float, paid: Cohort) -> Prediction:
        if self.expected.shape != paid.cost.shape:
            raise ValueError(f"expected cost for {len(self.expected)} rows, but the paid cohort has {len(paid.cost)}")
        return Prediction(self.name, cost_responsibility * self.expected)


@dataclass(frozen=True)
class Boosting(Predictor):
    """Gradient-boosted trees on age, sex and flags: what any model of these could reach, interactions and all.

    Fitted on the rows of at most ``persons`` persons, those with the lowest hash. Where the paid cohort is the one
    fitted on, every row is predicted from nine tenths of the centres, its own not among them.
    """

    name = "boosting"
    role = "upper bound, never paid"

    rule: Rule = "dispensed"
    persons: int = BOOSTING_PERSONS
    seed: int = 20260507

    def fit(self, cohort: Cohort, cost_responsibility: float, paid: Cohort) -> Prediction:
        sample = self._sample(cohort)
        target = paid.profiles(self.rule)
        features = _features(target)
        if paid is not cohort:
            per_month = self._predicted(cohort, sample, features)[target.of_row]
            return Prediction(self.name, cost_responsibility * per_month)
        centre_fold = np.arange(cohort.n_centres) * min(BOOSTING_FOLDS, cohort.n_centres) // cohort.n_centres
        fold = centre_fold[cohort.centre] if cohort.n_centres > 1 else folds_of(cohort)[0]
        per_month = np.empty(len(cohort.cost))
        for f in np.unique(fold):
            mine = fold == f
            per_month[mine] = self._predicted(cohort, sample[~mine[sample]], features)[target.of_row[mine]]
        return Prediction(self.name, cost_responsibility * per_month)

    def _sample(self, cohort: Cohort) -> np.ndarray:
        """Rows of the persons drawn."""
        persons = cohort.person[np.diff(cohort.person, prepend=-1) != 0]  # rows lie by person
        if len(persons) <= self.persons:
            return np.arange(len(cohort.cost))
        hashes = hash_of(cohort.person)
        return np.flatnonzero(hashes < np.partition(hash_of(persons), self.persons)[self.persons])

    def _predicted(self, cohort: Cohort, rows: np.ndarray, features: np.ndarray) -> np.ndarray:
        """Cost per month by ``features`` (U, 2 + C), learnt from ``rows``, shape (U,)."""
        from sklearn.ensemble import HistGradientBoostingRegressor
        from threadpoolctl import threadpool_limits

        profiles = cohort.profiles(self.rule)
        of_row, U = profiles.of_row[rows], len(profiles.cell)
        months, cost = (np.bincount(of_row, per_row[rows], U) for per_row in (cohort.exposure, cost_to_fit(cohort)))
        # Rows of one profile never part, so they stand together; as no more than a leaf must hold, which they then do.
        stands_for = np.minimum(np.bincount(of_row, minlength=U), BOOSTING_LEAF)
        row = np.repeat(np.arange(U), stands_for)
        model = HistGradientBoostingRegressor(
            max_iter=50, learning_rate=0.2, max_leaf_nodes=15, min_samples_leaf=BOOSTING_LEAF, early_stopping=False,
            random_state=self.seed)
        with threadpool_limits(1, "openmp"):  # threads that wait for a busy machine take many times as long
            grown = model.fit(_features(profiles)[row], cost[row] / months[row],
                              sample_weight=months[row] / stands_for[row])
            predicted: np.ndarray = grown.predict(features)
            return predicted


def _features(profiles: Profiles) -> np.ndarray:
    """Band, sex and flags as numbers, shape (U, 2 + C)."""
    return np.column_stack([profiles.cell // 2, profiles.cell % 2, profiles.flags]).astype(np.float32)
