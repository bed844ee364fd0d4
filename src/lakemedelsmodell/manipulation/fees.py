"""What the region pays of persons' purchases, before and after play: the fee staircase run again per person.

Where in a fee period somebody stands when the data begin is not in the data, but what they paid is: a period that
begins at a purchase must give the very fees that were charged from there on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lakemedelsmodell.data.purchases import Purchases
from lakemedelsmodell.facts import FeeStaircase
from lakemedelsmodell.simulation.fees import PERIOD_DAYS, region_cost, staircase_fee

ROUNDS = 60
"""Purchases tried as the first of a person's fee period; within a year most persons have fewer."""
SLACK_ORE = 2
"""Öre that a fee may differ by: rows of one code and day have been added up."""


@dataclass(frozen=True, eq=False)
class FeeState:
    """The fee period each of n persons is in when the data begin.

    Attributes
    ----------
    end : int64, shape (n,)
        Day on which it ends (exclusive), days since 1970-01-01; 0 for who is in none.
    gross_ore : int64, shape (n,)
        Gross cost already in it.
    share_found : float
        Share of the persons with fees whose fees are met to the öre; others are taken to begin with nothing.
    """

    end: np.ndarray
    gross_ore: np.ndarray
    share_found: float


def replayed_cost(rows: Purchases, free: np.ndarray, staircases: Sequence[FeeStaircase], state: FeeState) -> np.ndarray:
    """Öre the region pays of each purchase, int64, shape (N,); all of it where there is no staircase.

    What corrections have left below 0 counts as 0.
    """
    gross = rows.gross_ore.clip(min=0)
    if not staircases or not len(rows):
        return gross
    return region_cost(rows.person, rows.day, gross, free, staircases, state.end, state.gross_ore)


def fee_state(rows: Purchases, free: np.ndarray, staircases: Sequence[FeeStaircase], persons: int) -> FeeState:
    """Find when each person's fee periods begin from the fees paid; ``rows`` of persons 0..n−1, ``free`` per row."""
    end, opened = np.zeros(persons, dtype=np.int64), np.zeros(persons, dtype=np.int64)
    paid = np.flatnonzero(~free & (rows.gross_ore > 0))
    if not staircases or not len(paid):
        return FeeState(end, opened, float("nan"))
    person, day, gross = rows.person[paid], rows.day[paid], rows.gross_ore[paid]
    fee = gross - rows.cost_ore[paid]
    first = np.flatnonzero(np.diff(person, prepend=-1))
    last = np.append(first[1:], len(person))
    limit = day.min() + PERIOD_DAYS + PERIOD_DAYS // 2

    # A row may begin a period if its fee is that of the staircase from 0.
    from_zero = np.full(len(gross), -1, dtype=np.int64)
    valid = np.array([s.valid_from for s in staircases], dtype="datetime64[D]").astype(np.int64)
    held = np.maximum(np.searchsorted(valid, day, side="right") - 1, 0)
    for s, staircase in enumerate(staircases):
        from_zero[held == s] = staircase_fee(staircase, gross[held == s])
    may = np.flatnonzero((np.abs(from_zero - fee) <= SLACK_ORE) & (day < limit))

    begins = np.full(len(first), -1, dtype=np.int64)
    waiting = np.arange(len(first))
    at = first.copy()
    for _ in range(ROUNDS):
        next_may = np.searchsorted(may, at[waiting])
        there = next_may < len(may)
        waiting, next_may = waiting[there], next_may[there]
        start = may[next_may]
        inside = start < last[waiting]
        waiting, start = waiting[inside], start[inside]
        if not len(waiting):
            break
        length = last[waiting] - start
        at_row = np.repeat(start - np.cumsum(length) + length, length) + np.arange(length.sum())
        who = np.repeat(np.arange(len(waiting)), length)
        region = region_cost(who, day[at_row], gross[at_row], np.zeros(len(who), dtype=bool), staircases)
        wrong = np.bincount(who, np.abs(gross[at_row] - region - fee[at_row]) > SLACK_ORE, len(waiting)) > 0
        begins[waiting[~wrong]] = start[~wrong]
        at[waiting] = start + 1
        waiting = waiting[wrong]

    found = begins >= 0
    carried = found & (begins > first)  # rows before the first period that begins in the data belong to an open one
    if carried.any():
        who = np.flatnonzero(carried)
        end[person[first[who]]] = day[begins[who]]
        opened[person[first[who]]] = _opening(first[who], begins[who], day, gross, fee, staircases)
    return FeeState(end, opened, float(found.mean()))


def _opening(first: np.ndarray, begins: np.ndarray, day: np.ndarray, gross: np.ndarray, fee: np.ndarray,
             staircases: Sequence[FeeStaircase]) -> np.ndarray:
    """Gross öre g in a period before the rows [first, begins): F(g + gross) − F(g) is the fee they were charged.

    The more was in it the less is charged, so g is found by halving.
    """
    total, charged = np.cumsum(gross), np.cumsum(fee)
    spent = total[begins - 1] - total[first] + gross[first]
    asked = charged[begins - 1] - charged[first] + fee[first]
    valid = np.array([s.valid_from for s in staircases], dtype="datetime64[D]").astype(np.int64)
    held = np.maximum(np.searchsorted(valid, day[begins] - PERIOD_DAYS, side="right") - 1, 0)
    low = np.zeros(len(first), dtype=np.int64)
    for s, staircase in enumerate(staircases):
        of = held == s
        bottom, top = low[of], np.full(of.sum(), staircase.steps[-1][0] * 100, dtype=np.int64)
        for _ in range(24):
            middle = (bottom + top) // 2
            more = staircase_fee(staircase, middle + spent[of]) - staircase_fee(staircase, middle) > asked[of]
            bottom, top = np.where(more, middle + 1, bottom), np.where(more, top, middle)
        low[of] = bottom
    return low
