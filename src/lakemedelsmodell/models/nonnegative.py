"""The proposal as it could be published: no amount below 0, whether for age and sex or for a condition."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lakemedelsmodell.facts import N_CELLS
from lakemedelsmodell.models.base import ProfiledLeastSquares, Rule
from lakemedelsmodell.models.least_squares import nonnegative_solution


@dataclass(frozen=True)
class ChronicNonnegative(ProfiledLeastSquares):
    """Chronic conditions where cells and add-ons together are non-negative least squares (Lawson & Hanson 1974).

    A cell drawn up to 0 is overpaid on the fit period; what that costs the others is closed by φ when the table is
    paid.
    """

    name = "chronic_nonnegative"
    role = "the proposal, no amount below 0"

    rule: Rule = "dispensed"
    condition_set: str | None = None

    def solve(self, xtx: np.ndarray, xty: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        used = np.diag(xtx) > 0
        scale = np.sqrt(np.diag(xtx)[used])
        beta = np.full(len(used), np.nan)
        beta[used] = nonnegative_solution(xtx[np.ix_(used, used)] / np.outer(scale, scale), xty[used] / scale) / scale
        return beta[:N_CELLS], beta[N_CELLS:]
