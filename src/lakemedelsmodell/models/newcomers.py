"""The proposal, and one amount for those whose conditions the look-back cannot see."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lakemedelsmodell.amounts import AmountTable
from lakemedelsmodell.data.cohort import Cohort
from lakemedelsmodell.errors import UserError
from lakemedelsmodell.models.base import Payable, Rule, amount_table, sums_by_profile
from lakemedelsmodell.models.constrained import group_sums
from lakemedelsmodell.models.least_squares import cells_and_add_ons
from lakemedelsmodell.settlement import newcomers


@dataclass(frozen=True)
class ChronicNewcomers(Payable):
    """Chronic conditions and one amount, never negative, per listed month of a person who was listed nowhere in the
    look-back; estimated with the rest. Models that look back predict too little for them (Ericson et al. 2018).
    """

    name = "chronic_newcomers"
    role = "the proposal, an amount for newcomers"

    rule: Rule = "dispensed"
    condition_set: str | None = None

    def lacks(self, cohort: Cohort) -> str:
        try:
            newcomers(cohort)
        except UserError as error:
            return str(error)
        return ""

    def fit(self, cohort: Cohort, cost_responsibility: float) -> AmountTable:
        """Amounts in SEK per listed month, before any closing to a budget and before rounding."""
        new, sums = newcomers(cohort), sums_by_profile(cohort, self.rule)
        row, spent = group_sums(cohort, self.rule, {"newcomers": new})
        xtx = np.block([[sums.xtx[0], row.T], [row, cohort.exposure[new].sum()]])
        cells, add_ons = cells_and_add_ons(xtx, np.append(sums.xty[0], spent))
        *of_conditions, of_newcomers = add_ons
        return amount_table(
            self.name, cells, np.array(of_conditions), cohort, cost_responsibility, conditions=cohort.conditions,
            rule=self.rule, condition_set=self.condition_set,
            per_newcomer=None if math.isnan(of_newcomers) else cost_responsibility * float(of_newcomers))
