"""What ``data.flags`` asks of a database's tables, asked of rows by person: the same answers to the last bit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date
from threading import Lock
from typing import Literal

import numpy as np

from lakemedelsmodell.conditions import FLAG_RULES, Condition, ConditionSet
from lakemedelsmodell.data.flag_kernel import CodeIndex, least, resolved
from lakemedelsmodell.data.periods import BAND_MONTHS, MONTH_PARTS, Period, add_months
from lakemedelsmodell.data.rows import (
    BLOCK,
    BOUGHT,
    CODE,
    CODES,
    DAYS,
    DOSED,
    FIRST,
    IN_BASE,
    MONTH,
    PERSON,
    Block,
    Rows,
    begins,
    day_number,
    month_number,
)
from lakemedelsmodell.data.stretches import Stretches
from lakemedelsmodell.data.threads import of_each
from lakemedelsmodell.facts import BAND_FROM

How = Literal["snapshot", "days"]
Window = tuple[date, date]
NEVER = DAYS
LIMITS: dict[str, Callable[[Condition], int]] = {
    "min_dates": lambda c: c.min_dates or 0, "min_days_apart": lambda c: c.min_days_apart or 0,
    "min_ddd": lambda c: least(c.min_ddd), "min_packages": lambda c: least(c.min_packages)}


def _days(window: Window) -> tuple[int, int]:
    return day_number(window[0]), day_number(window[1])


# Months and costs


@dataclass(frozen=True, eq=False)
class Months:
    """Listed months of a block's persons in a period.

    Attributes
    ----------
    key : int64, shape (n,)
        (Place of the person × centres + centre) × bands + band, ascending.
    parts : int64, shape (n,)
    row : int64, shape (S, months)
        Which of them a stretch's month counts for, −1 where it does for none.
    """

    key: np.ndarray
    parts: np.ndarray
    row: np.ndarray

    @classmethod
    def of(cls, listed: Stretches, period: Period, how: How, n_centres: int) -> Months:
        days = [_days((month, add_months(month, 1))) for month in period.months]
        parts = np.column_stack([
            MONTH_PARTS * ((listed.start <= a) & (a < listed.end)) if how == "snapshot"
            else listed.days((a, b)) * (MONTH_PARTS // (b - a)) for a, b in days])
        lived = np.array([MONTH[a] for a, _ in days]) - listed.born[:, None]
        band = np.minimum(lived // BAND_MONTHS, len(BAND_FROM) - 1)
        where = listed.person.astype(np.int64) * n_centres + listed.centre
        there = parts > 0
        key = (where[:, None] * len(BAND_FROM) + band)[there]
        at = begins(key)
        found, of_run = np.unique(key[at], return_inverse=True)
        row = np.full(parts.shape, -1)
        row[there] = np.repeat(of_run, np.diff(at, append=len(key)))
        return cls(found, np.bincount(row[there], parts[there], len(found)).astype(np.int64), row)


def months_and_costs(rows: Rows, period: Period, how: How, amount: str, n_centres: int
                     ) -> tuple[dict[str, np.ndarray], int]:
    """Parts of months and öre (of the column ``amount``) per person, centre and band, sorted so; and the number of
    dispensings they are of."""
    days, first_month = _days((period.start, period.end)), month_number(period.start)

    def of_block(block: Block) -> dict[str, np.ndarray]:
        mine = rows.listed.persons(block.first, block.persons)
        months = Months.of(mine, period, how, n_centres)
        key, ore, bits = block.read("key", amount, "bits", days=days)
        on = np.flatnonzero(bits & IN_BASE)
        day = key[on] & DAYS - 1
        place = mine.at(key[on] >> PERSON, FIRST[day] if how == "snapshot" else day)
        here = np.flatnonzero(place >= 0)
        row = months.row[place[here], MONTH[day[here]] - first_month]
        where, band = np.divmod(months.key, len(BAND_FROM))
        return {"person": where // n_centres + block.first, "centre": (where % n_centres).astype(np.int32),
                "band": band.astype(np.uint8), "parts": months.parts.astype(np.int32),
                "ore": np.bincount(row, ore[on[here]], len(band)).astype(np.int64),
                "rows": np.array([len(here)])}

    found = of_each(of_block, rows.blocks, BLOCK)
    sums = {name: np.concatenate([part[name] for part in found]) for name in found[0]}
    return sums, int(sums.pop("rows").sum())


def stays(listed: Stretches, lookback: Period, year: Period, n_persons: int) -> tuple[np.ndarray, ...]:
    """Per person: days listed in the look-back and in the year before the period, whether at several centres in it."""
    inside = [listed.days(_days((window.start, window.end))) for window in (lookback, year)]
    there = np.flatnonzero(inside[1])
    person, centre = listed.person[there], listed.centre[there]
    moved = np.zeros(n_persons, dtype=bool)
    moved[person[1:][(person[1:] == person[:-1]) & (centre[1:] != centre[:-1])]] = True
    return (*(np.bincount(listed.person, days, n_persons).astype(np.int64) for days in inside), moved)


# Look-backs


@dataclass(frozen=True, eq=False)
class LookBack:
    """What a look-back tells of persons, in the order of their number, and of codes.

    Attributes
    ----------
    flags : mapping from rule to uint8, shape (P, ⌈reported conditions/8⌉)
        As :func:`numpy.packbits` packs rows.
    drugs : int64, shape (P,)
        Codes with packages left when corrections are deducted.
    dosed : bool, shape (P,)
        Whether anything was dose-dispensed.
    ore : int64, shape (P,)
        What base drugs cost.
    users : int64, shape (codes,)
        Persons with a dispensing of each code, also those who are not in the table of persons.
    """

    flags: dict[str, np.ndarray]
    drugs: np.ndarray
    dosed: np.ndarray
    ore: np.ndarray
    users: np.ndarray


def look_back(rows: Rows, window: Window, conditions: ConditionSet, codes: Sequence[str], amount: str) -> LookBack:
    """What the dispensings in ``window`` [from, to) tell, under both rules; cost is the column ``amount``."""
    index = CodeIndex.of(conditions, [*codes, ""])

    def of_block(block: Block) -> LookBack:
        key, packages, ddd, ore, bits = block.read("key", "packages", "ddd", amount, "bits", days=_days(window))
        counted, day = counted_dates(key, packages, bits & DOSED > 0), key & DAYS - 1
        drugs = Marks(key >> CODE, packages, ddd, np.where(counted, day, NEVER), np.where(counted, day, -1)).added_up()
        used = np.bincount(drugs.key & CODES, minlength=len(codes) + 1)[:-1]
        n, in_table = block.persons, np.searchsorted(key, block.persons << PERSON)
        key, bits = key[:in_table], bits[:in_table]
        drugs = drugs.rows(slice(np.searchsorted(drugs.key, n << PERSON - CODE)))
        left = (drugs.packages > 0) & (drugs.key & CODES < len(codes))
        dosed, base = np.zeros(n, dtype=bool), np.flatnonzero(bits & IN_BASE)
        dosed[key[bits & (DOSED | BOUGHT) == DOSED | BOUGHT] >> PERSON] = True
        return LookBack(
            _flags(drugs, key[counted[:in_table]], index, conditions, n),
            np.bincount(drugs.key[left] >> PERSON - CODE, minlength=n), dosed,
            np.bincount(key[base] >> PERSON, ore[base], n).astype(np.int64), used)

    found = of_each(of_block, rows.blocks, BLOCK)

    def of_all(name: str) -> np.ndarray:
        return np.concatenate([getattr(part, name) for part in found])

    return LookBack({rule: np.concatenate([part.flags[rule] for part in found]) for rule in FLAG_RULES},
                    of_all("drugs"), of_all("dosed"), of_all("ore"), np.sum([part.users for part in found], axis=0))


def users(rows: Rows, window: Window) -> np.ndarray:
    """Persons with a dispensing of each code in ``window`` [from, to), int64, shape (codes,)."""
    def of_block(block: Block) -> np.ndarray:
        key, = block.read("key", days=_days(window))
        key = key >> CODE
        return np.bincount(key[begins(key)] & CODES, minlength=rows.n_codes + 1)[:-1]

    return np.sum(of_each(of_block, rows.blocks, BLOCK), axis=0)


def counted_dates(key: np.ndarray, packages: np.ndarray, dosed: np.ndarray) -> np.ndarray:
    """Which rows stand for a date that counts, bool, shape (n,).

    A date counts where the net packages of person, code and date are positive; dose-dispensing counts once per person,
    code and calendar month. Dates with a correction are few: one of their rows stands for all.
    """
    counted, dose = (packages > 0) & ~dosed, (packages > 0) & dosed
    if len(corrected := np.unique(key[packages <= 0])):
        first, end = (np.searchsorted(key, corrected, side) for side in ("left", "right"))
        times = end - first
        of = np.repeat(np.arange(len(times)), times)
        row = np.arange(len(of)) + (first - np.cumsum(times) + times)[of]
        left, loose = np.bincount(of, packages[row]) > 0, np.bincount(of, counted[row]) > 0
        counted[row] = dose[row] = False
        counted[first[left & loose]] = dose[first[left & ~loose]] = True
    doses = np.flatnonzero(dose)
    month = MONTH[key[doses] & DAYS - 1] - MONTH[0]
    counted[doses[begins((key[doses] >> CODE) * DAYS + month)]] = True
    return counted


@dataclass(frozen=True, eq=False)
class Marks:
    """Rows by a key, each with packages and DDD in thousandths and its first and last counted day.

    Where no day counts, the first is :data:`NEVER` and the last −1.
    """

    key: np.ndarray
    packages: np.ndarray
    ddd: np.ndarray
    first: np.ndarray
    last: np.ndarray

    def rows(self, keep: np.ndarray | slice) -> Marks:
        """Only those in ``keep``."""
        return Marks(*(getattr(self, f.name)[keep] for f in fields(self)))

    def added_up(self) -> Marks:
        """One row per key; they must lie in its order."""
        at = begins(self.key)
        packages, ddd = (np.add.reduceat(column, at, dtype=np.int64) for column in (self.packages, self.ddd))
        return Marks(self.key[at], packages, ddd,
                     np.minimum.reduceat(self.first, at), np.maximum.reduceat(self.last, at))


def _flags(drugs: Marks, dates: np.ndarray, index: CodeIndex, conditions: ConditionSet, n: int
           ) -> dict[str, np.ndarray]:
    """Flags as bits by rule, of ``n`` persons' marks by person and code; ``dates`` are the keys of counted dates."""
    all_of = conditions.conditions
    C, number = len(all_of), {c.name: i for i, c in enumerate(all_of)}
    reported = [number[name] for name in conditions.names]
    limits = {name: np.array([get(c) for c in all_of]) for name, get in LIMITS.items()}

    def pairs(key: np.ndarray) -> tuple[np.ndarray, ...]:
        """Rows by person and code once per condition of their code: place, person × condition, whether listed."""
        row, place = index.places(key & CODES)
        return row, (key[row] >> PERSON - CODE) * C + index.condition[place], index.listed[place]

    row, of, listed = pairs(drugs.key)

    def flags(rule: str) -> np.ndarray:
        keep = listed if rule == "listed" else np.ones(len(row), dtype=bool)
        order = np.flatnonzero(keep)[np.argsort(of[keep])]
        marks = replace(drugs.rows(row[order]), key=of[order]).added_up()
        marks = marks.rows(marks.first < NEVER)
        if rule == "listed":
            least = {name: limit[marks.key % C] for name, limit in limits.items()}
            marks = marks.rows(
                (_number_of_dates(marks) >= least["min_dates"]) & (marks.last - marks.first >= least["min_days_apart"])
                & (marks.ddd >= least["min_ddd"]) & (marks.packages >= least["min_packages"]))
        held = np.zeros((n, C), dtype=bool)
        held.reshape(-1)[marks.key] = True
        return np.packbits(resolved(held, conditions)[:, reported], axis=1)

    def _number_of_dates(marks: Marks) -> np.ndarray:
        if limits["min_dates"].max(initial=0) <= 2:
            return 1 + (marks.first < marks.last)
        row, of, listed = pairs(dates >> CODE)
        of, number = np.unique(np.unique(of[listed] * DAYS + (dates[row[listed]] & DAYS - 1)) // DAYS,
                               return_counts=True)
        return number[np.searchsorted(of, marks.key)]

    return {rule: flags(rule) for rule in FLAG_RULES}


# Use of codes


def use_of_codes(rows: Rows, period: Period, how: How, amount: str, n_centres: int
                 ) -> dict[str, np.ndarray]:
    """Base drugs of each centre's listed persons by code: rows, ddd (thousandths), ore and persons, (K, codes) each."""
    sums = {name: np.zeros(n_centres * rows.n_codes, dtype=np.int64) for name in ("rows", "ddd", "ore", "persons")}
    one_at_a_time = Lock()

    def of_block(block: Block) -> None:
        mine = rows.listed.persons(block.first, block.persons)
        key, ddd, ore, bits = block.read("key", "ddd", amount, "bits", days=_days((period.start, period.end)))
        on = np.flatnonzero((bits & IN_BASE > 0) & (key >> CODE & CODES < rows.n_codes))
        day = key[on] & DAYS - 1
        place = mine.at(key[on] >> PERSON, FIRST[day] if how == "snapshot" else day)
        here = on[place >= 0]
        visits = (key[here] >> CODE) * n_centres + mine.centre[place[place >= 0]]
        persons = np.sort(visits)  # nearly are
        persons = persons[begins(persons)]
        with one_at_a_time:
            for name, of, what in (("rows", visits, None), ("ddd", visits, ddd[here]), ("ore", visits, ore[here]),
                                   ("persons", persons, None)):
                cell = of % n_centres * rows.n_codes + (of // n_centres & CODES)
                sums[name] += np.bincount(cell, what, len(sums[name])).astype(np.int64)

    of_each(of_block, rows.blocks, BLOCK)
    return {name: table.reshape(n_centres, -1) for name, table in sums.items()}
