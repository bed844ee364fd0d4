"""Cohorts straight from a world's blocks: the same as by way of tables and their border, at a fraction of the time.

A study draws a region hundreds of times, and what it draws itself needs no checking. ``data.flags`` on the world's own
tables is the judge: a test holds the two routes equal to the öre.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lakemedelsmodell.conditions import ConditionSet
from lakemedelsmodell.data.cohort import Cohort
from lakemedelsmodell.data.flag_kernel import CodeIndex, flags
from lakemedelsmodell.data.flags import HISTORY_MONTHS, MANY_DRUGS
from lakemedelsmodell.data.periods import Period
from lakemedelsmodell.simulation.calibration import cells_on, listed_on
from lakemedelsmodell.simulation.tables import centre_tables
from lakemedelsmodell.simulation.truth import ExpectedCost

if TYPE_CHECKING:
    from lakemedelsmodell.evaluation import Plan
    from lakemedelsmodell.simulation.world import Block, World

HALF_YEAR = 6
"""Months that the truth's expected costs are for."""


@dataclass(frozen=True, eq=False)
class WorldCohorts:
    """What a study needs of one draw of a world with K centres.

    Attributes
    ----------
    fitted, paid : Cohort
        Of the half-year the amounts are set on and of the one they pay, with the flags of the first condition set;
        ``paid`` with what no model sees of a person (groups) too, both with prior cost.
    others : tuple of (ConditionSet, Cohort fitted, Cohort paid)
        The same cohorts with the flags of further condition sets.
    expected : float64, shape (n,)
        Cost to expect at the region's average practice, SEK per listed month, by row of ``paid``.
    style : float64, shape (K,)
        s_k: what the centre's prescribing style is expected to cost, SEK per listed month before α.
    codes : DataFrame
        Sums by code of the look-back, as :func:`~lakemedelsmodell.data.flags.code_summary` gives them.
    """

    fitted: Cohort
    paid: Cohort
    others: tuple[tuple[ConditionSet, Cohort, Cohort], ...]
    expected: np.ndarray
    style: np.ndarray
    codes: pd.DataFrame


@dataclass(frozen=True, eq=False)
class _Stretch:
    """One block in one period: rows sorted by person, centre and band. ``flags`` holds, per condition set, rule → bool
    (n, C)."""

    person: np.ndarray
    centre: np.ndarray
    cell: np.ndarray
    months: np.ndarray
    ore: np.ndarray
    flags: list[dict[str, np.ndarray]]


@dataclass(frozen=True, eq=False)
class _Part:
    """One block: its persons, its stretches, cost per month expected usually and for the style, (persons,), groups
    that no model sees, the cost of each look-back per month, (persons,), and :func:`_by_code`."""

    persons: int
    stretches: list[_Stretch]
    usual: np.ndarray
    style: np.ndarray
    groups: dict[str, np.ndarray]
    prior_cost: tuple[np.ndarray, np.ndarray]
    by_code: np.ndarray


def world_cohorts(world: World, plan: Plan, conditions: ConditionSet, others: Sequence[ConditionSet] = (), *,
                  workers: int = 2) -> WorldCohorts:
    """Draw every block of ``world`` and add it up: months by snapshot, cost by listing, flags as ``plan`` says.

    Flags of ``conditions`` are under both rules, those of ``others`` under "dispensed".
    """
    from joblib import Parallel, delayed

    expected = ExpectedCost(world)
    flaggers = [Flagger(world, conditions, ("dispensed", "listed")),
                *(Flagger(world, other, ("dispensed",)) for other in others)]

    def draw(home: int) -> _Part:
        block = world.block(home)
        ddd, gross, region = world.costs(block, world.factors)
        usual, styled = (cost / HALF_YEAR for _, cost in expected.both(block))
        return _Part(len(block.persons), [
            _stretch(world, block, region, period, [f.flags(block, ddd, lookback) for f in flaggers])
            for period, lookback in ((plan.fit_period, plan.fit_lookback), (plan.period, plan.lookback))
        ], usual, styled - usual, _traits(world, block, plan), (
            _prior_cost(world, block, region, plan.fit_lookback), _prior_cost(world, block, region, plan.lookback)),
            _by_code(world, block, plan, ddd, gross, region))

    parts = Parallel(n_jobs=workers, backend="threading")(delayed(draw)(home) for home in range(world.n_centres))
    centres = centre_tables(world)[0].to_pandas()
    first = np.concatenate([[0], np.cumsum([part.persons for part in parts])[:-1]])

    def flags_of(i: int, f: int) -> dict[str, Any]:
        return {"conditions": flaggers[f].conditions.names, "flags": {
            rule: np.concatenate([part.stretches[i].flags[f][rule] for part in parts]) for rule in flaggers[f].rules}}

    def cohort(i: int, period: Period) -> Cohort:
        stretches = [part.stretches[i] for part in parts]
        person, centre, cell, months, ore = (
            np.concatenate([getattr(s, name) for s in stretches])
            for name in ("person", "centre", "cell", "months", "ore"))
        return Cohort(
            centres=centres, period=period, person=person + np.repeat(first, [len(s.person) for s in stretches]),
            centre=centre, sex=(cell % 2).astype(np.uint8), band=(cell // 2).astype(np.uint8), months=months,
            cost=ore / 100, **flags_of(i, 0))

    def per_row(per_person: list[np.ndarray], of: Cohort) -> np.ndarray:
        return np.concatenate(per_person)[of.person]

    fitted, paid = cohort(0, plan.fit_period), cohort(1, plan.period)
    months = np.bincount(paid.centre, paid.months, paid.n_centres)
    style = per_row([part.style for part in parts], paid)
    with np.errstate(invalid="ignore"):
        style_per_month = np.bincount(paid.centre, style * paid.months, paid.n_centres) / months
    style_per_month = np.round(style_per_month, 9)  # no style is 0, not what rounding left
    return WorldCohorts(
        replace(fitted, prior_cost=per_row([part.prior_cost[0] for part in parts], fitted)),
        replace(paid, groups={name: per_row([part.groups[name] for part in parts], paid) for name in parts[0].groups},
                prior_cost=per_row([part.prior_cost[1] for part in parts], paid)),
        tuple((other, replace(fitted, **flags_of(0, f)), replace(paid, **flags_of(1, f)))
              for f, other in enumerate(others, 1)),
        expected=per_row([part.usual for part in parts], paid), style=style_per_month,
        codes=_code_summary(world, np.sum([part.by_code for part in parts], axis=0)))


def _stretch(world: World, block: Block, region: np.ndarray, period: Period, flags: list[dict[str, np.ndarray]]
             ) -> _Stretch:
    """Months and öre of base drugs per person, centre and band; a month and its cost go by the 1st.

    ``flags``: per condition set, rule → bool, (persons, C).
    """
    start, persons, fills, M = world.scenario.window.start, block.persons, block.fills, period.n_months
    first = (period.start.year - start.year) * 12 + period.start.month - start.month
    months = np.arange(first, first + M)
    n = len(persons)
    here = listed_on(persons, world.calendar, months)
    key = cells_on(persons, world.first_month, months)
    centre = np.full((n, M), block.home, dtype=np.int64)
    movers = np.unique(block.listings.person[1:][block.listings.person[1:] == block.listings.person[:-1]])
    for m, day in enumerate(world.calendar.firsts[months]):
        there = movers[here[movers, m]]
        centre[there, m] = block.listings.centre_on(there, np.full(len(there), day))
    band, sex = np.divmod(key, 2)
    key = np.where(here, (centre * 21 + band) * 2 + sex, -1)

    month = world.calendar.month[fills.day] - first
    rows = np.flatnonzero((month >= 0) & (month < M) & world.drugs.in_base[fills.substance])
    ore = np.bincount(fills.person[rows].astype(np.int64) * M + month[rows], region[rows], n * M).reshape(n, M)

    still = (key == key[:, :1]).all(axis=1)  # most persons: one centre, one band, all months or none
    steady = np.flatnonzero(still & here[:, 0])
    person, at = np.nonzero(here & ~still[:, None])
    several, inverse = np.unique(person.astype(np.int64) << 32 | key[person, at], return_inverse=True)
    row_person = np.concatenate([steady, several >> 32])
    row_key = np.concatenate([key[steady, 0], several & 0xFFFFFFFF])
    order = np.argsort(row_person, kind="stable")
    row_person, row_key = row_person[order], row_key[order]
    return _Stretch(
        person=row_person, centre=(row_key // 42).astype(np.int32), cell=row_key % 42,
        months=np.concatenate([np.full(len(steady), float(M)), np.bincount(inverse, minlength=len(several))])[order],
        ore=np.concatenate([ore[steady].sum(axis=1), np.bincount(inverse, ore[person, at], len(several))])[order],
        flags=[{rule: of[row_person] for rule, of in by_rule.items()} for by_rule in flags])


def _by_code(world: World, block: Block, plan: Plan, ddd: np.ndarray, gross: np.ndarray, region: np.ndarray
             ) -> np.ndarray:
    """Rows, packages, hundredths of a DDD, gross and region's öre by code in the look-back, int64, shape (5, J)."""
    f, start = block.fills, world.scenario.window.start
    rows = (f.day >= (plan.lookback.start - start).days) & (f.day < (plan.lookback.end - start).days)
    if block.uncoded is not None:
        rows &= ~block.uncoded
    sums = [np.bincount(f.substance[rows], values[rows], len(world.drugs.atc))
            for values in (np.ones(len(f.day)), f.packages, np.rint(ddd * 100), gross, region)]
    return np.rint(sums).astype(np.int64)


def _code_summary(world: World, sums: np.ndarray) -> pd.DataFrame:
    rows, packages, ddd, gross, region = sums
    found = pd.DataFrame({
        "atc": list(world.drugs.atc), "rows": rows, "packages": packages, "ddd": ddd / 100, "cost_sek": region / 100,
        "gross_sek": gross / 100, "base_rows": rows * world.drugs.in_base, "positive_rows": rows})
    return found[found["rows"] > 0].sort_values("atc", ignore_index=True)


def _traits(world: World, block: Block, plan: Plan) -> dict[str, np.ndarray]:
    """Groups of persons by what no model sees, bool, (persons,); ``data.flags`` defines them."""
    n, f, li = len(block.persons), block.fills, block.listings
    year = plan.period.before(HISTORY_MONTHS)
    there = _listed_days(world, block, year)
    here = np.flatnonzero(there > 0)
    lowest, highest = np.full(n, world.n_centres), np.full(n, -1)
    np.minimum.at(lowest, li.person[here], li.centre[here])
    np.maximum.at(highest, li.person[here], li.centre[here])

    bought = _bought_in(world, block, plan.lookback)
    codes, code = np.unique(np.array(world.drugs.atc), return_inverse=True)
    coded = np.flatnonzero(bought if block.uncoded is None else bought & ~block.uncoded)
    held = np.zeros((n, len(codes)), dtype=bool)
    held[f.person[coded], code[f.substance[coded]]] = True
    dosed = np.zeros(n, dtype=bool)
    dosed[f.person[bought & f.dose_dispensed]] = True
    return {
        f"drugs:{MANY_DRUGS}+": held.sum(axis=1) >= MANY_DRUGS, "dose_dispensed:yes": dosed,
        "moved:yes": lowest < highest,
        "history:short": np.bincount(li.person, there, n) < (year.end - year.start).days,
    }


def _prior_cost(world: World, block: Block, region: np.ndarray, lookback: Period) -> np.ndarray:
    """SEK of base drugs in the look-back per month listed then, (persons,); nan for who was not."""
    n, f = len(block.persons), block.fills
    base = np.flatnonzero(_bought_in(world, block, lookback) & world.drugs.in_base[f.substance])
    days = np.bincount(block.listings.person, _listed_days(world, block, lookback), n)
    with np.errstate(divide="ignore", invalid="ignore"):
        per_day = np.where(days > 0, np.bincount(f.person[base], region[base], n) / 100 / days, np.nan)
    return per_day * ((lookback.end - lookback.start).days / lookback.n_months)


def _bought_in(world: World, block: Block, window: Period) -> np.ndarray:
    """Which fills are of ``window``, bool, (fills,)."""
    origin = world.scenario.window.start
    return (block.fills.day >= (window.start - origin).days) & (block.fills.day < (window.end - origin).days)


def _listed_days(world: World, block: Block, window: Period) -> np.ndarray:
    """Days of each of the block's listings within ``window``."""
    origin, li = world.scenario.window.start, block.listings
    start, end = (window.start - origin).days, (window.end - origin).days
    return np.maximum(np.minimum(li.end, end) - np.maximum(li.start, start), 0)


class Flagger:
    """Reads the flags of one condition set off a block's fills; design.md, "Exact meanings / Flags"."""

    def __init__(self, world: World, conditions: ConditionSet, rules: tuple[str, ...]):
        self.world, self.conditions, self.rules = world, conditions, rules
        self.index = CodeIndex.of(conditions, world.drugs.atc)

    def flags(self, block: Block, ddd: np.ndarray, lookback: Period) -> dict[str, np.ndarray]:
        """Rule → bool, shape (persons, reported conditions), from the fills of ``lookback``; ``ddd`` per fill."""
        f, start = block.fills, self.world.scenario.window.start
        counts = (f.day >= (lookback.start - start).days) & (f.day < (lookback.end - start).days)
        counts &= self.index.count[f.substance] > 0
        if block.uncoded is not None:
            counts &= ~block.uncoded
        rows = np.flatnonzero(counts)
        return flags(self.conditions, self.index, self.rules, len(block.persons), f.person[rows], f.substance[rows],
                     f.day[rows], self.world.calendar.month[f.day[rows]], np.rint(ddd[rows] * 1000), f.packages[rows],
                     f.dose_dispensed[rows])
