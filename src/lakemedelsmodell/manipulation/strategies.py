"""What a centre can do to be paid more: fifteen strategies, each acting on rows or listings and never on flags.

The centre knows the amounts, the price of packs, its own rows and its own results; it picks the group or the persons
that promise most and takes what comes. "Eligible" is who it would treat at effort 1; at effort η a share η of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from lakemedelsmodell.data.periods import HALF_YEAR
from lakemedelsmodell.data.purchases import Purchases, no_purchases
from lakemedelsmodell.facts import N_CELLS
from lakemedelsmodell.manipulation.board import Act, Board, Outcome
from lakemedelsmodell.manipulation.designs import CHEMICAL_SUBGROUP, multi_use_codes
from lakemedelsmodell.manipulation.region import LAST_ACT_BEFORE_END, Bundle, Terms, day_number

ADULT = 18


@dataclass(frozen=True)
class Strategy:
    """One way to play.

    Attributes
    ----------
    number, name : as in the method's list and in results
    says : str
    work_sek : float
        The centre's own cost per person treated, SEK [assumed 0: gains are before the work they take].
    closed_form : bool
        The gain follows from a formula with stated assumptions rather than from changed rows.
    reviewed, all_only, withholds : bool
        A review can find it; it is for all centres at once; drugs are withheld.
    """

    number: ClassVar[int]
    name: ClassVar[str]
    says: ClassVar[str]
    closed_form: ClassVar[bool] = False
    reviewed: ClassVar[bool] = False
    all_only: ClassVar[bool] = False
    withholds: ClassVar[bool] = False
    work_sek: float = 0.0

    def outcome(self, board: Board, terms: Terms) -> Outcome | None:
        """What treating everyone eligible changes; None where nobody is."""
        raise NotImplementedError


class OnRows(Strategy):
    """A strategy that changes dispensings; the flags it makes last as long as the look-back holds them."""

    def act(self, board: Board, terms: Terms) -> Act | None:
        """The rows that are added, split, moved, switched or kept; None where there are none."""
        raise NotImplementedError

    def outcome(self, board: Board, terms: Terms) -> Outcome | None:
        act = self.act(board, terms)
        return None if act is None or not len(act.person) else board.outcome(act, terms)


def margin(board: Board, terms: Terms, name: str, bundle: Bundle, *, first_purchase: bool) -> float:
    """What a new flag is expected to bring less the centre's share of what qualifies, SEK per person."""
    region = board.region
    pays = terms.phi[1] * terms.amount(name) * region.months_paid(terms, name, bundle)
    sek = region.first_purchase(bundle) if first_purchase else bundle.sek
    return pays - region.alpha * sek * bool(region.catalogue.in_base[bundle.code])


def ranked(board: Board, terms: Terms, *, first_purchase: bool) -> list[tuple[float, str, Bundle]]:
    """Conditions by the margin of starting them, best first; those without pay or without a pack are left out."""
    found = []
    for name in terms.conditions.names:
        bundle = board.region.bundle(terms.conditions, name)
        if bundle is not None and terms.amount(name) > 0:
            found.append((margin(board, terms, name, bundle, first_purchase=first_purchase), name, bundle))
    return sorted(found, key=lambda f: (-f[0], f[1]))


NOTHING = np.zeros(0, dtype=np.int64)


def _unflagged_adults(board: Board, terms: Terms) -> np.ndarray:
    return np.flatnonzero(~board.carries(terms).any(axis=1) & (board.age >= ADULT) & (board.months.sum(axis=1) > 0))


@dataclass(frozen=True)
class CheapestDrug(OnRows):
    """Unflagged adults are given whatever qualifies at the least cost, as often and as much as the rule asks."""

    number = 1
    name = "cheapest_drug"
    says = "The cheapest drug that qualifies, as much of it as the rule asks, for adults with no condition"

    def act(self, board: Board, terms: Terms) -> Act | None:
        for _, _, bundle in ranked(board, terms, first_purchase=True)[:1]:
            person = _unflagged_adults(board, terms)
            return Act(person, NOTHING, board.region.bought(person, bundle))
        return None


@dataclass(frozen=True)
class StarterPack(OnRows):
    """Unflagged adults are given one pack on one day, whatever the rule asks."""

    number = 2
    name = "starter_pack"
    says = "One starter pack for adults with no condition"

    def act(self, board: Board, terms: Terms) -> Act | None:
        best: tuple[float, int] | None = None
        region = board.region
        shelf = region.catalogue
        for name in terms.conditions.names:
            packs = [(float(shelf.price[i] * shelf.in_base[i]), float(shelf.price[i]), region.codes[i], i)
                     for i in np.flatnonzero(region.counted(terms.conditions[name])).tolist() if shelf.price[i] > 0]
            if packs and terms.amount(name) > 0:
                _, price, _, code = min(packs)
                gain = margin(board, terms, name, Bundle(code, (0,), (1,), price), first_purchase=True)
                if best is None or gain > best[0]:
                    best = gain, code
        if best is None:
            return None
        person = _unflagged_adults(board, terms)
        return Act(person, NOTHING, board.region.bought(person, Bundle(best[1], (0,), (1,), 0.0)))


@dataclass(frozen=True)
class SplitPrescription(OnRows):
    """A single purchase of a condition's drugs is dispensed as two halves, as far apart as the rule asks."""

    number = 3
    name = "split_prescription"
    says = "One purchase dispensed as two halves some weeks apart"
    days_apart: int = 45

    def act(self, board: Board, terms: Terms) -> Act | None:
        rows, C = board.rows, len(terms.conditions.conditions)
        of_row, condition = terms.index.pairs(rows.code)
        back = day_number(board.region.plan.lookback.end) - 365
        seen = (rows.day[of_row] >= min(back, board.region.act_days[0])) & (rows.milli_packages[of_row] > 0)
        key = rows.person[of_row] * C + condition
        times = np.bincount(key[seen], minlength=len(board) * C)
        single = np.unique(of_row[seen & (times[key] == 1) & board.in_act[of_row]])
        if not len(single):
            return None
        limits = {c.min_days_apart or self.days_apart for c in terms.conditions.conditions}
        whole = rows.rows(single)
        halves = [Purchases(whole.person, whole.code, whole.day + later, part(whole.milli_ddd),
                            part(whole.milli_packages), whole.dose_dispensed, part(whole.gross_ore),
                            part(whole.cost_ore), whole.in_base)
                  for later, part in ((0, _lower_half), (max(limits), _upper_half))]
        return Act(np.unique(whole.person), single, halves[0].with_rows(halves[1]))


def _lower_half(whole: np.ndarray) -> np.ndarray:
    return whole // 2


def _upper_half(whole: np.ndarray) -> np.ndarray:
    return whole - whole // 2


@dataclass(frozen=True, eq=False)
class Short:
    """S persons × conditions whose drugs were bought in the look-back, but too little to carry the condition.

    Attributes
    ----------
    condition : int64, shape (S,)
        Its place in the list.
    pack : Purchases, S rows
        What was bought last.
    first, last : int64, shape (S,)
        Days of the first and the last purchase.
    dates : int64, shape (S,)
        Days with a purchase.
    milli_ddd, milli_packages : float64, shape (S,)
        Thousandths, of all purchases.
    """

    condition: np.ndarray
    pack: Purchases
    first: np.ndarray
    last: np.ndarray
    dates: np.ndarray
    milli_ddd: np.ndarray
    milli_packages: np.ndarray


def short_of_rule(board: Board, terms: Terms) -> Short:
    """Who falls short of which condition in the look-back of the act, by person and condition."""
    rows, region, of = board.rows, board.region, terms.conditions.conditions
    C, n = len(of), len(board) * len(of)
    of_row, condition = terms.index.pairs(rows.code)
    month = rows.month[of_row]
    seen = (month >= region.starts[0] - terms.design.lookback_months) & (month < region.starts[0])
    seen &= rows.milli_packages[of_row] > 0
    of_row, key = of_row[seen], rows.person[of_row[seen]] * C + condition[seen]
    day = rows.day[of_row]
    final = np.full(n, -1)
    final[key] = of_row  # rows lie by day: the last stays
    reported = set(terms.conditions.names)
    carries = np.ones((len(board), C), dtype=bool)
    carries[:, [c for c, one in enumerate(of) if one.name in reported]] = board.carries(terms)
    short = np.flatnonzero((final >= 0) & ~carries.reshape(-1))
    first = np.full(n, region.act_days[1])
    np.minimum.at(first, key, day)
    dates = np.bincount(np.unique(np.stack([key, day]), axis=1)[0], minlength=n)
    ddd, packages = (np.bincount(key, column[of_row], n) for column in (rows.milli_ddd, rows.milli_packages))
    pack = rows.rows(final[short])
    return Short(short % C, pack, first[short], pack.day, dates[short], ddd[short], packages[short])


def spread_over_days(pack: Purchases, packs: np.ndarray, dates: np.ndarray, only: np.ndarray, early: int, late: int
                     ) -> Purchases:
    """So many ``packs`` like the row ``pack``, shape (S,), on so many ``dates``: evenly from ``early`` to ``late``, a
    single date on the day ``only`` (S,); the later ones take what does not divide."""
    added = no_purchases()
    for j in range(int(dates.max())):
        given = np.flatnonzero(dates > j)
        here = packs[given] // dates[given] + (j < packs[given] % dates[given])
        evenly = late - (late - early) * j // np.maximum(dates[given] - 1, 1)
        one = pack.rows(given)
        share = here * 1000 / one.milli_packages
        added = added.with_rows(replace(
            one, day=np.where(dates[given] == 1, only[given], evenly), milli_packages=here * 1000,
            milli_ddd=np.rint(one.milli_ddd * share).astype(np.int64), dose_dispensed=np.zeros(len(given), dtype=bool),
            gross_ore=np.rint(one.gross_ore * share).astype(np.int64),
            cost_ore=np.rint(one.cost_ore * share).astype(np.int64)))
    return added


@dataclass(frozen=True)
class TopUp(OnRows):
    """Whoever bought of a group's drugs, but less than the rule asks, is given what is missing of the pack last bought.

    The least act where dates and DDD are both asked: what the patient takes anyway counts, and the sum ends just above
    the threshold. Missing dates lie between the first day of the act and a month before its last.
    """

    number = 3
    name = "top_up"
    says = "Users who fall short of the rule are given the packs and dates they lack"

    def act(self, board: Board, terms: Terms) -> Act | None:
        region, of, short = board.region, terms.conditions.conditions, short_of_rule(board, terms)

        def limit(name: str) -> np.ndarray:
            return np.array([getattr(c, name) or 0 for c in of], dtype=float)[short.condition]

        pack = short.pack
        in_pack = np.divide(pack.milli_ddd, pack.milli_packages)  # DDD
        with np.errstate(divide="ignore", invalid="ignore"):
            for_ddd = np.nan_to_num(np.ceil((limit("min_ddd") - short.milli_ddd / 1000).clip(min=0) / in_pack),
                                    posinf=np.inf)
        apart = limit("min_days_apart") > short.last - short.first
        dates = np.maximum((limit("min_dates") - short.dates).clip(min=0), apart)
        packs = np.maximum.reduce([for_ddd, dates, np.ceil(limit("min_packages") - short.milli_packages / 1000)])
        sek = packs * pack.gross_ore / pack.milli_packages * 10
        months = HALF_YEAR * len(region.life(terms.design))
        brings = months * terms.phi[1] * np.array([terms.amount(c.name) for c in of])[short.condition]
        worth = np.flatnonzero((packs > 0) & (packs < np.inf) & (brings > region.alpha * sek * pack.in_base))
        if not len(worth):
            return None
        early, late = region.act_days[0], region.act_days[1] - LAST_ACT_BEFORE_END
        only = np.where(apart & (late - short.first < limit("min_days_apart")), early, late)[worth]
        added = spread_over_days(pack.rows(worth), packs[worth].astype(np.int64),
                                 dates[worth].clip(min=1).astype(np.int64), only, early, late)
        return Act(np.unique(added.person), NOTHING, added)


@dataclass(frozen=True)
class TimedAtCutOff(OnRows):
    """What would be dispensed in the weeks after the look-back ends is dispensed on its last day."""

    number = 4
    name = "timing"
    says = "First purchases due just after the look-back ends are brought forward to its last day"
    days: int = 31

    def act(self, board: Board, terms: Terms) -> Act | None:
        rows, (_, end) = board.rows, board.region.act_days
        names = terms.conditions.names
        number = {c.name: i for i, c in enumerate(terms.conditions.conditions)}
        column = np.full(len(terms.conditions.conditions), -1)
        column[[number[n] for n in names]] = np.arange(len(names))
        of_row, condition = terms.index.pairs(rows.code)
        soon = (rows.day[of_row] >= end) & (rows.day[of_row] < end + self.days) & (rows.milli_packages[of_row] > 0)
        soon &= column[condition] >= 0
        of_row, condition = of_row[soon], column[condition[soon]]
        next_flags = board.held(terms)[-2:][0]  # of the half-year that begins at the cut-off
        due = (next_flags[rows.person[of_row], condition] < 1) & (terms.add_ons[condition] > 0)
        moved = np.unique(of_row[due])
        if not len(moved):
            return None
        early = replace(rows.rows(moved), day=np.full(len(moved), end - 1))
        return Act(np.unique(early.person), moved, no_purchases().with_rows(early))


@dataclass(frozen=True)
class Substitute(OnRows):
    """Whoever has one group is switched, at the same DDD, to a better-paid group for the same disease.

    Groups that could stand for each other share a theme of the condition list, or one yields to the other.
    """

    number = 5
    name = "substitute"
    says = "A switch, DDD for DDD, into a better-paid group for the same disease"

    def act(self, board: Board, terms: Terms) -> Act | None:
        best: tuple[float, Act] | None = None
        for a in terms.conditions.conditions:
            for b in terms.conditions.conditions:
                akin = (a.theme == b.theme != "other") or b.name in a.yields_to or a.name in b.yields_to
                if a.name != b.name and akin and not a.marker_only and not b.marker_only:
                    found = self._switch(board, terms, a.name, b.name)
                    if found is not None and (best is None or found[0] > best[0]):
                        best = found
        return best[1] if best else None

    def _switch(self, board: Board, terms: Terms, old: str, new: str) -> tuple[float, Act] | None:
        region, rows, names = board.region, board.rows, terms.conditions.names
        shelf = region.catalogue
        with np.errstate(invalid="ignore", divide="ignore"):
            per_ddd = shelf.price / shelf.ddd
        counted = region.counted(terms.conditions[new])
        into = [(per_ddd[i] * shelf.in_base[i], per_ddd[i], region.codes[i], i) for i in np.flatnonzero(counted)
                if np.isfinite(per_ddd[i])]
        if not into or terms.amount(new) <= 0:
            return None
        code = min(into)[-1]
        carries = board.carries(terms)
        eligible = carries[:, names.index(old)] & ~carries[:, names.index(new)]
        of_old_codes = board.acted(region.counted(terms.conditions[old]) & ~counted)
        switched = of_old_codes[eligible[rows.person[of_old_codes]] & (rows.milli_ddd[of_old_codes] > 0)]
        if not len(switched):
            return None
        was = rows.rows(switched)
        gross = np.rint(was.milli_ddd / 1000 * per_ddd[code] * 100).astype(np.int64)
        added = Purchases(was.person, np.full(len(was), code), was.day, was.milli_ddd, was.milli_packages,
                          was.dose_dispensed, gross, gross, np.full(len(was), shelf.in_base[code]))
        person = np.unique(was.person)
        months = HALF_YEAR * len(region.life(terms.design))
        gain = (len(person) * terms.phi[1] * (terms.amount(new) - terms.amount(old)) * months
                - region.alpha * float((gross * added.in_base - was.gross_ore * was.in_base).sum()) / 100)
        return gain, Act(person, switched, no_purchases().with_rows(added))


@dataclass(frozen=True)
class KeepFlags(OnRows):
    """What a patient had last half-year and has stopped is refilled as often as the rule asks."""

    number = 6
    name = "keep_flags"
    says = "Treatment that has ended is refilled so that the flag stays"

    def act(self, board: Board, terms: Terms) -> Act | None:
        rows, (start, end) = board.rows, board.region.act_days
        C = len(terms.conditions.conditions)
        pays = np.array([terms.amount(c.name) > 0 for c in terms.conditions.conditions], dtype=bool)
        of_row, condition = terms.index.pairs(rows.code)
        real = pays[condition] & (rows.milli_packages[of_row] > 0)
        of_row, condition = of_row[real], condition[real]
        key, day = rows.person[of_row] * C + condition, rows.day[of_row]
        lately, now = (np.zeros(len(board) * C, dtype=bool) for _ in range(2))
        lately[key[(day >= start - 182) & (day < start)]] = True
        now[key[day >= start]] = True
        last = np.full(len(board) * C, -1)
        before = day < start
        last[key[before]] = of_row[before]  # rows lie by day: the last stays
        ended = np.flatnonzero(lately & ~now)
        if not len(ended):
            return None
        added, of = no_purchases(), terms.conditions.conditions
        dates = max([c.min_dates or 1 for c in of] + [2 if c.min_days_apart else 1 for c in of])
        apart = max(c.min_days_apart or 0 for c in of)
        again = last[ended]
        brings = HALF_YEAR * terms.phi[1] * np.array([terms.amount(c.name) for c in of])[ended % C]
        worth = brings > board.region.alpha * dates * rows.gross_ore[again] / 100 * rows.in_base[again]
        kept = rows.rows(np.unique(again[worth] if worth.any() else again))
        for j in range(dates):
            day = np.full(len(kept), end - LAST_ACT_BEFORE_END - apart + apart * j // max(dates - 1, 1))
            added = added.with_rows(replace(kept, day=day, dose_dispensed=np.zeros(len(kept), dtype=bool)))
        return Act(np.unique(kept.person), NOTHING, added)


@dataclass(frozen=True)
class StackGroups(OnRows):
    """Those who carry a condition are given the groups that bring most beside it."""

    number = 7
    name = "stack"
    says = "Three more groups, the most profitable, for those who carry a condition already"
    groups: int = 3

    def act(self, board: Board, terms: Terms) -> Act | None:
        carries, names = board.carries(terms), terms.conditions.names
        adults = carries.any(axis=1) & (board.age >= ADULT) if len(names) else np.zeros(len(board), dtype=bool)
        added = no_purchases()
        for gain, name, bundle in ranked(board, terms, first_purchase=False)[:self.groups]:
            above = [names.index(y) for y in terms.conditions[name].yields_to if y in names]
            without = adults & ~carries[:, [names.index(name), *above]].any(axis=1)
            if gain > 0 or not len(added):
                added = added.with_rows(board.region.bought(np.flatnonzero(without), bundle))
        return Act(np.unique(added.person), NOTHING, added) if len(added) else None


@dataclass(frozen=True)
class MultiUse(OnRows):
    """A drug that the list does not count is dispensed as a sibling of its chemical subgroup that it does count.

    Same DDD, same price: whoever takes it for another complaint carries a condition they have not got.
    """

    number = 8
    name = "multi_use"
    says = "A drug taken for something else is dispensed as the sibling that counts"

    def act(self, board: Board, terms: Terms) -> Act | None:
        codes = board.region.codes
        sibling = np.full(len(codes), -1)
        loose = {name: also for name, also in multi_use_codes(terms.conditions, tuple(codes)).items()
                 if terms.amount(name) > 0}
        for name in sorted(loose, key=terms.amount):  # the best paid has the last word
            for code in loose[name]:
                kind = code[:CHEMICAL_SUBGROUP]
                counted = [i for i, atc in enumerate(codes)
                           if atc.startswith(kind) and terms.conditions[name].matches(atc)]
                if counted:
                    sibling[codes.index(code)] = counted[0]
        rows = board.rows
        switched = np.flatnonzero((sibling[rows.code] >= 0) & board.in_act)
        if not len(switched):
            return None
        was = rows.rows(switched)
        return Act(np.unique(was.person), switched, no_purchases().with_rows(replace(was, code=sibling[was.code])))


def pay_per_month(board: Board, terms: Terms, half_year: int) -> np.ndarray:
    """SEK per listed month before φ of each of the board's persons, shape (n,)."""
    flags = board.held(terms)[-2:][half_year if len(board.held(terms)) > 1 else 0]
    return terms.cells[board.cell] + terms.add_on_pay(flags)


def brought_last(board: Board, terms: Terms) -> np.ndarray:
    """What each of the board's persons brought in the fit half-year, φ L pay − α cost, SEK, shape (n,)."""
    pay = terms.phi[0] * board.months[:, 0] * pay_per_month(board, terms, 0)
    return pay - board.region.alpha * board.borne_cost(terms.design.pool_threshold)[:, 0]


def first_of_lists(board: Board, value: np.ndarray, share: float) -> np.ndarray:
    """Persons with the lowest ``value`` (n,), a share of each player's list, rounded up; ascending."""
    size = np.bincount(board.player, minlength=len(board.players))
    order = np.lexsort((board.key, value, board.player))
    rank = np.arange(len(order)) - (np.cumsum(size) - size)[board.player[order]]
    return np.sort(order[rank < np.ceil(share * size)[board.player[order]]])


@dataclass(frozen=True)
class CreamSkim(Strategy):
    """Healthy persons listed elsewhere are recruited, in the cells where the healthy brought most last half-year.

    Healthy is who bought nothing in the look-back. The players' persons stand for who could be won.
    """

    number = 9
    name = "cream_skim"
    says = "Healthy persons are recruited, up to a twentieth of the list"
    share_of_list: float = 0.05

    def outcome(self, board: Board, terms: Terms) -> Outcome | None:
        start = day_number(board.region.plan.lookback.start)
        well = np.ones(len(board), dtype=bool)
        well[board.rows.person[(board.rows.day >= start) & (board.rows.day < day_number(
            board.region.plan.lookback.end))]] = False
        well &= board.months.min(axis=1) > 0
        borne, last = board.borne_cost(terms.design.pool_threshold), brought_last(board, terms)
        by_cell = (np.bincount(board.cell[well], last[well], N_CELLS)
                   / np.bincount(board.cell[well], board.months[well, 0], N_CELLS).clip(min=1e-9))
        S = len(board.players)
        size = np.bincount(board.player, minlength=S)
        order = np.flatnonzero(well)
        order = order[np.lexsort((board.drawn("recruits", board.key[order]), -by_cell[board.cell[order]]))]
        recruited, player = [], []
        for k in range(S):
            elsewhere = order[board.player[order] != k]
            won = elsewhere[:int(self.share_of_list * size[k])]
            recruited.append(won)
            player.append(np.full(len(won), k))
        person, of = np.concatenate(recruited), np.concatenate(player)
        if not len(person):
            return None
        pay = board.months[person, 1] * pay_per_month(board, terms, 1)[person]
        return board.moved(person, of, pay, borne[person, 1])


@dataclass(frozen=True)
class Dump(Strategy):
    """The persons who cost most beyond what they brought last half-year are made to list elsewhere."""

    number = 10
    name = "dump"
    says = "The hundredth of the list that lost most last half-year is made to leave"
    share_of_list: float = 0.01
    reviewed = True

    def outcome(self, board: Board, terms: Terms) -> Outcome | None:
        borne, last = board.borne_cost(terms.design.pool_threshold), brought_last(board, terms)
        shed = first_of_lists(board, last, self.share_of_list)
        shed = shed[last[shed] < 0]
        if not len(shed):
            return None
        pay = board.months[shed, 1] * pay_per_month(board, terms, 1)[shed]
        return board.moved(shed, board.player[shed], -pay, -borne[shed, 1])


@dataclass(frozen=True)
class ShiftToHospital(Strategy):
    """The dearest persons' prescriptions are left to a hospital: where only own prescribing is borne, cost goes.

    Closed form: all their base drugs of the paid half-year move, and their flags stay.
    """

    number = 11
    name = "hospital"
    says = "The dearest hundredth's prescriptions are left to a hospital"
    closed_form = True
    share_of_list: float = 0.01

    def outcome(self, board: Board, terms: Terms) -> Outcome | None:
        borne = board.borne_cost(terms.design.pool_threshold)
        who = first_of_lists(board, -borne[:, 0], self.share_of_list)
        saved = borne[who, 1] if terms.design.borne_by == "prescriber" else np.zeros(len(who))
        return board.moved(who, board.player[who], np.zeros(len(who)), -saved)


@dataclass(frozen=True)
class Location(Strategy):
    """A branch where the list will be one that the model pays too much for.

    Closed form: lists whose misfit is at the 90th percentile bring 1.28 true standard deviations of centres' nets,
    √(SD² − noise floor²), per listed month, for a branch of a tenth of the list.
    """

    number = 12
    name = "location"
    says = "A branch, a tenth of the list, where the model pays a tenth of all lists best"
    closed_form = True
    branch: float = 0.1
    deviations: float = 1.2816

    def outcome(self, board: Board, terms: Terms) -> Outcome | None:
        floor = board.region.noise_floor(terms.design.pool_threshold)
        misfit = self.deviations * np.sqrt(max(0.0, terms.sd**2 - floor**2))
        S = len(board.players)
        gains = misfit * self.branch * board.centre_months[board.players, 1] / board.region.alpha
        none = np.zeros(S)
        return Outcome(np.arange(S, dtype=np.uint32), np.arange(S), np.zeros((S, 1)), (1,), -gains, -gains, none, none,
                       moved=True, divisible=True)


@dataclass(frozen=True)
class ListSwap(Strategy):
    """Another centre lists the person on the 1st of the month of a dear purchase, and hands them back the next day.

    Who changes centre may do so twice a year [assumed], so it is one month a half-year. By days the stint moves a day
    of the pay and nothing of the cost.
    """

    number = 13
    name = "list_swap"
    says = "Listed elsewhere on the 1st of a month with a dear purchase, back the next day"

    def outcome(self, board: Board, terms: Terms) -> Outcome | None:
        of_month, _ = board.by_month
        return _best_stint(board, terms, of_month, self.share(terms))

    def share(self, terms: Terms) -> tuple[float, float]:
        """What part of a month's pay, and of its cost, a stint moves."""
        return {"no": (1.0, 1.0), "pay": (1 / 30, 0.0), "pay and cost": (1 / 30, 1 / 30)}[terms.design.by_days]


@dataclass(frozen=True)
class ListSwapAtPurchase(Strategy):
    """Another centre lists the person on the day of a dear purchase: the answer to pay by days and cost by date."""

    number = 13
    name = "list_swap_at_purchase"
    says = "Listed elsewhere on the day of a dear purchase"

    def outcome(self, board: Board, terms: Terms) -> Outcome | None:
        of_month, of_day = board.by_month
        how = terms.design.by_days
        if how == "no":
            return None  # the day decides nothing
        return (_best_stint(board, terms, of_day, (1 / 30, 1.0)) if how == "pay"
                else _best_stint(board, terms, of_month, (1 / 30, 1 / 30)))


def _best_stint(board: Board, terms: Terms, cost: np.ndarray, share: tuple[float, float]) -> Outcome | None:
    """Each person's stint in the month that saves most, for whom it would pay under the list on the 1st."""
    alpha = board.region.alpha
    kept = np.divide(board.borne_cost(terms.design.pool_threshold)[:, 1], board.cost[:, 1],
                     out=np.ones(len(board)), where=board.cost[:, 1] > 0)
    pay = pay_per_month(board, terms, 1)
    dearest = cost.max(axis=1) * kept
    who = np.flatnonzero((alpha * dearest > terms.phi[1] * pay) & (board.months[:, 1] >= HALF_YEAR))
    if not len(who):
        return None
    return board.moved(who, board.player[who], -share[0] * pay[who], -share[1] * dearest[who])


@dataclass(frozen=True)
class EveryoneGames(CheapestDrug):
    """What the first strategy comes to when all centres play it."""

    number = 14
    name = "everyone"
    says = "All centres give the cheapest drug that qualifies"
    all_only = True


@dataclass(frozen=True)
class Withhold(OnRows):
    """Those who have the group that costs most per person go without it for a half-year, within the look-back."""

    number = 15
    name = "withhold"
    says = "A half-year without the dearest group's drugs"
    reviewed = True
    withholds = True

    def act(self, board: Board, terms: Terms) -> Act | None:
        rows, listed = board.rows, board.region.listed
        best: tuple[float, np.ndarray] | None = None
        for c in listed.conditions:
            gone = board.acted(board.region.counted(c))
            gone = gone[rows.in_base[gone]]
            if len(gone):
                each = float(rows.cost_ore[gone].sum()) / len(np.unique(rows.person[gone]))
                if best is None or each > best[0]:
                    best = each, gone
        return Act(np.unique(rows.person[best[1]]), best[1], no_purchases()) if best else None


STRATEGIES: tuple[Strategy, ...] = (
    CheapestDrug(), StarterPack(), SplitPrescription(), TopUp(), TimedAtCutOff(), Substitute(), KeepFlags(),
    StackGroups(), MultiUse(), CreamSkim(), Dump(), ShiftToHospital(), Location(), ListSwap(), ListSwapAtPurchase(),
    EveryoneGames(), Withhold())


def named(names: Iterable[str]) -> tuple[Strategy, ...]:
    """Strategies by name or number, in the order of the list. Raises UserError for one there is not."""
    from lakemedelsmodell.errors import unknown_name

    wanted = list(names)
    known = {s.name: s for s in STRATEGIES} | {str(s.number): s for s in STRATEGIES}
    for name in wanted:
        if name not in known:
            raise unknown_name("strategy", name, [s.name for s in STRATEGIES], ", or its number")
    return tuple(s for s in STRATEGIES if s.name in wanted or str(s.number) in wanted)
