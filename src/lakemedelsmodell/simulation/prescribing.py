"""From illness to dispensings: who is on which drug group when, which code she gets, and every fill.

Use is a process in two states that is stationary but for ageing: of those on a group a share stops every year, and as
many begin. A spell begins with a fill and goes on at regular intervals with some jitter.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
from scipy.special import ndtri

from lakemedelsmodell import facts
from lakemedelsmodell.simulation.fees import runs
from lakemedelsmodell.simulation.illness import shifted
from lakemedelsmodell.simulation.population import DAYS_A_YEAR, NOT_LATER, Listings, Persons
from lakemedelsmodell.simulation.scenario import MoreDrug, Prescribing, Scenario
from lakemedelsmodell.simulation.streams import ODD, Streams, uniform

DOSE_DAYS = 14
"""Days a dose-dispensed roll lasts."""
LONGEST_FILL = 90
"""Days a fill may last at most."""
SECOND_DRUG, INTENSITY, FIRST_FILL, ROLL_DAY, CODE, PRESCRIBER, JITTER, SHUT, INSTEAD = 0, 1, 3, 4, 5, 6, 7, 8, 9
"""Draws of the stream "fills": what each number of a key is for; another would give another world."""
_FINE = 512
"""Steps of tables by the probability of use in a year."""
_MOST_STOPS = 2.0
"""Times (1 − p)/p that the hazard to stop may be."""
_EPISODES, _REFILLS = 64, 64
"""Numbers set aside for a person's spells on a group, and for a spell's fills."""
_CELLS = 32
"""Cells of a group's shares where the search for a code begins."""
_AT_ONCE = 512
"""Persons whose use of every group is looked through together: what that takes stays near the processor."""


@dataclass(frozen=True)
class Dynamics:
    """How use of G groups starts and stops.

    Attributes
    ----------
    stop : float64, shape (G,)
        Share of those on the group that stops, per year (a hazard).
    on_given_use : float64, shape (G, 513)
        Probability to be on the group on a given day over the probability to use it in a year, by the latter / 512.
    refills : float64, shape (G,)
        Fills per year and drug while on the group.
    """

    stop: np.ndarray
    on_given_use: np.ndarray
    refills: np.ndarray

    def on(self, use: np.ndarray, group: np.ndarray) -> np.ndarray:
        """Probability to be on ``group`` on a given day, from the probability to use it in a year; all shape (S,)."""
        return use * self.on_given_use.take(_fine(use) + group * (_FINE + 1))

    def most(self, years: float) -> np.ndarray:
        """No less than the probability to be on each group on a given day plus the hazard to begin in so many
        ``years``, by the use in a year, or less, / 512; shape (G, 513)."""
        on = np.minimum((np.arange(_FINE + 1) + 0.5) / _FINE, 1) * self.on_given_use
        with np.errstate(divide="ignore"):
            bound = on + self.stop[:, None] * years * on / np.maximum(1 - on, 0)
        return np.maximum.accumulate(bound, axis=1)


def _fine(use: np.ndarray) -> np.ndarray:
    """The nearest of the points a table of use is given at."""
    return np.rint(use * _FINE).astype(np.int64)


def solve_dynamics(use: np.ndarray, persistence: np.ndarray, fills: np.ndarray) -> Dynamics:
    """Stops, starts and refills that give a year's users, their fills and their persistence.

    With π the share on the group, s the hazard to stop, a = sπ/(1 − π) to begin and κ the chance that someone on the
    group fills before she stops, a year's users are u = 1 − (1 − πκ)e^(−a), users of two years running
    1 − (1 − πκ)(2e^(−a) − e^(−2a)). s is set so that their ratio over all persons is the group's persistence, but to at
    most twice (1 − p)/p, what it would be if nobody came back: where illness all but dictates use, years are alike
    however often spells are broken. A spell of mean length 1/s has 1/(1 − e^(−s/r)) fills, which sets the refills r.

    Parameters: ``use`` (n, G), probability of use in a year of a sample of persons; ``persistence`` and ``fills`` per
    user and year, (G,).
    """
    G = use.shape[1]
    stop, refills, table = np.empty(G), np.empty(G), np.empty((G, _FINE + 1))
    grid = np.linspace(0, 1, _FINE + 1)
    on = np.concatenate([[0.0], np.geomspace(1e-5, 0.2, 60), np.linspace(0.21, 0.999, 160)])
    for g in range(G):
        weight = np.bincount(np.rint(use[:, g] * _FINE).astype(np.int64), minlength=_FINE + 1).astype(np.float64)
        users = weight @ grid
        low, high, rate = 0.005, _MOST_STOPS * (1 - persistence[g]) / persistence[g], fills[g]
        for _ in range(40):
            s = np.sqrt(low * high)
            filled = on * _fills_before_stopping(s, rate)
            begins = np.exp(-s * on / (1 - on))
            in_a_year = 1 - (1 - filled) * begins
            on_at = np.interp(grid, in_a_year, on)
            twice = np.interp(grid, in_a_year, 1 - (1 - filled) * (2 * begins - begins**2))
            lost = min(s * (weight @ on_at) / max(fills[g] * users, 1e-12), 0.99)
            rate = -s / np.log1p(-lost)
            low, high = (s, high) if weight @ twice > persistence[g] * users else (low, s)
        stop[g], refills[g] = s, rate
        table[g] = np.divide(on_at, grid, out=np.full_like(grid, np.nan), where=grid > 0)
        table[g, 0] = table[g, 1]
    return Dynamics(stop, table, refills)


def _fills_before_stopping(stop: float, refills: float) -> float:
    x = stop / refills
    return float(-np.expm1(-x) / x)


@dataclass(frozen=True)
class DrugTables:
    """What the facts and the scenario say of G drug groups and J substances (sorted by group).

    Attributes
    ----------
    atc, group : tuple of str (J,), int64 (J,)
    share : float64, shape (J,)
        Of the group's fills; sums to 1 per group.
    dearer : bool, shape (J,)
        Not recommended by the region.
    ddd_per_fill, ddd_per_pack : float64, shape (J,)
        At average intensity.
    in_base : bool, shape (J,)
    second_drug : float64, shape (G,)
        Probability of two drugs of the group at once.
    log_sd, rest_log_sd : float64, shape (G,)
        SD of ln intensity per person and group; with the part a person shares over her drugs.
    outside : float64, shape (G,)
        Probability that the prescriber is outside primary care.
    dose_dispensed : bool, shape (G,)
    free : bool, shape (3, G)
        Of charge to the patient, by :func:`free_class`.
    persistence, fills : float64, shape (G,)
        Per drug (fills per user and year).
    """

    atc: tuple[str, ...]
    group: np.ndarray
    share: np.ndarray
    dearer: np.ndarray
    ddd_per_fill: np.ndarray
    ddd_per_pack: np.ndarray
    in_base: np.ndarray
    second_drug: np.ndarray
    log_sd: np.ndarray
    rest_log_sd: np.ndarray
    outside: np.ndarray
    dose_dispensed: np.ndarray
    free: np.ndarray
    persistence: np.ndarray
    fills: np.ndarray


def sorted_substances(groups: tuple[str, ...], more: tuple[MoreDrug, ...] = ()) -> pd.DataFrame:
    """The facts' substances and those of ``more`` groups with ``group`` (number of the drug group), sorted by it."""
    substances = facts.substances()
    if more:
        fill = 90.0  # DDD; the price follows
        rows = [{"drug_group": d.drug_group, "atc": d.atc, "share_of_fills_in_group": 1.0, "recommended": True,
                 "price_per_ddd_sek_2025": d.gross_sek_per_year / (d.fills_per_year * fill), "packs_per_fill": 1.0,
                 "ddd_per_pack_common": fill, "ddd_per_person_year": d.fills_per_year * fill, "in_base": True,
                 **{c: 1.0 for c in substances if c.startswith("price_index_")}} for d in more]
        substances = pd.concat([substances, pd.DataFrame(rows)], ignore_index=True)
    substances["group"] = substances["drug_group"].map(groups.index)
    return substances.sort_values("group", kind="stable", ignore_index=True)


def drug_tables(scenario: Scenario, groups: tuple[str, ...], substances: pd.DataFrame) -> DrugTables:
    """Volumes so that a user's yearly gross cost is the calibrated one; prices stay as they are known."""
    p, more = scenario.prescribing, scenario.departures.more_drugs
    group = substances["group"].to_numpy(dtype=np.int64)
    G = len(groups)

    def per_group(values: np.ndarray) -> np.ndarray:
        return np.bincount(group, weights=values, minlength=G)

    share = substances["share_of_fills_in_group"].to_numpy(dtype=np.float64)
    share = share / per_group(share)[group]
    per_fill = (substances["ddd_per_pack_common"] * substances["packs_per_fill"]).to_numpy(dtype=np.float64)
    price = substances["price_per_ddd_sek_2025"].to_numpy(dtype=np.float64)
    ddd_a_year = substances["ddd_per_person_year"].to_numpy(dtype=np.float64)[np.searchsorted(group, np.arange(G))]
    fills = ddd_a_year / per_group(share * per_fill)
    calibrated = facts.cost_calibration().set_index("drug_group").reindex(list(groups))
    cv = calibrated["cv_intensity_assumed"].to_numpy(dtype=np.float64, copy=True)
    cost = calibrated["new_cost"].to_numpy(dtype=np.float64, copy=True)
    for drug in more:
        cost[groups.index(drug.drug_group)] = drug.gross_sek_per_year
        cv[groups.index(drug.drug_group)] = drug.intensity_cv
    for change in scenario.calibration.unit_costs:
        cost[groups.index(change.drug_group)] = change.new
    volume = cost / (fills * per_group(share * per_fill * price))
    log_sd = p.tail * np.sqrt(np.log1p(cv**2))
    several = np.array([p.several_drugs.get(name, 1.0) for name in groups])

    def among(names: tuple[str, ...]) -> np.ndarray:
        return np.isin(groups, names)

    always_free = among((*p.groups.always_free, *(d.drug_group for d in more if d.free)))
    return DrugTables(
        atc=tuple(substances["atc"]), group=group, share=share, dearer=~substances["recommended"].to_numpy(dtype=bool),
        ddd_per_fill=per_fill * volume[group],
        ddd_per_pack=substances["ddd_per_pack_common"].to_numpy(dtype=np.float64),
        in_base=substances["in_base"].to_numpy(dtype=bool) & (
            scenario.departures.groups_in_base | (group >= G - len(more))), second_drug=several - 1, log_sd=log_sd,
        rest_log_sd=np.hypot(log_sd, p.shared_intensity_sd),
        outside=np.where(among(p.groups.specialist), p.outside_prescriber_share_specialist, p.outside_prescriber_share),
        dose_dispensed=among(p.groups.dose_dispensed),
        free=np.stack([np.ones(G, dtype=bool), always_free | among(p.groups.free_under_21), always_free]),
        persistence=np.array([*(g.persistence_1y for g in facts.drug_groups()), *(d.persistence for d in more)]),
        fills=fills / several,
    )


def free_class(age: np.ndarray) -> np.ndarray:
    """Row of :attr:`DrugTables.free`: 0 for children, whose drugs are all free, 1 below 21 years, 2 above; int64."""
    return (age >= 18).astype(np.int64) + (age >= 21)


@dataclass(frozen=True)
class Spells:
    """Stretches of time on a drug group; all shape (S,).

    ``key`` int64 is person × G + group; ``episode`` counts a person's spells on the group; ``start`` and ``end``
    float64, days from the window's first, start −1 for a spell under way on that day.
    """

    key: np.ndarray
    episode: np.ndarray
    start: np.ndarray
    end: np.ndarray


def draw_spells(dynamics: Dynamics, now: np.ndarray, later: np.ndarray, style: np.ndarray, home: np.ndarray,
                streams: Streams, days: int) -> Spells:
    """Spells of use per person × group.

    ``now`` and ``later`` are the probabilities to use a group in a year at the ages of the first and the last day,
    (n, G), before their odds are multiplied by the ``style`` (K, G) of the ``home`` centre (n,): from the one a person
    and group go over to the other on a day even over the window, so that on any day, on average, as many are on a group
    as illness at that age makes them.
    """
    G = now.shape[1]
    years = days / DAYS_A_YEAR
    drawn = streams.sequential("use", G, "random")
    # Most never use most groups: 1 − (1 − a)e^(−b) is no more than a + b, which a table tells; the margin is rounding.
    most, some = dynamics.most(years) + 1e-6, np.empty(drawn.shape, dtype=bool)
    for begin in range(0, len(drawn), _AT_ONCE):
        rows = slice(begin, begin + _AT_ONCE)
        use = shifted(np.maximum(now[rows], later[rows]), style.take(home[rows], axis=0))
        np.less(drawn[rows], most.take(_fine(use) + np.arange(G) * (_FINE + 1)), out=some[rows])
    key = np.flatnonzero(some)
    person = key // G
    group = key - person * G
    u, odds = drawn.take(key).astype(np.float64), style.take(home.take(person) * G + group)
    on, on_later = (dynamics.on(shifted(use.take(key), odds), group) for use in (now, later))
    worse, better = np.maximum(on_later - on, 0.0), np.maximum(on - on_later, 0.0)
    at_most = dynamics.stop[group] * np.maximum(on / (1 - on), on_later / (1 - on_later)) * years
    do = np.flatnonzero(u < 1 - (1 - on - worse) * np.exp(-at_most))
    key, person, group, u, on, on_later, worse, better = _rows(do, key, person, group, u, on, on_later, worse, better)
    counter = streams.keyed("spells").counter(person, G, group)
    stop = dynamics.stop.take(group)
    turn = years * uniform(counter, 2 * _EPISODES)
    recovers = np.divide(better, on, out=np.zeros_like(on), where=on > 0)
    begins: tuple[np.ndarray, ...] = (
        stop * on / (1 - on), -np.log1p(-worse / (1 - on)), stop * on_later / (1 - on_later))
    with np.errstate(divide="ignore"):  # who will certainly not need it any more stops for certain
        ends: tuple[np.ndarray, ...] = (stop, -np.log1p(-recovers), stop)
    under_way = u < on
    not_yet = np.minimum((1 - u) / (1 - on), 1)
    start = np.where(under_way, 0.0, _next(np.zeros(len(key)), -np.log(not_yet), turn, *begins))
    found: list[tuple[np.ndarray, ...]] = []
    for episode in range(_EPISODES):
        here = np.flatnonzero(start < years)
        if found and not len(here):
            break
        key, counter, start, under_way, turn = _rows(here, key, counter, start, under_way, turn)
        begins, ends = _rows(here, *begins), _rows(here, *ends)
        end = _next(start, -np.log(uniform(counter, 2 * episode)), turn, *ends)
        found.append((key, np.full(len(key), episode),
                      np.where(under_way, -1.0, start * DAYS_A_YEAR), end * DAYS_A_YEAR))
        start = _next(end, -np.log(uniform(counter, 2 * episode + 1)), turn, *begins)
        under_way = np.zeros(len(key), dtype=bool)
    return Spells(*(np.concatenate(part) for part in zip(*found, strict=True)))


def _rows(rows: np.ndarray, *columns: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple(column.take(rows) for column in columns)


def _next(time: np.ndarray, exponential: np.ndarray, turn: np.ndarray, before: np.ndarray, at_turn: np.ndarray,
          after: np.ndarray) -> np.ndarray:
    """Time of the next event after ``time``: cumulative hazard grown by ``exponential`` (standard exponential draws).

    The hazard is ``before`` until ``turn`` and ``after`` from then on, with a jump of ``at_turn`` in its cumulative.
    """
    passed = time >= turn
    spent = exponential - np.where(passed, 0.0, before * (turn - time))
    with np.errstate(divide="ignore", invalid="ignore"):
        soon = time + exponential / before
        late = np.where(passed, time, turn) + np.where(passed, exponential, spent - at_turn) / after
    return np.where(~passed & (spent < 0), soon, np.where(~passed & (spent < at_turn), turn, late))


@dataclass(frozen=True)
class Fills:
    """Dispensings of a block before calibration and fees, N rows by person, then day.

    Attributes
    ----------
    person, day, substance : int32, int32, int16, shape (N,)
    centre : int16, shape (N,)
        Where the person is listed that day; before she moved in, where she will be.
    outside : bool
        Prescribed outside primary care.
    dose_dispensed : bool
    packages : int32
    ddd : float64
        Before the cell's factor.
    price : float64
        SEK per DDD.
    floor : float64
        SEK the fill costs at least.
    """

    person: np.ndarray
    day: np.ndarray
    substance: np.ndarray
    centre: np.ndarray
    outside: np.ndarray
    dose_dispensed: np.ndarray
    packages: np.ndarray
    ddd: np.ndarray
    price: np.ndarray
    floor: np.ndarray

    def __len__(self) -> int:
        return len(self.person)

    def take(self, rows: np.ndarray) -> Fills:
        return Fills(**{field.name: getattr(self, field.name).take(rows) for field in fields(self)})


@dataclass(frozen=True)
class Calendar:
    """Per day of the window: its month, share of due fills made, next working day; per month its first day."""

    month: np.ndarray
    firsts: np.ndarray
    open_share: np.ndarray
    next_working: np.ndarray

    @property
    def days(self) -> int:
        return len(self.month)


@dataclass(frozen=True)
class PersonTraits:
    """Per person (n,): shared ln intensity, age factor on volume, day from which drugs come in dose-dispensed rolls."""

    log_intensity: np.ndarray
    age_factor: np.ndarray
    rolls_from: np.ndarray


def own_log_intensity(drugs: DrugTables, counter: np.ndarray, group: np.ndarray) -> np.ndarray:
    """ln intensity of a person on a group, beyond what she shares over her drugs; mean of the intensity 1.

    ``counter``: of the stream "fills", one per person and group."""
    sd = drugs.log_sd.take(group)
    return sd * ndtri(uniform(counter, INTENSITY)) - sd**2 / 2


def draw_fills(p: Prescribing, drugs: DrugTables, dynamics: Dynamics, calendar: Calendar, prices: np.ndarray,
               spells: Spells, persons: Persons, listings: Listings, traits: PersonTraits, home: np.ndarray,
               price_style: np.ndarray, volume_style: np.ndarray, severity: np.ndarray, floor_sek: float,
               streams: Streams) -> Fills:
    """Every fill of a block's persons, also what those who move in bought in the window where they lived before.

    ``home`` (n,) is a row of ``price_style`` (K,), log-odds of a dearer code, and of ``severity`` (K, G), DDD per fill;
    ``volume_style`` (K,) is DDD per fill where a person is listed that day.
    """
    G, J = len(drugs.second_drug), len(drugs.group)
    draw = streams.keyed("fills")
    person = spells.key // G
    group = spells.key - person * G
    counter = draw.counter(person, G, group)
    two = np.flatnonzero(uniform(counter, SECOND_DRUG) < drugs.second_drug.take(group))
    second = np.repeat([0, 1], [len(person), len(two)])
    person, group, counter, episode, start, end = (
        np.concatenate([a, a.take(two)]) for a in (person, group, counter, spells.episode, spells.start, spells.end))
    rolls_from = np.where(drugs.dose_dispensed[group], traits.rolls_from[person], NOT_LATER)
    to_rolls = np.flatnonzero(rolls_from < end)
    rolls = slice(len(person), None)
    start = np.concatenate([start, np.maximum(start, rolls_from)[to_rolls]])
    end = np.concatenate([np.minimum(end, rolls_from), end[to_rolls]])
    person, group, counter, episode, second = (
        np.concatenate([a, a.take(to_rolls)]) for a in (person, group, counter, episode, second))
    rolled = np.zeros(len(person), dtype=bool)
    rolled[rolls] = True

    # Intensity: partly more frequent fills, the rest more DDD per fill or a dearer pack of the same code.
    intensity = np.exp(own_log_intensity(drugs, counter, group) + traits.log_intensity.take(person))
    faster = np.clip(intensity, *p.rate_bounds)
    rest = intensity / faster
    w = p.price_share_of_intensity
    level = np.exp(-w * (1 - w) / 2 * drugs.rest_log_sd**2).take(group)
    dearer_pack = rest**w * level
    dose = rest ** (1 - w) / level * traits.age_factor.take(person)
    every = DAYS_A_YEAR / (dynamics.refills.take(group) * faster)

    jitter = p.refill_jitter * every
    jitter[rolls] = 0
    dose[rolls] *= DOSE_DAYS / every[rolls]
    every[rolls] = DOSE_DAYS
    same_drug = 2 * group + second
    under_way = np.flatnonzero(start < 0)
    first = uniform(draw.counter(person[under_way], 2 * G, same_drug[under_way]), FIRST_FILL)
    start[under_way] = -first * every[under_way]
    grid = uniform(draw.counter(person[rolls]), ROLL_DAY) * DOSE_DAYS
    start[rolls] = grid + DOSE_DAYS * np.ceil((start[rolls] - grid) / DOSE_DAYS)

    u = uniform(counter, CODE) + 0.5 * second
    u -= u >= 1
    code = _choose_codes(drugs, price_style, home.take(person), group, u)
    outside = uniform(counter, PRESCRIBER) < drugs.outside.take(group)

    count = np.maximum(np.floor((np.minimum(end, calendar.days) - start) / every).astype(np.int64) + 1, 0)
    row = np.repeat(np.arange(len(person)), count)
    refill = np.arange(len(row)) - (np.cumsum(count) - count).take(row)
    spell = (2 * same_drug + rolled) * _EPISODES + episode
    each = (draw.counter(person, 4 * G * _EPISODES * _REFILLS, spell * _REFILLS).take(row)
            + refill.astype(np.uint64) * ODD)
    day = np.floor(start.take(row) + refill * every.take(row) + jitter.take(row) * (2 * uniform(each, JITTER) - 1)
                   ).astype(np.int32)
    who = person.take(row)
    last = np.minimum(persons.leaves, calendar.days).take(who)
    keep = np.flatnonzero((day >= persons.born.take(who)) & (day < last))
    row, who, day, last, each = _rows(keep, row, who, day, last, each)
    _leave_shut_days(day, who, last, each, persons, calendar)

    who, day, substance, row = in_order(who, day, code.take(row), row)
    rolled = rolled.take(row)
    in_rolls = np.flatnonzero(rolled)
    centre = listings.centre_on(who, np.maximum(day, persons.enters.take(who)))
    ddd_per_fill = drugs.ddd_per_fill * severity[:, drugs.group]
    ddd = (ddd_per_fill.take(home.take(who) * J + substance) * dose.take(row)
           * volume_style.take(centre.astype(np.int64)))
    packages = np.maximum(np.rint(ddd / drugs.ddd_per_pack.take(substance)), 1).astype(np.int32)
    packages[in_rolls] = 1
    floor = floor_sek * packages
    floor[in_rolls] = floor_sek * (DOSE_DAYS / LONGEST_FILL)
    return Fills(
        person=who.astype(np.int32), day=day.astype(np.int32), substance=substance.astype(np.int16), centre=centre,
        outside=outside.take(row), dose_dispensed=rolled, packages=packages, ddd=ddd,
        price=prices.take(substance * prices.shape[1] + calendar.month.take(day)) * dearer_pack.take(row), floor=floor)


def _leave_shut_days(day: np.ndarray, who: np.ndarray, last: np.ndarray, counter: np.ndarray, persons: Persons,
                     calendar: Calendar) -> None:
    """Fills due when pharmacies are shut, of ``day`` as many as that day lacks, change to a working day within half a
    week; but for those that would come to lie before birth or a move in, or on the ``last`` day or after. All (N,).
    """
    shut = np.flatnonzero(uniform(counter, SHUT) > calendar.open_share.take(day.astype(np.int64)))
    due, then = who[shut], day[shut]
    about_then = then + np.floor(uniform(counter[shut], INSTEAD) * 7).astype(np.int32) - 3
    instead = calendar.next_working[np.clip(about_then, 0, calendar.days - 1)]
    enters = persons.enters[due]
    moved = (instead >= persons.born[due]) & (instead < last[shut]) & ((instead >= enters) == (then >= enters))
    day[shut[moved]] = instead[moved]


def in_order(who: np.ndarray, day: np.ndarray, code: np.ndarray, row: np.ndarray) -> tuple[np.ndarray, ...]:
    """By person, then day, then code; a code is not filled twice on a day: its first row stays. All int64.

    The four lie in the bits of one number, which is sorted.
    """
    row_bits, code_bits, day_bits = (int(part.max(initial=0)).bit_length() for part in (row, code, day))
    place = ((who << day_bits | day) << code_bits | code) << row_bits | row
    place.sort()
    place = place.take(runs(place >> row_bits))
    row, place = place & (1 << row_bits) - 1, place >> row_bits
    code, place = place & (1 << code_bits) - 1, place >> code_bits
    return place >> day_bits, place & (1 << day_bits) - 1, code, row


def _choose_codes(drugs: DrugTables, price_style: np.ndarray, home: np.ndarray, group: np.ndarray, u: np.ndarray
                  ) -> np.ndarray:
    """Substance by the group's shares, those of dearer codes with odds × exp(``price_style`` of ``home``); sticky in
    ``u``."""
    J, G = len(drugs.group), len(drugs.second_drug)
    first = np.searchsorted(drugs.group, np.arange(G))
    last = np.append(first[1:], J) - 1
    cells = np.arange(G * _CELLS) / _CELLS
    upto = np.full((len(price_style), J + 1), np.inf)
    begin = np.zeros((len(price_style), G * _CELLS), dtype=np.int64)
    for k in np.flatnonzero(np.bincount(home)):
        weight = drugs.share * np.exp(price_style[k] * drugs.dearer)
        before = np.cumsum(weight) - weight
        total = np.bincount(drugs.group, weights=weight)
        upto[k, :J] = drugs.group + (before + weight - before[first][drugs.group]) / total[drugs.group]
        upto[k, last] = drugs.group[last] + 1.0
        begin[k] = np.searchsorted(upto[k], cells, side="right")
    at, row = group + u, home * (J + 1)
    code = begin.take((home * G + group) * _CELLS + (u * _CELLS).astype(np.int64))  # where its cell begins, or beyond
    beyond = np.flatnonzero(upto.take(row + code) <= at)
    while len(beyond):
        code[beyond] += 1
        beyond = beyond[upto.take(row[beyond] + code[beyond]) <= at[beyond]]
    return code
