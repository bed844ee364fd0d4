"""From illness to dispensings: who is on which drug group when, which code she gets, and every fill.

Use is a process in two states that is stationary but for ageing: of those on a group a share stops every year, and as
many begin. A spell begins with a fill and goes on at regular intervals with some jitter.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from lakemedelsmodell import facts
from lakemedelsmodell.simulation.population import DAYS_A_YEAR, NOT_LATER, Listings, Persons
from lakemedelsmodell.simulation.scenario import MoreDrug, Prescribing, Scenario
from lakemedelsmodell.simulation.streams import Keyed, generator

DOSE_DAYS = 14
"""Days a dose-dispensed roll lasts."""
LONGEST_FILL = 90
"""Days a fill may last at most."""
_FINE = 512
_MOST_STOPS = 2.0
_EPISODES, _REFILLS = 64, 64


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
        return use * self.on_given_use[group, np.rint(use * _FINE).astype(np.int64)]

    def most(self, use: np.ndarray, years: float) -> np.ndarray:
        """No less than the probability to be on each group on a given day plus the hazard to begin in so many
        ``years`` at that use; shape (n, G)."""
        on = np.minimum((np.arange(_FINE + 1) + 0.5) / _FINE, 1) * self.on_given_use
        with np.errstate(divide="ignore"):
            bound = on + self.stop[:, None] * years * on / np.maximum(1 - on, 0)
        return bound.reshape(-1).take(np.rint(use * _FINE).astype(np.int64) + np.arange(len(bound)) * (_FINE + 1))


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
    dose_dispensed, always_free, free_under_21 : bool, shape (G,)
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
    always_free: np.ndarray
    free_under_21: np.ndarray
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
    ddd_a_year = np.array([substances.loc[group == g, "ddd_per_person_year"].iloc[0] for g in range(G)])
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

    return DrugTables(
        atc=tuple(substances["atc"]), group=group, share=share, dearer=~substances["recommended"].to_numpy(dtype=bool),
        ddd_per_fill=per_fill * volume[group],
        ddd_per_pack=substances["ddd_per_pack_common"].to_numpy(dtype=np.float64),
        in_base=substances["in_base"].to_numpy(dtype=bool) & (
            scenario.departures.groups_in_base | (group >= G - len(more))), second_drug=several - 1, log_sd=log_sd,
        rest_log_sd=np.hypot(log_sd, p.shared_intensity_sd),
        outside=np.where(among(p.groups.specialist), p.outside_prescriber_share_specialist, p.outside_prescriber_share),
        dose_dispensed=among(p.groups.dose_dispensed),
        always_free=among((*p.groups.always_free, *(d.drug_group for d in more if d.free))),
        free_under_21=among(p.groups.free_under_21),
        persistence=np.array([*(g.persistence_1y for g in facts.drug_groups()), *(d.persistence for d in more)]),
        fills=fills / several,
    )


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


def draw_spells(dynamics: Dynamics, now: np.ndarray, later: np.ndarray, seed: int, centre_id: str, days: int
                ) -> Spells:
    """Spells of use per person × group.

    ``now`` and ``later`` are the probabilities to use a group in a year at the ages of the first and the last day,
    (n, G): from the one a person and group go over to the other on a day even over the window, so that on any day, on
    average, as many are on a group as illness at that age makes them.
    """
    G = now.shape[1]
    years = days / DAYS_A_YEAR
    drawn = generator("use", seed, centre_id).random(now.shape, dtype=np.float32)
    # Most never use most groups: 1 − (1 − a)e^(−b) is no more than a + b, which a table tells; the margin is rounding.
    key = np.flatnonzero(drawn < dynamics.most(now, years) + dynamics.most(later, years) + 1e-6)
    u, group = drawn.reshape(-1)[key].astype(np.float64), key % G
    on, on_later = (dynamics.on(use.reshape(-1)[key], group) for use in (now, later))
    worse, better = np.maximum(on_later - on, 0.0), np.maximum(on - on_later, 0.0)
    at_most = dynamics.stop[group] * np.maximum(on / (1 - on), on_later / (1 - on_later)) * years
    some = u < 1 - (1 - on - worse) * np.exp(-at_most)
    key, u, on, on_later, worse, better = (a[some] for a in (key, u, on, on_later, worse, better))
    draw = Keyed("spells", seed, centre_id)
    stop = dynamics.stop[key % G]
    turn = years * draw.uniform(key, 2 * _EPISODES)
    recovers = np.divide(better, on, out=np.zeros_like(on), where=on > 0)
    begins = (stop * on / (1 - on), -np.log1p(-worse / (1 - on)), stop * on_later / (1 - on_later))
    with np.errstate(divide="ignore"):  # who will certainly not need it any more stops for certain
        ends = (stop, -np.log1p(-recovers), stop)
    under_way = u < on
    not_yet = np.minimum((1 - u) / (1 - on), 1)
    start = np.where(under_way, 0.0, _next(np.zeros(len(key)), -np.log(not_yet), turn, *begins))
    found = []
    for episode in range(_EPISODES):
        here = np.flatnonzero(start < years)
        if not len(here):
            break
        key, start, under_way, turn = key[here], start[here], under_way[here], turn[here]
        begins = begins[0][here], begins[1][here], begins[2][here]
        ends = ends[0][here], ends[1][here], ends[2][here]
        end = _next(start, -np.log(draw.uniform(key, 2 * episode)), turn, *ends)
        found.append((key, np.full(len(key), episode),
                      np.where(under_way, -1.0, start * DAYS_A_YEAR), end * DAYS_A_YEAR))
        start = _next(end, -np.log(draw.uniform(key, 2 * episode + 1)), turn, *begins)
        under_way = np.zeros(len(key), dtype=bool)
    return Spells(*(np.concatenate(part) for part in zip(*found, strict=True)))


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
    """Dispensings of one centre's block before calibration and fees, N rows by person, then day.

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
        return Fills(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


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


def own_log_intensity(drugs: DrugTables, fills: Keyed, key: np.ndarray) -> np.ndarray:
    """ln intensity of a person on a group, ``key`` = person × G + group, beyond what she shares over her drugs; mean of
    the intensity 1."""
    sd = drugs.log_sd[key % len(drugs.log_sd)]
    return sd * fills.normal(key, 1) - sd**2 / 2


def draw_fills(p: Prescribing, drugs: DrugTables, dynamics: Dynamics, calendar: Calendar, prices: np.ndarray,
               spells: Spells, persons: Persons, listings: Listings,
               traits: PersonTraits, price_style: float, volume_style: np.ndarray, floor_sek: float, seed: int,
               centre_id: str) -> Fills:
    """Every fill of one centre's persons, also what those who move in bought in the window where they lived before.

    ``price_style`` is the home centre's log-odds of a dearer code, ``volume_style`` (K,) DDD per fill where listed.
    """
    G = len(drugs.second_drug)
    draw = Keyed("fills", seed, centre_id)
    two = np.flatnonzero(draw.uniform(spells.key, 0) < drugs.second_drug[spells.key % G])
    second = np.repeat([0, 1], [len(spells.key), len(two)])
    key, episode, start, end = (np.concatenate([a, a[two]])
                                for a in (spells.key, spells.episode, spells.start, spells.end))
    rolls_from = np.where(drugs.dose_dispensed[key % G], traits.rolls_from[key // G], NOT_LATER)
    to_rolls = np.flatnonzero(rolls_from < end)
    rolled = np.repeat([False, True], [len(key), len(to_rolls)])
    start = np.concatenate([start, np.maximum(start, rolls_from)[to_rolls]])
    end = np.concatenate([np.minimum(end, rolls_from), end[to_rolls]])
    key, episode, second = (np.concatenate([a, a[to_rolls]]) for a in (key, episode, second))
    person, group = key // G, key % G

    # Intensity: partly more frequent fills, the rest more DDD per fill or a dearer pack of the same code.
    log_intensity = own_log_intensity(drugs, draw, key) + traits.log_intensity[person]
    faster = np.clip(np.exp(log_intensity), *p.rate_bounds)
    rest = np.exp(log_intensity) / faster
    w, variance = p.price_share_of_intensity, drugs.rest_log_sd[group] ** 2
    level = np.exp(-w * (1 - w) / 2 * variance)
    dearer_pack = rest**w * level
    dose = rest ** (1 - w) / level * traits.age_factor[person]
    interval = DAYS_A_YEAR / (dynamics.refills[group] * faster)

    jitter = np.where(rolled, 0.0, p.refill_jitter * interval)
    every = np.where(rolled, DOSE_DAYS, interval)
    dose *= np.where(rolled, DOSE_DAYS / interval, 1.0)
    same_drug = 2 * key + second
    start = np.where(start < 0, -draw.uniform(same_drug, 3) * every, start)
    grid = draw.uniform(person, 4) * DOSE_DAYS
    start = np.where(rolled, grid + DOSE_DAYS * np.ceil((start - grid) / DOSE_DAYS), start)

    code = _choose_codes(drugs, price_style, group, (draw.uniform(key, 5) + 0.5 * second) % 1)
    outside = draw.uniform(key, 6) < drugs.outside[group]

    count = np.maximum(np.floor((np.minimum(end, calendar.days) - start) / every).astype(np.int64) + 1, 0)
    row = np.repeat(np.arange(len(key)), count)
    refill = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    each = ((same_drug[row] * 2 + rolled[row]) * _EPISODES + episode[row]) * _REFILLS + refill
    day = np.floor(start[row] + refill * every[row] + jitter[row] * (2 * draw.uniform(each, 7) - 1)).astype(np.int32)
    who = person[row]
    last = np.minimum(persons.leaves, calendar.days)[who]
    keep = (day >= persons.born[who]) & (day < last)
    row, who, day, last, each = row[keep], who[keep], day[keep], last[keep], each[keep]
    shut = draw.uniform(each, 8) > calendar.open_share[day]
    about_then = day + np.floor(draw.uniform(each, 9) * 7).astype(np.int32) - 3
    instead = calendar.next_working[np.clip(about_then, 0, calendar.days - 1)]
    enters = persons.enters[who]
    moved = shut & (instead >= persons.born[who]) & (instead < last) & ((instead >= enters) == (day >= enters))
    day = np.where(moved, instead, day)

    place = who << 40 | day.astype(np.int64) << 29 | code[row] << 20  # a code is not filled twice on a day
    order = np.argsort(place | row)
    order = order[np.diff(place[order], prepend=-1) > 0]
    row, who, day = row[order], who[order].astype(np.int32), day[order]
    substance, rolled = code[row], rolled[row]
    centre = listings.centre_on(who, np.maximum(day, persons.enters[who]))
    ddd = drugs.ddd_per_fill[substance] * dose[row] * volume_style[centre]
    packages = np.where(rolled, 1, np.maximum(np.rint(ddd / drugs.ddd_per_pack[substance]), 1)).astype(np.int32)
    return Fills(
        person=who, day=day, substance=substance.astype(np.int16), centre=centre, outside=outside[row],
        dose_dispensed=rolled, packages=packages, ddd=ddd,
        price=prices[substance, calendar.month[day]] * dearer_pack[row],
        floor=floor_sek * np.where(rolled, DOSE_DAYS / LONGEST_FILL, packages),
    )


def _choose_codes(drugs: DrugTables, price_style: float, group: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Substance by the group's shares, those of dearer codes with odds × exp(``price_style``); sticky in ``u``."""
    weight = drugs.share * np.exp(price_style * drugs.dearer)
    before = np.cumsum(weight) - weight
    first = np.searchsorted(drugs.group, np.arange(len(drugs.second_drug)))
    total = np.bincount(drugs.group, weights=weight)
    upto = drugs.group + (before + weight - before[first][drugs.group]) / total[drugs.group]
    last = np.append(first[1:], len(weight)) - 1
    upto[last] = drugs.group[last] + 1.0
    return np.searchsorted(upto, group + u, side="right")
