"""What part of each model's spread between centres is chance, and what of it lasts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd

from lakemedelsmodell.data.cohort import Cohort
from lakemedelsmodell.data.threads import of_each
from lakemedelsmodell.evaluation.plan import ORACLE, PROPOSAL, TODAY
from lakemedelsmodell.measures.comparison import Comparison
from lakemedelsmodell.measures.noise import NoiseFloor, noise_floor
from lakemedelsmodell.measures.true_spread import (
    TrueSpread,
    funnel,
    persistence,
    split_half,
    spread_parts,
    true_spread,
)
from lakemedelsmodell.measures.truth import true_spread_reduction
from lakemedelsmodell.models import LastCost
from lakemedelsmodell.settlement import Settlement, pay_per_month, pooled_cost


@dataclass(frozen=True, eq=False)
class Chance:
    """Noise floor and true spread of every model of a comparison.

    Attributes
    ----------
    predictor : str
        The model whose residuals are taken for chance.
    floors : mapping, model → NoiseFloor
        The same for all models that leave the same cost to chance: a pool takes the dearest cost off the centres.
    spreads : mapping, model → TrueSpread
    """

    predictor: str
    floors: Mapping[str, NoiseFloor]
    spreads: Mapping[str, TrueSpread]


def chance_of(comparison: Comparison, cohort: Cohort, alpha: float) -> Chance:
    """Chance is what the best predictor of need leaves; under a pool, the best for the cost below it.

    That is the model with the best fit. Last period's cost is no need: it holds the centre's prescribing, too. Nor is
    the oracle asked, so that a simulation and its files alone give the same floor.
    """
    pools = {name: comparison.tables[name].pool_threshold if name in comparison.tables else None
             for name in comparison.models}
    of_need = [name for name, pool in pools.items() if pool is None and name not in (LastCost.name, ORACLE)]
    best = max(of_need, key=lambda model: comparison.fits[model].r2)
    predicted = comparison.paid_per_month[best] / (comparison.settlements[best].phi * alpha)

    def floor_under(threshold: float | None) -> NoiseFloor:
        if threshold is None:
            return noise_floor(cohort, predicted, alpha)
        below = replace(cohort, cost=cohort.cost - pooled_cost(cohort, threshold))
        guesses = chain([predicted * below.cost.sum() / cohort.cost.sum()],
                        (pay_per_month(comparison.tables[name], cohort) / alpha
                         for name, pool in pools.items() if pool == threshold))
        nearest = min(guesses, key=lambda guess: float(
            ((below.cost - guess * cohort.months) ** 2 / cohort.months).sum()))
        return noise_floor(below, nearest, alpha, permutations=0)

    thresholds, names = list(dict.fromkeys(pools.values())), comparison.models
    floors = dict(zip(thresholds, of_each(floor_under, thresholds, len(cohort.cost)), strict=True))
    spreads = of_each(lambda name: true_spread(comparison.settlements[name], cohort, comparison.paid_per_month[name]),
                      names, len(cohort.cost))
    return Chance(best, {name: floors[pools[name]] for name in names}, dict(zip(names, spreads, strict=True)))


def noise_results(chance: Chance) -> dict[str, Any]:
    """The floor of centres that bear all their cost, by its three estimators."""
    floor = chance.floors[chance.predictor]
    return {"predictor": chance.predictor, "analytic": floor.analytic, "squared_residuals": floor.squared_residuals,
            "permutation": floor.permutation, "permutation_se": floor.permutation_se, "low": floor.low,
            "high": floor.high}


def chance_results(chance: Chance, comparison: Comparison) -> dict[str, dict[str, Any]]:
    """Per model: noise floor, true spread and its change from today's model, where the spread comes from, funnel."""
    today = chance.spreads[TODAY].tau2 if TODAY in chance.spreads else np.nan
    found = {}
    for name, true in chance.spreads.items():
        limits = funnel(comparison.settlements[name], true.variance)
        found[name] = {
            "noise_floor": chance.floors[name].floor, "true_sd": true.true_sd, "reliability": true.mean_reliability,
            "true_spread_p_value": true.p_value, "true_spread_reduction": true_spread_reduction(true.tau2, today),
            "spread_parts": spread_parts(true, chance.floors[name]).to_dict("records"),
            "funnel": {"target": limits.target, "over_dispersion": limits.over_dispersion, "tau2": limits.tau2,
                       "outside": int(limits.centres["outside"].sum())},
        }
    return found


def lasting(comparison: Comparison, paid: Cohort, before: Mapping[str, Settlement], alpha: float
            ) -> dict[str, dict[str, Any]]:
    """Per model: do the same centres lie apart in the half-year the amounts were set on, and in halves of their lists?

    ``before``: settlements of the models with a table in that half-year; the halves are of :data:`TODAY` and
    :data:`PROPOSAL` alone, which take time.
    """
    found: dict[str, dict[str, Any]] = {
        name: {"persistence": asdict(persistence(settled, comparison.settlements[name]))}
        for name, settled in before.items()}
    halved = [name for name in (TODAY, PROPOSAL) if name in comparison.models]
    halves = of_each(lambda name: split_half(paid, comparison.paid_per_month[name], alpha), halved, len(paid.cost))
    for name, of_model in zip(halved, halves, strict=True):
        found.setdefault(name, {})["split_half"] = asdict(of_model)
    return found


def centre_columns(chance: Chance, comparison: Comparison) -> pd.DataFrame:
    """What centres.csv says of chance, a row per model and centre in the order of its rows. SEK per listed month."""
    return pd.concat([pd.DataFrame({
        "standard_error": np.sqrt(true.variance), "reliability": true.reliability,
        "shrunken_net_sek_per_listed_month": true.shrunken,
        "outside_funnel": funnel(comparison.settlements[name], true.variance).centres["outside"],
    }) for name, true in chance.spreads.items()], ignore_index=True)
