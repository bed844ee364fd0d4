"""Carrying out the analysis plan: on a half-year, on a reduced table, on sums per centre."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any

from lakemedelsmodell import facts
from lakemedelsmodell.amounts import AmountTable, amounts_frame, published_table
from lakemedelsmodell.conditions import condition_set
from lakemedelsmodell.data.cohort import Cohort
from lakemedelsmodell.data.engines import put_aside
from lakemedelsmodell.data.flags import build_cohort, centre_use, code_summary, dispensings_outside
from lakemedelsmodell.data.periods import Period
from lakemedelsmodell.data.tables import HalfYear, default_period
from lakemedelsmodell.data.threads import of_each
from lakemedelsmodell.errors import UserError
from lakemedelsmodell.evaluation import results as said_as
from lakemedelsmodell.evaluation import safety, table_life
from lakemedelsmodell.evaluation.chance import chance_of, chance_results, lasting, noise_results
from lakemedelsmodell.evaluation.few import set_by_enough
from lakemedelsmodell.evaluation.fit_period import fit_period
from lakemedelsmodell.evaluation.plan import (
    chosen_period,
    make_plan,
    payable,
    period_beside,
    published_year,
    upper_bounds,
)
from lakemedelsmodell.evaluation.settings import Progress, Settings, quiet
from lakemedelsmodell.evaluation.warnings import said, warned
from lakemedelsmodell.measures.comparison import Comparison, compare
from lakemedelsmodell.measures.totals import compare_totals
from lakemedelsmodell.measures.truth import Truth
from lakemedelsmodell.models import AgeSex, ChronicConditions, Flat, Model, Predictor, fit_models, out_of_fold
from lakemedelsmodell.settlement import unscaled_reimbursement

if TYPE_CHECKING:
    import pandas as pd

    from lakemedelsmodell.data.totals_file import Totals
    from lakemedelsmodell.verdict import ManipulationFinding

SCHEMA_VERSION = 1


@dataclass(frozen=True, repr=False)
class Evaluation:
    """Everything one evaluation found.

    ``results`` is results.json without ``schema`` and ``run``; ``centres``, ``amounts``, ``coverage`` and
    ``contributions`` are the frames of centres.csv, amounts.csv, coverage.csv (which codes no condition or several
    count, and which list entries match nothing) and contributions.csv (what each centre's reimbursement is made of),
    the last two None of a reduced table; ``comparison`` holds the settlements of every model.
    """

    results: dict[str, Any]
    comparison: Comparison
    tables: Mapping[str, AmountTable]
    centres: pd.DataFrame
    amounts: pd.DataFrame
    coverage: pd.DataFrame | None = None
    contributions: pd.DataFrame | None = None
    schema: int = SCHEMA_VERSION

    def to_frame(self) -> pd.DataFrame:
        """Models × measures."""
        return self.comparison.to_frame()

    def plot(self, **keywords: Any) -> Any:
        """Every centre's net under today's model and under the proposal; a matplotlib Axes."""
        return self.comparison.plot(**keywords)

    def __repr__(self) -> str:
        return f"Evaluation of {(self.results['period'] or {}).get('label', 'a reduced table')}\n{self.comparison!r}"

    def _repr_html_(self) -> str:
        return self.comparison._repr_html_()


def evaluate(half_year: HalfYear, settings: Settings = Settings(), *, truth: Truth | None = None,
             manipulation: ManipulationFinding | None = None, progress: Progress = quiet) -> Evaluation:
    """Carry out the analysis plan on a half-year's data; ``truth`` is what a simulation knows of its own,
    ``manipulation`` what playing on the same data found, for the verdict.

    Raises UserError for a period the data or the rules cannot serve, DataError where the settings ask
    for columns that are not there.
    """
    conditions = condition_set(settings.condition_set)
    period, partial = (chosen_period(settings.period, half_year) if settings.period else default_period(half_year))
    plan = make_plan(period, partial, half_year.months_seen[0], settings.lookback_months)
    alpha = settings.cost_responsibility or facts.cost_responsibility(period.start)

    def cohort(paid: Period, lookback: Period, traits: bool = True) -> Cohort:
        return build_cohort(half_year, paid, conditions, lookback=lookback, months=settings.months,
                            cost_base=settings.cost_base, borne_by=settings.borne_by, traits=traits, progress=progress)

    paid = cohort(period, plan.lookback)
    fitted = paid if plan.fit_period == period else cohort(plan.fit_period, plan.fit_lookback)
    codes = code_summary(half_year, (plan.lookback.start, plan.lookback.end))
    put_aside(half_year.dispensings)
    if truth and not (truth.covers(period) and settings.borne_by == "listing"):
        truth = None  # it is of other months, or of other costs than the centres bear
    expected = truth.expected[paid.person] if truth else None
    style = truth.style_of(paid) if truth else None

    progress("fitting the models")
    published = published_table(published_year(settings, period))
    models: list[Model | Predictor] = [*payable(published, conditions, codes), *upper_bounds(expected)]
    payers, left_out = fit_models(models, fitted, paid, alpha)
    as_fitted = {name: payer.unrounded for name, payer in payers.items() if isinstance(payer, AmountTable)}
    payers |= {name: set_by_enough(table, fitted) for name, table in payers.items()
               if isinstance(table, AmountTable) and name != published.model}
    tables = {name: replace(table, valid_from=published.valid_from if name == published.model else period.start)
              for name, table in payers.items() if isinstance(table, AmountTable)}
    published_sek = float(unscaled_reimbursement(published, paid.totals()).sum())
    by_name = {"cost": None, "published": published_sek}
    budget = by_name[settings.budget] if isinstance(settings.budget, str) else settings.budget
    of_fit = fit_period(fitted, paid, as_fitted, tables, conditions, alpha, budget)
    concurrent = fitted is paid
    del fitted  # a country's persons need be in memory but once

    measured = functools.partial(compare, resamples=settings.resamples, seed=settings.seed)

    def on(other: Period) -> dict[str, Any]:
        beside = cohort(other, plan.lookback, traits=False)
        # A sum in kronor is for the headline period; the period beside it is closed to its own cost.
        own = (float(unscaled_reimbursement(published, beside.totals()).sum())
               if settings.budget == "published" else None)
        payable_beside = {name: table for name, table in tables.items() if table.per_newcomer is None}
        return said_as.beside_results(other, beside, measured(payable_beside, beside, alpha, own, by_group=False))

    beside = []
    if (other := period_beside(period)) is not None and set(other.months) <= set(half_year.months_seen):
        progress(f"the same on {other}")
        beside.append(on(other))

    progress("price style and the life of the tables")
    use = centre_use(half_year, period, months=settings.months, cost_base=settings.cost_base,
                     borne_by=settings.borne_by)
    fit_codes = code_summary(half_year, (plan.fit_period.start, plan.fit_period.end))
    used = min(plan.lookback.start, plan.fit_lookback.start), max(period.end, plan.fit_period.end)
    outside = dispensings_outside(half_year, used)
    half_year.let_go()

    progress("settling the centres and measuring the spread")
    comparison = measured(payers | tables, paid, alpha, budget, outside_groups=True, deciles=True)

    progress("how much of the spread is chance, and what lasts")
    chance = chance_of(comparison, paid, alpha)
    of_models = [chance_results(chance, comparison), lasting(comparison, paid, of_fit.settlements, alpha)]
    if style is not None:
        of_models.append(said_as.truth_results(comparison, style))
    own_cost = next(iter(comparison.settlements.values())).own_cost_per_month

    progress("incentives and examples")
    totals = said_as.totals_dict(paid, comparison, alpha) | {
        "published_sek": published_sek,
        "dispensings": int(half_year.codes["rows"].sum()) + half_year.counts.get("atc_missing", 0)}
    if outside:
        totals["left_out"] |= said_as.counts({"dispensings_outside_window": outside})
    said_of_models, said_of_truth, stable = of_each(lambda ask: ask(), (  # sums of rows beside many small frames
        lambda: said_as.models_dict(comparison, {m.name: m.role for m in models}, paid, of_models),
        lambda: (said_as.truth_dict(expected, style, paid, alpha)
                 if expected is not None and style is not None else None),
        lambda: None if concurrent else table_life.stability(tables, paid, alpha)), len(paid.cost))
    results = {
        "period": said_as.period_dict(period) | {"partial": plan.partial},
        "fit_period": said_as.period_dict(plan.fit_period),
        "lookback": said_as.period_dict(plan.lookback),
        "fit_lookback": said_as.period_dict(plan.fit_lookback),
        "variants": list(plan.variants),
        "settings": settings.model_dump(mode="json") | {"condition_set": conditions.name, "period": str(period)},
        "totals": totals,
        "found": list(half_year.found),
        **said([*plan.warnings, *safety.of_data(half_year, plan), *safety.of_comparison(comparison),
                *of_fit.warnings,
                *(warned("left_out", said=why) for why in left_out)]),
        "models": said_of_models,
        "contrasts": said_as.contrasts_list(comparison, style),
        "noise": noise_results(chance),
        "truth": said_of_truth,
        "price_style": said_as.style_dict(use, conditions, comparison, paid),
        "repricing": table_life.repricing(tables, conditions, use, fit_codes, paid, of_fit.add_on_cost, alpha),
        "phase_in": table_life.phasing_in(tables, paid, alpha, own_cost, budget),
        "stability": stable,
        "amount_intervals": of_fit.amount_intervals,
        "credibility": of_fit.credibility,
        "style_in_amounts": of_fit.style_in_amounts,
        "beside": beside,
        "incentives": said_as.incentives_list(conditions, codes, tables, comparison, alpha, period),
        "conditions": said_as.conditions_list(conditions, paid),
        "condition_statement": {"sv": conditions.statement_sv, "en": conditions.statement_en},
        "examples": said_as.examples_list(tables),
        "coverage": said_as.coverage_dict(conditions, codes),
    }
    results["verdict"] = said_as.verdict_dict(results, str(period), manipulation)
    return Evaluation(results, comparison, tables, said_as.centres_frame(comparison, paid, chance),
                      amounts_frame(tables.values()), said_as.coverage_frame(conditions, codes),
                      said_as.contributions_frame(comparison, tables, paid))


def evaluate_cohort(cohort: Cohort, settings: Settings = Settings(), *, progress: Progress = quiet) -> Evaluation:
    """Carry out the analysis plan on a reduced table: amounts out of fold, not rounded, budget α × cost."""
    alpha, budget = _own_terms(settings)
    progress("fitting the models out of fold")
    additive = [Flat(), AgeSex(), *([ChronicConditions()] if cohort.conditions else [])]
    fits = {m.name: out_of_fold(m, cohort, alpha) for m in additive}
    tables = {name: set_by_enough(fit.table, cohort) for name, fit in fits.items()}
    progress("settling the centres and measuring the spread")
    payers = {name: replace(fit, table=tables[name]) for name, fit in fits.items()}  # what is told of their amounts
    comparison = compare(payers, cohort, alpha, budget, outside_groups=True, deciles=True,
                         resamples=settings.resamples, seed=settings.seed)
    results = _bare_results(settings) | {
        "amount_intervals": table_life.intervals(
            {name: fit.table for name, fit in fits.items()}, tables,
            {name: settled.phi for name, settled in comparison.settlements.items()}, cohort, cohort, alpha),
        "totals": said_as.totals_dict(cohort, comparison, alpha) | {"published_sek": None, "dispensings": None},
        **said([*safety.of_comparison(comparison), *safety.of_amounts(tables, cohort)]),
        "models": said_as.models_dict(comparison, {m.name: m.role for m in additive}, cohort),
        "contrasts": said_as.contrasts_list(comparison),
    }
    results["verdict"] = said_as.verdict_dict(results, "a reduced table")
    return Evaluation(results, comparison, tables, said_as.centres_frame(comparison, cohort),
                      amounts_frame(tables.values()))


def evaluate_totals(totals: Totals, settings: Settings = Settings(), *, progress: Progress = quiet) -> Evaluation:
    """Carry out the analysis plan on sums per centre, where a region may hand out no persons.

    Amounts are set without the centre they pay, not rounded; budget α × cost. Fit is of centres, not persons.
    """
    alpha, budget = _own_terms(settings)
    progress("fitting the models on the other centres and measuring the spread")
    found = compare_totals(totals, alpha, budget, resamples=settings.resamples, seed=settings.seed)
    results = _bare_results(settings) | found.results()
    told = said(safety.of_comparison(found.comparison))
    results |= told | {"warnings": [*told["warnings"], *results["warnings"]]}
    results["verdict"] = said_as.verdict_dict(results, "sums per centre")
    return Evaluation(results, found.comparison, {}, found.centres_frame(), found.amounts_frame())


def _own_terms(settings: Settings) -> tuple[float, float | None]:
    """Cost responsibility and budget (None: α × cost) of a reduced table, which has no published amounts."""
    if settings.budget == "published":
        raise UserError('A reduced table has no published amounts to set the budget by. '
                        'Set budget = "cost" or an amount.')
    alpha = settings.cost_responsibility or facts.cost_responsibility(date(facts.published_years()[-1], 1, 1))
    return alpha, None if settings.budget == "cost" else float(settings.budget)


def _bare_results(settings: Settings) -> dict[str, Any]:
    """What a reduced table cannot know."""
    return {
        "period": None, "fit_period": None, "lookback": None, "fit_lookback": None, "variants": ["out of fold"],
        "settings": settings.model_dump(mode="json") | {"condition_set": None, "period": None}, "found": [],
        "noise": None, "truth": None, "price_style": None, "repricing": [], "phase_in": None, "stability": None,
        "amount_intervals": {}, "credibility": [], "style_in_amounts": [], "beside": [], "incentives": [],
        "conditions": [], "condition_statement": None, "examples": [], "coverage": None,
    }
