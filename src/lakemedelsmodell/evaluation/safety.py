"""Where a result should not be relied on: checks of the data, the amounts and the comparison."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

import numpy as np

from lakemedelsmodell import facts
from lakemedelsmodell.amounts import AmountTable
from lakemedelsmodell.conditions import ConditionSet
from lakemedelsmodell.data.cohort import Cohort
from lakemedelsmodell.data.periods import add_months
from lakemedelsmodell.data.tables import HalfYear
from lakemedelsmodell.evaluation.plan import PROPOSAL, TODAY, Plan
from lakemedelsmodell.evaluation.warnings import Warned, warned
from lakemedelsmodell.measures.comparison import Comparison
from lakemedelsmodell.models.base import sums_by_profile
from lakemedelsmodell.models.credibility import THIN
from lakemedelsmodell.models.least_squares import DUST

MIN_CENTRES = 10
DOMINANT_SHARE = 0.5
QUIET_DAYS = 7
"""Days without a dispensing that a month may end with."""
INFLATION = 10.0
"""Variance inflation above which a condition can hardly be told from the others (Marquardt 1970)."""
FAR_FROM_COST = 0.1
SPREADSHEET_ROWS = (65_535, 1_048_575)
"""Rows below the header that a sheet of .xls and of .xlsx holds: an export that went through one ends there."""
DDD_UNKNOWN = 0.1
"""Share of dispensings; ointments and the like have no DDD and come to less."""
STRANGERS = 0.1
"""Share of dispensings of persons whom nobody lists; a few have moved away or lack a listing."""
SILENT_MONTHS = 600
"""Listed months, a hundred persons' half-year, that never come without any cost."""
LOOKED_AT = (PROPOSAL, "chronic_defended")
"""Models whose amounts are warned of."""


def of_data(half_year: HalfYear, plan: Plan) -> list[Warned]:
    """Months, an export or doses that are not all there."""
    found = []
    last_month = max(m for m in half_year.months_seen if m < plan.period.end)
    if lacking := half_year.months_lacking(last_month):
        found.append(warned("missing_months", months=", ".join(f"{m:%Y-%m}" for m in lacking)))
    rows = int(half_year.codes["rows"].sum()) + half_year.counts.get("atc_missing", 0)
    if rows in SPREADSHEET_ROWS:
        found.append(warned("spreadsheet_rows", rows=f"{rows:,}"))
    if (unknown := half_year.counts.get("ddd_unknown", 0) / max(rows, 1)) > DDD_UNKNOWN:
        found.append(warned("ddd_unknown", per_cent=round(100 * unknown)))
    if (strange := half_year.counts.get("dispensings_of_unlisted_person", 0) / max(rows, 1)) > STRANGERS:
        found.append(warned("strangers", per_cent=round(100 * strange)))
    ends = min(half_year.last_day, plan.period.end - timedelta(days=1))
    if add_months(last_month, 1) - ends > timedelta(days=QUIET_DAYS):
        found.append(warned("partial_month", last_day=ends.isoformat()))
    return found


def of_amounts(tables: Mapping[str, AmountTable], fitted: Cohort, conditions: ConditionSet | None = None
               ) -> list[Warned]:
    """Amounts that few persons set, that cannot be told from each other, or that are held at 0."""
    def named(names: Iterable[str]) -> dict[str, str]:
        labels = {lang: {c.name: c.label(lang) for c in conditions.conditions} if conditions else {}
                  for lang in ("sv", "en")}
        return {f"conditions_{lang}": ", ".join(known.get(n, n) for n in names) for lang, known in labels.items()}

    found = []
    if fitted.conditions:
        rule = "dispensed" if "dispensed" in fitted.flags else next(iter(fitted.flags))
        held = fitted.persons_holding(rule)
        if thin := [c for c, n in zip(fitted.conditions, held, strict=True) if n < THIN]:
            found.append(warned("thin_conditions", fewest=THIN, **named(thin)))
        inflated = variance_inflation(fitted, rule) > INFLATION
        if inflated.any():
            found.append(warned("collinear_conditions", **named(np.array(fitted.conditions)[inflated])))
    for name in LOOKED_AT:
        if (table := tables.get(name)) is not None:
            exact = (table.unrounded or table).add_ons
            # The defended version's amounts are also bounded from above, by 0 where qualifying costs nothing.
            if name == PROPOSAL and (zero := [c for c, b in zip(table.conditions, exact, strict=True) if b == 0]):
                found.append(warned("amounts_at_zero", model=name, **named(zero)))
            if below := int((table.cells < 0).sum()):
                found.append(warned("negative_amounts", model=name, cells=below, of=facts.N_CELLS,
                                    lowest=_below_zero(float(np.nanmin(table.cells)))))
    today = tables.get(TODAY)
    if today is not None and "nobody was listed" in today.source:  # the same cells in every model
        found.append(warned("borrowed_cells", model=TODAY, source=today.source))
    return found


def _below_zero(sek: float) -> str:
    """An amount below 0 in whole kronor; a small one, which only a table that is not rounded has, to one decimal."""
    return f"−{-sek:.0f}" if sek.is_integer() or sek <= -10 else f"−{max(-sek, 0.1):.1f}"


def of_comparison(comparison: Comparison) -> list[Warned]:
    """Too few centres, one that is most of the region, any that would pay in, a budget far from the cost."""
    found = []
    settlement = next(iter(comparison.settlements.values()))
    listed = settlement.months
    if (n := int((listed > 0).sum())) < MIN_CENTRES:
        found.append(warned("few_centres", centres=n))
    if empty := int((listed == 0).sum()):
        found.append(warned("empty_centres", centres=empty))
    found += silent_centres(listed, settlement.cost_sek)
    below = {name: int((s.reimbursement_ore < 0).sum()) for name, s in comparison.settlements.items()}
    if paying := [name for name, n in below.items() if n]:
        found.append(warned("centres_below_zero", models=", ".join(paying), centres=max(below.values())))
    largest = int(np.argmax(listed))
    if n > 1 and (share := float(listed[largest] / listed.sum())) >= DOMINANT_SHARE:
        found.append(warned("dominant_centre", centre=str(settlement.centre_ids[largest]), share=round(100 * share)))
    apart = settlement.budget_ore / 100 / float(settlement.own_cost_sek.sum()) - 1
    if abs(apart) > FAR_FROM_COST:
        said = ("över", "above") if apart > 0 else ("under", "below")
        found.append(warned("budget_far_from_cost", per_cent=round(100 * abs(apart)), direction_sv=said[0],
                            direction_en=said[1]))
    return found


def silent_centres(listed_months: np.ndarray, cost_sek: np.ndarray) -> list[Warned]:
    """Centres without any cost that can hardly have none; both of shape (K,)."""
    silent = int(((listed_months >= SILENT_MONTHS) & (cost_sek == 0)).sum())
    return [warned("silent_centres", centres=silent)] if silent else []


def variance_inflation(cohort: Cohort, rule: str) -> np.ndarray:
    """1/(1 − R²) of each condition on age, sex and the other conditions, shape (C,); inf where they tell it wholly.

    nan for a condition nobody, or everybody of an age and sex, holds.
    """
    xtx = sums_by_profile(cohort, rule).xtx[0]
    months, crossed, shared = np.diag(xtx)[:facts.N_CELLS], xtx[:facts.N_CELLS, facts.N_CELLS:], xtx[
        facts.N_CELLS:, facts.N_CELLS:]
    share = np.divide(crossed, months[:, None], out=np.zeros_like(crossed), where=months[:, None] > 0)
    apart = shared - crossed.T @ share  # what age and sex leave of the conditions' products
    held = np.diag(apart) > DUST * np.diag(shared)
    size = np.sqrt(np.diag(apart)[held])
    values, vectors = np.linalg.eigh(apart[np.ix_(held, held)] / np.outer(size, size))
    with np.errstate(divide="ignore"):
        inverse = (vectors**2 / values.clip(min=1e-12)).sum(axis=1)
    found = np.full(len(held), np.nan)
    found[held] = inverse
    return found
