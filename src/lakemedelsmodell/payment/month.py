"""One month: everyone's listing there, age, sex and flags, paid by the amount table as it stands.

Nothing is rescaled: kronor × listed months. All sums are of whole öre and whole months (or days), so that they are
exact and depend on no order. With days a line is rounded to the öre, halves away from zero, and a centre's payment is
the sum of its lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd

from lakemedelsmodell.amounts import COUNTS, AmountTable
from lakemedelsmodell.conditions import ConditionSet, condition_set
from lakemedelsmodell.data.cohort import Cohort
from lakemedelsmodell.data.flags import Rule, build_cohort
from lakemedelsmodell.data.periods import Period, add_months
from lakemedelsmodell.data.tables import HalfYear
from lakemedelsmodell.errors import UserError
from lakemedelsmodell.facts import BAND_FROM, BAND_LABELS, N_CELLS, SEXES

Months = Literal["snapshot", "days"]

CNI_PARTS = 10_000
"""The care-need index is read in ten-thousandths."""

KEY = ["kind", "name", "sex", "age_from"]
"""What tells the components of a payment apart, as in amounts.csv."""


def half_away(numerator: np.ndarray, denominator: int) -> np.ndarray:
    """numerator ÷ denominator rounded to whole numbers, halves away from zero; int64, denominator > 0."""
    return np.sign(numerator) * ((2 * np.abs(numerator) + denominator) // (2 * denominator))


def conditions_of(table: AmountTable, given: str | None = None) -> ConditionSet:
    """The condition list a table's add-ons go with: ``given`` (a name or file), or the one the table names.

    Raises UserError where the list is not at hand, or is not the one the add-ons are for.
    """
    if not table.conditions:
        return ConditionSet("none", ())
    name = given or table.condition_set
    try:
        if name is None:
            raise UserError("")
        found = condition_set(name)
    except UserError:
        if given:
            raise
        raise UserError(f"The amounts of {table.model} go with the condition list {name!r}, which is not packaged. "
                        "Give its file with --conditions.") from None
    if table.kind != "count" and table.conditions != found.names:
        raise UserError(f"The amounts of {table.model} pay for {', '.join(table.conditions)}, but the list "
                        f"{found.name} has {', '.join(found.names)}. Use the list the amounts were made with.")
    return found


@dataclass(frozen=True, eq=False)
class Tariff:
    """An amount table in whole öre: what every component pays a listed month.

    Attributes
    ----------
    table : AmountTable
    cells : int64, shape (42,)
        Öre by band * 2 + sex; 0 where ``unset``.
    unset : bool, shape (42,)
        Cells for which no amount is set.
    add_ons : int64, shape (J,)
        Öre of each add-on of the table; 0 where none is set.
    per_cni : int or None
        Öre per unit of the centre's care-need index.
    """

    table: AmountTable
    cells: np.ndarray
    unset: np.ndarray
    add_ons: np.ndarray
    per_cni: int | None

    @classmethod
    def of(cls, table: AmountTable) -> Tariff:
        """Raises UserError for a table with a pool, an amount by history, or amounts finer than an öre: none of these
        can be paid monthly."""
        if table.pool_threshold is not None:
            raise UserError(
                f"{table.model} has a pool for a person's cost above {table.pool_threshold:,.0f} SEK in a half-year: "
                "what it pays is not known before the half-year is over, so it cannot be paid by the month. Pay a "
                "model without a pool (--model), or settle the half-year afterwards with evaluate.")
        if table.per_newcomer is not None:
            raise UserError(f"{table.model} has an amount for who was listed nowhere in the look-back, which the "
                            "monthly payment does not find out. Pay another model (--model).")

        def ore(sek: np.ndarray) -> np.ndarray:
            exact = 100 * np.nan_to_num(sek)
            if (np.abs(exact - np.rint(exact)) > 1e-6).any():
                raise UserError(f"{table.model} has amounts finer than an öre. Publish and pay whole kronor: round the "
                                "table first.")
            return np.rint(exact).astype(np.int64)

        cells = table.cells.reshape(-1)
        per_cni = None if table.per_cni is None else int(ore(np.array([table.per_cni]))[0])
        return cls(table, ore(cells), np.isnan(cells), ore(table.add_ons), per_cni)

    def paid(self, flags: np.ndarray) -> np.ndarray:
        """Which add-ons a person with these flags (n, conditions of the list) is paid for, bool (n, J).

        Of several highest add-ons of the same amount, the first in the table.
        """
        if self.table.kind == "count":
            number = flags.sum(axis=1).clip(max=len(COUNTS))
            paid = number[:, None] == np.arange(1, len(self.add_ons) + 1)
            return paid & (self.add_ons != 0)
        if self.table.kind == "condition":
            return flags & (self.add_ons != 0)
        paid = np.zeros_like(flags)
        free = np.ones(len(flags), dtype=bool)
        for c in self.by_height():
            paid[:, c] = flags[:, c] & free
            free &= ~flags[:, c]
        return paid

    def by_height(self) -> list[int]:
        """Add-ons above 0, highest first."""
        return [int(c) for c in np.argsort(-self.add_ons, kind="stable") if self.add_ons[c] > 0]

    def components(self) -> pd.DataFrame:
        """Kind, name, sex, age_from and ore_per_month of every component: 42 cells, J add-ons and, where paid, cni."""
        rows: list[tuple] = [("age_sex", BAND_LABELS[b], sex, start, int(self.cells[2 * b + s]))
                             for b, start in enumerate(BAND_FROM) for s, sex in enumerate(SEXES)]
        rows += [(self.table.kind, name, None, None, int(ore))
                 for name, ore in zip(self.table.conditions, self.add_ons, strict=True)]
        if self.per_cni is not None:
            rows.append(("cni", "centre_cni", None, None, self.per_cni))
        frame = pd.DataFrame(rows, columns=[*KEY, "ore_per_month"])
        return frame.astype({"sex": object, "age_from": "Int64"})


@dataclass(frozen=True, eq=False)
class Listed:
    """Who was listed where in one month; one row per person × centre, sorted by both.

    Attributes
    ----------
    month : date
        Its first.
    centres : DataFrame, K rows
        As in :class:`~lakemedelsmodell.data.cohort.Cohort`.
    units_per_month : int
        1 (snapshot), or the days of the month.
    person, centre : int64, shape (n,)
    units : int64, shape (n,)
        Listed months (snapshot) or days.
    cell : int64, shape (n,)
    flags : bool, shape (n, conditions of the list)
    """

    month: date
    centres: pd.DataFrame
    units_per_month: int
    person: np.ndarray
    centre: np.ndarray
    units: np.ndarray
    cell: np.ndarray
    flags: np.ndarray

    @classmethod
    def read(cls, half_year: HalfYear, month: date, conditions: ConditionSet, rule: Rule | None,
             months: Months = "snapshot") -> Listed:
        """From the tables; flags from the twelve months before the half-year of ``month``."""
        period = Period(month, add_months(month, 1))
        cohort: Cohort = build_cohort(half_year, period, conditions, rules=(rule,) if rule else (), months=months)
        per_month = 1 if months == "snapshot" else (period.end - period.start).days
        units = np.rint(cohort.months * per_month).astype(np.int64)
        flags = cohort.flags[rule] if rule else np.zeros((len(units), 0), dtype=bool)
        on = units > 0
        return cls(month, cohort.centres, per_month, cohort.person[on], cohort.centre[on].astype(np.int64), units[on],
                   cohort.cell[on], flags[on])

    @cached_property
    def persons(self) -> np.ndarray:
        """Persons per centre, shape (K,)."""
        return np.bincount(self.centre, minlength=len(self.centres))

    def care_need(self) -> np.ndarray:
        """Care-need index per centre in ten-thousandths, int64 (K,); UserError where a listing centre has none."""
        known = self.centres["cni"] if "cni" in self.centres else pd.Series(np.nan, self.centres.index)
        cni = known.to_numpy(dtype=float)
        if (lacking := (self.persons > 0) & ~(cni >= 0)).any():
            raise UserError(f"The care-need index of {lacking.sum()} centres is not known, first "
                            f"{self.centres['centre_id'].to_numpy()[lacking][0]}. Give the column cni in centres.")
        return np.rint(np.nan_to_num(cni) * CNI_PARTS).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Payment:
    """What each of K centres is paid for one month, component by component.

    Attributes
    ----------
    listed : Listed
    tariff : Tariff
    components : DataFrame, J rows
        kind, name, sex, age_from, ore_per_month.
    persons, units, ore : int64, shape (K, J)
        Persons, their listed months (or days) and öre behind each component at each centre.
    """

    listed: Listed
    tariff: Tariff
    components: pd.DataFrame
    persons: np.ndarray
    units: np.ndarray
    ore: np.ndarray

    @property
    def month(self) -> date:
        return self.listed.month

    @property
    def lookback(self) -> Period:
        """The months flags are read from."""
        return Period.half_year_of(self.month).before(12)

    @property
    def centre_ids(self) -> np.ndarray:
        return self.listed.centres["centre_id"].to_numpy()

    @property
    def unit(self) -> str:
        """Name of the column that counts ``units``."""
        return "listed_months" if self.listed.units_per_month == 1 else "listed_days"

    @property
    def centre_units(self) -> np.ndarray:
        """Listed months (or days) per centre, shape (K,)."""
        return np.bincount(self.listed.centre, self.listed.units, len(self.centre_ids)).astype(np.int64)

    @property
    def centre_ore(self) -> np.ndarray:
        """What each centre is paid, öre, shape (K,)."""
        return self.ore.sum(axis=1)

    def control(self) -> dict[str, int]:
        """The total reached three ways, öre.

        ``by_component_ore`` and ``by_centre_ore`` add up the lines; ``by_person_ore`` pays each person alone by
        :meth:`AmountTable.per_month`, and differs by the rounding of lines to the öre, if at all.
        """
        table, listed = self.tariff.table, self.listed
        per_month = np.rint(100 * table.per_month(listed.cell, listed.flags)).astype(np.int64)
        whole = int((per_month * listed.units).sum()) * CNI_PARTS
        if self.tariff.per_cni is not None:
            whole += int((self.centre_units * listed.care_need()).sum()) * self.tariff.per_cni
        parts = listed.units_per_month * CNI_PARTS
        return {"by_component_ore": int(self.ore.sum(axis=0).sum()), "by_centre_ore": int(self.centre_ore.sum()),
                "by_person_ore": (2 * whole + parts) // (2 * parts)}

    def to_frame(self) -> pd.DataFrame:
        """One row per centre and component that somebody stands behind, in the order of centre and table.

        centre_id, kind, name, sex, age_from, persons, listed_months (or listed_days), ore_per_month, ore.
        """
        centre, row = np.nonzero(self.persons)
        frame = self.components.iloc[row].reset_index(drop=True)
        frame.insert(0, "centre_id", self.centre_ids[centre])
        frame.insert(5, "persons", self.persons[centre, row])
        frame.insert(6, self.unit, self.units[centre, row])
        return frame.assign(ore=self.ore[centre, row])

    def _repr_html_(self) -> str:
        return (f"<b>Payment</b> {self.month:%Y-%m} by {self.tariff.table.model}: {len(self.centre_ids)} centres, "
                f"{self.listed.persons.sum():,} listed, SEK {self.ore.sum() / 100:,.2f}")


def pay(half_year: HalfYear, table: AmountTable, month: date, *, conditions: ConditionSet | None = None,
        months: Months = "snapshot") -> Payment:
    """Each centre's payment for the month that begins on ``month``.

    Parameters
    ----------
    half_year : HalfYear
        Listings of the month, and dispensings of the twelve months before its half-year.
    table : AmountTable
        Frozen amounts, SEK per listed month, no finer than an öre.
    month : date
        The first of a month.
    conditions : ConditionSet, optional
        The list the add-ons go with; None = the one the table names.
    months : "snapshot" or "days"
        A whole month for whom the centre lists on the 1st, or listed days ÷ days of the month.

    Raises
    ------
    UserError
        A pool, amounts finer than an öre, a cell without an amount where someone is listed, a centre without
        care-need index where it is paid for, or a condition list that is not the table's.
    """
    conditions = conditions or conditions_of(table)
    rule: Rule | None = table.rule if table.conditions else None  # type: ignore[assignment]
    return pay_listed(Listed.read(half_year, month, conditions, rule, months), Tariff.of(table))


def pay_listed(listed: Listed, tariff: Tariff) -> Payment:
    """The payment of a month that has been counted; errors as :func:`pay`."""
    K, D = len(listed.centres), listed.units_per_month
    if (unset := tariff.unset[listed.cell]).any():
        band, sex = divmod(int(listed.cell[unset].min()), len(SEXES))
        raise UserError(f"{tariff.table.model} has no amount for {BAND_LABELS[band]} {SEXES[sex]}, but persons of that "
                        "age and sex are listed. Add the amount.")
    at = listed.centre * N_CELLS + listed.cell

    def by_cell(weights: np.ndarray | None = None) -> np.ndarray:
        return np.bincount(at, weights, K * N_CELLS).astype(np.int64).reshape(K, N_CELLS)

    persons, units = [by_cell()], [by_cell(listed.units)]
    paid = tariff.paid(listed.flags) if len(tariff.add_ons) else np.zeros((len(at), 0), dtype=bool)
    for on in paid.T:
        persons.append(np.bincount(listed.centre[on], minlength=K)[:, None])
        units.append(np.bincount(listed.centre[on], listed.units[on], K).astype(np.int64)[:, None])
    amounts = [np.tile(np.concatenate([tariff.cells, tariff.add_ons]) * CNI_PARTS, (K, 1))]
    if tariff.per_cni is not None:
        persons.append(listed.persons[:, None])
        units.append(np.bincount(listed.centre, listed.units, K).astype(np.int64)[:, None])
        amounts.append((tariff.per_cni * listed.care_need())[:, None])
    months = np.hstack(units)
    return Payment(listed, tariff, tariff.components(), np.hstack(persons), months,
                   half_away(months * np.hstack(amounts), D * CNI_PARTS))
