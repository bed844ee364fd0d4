"""The analysis plan on one half-year: which models, fitted where, paid where, measured how.

Amounts are estimated on the half-year before (flags from the twelve months before that), rounded to
whole kronor and frozen, then paid on the period; one factor per model closes them to the same budget.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

from lakemedelsmodell import facts
from lakemedelsmodell.amounts import AmountTable, amounts_frame, published_table
from lakemedelsmodell.conditions import ConditionSet, condition_set
from lakemedelsmodell.data.periods import Period, add_months
from lakemedelsmodell.errors import UserError
from lakemedelsmodell.settlement import pay_per_month, pooled_cost, unscaled_reimbursement

if TYPE_CHECKING:
    import pandas as pd

    from lakemedelsmodell.data.cohort import Cohort
    from lakemedelsmodell.data.tables import HalfYear
    from lakemedelsmodell.data.totals_file import Totals
    from lakemedelsmodell.measures.comparison import Comparison

Progress = Callable[[str], None]
"""Called with what is being done, each time something new begins."""


def quiet(what: str) -> None:
    """The progress of a run nobody watches."""


SCHEMA_VERSION = 1
TODAY = "age_sex"
"""Today's model on the same data: what a change is a change from."""
TAKEN_APART = ("age_sex_published", "age_sex", "age_sex_pool", "chronic", "chronic_defended", "chronic_pool",
               "chronic_nonnegative")
"""Models whose payments to each centre are shown amount by amount."""
MIN_CENTRES = 10
MIN_LOOKBACK_MONTHS = 6
"""With a shorter look-back before the fit period, amounts are fitted on the paid period instead."""

EXAMPLES = {
    "Johan": (60, "M", ()),
    "Anders": (60, "M", ("diabetes_oral", "ihd_antiplatelet", "doak", "inflammatorisk", "cancer_hormon")),
}
"""The region's two worked examples (information meeting 7 May 2026): the conditions stand for what the
meeting named: diabetes, cardiovascular disease, anticoagulation, inflammatory disease and cancer."""


class Settings(BaseModel):
    """How a half-year is evaluated; every default is the headline choice of design.md."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cost_base: Literal["benefit_cost", "gross_price"] = "benefit_cost"
    borne_by: Literal["listing", "prescriber"] = "listing"
    months: Literal["snapshot", "days"] = "snapshot"
    lookback_months: int = Field(12, ge=1, le=36)
    condition_set: str = "skane_wide"
    budget: Literal["cost", "published"] | float = "cost"
    cost_responsibility: float | None = Field(None, gt=0, le=1)
    published_year: int | None = None
    table_period: int | None = None
    """Calendar year whose statistics set the published table; None = the year before it. [assumed]"""
    period: str | None = None
    resamples: int = Field(2000, ge=100, le=100_000)
    seed: int = Field(20260507, ge=0)

    @field_validator("budget")
    @classmethod
    def _positive(cls, value: str | float) -> str | float:
        if not isinstance(value, str) and not (0 < value < float("inf")):
            raise ValueError("a budget in SEK must be above 0")
        return value


WARNINGS = {
    "partial_period": "The period {period} is not complete in the data: the last months lack dispensings.",
    "concurrent_fit": "Too little history to fit on the half-year before ({fit_period}): amounts are fitted on the "
                      "paid period itself, which flatters every model.",
    "concurrent_flags": "No dispensings before the paid period: flags are read from the paid period itself, so the "
                        "pack that sets a flag sits inside the cost it explains.",
    "short_lookback": "Look-back of {used} months instead of {wanted}: the data begin in {first_month}.",
    "few_centres": "Only {centres} centres: a spread over so few says little.",
    "empty_centres": "{centres} centres have no listed months in the period; they have no net.",
    "negative_amounts": "{model}: the amount for age and sex is below 0 in {cells} of {of} cells (lowest {lowest} SEK "
                        "per listed month). Add-ons that simply add up overpay those who hold few conditions, and a "
                        "table with amounts below 0 can hardly be paid.",
    "borrowed_cells": "{model}: {source}.",
    "left_out": "{said}",
}
"""What a reader should know before relying on the numbers, by kind; the report says the same in its language."""


@dataclass(frozen=True)
class Warned:
    """One of :data:`WARNINGS` with its values."""

    kind: str
    values: Mapping[str, Any]

    def __str__(self) -> str:
        return WARNINGS[self.kind].format(**self.values)


def warned(kind: str, **values: Any) -> Warned:
    return Warned(kind, values)


@dataclass(frozen=True)
class Plan:
    """Which months are paid, where the amounts come from and which months the flags look at.

    ``variants`` names every departure from the plan that short history forces: ``concurrent`` (amounts
    fitted on the paid period itself), ``concurrent flags`` (flags read from the paid period itself)
    and ``short look-back``.
    """

    period: Period
    partial: bool
    fit_period: Period
    lookback: Period
    fit_lookback: Period
    variants: tuple[str, ...]
    warnings: tuple[Warned, ...]


def make_plan(period: Period, partial: bool, first_month: date, lookback_months: int) -> Plan:
    """Lay the periods out, given the first month that has dispensings.

    Raises UserError when the period spans two half-years or has no dispensings before its end.
    """
    half = Period.half_year_of(period.start)
    if period.end > half.end:
        raise UserError(f"The period {period} spans two half-years, but flags are read once per half-year. "
                        f"Choose months within {half}.")
    if first_month >= period.end:
        raise UserError(f"There are no dispensings before the end of {period}. Choose another --period.")
    warnings, variants = [], []
    if partial:
        warnings.append(warned("partial_period", period=str(period)))
    fit = half.previous_half_year
    history = Period(first_month, half.start).n_months if first_month < half.start else 0
    fit_history = history - 6
    lookback_used = min(lookback_months, max(fit_history, 0))
    if fit_history >= MIN_LOOKBACK_MONTHS or fit_history >= lookback_months:
        lookback, fit_lookback = half.before(lookback_used), fit.before(lookback_used)
    else:
        variants.append("concurrent")
        warnings.append(warned("concurrent_fit", fit_period=str(fit)))
        fit = period
        lookback_used = min(lookback_months, history)
        if lookback_used == 0:
            variants.append("concurrent flags")
            warnings.append(warned("concurrent_flags"))
            lookback = fit_lookback = period
        else:
            lookback = fit_lookback = half.before(lookback_used)
    if 0 < lookback_used < lookback_months:
        variants.append("short look-back")
        warnings.append(warned("short_lookback", used=lookback_used, wanted=lookback_months,
                               first_month=f"{first_month:%Y-%m}"))
    return Plan(period, partial, fit, lookback, fit_lookback, tuple(variants), tuple(warnings))


@dataclass(frozen=True)
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

    def _repr_html_(self) -> str:
        return self.comparison._repr_html_()


BESIDE_MONTHS = 2
"""The region's own comparison (7 May 2026) covers the first two months of the half-year."""


def evaluate(half_year: HalfYear, settings: Settings = Settings(), *, progress: Progress = quiet) -> Evaluation:
    """Carry out the analysis plan on a half-year's data.

    Raises UserError for a period the data or the rules cannot serve, DataError where the settings ask
    for columns that are not there.
    """
    from lakemedelsmodell.data.flags import build_cohort, code_summary, dispensings_outside
    from lakemedelsmodell.data.tables import default_period
    from lakemedelsmodell.measures.comparison import compare
    from lakemedelsmodell.models import fit_models

    conditions = condition_set(settings.condition_set)
    period, partial = (_chosen(settings.period, half_year) if settings.period else default_period(half_year))
    plan = make_plan(period, partial, half_year.months_seen[0], settings.lookback_months)
    alpha = settings.cost_responsibility or facts.cost_responsibility(period.start)

    def cohort(paid: Period, lookback: Period, traits: bool = True) -> Cohort:
        return build_cohort(half_year, paid, conditions, lookback=lookback, months=settings.months,
                            cost_base=settings.cost_base, borne_by=settings.borne_by, traits=traits, progress=progress)

    paid = cohort(period, plan.lookback)
    fitted = paid if plan.fit_period == period else cohort(plan.fit_period, plan.fit_lookback)
    progress("fitting the models")
    published = published_table(_published_year(settings, period))
    models = _models(published, conditions)
    payers, left_out = fit_models(models, fitted, paid, alpha)
    tables = {name: replace(table, valid_from=published.valid_from if name == published.model else period.start)
              for name, table in payers.items() if isinstance(table, AmountTable)}

    progress("settling the centres and measuring the spread")
    published_sek = float(unscaled_reimbursement(published, paid.totals()).sum())
    by_name = {"cost": None, "published": published_sek}
    budget = by_name[settings.budget] if isinstance(settings.budget, str) else settings.budget
    measured = functools.partial(compare, resamples=settings.resamples, seed=settings.seed)
    comparison = measured(payers | tables, paid, alpha, budget, outside_groups=True, deciles=True)

    beside = []
    if (other := _beside(period)) is not None and other.end <= add_months(half_year.months_seen[-1], 1):
        progress(f"the same on {other}")
        # A sum in kronor is for the headline period; the period beside it is closed to its own cost.
        beside_cohort = cohort(other, plan.lookback, traits=False)
        beside_budget = (float(unscaled_reimbursement(published, beside_cohort.totals()).sum())
                         if settings.budget == "published" else None)
        beside.append(_beside_results(other, beside_cohort, measured(tables, beside_cohort, alpha, beside_budget)))

    progress("incentives and examples")
    window = (plan.lookback.start, plan.lookback.end)
    codes = code_summary(half_year, window)
    totals = _totals(paid, comparison, alpha) | {
        "published_sek": published_sek,
        "dispensings": int(half_year.codes["rows"].sum()) + half_year.counts.get("atc_missing", 0)}
    used = min(plan.lookback.start, plan.fit_lookback.start), max(period.end, plan.fit_period.end)
    if outside := dispensings_outside(half_year, used):
        totals["left_out"]["dispensings_outside_window"] = outside
    results = {
        "period": _period_dict(period) | {"partial": plan.partial},
        "fit_period": _period_dict(plan.fit_period),
        "lookback": _period_dict(plan.lookback),
        "fit_lookback": _period_dict(plan.fit_lookback),
        "variants": list(plan.variants),
        "settings": settings.model_dump(mode="json") | {"condition_set": conditions.name, "period": str(period)},
        "totals": totals,
        "found": list(half_year.found),
        **_said([*plan.warnings, *_warnings(comparison), *(warned("left_out", said=said) for said in left_out)]),
        "models": _models_dict(comparison, {m.name: m.role for m in models}, _chance(comparison, paid, alpha),
                               paid.centres),
        "contrasts": [asdict(c) for c in comparison.contrasts],
        "beside": beside,
        "incentives": _incentives(conditions, codes, tables, comparison, alpha, period),
        "conditions": _conditions_dict(conditions, paid),
        "condition_statement": {"sv": conditions.statement_sv, "en": conditions.statement_en},
        "examples": _examples(tables),
        "coverage": _coverage(conditions, codes),
    }
    return Evaluation(results, comparison, tables, _centres_frame(comparison, paid.centres),
                      amounts_frame(tables.values()), _coverage_frame(conditions, codes),
                      _contributions_frame(comparison, tables, paid))


def evaluate_cohort(cohort: Cohort, settings: Settings = Settings(), *, progress: Progress = quiet) -> Evaluation:
    """Carry out the analysis plan on a reduced table: amounts out of fold, not rounded, budget α × cost."""
    from lakemedelsmodell.measures.comparison import compare
    from lakemedelsmodell.models import AgeSex, ChronicConditions, Flat, out_of_fold

    alpha, budget = _own_terms(settings)
    progress("fitting the models out of fold")
    models = [Flat(), AgeSex(), *([ChronicConditions()] if cohort.conditions else [])]
    payers = {m.name: out_of_fold(m, cohort, alpha) for m in models}
    progress("settling the centres and measuring the spread")
    comparison = compare(payers, cohort, alpha, budget, outside_groups=True, deciles=True,
                         resamples=settings.resamples, seed=settings.seed)
    tables = {name: payer.table for name, payer in payers.items()}
    results = _bare_results(settings) | {
        "totals": _totals(cohort, comparison, alpha) | {"published_sek": None, "dispensings": None},
        **_said(_warnings(comparison)),
        "models": _models_dict(comparison, {m.name: m.role for m in models}, {}, cohort.centres),
        "contrasts": [asdict(c) for c in comparison.contrasts],
    }
    return Evaluation(results, comparison, tables, _centres_frame(comparison, cohort.centres),
                      amounts_frame(tables.values()))


def evaluate_totals(totals: Totals, settings: Settings = Settings(), *, progress: Progress = quiet) -> Evaluation:
    """Carry out the analysis plan on sums per centre, where a region may hand out no persons.

    Amounts are set without the centre they pay, not rounded; budget α × cost. Fit is of centres, not persons.
    """
    from lakemedelsmodell.measures.totals import compare_totals

    alpha, budget = _own_terms(settings)
    progress("fitting the models on the other centres and measuring the spread")
    found = compare_totals(totals, alpha, budget, resamples=settings.resamples, seed=settings.seed)
    results = _bare_results(settings) | found.results()
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
        "beside": [], "incentives": [], "conditions": [], "condition_statement": None, "examples": [], "coverage": None,
    }


def noticed(half_year: HalfYear, settings: Settings = Settings()) -> dict[str, int]:
    """What is odd but not fatal, by kind, were the default period evaluated; see ``data.tables.KINDS``."""
    from lakemedelsmodell.data.flags import build_cohort, dispensings_outside
    from lakemedelsmodell.data.tables import default_period

    plan = make_plan(*default_period(half_year), half_year.months_seen[0], settings.lookback_months)
    counts = dict(build_cohort(half_year, plan.period, ConditionSet("none", ()), lookback=plan.lookback).counts)
    used = min(plan.lookback.start, plan.fit_lookback.start), max(plan.period.end, plan.fit_period.end)
    outside = dispensings_outside(half_year, used)
    return counts | ({"dispensings_outside_window": outside} if outside else {})


def derive_table(half_year: HalfYear, year: int, settings: Settings = Settings()) -> pd.DataFrame:
    """The published table of ``year`` derived again: round(α × cost ÷ listed months) over its statistics period.

    Returns one row per cell: age_band, sex, listed_months, cost_sek, published, derived (SEK per listed
    month; nan where nobody was listed) and equal.
    """
    import pandas as pd

    from lakemedelsmodell.data.flags import build_cohort

    published = published_table(year)
    statistics = Period.calendar_year(settings.table_period or year - 1)
    missing = [m for m in statistics.months if m not in half_year.months_seen]
    if missing:
        raise UserError(f"The table of {year} is derived from {statistics}, "
                        f"but the data have no dispensings in {missing[0]:%Y-%m}.")
    cohort = build_cohort(half_year, statistics, ConditionSet("none", ()), months=settings.months,
                          cost_base=settings.cost_base, borne_by=settings.borne_by)
    alpha = settings.cost_responsibility or facts.cost_responsibility(date(year, 1, 1))
    months = np.bincount(cohort.cell, cohort.months, facts.N_CELLS)
    cost = np.bincount(cohort.cell, cohort.cost, facts.N_CELLS)
    derived = np.full(facts.N_CELLS, np.nan)
    listed = months > 0
    # Öre are summed exactly, so a half krona is a half krona.
    derived[listed] = np.floor(alpha * cost[listed] / months[listed] + 0.5)
    paid = published.cells.reshape(-1)
    return pd.DataFrame({
        "age_band": np.repeat(facts.BAND_LABELS, len(facts.SEXES)), "sex": np.tile(facts.SEXES, len(facts.BAND_LABELS)),
        "listed_months": months, "cost_sek": cost, "published": paid, "derived": derived, "equal": derived == paid,
    })


def _chosen(text: str, half_year: HalfYear) -> tuple[Period, bool]:
    """The period asked for, and whether months of it lack dispensings."""
    period = Period.parse(text)
    there = [m in half_year.months_seen for m in period.months]
    if not any(there):
        raise UserError(f"There are no dispensings in {period}: the data hold {half_year.first_day} to "
                        f"{half_year.last_day}. Choose another --period.")
    return period, not all(there)


def _published_year(settings: Settings, period: Period) -> int:
    return settings.published_year or facts.published_year(period.start)


def _models(published: AmountTable, conditions: ConditionSet) -> list[Any]:
    from lakemedelsmodell.models import (
        AgeSex,
        AgeSexCni,
        AgeSexPool,
        Boosting,
        ChronicConditions,
        ChronicPool,
        Count,
        Flat,
        HighestOnly,
        PublishedAgeSex,
    )

    assert published.valid_from is not None
    name = conditions.name
    return [Flat(), PublishedAgeSex(published.valid_from.year), AgeSex(), ChronicConditions("dispensed", name),
            ChronicConditions("listed", name), AgeSexCni(), AgeSexPool(10_000), AgeSexPool(), AgeSexPool(50_000),
            ChronicPool("dispensed", name), HighestOnly("dispensed", name), Count("dispensed", name), Boosting()]


def _beside(period: Period) -> Period | None:
    """The first two months beside a half-year; the half-year beside anything else."""
    half = Period.half_year_of(period.start)
    return Period(half.start, add_months(half.start, BESIDE_MONTHS)) if period == half else half


def _period_dict(period: Period) -> dict[str, str]:
    return {"start": period.start.isoformat(), "end": period.end.isoformat(), "label": str(period)}


def _totals(cohort: Cohort, comparison: Comparison, alpha: float) -> dict[str, Any]:
    settlement = next(iter(comparison.settlements.values()))
    return {
        "centres": int((settlement.months > 0).sum()), "persons": len(np.unique(cohort.person)),
        "listed_months": float(settlement.months.sum()), "cost_sek": float(settlement.cost_sek.sum()),
        "budget_sek": settlement.budget_ore / 100, "cost_responsibility": alpha, "left_out": dict(cohort.counts),
    }


def _chance(comparison: Comparison, cohort: Cohort, alpha: float) -> dict[str, dict[str, Any]]:
    """What part of each model's spread is chance: noise floor, true SD, mean reliability of a centre's net, the parts.

    The floor is that of the best predictor among the models, and the same for all that leave the same cost to chance:
    a pool takes the dearest cost, and with it chance, off the centres.
    """
    from lakemedelsmodell.measures.noise import NoiseFloor, noise_floor
    from lakemedelsmodell.measures.true_spread import spread_parts, true_spread

    pools = {name: comparison.tables[name].pool_threshold if name in comparison.tables else None
             for name in comparison.models}
    best = max((name for name, pool in pools.items() if pool is None), key=lambda model: comparison.fits[model].r2)
    predicted = comparison.paid_per_month[best] / (comparison.settlements[best].phi * alpha)

    def floor_under(threshold: float | None) -> NoiseFloor:
        if threshold is None:
            return noise_floor(cohort, predicted, alpha)
        below = replace(cohort, cost=cohort.cost - pooled_cost(cohort, threshold))
        guesses = [predicted * below.cost.sum() / cohort.cost.sum(),
                   *(pay_per_month(comparison.tables[name], cohort) / alpha
                     for name, pool in pools.items() if pool == threshold)]
        missed = [float(((below.cost - guess * cohort.months) ** 2 / cohort.months).sum()) for guess in guesses]
        return noise_floor(below, guesses[int(np.argmin(missed))], alpha)

    floors = {threshold: floor_under(threshold) for threshold in set(pools.values())}
    found = {}
    for name in comparison.models:
        floor = floors[pools[name]]
        true = true_spread(comparison.settlements[name], cohort, comparison.paid_per_month[name])
        found[name] = {"noise_floor": floor.floor, "true_sd": true.true_sd, "reliability": true.mean_reliability,
                       "spread_parts": spread_parts(true, floor).to_dict("records")}
    return found


def _persons(comparison: Comparison, centres: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Who is paid too little under each model: groups, deciles of predicted cost, public against private.

    Groups of too few persons are there by name, with nothing known of them.
    """
    from lakemedelsmodell.measures.groups import FEWEST_PERSONS, neutrality

    def shown(rows: pd.DataFrame) -> pd.DataFrame:
        told = rows.astype(object)
        told.loc[rows["persons"] < FEWEST_PERSONS] = None
        return told

    operator = centres["operator"].to_numpy() if "operator" in centres else np.full(len(centres), None)
    today = comparison.settlements.get(TODAY)
    found = {}
    for model, rows in comparison.groups.groupby("model"):
        settled = comparison.settlements[model]
        change = settled.net_sek - today.net_sek if today else np.full(len(centres), np.nan)
        groups = rows.set_index("group")[["ratio", "ci_low", "ci_high", "persons", "under_compensation_sek",
                                          "under_ci_low", "under_ci_high"]]
        deciles = comparison.calibrations[model].groups.rename(columns={"group": "decile"}).set_index("decile")
        found[model] = {
            "predictive_ratios": shown(groups).to_dict("index"),
            "calibration": shown(deciles).reset_index().to_dict("records"),
            "neutrality": {"net": asdict(neutrality(settled.net_sek, settled.months, operator)),
                           "change_from_today": asdict(neutrality(change, settled.months, operator))},
        }
    return found


def _models_dict(comparison: Comparison, roles: Mapping[str, str], chance: Mapping[str, Mapping[str, Any]],
                 centres: pd.DataFrame) -> dict[str, Any]:
    import pandas as pd

    persons = _persons(comparison, centres)
    found = {}
    for name, settlement in comparison.settlements.items():
        columns = ["kind", "name", "sex", "age_from", "sek_per_month"]
        table = comparison.tables.get(name)
        amounts = table.to_frame()[columns] if table else pd.DataFrame(columns=columns)
        found[name] = {
            "role": roles[name], "phi": settlement.phi,
            "unscaled": {"reimbursement_sek": float(settlement.unscaled_sek.sum()),
                         "spread": comparison.unscaled_spreads[name].measures()},
            "amounts": amounts.astype(object).where(amounts.notna(), None).to_dict("records"),
            "fit": asdict(comparison.fits[name]),
            "spread": comparison.spreads[name].measures(),
            "noise_floor": None, "true_sd": None, "reliability": None, "spread_parts": [], **chance.get(name, {}),
            # Only a truth can tell these: a simulation's study does.
            "pass_through": None, "rmse_to_ideal": None,
            **persons[name],
        }
    return found


def _beside_results(period: Period, cohort: Cohort, comparison: Comparison) -> dict[str, Any]:
    alpha = next(iter(comparison.settlements.values())).cost_responsibility
    return {
        "period": _period_dict(period), "totals": _totals(cohort, comparison, alpha),
        "models": {name: {"phi": comparison.settlements[name].phi, "spread": comparison.spreads[name].measures()}
                   for name in comparison.models},
        "contrasts": [asdict(c) for c in comparison.contrasts],
    }


def _incentives(conditions: ConditionSet, codes: pd.DataFrame, tables: Mapping[str, AmountTable],
                comparison: Comparison, alpha: float, period: Period) -> list[dict[str, Any]]:
    from lakemedelsmodell.measures.incentives import starter_packs

    packs = starter_packs(conditions, codes, tables, {m: s.phi for m, s in comparison.settlements.items()}, alpha,
                          months=6, staircase=_staircase(period.start))
    return packs.astype(object).where(packs.notna(), None).to_dict("records")


def _staircase(day: date) -> facts.FeeStaircase:
    """The staircase of a patient's period that begins on ``day``."""
    return [s for s in facts.fee_staircases() if s.valid_from <= day][-1]


def _conditions_dict(conditions: ConditionSet, cohort: Cohort) -> list[dict[str, Any]]:
    held = cohort.flags["dispensed"]
    new_person = np.diff(cohort.person, prepend=-1) != 0
    starts = np.flatnonzero(new_person)
    persons = np.logical_or.reduceat(held, starts, axis=0).sum(axis=0) if len(held) else np.zeros(held.shape[1], int)
    number = dict(zip(cohort.conditions, persons, strict=True))
    return [{
        "name": c.name, "label_sv": c.label("sv"), "label_en": c.label("en"), "theme": c.theme, "atc": list(c.include),
        "exclude": list(c.exclude),
        "rule_sv": conditions.describe(c.name, "sv"), "rule_en": conditions.describe(c.name, "en"),
        "persons": number.get(c.name), "source": c.source,
    } for c in conditions.conditions]


def _examples(tables: Mapping[str, AmountTable]) -> list[dict[str, Any]]:
    """The worked examples, under every model whose table alone says what a person brings."""
    tables = {name: t for name, t in tables.items()
              if t.pool_threshold is None and t.per_cni is None and t.kind == "condition"}
    found = []
    for who, (age, sex, held) in EXAMPLES.items():
        by_model = {}
        for name, table in tables.items():
            if set(held) - set(table.conditions) and table.conditions:
                continue  # a list of one's own without these conditions
            sv, en = table.explain(age, sex, held, "sv"), table.explain(age, sex, held, "en")
            by_model[name] = {"total": en.total, "parts": [
                {"name": a.name, "label_sv": b.label, "label_en": a.label, "sek": a.sek}
                for a, b in zip(en.parts, sv.parts, strict=True)]}
        found.append({"who": who, "age": age, "sex": sex, "conditions": list(held), "models": by_model})
    return found


def _coverage_frame(conditions: ConditionSet, codes: pd.DataFrame) -> pd.DataFrame:
    """Codes and list entries that do not meet; rows and cost are not told of a code dispensed fewer than five times."""
    from lakemedelsmodell.measures.groups import FEWEST_PERSONS

    found = conditions.coverage(codes[["atc", "rows", "cost_sek"]]).to_frame()
    few = found["rows"] < FEWEST_PERSONS
    return found.assign(rows=found["rows"].mask(few), cost_sek=found["cost_sek"].mask(few).round(2))


def _coverage(conditions: ConditionSet, codes: pd.DataFrame) -> dict[str, Any]:
    coverage = conditions.coverage(codes[["atc", "rows", "cost_sek"]])
    return {"codes": len(codes), "unmatched_codes": len(coverage.unmatched), "several_codes": len(coverage.several),
            "unused_entries": len(coverage.unused), "unmatched_share_of_cost":
            float(coverage.unmatched["cost_sek"].sum() / codes["cost_sek"].sum()) if codes["cost_sek"].sum() else None}


def _warnings(comparison: Comparison) -> list[Warned]:
    found = []
    listed = next(iter(comparison.settlements.values())).months
    if (n := int((listed > 0).sum())) < MIN_CENTRES:
        found.append(warned("few_centres", centres=n))
    if empty := int((listed == 0).sum()):
        found.append(warned("empty_centres", centres=empty))
    for name, table in comparison.tables.items():
        adds_up = table.conditions and table.kind == "condition" and table.pool_threshold is None
        if adds_up and (below := int((table.cells < 0).sum())):
            found.append(warned("negative_amounts", model=name, cells=below, of=facts.N_CELLS,
                                lowest=f"−{-np.nanmin(table.cells):.2g}"))
        if name == TODAY and "nobody was listed" in table.source:  # the same cells in every model
            found.append(warned("borrowed_cells", model=name, source=table.source))
    return found


def _said(warnings: Sequence[Warned]) -> dict[str, Any]:
    return {"warnings": [str(w) for w in warnings], "warning_kinds": [asdict(w) for w in warnings]}


def _centres_frame(comparison: Comparison, centres: pd.DataFrame) -> pd.DataFrame:
    frame = comparison.centres_frame()
    by_id = centres.set_index("centre_id")
    names = by_id["name"] if "name" in by_id else by_id.index.to_series()
    frame.insert(1, "name", frame["centre_id"].map(names))
    return frame


def _contributions_frame(comparison: Comparison, tables: Mapping[str, AmountTable], paid: Cohort) -> pd.DataFrame:
    """What each centre's reimbursement is made of, under the models of :data:`TAKEN_APART`."""
    import pandas as pd

    from lakemedelsmodell.measures.contributions import contributions

    return pd.concat([contributions(comparison.settlements[name], tables[name], paid)
                      for name in TAKEN_APART if name in tables], ignore_index=True)
