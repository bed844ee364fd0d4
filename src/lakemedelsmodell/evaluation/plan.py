"""The analysis plan: which months are paid, where the amounts come from, which models are set side by side."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from lakemedelsmodell import facts
from lakemedelsmodell.amounts import AmountTable
from lakemedelsmodell.conditions import ConditionSet
from lakemedelsmodell.data.periods import Period, add_months
from lakemedelsmodell.data.tables import HalfYear
from lakemedelsmodell.errors import UserError
from lakemedelsmodell.evaluation.settings import Settings
from lakemedelsmodell.evaluation.warnings import Warned, warned

if TYPE_CHECKING:
    import pandas as pd

    from lakemedelsmodell.models import Model, Predictor

TODAY, PROPOSAL = "age_sex", "chronic"
"""Today's model on the same data, what a change is a change from; and the change."""
ORACLE = "oracle"
"""Pays each person's cost to expect at average practice; simulation only."""

PHASE_IN_FROM = "age_sex_published"
CAP_SHARE = 0.02
"""Cap on a centre's loss from one year to the next in a phase-in, of what is paid per listed month on average."""

NEW_PRICES = {"B01AF02": (0.2, {
    "sv": "apixaban förlorar sin ensamrätt i slutet av 2026; priset antas falla till en femtedel",
    "en": "apixaban loses exclusivity in late 2026; its price is assumed to fall to a fifth"})}
"""ATC code → new price over old, and why: prices that amounts of today would overpay. [assumed]"""

TAKEN_APART = ("age_sex_published", "age_sex", "age_sex_pool", "chronic", "chronic_defended", "chronic_pool",
               "chronic_nonnegative")
"""Models whose payments to each centre are shown amount by amount."""

WITH_INTERVALS = (TODAY, PROPOSAL, "chronic_defended")
"""Models of which is told how sure each amount is."""

MIN_LOOKBACK_MONTHS = 6
"""With a shorter look-back before the fit period, amounts are fitted on the paid period instead."""

BESIDE_MONTHS = 2
"""The region's own comparison (7 May 2026) covers the first two months of the half-year."""


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


def chosen_period(text: str, half_year: HalfYear) -> tuple[Period, bool]:
    """The period asked for, and whether months of it lack dispensings."""
    period = Period.parse(text)
    there = [m in half_year.months_seen for m in period.months]
    if not any(there):
        raise UserError(f"There are no dispensings in {period}: the data hold {half_year.first_day} to "
                        f"{half_year.last_day}. Choose another --period.")
    return period, not all(there)


def published_year(settings: Settings, period: Period) -> int:
    return settings.published_year or facts.published_year(period.start)


def period_beside(period: Period) -> Period | None:
    """The first two months beside a half-year; the half-year beside anything else."""
    half = Period.half_year_of(period.start)
    return Period(half.start, add_months(half.start, BESIDE_MONTHS)) if period == half else half


def payable(published: AmountTable, conditions: ConditionSet, codes: pd.DataFrame) -> list[Model]:
    """Models that end as a table, simplest first. The published table is today's.

    ``codes``: sums by code of the look-back (:func:`~lakemedelsmodell.data.flags.code_summary`), whose prices bound the
    amounts of the defended version.
    """
    from lakemedelsmodell.measures.qualifying import catalogue, most_by_price
    from lakemedelsmodell.models import (
        AgeSex,
        AgeSexCni,
        AgeSexPool,
        ChronicConditions,
        ChronicDefended,
        ChronicNewcomers,
        ChronicNonnegative,
        ChronicPool,
        Constrained,
        Count,
        Credibility,
        Flat,
        HighestOnly,
        PublishedAgeSex,
    )

    assert published.valid_from is not None
    name = conditions.name
    most = most_by_price(conditions, catalogue(codes["atc"], codes))
    return [
        Flat(), PublishedAgeSex(published.valid_from.year), AgeSex(),
        ChronicConditions("dispensed", name), ChronicDefended(name, most), ChronicNewcomers("dispensed", name),
        ChronicNonnegative("dispensed", name),
        AgeSexCni(), AgeSexPool(10_000), AgeSexPool(), AgeSexPool(50_000), ChronicPool("dispensed", name),
        HighestOnly("dispensed", name), Count("dispensed", name),
        Constrained("dispensed", name), Credibility("dispensed", name),
    ]


def upper_bounds(expected: np.ndarray | None) -> list[Predictor]:
    """What a payment could at most foresee; never paid. ``expected``: cost per row that a simulation alone knows."""
    from lakemedelsmodell.models import Boosting, LastCost, Oracle

    return [Boosting(), LastCost(), *([] if expected is None else [Oracle(expected)])]
