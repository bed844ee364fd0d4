"""Models that know age and sex only, and the floor that knows nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lakemedelsmodell.amounts import AmountTable, published_table
from lakemedelsmodell.data.cohort import Cohort
from lakemedelsmodell.facts import N_CELLS
from lakemedelsmodell.models.base import LeastSquares, Payable


class Flat(LeastSquares):
    """The same amount per head for everyone: mean cost per listed month."""

    name = "flat"
    role = "floor"

    def solve(self, xtx: np.ndarray, xty: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.full(N_CELLS, xty.sum() / np.trace(xtx)), np.zeros(0)


class AgeSex(LeastSquares):
    """Mean cost per listed month in each age band × sex, re-derived from the fit period."""

    name = "age_sex"
    role = "today, re-derived"


@dataclass(frozen=True)
class PublishedAgeSex(Payable):
    """The region's own table of a year, as printed; nothing is estimated."""

    name = "age_sex_published"
    role = "today, as published"

    year: int = 2026

    def fit(self, cohort: Cohort, cost_responsibility: float) -> AmountTable:
        """The published amounts, whatever the cohort; they hold at the year's own cost responsibility."""
        return published_table(self.year)
