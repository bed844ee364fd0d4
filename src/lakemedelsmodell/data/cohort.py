"""The cohort: one row per person × centre × age band in a period, and its sums per centre."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from lakemedelsmodell.data.periods import Period
from lakemedelsmodell.facts import BAND_LABELS, N_CELLS

Found = TypeVar("Found")


@dataclass(frozen=True, eq=False)
class PackedFlags(Mapping[str, np.ndarray]):
    """Flags by rule, kept as bits: of a whole country they would else be the largest thing in memory.

    Asking for a rule unpacks a fresh bool array of shape (n, C).

    Attributes
    ----------
    bits : mapping from rule to uint8, shape (n, ⌈C/8⌉)
        As :func:`numpy.packbits` packs rows.
    n_conditions : int
        C.
    """

    bits: Mapping[str, np.ndarray]
    n_conditions: int

    def __getitem__(self, rule: str) -> np.ndarray:
        return np.unpackbits(self.bits[rule], axis=1, count=self.n_conditions).view(bool)

    def __iter__(self) -> Iterator[str]:
        return iter(self.bits)

    def __len__(self) -> int:
        return len(self.bits)

    def rows(self, keep: np.ndarray) -> PackedFlags:
        """Only the rows in ``keep`` (a mask or indices)."""
        return replace(self, bits={rule: bits[keep] for rule, bits in self.bits.items()})


@dataclass(frozen=True)
class Cohort:
    """Who was listed where for how long, at what cost, with which conditions.

    Rows are sorted by person, centre and band, so that nothing depends on the order of the input.

    Attributes
    ----------
    centres : DataFrame, K rows
        ``centre_id`` (sorted, unique) and, where known, name, operator, cni, rural.
    period : Period or None
        What the months and costs cover; None for a reduced table of one's own.
    person : int64, shape (n,)
        Number of the person, 0..P-1 in the order of person_id; a mover has several rows.
    centre : int32, shape (n,)
        Row of ``centres``.
    sex : uint8, shape (n,)
        0 = K (woman), 1 = M (man).
    band : uint8, shape (n,)
        Index of the 5-year age band, 0..20.
    months : float64, shape (n,)
        Listed person-months.
    cost : float64, shape (n,)
        SEK, whole amount (before cost responsibility) in the cost base chosen.
    conditions : tuple of str, length C
    flags : mapping from rule ("dispensed", "listed") to bool, shape (n, C)
        Plain arrays, or :class:`PackedFlags`.
    weight : float64, shape (n,), or None
        Survey weight; multiplies months in fit and measures.
    fit_cost : float64, shape (n,), or None
        Cost to fit on where it differs from the cost to settle (for example capped), SEK.
    prior_cost : float64, shape (n,), or None
        What the person cost in the period before, SEK per month listed then; nan for who was not listed.
    groups : mapping from name to bool, shape (n,)
        Groups of persons that no model sees (dose-dispensed, five drugs or more …), to hold payments against.
    borne_cost : float64, shape (K,), or None
        SEK borne by each centre where that is not the cost of its listed persons
        (setting ``borne_by = prescriber``).
    counts : mapping
        Rows and persons left out or noticed, by kind.
    """

    centres: pd.DataFrame
    period: Period | None
    person: np.ndarray
    centre: np.ndarray
    sex: np.ndarray
    band: np.ndarray
    months: np.ndarray
    cost: np.ndarray
    conditions: tuple[str, ...]
    flags: Mapping[str, np.ndarray]
    weight: np.ndarray | None = None
    fit_cost: np.ndarray | None = None
    prior_cost: np.ndarray | None = None
    groups: Mapping[str, np.ndarray] = field(default_factory=dict)
    borne_cost: np.ndarray | None = None
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def n_centres(self) -> int:
        return len(self.centres)

    @property
    def n_persons(self) -> int:
        """Distinct persons."""
        return n_distinct(self.person)

    @property
    def centre_ids(self) -> np.ndarray:
        return self.centres["centre_id"].to_numpy()

    @property
    def cell(self) -> np.ndarray:
        """Age band × sex as one number 0..41 (band * 2 + sex), shape (n,)."""
        return self.band.astype(np.int64) * 2 + self.sex

    @property
    def exposure(self) -> np.ndarray:
        """Months times weight, shape (n,): what every mean is weighted with."""
        return self.weighted(self.months)

    def weighted(self, per_row: np.ndarray) -> np.ndarray:
        """Months or SEK of rows, shape (n,), times weight."""
        return per_row if self.weight is None else per_row * self.weight

    def rows(self, keep: np.ndarray) -> Cohort:
        """The same cohort with only the rows in ``keep`` (a mask or indices); all centres stay."""
        cut: dict[str, Any] = {name: None if (v := getattr(self, name)) is None else v[keep]
                               for name in ("person", "centre", "sex", "band", "months", "cost", "weight", "fit_cost",
                                            "prior_cost")}
        flags = (self.flags.rows(keep) if isinstance(self.flags, PackedFlags)
                 else {rule: f[keep] for rule, f in self.flags.items()})
        return replace(self, **cut, flags=flags,
                       groups={name: g[keep] for name, g in self.groups.items()}, borne_cost=None)

    def profiles(self, rule: str | None = None) -> Profiles:
        """The distinct combinations of cell and flags under a rule (None: cells alone), found once."""
        if rule not in self._profiles:
            self._profiles[rule] = _profiles(self.cell, self._bits(rule) if rule else None, len(self.conditions))
        return self._profiles[rule]

    @cached_property
    def _profiles(self) -> dict[str | None, Profiles]:
        return {}

    @cached_property
    def found(self) -> dict[str, Any]:
        """What others found out from the rows alone and need not find again."""
        return {}

    def once(self, name: str, find: Callable[[], Found]) -> Found:
        """What ``find`` gives, under a name of its own in :attr:`found`; it depends on the rows alone."""
        if name not in self.found:
            self.found[name] = find()
        found: Found = self.found[name]
        return found

    def holders(self, rule: str) -> Sequence[np.ndarray]:
        """The rows that carry each condition under a rule, ascending, found once."""
        if rule not in self._holders:
            found = list[np.ndarray]()
            for byte in self._bits(rule).T:  # few rows carry any of eight conditions
                some = np.flatnonzero(byte != 0).astype(np.int32)
                held = byte[some]
                found += [some[held & (128 >> bit) != 0] for bit in range(8)]
            self._holders[rule] = found[:len(self.conditions)]
        return self._holders[rule]

    def _bits(self, rule: str) -> np.ndarray:
        """A rule's flags as bits, uint8, shape (n, ⌈C/8⌉)."""
        flags = self.flags
        return flags.bits[rule] if isinstance(flags, PackedFlags) else np.packbits(flags[rule], axis=1)

    @cached_property
    def _holders(self) -> dict[str, Sequence[np.ndarray]]:
        return {}

    def persons_holding(self, rule: str) -> np.ndarray:
        """Distinct persons who carry each condition, int64, shape (C,), counted once."""
        if rule not in self._persons_holding:
            self._persons_holding[rule] = np.array([n_distinct(self.person[rows]) for rows in self.holders(rule)],
                                                   dtype=np.int64)
        return self._persons_holding[rule]

    @cached_property
    def _persons_holding(self) -> dict[str, np.ndarray]:
        return {}

    def totals(self, rule: str | None = None) -> CentreTotals:
        """Sums per centre of the design columns and of cost, found once; enough to settle any amount table."""
        if rule not in self._totals:
            self._totals[rule] = self._summed(rule)
        return self._totals[rule]

    @cached_property
    def _totals(self) -> dict[str | None, CentreTotals]:
        return {}

    def _summed(self, rule: str | None) -> CentreTotals:
        K, e = self.n_centres, self.exposure
        if rule:
            flagged = np.zeros((K, len(self.conditions)))
            for c, on in enumerate(self.holders(rule)):
                flagged[:, c] = np.bincount(self.centre[on], weights=e[on], minlength=K)
            return replace(self.totals(), conditions=self.conditions, flagged_months=flagged)
        cells = np.bincount(self.centre * np.int64(N_CELLS) + self.cell, weights=e, minlength=K * N_CELLS)
        listed_cost = np.bincount(self.centre, weights=self.weighted(self.cost), minlength=K)
        return CentreTotals(
            centre_ids=self.centre_ids,
            months_by_cell=cells.reshape(K, N_CELLS),
            conditions=(),
            flagged_months=np.zeros((K, 0)),
            cost=listed_cost if self.borne_cost is None else self.borne_cost,
        )

    def to_frame(self) -> pd.DataFrame:
        """The cohort as a tidy frame (flags of every rule as columns ``rule:condition``)."""
        frame = pd.DataFrame({
            "person": self.person, "centre_id": self.centre_ids[self.centre],
            "sex": np.array(["K", "M"])[self.sex], "age_band": np.array(BAND_LABELS)[self.band],
            "months": self.months, "cost": self.cost,
        })
        for rule, f in self.flags.items():
            for c, name in enumerate(self.conditions):
                frame[f"{rule}:{name}"] = f[:, c]
        return frame

    def __repr__(self) -> str:
        what = f"{self.period}" if self.period else "of a reduced table"
        return (f"Cohort {what}: {len(np.unique(self.person)):,} persons, {self.n_centres} centres, "
                f"{self.months.sum():,.0f} listed months, {self.cost.sum() / 1e6:,.1f} MSEK, "
                f"{len(self.conditions)} conditions")

    def _repr_html_(self) -> str:
        return f"<p>{self!r}</p>"


def n_distinct(person: np.ndarray) -> int:
    """Distinct persons among rows of a cohort in their order, where a person's rows lie together."""
    return int(np.count_nonzero(person[1:] != person[:-1])) + (len(person) > 0)


@dataclass(frozen=True, eq=False)
class Profiles:
    """The U distinct combinations of cell and flags among n rows: what a table pays depends on nothing else.

    Attributes
    ----------
    of_row : int32 (uint8 of cells alone), shape (n,)
        The row's profile.
    cell : int64, shape (U,)
    flags : bool, shape (U, C)
    """

    of_row: np.ndarray
    cell: np.ndarray
    flags: np.ndarray

    def sum(self, per_row: np.ndarray) -> np.ndarray:
        """Rows of shape (n,) added up per profile, shape (U,)."""
        return np.bincount(self.of_row, per_row, len(self.cell))


def _profiles(cell: np.ndarray, bits: np.ndarray | None, n_conditions: int) -> Profiles:
    """In the order of their first row; of cells alone all 42."""
    if bits is None or not n_conditions:
        return Profiles(cell.astype(np.uint8), np.arange(N_CELLS), np.zeros((N_CELLS, 0), dtype=bool))
    code = cell
    for start in range(0, bits.shape[1], 4):  # four bytes of flags beside a code below 2³¹
        for byte in bits[:, start:start + 4].T:
            code = code << 8 | byte
        code = pd.factorize(code)[0]
    first = np.flatnonzero(np.diff(np.maximum.accumulate(code), prepend=-1))  # codes count up as they appear
    flags = np.unpackbits(bits[first], axis=1, count=n_conditions).view(bool)
    return Profiles(code.astype(np.int32), cell[first], flags)


@dataclass(frozen=True)
class CentreTotals:
    """Sums per centre: what is left when persons have been added up.

    Attributes
    ----------
    centre_ids : shape (K,)
    months_by_cell : float64, shape (K, 42)
        Listed months per age band × sex, column band * 2 + sex.
    conditions : tuple of str, length C
    flagged_months : float64, shape (K, C)
        Listed months of persons who carry each flag.
    cost : float64, shape (K,)
        SEK borne by the centre before cost responsibility.
    """

    centre_ids: np.ndarray
    months_by_cell: np.ndarray
    conditions: tuple[str, ...]
    flagged_months: np.ndarray
    cost: np.ndarray

    @property
    def months(self) -> np.ndarray:
        """Listed months per centre, shape (K,)."""
        return self.months_by_cell.sum(axis=1)

    def __repr__(self) -> str:
        conditions = f", {len(self.conditions)} conditions" if self.conditions else ""
        return (f"Sums of {len(self.centre_ids):,} centres: {self.months.sum():,.0f} listed months, "
                f"{self.cost.sum() / 1e6:,.1f} MSEK{conditions}")

    def _repr_html_(self) -> str:
        return f"<p>{self!r}</p>"
