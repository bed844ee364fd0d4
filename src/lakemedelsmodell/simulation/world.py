"""A world at a given seed and size: what all centres share, and one block of persons and fills per centre.

No block depends on another.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np
from scipy.special import ndtri

from lakemedelsmodell import facts
from lakemedelsmodell.errors import UserError
from lakemedelsmodell.simulation import illness, prescribing, prices
from lakemedelsmodell.simulation.fees import PERIOD_DAYS, patient_fees, runs
from lakemedelsmodell.simulation.population import (
    NOT_LATER,
    Centres,
    Listings,
    Persons,
    Rates,
    draw_centres,
    draw_listings,
    draw_persons,
)
from lakemedelsmodell.simulation.prescribing import free_class
from lakemedelsmodell.simulation.scenario import MoreDrug, Population, Scenario, Window
from lakemedelsmodell.simulation.streams import Streams, by_name, uniform

_REFERENCE_PERSONS = 30_000
"""Drawn once, the same for every seed, to solve stops and refills on."""
_LONGEST_EXTRA_LAG = 91


@dataclass(frozen=True)
class Block:
    """Everything about the persons first listed at one centre, or at several, one centre's after the other's.

    Attributes
    ----------
    home : int64, shape (n,)
        Row of Centres where each person is first listed.
    streams : Streams
        What is drawn for them.
    persons, listings
    fills : Fills, N rows
        Dispensed while in the region.
    bought : Fills, B rows
        ``fills``, and before them what those who move in bought elsewhere: it fills their fee period, no more.
    here : int64, shape (N,)
        Which of ``bought`` are ``fills``.
    diseases : bool, shape (n, D)
        On the first day.
    use, use_later : float64, shape (n, G)
        Probability to use each group in a year at the region's average practice, on the first and on the last day.
    log_intensity, age_factor : float64, shape (n,)
    cell : uint8, shape (B,)
        Age band × sex (band * 2 + sex) of the person on the first of each fill's month.
    free : bool, shape (B,)
        Free of charge to the patient.
    uncoded : bool, shape (N,), or None
        Fills whose ATC code is not in the data; None where all are coded.
    """

    home: np.ndarray
    streams: Streams
    persons: Persons
    listings: Listings
    fills: prescribing.Fills
    bought: prescribing.Fills
    here: np.ndarray
    diseases: np.ndarray
    use: np.ndarray
    use_later: np.ndarray
    log_intensity: np.ndarray
    age_factor: np.ndarray
    cell: np.ndarray
    free: np.ndarray
    uncoded: np.ndarray | None


@lru_cache(maxsize=2)
def _reference(population: Population, window: Window, more: tuple[MoreDrug, ...]) -> tuple[Persons, np.ndarray]:
    """Persons of the region as a whole, and their probability to use each group in a year, (n, G): the same for every
    seed."""
    listed = facts.listed_population()
    cells = np.stack([listed[listed["sex"] == s]["listed"].to_numpy(dtype=np.float64) for s in facts.SEXES], axis=1)
    cells = np.rint(cells.reshape(-1) * _REFERENCE_PERSONS / cells.sum()).astype(np.int64)
    persons = draw_persons(population, window.start, (window.end - window.start).days, Rates.of(population), 0,
                           "reference", cells)
    tables = illness.illness_tables(more)
    usual = np.zeros((1, len(tables.diseases)))
    threshold = illness.thresholds(illness.centre_prevalence(tables, usual, usual[0]))
    liability = illness.draw_liability(tables, persons, Streams(0, ("reference",), np.array([len(persons)])))
    return persons, illness.use_probability(tables, liability > threshold.take(persons.sex_age, axis=0),
                                            persons.sex_age, persons.frailty)


class World:
    """What all blocks share, read and solved once; see :meth:`block`."""

    def __init__(self, scenario: Scenario, seed: int, scale: float, n_centres: int):
        self.scenario, self.seed, self.scale, self.n_centres = scenario, seed, scale, n_centres
        w, p = scenario.window, scenario.prescribing
        month, firsts = prices.month_of_day(w.start, w.months)
        self.calendar = prescribing.Calendar(
            month, firsts, *prices.opening_days(w.start, len(month), p.weekend_share, p.holiday_share))
        self.first_month = w.start.year * 12 + w.start.month - 1
        self.origin = w.start.toordinal() - date(1970, 1, 1).toordinal()
        self.rates = Rates.of(scenario.population)
        self.centres: Centres = draw_centres(scenario, seed, scale)
        ids, weight = self.centres.centre_id, self.centres.weight
        self.move_weight = np.where(np.arange(len(ids)) < n_centres, weight, 0.0)

        departs = scenario.departures
        self.illness = illness.illness_tables(departs.more_drugs)
        sick = scenario.illness
        sd_of = {**sick.latent_prevalence_sd_of, **{d.drug_group: d.latent_prevalence_sd for d in departs.more_drugs}}
        latent_sd = np.array([sd_of.get(d, sick.latent_prevalence_sd) for d in self.illness.diseases])
        self.shift = illness.latent_shifts(self.illness, latent_sd, seed, ids, self.centres.deprivation, weight)
        if departs.prevalence_cv is not None:
            self.shift = illness.shifts_of_cv(self.illness, self.shift, departs.prevalence_cv, weight)
        self.shift_variance = np.average(self.shift**2, axis=0, weights=weight)

        style = scenario.style
        groups = self.illness.groups

        def over_centres(purpose: str) -> np.ndarray:
            drawn = by_name(purpose, seed, ids)
            return drawn - np.average(drawn, weights=weight)

        self.price_style = style.price_sd * over_centres("price style")
        self.volume_style = np.exp(style.volume_sd * over_centres("volume style") - style.volume_sd**2 / 2)
        of_groups = np.stack([over_centres(f"initiation style {g}") for g in groups], axis=1)
        self.initiation_style = (style.initiation_sd * over_centres("initiation style")[:, None]
                                 + style.initiation_group_sd * of_groups)

        if departs.untreated_by_deprivation:
            self.initiation_style -= departs.untreated_by_deprivation * self.centres.deprivation[:, None]
        self.initiation_odds = np.exp(self.initiation_style)
        self.severity = np.ones((len(ids), len(groups)))
        if departs.milder_where_common:
            common = np.exp(-departs.milder_where_common * illness.group_shifts(self.illness, self.shift))
            self.severity = common / np.average(common, axis=0, weights=weight)
        odds = departs.uncoded_share * np.exp(departs.uncoded_log_odds_sd * over_centres("uncoded"))
        self.uncoded_share = odds / (1 - departs.uncoded_share + odds)

        substances = prescribing.sorted_substances(groups, departs.more_drugs)
        self.drugs = prescribing.drug_tables(scenario, groups, substances)
        self.prices = prices.monthly_prices(scenario, substances, seed)
        knots = facts.age_cost_factors()
        self.age_factor = np.exp(np.interp(np.arange(111) + 0.5, knots["age"], np.log(knots["factor"])))
        self.staircases = tuple(s for s in facts.fee_staircases() if s.valid_from in scenario.fees.staircases)
        if not self.staircases:
            raise UserError(f"{scenario.name}, fees.staircases: no such staircase. Choose from "
                            f"{', '.join(str(s.valid_from) for s in facts.fee_staircases())}.")
        self.factors = np.stack([scenario.calibration.factors.K, scenario.calibration.factors.M], axis=1).reshape(-1)
        self._solve()

    def _solve(self) -> None:
        """Stops, refills and the level of dose dispensing, on persons of the region as a whole."""
        scenario = self.scenario
        persons, use = _reference(scenario.population, scenario.window, scenario.departures.more_drugs)
        self.dynamics = prescribing.solve_dynamics(use, self.drugs.persistence, self.drugs.fills)
        odds = self._dose_odds(persons, persons.age, use)
        low, high = 1e-6, 10.0
        for _ in range(60):
            middle = np.sqrt(low * high)
            low, high = (low, middle) if np.minimum(middle * odds, 1).mean() > \
                self.scenario.prescribing.dose_dispensed_share else (middle, high)
        self.dose_level = middle

    def _dose_odds(self, persons: Persons, age: np.ndarray, use: np.ndarray) -> np.ndarray:
        p = self.scenario.prescribing
        older = age - p.dose_dispensed_min_age
        odds = np.exp(p.dose_dispensed_frailty * persons.frailty + p.dose_dispensed_age * older)
        return np.where(older >= 0, odds, 0.0) * use[:, self.drugs.dose_dispensed].sum(axis=1)

    def _rolls_from(self, persons: Persons, use: np.ndarray, use_later: np.ndarray, streams: Streams) -> np.ndarray:
        """Day from which each person's drugs come in rolls: more and more of an ageing cohort, as frail ones die."""
        days = self.calendar.days
        now = self.dose_level * self._dose_odds(persons, persons.age, use)
        later = self.dose_level * self._dose_odds(persons, persons.age + round(days / 365), use_later)
        u = streams.keyed("dose dispensing").of_all()
        with np.errstate(divide="ignore", invalid="ignore"):
            during = np.floor(days * (u - now) / (later - now))
        birthday = 365 * (self.scenario.prescribing.dose_dispensed_min_age - persons.age)
        during = np.maximum(during, birthday)
        return np.where(u < now, 0, np.where(u < later, during, NOT_LATER)).astype(np.int64)

    def block(self, *homes: int) -> Block:
        """Draw the persons first listed at each of ``homes``, rows of Centres, and all their fills."""
        ids, days, seed = tuple(self.centres.centre_id[k] for k in homes), self.calendar.days, self.seed
        drawn = [draw_persons(self.scenario.population, self.scenario.window.start, days, self.rates, seed, centre_id,
                              self.centres.persons[k]) for k, centre_id in zip(homes, ids, strict=True)]
        persons, count = Persons.together(drawn), np.array([len(part) for part in drawn])
        streams, home = Streams(seed, ids, count), np.repeat(homes, count)
        listings = draw_listings(self.rates, streams, home, persons, self.move_weight, days)
        threshold = illness.thresholds(
            illness.centre_prevalence(self.illness, self.shift[list(homes)], self.shift_variance))
        liability = illness.draw_liability(self.illness, persons, streams)
        of_centre = np.repeat(np.arange(0, len(threshold), len(threshold) // len(homes)), count)

        def ill_at(sex_age: np.ndarray) -> np.ndarray:
            """Ageing moves the threshold, so diseases begin (and some end) with the years; bool, shape (n, D)."""
            return liability > threshold.take(of_centre + sex_age, axis=0)

        sex_age = persons.sex_age
        older = np.minimum(persons.age + round(days / 365), 110) + persons.sex.astype(np.int64) * 111
        diseases = ill_at(sex_age)
        use = illness.use_probability(self.illness, diseases, sex_age, persons.frailty)
        use_later = illness.use_probability(self.illness, ill_at(older), older, persons.frailty)
        spells = prescribing.draw_spells(self.dynamics, use, use_later, self.initiation_odds, home, streams, days)
        sd = self.scenario.prescribing.shared_intensity_sd
        traits = prescribing.PersonTraits(
            log_intensity=sd * ndtri(streams.keyed("shared intensity").of_all()) - sd**2 / 2,
            age_factor=self.age_factor[np.minimum(persons.age + 1, 110)],
            rolls_from=self._rolls_from(persons, use, use_later, streams),
        )
        bought = prescribing.draw_fills(
            self.scenario.prescribing, self.drugs, self.dynamics, self.calendar, self.prices, spells, persons, listings,
            traits, home, self.price_style, self.volume_style, self.severity, self.scenario.prices.floor_sek_per_pack,
            streams)
        buyer, G = bought.person.astype(np.int64), len(self.illness.groups)
        here = np.flatnonzero(bought.day >= persons.enters.take(buyer))
        fills = bought.take(here)
        age = (self.first_month + self.calendar.month.take(bought.day.astype(np.int64))
               - persons.birth_month.take(buyer)) // 12
        group = self.drugs.group.take(bought.substance.astype(np.int64))
        return Block(
            home=home, streams=streams, persons=persons, listings=listings, fills=fills, bought=bought, here=here,
            diseases=diseases, use=use, use_later=use_later, log_intensity=traits.log_intensity,
            age_factor=traits.age_factor,
            cell=(np.minimum(age // 5, 20) * 2 + persons.sex.take(buyer)).astype(np.uint8),
            free=self.drugs.free.take(free_class(age) * G + group),
            uncoded=None if not self.scenario.departures.uncoded_share else (
                uniform(streams.keyed("uncoded").counter(buyer[here], G, group[here]))
                < self.uncoded_share[home[buyer[here]]]),
        )

    def costs(self, block: Block, factors: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """DDD, gross and region's cost in öre of every fill, under ``factors`` (42,) on DDD per fill.

        Öre are int64, DDD has two decimals; all shape (N,).
        """
        f, here = block.bought, block.here
        amount = f.ddd * factors.take(block.cell.astype(np.int64))
        gross = np.rint(np.maximum(amount * f.price, f.floor) * 100).astype(np.int64)
        u = block.streams.keyed("fee phase")
        lag = PERIOD_DAYS + np.floor(u.of_all(1) * _LONGEST_EXTRA_LAG).astype(np.int64)
        charged = np.flatnonzero(~block.free)
        rows = f.person.take(charged).astype(np.int64), f.day.take(charged).astype(np.int64), gross.take(charged)
        end, spent = opening_periods(*rows, u.of_all(), lag, self.calendar.days)
        who, day, ore = rows
        region = gross.copy()
        region[charged] -= patient_fees(who, day + self.origin, ore, self.staircases, end + self.origin, spent)
        return np.rint(amount.take(here) * 100) / 100, gross.take(here), region.take(here)


def opening_periods(who: np.ndarray, on: np.ndarray, gross: np.ndarray, phase: np.ndarray, lag: np.ndarray, days: int
                    ) -> tuple[np.ndarray, np.ndarray]:
    """The fee period each person is in on day 0: its end (day, exclusive) and the gross öre already in it, both (n,).

    Nobody knows what was bought before the window; it is taken to be what was bought in it, ``lag`` (n,) days earlier:
    a year and some more, so that a period does not end on the very day of a purchase. On day −lag everybody is at a
    point of her cycle (a period, and the mean wait for the purchase that begins the next) given by ``phase`` (n,),
    uniform on (0, 1); from there periods run as they do later. Persons in no period on day 0 have end 0. Rows are
    what persons ``who`` bought ``on`` which of the window's ``days`` and were charged for, sorted by person, then day;
    all int64.
    """
    end, carried = np.zeros(len(phase), dtype=np.int64), np.zeros(len(phase), dtype=np.int64)
    if not len(who):
        return end, carried
    spent_by = np.cumsum(gross)
    first = runs(who)
    last = np.append(first[1:], len(who)) - 1
    buyer = who[first]
    gap = np.diff(on, prepend=0) ** 2
    gap[first] = (on[first] + days - on[last]) ** 2  # as if the window came round again
    wait = np.add.reduceat(gap, first) / (2 * days)
    at = np.maximum(PERIOD_DAYS - phase[buyer] * (PERIOD_DAYS + wait), 0).astype(np.int64)
    key, far = who * (4 * days) + on, 4 * days
    while len(buyer):
        begins = np.searchsorted(key, buyer * far + at)
        before = np.searchsorted(key, buyer * far + lag[buyer])
        bought = begins < before
        buyer, begins, before = buyer[bought], begins[bought], before[bought]
        at = on[begins] + PERIOD_DAYS
        open_then = at > lag[buyer]
        end[buyer[open_then]] = (at - lag[buyer])[open_then]
        carried[buyer[open_then]] = (spent_by[before - 1] - spent_by[begins] + gross[begins])[open_then]
        buyer, at = buyer[~open_then], at[~open_then]
    return end, carried
