"""The untouched region: its half-years, everybody's flags under any design, and the amounts fitted on them.

Amounts are fitted on the half-year before and frozen; play never moves them (re-estimated amounts are another result).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from threading import Lock
from typing import Any

import numpy as np

from lakemedelsmodell import facts
from lakemedelsmodell.conditions import Condition, ConditionSet, condition_set
from lakemedelsmodell.data.cohort import Cohort
from lakemedelsmodell.data.engines import arrays
from lakemedelsmodell.data.flag_kernel import CodeIndex, resolved
from lakemedelsmodell.data.flags import build_cohort, code_summary
from lakemedelsmodell.data.periods import HALF_YEAR, Period, add_months
from lakemedelsmodell.data.purchases import (
    Marks,
    Purchases,
    gross_prices_known,
    monthly_marks,
    no_purchases,
    read_purchases,
)
from lakemedelsmodell.data.tables import HalfYear, default_period
from lakemedelsmodell.errors import UserError
from lakemedelsmodell.evaluation import Plan, Settings, make_plan
from lakemedelsmodell.manipulation.designs import Design
from lakemedelsmodell.measures.fit import fit_measures
from lakemedelsmodell.measures.noise import noise_floor
from lakemedelsmodell.measures.qualifying import Bundle, Catalogue, catalogue, cheapest_bundle
from lakemedelsmodell.measures.truth import ideal_net
from lakemedelsmodell.models.base import cost_to_fit
from lakemedelsmodell.models.least_squares import (
    NormalEquations,
    borrow_empty_cells,
    bounded,
    normal_equations,
)
from lakemedelsmodell.settlement import pooled_cost
from lakemedelsmodell.simulation.fees import staircase_fee

MAX_ROUNDS = 25
"""Times amounts are fitted anew until they keep to what depends on them."""
KRONA = 1.0
"""Amounts are in whole kronor."""
LAST_ACT_BEFORE_END = 30
"""Days before the act's half-year ends on which what is bought for a flag is all bought, where that can be."""
EPOCH = date(1970, 1, 1)


def month_number(day: date) -> int:
    """Calendar months since January 1970."""
    return (day.year - 1970) * 12 + day.month - 1


def day_number(day: date) -> int:
    return (day - EPOCH).days


@dataclass(frozen=True, eq=False)
class Terms:
    """A design with its conditions and frozen amounts, and what they pay the region's K centres.

    Attributes
    ----------
    design, conditions, index
    cells : float64, shape (42,)
        SEK per listed month before φ, whole kronor.
    add_ons : float64, shape (C,)
        The same per reported condition; 0 for one that pays nothing.
    phi, unscaled, pool, budget : by half-year: float; SEK (K,), (K,); SEK
    net : float64, shape (K,)
        n_k in the paid half-year, SEK per listed month.
    r2, sd, rmse_to_ideal : float
        In the paid half-year, out of period, of what is paid with the pool; the last is nan where no truth is known.
    dropped : names of conditions dropped for what they return
    sums : NormalEquations
        Of the fit, before any bound or cap: what amounts are re-estimated from.
    columns : float64, shape (K, 42 + C)
        Months by cell and flagged months of each centre in the paid half-year.
    alpha : cost responsibility
    """

    design: Design
    conditions: ConditionSet
    index: CodeIndex
    cells: np.ndarray
    add_ons: np.ndarray
    phi: tuple[float, ...]
    unscaled: tuple[np.ndarray, ...]
    pool: tuple[np.ndarray, ...]
    budget: tuple[float, ...]
    net: np.ndarray
    r2: float
    sd: float
    rmse_to_ideal: float
    dropped: tuple[str, ...]
    sums: NormalEquations
    columns: np.ndarray
    alpha: float

    def add_on_pay(self, held: np.ndarray) -> np.ndarray:
        """SEK per listed month before φ of flags, shape (n, C) → (n,)."""
        return paid_columns(held, self.add_ons, self.design.cap) @ self.add_ons

    @cached_property
    def untouched(self) -> tuple[np.ndarray, np.ndarray]:
        """:func:`~lakemedelsmodell.manipulation.play.re_estimated` where nobody is treated."""
        return self.solved(self.sums.xtx[0], self.sums.xty[0])

    def solved(self, xtx: np.ndarray, xty: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Cells, shape (42,), and add-ons, shape (C,), of other sums, SEK of cost per listed month; what was cut stays
        cut."""
        limited = self.design.max_return is not None
        upper = self.add_ons / self.alpha if limited else np.full(len(self.add_ons), np.inf)
        cells, add_ons = bounded(xtx, xty, upper)
        return borrow_empty_cells(cells.reshape(len(facts.BAND_FROM), 2)).reshape(-1), add_ons

    @cached_property
    def read_as(self) -> Hashable:
        """What flags depend on: equal for designs that differ in pay alone."""
        return _read_as(self.design, self.conditions)

    def amount(self, name: str) -> float:
        """Add-on of a condition, SEK per listed month before φ; 0 for one that is not reported."""
        names = self.conditions.names
        return float(self.add_ons[names.index(name)]) if name in names else 0.0


def _read_as(design: Design, conditions: ConditionSet) -> Hashable:
    return conditions.conditions, design.rule, design.lookback_months, design.run_off, design.rolling


def paid_columns(held: np.ndarray, add_ons: np.ndarray, cap: int | None) -> np.ndarray:
    """Flags that are paid, float64, shape (n, C): of a person's the ``cap`` with the highest add-ons."""
    if cap is None or not held.shape[1]:
        return held.astype(np.float64)
    order = np.argsort(-add_ons, kind="stable")
    ordered = held[:, order].astype(np.float64)
    ordered[np.cumsum(ordered > 0, axis=1) > cap] = 0.0
    paid = np.empty_like(ordered)
    paid[:, order] = ordered
    return paid


@dataclass(frozen=True, eq=False)
class Reading:
    """What a list of conditions finds of everybody under a rule: the same for designs that differ in pay alone.

    Attributes
    ----------
    conditions, index
    held : (bool or float32, shape (n, C)) twice
        Of the rows of either cohort: whether each reported condition is held, or the share that is paid.
    columns : float64, shape (K, 42 + C)
        Months by cell and flagged months of each centre in the paid half-year.
    sums : pool threshold → X'WX and X'Wy of the fit half-year, once they have been asked for
    """

    conditions: ConditionSet
    index: CodeIndex
    held: tuple[np.ndarray, np.ndarray]
    columns: np.ndarray
    sums: dict[float | None, NormalEquations] = field(default_factory=dict)

    @cached_property
    def _profiles(self) -> tuple[tuple[np.ndarray, np.ndarray], ...] | None:
        """The different rows of ``held`` and which each row is; None for shares, and for more conditions than bits."""
        C = self.held[0].shape[1]
        if self.held[0].dtype != bool or not 0 < C <= 64:
            return None
        found = []
        for held in self.held:
            bits = np.zeros((len(held), 8), dtype=np.uint8)
            bits[:, :-(-C // 8)] = np.packbits(held, axis=1)
            _, first, of = np.unique(bits.view(np.uint64)[:, 0], return_index=True, return_inverse=True)
            found.append((held[first], of))
        return tuple(found)

    def paid(self, h: int, add_ons: np.ndarray, cap: int | None) -> np.ndarray:
        """:func:`paid_columns` of cohort ``h``, float64, shape (n, C)."""
        if self._profiles is None or cap is None:
            return paid_columns(self.held[h], add_ons, cap)
        profiles, of = self._profiles[h]
        return paid_columns(profiles, add_ons, cap)[of]

    def pays(self, h: int, add_ons: np.ndarray, cap: int | None) -> np.ndarray:
        """SEK per listed month before φ of add-ons in whole kronor, for each row of cohort ``h``, shape (n,)."""
        if self._profiles is None:
            return np.asarray(paid_columns(self.held[h], add_ons, cap) @ add_ons)
        profiles, of = self._profiles[h]  # sums of whole kronor are exact in any order
        return np.asarray((paid_columns(profiles, add_ons, cap) @ add_ons)[of])


@dataclass(eq=False)
class Region:
    """A half-year's region as it is without play.

    Attributes
    ----------
    half_year, plan, alpha, listed
    cohorts : (Cohort, Cohort)
        Of the fit half-year and the paid one (the same twice where history is too short to fit before), no flags.
    style : float64, shape (K,), or None
        s_k of a simulated world, SEK per listed month.
    gross_cost : bool
        Centres bear gross prices (setting ``cost_base = gross_price``).
    """

    half_year: HalfYear
    plan: Plan
    alpha: float
    listed: ConditionSet
    cohorts: tuple[Cohort, Cohort]
    style: np.ndarray | None = None
    gross_cost: bool = False
    _lock: Any = field(default_factory=Lock, repr=False)

    @classmethod
    def of(cls, half_year: HalfYear, settings: Settings = Settings(), style: np.ndarray | None = None,
           progress: Callable[[str], Any] = lambda _: None) -> Region:
        """Raises UserError for a period the data cannot serve."""
        period = Period.parse(settings.period) if settings.period else None
        plan = make_plan(*((period, False) if period else default_period(half_year)), half_year.months_seen[0],
                         settings.lookback_months)
        alpha = settings.cost_responsibility or facts.cost_responsibility(plan.period.start)

        def cohort(of: Period, lookback: Period) -> Cohort:
            return build_cohort(half_year, of, ConditionSet("none", ()), lookback=lookback, rules=(),
                                months=settings.months, cost_base=settings.cost_base, borne_by=settings.borne_by,
                                progress=progress)

        paid = cohort(plan.period, plan.lookback)
        fitted = paid if plan.fit_period == plan.period else cohort(plan.fit_period, plan.fit_lookback)
        return cls(half_year, plan, alpha, condition_set(settings.condition_set), (fitted, paid), style,
                   settings.cost_base == "gross_price")

    @cached_property
    def codes(self) -> list[str]:
        """ATC codes in the data, and the empty text for what has none."""
        return [*self.half_year.codes["atc"], ""]

    @cached_property
    def persons(self) -> int:
        return len(arrays(self.half_year.persons.select("person"))["person"])

    @property
    def starts(self) -> tuple[int, int]:
        """First month of the fit and of the paid half-year."""
        return month_number(self.plan.fit_period.start), month_number(self.plan.period.start)

    @property
    def act_start(self) -> date:
        """First day of the half-year in which a centre acts: its flags pay in the half-years after."""
        return add_months(self.plan.fit_period.start, -HALF_YEAR)

    @property
    def act_days(self) -> tuple[int, int]:
        return day_number(self.act_start), day_number(self.plan.fit_period.start)

    def life(self, design: Design) -> tuple[tuple[int, int], ...]:
        """First month of each half-year in which an act's flags can pay, and the cohort that stands for it."""
        starts = self.starts
        later = ((starts[0], 0), (starts[1], 1)) if starts[0] != starts[1] else ((starts[1], 1),)
        return ((month_number(self.act_start), 0), *later) if design.rolling else later

    @cached_property
    def staircases(self) -> tuple[facts.FeeStaircase, ...]:
        """The patient's fees; none where gross prices are not known and the region is taken to pay them all."""
        return tuple(facts.fee_staircases()) if gross_prices_known(self.half_year) else ()

    @cached_property
    def catalogue(self) -> Catalogue:
        """One pack of each code."""
        window = self.plan.lookback
        return catalogue(self.codes, code_summary(self.half_year, (window.start, window.end)))

    @cached_property
    def _marks(self) -> dict[Any, Marks]:
        return {}

    @cached_property
    def _rows(self) -> Any:
        """Purchases of every code the list, or any design of it, counts."""
        wanted = {c[:5] for c in self.listed.expand(self.codes)["atc"]}
        return read_purchases(self.half_year, codes=np.array([c for c in self.codes if c[:5] in wanted]),
                              money=False)

    def marks(self, conditions: ConditionSet, index: CodeIndex) -> Marks:
        """Everybody's marks; found once for designs that count the same codes."""
        key = tuple((c.name, c.include, c.exclude) for c in conditions.conditions)
        with self._lock:
            if key not in self._marks:
                self._marks[key] = monthly_marks(self._rows, index, len(conditions.conditions))
            return self._marks[key]

    @cached_property
    def _guesses(self) -> dict[float | None, tuple[float, np.ndarray]]:
        """Pool threshold → the best prediction met so far of the cost below it: its R², SEK per listed month."""
        return {}

    @cached_property
    def _floors(self) -> dict[float | None, tuple[float, float]]:
        return {}

    def noise_floor(self, threshold: float | None = None) -> float:
        """F of the paid half-year, SEK per listed month, with cost above the threshold pooled; by the best predictor
        among the designs fitted so far."""
        r2, guess = self._guesses[threshold]
        if self._floors.get(threshold, (np.nan, 0.0))[0] != r2:
            paid = replace(self.cohorts[1], cost=self.cohorts[1].cost - self._excess(1, threshold))
            self._floors[threshold] = r2, noise_floor(paid, guess, self.alpha, permutations=0).floor
        return self._floors[threshold][1]

    @cached_property
    def _costs_to_fit(self) -> dict[float | None, np.ndarray]:
        return {}

    def _cost_to_fit(self, threshold: float | None) -> np.ndarray:
        if threshold not in self._costs_to_fit:
            self._costs_to_fit[threshold] = cost_to_fit(self.cohorts[0], threshold)
        return self._costs_to_fit[threshold]

    @cached_property
    def _pooled(self) -> dict[tuple[int, float | None], np.ndarray]:
        return {}

    def _excess(self, h: int, threshold: float | None) -> np.ndarray:
        """SEK of each row of a cohort that a pool pays, shape (n,); 0 without one."""
        if (h, threshold) not in self._pooled:
            cohort = self.cohorts[h]
            self._pooled[h, threshold] = (np.zeros(len(cohort.person)) if threshold is None
                                          else pooled_cost(cohort, threshold))
        return self._pooled[h, threshold]

    def bundle(self, conditions: ConditionSet, name: str) -> Bundle | None:
        """The cheapest way for a centre to qualify somebody for a condition; None where no code will do."""
        condition = conditions[name]
        if condition not in self._bundles:
            self._bundles[condition] = cheapest_bundle(conditions, name, self.catalogue)
        return self._bundles[condition]

    def counted(self, condition: Condition) -> np.ndarray:
        """Which codes count for a condition, bool, by code."""
        if condition not in self._counted:
            self._counted[condition] = np.array([condition.matches(atc) for atc in self.codes])
        return self._counted[condition]

    @cached_property
    def _counted(self) -> dict[Condition, np.ndarray]:
        return {}

    @cached_property
    def _bundles(self) -> dict[Condition, Bundle | None]:
        return {}

    def packs(self, person: np.ndarray, code: int, day: int, packs: int) -> Purchases:
        """So many packs of the catalogue for each person on a day; what the region pays is for the replay to find."""
        shelf, n = self.catalogue, len(person)
        gross = np.full(n, round(shelf.price[code] * packs * 100))
        return Purchases(person.astype(np.int64), np.full(n, code), np.full(n, day),
                         np.full(n, round(np.nan_to_num(shelf.ddd[code]) * packs * 1000)), np.full(n, packs * 1000),
                         np.zeros(n, dtype=bool), gross, gross, np.full(n, shelf.in_base[code]))

    def bought(self, person: np.ndarray, bundle: Bundle) -> Purchases:
        """The bundle for each person: in the half-year of the act, its last day a month before the end if it can."""
        start, end = self.act_days
        first = max(start, end - LAST_ACT_BEFORE_END - bundle.days[-1])
        rows = no_purchases()
        for day, packs in zip(bundle.days, bundle.packs, strict=True):
            rows = rows.with_rows(self.packs(person, bundle.code, first + day, packs))
        return rows

    @cached_property
    def _months_paid(self) -> dict[Hashable, float]:
        return {}

    def months_paid(self, terms: Terms, name: str, bundle: Bundle) -> float:
        """For how many months the flag of a bundle pays in full, by the rule itself."""
        key = terms.read_as, name, bundle.code, bundle.days, bundle.packs
        if key not in self._months_paid:
            self._months_paid[key] = self._pays_for(terms, name, bundle)
        return self._months_paid[key]

    def _pays_for(self, terms: Terms, name: str, bundle: Bundle) -> float:
        marks = monthly_marks(self.bought(np.zeros(1, dtype=np.int64), bundle), terms.index,
                              len(terms.conditions.conditions))
        column = terms.conditions.names.index(name)
        return HALF_YEAR * sum(float(self.held(terms.design, terms.conditions, marks, 1, start)[0, column])
                         for start, _ in self.life(terms.design))

    # Fitting

    def read(self, design: Design, dropped: frozenset[str] = frozenset()) -> Reading:
        """Everybody's flags as the design reads them. Raises UserError where it names conditions that are not there."""
        conditions = design.conditions_of(self.listed, self.codes, dropped)
        index = CodeIndex.of(conditions, self.codes)
        if conditions.names:
            marks = self.marks(conditions, index)
            held = tuple(self.held(design, conditions, marks, self.persons, start)[cohort.person]
                         for start, cohort in zip(self.starts, self.cohorts, strict=True))
        else:
            held = tuple(np.zeros((len(cohort.person), 0), dtype=bool) for cohort in self.cohorts)
        return Reading(conditions, index, (held[0], held[1]), _columns(self.cohorts[1], held[1]))

    def all_terms(self, designs: Sequence[Design], workers: int = 1) -> Iterator[tuple[int, Terms | UserError]]:
        """:meth:`terms` of each design by its place, as they are done: flags are read once for designs that read alike.
        """
        from joblib import Parallel, delayed

        alike: dict[Hashable, list[int]] = {}
        for i, design in enumerate(designs):
            try:
                key = _read_as(design, design.conditions_of(self.listed, self.codes))
            except UserError as error:
                yield i, error
            else:
                alike.setdefault(key, []).append(i)

        def fitted(places: list[int]) -> list[tuple[int, Terms | UserError]]:
            reading = self.read(designs[places[0]])
            return [(i, self.terms(designs[i], reading)) for i in places]

        threads = Parallel(n_jobs=workers, backend="threading", return_as="generator")
        for done in threads(delayed(fitted)(places) for places in sorted(alike.values(), key=len, reverse=True)):
            yield from done

    def terms(self, design: Design, reading: Reading | None = None) -> Terms:
        """Fit the design's amounts and pay the region by them.

        What groups may bring at most depends on φ, and what is left takes over the cost of groups that are dropped or
        cut: so the fit is repeated until all keep to it. ``reading``: of a design that reads alike.
        """
        reading = reading or self.read(design)
        found = self._fitted(design, reading)
        if design.max_return is None:
            return found
        for _ in range(MAX_ROUNDS):
            over = {name for name, most in self._most(found).items() if found.amount(name) > most + KRONA}
            if not over:
                break
            if design.over_max == "drop":
                dropped = frozenset(found.dropped) | over
                found = self._fitted(design, self.read(design, dropped), dropped=dropped)
            else:
                found = self._fitted(design, reading, most=self._most(found))
        return found

    def _most(self, terms: Terms) -> dict[str, float]:
        """The highest amount (SEK per listed month, before φ) by which a group brings no more than it may."""
        design, most = terms.design, {}
        assert design.max_return is not None
        for name in terms.conditions.names:
            bundle = self.bundle(terms.conditions, name)
            if bundle is not None:
                sek = bundle.sek if design.qualifying_cost == "full price" else self.first_purchase(bundle)
                costs = self.alpha * sek * bool(self.catalogue.in_base[bundle.code])
                months = self.months_paid(terms, name, bundle)
                most[name] = design.max_return * costs / months if months else np.inf
        return most

    def first_purchase(self, bundle: Bundle) -> float:
        """What the region pays of a bundle for who has bought nothing else in the fee period, SEK: all where fees are
        not known or the drug is free."""
        if not self.staircases or self.catalogue.free[bundle.code]:
            return bundle.sek
        held = [s for s in self.staircases if s.valid_from <= self.plan.fit_period.start][-1]
        ore = np.array([round(bundle.sek * 100)])
        return float(ore[0] - staircase_fee(held, ore)[0]) / 100

    def held(self, design: Design, conditions: ConditionSet, marks: Marks, persons: int, start: int) -> np.ndarray:
        """How much of each reported condition persons are paid for in the half-year from month ``start``,
        shape (persons, C): bool, or shares where flags run off or roll."""
        back = design.lookback_months
        C = len(conditions.conditions)
        number = {c.name: i for i, c in enumerate(conditions.conditions)}
        reported = [number[name] for name in conditions.names]

        def found(first: int, end: int) -> np.ndarray:
            flags = resolved(_meets(marks.window(first, end), conditions, design.rule, persons), conditions)
            return flags[:, reported]

        if design.rolling:
            months = [found(start + m - back, start + m) for m in range(HALF_YEAR)]
            return np.asarray(np.mean(np.stack(months), axis=0, dtype=np.float32))
        flags = found(start - back, start)
        if design.run_off is None:
            return flags
        recent = np.zeros(persons * C, dtype=bool)
        late = marks.window(start - back // 2, start)
        recent[late.key[late.dates > 0]] = True
        return flags * np.where(recent.reshape(persons, C)[:, reported], 1.0, design.run_off).astype(np.float32)

    def paid_flags(self, terms: Terms) -> np.ndarray:
        """Everybody's flags of the reported conditions in the paid half-year, shape (persons, C)."""
        marks = self.marks(terms.conditions, terms.index)
        return self.held(terms.design, terms.conditions, marks, self.persons, self.starts[1])

    def _fitted(self, design: Design, reading: Reading, dropped: frozenset[str] = frozenset(),
                most: Mapping[str, float] | None = None) -> Terms:
        names, fitted, threshold = reading.conditions.names, self.cohorts[0], design.pool_threshold
        upper = np.array([(most or {}).get(name, np.inf) for name in names]) / self.alpha
        cost = self._cost_to_fit(threshold)
        if threshold not in reading.sums:
            reading.sums[threshold] = normal_equations(fitted.cell, reading.held[0], fitted.exposure, cost)
        cells, add_ons = _fit(reading, fitted, cost, threshold, design.cap, upper)
        cells = borrow_empty_cells(cells.reshape(len(facts.BAND_FROM), 2)).reshape(-1)
        return self._settled(design, reading, np.rint(np.nan_to_num(self.alpha * cells)),
                             np.rint(self.alpha * add_ons), dropped)

    def _settled(self, design: Design, reading: Reading, cells: np.ndarray, add_ons: np.ndarray,
                 dropped: frozenset[str]) -> Terms:
        phi, unscaled, pools, budgets = [], [], [], []
        threshold = design.pool_threshold
        for h, cohort in enumerate(self.cohorts):
            per_month = cells[cohort.cell] + reading.pays(h, add_ons, design.cap)
            pays = np.bincount(cohort.centre, cohort.exposure * per_month, cohort.n_centres)
            pool = self.alpha * np.bincount(cohort.centre, self._excess(h, threshold), cohort.n_centres)
            budget = self.alpha * float(cohort.cost.sum())
            phi.append((budget - float(pool.sum())) / float(pays.sum()))
            unscaled.append(pays)
            pools.append(pool)
            budgets.append(budget)
        paid = self.cohorts[1]
        months = np.bincount(paid.centre, paid.months, paid.n_centres)
        own = self.alpha * np.bincount(paid.centre, paid.cost, paid.n_centres)
        with np.errstate(invalid="ignore", divide="ignore"):
            net = (phi[1] * unscaled[1] + pools[1] - own) / months
        rmse = np.nan
        if self.style is not None:
            rmse = float(np.sqrt(np.nanmean((net - ideal_net(self.style, months, self.alpha)) ** 2)))
        brings = per_month / self.alpha + (0.0 if threshold is None else self._excess(1, threshold) / paid.exposure)
        r2 = fit_measures(paid.cost, brings, paid.exposure).r2
        with self._lock:
            if threshold not in self._guesses or r2 > self._guesses[threshold][0]:
                self._guesses[threshold] = r2, per_month / self.alpha * phi[1]
        return Terms(design, reading.conditions, reading.index, cells, add_ons, tuple(phi), tuple(unscaled),
                     tuple(pools), tuple(budgets), net, r2=r2, sd=float(np.nanstd(net, ddof=1)), rmse_to_ideal=rmse,
                     dropped=tuple(sorted(dropped)), sums=reading.sums[threshold], columns=reading.columns,
                     alpha=self.alpha)


def _columns(cohort: Cohort, held: np.ndarray) -> np.ndarray:
    """Months by cell and flagged months per centre, (K, 42 + C)."""
    K, months = cohort.n_centres, cohort.exposure
    cells = np.bincount(cohort.centre * np.int64(facts.N_CELLS) + cohort.cell, months, K * facts.N_CELLS)
    flagged = [np.bincount(cohort.centre, months * of, K) for of in held.T]
    return np.column_stack([cells.reshape(K, -1), *flagged])


def _fit(reading: Reading, fitted: Cohort, cost: np.ndarray, threshold: float | None, cap: int | None,
         upper: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cost per listed month by cell, nan where nobody is listed, and add-ons between 0 and ``upper``.

    With a cap on the number paid the ladder is laid anew until its order stands.
    """
    def solved(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        laid = normal_equations(fitted.cell, columns, fitted.exposure, cost)
        return bounded(laid.xtx[0], laid.xty[0], upper)

    sums = reading.sums[threshold]
    cells, add_ons = bounded(sums.xtx[0], sums.xty[0], upper)
    for _ in range(MAX_ROUNDS if cap is not None else 0):
        order = np.argsort(-add_ons, kind="stable")
        cells, add_ons = solved(reading.paid(0, add_ons, cap))
        if np.array_equal(order, np.argsort(-add_ons, kind="stable")):
            break
    return cells, add_ons


def _meets(marks: Marks, conditions: ConditionSet, rule: str, persons: int) -> np.ndarray:
    """Found on the condition's own codes, bool, shape (persons, all conditions)."""
    C = len(conditions.conditions)
    flags = np.zeros(persons * C, dtype=bool)
    enough = marks.dates > 0
    if rule == "listed":
        of = marks.key % C

        def limit(name: str, scale: int = 1) -> np.ndarray:
            values = [np.ceil(round((getattr(c, name) or 0) * scale, 6)) for c in conditions.conditions]
            return np.array(values)[of]

        enough = (enough & (marks.dates >= limit("min_dates")) & (marks.milli_ddd >= limit("min_ddd", 1000))
                  & (marks.milli_packages >= limit("min_packages", 1000))
                  & (marks.last - marks.first >= limit("min_days_apart")))
    flags[marks.key[enough]] = True
    return flags.reshape(persons, C)
