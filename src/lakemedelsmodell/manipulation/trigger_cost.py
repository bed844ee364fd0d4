"""What it costs the region when a person is given drugs she would not have had: the fee staircase is run again.

Below 2 000 SEK in a fee period the patient pays a pack, at the cap the region does, and a pack bought early makes every
later one dearer to the region. So ΔB is found on real persons where they stand: a sample of those who do not carry the
condition, drawn as the condition is common in their age and sex, with all their rows of the data.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from lakemedelsmodell import facts
from lakemedelsmodell.data.purchases import gross_prices_known, read_purchases
from lakemedelsmodell.measures.incentives import (
    Incentives,
    Series,
    Tried,
    cross_group_switches,
    qualifying_series,
    triggers,
    within_group_switches,
)
from lakemedelsmodell.simulation.fees import PERIOD_DAYS, region_cost
from lakemedelsmodell.simulation.streams import generator

if TYPE_CHECKING:
    import pandas as pd

    from lakemedelsmodell.amounts import AmountTable
    from lakemedelsmodell.conditions import ConditionSet
    from lakemedelsmodell.data.cohort import Cohort
    from lakemedelsmodell.data.periods import Period
    from lakemedelsmodell.data.tables import HalfYear
    from lakemedelsmodell.facts import FeeStaircase
    from lakemedelsmodell.settlement import Settlement

SAMPLE = 5000
"""Persons per condition. The mean ΔB has a standard error of one to two kronor: a pack that begins a fee period earlier
moves all later fees, either way."""
FREE_AGE = 18


@dataclass(frozen=True, eq=False)
class Histories:
    """All that some persons bought, sorted by person and day.

    Attributes
    ----------
    persons : int64, shape (n,), sorted
        Numbers of the persons.
    start, end : int64, shape (n,)
        Their rows, [start, end).
    day, gross_ore : int64, shape (rows,)
        Days since 1970-01-01; öre before fees.
    free : bool, shape (rows,)
        Free of charge to the patient.
    in_base : bool, shape (rows,)
    """

    persons: np.ndarray
    start: np.ndarray
    end: np.ndarray
    day: np.ndarray
    gross_ore: np.ndarray
    free: np.ndarray
    in_base: np.ndarray
    _paid: dict[date, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict, repr=False)

    def paid(self, staircase: FeeStaircase) -> tuple[np.ndarray, np.ndarray]:
        """Öre the region pays of base drugs, and fees, of each person as they are, both shape (n,)."""
        if staircase.valid_from not in self._paid:
            who = np.repeat(np.arange(len(self.persons)), self.end - self.start)
            region = region_cost(who, self.day, self.gross_ore, self.free, [staircase])
            n = len(self.persons)
            self._paid[staircase.valid_from] = (np.bincount(who, region * self.in_base, n),
                                                np.bincount(who, self.gross_ore - region, n))
        return self._paid[staircase.valid_from]

    def added(self, persons: np.ndarray, series: Series, first: np.ndarray, under_age: np.ndarray,
              staircase: FeeStaircase) -> tuple[np.ndarray, np.ndarray]:
        """ΔB and the change in the patient's fees, SEK, both shape (n,), when each person is given the series.

        ``first`` is the day of the first pack, days since 1970; ``under_age`` (bool) get it free; both shape (n,). ΔB
        is over rows in the base, the series counting as its code's share in it.
        """
        at = np.searchsorted(self.persons, persons)
        length = self.end[at] - self.start[at]
        n, packs = len(persons), np.array(series.days)
        rows = np.repeat(self.start[at] - np.cumsum(length) + length, length) + np.arange(length.sum())
        given = n * len(packs)
        who = np.concatenate([np.repeat(np.arange(n), length), np.repeat(np.arange(n), len(packs))])
        day = np.concatenate([self.day[rows], (first[:, None] + packs).ravel()])
        gross = np.concatenate([self.gross_ore[rows], np.full(given, round(series.price * 100), dtype=np.int64)])
        free = np.concatenate([self.free[rows], np.repeat(under_age | series.free, len(packs))])
        base = np.concatenate([self.in_base[rows], np.full(given, series.base_share)])

        order = np.lexsort((day, who))
        region = region_cost(who[order], day[order], gross[order], free[order], [staircase])
        before, fees_before = self.paid(staircase)
        after, fees = (np.bincount(who[order], ore, n) for ore in (region * base[order], gross[order] - region))
        return (after - before[at]) / 100, (fees - fees_before[at]) / 100


def histories(half_year: HalfYear, persons: np.ndarray, free_codes: Collection[str], under_age: np.ndarray
              ) -> Histories:
    """What ``persons`` (sorted numbers) bought in all the data; rows that corrections have left at nothing go.

    ``free_codes`` never cost a patient anything; ``under_age`` (bool, per person) pay for nothing.
    """
    bought = read_purchases(half_year, persons=persons)
    bought = bought.rows(bought.gross_ore > 0)
    free_code = np.append(half_year.codes["atc"].isin(free_codes).to_numpy(), False)
    return Histories(
        persons, np.searchsorted(bought.person, persons), np.searchsorted(bought.person, persons, side="right"),
        bought.day, bought.gross_ore,
        free_code[bought.code] | under_age[np.searchsorted(persons, bought.person)], bought.in_base)


def incentives(half_year: HalfYear, cohort: Cohort, lookback: Period, conditions: ConditionSet,
               tables: Mapping[str, AmountTable], settlements: Mapping[str, Settlement], *, effort_sek: float = 0.0,
               sample: int = SAMPLE) -> Incentives:
    """Power, triggers and switches of every model on a half-year's data.

    Parameters
    ----------
    half_year, cohort, lookback, conditions : the paid period's cohort and what its flags were read from
    tables : model → AmountTable; models that are never paid have none
    settlements : model → Settlement of the cohort
    effort_sek : SEK per person triggered, besides drugs
    sample : persons per condition and rule

    The staircase is the one of periods that begin with the paid period: what manipulation would meet. Amounts, φ and
    the budget are held fixed; a high-cost pool is not counted (a starter pack lies far below it).
    """
    from lakemedelsmodell.data.flags import code_summary

    assert cohort.period is not None
    alpha = next(iter(settlements.values())).cost_responsibility
    codes = code_summary(half_year, (lookback.start, lookback.end))
    staircase = [s for s in facts.fee_staircases() if s.valid_from <= cohort.period.start][-1]
    phi = {model: settlements[model].phi for model in tables}
    share = {m: settlements[m].reimbursement_ore / settlements[m].budget_ore for m in tables}
    rules = tuple(dict.fromkeys(["dispensed", *(t.rule for t in tables.values() if t.rule)]))
    months = 6 * max(lookback.n_months // 6, 1)
    drawn = {name: _drawn(cohort, c, name, sample) for c, name in enumerate(conditions.names)}
    tried = _try(half_year, cohort, lookback, codes, staircase,
                 {rule: qualifying_series(conditions, codes, rule) for rule in rules}, drawn)
    return Incentives(
        triggers(conditions, tried, tables, phi, share, alpha, months=months, effort_sek=effort_sek),
        within_group_switches(conditions, codes, tables, phi, months),
        _across(cohort, conditions, codes, tables, phi, alpha, months), alpha)


def _drawn(cohort: Cohort, c: int, name: str, sample: int) -> tuple[np.ndarray, int]:
    """Rows of the cohort whose persons lack the condition, drawn as it is common in their cell; how many there were."""
    held = cohort.flags["dispensed"][:, c]
    listed = np.bincount(cohort.cell, cohort.months, facts.N_CELLS)
    with_it = np.bincount(cohort.cell[held], cohort.months[held], facts.N_CELLS)
    prevalence = np.divide(with_it, listed, out=np.zeros(facts.N_CELLS), where=listed > 0)
    rows = np.flatnonzero(~held & (cohort.months > 0) & (prevalence[cohort.cell] > 0))
    rows = rows[np.unique(cohort.person[rows], return_index=True)[1]]
    if len(rows) > sample:
        total = np.cumsum(prevalence[cohort.cell[rows]])
        at = generator("starter packs", 0, name).uniform(0, total[-1], sample)
        return rows[np.searchsorted(total, at)], len(rows)
    return rows, len(rows)


def _try(half_year: HalfYear, cohort: Cohort, lookback: Period, codes: pd.DataFrame, staircase: FeeStaircase,
         series: Mapping[str, list[Series]], drawn: Mapping[str, tuple[np.ndarray, int]]) -> dict[str, list[Tried]]:
    """Each series given to its sample, on days spread over the part of the look-back that has a year of data after it.

    Over a fee period the fees come to the staircase of its whole gross cost, whenever a pack is bought; so it matters
    little that nobody knows when the periods under way on the data's first day began.
    """
    sampled = np.concatenate([rows for rows, _ in drawn.values()])
    everyone, at = np.unique(cohort.person[sampled], return_index=True)
    young = cohort.band * 5 + 5 <= FREE_AGE  # years of the whole band
    free_codes = codes.loc[codes["cost_sek"] >= 0.999 * codes["gross_sek"], "atc"].tolist()
    bought = histories(half_year, everyone, free_codes, young[sampled[at]]) if gross_prices_known(half_year) else None
    earliest = _day(lookback.start)
    span = max(min(_day(half_year.last_day) - PERIOD_DAYS, _day(lookback.end)) - earliest, 1)
    found: dict[str, list[Tried]] = {}
    for rule, of_rule in series.items():
        flags, found[rule] = cohort.flags[rule], []
        for s in of_rule:
            rows, eligible = drawn[s.condition]
            first = earliest + generator("days of starter packs", 0, s.condition).integers(0, span, len(rows))
            unknown = np.full(len(rows), np.nan)
            region, patient = unknown, unknown
            if bought is not None and s.atc and len(rows):
                region, patient = bought.added(cohort.person[rows], s, first, young[rows], staircase)
            found[rule].append(Tried(s, cohort.cell[rows], flags[rows], region, patient, cohort.centre[rows], eligible))
    return found


def _day(day: date) -> int:
    return day.toordinal() - date(1970, 1, 1).toordinal()


def _across(cohort: Cohort, conditions: ConditionSet, codes: pd.DataFrame, tables: Mapping[str, AmountTable],
            phi: Mapping[str, float], alpha: float, months: float) -> dict[str, pd.DataFrame]:
    """The switch matrix of every model with an add-on per condition."""
    users = np.array([len(np.unique(cohort.person[held])) for held in cohort.flags["dispensed"].T])
    sums = np.array([codes.loc[codes["atc"].map(conditions[name].matches), ["ddd", "cost_sek"]].sum().to_numpy()
                     for name in conditions.names], dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        price, dose = sums[:, 1] / sums[:, 0], sums[:, 0] / users
    return {model: cross_group_switches(conditions.names, phi[model] * months * table.paid_add_ons, price, dose, alpha)
            for model, table in tables.items() if table.kind == "condition" and table.conditions}
