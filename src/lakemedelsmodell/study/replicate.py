"""One replicate: draw a world, set and pay every model's amounts, measure them against each other and the truth."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, product
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lakemedelsmodell import facts
from lakemedelsmodell.amounts import AmountTable, published_table
from lakemedelsmodell.conditions import Condition, ConditionSet, condition_set
from lakemedelsmodell.data.cohort import Cohort
from lakemedelsmodell.data.periods import Period
from lakemedelsmodell.data.threads import of_each
from lakemedelsmodell.errors import UserError
from lakemedelsmodell.evaluation import Settings, make_plan
from lakemedelsmodell.evaluation import plan as plans
from lakemedelsmodell.measures.comparison import Comparison, compare
from lakemedelsmodell.measures.fit import fit_measures
from lakemedelsmodell.measures.groups import groups, outside_groups, predictive_ratios
from lakemedelsmodell.measures.noise import NoiseFloor, noise_floor
from lakemedelsmodell.measures.true_spread import true_spread
from lakemedelsmodell.measures.truth import against_truth, ideal_net, pass_through, true_spread_reduction
from lakemedelsmodell.settlement import Payer, Prediction, Settlement, pay_per_month, settle_rows, table_of
from lakemedelsmodell.study.cohorts import WorldCohorts, world_cohorts

if TYPE_CHECKING:
    from lakemedelsmodell.simulation.scenario import Scenario

CONTRASTS = (("chronic", "age_sex"), ("chronic_pool", "age_sex_pool"), ("chronic", "age_sex_published"),
             ("chronic_defended", "age_sex"), ("chronic_defended", "age_sex_pool_10k"),
             ("age_sex_pool", "age_sex"), ("chronic", "age_sex_pool"), ("age_sex_cni", "age_sex"),
             ("chronic", "age_sex_cni"), ("chronic_nonnegative", "age_sex"), ("chronic_newcomers", "age_sex"),
             ("highest_only", "age_sex"), ("count", "age_sex"), ("boosting", "age_sex"))
"""(model, against); those with a model that is not there are left out. Each further list is set against ``age_sex``."""
HEADLINE = ("age_sex", "age_sex_pool", "chronic", "chronic_pool")
VARIANTS = ("constrained", "credibility")
"""Of one half-year; at full size they hardly differ from the proposal."""
ORACLE = "oracle"
REGION = "region"
"""Stands for a model where a measure is of the region under any."""
NEEDED = ("age_sex", "chronic", ORACLE)
"""Without these there is nothing to measure."""
TAKEN_APART = ("age_sex", "chronic", "chronic_newcomers")
"""Whose true spread, and payments against need, are measured, where they are there."""
PERMUTATIONS = 20
RESAMPLES = 1000


@dataclass(frozen=True)
class Replicate:
    """One draw of a world, measured. Money in SEK per listed month.

    Attributes
    ----------
    world : str
    seed : int
    scale : float
    measures : mapping, model → measure → value
        Unknown is nan. Contrasts and what is paired are named ``measure.against``.
    groups : mapping, group → {"persons": n, "months": m, model: mean of payment less own cost}
        Named groups of persons; below 0 they are paid too little. ``need.<model>``: less what their need would cost at
        average practice.
    seconds : mapping, part of the work → wall-clock seconds
    left_out : mapping, model → why it could not be paid in this draw
    """

    world: str
    seed: int
    scale: float
    measures: dict[str, dict[str, float]]
    groups: dict[str, dict[str, float]]
    seconds: dict[str, float]
    left_out: dict[str, str] = field(default_factory=dict)


def atc_level_2() -> ConditionSet:
    """A condition per therapeutic subgroup (ATC level 2) of the facts' drugs: a list nobody chose for its weights."""
    prefixes = sorted({atc[:3] for atc in facts.substances()["atc"]})
    return ConditionSet("atc2", tuple(Condition(p, include=(p,), source="ATC level 2 (WHO)") for p in prefixes))


def models(conditions: ConditionSet, published: AmountTable, codes: pd.DataFrame) -> list[Any]:
    """The models of a study beside the oracle: the plan's but for variants of the proposal, and boosting, never paid.

    ``codes``: sums by code, whose prices bound the amounts of the defended version.
    """
    from lakemedelsmodell.models import Boosting

    return [*(m for m in plans.payable(published, conditions, codes) if m.name not in VARIANTS), Boosting()]


def replicate(scenario: Scenario, seed: int, scale: float = 1.0, *, centres: int | None = None,
              conditions: ConditionSet | None = None, others: Sequence[ConditionSet] | None = None,
              competitors: bool = True, settings: Settings = Settings(), workers: int = 2) -> Replicate:
    """Draw ``scenario`` with ``seed`` and carry out the analysis plan on its last half-year.

    Parameters
    ----------
    scale, centres : as for ``simulate``
    conditions : of the proposal; None = those of ``settings``
    others : further condition sets, each the model ``chronic_<name>``; None = ATC level 2
    competitors : False: only the models of the headline contrasts (:data:`HEADLINE`)
    settings : cost responsibility, published year, look-back, resamples; the rest has no bearing here
    workers : threads; the result is the same with any number

    A model whose amounts would leave a centre with less than nothing, as a steep slope on care need can in a small
    draw, is left out; those that others are measured against are paid all the same. Raises UserError where one of these
    cannot be paid.
    """
    from concurrent.futures import ThreadPoolExecutor

    from threadpoolctl import threadpool_limits

    from lakemedelsmodell.simulation.drawing import simulate

    conditions = conditions or condition_set(settings.condition_set)
    others = (atc_level_2(),) if others is None else others
    period = Period.half_year_of(Period(scenario.window.start, scenario.window.end).months[-1])
    plan = make_plan(period, False, scenario.window.start, settings.lookback_months)
    alpha = settings.cost_responsibility or facts.cost_responsibility(period.start)
    clock, seconds = [time.perf_counter()], {}

    def lap(what: str) -> None:
        clock.append(time.perf_counter())
        seconds[what] = round(clock[-1] - clock[-2], 3)

    with threadpool_limits(1, "blas"):
        world = simulate(scenario, seed=seed, scale=scale, centres=centres).world
        lap("world")
        drawn = world_cohorts(world, plan, conditions, others, workers=workers)
        lap("draw and add up")
        published = published_table(settings.published_year or facts.published_year(period.start))
        with ThreadPoolExecutor(workers) as pool:
            # Once, before the threads that would each find them.
            list(pool.map(lambda of: of[0].profiles(of[1]), product((drawn.fitted, drawn.paid), drawn.paid.flags)))
            floor = pool.submit(noise_floor, drawn.paid, drawn.expected, alpha, permutations=PERMUTATIONS)
            # The last model takes longest, so it goes first.
            chosen = [m for m in models(conditions, published, drawn.codes) if competitors or m.name in HEADLINE]
            fitted = {m.name: pool.submit(_fit, m, drawn, alpha) for m in chosen[::-1]}
            fitted |= {f"chronic_{other.name}": pool.submit(_other_proposal, other, of_fit, of_paid, alpha)
                       for other, of_fit, of_paid in drawn.others}
            names = [*(m.name for m in chosen), *(f"chronic_{o.name}" for o in others)]
            candidates: dict[str, Payer] = {name: fitted[name].result() for name in names}
            candidates[ORACLE] = Prediction(ORACLE, alpha * drawn.expected)
            lap("fit")
            settlements, left_out = payable(candidates, drawn.paid, alpha)
            payers = {name: candidates[name] for name in settlements}
            other_lists = [(f"chronic_{other.name}", "age_sex") for other in others]
            contrasts = [pair for pair in (*CONTRASTS, *other_lists) if set(pair) <= set(payers)]
            paid = {name: settlements[name].phi * pay_per_month(payers[name], drawn.paid) for name in TAKEN_APART
                    if name in payers}
            by_need = pool.submit(_by_need, drawn, paid, alpha)
            apart = {name: pool.submit(_taken_apart, settlements[name], drawn.paid, paid[name], alpha) for name in paid}
            comparison = compare(payers, drawn.paid, alpha, contrasts=contrasts, outside_groups=True,
                                 resamples=RESAMPLES, seed=settings.seed)
            measures = _measures(comparison, drawn, {name: part.result() for name, part in apart.items()},
                                 floor.result(), alpha)
            by_group = _groups(pd.concat([comparison.groups, by_need.result()]))
            lap("pay and measure")
    return Replicate(scenario.name, seed, scale, measures, by_group, seconds, left_out)


def _fit(model: Any, drawn: WorldCohorts, alpha: float) -> Payer:
    from lakemedelsmodell.models.base import Predictor

    if isinstance(model, Predictor):
        return model.fit(drawn.fitted, alpha, drawn.paid)
    table: AmountTable = model.fit(drawn.fitted, alpha)
    return table.rounded()


def payable(payers: Mapping[str, Payer], cohort: Cohort, alpha: float
            ) -> tuple[dict[str, Settlement], dict[str, str]]:
    """Settlements of those that take from no centre, and why the others are left out; :data:`NEEDED` are not.

    Raises UserError where one of these cannot be paid.
    """
    rules = {name: table.rule if (table := table_of(payer)) else None for name, payer in payers.items()}
    of_each(cohort.totals, dict.fromkeys(rules.values()))  # once, before the threads that would each find them

    def settled(name: str) -> Settlement | str:
        try:
            found = settle_rows(payers[name], cohort, cohort.totals(rules[name]), alpha)
        except UserError as error:
            if name in NEEDED:
                raise
            return str(error)
        takes = name not in NEEDED and (found.reimbursement_ore < 0).any()
        return f"The amounts of {name} come to less than nothing for a centre." if takes else found

    found = dict(zip(payers, of_each(settled, payers), strict=True))
    return ({name: paid for name, paid in found.items() if isinstance(paid, Settlement)},
            {name: why for name, why in found.items() if isinstance(why, str)})


def _other_proposal(conditions: ConditionSet, fitted: Cohort, paid: Cohort, alpha: float) -> Prediction:
    """Chronic conditions by another list. Its flags are not those of the cohort all models are measured on."""
    from lakemedelsmodell.models import ChronicConditions

    table = ChronicConditions("dispensed", conditions.name).fit(fitted, alpha).rounded()
    name = f"chronic_{conditions.name}"
    return Prediction(name, pay_per_month(replace(table, model=name), paid))


def _taken_apart(settlement: Settlement, cohort: Cohort, per_row: np.ndarray, alpha: float) -> dict[str, float]:
    """True spread, and the fit of the money as paid (``per_row``, SEK per listed month)."""
    true = true_spread(settlement, cohort, per_row)
    return {"tau2": true.tau2, "true_sd": true.true_sd,
            "r2_paid": fit_measures(cohort.cost, per_row / alpha, cohort.months).r2}


def _measures(comparison: Comparison, drawn: WorldCohorts, apart: Mapping[str, dict[str, float]], floor: NoiseFloor,
              alpha: float) -> dict[str, dict[str, float]]:
    settlements = comparison.settlements
    oracle, months = settlements[ORACLE], settlements[ORACLE].months
    ideal = ideal_net(drawn.style, months, alpha)
    found: dict[str, dict[str, float]] = {}
    need = oracle.net_per_month - settlements["age_sex"].net_per_month
    for name, settlement in settlements.items():
        truth = against_truth(settlement, drawn.style, oracle)
        spread, fit = comparison.spreads[name], comparison.fits[name]
        found[name] = {
            "sd": spread.sd, "p90_p10": spread.p90_p10, "within_2pct": spread.within_2pct, "r2": fit.r2, "cpm": fit.cpm,
            "phi": settlement.phi, "excess_sd": truth.excess_sd, "pass_through": truth.pass_through.slope,
            "pass_through_low": truth.pass_through.ci_low, "pass_through_high": truth.pass_through.ci_high,
            "pass_through_at_need": pass_through_at_need(settlement.net_per_month, ideal, need),
            "rmse_to_ideal": truth.rmse_to_ideal}
    for name, values in apart.items():
        found[name] |= values
    for c in comparison.contrasts:
        difference = settlements[c.model].net_per_month - settlements[c.against].net_per_month
        paired = pass_through(difference, ideal)
        of_pair = {
            "log_sd_ratio": c.log_sd_ratio, "ci_low": c.ci_low, "ci_high": c.ci_high,
            "redistribution_sek": c.redistribution_sek,
            "pass_through_change": paired.slope, "pass_through_change_low": paired.ci_low,
            "rmse_change": found[c.model]["rmse_to_ideal"] - found[c.against]["rmse_to_ideal"],
        }
        found[c.model] |= {f"{measure}.{c.against}": value for measure, value in of_pair.items()}
    # Of the money as paid: a level that drifted between the half-years is closed by φ and sets no centres apart.
    random = float(0.5 * np.log((1 - found["chronic"]["r2_paid"]) / (1 - found["age_sex"]["r2_paid"])))
    found["chronic"] |= {"log_random_list_ratio.age_sex": random,
                         "beyond_random.age_sex": found["chronic"]["log_sd_ratio.age_sex"] - random}
    found["chronic"]["true_spread_reduction.age_sex"] = true_spread_reduction(
        found["chronic"]["tau2"], found["age_sex"]["tau2"])
    listed = months > 0
    found[REGION] = {
        "noise_floor": floor.floor, "noise_floor_permutation": floor.permutation,
        "style_sd": float(np.std(ideal[listed], ddof=1)) if listed.sum() > 1 else np.nan,
        "own_cost": oracle.own_cost_per_month, "centres": float(listed.sum()),
        "persons": float(np.count_nonzero(np.diff(drawn.paid.person, prepend=-1))),
    }
    return found


def pass_through_at_need(net: np.ndarray, ideal: np.ndarray, need: np.ndarray) -> float:
    """Pass-through among centres of like need: slope of nets on ideal nets with ``need`` (K,) held, by least squares.

    The same as pass-through where style has nothing to do with need, but without the chance that in this draw it has.
    nan without style.
    """
    here = ~np.isnan(net) & ~np.isnan(ideal)
    if here.sum() < 4 or np.ptp(ideal[here]) == 0:
        return np.nan
    design = np.column_stack([np.ones(here.sum()), ideal[here], need[here]])
    return float(np.linalg.lstsq(design, net[here], rcond=None)[0][1])


def _by_need(drawn: WorldCohorts, paid: Mapping[str, np.ndarray], alpha: float) -> pd.DataFrame:
    """Groups' payments against what their need would cost at average practice, models named ``need.<model>``."""
    need = drawn.expected * drawn.paid.months
    return predictive_ratios(
        replace(drawn.paid, cost=need * drawn.paid.cost.sum() / need.sum()),
        {f"need.{name}": per_row for name, per_row in paid.items()}, alpha,
        chain(groups(drawn.paid), outside_groups(drawn.paid)))


def _groups(ratios: pd.DataFrame) -> dict[str, dict[str, float]]:
    wide = ratios.pivot(index="group", columns="model", values="under_compensation_sek")
    size = ratios.groupby("group")[["persons", "listed_months"]].first()
    return {group: {"persons": float(size.loc[group, "persons"]), "months": float(size.loc[group, "listed_months"]),
                    **row} for group, row in wide.to_dict("index").items()}
