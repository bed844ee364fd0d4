"""Does prescribing style sit in the amounts? Fit them beside one dummy per centre and see whether they move."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lakemedelsmodell.amounts import AmountTable, side_by_side
from lakemedelsmodell.data.cohort import Cohort
from lakemedelsmodell.facts import N_CELLS
from lakemedelsmodell.models.base import ProfiledLeastSquares, Rule, cost_to_fit
from lakemedelsmodell.models.least_squares import within_centres


@dataclass(frozen=True)
class CentreEffects(ProfiledLeastSquares):
    """Chronic conditions beside one dummy per centre, neutralised in payment (Schokkaert & Van de Voorde 2004).

    The amounts then rest on differences between persons of the same centre alone: what a centre prescribes to all
    its patients stays out of them.
    """

    name = "centre_effects"
    role = "diagnosis of style in the amounts"

    rule: Rule = "dispensed"
    condition_set: str | None = None

    def fit(self, cohort: Cohort, cost_responsibility: float) -> AmountTable:
        sums, K = self.sums(cohort), cohort.n_centres
        totals = cohort.totals(self.rule)
        by_centre = np.hstack([totals.months_by_cell, totals.flagged_months])
        spent = np.bincount(cohort.centre, cost_to_fit(cohort), K)
        solved = within_centres(sums.xtx[0], sums.xty[0], by_centre, spent, by_centre[:, :N_CELLS].sum(axis=1))
        return self.amounts(*solved, cohort, cost_responsibility)


def style_contamination(plain: AmountTable, cohort: Cohort, cost_responsibility: float) -> pd.DataFrame:
    """How the amounts of the chronic model move when each centre has its own level.

    Columns of :func:`~lakemedelsmodell.amounts.side_by_side`: ``first`` is the plain fit, ``second`` that beside centre
    dummies, both SEK per listed month. An add-on that falls was paid for by centres that prescribe more to everyone
    and flag more; no change says that flags and style go apart.
    """
    beside = CentreEffects("listed" if plain.rule == "listed" else "dispensed")
    return side_by_side(plain.unrounded or plain, beside.fit(cohort, cost_responsibility))
