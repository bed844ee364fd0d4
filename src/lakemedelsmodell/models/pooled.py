"""Models with a high-cost pool: the share of cost above T per person and half-year is paid as it falls.

The amounts are set on min(C, T) and the pool is paid from the same budget. A mandatory competitor: Geruso & McGuire
2016 found that simple reinsurance beat risk adjustment on fit, power and balance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from lakemedelsmodell.amounts import AmountTable
from lakemedelsmodell.data.cohort import Cohort
from lakemedelsmodell.models.base import LeastSquares, ProfiledLeastSquares, Rule
from lakemedelsmodell.models.least_squares import bounded

POOL_THRESHOLD = 25_000.0
"""T of the headline, SEK of a person's cost in half a year."""
DEFENDED_POOL = 10_000.0
"""T of the defended version, chosen from the frontier by its rule (docs/manipulation.md)."""


@dataclass(frozen=True)
class AgeSexPool(LeastSquares):
    """Age band × sex on the cost below the threshold, and the pool.

    The headline threshold needs no mention in the name; others do: ``age_sex_pool``, ``age_sex_pool_10k``.
    """

    role = "competitor"

    pool_threshold: float = POOL_THRESHOLD  # SEK per person and half-year

    @property
    def name(self) -> str:
        return f"age_sex_pool{_named(self.pool_threshold)}"


@dataclass(frozen=True)
class ChronicPool(ProfiledLeastSquares):
    """Chronic conditions on the cost below the threshold, and the pool (``chronic_pool``)."""

    role = "combination"

    rule: Rule = "dispensed"
    condition_set: str | None = None
    pool_threshold: float = POOL_THRESHOLD  # SEK per person and half-year

    @property
    def name(self) -> str:
        return f"chronic{'_defended' if self.rule == 'listed' else ''}_pool{_named(self.pool_threshold)}"


@dataclass(frozen=True)
class ChronicDefended(ProfiledLeastSquares):
    """The proposal made hard to manipulate (``chronic_defended``): what docs/manipulation.md chose from the frontier.

    The thresholds of the condition list hold, no amount stands for more cost per listed month than ``most`` (SEK,
    before α, by condition; no bound where it is not there), and cost above a low threshold is pooled.
    """

    name = "chronic_defended"
    role = "the proposal, hardened, with a pool"

    condition_set: str | None = None
    most: Mapping[str, float] = field(default_factory=dict)
    pool_threshold: float = DEFENDED_POOL  # SEK per person and half-year
    rule: Rule = "listed"

    def table(self, xtx: np.ndarray, xty: np.ndarray, cohort: Cohort, cost_responsibility: float) -> AmountTable:
        upper = np.array([self.most.get(name, np.inf) for name in cohort.conditions])
        return self.amounts(*bounded(xtx, xty, upper), cohort, cost_responsibility)


def _named(threshold: float) -> str:
    return "" if threshold == POOL_THRESHOLD else f"_{threshold / 1000:g}k"
