"""What a model would have paid each row, had its amounts been set without that row's fold.

Leave one centre out; with one centre, ten folds by hash of person. The sums of the design are kept per
fold, so leaving a fold out is a subtraction and one small solve.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lakemedelsmodell.amounts import AmountTable
from lakemedelsmodell.data.cohort import Cohort
from lakemedelsmodell.errors import DataError, Problem
from lakemedelsmodell.facts import SEXES
from lakemedelsmodell.models.base import LeastSquares
from lakemedelsmodell.settlement import Prediction, care_need

PERSON_FOLDS = 10


@dataclass(frozen=True, eq=False, kw_only=True)
class OutOfFold(Prediction):
    """One model's out-of-fold amounts for the rows of one cohort.

    Attributes
    ----------
    per_row : float64, shape (n,)
        SEK per listed month that the row gets from amounts set without its fold.
    table : AmountTable
        The amounts from all rows: what would be published.
    folds : int64, shape (n,)
    """

    table: AmountTable
    folds: np.ndarray


def folds_of(cohort: Cohort) -> tuple[np.ndarray, int]:
    """Fold of each row, shape (n,), and their number: the centres, or ten by hash of person."""
    number = np.cumsum(np.bincount(cohort.centre, minlength=cohort.n_centres) > 0)  # of centres with anyone
    if number[-1] > 1:
        return number[cohort.centre] - 1, int(number[-1])
    return (hash_of(cohort.person) % np.uint64(PERSON_FOLDS)).astype(np.int64), PERSON_FOLDS


def hash_of(numbers: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele, Lea & Flood 2014): neighbours fall into unrelated folds."""
    z = numbers.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def out_of_fold(model: LeastSquares, cohort: Cohort, cost_responsibility: float,
                folds: np.ndarray | None = None) -> OutOfFold:
    """Fit the model once per fold on all other folds, from sums.

    Parameters
    ----------
    model : any model that needs nothing but sums
    cohort : Cohort
    cost_responsibility : α in (0, 1]
    folds : integers 0..F-1, shape (n,); None = leave one centre out, or ten folds by hash of person

    Raises
    ------
    DataError
        When all persons of one sex are in the same fold, so that nobody else can set their amount.
    """
    fold, n_folds = folds_of(cohort) if folds is None else (np.asarray(folds, dtype=np.int64), int(folds.max()) + 1)
    sums = model.sums(cohort, fold, n_folds)
    whole, others = sums.total(), sums.without_each()
    flags = cohort.flags[model.rule] if model.rule else None
    per_row = np.empty(len(cohort.cost))
    order = np.argsort(fold, kind="stable")
    cell = cohort.cell
    for f, rows in enumerate(np.split(order, np.searchsorted(fold[order], np.arange(1, n_folds)))):
        table = model.table(others.xtx[f], others.xty[f], cohort, cost_responsibility)
        per_row[rows] = table.per_month(cell[rows], None if flags is None else flags[rows])
        if table.per_cni is not None:
            per_row[rows] += (table.per_cni * care_need(cohort))[cohort.centre[rows]]
    if (unset := np.isnan(per_row)).any():
        sex = SEXES[cohort.sex[np.flatnonzero(unset)[0]]]
        raise DataError(Problem("cohort", "all persons of this sex are in one centre, so no other can set their amount",
                                "Give a cohort where each sex is listed at two centres or more.", None, "sex", sex))
    table = model.table(whole.xtx[0], whole.xty[0], cohort, cost_responsibility)
    return OutOfFold(model=model.name, per_row=per_row, table=table, folds=fold)
