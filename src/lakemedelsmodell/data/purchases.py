"""Purchases as arrays: what persons were dispensed, one row per person, code and date with corrections deducted."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lakemedelsmodell.data.engines import arrays
from lakemedelsmodell.data.flag_kernel import CodeIndex, counted_dates

if TYPE_CHECKING:
    from lakemedelsmodell.data.tables import HalfYear

NEVER = np.iinfo(np.int32).max


@dataclass(frozen=True, eq=False)
class Purchases:
    """N purchases, sorted by person, day and code.

    Attributes
    ----------
    person : int64, shape (N,)
        Number of the person.
    code : int64, shape (N,)
        Place in the codes of the half-year; one beyond the last where the code is missing.
    day : int64, shape (N,)
        Days since 1970-01-01.
    milli_ddd, milli_packages : int64, shape (N,)
        Thousandths. A correction without a purchase is a row whose packages are not above 0.
    dose_dispensed : bool, shape (N,)
        All that was bought was dose-dispensed. A day with both is loose, so that a later dose of its month counts as
        another date; the rule itself, which asks rows, counts one.
    gross_ore, cost_ore : int64, shape (N,)
        Öre before the patient's fee and what the region paid of it; the same where gross prices are not known.
    in_base : bool, shape (N,)
        Whether the cost counts.
    """

    person: np.ndarray
    code: np.ndarray
    day: np.ndarray
    milli_ddd: np.ndarray
    milli_packages: np.ndarray
    dose_dispensed: np.ndarray
    gross_ore: np.ndarray
    cost_ore: np.ndarray
    in_base: np.ndarray

    def __len__(self) -> int:
        return len(self.person)

    @property
    def month(self) -> np.ndarray:
        """Calendar months since January 1970, int64, shape (N,)."""
        return month_of(self.day)

    def rows(self, keep: np.ndarray) -> Purchases:
        """Some of the rows: a mask, or places in order."""
        return Purchases(**{f.name: getattr(self, f.name)[keep] for f in fields(self)})

    def with_rows(self, added: Purchases) -> Purchases:
        """These rows and those, in order."""
        both = {f.name: np.concatenate([getattr(self, f.name), getattr(added, f.name)]) for f in fields(self)}
        order = _in_order(both["person"], both["day"], both["code"])
        return Purchases(**{name: column[order] for name, column in both.items()})

    def numbered(self, person: np.ndarray) -> Purchases:
        """The same rows with other numbers of persons, which must keep their order."""
        return replace(self, person=person)


def _in_order(person: np.ndarray, day: np.ndarray, code: np.ndarray) -> np.ndarray:
    """Places by person, day and code; equal ones stay as they lie. One key, since most rows lie in order already."""
    if not len(person):
        return np.zeros(0, dtype=np.int64)
    days, codes = int(day.max() - day.min()) + 1, int(code.max()) + 1
    if int(person.max() + 1) * days * codes >= 2**62 or min(person.min(), code.min()) < 0:
        return np.lexsort((code, day, person))
    return np.argsort((person * days + (day - day.min())) * codes + code, kind="stable")


def no_purchases() -> Purchases:
    """No rows at all."""
    kinds = {"dose_dispensed": bool, "in_base": bool}
    return Purchases(**{f.name: np.zeros(0, dtype=kinds.get(f.name, np.int64)) for f in fields(Purchases)})


def month_of(day: np.ndarray) -> np.ndarray:
    """Calendar months since January 1970 of days since 1970-01-01."""
    return day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)


def gross_prices_known(half_year: HalfYear) -> bool:
    return "gross_price" in half_year.has["dispensings"] and not half_year.counts.get("gross_price_unknown")


def read_purchases(half_year: HalfYear, *, persons: np.ndarray | None = None,
                   codes: np.ndarray | None = None, money: bool = True) -> Purchases:
    """Everybody's purchases, or those of some ``persons`` (numbers) or ``codes`` (texts), of all days in the data.

    Without ``money``, as flags need them, costs are 0.
    """
    import ibis

    t = half_year.dispensings
    if codes is not None:
        t = t.semi_join(ibis.memtable(pd.DataFrame({"atc": codes}), schema={"atc": "string"}), "atc")
    who = half_year.persons.select("person_id", "person")
    if persons is not None:
        chosen = ibis.memtable(pd.DataFrame({"person": persons.astype(np.int64)}))
        who = who.semi_join(chosen, "person")
    known = list(half_year.codes["atc"])
    numbers = ibis.memtable(pd.DataFrame({"atc": known, "code": np.arange(len(known))}),
                            schema={"atc": "string", "code": "int64"})
    t = t.join(who, "person_id").left_join(numbers, "atc")
    gross = t.gross_price if gross_prices_known(half_year) else t.cost
    t = t.select("person", "dose_dispensed", "in_base", code=t.code.fill_null(len(known)), day=t.date.epoch_days(),
                 packages=(t.packages.fill_null(0) * 1000).round().cast("int64"),
                 ddd=(t.ddd.fill_null(0) * 1000).round().cast("int64"),
                 gross=(gross * 100).round().cast("int64"), cost=(t.cost * 100).round().cast("int64"))
    loose = (~t.dose_dispensed & (t.packages > 0)).ifelse(1, 0)
    sums = {"milli_ddd": t.ddd.sum(), "milli_packages": t.packages.sum(), "loose": loose.max()}
    if money:
        sums |= {"gross_ore": t.gross.sum(), "cost_ore": t.cost.sum(), "base": t.in_base.ifelse(1, 0).max()}
    t = t.group_by("person", "day", "code").agg(**sums).order_by("person", "day", "code")
    found = arrays(t)
    if not money:
        found |= {name: np.zeros(len(found["person"]), dtype=np.int64) for name in ("gross_ore", "cost_ore", "base")}
    return Purchases(
        **{name: found[name].astype(np.int64, copy=False) for name in
           ("person", "code", "day", "milli_ddd", "milli_packages", "gross_ore", "cost_ore")},
        dose_dispensed=found["loose"] == 0, in_base=found["base"] > 0)


@dataclass(frozen=True, eq=False)
class Marks:
    """What was dispensed of a condition's codes, per person × condition × calendar month, sorted so.

    Attributes
    ----------
    key : int64, shape (n,)
        Person × conditions + condition.
    month : int64, shape (n,)
    first, last : int64, shape (n,)
        First and last counted date; far ahead and −1 where none counts.
    dates : int64, shape (n,)
    milli_ddd, milli_packages : int64, shape (n,)
    """

    key: np.ndarray
    month: np.ndarray
    first: np.ndarray
    last: np.ndarray
    dates: np.ndarray
    milli_ddd: np.ndarray
    milli_packages: np.ndarray

    def window(self, first: int, end: int) -> Marks:
        """The months [first, end) of every key added up."""
        return _added_up(self, np.flatnonzero((self.month >= first) & (self.month < end)), by_month=False)


def monthly_marks(rows: Purchases, index: CodeIndex, conditions: int) -> Marks:
    """Marks of the purchases of each of so many conditions: any look-back of whole months is a sum of them."""
    of_row, condition = index.pairs(rows.code)
    key = rows.person[of_row] * conditions + condition
    order = np.argsort(key, kind="stable")  # days stay in order within a key
    of_row, key = of_row[order], key[order]
    day, month = rows.day[of_row], rows.month[of_row]
    counted = counted_dates(key, rows.code[of_row], month, rows.dose_dispensed[of_row],
                            rows.milli_packages[of_row] > 0)
    dates = np.flatnonzero(counted)
    new = np.zeros(len(key), dtype=np.int64)
    new[dates] = (np.diff(key[dates], prepend=-1) != 0) | (np.diff(day[dates], prepend=-1) != 0)
    return _added_up(Marks(key, month, np.where(counted, day, NEVER), np.where(counted, day, -1), new,
                           rows.milli_ddd[of_row], rows.milli_packages[of_row]),
                     np.arange(len(key)), by_month=True)


def _added_up(marks: Marks, rows: np.ndarray, *, by_month: bool) -> Marks:
    if not len(rows):
        return Marks(*(getattr(marks, f.name)[:0] for f in fields(Marks)))
    key, month = marks.key[rows], marks.month[rows]
    new = np.diff(key, prepend=-1) != 0
    if by_month:
        new |= np.diff(month, prepend=-1) != 0
    at = np.flatnonzero(new)
    return Marks(
        key[at], month[at], np.minimum.reduceat(marks.first[rows], at), np.maximum.reduceat(marks.last[rows], at),
        *(np.add.reduceat(getattr(marks, name)[rows], at) for name in ("dates", "milli_ddd", "milli_packages")))
