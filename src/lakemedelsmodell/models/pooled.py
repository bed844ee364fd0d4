"""Models with a high-cost pool: the share of cost above T per person and half-year is paid as it falls.

The amounts are set on min(C, T) and the pool is paid from the same budget. A mandatory competitor: Geruso & McGuire
2016 found that simple reinsurance beat risk adjustment on fit, power and balance.
"""

from __future__ import annotations

from dataclasses import dataclass

from lakemedelsmodell.models.base import LeastSquares, ProfiledLeastSquares, Rule

POOL_THRESHOLD = 25_000.0
"""T of the headline, SEK of a person's cost in half a year."""


@dataclass(frozen=True)
class AgeSexPool(LeastSquares):
    """Age band × sex on the cost below the threshold, and the pool.

    The headline threshold needs no mention in the name; others do: ``age_sex_pool``, ``age_sex_pool_10k``.
    """

    pool_threshold: float = POOL_THRESHOLD  # SEK per person and half-year

    @property
    def name(self) -> str:
        return f"age_sex_pool{_named(self.pool_threshold)}"

    @property
    def role(self) -> str:
        return "competitor"


@dataclass(frozen=True)
class ChronicPool(ProfiledLeastSquares):
    """Chronic conditions on the cost below the threshold, and the pool (``chronic_pool``)."""

    rule: Rule = "dispensed"
    condition_set: str | None = None
    pool_threshold: float = POOL_THRESHOLD  # SEK per person and half-year

    @property
    def name(self) -> str:
        return f"chronic{'_defended' if self.rule == 'listed' else ''}_pool{_named(self.pool_threshold)}"

    @property
    def role(self) -> str:
        return "combination"


def _named(threshold: float) -> str:
    return "" if threshold == POOL_THRESHOLD else f"_{threshold / 1000:g}k"
