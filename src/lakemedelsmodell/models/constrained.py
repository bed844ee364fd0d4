"""Constrained regression: named groups outside the model are not paid less than they cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lakemedelsmodell.amounts import AmountTable
from lakemedelsmodell.data.cohort import Cohort
from lakemedelsmodell.errors import UserError
from lakemedelsmodell.facts import N_CELLS
from lakemedelsmodell.models.base import Payable, Rule, amount_table, cost_to_fit, sums_by_profile
from lakemedelsmodell.models.least_squares import constrained_solution, least_squares
from lakemedelsmodell.models.named_groups import named_groups

PROTECTED = ("conditions:4+", "drugs:5+", "cni:most_deprived_fifth")
"""The groups that are not to be paid less than they cost, where the cohort tells them apart."""


@dataclass(frozen=True)
class Constrained(Payable):
    """Chronic conditions, fitted so that on the fit period no protected group is paid less than it costs.

    Least squares subject to Σ_g e x'β ≥ Σ_g C for each group, add-ons ≥ 0, and all payments together equal to cost
    (van Kleef, McGuire, van Vliet & van de Ven 2017). ``protected`` are names of
    :func:`~.named_groups.named_groups`; those the cohort cannot tell apart are left out and the source says which held.
    """

    name = "constrained"
    role = "competitor"

    rule: Rule = "dispensed"
    condition_set: str | None = None
    protected: tuple[str, ...] = PROTECTED

    def fit(self, cohort: Cohort, cost_responsibility: float) -> AmountTable:
        """Amounts in SEK per listed month, before any closing to a budget and before rounding.

        Raises UserError when no amounts can pay all protected groups in full.
        """
        sums = sums_by_profile(cohort, self.rule)
        xtx, xty = sums.xtx[0], sums.xty[0]
        groups = dict(named_groups(cohort, self.protected))
        rows, cost = group_sums(cohort, self.rule, groups)
        C = len(xty) - N_CELLS
        total = xtx[:, :N_CELLS].sum(axis=1)
        A = np.vstack([rows, np.eye(C, N_CELLS + C, N_CELLS), total])
        c = np.concatenate([cost, np.zeros(C), [xty[:N_CELLS].sum()]])
        used = np.diag(xtx) > 0
        A, Q = A[:, used], xtx[np.ix_(used, used)]
        beta = np.full(len(used), np.nan)
        try:
            beta[used] = constrained_solution(Q, least_squares(Q, xty[used]), A, c, np.arange(len(c)) == len(c) - 1)
        except ValueError:
            raise UserError(f"No amounts pay {', '.join(groups)} in full at once. Protect fewer groups.") from None
        return amount_table(
            self.name, beta[:N_CELLS], beta[N_CELLS:].clip(min=0), cohort, cost_responsibility,
            note=f"no less than their cost for {', '.join(groups) or 'no group'}", conditions=cohort.conditions,
            rule=self.rule, condition_set=self.condition_set)


def group_sums(cohort: Cohort, rule: str, groups: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Σ_g e x, shape (G, p), and Σ_g C, SEK, shape (G,), times weight, of groups given as masks."""
    profiles, cost = cohort.profiles(rule), cost_to_fit(cohort)
    rows = np.zeros((len(groups), N_CELLS + profiles.flags.shape[1]))
    spent = np.zeros(len(groups))
    for g, mask in enumerate(groups.values()):
        months = profiles.sum(np.where(mask, cohort.exposure, 0.0))
        rows[g, :N_CELLS] = np.bincount(profiles.cell, months, N_CELLS)
        rows[g, N_CELLS:] = (months[:, None] * profiles.flags).sum(axis=0)
        spent[g] = cost[mask].sum()
    return rows, spent
