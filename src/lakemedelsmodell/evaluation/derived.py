"""What else can be asked of a half-year: its oddities, and the published table derived again."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from lakemedelsmodell import facts
from lakemedelsmodell.amounts import published_table
from lakemedelsmodell.conditions import ConditionSet, condition_set
from lakemedelsmodell.data.flags import build_cohort, centre_sums, dispensings_outside
from lakemedelsmodell.data.periods import Period
from lakemedelsmodell.data.tables import HalfYear, default_period
from lakemedelsmodell.data.totals_file import Totals
from lakemedelsmodell.errors import UserError
from lakemedelsmodell.evaluation import safety
from lakemedelsmodell.evaluation.few import persons_by_age_and_sex
from lakemedelsmodell.evaluation.plan import chosen_period, make_plan
from lakemedelsmodell.evaluation.settings import Progress, Settings, quiet
from lakemedelsmodell.measures.disclosure import is_few


def noticed(half_year: HalfYear, settings: Settings = Settings()) -> tuple[dict[str, int], list[str]]:
    """What is odd but not fatal, were the default period evaluated: rows by kind, see ``data.tables.KINDS``, and what
    its data would be warned of."""
    plan = make_plan(*default_period(half_year), half_year.months_seen[0], settings.lookback_months)
    cohort = build_cohort(half_year, plan.period, ConditionSet("none", ()), lookback=plan.lookback)
    totals = cohort.totals()
    used = min(plan.lookback.start, plan.fit_lookback.start), max(plan.period.end, plan.fit_period.end)
    outside = dispensings_outside(half_year, used)
    counts = dict(cohort.counts) | ({"dispensings_outside_window": outside} if outside else {})
    return counts, [str(warning) for warning in (*plan.warnings, *safety.of_data(half_year, plan),
                                                 *safety.silent_centres(totals.months, totals.cost))]


def derive_table(half_year: HalfYear, year: int, settings: Settings = Settings()) -> pd.DataFrame:
    """The published table of ``year`` derived again: round(α × cost ÷ listed months) over its statistics period.

    Returns one row per cell: age_band, sex, listed_months, cost_sek, published, derived (SEK per listed
    month; nan where nobody was listed) and equal. Of cells of one to four persons nothing but the published is known.
    """
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
    few = is_few(persons_by_age_and_sex(cohort)).reshape(-1)
    months[few] = cost[few] = derived[few] = np.nan
    return pd.DataFrame({
        "age_band": np.repeat(facts.BAND_LABELS, len(facts.SEXES)), "sex": np.tile(facts.SEXES, len(facts.BAND_LABELS)),
        "listed_months": months, "cost_sek": cost, "published": paid, "derived": derived, "equal": derived == paid,
    })


def sums_per_centre(half_year: HalfYear, settings: Settings = Settings(), progress: Progress = quiet) -> Totals:
    """What ``--totals`` reads, added up where the data lie: listed months by age and sex and by condition, and cost.

    The months of the paid period, the conditions of its look-back by the rule ``dispensed``; no person comes back.
    """
    period, partial = chosen_period(settings.period, half_year) if settings.period else default_period(half_year)
    plan = make_plan(period, partial, half_year.months_seen[0], settings.lookback_months)
    progress(f"{period}: sums per centre")
    sums = centre_sums(half_year, period, condition_set(settings.condition_set), lookback=plan.lookback,
                       months=settings.months, cost_base=settings.cost_base, borne_by=settings.borne_by)
    return Totals.from_frame(sums, found=half_year.found)
