"""What is told of the half-year the amounts were set on: found at once, so that its persons can be let go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lakemedelsmodell.amounts import AmountTable
from lakemedelsmodell.conditions import ConditionSet
from lakemedelsmodell.data.cohort import Cohort
from lakemedelsmodell.data.threads import of_each
from lakemedelsmodell.evaluation import safety, table_life
from lakemedelsmodell.evaluation.plan import PROPOSAL, TODAY, WITH_INTERVALS
from lakemedelsmodell.evaluation.warnings import Warned
from lakemedelsmodell.settlement import Settlement, settle


@dataclass(frozen=True, eq=False)
class FitPeriod:
    """Sums and findings of the fit period, no persons.

    Attributes
    ----------
    settlements : mapping, model → Settlement
        Each table paid there, α × that period's cost shared out; empty where it is the paid period itself.
    add_on_cost : mapping, model → condition → SEK
        What each add-on stands for there (:func:`~.table_life.add_on_cost`), under today's model and the proposal.
    warnings : of the amounts
    amount_intervals, credibility, style_in_amounts : as in results.json
    """

    settlements: Mapping[str, Settlement]
    add_on_cost: Mapping[str, dict[str, float] | None]
    warnings: list[Warned]
    amount_intervals: dict[str, list[dict[str, Any]]]
    credibility: list[dict[str, Any]]
    style_in_amounts: list[dict[str, Any]]


def fit_period(fitted: Cohort, paid: Cohort, as_fitted: Mapping[str, AmountTable | None],
               tables: Mapping[str, AmountTable], conditions: ConditionSet, alpha: float,
               budget_sek: float | None) -> FitPeriod:
    """Ask ``fitted`` all that is asked of it once ``tables`` stand; ``as_fitted`` are the same as estimated."""
    before = [] if fitted is paid else list(tables)
    settlements = of_each(lambda name: settle(tables[name], fitted, alpha), before, len(fitted.cost))
    phi = {name: settle(tables[name], paid, alpha, budget_sek).phi for name in WITH_INTERVALS if name in tables}
    return FitPeriod(
        settlements=dict(zip(before, settlements, strict=True)),
        add_on_cost={name: table_life.add_on_cost(tables[name], fitted, alpha) for name in (TODAY, PROPOSAL)
                     if name in tables},
        warnings=safety.of_amounts(tables, fitted, conditions),
        amount_intervals=table_life.intervals(as_fitted, tables, phi, fitted, paid, alpha),
        credibility=table_life.trust_in_add_ons(fitted),
        style_in_amounts=table_life.style_in_amounts(tables.get(PROPOSAL), fitted, alpha))
