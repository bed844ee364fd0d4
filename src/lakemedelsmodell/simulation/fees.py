"""The patient's fee and what is left for the region to pay, dispensing by dispensing.

A person's fee period begins at her first purchase after the last one ended and lasts 12 months; the day it began
decides which staircase holds. With F the staircase and g the gross cost of the period so far, one purchase costs the
patient F(g after) − F(g before). Everything is whole öre, so that the fees of a period sum to F of its gross cost.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lakemedelsmodell.facts import FeeStaircase

PERIOD_DAYS = 365


def runs(values: np.ndarray) -> np.ndarray:
    """Where each run of equal values begins, int64."""
    new = np.ones(len(values), dtype=bool)
    np.not_equal(values[1:], values[:-1], out=new[1:])
    return np.flatnonzero(new)


def staircase_fee(staircase: FeeStaircase, gross_ore: np.ndarray) -> np.ndarray:
    """F: öre the patient has paid when the period's gross cost has reached ``gross_ore``; int64, same shape.

    Shares fall from step to step, so F is the least of its lines a_j + p_j·g and the cap; with p in percent that is
    exact in hundredths of an öre, rounded to whole öre once.
    """
    fee = np.full(gross_ore.shape, staircase.cap_sek * 100 * 100, dtype=np.int64)
    begins_at, paid_there = 0, 0
    for up_to_sek, share in staircase.steps:
        percent = round(share * 100)
        np.minimum(fee, paid_there - percent * begins_at + percent * gross_ore, out=fee)
        paid_there += percent * (up_to_sek * 100 - begins_at)
        begins_at = up_to_sek * 100
    return (fee + 50) // 100


def region_cost(
    person: np.ndarray,
    day: np.ndarray,
    gross_ore: np.ndarray,
    free: np.ndarray,
    staircases: Sequence[FeeStaircase],
    opening_end: np.ndarray | None = None,
    opening_gross_ore: np.ndarray | None = None,
) -> np.ndarray:
    """Öre the region pays of each dispensing, int64, shape (n,).

    Parameters
    ----------
    person : int, shape (n,), sorted
        Number of the person, an index into the opening arrays.
    day : int, shape (n,), sorted within person
        Days since 1970-01-01.
    gross_ore : int64, shape (n,), not negative
    free : bool, shape (n,)
        Free of charge to the patient: the region pays it all, and it neither begins nor fills a period.
    staircases : oldest first; the first also holds for periods begun before it
    opening_end : int, shape (persons,), or None
        Day on which the period a person is already in ends (exclusive); one before her first day: she is in none.
    opening_gross_ore : int64, shape (persons,), or None
        Gross cost already in that period.

    Raises ValueError where rows are not in order or a cost is negative.
    """
    paid = np.flatnonzero(~free)
    region = gross_ore.astype(np.int64)
    if len(paid):
        region[paid] -= patient_fees(person[paid], day[paid].astype(np.int64), region[paid], staircases,
                                     opening_end, opening_gross_ore)
    return region


def patient_fees(person: np.ndarray, day: np.ndarray, gross: np.ndarray, staircases: Sequence[FeeStaircase],
                 opening_end: np.ndarray | None, opening_gross: np.ndarray | None) -> np.ndarray:
    """Öre the patient pays of each dispensing that is not free, by :func:`region_cost`; ``day`` and ``gross`` int64."""
    if not len(person):
        return np.zeros(0, dtype=np.int64)
    begin, began, carried = _periods(person, day, opening_end, opening_gross)
    if gross.min() < 0:
        raise ValueError("gross cost may not be negative: settle corrections against the purchase they undo")
    length = np.diff(begin, append=len(gross))
    total = np.cumsum(gross)
    spent = total - np.repeat(total[begin] - gross[begin] - carried, length)

    valid_from = np.array([s.valid_from for s in staircases], dtype="datetime64[D]").astype(np.int64)
    held = np.maximum(np.searchsorted(valid_from, began, side="right") - 1, 0)
    paid, paid_before = np.empty_like(spent), np.empty_like(carried)
    for s, staircase in enumerate(staircases):
        periods = held == s
        rows = np.flatnonzero(np.repeat(periods, length))
        paid[rows] = staircase_fee(staircase, spent.take(rows))
        paid_before[periods] = staircase_fee(staircase, carried[periods])
    fees = paid.copy()
    fees[1:] -= paid[:-1]
    fees[begin] = paid[begin] - paid_before
    return fees


def _periods(person: np.ndarray, day: np.ndarray, opening_end: np.ndarray | None, opening_gross: np.ndarray | None
             ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First row of every fee period in order, the day it began, the gross cost it was opened with.

    Steps through everybody's first period, then everybody's second: as many rounds as the longest history has periods.
    """
    first = runs(person)
    after_last = np.append(first[1:], len(person))
    span = int(day.max()) - (origin := int(day.min())) + 1
    order = np.repeat(np.arange(len(first)) * span - origin, after_last - first) + day
    if (np.diff(person[first]) < 0).any() or (order[1:] < order[:-1]).any():
        raise ValueError("rows must be sorted by person, then day")

    began = day[first].copy()
    carried = np.zeros(len(first), dtype=np.int64)
    if opening_end is not None and opening_gross is not None:
        inside = began < opening_end[person[first]]
        who = person[first[inside]]
        began[inside] = opening_end[who] - PERIOD_DAYS
        carried[inside] = opening_gross[who]

    found = [(first, began, carried)]
    row, who = first, np.arange(len(first))
    while len(who):
        ended = np.minimum(began + PERIOD_DAYS - origin, span)
        row = np.searchsorted(order, who * span + ended)
        more = row < after_last[who]
        row, who = row[more], who[more]
        began = day[row]
        found.append((row, began, np.zeros(len(row), dtype=np.int64)))
    rows, days, opened_with = (np.concatenate(part) for part in zip(*found, strict=True))
    by_row = np.argsort(rows)
    return rows[by_row], days[by_row], opened_with[by_row]
