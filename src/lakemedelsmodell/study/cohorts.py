"""Cohorts straight from a world's blocks: the same as by way of tables and their border, at a fraction of the time.

A study draws a region hundreds of times, and what it draws itself needs no checking. ``data.flags`` on the world's own
tables is the judge: a test holds the two routes equal to the öre.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lakemedelsmodell.conditions import ConditionSet
from lakemedelsmodell.data.cohort import Cohort, PackedFlags
from lakemedelsmodell.data.flag_kernel import CodeIndex, flags, resolved
from lakemedelsmodell.data.flags import HISTORY_MONTHS, MANY_DRUGS
from lakemedelsmodell.data.periods import HALF_YEAR, Period
from lakemedelsmodell.data.threads import of_each
from lakemedelsmodell.facts import N_CELLS
from lakemedelsmodell.simulation.calibration import cells_on
from lakemedelsmodell.simulation.fees import runs
from lakemedelsmodell.simulation.tables import centre_tables
from lakemedelsmodell.simulation.truth import ExpectedCost

if TYPE_CHECKING:
    from lakemedelsmodell.evaluation import Plan
    from lakemedelsmodell.simulation.world import Block, World

BLOCK = 8000
"""Persons drawn as one block at most, or else one centre's."""


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
    """One block in one period: rows sorted by person, centre and band. ``flags`` holds, per condition set, rule → bits
    (n, ⌈C/8⌉)."""

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

    def draw(homes: Sequence[int]) -> _Part:
        block = world.block(*homes)
        ddd, gross, region = world.costs(block, world.factors)
        usual, styled = (cost / HALF_YEAR for _, cost in expected.both(block))
        before, last = (_bought(world, block, window) for window in (plan.fit_lookback, plan.lookback))
        return _Part(len(block.persons), [
            _stretch(world, block, region, period, [f.flags(block, ddd, bought) for f in flaggers])
            for period, bought in ((plan.fit_period, before), (plan.period, last))
        ], usual, styled - usual, _traits(world, block, plan, last), (
            _prior_cost(world, block, region, plan.fit_lookback, before),
            _prior_cost(world, block, region, plan.lookback, last)), _by_code(world, block, last, ddd, gross, region))

    parts = Parallel(n_jobs=workers, backend="threading")(delayed(draw)(homes) for homes in _side_by_side(world))
    centres = centre_tables(world)[0].to_pandas()
    first = np.concatenate([[0], np.cumsum([part.persons for part in parts])[:-1]])

    def flags_of(i: int, f: int) -> dict[str, Any]:
        names = flaggers[f].conditions.names
        return {"conditions": names, "flags": PackedFlags({
            rule: np.concatenate([part.stretches[i].flags[f][rule] for part in parts]) for rule in flaggers[f].rules
        }, len(names))}

    def cohort(i: int) -> tuple[Cohort, list[Cohort]]:
        """Of the half-year fitted on (0) or paid (1), and the same with the flags of ``others``."""
        stretches = [part.stretches[i] for part in parts]
        person, centre, cell, months, ore = (
            np.concatenate([getattr(s, name) for s in stretches])
            for name in ("person", "centre", "cell", "months", "ore"))
        band = cell // 2
        found = Cohort(
            centres=centres, period=(plan.fit_period, plan.period)[i],
            person=person + np.repeat(first, [len(s.person) for s in stretches]), centre=centre,
            sex=(cell - 2 * band).astype(np.uint8), band=band.astype(np.uint8), months=months, cost=ore / 100,
            **flags_of(i, 0))
        found = replace(found, prior_cost=per_row([part.prior_cost[i] for part in parts], found))
        if i:
            found = replace(found, groups={name: per_row([part.groups[name] for part in parts], found)
                                           for name in parts[0].groups})
        return found, [replace(found, **flags_of(i, f)) for f in range(1, len(flaggers))]

    def per_row(per_person: list[np.ndarray], of: Cohort) -> np.ndarray:
        return np.concatenate(per_person).take(of.person)

    (fitted, fitted_others), (paid, paid_others) = of_each(cohort, (0, 1))
    months = np.bincount(paid.centre, paid.months, paid.n_centres)
    style = per_row([part.style for part in parts], paid)
    with np.errstate(invalid="ignore"):
        style_per_month = np.bincount(paid.centre, style * paid.months, paid.n_centres) / months
    style_per_month = np.round(style_per_month, 9)  # no style is 0, not what rounding left
    return WorldCohorts(
        fitted, paid, tuple(zip(others, fitted_others, paid_others, strict=True)),
        expected=per_row([part.usual for part in parts], paid), style=style_per_month,
        codes=_code_summary(world, np.sum([part.by_code for part in parts], axis=0)))


def _side_by_side(world: World) -> list[list[int]]:
    """Neighbouring centres to draw as one block: so small an array that calls cost more than its numbers is avoided."""
    blocks: list[list[int]] = []
    persons = BLOCK
    for home, n in enumerate(world.centres.persons[:world.n_centres].sum(axis=1)):
        if persons + n > BLOCK:
            blocks.append([])
            persons = 0
        blocks[-1].append(home)
        persons += n
    return blocks


@dataclass(frozen=True, eq=False)
class _Bought:
    """A block's fills of one window: ``rows`` of its fills, and their person and substance, int64."""

    rows: np.ndarray
    person: np.ndarray
    substance: np.ndarray

    def keep(self, some: np.ndarray) -> _Bought:
        """Only those where ``some`` is true."""
        of = np.flatnonzero(some)
        return _Bought(self.rows.take(of), self.person.take(of), self.substance.take(of))

    def coded(self, block: Block) -> _Bought:
        """Only those with a code."""
        return self if block.uncoded is None else self.keep(~block.uncoded[self.rows])


def _bought(world: World, block: Block, window: Period) -> _Bought:
    origin, f = world.scenario.window.start, block.fills
    rows = np.flatnonzero((f.day >= (window.start - origin).days) & (f.day < (window.end - origin).days))
    return _Bought(rows, f.person.take(rows).astype(np.int64), f.substance.take(rows).astype(np.int64))


def _stretch(world: World, block: Block, region: np.ndarray, period: Period, flags: list[dict[str, np.ndarray]]
             ) -> _Stretch:
    """Months and öre of base drugs per person, centre and band; a month and its cost go by the 1st.

    ``flags``: per condition set, rule → bits, (persons, ⌈C/8⌉).
    """
    start, p, M = world.scenario.window.start, block.persons, period.n_months
    first = (period.start.year - start.year) * 12 + period.start.month - start.month
    months = np.arange(first, first + M)
    firsts = world.calendar.firsts[months]
    bought = _bought(world, block, period)
    ore = region.take(bought.rows) * world.drugs.in_base.take(bought.substance)

    # Most persons: one centre, one band, all months.
    cell = cells_on(p, world.first_month, months[[0, -1]])
    steady = (p.enters <= firsts[0]) & (firsts[-1] < p.leaves) & (cell[:, 0] == cell[:, 1])
    steady[block.listings.movers] = False
    whole = np.flatnonzero(steady)
    spent = np.bincount(bought.person, ore, len(p))

    others = np.flatnonzero(~steady & (p.enters <= firsts[-1]) & (firsts[0] < p.leaves))
    number = np.full(len(p), -1)
    number[others] = np.arange(len(others))
    of_others = np.flatnonzero(number.take(bought.person) >= 0)
    month = world.calendar.month[block.fills.day[bought.rows[of_others]]] - first
    by_month = np.bincount(number[bought.person[of_others]] * M + month, ore[of_others], len(others) * M)
    who, at = np.nonzero((p.enters[others, None] <= firsts) & (firsts < p.leaves[others, None]))
    person = others[who]
    band = np.clip((world.first_month + months[at] - p.birth_month[person]) // 60, 0, 20)
    centre = block.listings.centre_on(person, firsts[at]).astype(np.int64)
    several, inverse = np.unique(person << 32 | (centre * 21 + band) * 2 + p.sex[person], return_inverse=True)

    row_person = np.concatenate([whole, several >> 32])
    row_key = np.concatenate([block.home[whole] * N_CELLS + cell[whole, 0], several & 0xFFFFFFFF])
    order = np.argsort(row_person, kind="stable")
    row_person, row_key = row_person[order], row_key[order]
    row_centre = row_key // N_CELLS
    return _Stretch(
        person=row_person, centre=row_centre.astype(np.int32), cell=row_key - row_centre * N_CELLS,
        months=np.concatenate([np.full(len(whole), float(M)), np.bincount(inverse, minlength=len(several))])[order],
        ore=np.concatenate([spent[whole], np.bincount(inverse, by_month[who * M + at], len(several))])[order],
        flags=[{rule: of.take(row_person, axis=0) for rule, of in by_rule.items()} for by_rule in flags])


def _by_code(world: World, block: Block, bought: _Bought, ddd: np.ndarray, gross: np.ndarray, region: np.ndarray
             ) -> np.ndarray:
    """Rows, packages, hundredths of a DDD, gross and region's öre by code in the look-back, int64, shape (5, J)."""
    coded = bought.coded(block)
    rows, J = coded.rows, len(world.drugs.atc)
    sums = [np.bincount(coded.substance, values, J)
            for values in (None, block.fills.packages.take(rows), np.rint(ddd.take(rows) * 100), gross.take(rows),
                           region.take(rows))]
    return np.rint(sums).astype(np.int64)


def _code_summary(world: World, sums: np.ndarray) -> pd.DataFrame:
    rows, packages, ddd, gross, region = sums
    found = pd.DataFrame({
        "atc": list(world.drugs.atc), "rows": rows, "packages": packages, "ddd": ddd / 100, "cost_sek": region / 100,
        "gross_sek": gross / 100, "base_rows": rows * world.drugs.in_base, "positive_rows": rows})
    return found[found["rows"] > 0].sort_values("atc", ignore_index=True)


def _traits(world: World, block: Block, plan: Plan, bought: _Bought) -> dict[str, np.ndarray]:
    """Groups of persons by what no model sees, bool, (persons,); ``data.flags`` defines them."""
    n, li = len(block.persons), block.listings
    year = plan.period.before(HISTORY_MONTHS)
    there = _listed_days(world, block, year)
    here = np.flatnonzero(there > 0)
    person, centre = li.person[here], li.centre[here]
    moved = np.zeros(n, dtype=bool)
    moved[person[1:][(person[1:] == person[:-1]) & (centre[1:] != centre[:-1])]] = True

    codes, code = np.unique(np.array(world.drugs.atc), return_inverse=True)
    coded = bought.coded(block)
    words = -(-len(codes) // 8)
    held = np.zeros((n, words * 8), dtype=bool)
    held.reshape(-1)[coded.person * (words * 8) + code.take(coded.substance)] = True
    dosed = np.zeros(n, dtype=bool)
    dosed[bought.person[block.fills.dose_dispensed[bought.rows]]] = True
    return {
        f"drugs:{MANY_DRUGS}+": np.bitwise_count(held.view(np.uint64)).sum(axis=1) >= MANY_DRUGS,
        "dose_dispensed:yes": dosed, "moved:yes": moved,
        "history:short": np.bincount(li.person, there, n) < (year.end - year.start).days,
    }


def _prior_cost(world: World, block: Block, region: np.ndarray, lookback: Period, bought: _Bought) -> np.ndarray:
    """SEK of base drugs in the look-back per month listed then, (persons,); nan for who was not."""
    n = len(block.persons)
    days = np.bincount(block.listings.person, _listed_days(world, block, lookback), n)
    ore = region.take(bought.rows) * world.drugs.in_base.take(bought.substance)
    with np.errstate(divide="ignore", invalid="ignore"):
        per_day = np.where(days > 0, np.bincount(bought.person, ore, n) / 100 / days, np.nan)
    return per_day * ((lookback.end - lookback.start).days / lookback.n_months)


def _listed_days(world: World, block: Block, window: Period) -> np.ndarray:
    """Days of each of the block's listings within ``window``."""
    origin, li = world.scenario.window.start, block.listings
    start, end = (window.start - origin).days, (window.end - origin).days
    return np.maximum(np.minimum(li.end, end) - np.maximum(li.start, start), 0)


@lru_cache(maxsize=8)
def _code_index(conditions: ConditionSet, atc: tuple[str, ...]) -> CodeIndex:
    """Once per study, not per draw."""
    return CodeIndex.of(conditions, atc)


class Flagger:
    """Reads the flags of one condition set off a block's fills; design.md, "Exact meanings / Flags"."""

    def __init__(self, world: World, conditions: ConditionSet, rules: tuple[str, ...]):
        self.world, self.conditions, self.rules = world, conditions, rules
        self.index = _code_index(conditions, world.drugs.atc)
        counts_for = np.zeros((len(world.drugs.atc), -(-len(conditions.conditions) // 64) * 64), dtype=bool)
        row, condition = self.index.pairs(np.arange(len(counts_for)))
        counts_for[row, condition] = True
        self._words = np.packbits(counts_for, axis=1).view(np.uint64).T.copy()
        self._plain = not any(c.requires or c.yields_to or c.marker_only for c in conditions.conditions)

    def flags(self, block: Block, ddd: np.ndarray, bought: _Bought) -> dict[str, np.ndarray]:
        """Rule → bits, uint8, shape (persons, ⌈reported conditions/8⌉), from the fills of a look-back; ``ddd`` per
        fill."""
        coded = bought.coded(block)
        return {rule: self._dispensed(block, coded) if rule == "dispensed" else
                np.packbits(self._counted(rule, block, ddd, coded), axis=1) for rule in self.rules}

    def _dispensed(self, block: Block, bought: _Bought) -> np.ndarray:
        """Who has bought a code of each condition at all, as bits: the masks of a person's codes, one or the other."""
        first = runs(bought.person)
        held = np.zeros((len(block.persons), len(self._words)), dtype=np.uint64)
        if len(first):
            for w, word in enumerate(self._words):
                held[bought.person[first], w] = np.bitwise_or.reduceat(word.take(bought.substance), first)
        C = len(self.conditions.conditions)
        if self._plain:
            return held.view(np.uint8)[:, :-(-C // 8)]
        found = np.unpackbits(held.view(np.uint8), axis=1, count=C).view(bool)
        number = {c.name: i for i, c in enumerate(self.conditions.conditions)}
        return np.packbits(
            resolved(found, self.conditions)[:, [number[name] for name in self.conditions.names]], axis=1)

    def _counted(self, rule: str, block: Block, ddd: np.ndarray, bought: _Bought) -> np.ndarray:
        """By :func:`~lakemedelsmodell.data.flag_kernel.flags`, bool, shape (persons, reported conditions)."""
        f, counts = block.fills, bought.keep(self.index.count.take(bought.substance) > 0)
        day = f.day.take(counts.rows)
        return flags(self.conditions, self.index, (rule,), len(block.persons), counts.person, counts.substance, day,
                     self.world.calendar.month[day], np.rint(ddd.take(counts.rows) * 1000),
                     f.packages.take(counts.rows), f.dose_dispensed.take(counts.rows))[rule]
