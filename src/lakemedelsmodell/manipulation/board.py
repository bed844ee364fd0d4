"""The centres that play, their persons and all their persons' purchases, and what changed rows come to.

Only the players' rows are replayed. A person is the player's with her longest row in the paid half-year; what the
act brings and costs is counted there.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, fields
from functools import cached_property
from hashlib import blake2b
from threading import Lock
from typing import Any
from zlib import crc32

import numpy as np

from lakemedelsmodell.data.engines import arrays
from lakemedelsmodell.data.periods import HALF_YEAR
from lakemedelsmodell.data.purchases import Purchases, monthly_marks, read_purchases
from lakemedelsmodell.manipulation.fees import FeeState, fee_state, replayed_cost
from lakemedelsmodell.manipulation.region import Region, Terms, month_number
from lakemedelsmodell.settlement import pooled_cost
from lakemedelsmodell.simulation.streams import Keyed, by_name

PLAYERS = 0.1
"""Share of the centres whose rows are replayed: each plays alone, all of them at once, and for all centres."""
FREE_AGE = 18
HALF_YEARS = 10
"""From two years before the paid half-year to two and a half after, what lies beyond counted with the outermost."""
ACTS_KEPT = 40
"""Replays kept for designs under which a centre does the same."""


@dataclass(frozen=True, eq=False)
class Act:
    """Rows a centre changes for the persons it treats.

    Attributes
    ----------
    person : int64, shape (n,)
        Who is treated, numbers of the board, sorted.
    removed : int64
        Places in the board's rows.
    added : Purchases
    """

    person: np.ndarray
    removed: np.ndarray
    added: Purchases


@dataclass(frozen=True, eq=False)
class Outcome:
    """What treating each of n persons changes, against the untouched twin. SEK; a loss for who bears it is positive.

    Attributes
    ----------
    key : uint32, shape (n,)
        Identity of the person, for who is treated at a given effort.
    player : int64, shape (n,)
    pay : float64, shape (n, H)
        Reimbursement before φ, by half-year in which the act pays.
    cohort : tuple of int, length H
        0 or 1: whose amounts of money close each half-year.
    cost, own_cost : float64, shape (n,)
        What the region pays of base drugs; the part that no pool takes over.
    gross, patients : float64, shape (n,)
        Gross cost of all drugs; what patients pay of it.
    moved : bool
        Persons or costs change centre: what the player gains others lose, and nothing is wasted.
    divisible : bool
        Effort is a share of each row rather than of the rows.
    person : int64, shape (n,), or None
        Numbers of the board, where rows changed.
    flags : tuple of (before, after), each (n, C), by half-year; empty where no rows changed
    """

    key: np.ndarray
    player: np.ndarray
    pay: np.ndarray
    cohort: tuple[int, ...]
    cost: np.ndarray
    own_cost: np.ndarray
    gross: np.ndarray
    patients: np.ndarray
    moved: bool = False
    divisible: bool = False
    person: np.ndarray | None = None
    flags: tuple[tuple[np.ndarray, np.ndarray], ...] = ()

    @cached_property
    def more_flags(self) -> np.ndarray:
        """Flags gained less flags lost in the last half-year, float64, shape (n, C)."""
        before, after = self.flags[-1]
        return np.asarray(after.astype(float) - before)


@dataclass(frozen=True, eq=False)
class Replay:
    """What purchases come to for each of n persons, the fee staircase run again; SEK.

    Attributes
    ----------
    cost, gross, patients : float64, shape (n,)
        What the region pays of base drugs; of all drugs what they cost and what patients pay.
    spent : float64, shape (n, HALF_YEARS)
        ``cost`` by half-year.
    flags : what was found in them, by ``Terms.read_as``
    """

    cost: np.ndarray
    gross: np.ndarray
    patients: np.ndarray
    spent: np.ndarray
    flags: dict[Any, list[np.ndarray]] = field(default_factory=dict)


class Board:
    """The players of a region.

    Attributes
    ----------
    region : Region
    players : int64, shape (S,)
        Rows of the cohort's centres.
    person : int64, shape (n,)
        Numbers of the region's persons, sorted.
    player : int64, shape (n,)
        Whose they are, 0..S−1.
    cell : int64, shape (n,)
        Age band × sex in the paid half-year.
    age : int64, shape (n,)
        Completed years when the act begins.
    months, cost : float64, shape (n, 2)
        Listed months at the player, and SEK of base drugs there, in the fit and in the paid half-year.
    key : uint32, shape (n,)
    rows : Purchases
        All their purchases; ``person`` is 0..n−1.
    """

    def __init__(self, region: Region, share: float = PLAYERS, seed: int = 20260507):
        self.region, self.seed, self._lock = region, seed, Lock()
        fitted, paid = region.cohorts
        K = paid.n_centres
        self.centre_months = np.stack([np.bincount(c.centre, c.months, K) for c in region.cohorts], axis=1)
        open_ = np.flatnonzero(self.centre_months.min(axis=1) > 0)
        wanted = min(len(open_), max(2, round(share * len(open_))))
        drawn = by_name("players", seed, tuple(map(str, paid.centre_ids[open_])))
        self.players = np.sort(open_[np.argsort(drawn, kind="stable")[:wanted]])
        number = np.full(K, -1)
        number[self.players] = np.arange(wanted)

        mine = np.flatnonzero(number[paid.centre] >= 0)
        mine = mine[np.lexsort((-paid.months[mine], paid.person[mine]))]
        mine = mine[np.diff(paid.person[mine], prepend=-1) != 0]
        self.person, self.player = paid.person[mine], number[paid.centre[mine]]
        self.cell = paid.cell[mine]
        self.months, self.cost, self.pooled_cost = (np.zeros((len(mine), 2)) for _ in range(3))
        for h, cohort in enumerate(region.cohorts):
            at = np.searchsorted(self.person, cohort.person)
            at[at == len(self.person)] = 0
            here = np.flatnonzero((self.person[at] == cohort.person) & (number[cohort.centre] == self.player[at]))
            self.months[:, h] = np.bincount(at[here], cohort.months[here], len(mine))
            self.cost[:, h] = np.bincount(at[here], cohort.cost[here], len(mine))

        who = arrays(region.half_year.persons.order_by("person").select("person_id", "birth_month"))
        self._born = who["birth_month"][self.person].astype("datetime64[M]").astype(np.int64)
        self.key = np.array([crc32(str(p).encode()) for p in who["person_id"][self.person]], dtype=np.uint32)
        self.age = (month_number(region.act_start) - self._born) // 12
        rows = read_purchases(region.half_year, persons=self.person)
        self.rows = rows.numbered(np.searchsorted(self.person, rows.person))
        self._begins = np.searchsorted(self.rows.person, np.arange(len(mine) + 1))

    def __len__(self) -> int:
        return len(self.person)

    @cached_property
    def in_act(self) -> np.ndarray:
        """Which rows lie in the half-year of the act and bring packages, bool, shape (N,)."""
        start, end = self.region.act_days
        return (self.rows.day >= start) & (self.rows.day < end) & (self.rows.milli_packages > 0)

    def free(self, rows: Purchases) -> np.ndarray:
        """Which rows are free to the patient, by age or by code."""
        return self.region.catalogue.free[rows.code] | ((rows.month - self._born[rows.person]) // 12 < FREE_AGE)

    @cached_property
    def fees(self) -> FeeState:
        return fee_state(self.rows, self.free(self.rows), self.region.staircases, len(self))

    def drawn(self, purpose: str, key: np.ndarray) -> np.ndarray:
        """Uniform on (0, 1) by person, the same whatever else is played."""
        return Keyed(f"manipulation {purpose}", self.seed).uniform(key)

    # Flags and pay

    @cached_property
    def _held(self) -> dict[Any, list[np.ndarray]]:
        return {}

    def held(self, terms: Terms) -> list[np.ndarray]:
        """Flags of the board's persons without play, (n, C) per half-year of :meth:`Region.life`."""
        if terms.read_as not in self._held:
            self._held[terms.read_as] = self.flags(terms, self.rows, len(self))
        return self._held[terms.read_as]

    def flags(self, terms: Terms, rows: Purchases, persons: int) -> list[np.ndarray]:
        """Flags by other rows of persons 0..m−1, (m, C) per half-year of :meth:`Region.life`."""
        if not terms.conditions.names:
            return [np.zeros((persons, 0), dtype=bool) for _ in self.region.life(terms.design)]
        marks = monthly_marks(rows, terms.index, len(terms.conditions.conditions))
        return [self.region.held(terms.design, terms.conditions, marks, persons, start)
                for start, _ in self.region.life(terms.design)]

    def carries(self, terms: Terms) -> np.ndarray:
        """Who carries which condition in any half-year of the act's life, bool, shape (n, C)."""
        if terms.read_as not in self._carried:
            self._carried[terms.read_as] = np.any([flags > 0 for flags in self.held(terms)], axis=0)
        return self._carried[terms.read_as]

    @cached_property
    def _carried(self) -> dict[Any, np.ndarray]:
        return {}

    # Rows

    def rows_of(self, persons: np.ndarray) -> np.ndarray:
        """Places of all rows of some persons (sorted)."""
        length = self._begins[persons + 1] - self._begins[persons]
        return np.repeat(self._begins[persons] - np.cumsum(length) + length, length) + np.arange(length.sum())

    def acted(self, codes: np.ndarray) -> np.ndarray:
        """Places of the rows of some codes (bool, by code) that :attr:`in_act` tells, in order."""
        order, begins = self._by_code
        return np.sort(np.concatenate([order[begins[c]:begins[c + 1]] for c in np.flatnonzero(codes)] or [order[:0]]))

    @cached_property
    def _by_code(self) -> tuple[np.ndarray, np.ndarray]:
        places = np.flatnonzero(self.in_act)
        code = self.rows.code[places]
        order = np.argsort(code, kind="stable")
        return places[order], np.searchsorted(code[order], np.arange(len(self.region.codes) + 1))

    @cached_property
    def twin(self) -> Replay:
        """Everybody's rows as they are."""
        return self._replayed(self.rows, np.arange(len(self)))

    def _replayed(self, rows: Purchases, who: np.ndarray) -> Replay:
        """``rows`` of the persons ``who`` (sorted), fees from the first day to the last."""
        free, n = self.free(rows), len(who)
        local = rows.numbered(np.searchsorted(who, rows.person))
        state = FeeState(self.fees.end[who], self.fees.gross_ore[who], self.fees.share_found)
        paid, gross = replayed_cost(local, free, self.region.staircases, state), local.gross_ore.clip(min=0)
        base = (gross if self.region.gross_cost else paid) * local.in_base
        half = HALF_YEAR * np.arange(-4, HALF_YEARS - 5) + self.region.starts[1]
        at = local.person * HALF_YEARS + np.searchsorted(half, local.month, side="right")
        return Replay(np.bincount(local.person, base, n) / 100, np.bincount(local.person, gross, n) / 100,
                      np.bincount(local.person, gross - paid, n) / 100,
                      (np.bincount(at, base, n * HALF_YEARS) / 100).reshape(-1, HALF_YEARS))

    @cached_property
    def _acts(self) -> OrderedDict[bytes, Replay]:
        return OrderedDict()

    def _after(self, act: Act, terms: Terms) -> tuple[Replay, list[np.ndarray]]:
        """What the treated persons' rows come to after the act, and their flags; kept, since a centre does the same
        under many designs."""
        told = blake2b(act.person.tobytes())
        told.update(act.removed.tobytes() + b"|")
        for f in fields(Purchases):
            told.update(getattr(act.added, f.name).tobytes())
        key = told.digest()
        with self._lock:
            found = self._acts.get(key)
        if found is None or terms.read_as not in found.flags:
            places = self.rows_of(act.person)
            if len(act.removed):
                kept = np.ones(len(self.rows), dtype=bool)
                kept[act.removed] = False
                places = places[kept[places]]
            rows = self.rows.rows(places).with_rows(act.added)
            found = found or self._replayed(rows, act.person)
            rows = rows.numbered(np.searchsorted(act.person, rows.person))
            found.flags[terms.read_as] = self.flags(terms, rows, len(act.person))
        with self._lock:
            self._acts[key] = found
            self._acts.move_to_end(key)
            while len(self._acts) > ACTS_KEPT:
                self._acts.popitem(last=False)
        return found, found.flags[terms.read_as]

    def outcome(self, act: Act, terms: Terms) -> Outcome:
        """Replay the treated persons' rows: flags of every half-year, fees from the first day to the last."""
        who, (after, flags) = act.person, self._after(act, terms)
        held = [then[who] for then in self.held(terms)]
        most = terms.design.pool_threshold or np.inf
        own = np.minimum(after.spent, most).sum(axis=1) - np.minimum(self.twin.spent[who], most).sum(axis=1)
        cohorts = tuple(h for _, h in self.region.life(terms.design))
        pay = np.stack([self.months[who, h] * (terms.add_on_pay(now) - terms.add_on_pay(then))
                        for now, then, h in zip(flags, held, cohorts, strict=True)], axis=1)
        return Outcome(self.key[who], self.player[who], pay, cohorts, after.cost - self.twin.cost[who], own,
                       after.gross - self.twin.gross[who], after.patients - self.twin.patients[who], person=who,
                       flags=tuple(zip(held, flags, strict=True)))

    def moved(self, person: np.ndarray, player: np.ndarray, pay: np.ndarray, cost: np.ndarray) -> Outcome:
        """Pay before φ (SEK, shape (n,)) and cost in the paid half-year that change centre with persons."""
        none = np.zeros(len(person))
        return Outcome(self.key[person], player, pay[:, None], (1,), cost, cost, none, none, moved=True)

    @cached_property
    def by_month(self) -> tuple[np.ndarray, np.ndarray]:
        """SEK of base drugs per person and month of the paid half-year, and of that month's dearest day, (n, 6) each.
        """
        rows, first, n = self.rows, self.region.starts[1], len(self) * HALF_YEAR
        counts = rows.in_base & (rows.month >= first) & (rows.month < first + HALF_YEAR)
        ore = np.where(self.region.gross_cost, rows.gross_ore, rows.cost_ore)[counts]
        person, month, day = rows.person[counts], rows.month[counts] - first, rows.day[counts]
        of_month = np.bincount(person * HALF_YEAR + month, ore, n).reshape(-1, HALF_YEAR) / 100
        at = np.flatnonzero((np.diff(person, prepend=-1) != 0) | (np.diff(day, prepend=-1) != 0))
        dearest = np.zeros(n)
        if len(at):
            np.maximum.at(dearest, (person * HALF_YEAR + month)[at], np.add.reduceat(ore, at) / 100)
        return of_month, dearest.reshape(-1, HALF_YEAR)

    @cached_property
    def _kept(self) -> dict[float | None, np.ndarray]:
        return {}

    def borne_cost(self, threshold: float | None) -> np.ndarray:
        """SEK of base drugs at the player that no pool takes over, shape (n, 2)."""
        if threshold is None:
            return self.cost
        if threshold not in self._kept:
            kept = []
            for cohort in self.region.cohorts:
                excess = np.bincount(cohort.person, pooled_cost(cohort, threshold), self.region.persons)[self.person]
                spent = np.bincount(cohort.person, cohort.cost, self.region.persons)[self.person]
                kept.append(1 - np.divide(excess, spent, out=np.zeros_like(excess), where=spent > 0))
            self._kept[threshold] = self.cost * np.stack(kept, axis=1)
        return self._kept[threshold]


