"""What a model is, and the kind that needs nothing but sums."""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np

from lakemedelsmodell.amounts import AmountTable
from lakemedelsmodell.data.cohort import Cohort
from lakemedelsmodell.facts import BAND_FROM, N_CELLS, SEXES
from lakemedelsmodell.models.least_squares import (
    NormalEquations,
    borrow_empty_cells,
    cells_and_add_ons,
    normal_equations,
)

Rule = Literal["dispensed", "listed"]


class Model(Protocol):
    """Anything that turns a cohort into amounts per listed month."""

    @property
    def name(self) -> str: ...

    @property
    def role(self) -> str: ...

    def fit(self, cohort: Cohort, cost_responsibility: float) -> AmountTable:
        """Amounts in SEK per listed month, before any closing to a budget and before rounding."""
        ...


class LeastSquares:
    """A model whose amounts follow from the sums X'WX and X'Wy alone, so that folds need no refit."""

    rule: Rule | None = None
    condition_set: str | None = None

    @property
    def name(self) -> str:
        raise NotImplementedError

    @property
    def role(self) -> str:
        raise NotImplementedError

    def sums(self, cohort: Cohort, fold: np.ndarray | None = None, n_folds: int = 1) -> NormalEquations:
        """Design sums of the cohort per fold, over the cost the cohort is fitted on."""
        flags = cohort.flags[self.rule] if self.rule else np.zeros((len(cohort.cost), 0), dtype=bool)
        cost = cohort.cost if cohort.fit_cost is None else cohort.fit_cost
        weighted = cost if cohort.weight is None else cost * cohort.weight
        return normal_equations(cohort.cell, flags, cohort.exposure, weighted, fold, n_folds)

    def solve(self, xtx: np.ndarray, xty: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Cost per listed month, SEK: cells of shape (42,) and add-ons of shape (C,)."""
        return cells_and_add_ons(xtx, xty)

    def table(self, xtx: np.ndarray, xty: np.ndarray, cohort: Cohort, cost_responsibility: float) -> AmountTable:
        """The amounts these sums give: α times the fitted cost, SEK per listed month."""
        cells, add_ons = self.solve(xtx, xty)
        known = cells.reshape(len(BAND_FROM), len(SEXES))
        filled = borrow_empty_cells(known)
        source = f"fitted on {cohort.period or 'the cohort'}"
        if borrowed := int((np.isnan(known) & ~np.isnan(filled)).sum()):
            source += f"; nobody was listed in {borrowed} of {N_CELLS} cells, which take the amount of the nearest band"
        return AmountTable(
            self.name, cost_responsibility * filled, cohort.conditions if self.rule else (),
            cost_responsibility * add_ons, rule=self.rule, condition_set=self.condition_set, source=source)

    def fit(self, cohort: Cohort, cost_responsibility: float) -> AmountTable:
        """Amounts in SEK per listed month, before any closing to a budget and before rounding."""
        sums = self.sums(cohort)
        return self.table(sums.xtx[0], sums.xty[0], cohort, cost_responsibility)
