"""Centres, and the persons of each centre's block: age, sex, frailty, when they are there, where they are listed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date
from functools import cache, cached_property

import numpy as np

from lakemedelsmodell import facts
from lakemedelsmodell.simulation.fees import runs
from lakemedelsmodell.simulation.scenario import Population, Scenario
from lakemedelsmodell.simulation.streams import Streams, by_name, generator, uniform

LAST_AGE = 110
AGES = np.arange(LAST_AGE + 1)
DAYS_A_YEAR = 365.25
NOT_LATER = np.iinfo(np.int32).max
"""Day of what does not happen."""

_NAME_STEMS = ("Björk", "Hassel", "Rönn", "Sälg", "Lönn", "Hägg", "Slån", "Ljung", "Vass", "Lärk", "Svan", "Trast",
               "Klöver", "Timjan", "Humle", "Mossa", "Silver", "Norr")
_NAME_ENDS = ("dal", "bäcken", "vret", "kullen", "hagen", "stigen", "gläntan", "viken", "tunet", "klev")


@cache
def single_age_population() -> np.ndarray:
    """Listed persons of Skåne by sex and single year of age, float64, shape (2, 111).

    Even within a five-year band, but from 75 on falling as from band to band.
    """
    listed = facts.listed_population()
    by_age = np.zeros((2, len(AGES)))
    for s, sex in enumerate(facts.SEXES):
        bands = listed[listed["sex"] == sex]["listed"].to_numpy(dtype=np.float64)
        for b, n in enumerate(bands):
            ages = AGES[5 * b:5 * b + 5] if b < len(bands) - 1 else AGES[100:]
            fall = (bands[b] / bands[b - 1]) ** (1 / 5) if b >= 15 else 1.0
            weight = fall ** np.arange(len(ages))
            by_age[s, ages] = n * weight / weight.sum()
    by_age.setflags(write=False)
    return by_age


@dataclass(frozen=True)
class Centres:
    """The vårdcentraler, K of them, by centre_id.

    Attributes
    ----------
    centre_id, name, operator : tuple of str
    cni : float64, shape (K,)
        Care-need index, 0.5 to 3, list-weighted mean about 1.
    deprivation : float64, shape (K,)
        ln CNI, standardised over listed persons.
    rural : bool, shape (K,)
    persons : int64, shape (K, 42)
        Listed on the first day, by age band × sex (band * 2 + sex).
    """

    centre_id: tuple[str, ...]
    name: tuple[str, ...]
    operator: tuple[str, ...]
    cni: np.ndarray
    deprivation: np.ndarray
    rural: np.ndarray
    persons: np.ndarray

    @property
    def weight(self) -> np.ndarray:
        """Share of the region's listed persons, shape (K,)."""
        return self.persons.sum(axis=1) / self.persons.sum()


def standardised(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """``values`` (K, …) with weighted mean 0 and variance 1 over centres; all 0 where they do not differ."""
    centred = values - np.average(values, axis=0, weights=weight)
    spread = np.sqrt(np.average(centred**2, axis=0, weights=weight))
    return centred / np.where(spread > 0, spread, 1.0)


def _name(k: int) -> str:
    """Made up, unique."""
    again, k = divmod(k, len(_NAME_STEMS) * len(_NAME_ENDS))
    stem, end = _NAME_STEMS[k % len(_NAME_STEMS)], _NAME_ENDS[k // len(_NAME_STEMS)]
    return f"Vårdcentralen {stem}{end}" + (f" {again + 1}" if again else "")


def draw_centres(scenario: Scenario, seed: int, scale: float) -> Centres:
    """All centres of the region; those of a smaller world have fewer persons, not other properties."""
    p = scenario.population
    ids = tuple(f"VC{k + 1:03d}" for k in range(p.centres))
    size = np.exp(p.list_size_log_sd * by_name("list size", seed, ids))
    total = single_age_population().sum()
    for _ in range(20):  # hold to the limits, keep the sum
        size = np.clip(size * total / size.sum(), p.list_size_min, p.list_size_max)
    old, young = by_name("age mix", seed, ids, 0), by_name("age mix", seed, ids, 1)
    weight = size / size.sum()
    log_cni = standardised(p.cni_old_slope * old + np.sqrt(1 - p.cni_old_slope**2) * by_name("cni", seed, ids), weight)
    cni = np.clip(np.exp(p.cni_log_sd * log_cni - p.cni_log_sd**2 / 2), 0.5, 3.0)
    rank = np.argsort(np.argsort(-(old + by_name("rural", seed, ids)), kind="stable"), kind="stable")
    public = np.argsort(np.argsort(by_name("operator", seed, ids), kind="stable"), kind="stable")
    return Centres(
        centre_id=ids,
        name=tuple(map(_name, range(p.centres))),
        operator=tuple(np.where(public < round(p.public_share * p.centres), "public", "private").tolist()),
        cni=np.round(cni, 2),
        deprivation=standardised(np.log(cni), weight),
        rural=rank < p.rural_centres,
        persons=_whole(_expected_persons(size, old * p.old_tilt_sd, young * p.young_tilt_sd) * scale),
    )


def _expected_persons(size: np.ndarray, old: np.ndarray, young: np.ndarray) -> np.ndarray:
    """Persons by centre and cell: tilted age mixes, raked to the region's cells and the centres' sizes."""
    bands = np.array([*facts.BAND_FROM]) + 2.5
    tilt = np.exp(np.outer(old, (bands - 40) / 20) + np.outer(young, (bands >= 20) & (bands < 35)))
    listed = facts.listed_population()
    cells = np.stack([listed[listed["sex"] == sex]["listed"].to_numpy(dtype=np.float64) for sex in facts.SEXES], axis=1)
    persons = np.repeat(tilt, 2, axis=1) * cells.reshape(-1)
    for _ in range(50):
        persons *= (size / persons.sum(axis=1))[:, None]
        persons *= cells.reshape(-1) / persons.sum(axis=0)
    return persons


def _whole(expected: np.ndarray) -> np.ndarray:
    """Whole numbers within one of ``expected`` (K, cells) whose sums over centres are whole too.

    Each cell starts at its own point of the unit, so that a centre does not get all its roundings the same way.
    """
    start = (np.arange(expected.shape[1]) * 0.6180339887498949) % 1
    running = np.floor(np.vstack([np.zeros(expected.shape[1]), expected.cumsum(axis=0)]) + start)
    return np.diff(running, axis=0).astype(np.int64)


@dataclass(frozen=True)
class Persons:
    """The persons of a block, n of them, with days counted from the window's first.

    Attributes
    ----------
    sex : uint8, shape (n,)
        0 = K, 1 = M.
    birth_month : int32, shape (n,)
        Year × 12 + month − 1.
    age : int64, shape (n,)
        Completed years on the first day (0 for those born later).
    frailty : float64, shape (n,)
        F ~ N(0, 1).
    born : int32, shape (n,)
        0 where before the window.
    enters, leaves : int32, shape (n,)
        First day in the region and first day no longer there; 0 and NOT_LATER where that is outside the window.
    dies : int32, shape (n,)
        NOT_LATER where not in the window.
    """

    sex: np.ndarray
    birth_month: np.ndarray
    age: np.ndarray
    frailty: np.ndarray
    born: np.ndarray
    enters: np.ndarray
    leaves: np.ndarray
    dies: np.ndarray

    def __len__(self) -> int:
        return len(self.sex)

    @classmethod
    def together(cls, parts: Sequence[Persons]) -> Persons:
        """The persons of several centres, one centre after the other."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))

    @property
    def sex_age(self) -> np.ndarray:
        """Row of a table by sex and single age, shape (n,)."""
        return self.sex.astype(np.int64) * len(AGES) + np.minimum(self.age, LAST_AGE)


def _hazard(knots: tuple[float, ...], per_1000: tuple[float, ...]) -> np.ndarray:
    """Events a year by single age, log-linear between knots, shape (111,)."""
    return np.exp(np.interp(AGES, knots, np.log(np.maximum(per_1000, 1e-9)))) / 1000


@dataclass(frozen=True)
class Rates:
    """Yearly hazards by single age: dying (2, 111), leaving the region and changing centre (111,)."""

    death: np.ndarray
    leave: np.ndarray
    move: np.ndarray

    @classmethod
    def of(cls, p: Population) -> Rates:
        return cls(np.stack([_hazard(p.death_age, p.death_per_1000_K), _hazard(p.death_age, p.death_per_1000_M)]),
                   _hazard(p.leave_age, p.leave_per_1000), _hazard(p.move_age, p.move_per_1000))


def draw_persons(p: Population, start: date, days: int, rates: Rates, seed: int, centre_id: str, cells: np.ndarray
                 ) -> Persons:
    """Everyone who is first listed at one centre: there on the first of ``days`` from ``start``, born or moving in
    later."""
    rng = generator("population", seed, centre_id)
    first_month = start.year * 12 + start.month - 1

    here = np.repeat(np.arange(len(cells)), cells)
    months_old = here // 2 * 60 + _months_into_band(here // 2, here % 2, rng.random(len(here)))
    years = days / DAYS_A_YEAR
    fertile = cells[2 * 3:2 * 10:2].sum()
    born = np.sort(rng.random(int(fertile * p.births_per_1000_women_15_49 / 1000 * years + rng.random())) * days)
    odds = rates.leave[np.minimum(months_old // 12, LAST_AGE)]
    arriving = int(odds.sum() * years + rng.random())
    like = np.searchsorted(np.cumsum(odds), rng.random(arriving) * odds.sum()).clip(max=max(len(here) - 1, 0))

    sex = np.concatenate([here % 2, rng.random(len(born)) < 0.514, here[like] % 2]).astype(np.uint8)
    birth_days = start.toordinal() + born.astype(np.int64)
    birth_dates = (birth_days - 719163).astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) + 1970 * 12
    birth_month = np.concatenate([first_month - months_old, birth_dates, first_month - months_old[like]])
    n = len(sex)
    enters = np.zeros(n, dtype=np.int64)
    enters[len(here):len(here) + len(born)] = born
    born_on = enters.copy()
    enters[len(here) + len(born):] = 1 + rng.random(arriving) * (days - 1)
    age = np.maximum((first_month - birth_month) // 12, 0)
    at = np.minimum(age, LAST_AGE)

    frailty = rng.standard_normal(n)
    hazard = rates.death[sex, at] * np.exp(p.death_frailty * frailty - p.death_frailty**2 / 2)
    dies = enters + 1 + np.ceil(rng.standard_exponential(n) / hazard * DAYS_A_YEAR)
    away = enters + 1 + np.ceil(rng.standard_exponential(n) / rates.leave[at] * DAYS_A_YEAR)
    return Persons(
        sex=sex, birth_month=birth_month.astype(np.int32), age=age, frailty=frailty,
        born=born_on.astype(np.int32), enters=enters.astype(np.int32),
        leaves=_within(np.minimum(dies, away), days), dies=_within(np.where(dies <= away, dies, np.inf), days))


def _months_into_band(band: np.ndarray, sex: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Months beyond the band's first birthday for uniform ``u``, by the single-age population within the band."""
    by_age = single_age_population()
    months = np.floor(u * 60).astype(np.int64)
    for b in range(15, len(facts.BAND_FROM)):
        for s in (0, 1):
            ages = by_age[s, 5 * b:5 * b + 5] if b < len(facts.BAND_FROM) - 1 else by_age[s, 100:]
            of = (band == b) & (sex == s)
            share = np.concatenate([[0.0], np.cumsum(ages)]) / ages.sum()
            months[of] = np.floor(12 * np.interp(u[of], share, np.arange(len(share))))
    return months


def _within(day: np.ndarray, days: int) -> np.ndarray:
    return np.where(day < days, day, NOT_LATER).astype(np.int32)


@dataclass(frozen=True)
class Listings:
    """Who is listed where, rows sorted by person and start; windows [start, end) in days from the window's first.

    ``person`` int32, ``centre`` int16 (row of Centres), ``start`` int32 (negative: before the window), ``end`` int32
    (NOT_LATER: still listed), all shape (rows,).
    """

    person: np.ndarray
    centre: np.ndarray
    start: np.ndarray
    end: np.ndarray

    def centre_on(self, person: np.ndarray, day: np.ndarray) -> np.ndarray:
        """Row of Centres where each person is listed on each day (within her own stay), int16, same shape."""
        first, moves = self._first_and_moves
        centre = self.centre.take(first.take(person))
        some = np.flatnonzero(moves.take(person))
        key = self.person.astype(np.int64) << 16 | np.maximum(self.start, 0)
        centre[some] = self.centre[np.searchsorted(key, person[some].astype(np.int64) << 16 | day[some],
                                                   side="right") - 1]
        return centre

    @cached_property
    def _first_and_moves(self) -> tuple[np.ndarray, np.ndarray]:
        """Each person's first row, and whether she has more."""
        first = runs(self.person)
        return first, np.diff(first, append=len(self.person)) > 1

    @property
    def movers(self) -> np.ndarray:
        """Persons with several rows, ascending."""
        return np.flatnonzero(self._first_and_moves[1])


def draw_listings(rates: Rates, streams: Streams, home: np.ndarray, persons: Persons, weight: np.ndarray, days: int
                  ) -> Listings:
    """Listing at the ``home`` centre (n,) and up to three changes, to other centres in proportion to their size."""
    u = streams.keyed("listings")
    who = np.arange(len(persons))
    rate = rates.move[np.minimum(persons.age, LAST_AGE)] / DAYS_A_YEAR
    before = np.minimum((u.of_all() * 15 * DAYS_A_YEAR).astype(np.int64), persons.age * 365)
    last = np.minimum(persons.leaves, days)
    rows = [(who, home, np.where(persons.enters > 0, persons.enters, -before))]
    others = np.cumsum(np.where(np.eye(len(weight), dtype=bool), 0.0, weight), axis=1)
    at = persons.enters.astype(np.float64)
    for change in range(3):
        at = at + 30 - np.log(uniform(u.counter(who), 2 * change + 1)) / rate[who]
        keep = np.flatnonzero((at < last[who]) & (others[home[who], -1] > 0))
        who, at = who[keep], at[keep]
        among = others[home[who]]
        to = (among <= (uniform(u.counter(who), 2 * change + 2) * among[:, -1])[:, None]).sum(axis=1)
        rows.append((who, to, np.floor(at).astype(np.int64)))
    person, centre, start = (np.concatenate(part) for part in zip(*rows, strict=True))
    order = np.argsort((person << 32) + start)
    person, centre, start = person[order], centre[order], start[order]
    stays = (person[1:] == person[:-1]) & (centre[1:] == centre[:-1])  # back to where one already is: no change
    keep = np.concatenate([[True], ~stays])[:len(person)]
    person, centre, start = person[keep], centre[keep], start[keep]
    end = persons.leaves[person].copy()
    next_is_same = np.flatnonzero(person[1:] == person[:-1])
    end[next_is_same] = start[next_is_same + 1]
    return Listings(person.astype(np.int32), centre.astype(np.int16), start.astype(np.int32), end)
