"""The flag rule on plain arrays: for worlds that are drawn and for rows that a manipulator has changed.

``data.flags`` asks the same of a region's tables and is the judge: tests hold the two equal. Rows here are purchases,
one per person, code and date with corrections already deducted, sorted by person and then day.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from lakemedelsmodell.conditions import Condition, ConditionSet


@dataclass(frozen=True, eq=False)
class CodeIndex:
    """Which conditions each of N codes counts for.

    Attributes
    ----------
    condition : int64
        Numbers into ``ConditionSet.conditions``, code by code.
    listed : bool
        Whether the code counts under the rule ``listed`` too.
    count, start : int64, shape (N,)
        How many of them belong to a code, and where they begin.
    """

    condition: np.ndarray
    listed: np.ndarray
    count: np.ndarray
    start: np.ndarray

    @classmethod
    def of(cls, conditions: ConditionSet, codes: Sequence[str]) -> CodeIndex:
        number = {c.name: i for i, c in enumerate(conditions.conditions)}
        pairs = conditions.expand(codes)
        code = pairs["atc"].map({atc: j for j, atc in enumerate(codes)}).to_numpy(dtype=np.int64)
        order = np.argsort(code, kind="stable")
        count = np.bincount(code, minlength=len(codes))
        strict = {c.name: c for c in conditions.under("listed").conditions}
        listed = np.array([strict[name].matches(atc) for atc, name in zip(pairs["atc"], pairs["condition"],
                                                                          strict=True)], dtype=bool)
        return cls(pairs["condition"].map(number).to_numpy(dtype=np.int64)[order], listed[order], count,
                   np.cumsum(count) - count)

    def pairs(self, code: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Each row once per condition its code counts for: places in ``code``, and the conditions' numbers."""
        row, place = self.places(code)
        return row, self.condition[place]

    def places(self, code: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Each row once per condition its code counts for: places in ``code``, and in ``condition``."""
        times = self.count[code]
        row = np.repeat(np.arange(len(code)), times)
        within = np.arange(len(row)) - np.repeat(np.cumsum(times) - times, times)
        return row, self.start[code[row]] + within


def flags(conditions: ConditionSet, index: CodeIndex, rules: Iterable[str], persons: int, person: np.ndarray,
          code: np.ndarray, day: np.ndarray, month: np.ndarray, milli_ddd: np.ndarray, packages: np.ndarray,
          dose_dispensed: np.ndarray) -> dict[str, np.ndarray]:
    """Rule → flags, bool, shape (persons, reported conditions), from the rows of one look-back.

    Parameters
    ----------
    persons : how many there are; ``person`` numbers them from 0
    person, code, day : integers, shape (N,), sorted by person, then day; ``code`` numbers the codes of ``index``
    month : int, shape (N,), calendar month of ``day``, below 1024
    milli_ddd, packages : shape (N,); where packages are not above 0 the row is no date, but still lowers the sums
    dose_dispensed : bool, shape (N,)
    """
    row, place = index.places(code)
    C = len(conditions.conditions)
    key = person[row].astype(np.int64) * C + index.condition[place]
    bought = packages[row] > 0
    number = {c.name: i for i, c in enumerate(conditions.conditions)}
    reported = [number[name] for name in conditions.names]

    def held(rule: str, row: np.ndarray, key: np.ndarray, bought: np.ndarray) -> np.ndarray:
        seen = np.zeros(persons * C, dtype=bool)
        seen[key if bought.all() else key[bought]] = True
        if rule == "dispensed":
            return seen
        dates = np.flatnonzero(counted_dates(key, code[row], month[row], dose_dispensed[row], bought))
        return seen & meets_limits(conditions, key, milli_ddd[row], packages[row], dates, day[row], persons)

    def counting(rule: str) -> tuple[np.ndarray, ...]:
        if rule == "dispensed" or index.listed.all():
            return row, key, bought
        on = np.flatnonzero(index.listed[place])
        return row[on], key[on], bought[on]

    return {rule: resolved(held(rule, *counting(rule)).reshape(persons, C), conditions)[:, reported] for rule in rules}


def counted_dates(key: np.ndarray, code: np.ndarray, month: np.ndarray, dose_dispensed: np.ndarray,
                  bought: np.ndarray) -> np.ndarray:
    """Which rows count as dates, bool, shape (n,): those ``bought``; dose-dispensing is one per key, code and month,
    the first that was."""
    dosed = np.flatnonzero(dose_dispensed & bought)
    roll = (key[dosed] * (int(code.max(initial=0)) + 1) + code[dosed]) * 1024 + month[dosed]
    counted = bought.copy()
    counted[dosed] = False
    counted[dosed[np.unique(roll, return_index=True)[1]]] = True
    return counted


def meets_limits(conditions: ConditionSet, key: np.ndarray, milli_ddd: np.ndarray, packages: np.ndarray,
                 dates: np.ndarray, day: np.ndarray, persons: int) -> np.ndarray:
    """Whether dates, days apart, DDD and packages of each person × condition reach the limits, shape (persons · C,).

    ``key`` is person × C + condition, ``dates`` the places of the rows that count as dates; rows lie by person, then
    day.
    """
    C = len(conditions.conditions)
    size = persons * C

    def limits(name: str) -> np.ndarray:
        return np.array([getattr(c, name) or 0 for c in conditions.conditions])

    def by_person(values: np.ndarray) -> np.ndarray:
        return values.reshape(persons, C)

    enough = by_person(np.bincount(key, milli_ddd, size)) >= np.ceil(np.round(limits("min_ddd") * 1000, 6))
    if (least := limits("min_packages")).any() or packages.min(initial=0) < 0:
        enough &= by_person(np.bincount(key, packages, size)) >= least
    day, key = day[dates].astype(np.int64), key[dates]
    first, last = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    first[key[::-1]], last[key] = day[::-1], day
    if limits("min_dates").max(initial=0) > 2:
        number = np.bincount(np.unique(key << 16 | day) >> 16, minlength=size)
    else:
        number = 1 + (first < last)
    enough &= by_person(number) >= limits("min_dates")
    enough &= by_person(last - first) >= limits("min_days_apart")
    return enough.reshape(-1)


def resolved(found: np.ndarray, conditions: ConditionSet) -> np.ndarray:
    """Flags, bool (n, all conditions), once conditions require others, are made of others and yield to others."""
    held = found.copy()
    number = {c.name: i for i, c in enumerate(conditions.conditions)}
    settled: dict[str, Condition] = {c.name: c for c in conditions.conditions if not c.requires}
    waiting = [c for c in conditions.conditions if c.requires]
    while waiting:
        ready = [c for c in waiting if all(r in settled for r in c.requires)]
        for c in ready:
            all_there = held[:, [number[r] for r in c.requires]].all(axis=1)
            held[:, number[c.name]] = all_there & (held[:, number[c.name]] if c.include else True)
            settled[c.name] = c
        waiting = [c for c in waiting if c.name not in settled]
    before = held.copy()
    for c in conditions.conditions:
        if c.yields_to:
            held[:, number[c.name]] &= ~before[:, [number[y] for y in c.yields_to]].any(axis=1)
    return held


def least(limit: float | None) -> int:
    """A threshold in thousandths; what a float adds in its last digit does not raise it."""
    return math.ceil(round((limit or 0) * 1000, 6))
