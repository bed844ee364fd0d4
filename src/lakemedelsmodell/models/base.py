"""What a model is, and the kind that needs nothing but sums."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, Protocol

import numpy as np

from lakemedelsmodell.amounts import AddOnKind, AmountTable
from lakemedelsmodell.data.cohort import Cohort
from lakemedelsmodell.data.threads import of_each
from lakemedelsmodell.errors import UserError
from lakemedelsmodell.facts import BAND_FROM, N_CELLS, SEXES
from lakemedelsmodell.models.least_squares import (
    NormalEquations,
    borrow_empty_cells,
    cells_and_add_ons,
    normal_equations,
)
from lakemedelsmodell.settlement import Payer, Prediction, pooled_cost

Rule = Literal["dispensed", "listed"]


class Model(Protocol):
    """Anything that turns a cohort into amounts per listed month."""

    @property
    def name(self) -> str: ...

    @property
    def role(self) -> str: ...

    def lacks(self, cohort: Cohort) -> str: ...

    def fit(self, cohort: Cohort, cost_responsibility: float) -> AmountTable:
        """Amounts in SEK per listed month, before any closing to a budget and before rounding."""
        ...


class Payable:
    """A model that ends as a table; most need nothing but the cohort's own columns."""

    def lacks(self, cohort: Cohort) -> str:
        """What a cohort must have to be fitted or paid by this model and has not, as a sentence; "" if nothing."""
        return ""


class Predictor:
    """A model that pays no table: it says what each row of a paid cohort would get, for comparison only."""

    @property
    def name(self) -> str:
        raise NotImplementedError

    @property
    def role(self) -> str:
        raise NotImplementedError

    def lacks(self, paid: Cohort) -> str:
        """What the paid cohort must have and has not, as a sentence; "" if nothing."""
        return ""

    def fit(self, cohort: Cohort, cost_responsibility: float, paid: Cohort) -> Prediction:
        """What the model learns from ``cohort`` would give each row of ``paid``."""
        raise NotImplementedError


def fit_models(models: Iterable[Model | Predictor], fitted: Cohort, paid: Cohort,
               cost_responsibility: float) -> tuple[dict[str, Payer], tuple[str, ...]]:
    """Every model the data allow, by name, tables in whole kronor; and a warning for each that is left out.

    A model is left out that lacks something, or whose amounts no solution meets (a UserError).
    """
    from threadpoolctl import threadpool_limits

    def fit(model: Model | Predictor) -> Payer | str:
        if lacking := model.lacks(paid) or ("" if isinstance(model, Predictor) else model.lacks(fitted)):
            return lacking
        try:
            return (model.fit(fitted, cost_responsibility, paid) if isinstance(model, Predictor)
                    else model.fit(fitted, cost_responsibility).rounded())
        except UserError as error:
            return str(error)

    models = list(models)
    cohorts = (paid,) if fitted is paid else (fitted, paid)
    of_each(lambda found: (found[0].profiles(found[1]), found[0].totals(found[1])),  # before threads that all need them
            [(cohort, rule) for rule in (None, *paid.flags) for cohort in cohorts], len(paid.cost))
    longest_first = sorted(models, key=lambda model: not isinstance(model, Predictor))
    with threadpool_limits(1):  # of BLAS and OpenMP, whose sums vary with the number of threads
        by_name = dict(zip((m.name for m in longest_first), of_each(fit, longest_first, len(paid.cost)), strict=True))
    found = {model.name: by_name[model.name] for model in models}
    return ({name: payer for name, payer in found.items() if not isinstance(payer, str)},
            tuple(f"{name} is left out: {why}" for name, why in found.items() if isinstance(why, str)))


def cost_to_fit(cohort: Cohort, pool_threshold: float | None = None) -> np.ndarray:
    """SEK per row that amounts are set on, times weight, shape (n,): without what is pooled."""
    cost = cohort.cost if cohort.fit_cost is None else cohort.fit_cost
    if pool_threshold is not None:
        cost = cost - pooled_cost(cohort, pool_threshold, cost)
    return cohort.weighted(cost)


class LeastSquares(Payable):
    """A model whose amounts follow from the sums X'WX and X'Wy alone, so that folds need no refit."""

    rule: Rule | None = None
    condition_set: str | None = None
    pool_threshold: float | None = None
    kind: AddOnKind = "condition"

    @property
    def name(self) -> str:
        raise NotImplementedError

    @property
    def role(self) -> str:
        raise NotImplementedError

    def sums(self, cohort: Cohort, fold: np.ndarray | None = None, n_folds: int = 1) -> NormalEquations:
        """Design sums of the cohort per fold, over the cost the cohort is fitted on."""
        flags = cohort.flags[self.rule] if self.rule else np.zeros((len(cohort.cost), 0), dtype=bool)
        return normal_equations(cohort.cell, flags, cohort.exposure, cost_to_fit(cohort, self.pool_threshold), fold,
                                n_folds)

    def add_on_names(self, cohort: Cohort) -> tuple[str, ...]:
        """What the add-ons are for."""
        return cohort.conditions if self.rule else ()

    def solve(self, xtx: np.ndarray, xty: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Cost per listed month, SEK: cells of shape (42,) and add-ons of shape (C,)."""
        return cells_and_add_ons(xtx, xty)

    def table(self, xtx: np.ndarray, xty: np.ndarray, cohort: Cohort, cost_responsibility: float) -> AmountTable:
        """The amounts these sums give: α times the fitted cost, SEK per listed month."""
        return self.amounts(*self.solve(xtx, xty), cohort, cost_responsibility)

    def amounts(self, cells: np.ndarray, add_ons: np.ndarray, cohort: Cohort, cost_responsibility: float,
                per_cni: float | None = None) -> AmountTable:
        """The model's table: α times a cost per listed month (and per unit of CNI), SEK."""
        return amount_table(
            self.name, cells, add_ons, cohort, cost_responsibility, conditions=self.add_on_names(cohort),
            rule=self.rule, condition_set=self.condition_set, kind=self.kind, pool_threshold=self.pool_threshold,
            per_cni=None if per_cni is None else cost_responsibility * per_cni)

    def fit(self, cohort: Cohort, cost_responsibility: float) -> AmountTable:
        """Amounts in SEK per listed month, before any closing to a budget and before rounding."""
        sums = self.sums(cohort)
        return self.table(sums.xtx[0], sums.xty[0], cohort, cost_responsibility)


def amount_table(name: str, cells: np.ndarray, add_ons: np.ndarray, cohort: Cohort, cost_responsibility: float, *,
                 note: str = "", **of_table: Any) -> AmountTable:
    """α times the fitted cost per listed month, cells of shape (42,); cells nobody was listed in borrow."""
    known = cells.reshape(len(BAND_FROM), len(SEXES))
    filled = borrow_empty_cells(known)
    source = f"fitted on {cohort.period or 'the cohort'}"
    if borrowed := int((np.isnan(known) & ~np.isnan(filled)).sum()):
        source += f"; nobody was listed in {borrowed} of {N_CELLS} cells, which take the amount of the nearest band"
    if note:
        source += f"; {note}"
    return AmountTable(name, cost_responsibility * filled, add_ons=cost_responsibility * add_ons, source=source,
                       **of_table)


class ProfiledLeastSquares(LeastSquares):
    """Sums over the cohort's profiles rather than its rows: the same but for the last bits, and much faster."""

    def columns(self, cohort: Cohort) -> np.ndarray:
        """The columns that have an add-on, 0/1 per profile, shape (U, q)."""
        return cohort.profiles(self.rule).flags

    def sums(self, cohort: Cohort, fold: np.ndarray | None = None, n_folds: int = 1) -> NormalEquations:
        profiles, columns = cohort.profiles(self.rule), self.columns(cohort)
        cost = cost_to_fit(cohort, self.pool_threshold)
        if fold is not None:
            return normal_equations(cohort.cell, columns[profiles.of_row], cohort.exposure, cost, fold, n_folds)
        return normal_equations(profiles.cell, columns, profiles.sum(cohort.exposure), profiles.sum(cost))


def sums_by_profile(cohort: Cohort, rule: str) -> NormalEquations:
    """The sums of the chronic model, for models that solve them in their own way; F = 1."""
    profiles = cohort.profiles(rule)
    return normal_equations(profiles.cell, profiles.flags, profiles.sum(cohort.exposure),
                            profiles.sum(cost_to_fit(cohort)))

