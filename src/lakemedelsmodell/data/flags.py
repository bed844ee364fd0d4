"""Months, costs and condition flags out of a half-year's tables: every question asked of the rows, in Ibis.

Money is summed in öre, DDD and packages in thousandths and months in whole parts, so that no
result depends on the order of the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from lakemedelsmodell.data import reduction
from lakemedelsmodell.data.cohort import Cohort, PackedFlags
from lakemedelsmodell.data.engines import arrays, arrow, first_row, kept
from lakemedelsmodell.data.flag_kernel import least
from lakemedelsmodell.data.periods import BAND_MONTHS, MONTH_PARTS, Period, add_months
from lakemedelsmodell.data.reduction import How
from lakemedelsmodell.data.rows import Rows, day_number
from lakemedelsmodell.data.tables import HalfYear
from lakemedelsmodell.errors import DataError, Problem
from lakemedelsmodell.facts import BAND_FROM, N_CELLS, SEXES

if TYPE_CHECKING:
    from ibis.expr.types import Column, Table

    from lakemedelsmodell.conditions import Condition, ConditionSet

Rule = Literal["dispensed", "listed"]

AMOUNT = {"benefit_cost": "cost", "gross_price": "gross"}
"""Column of ``rows.Rows`` by cost base."""

OPEN_END = date(9999, 12, 31)

MANY_DRUGS = 5
HISTORY_MONTHS = 12
"""Who was not listed so long before the period has a short history; who changed centre within it has moved."""


def build_cohort(
    half_year: HalfYear,
    period: Period,
    conditions: ConditionSet,
    *,
    lookback: Period | None = None,
    rules: Sequence[Rule] = ("dispensed", "listed"),
    months: Literal["snapshot", "days"] = "snapshot",
    cost_base: Literal["benefit_cost", "gross_price"] = "benefit_cost",
    borne_by: Literal["listing", "prescriber"] = "listing",
    traits: bool = False,
    progress: Callable[[str], Any] | None = None,
) -> Cohort:
    """Everyone listed in ``period``: listed months, SEK and flags per person × centre × age band.

    Flags are read from ``lookback``, by default the twelve months before the half-year that holds ``period.start``.
    ``Cohort.person`` is the person's number in ``half_year.persons``.

    Parameters
    ----------
    months
        ``snapshot``: a month and its cost belong to the centre that lists the person on the 1st;
        ``days``: listed days ÷ days of the month, cost by date.
    cost_base
        Which column is the cost of a row of base drugs.
    borne_by
        ``prescriber``: only what a centre prescribed is cost, and that centre bears it (``borne_cost``).
    traits
        Find ``Cohort.groups`` and ``Cohort.prior_cost`` too: what no model sees of a person, to hold payments against.
    progress : callable, optional
        Called with a few words as the work goes on.

    Raises
    ------
    DataError
        The cost column the settings need is missing or has gaps.
    """
    say = progress or (lambda _: None)
    _check_settings(half_year, cost_base, borne_by)
    lookback = lookback or Period.half_year_of(period.start).before(12)

    say(f"{period}: months and costs")
    rows, borne, counts = _months_and_costs(half_year, period, months, cost_base, borne_by)
    person = rows["person"].astype(np.int64)
    persons = half_year.persons.order_by("person")
    male = arrays(persons.select(male=(persons.sex == "M").ifelse(1, 0)))["male"].astype(np.uint8)
    newcomer = np.zeros(len(male), dtype=bool)
    newcomer[person] = True
    newcomer[_listed_throughout(half_year, lookback)] = False
    counts["persons_without_history"] = int(np.count_nonzero(newcomer))

    say(f"{period}: conditions from {lookback}")
    groups, prior_cost = _traits(half_year, period, lookback, conditions, cost_base) if traits else ({}, None)
    window = (lookback.start, lookback.end)
    flags: dict[str, np.ndarray] = {rule: _flags(half_year, window, conditions, rule)[person] for rule in rules}
    return Cohort(
        centres=half_year.centres_frame, period=period, person=person, centre=rows["centre"].astype(np.int32),
        sex=male[person], band=rows["band"].astype(np.uint8), months=rows["parts"] / MONTH_PARTS,
        cost=rows["ore"] / 100, conditions=conditions.names, flags=PackedFlags(flags, len(conditions.names)),
        borne_cost=borne,
        groups={name: held[person] for name, held in groups.items()},
        prior_cost=None if prior_cost is None else prior_cost[person],
        counts={kind: n for kind, n in sorted({**half_year.counts, **counts}.items()) if n})


def _frame(table: Table) -> pd.DataFrame:
    return arrow(table).to_pandas()


def _rows(table: Table) -> int:
    return int(first_row(table.aggregate(n=table.count()))["n"])


def _persons(half_year: HalfYear) -> int:
    if "persons" not in half_year.flags_read:
        half_year.flags_read["persons"] = _rows(half_year.persons)
    return half_year.flags_read["persons"]


def _whole(value: int) -> Any:
    import ibis

    return ibis.literal(value, "int64")


def _ore(amount: Column) -> Column:
    return (amount * 100).round().cast("int64")


def _thousandths(amount: Column) -> Column:
    return (amount.fill_null(0) * 1000).round().cast("int64")


def _band(at: Column, birth_month: Column) -> Column:
    """Five-year band of the age in completed years on the 1st of the month of ``at``."""
    import ibis

    lived = (at.year() - birth_month.year()) * 12 + at.month() - birth_month.month()
    return ibis.least(lived // BAND_MONTHS, len(BAND_FROM) - 1).cast("int32")


def _check_settings(half_year: HalfYear, cost_base: str, borne_by: str) -> None:
    has = half_year.has["dispensings"]
    if borne_by == "prescriber" and "prescriber_centre_id" not in has:
        raise DataError(Problem("dispensings", "the setting borne_by = prescriber needs to know who prescribed",
                                "Add prescriber_centre_id, or set borne_by = listing.", column="prescriber_centre_id"))
    if cost_base == "gross_price" and ("gross_price" not in has or half_year.counts.get("gross_price_unknown")):
        raise DataError(Problem("dispensings", "the setting cost_base = gross_price needs it in every row",
                                "Fill in gross_price, or set cost_base = benefit_cost.", column="gross_price",
                                count=half_year.counts.get("gross_price_unknown", 1)))


# Months and costs


def centre_sums(half_year: HalfYear, period: Period, conditions: ConditionSet, *, lookback: Period,
                rule: Rule = "dispensed", months: Literal["snapshot", "days"] = "snapshot",
                cost_base: Literal["benefit_cost", "gross_price"] = "benefit_cost",
                borne_by: Literal["listing", "prescriber"] = "listing") -> pd.DataFrame:
    """The sums of :func:`build_cohort`'s cohort per centre, added up where the rows lie: no person comes back.

    Returns
    -------
    DataFrame
        One row per centre with the columns of ``data.totals_file``: months, cost (SEK the centre bears), listed
        months per age and sex (age_sex_K_60_64 …) and with each condition (flag_…).
    """
    _check_settings(half_year, cost_base, borne_by)
    listed = _listed_once(half_year)
    rows, borne = _rows_of_months_and_costs(half_year, listed, period, months, cost_base, borne_by)[:2]
    sexed = rows.join(half_year.persons.select("person", "sex"), "person")
    cells = _frame(sexed.group_by("centre", "sex", "band").agg(parts=sexed.parts.sum(), ore=sexed.ore.sum()))
    held = _held(half_year, (lookback.start, lookback.end), conditions, rule)
    flagged = rows.group_by("person", "centre").agg(parts=rows.parts.sum()).join(held, "person")
    flagged = _frame(flagged.group_by("centre", "condition").agg(parts=flagged.parts.sum()))

    K, number = len(half_year.centres_frame), _numbers(conditions)
    by_cell, by_flag = np.zeros((K, N_CELLS)), np.zeros((K, len(number)))
    by_cell[cells["centre"], cells["band"] * 2 + (cells["sex"] == "M")] = cells["parts"] / MONTH_PARTS
    by_flag[flagged["centre"], flagged["condition"]] = flagged["parts"] / MONTH_PARTS
    cost = cells.groupby("centre")["ore"].sum().reindex(range(K), fill_value=0).to_numpy() / 100
    last = len(BAND_FROM) - 1
    names = [f"age_sex_{sex}_{a}_{'up' if b == last else a + 4}" for b, a in enumerate(BAND_FROM) for sex in SEXES]
    return pd.concat([
        half_year.centres_frame[["centre_id", "name"]],
        pd.DataFrame({"months": by_cell.sum(axis=1), "cost": cost if borne is None else borne}),
        pd.DataFrame(by_cell, columns=names),
        pd.DataFrame({f"flag_{name}": by_flag[:, number[name]] for name in conditions.names})], axis=1)


def _months_and_costs(half_year: HalfYear, period: Period, months: How, cost_base: str, borne_by: str
                      ) -> tuple[dict[str, np.ndarray], np.ndarray | None, dict[str, int]]:
    """Parts of months and öre per person, centre and band, sorted; SEK borne by each centre; what is left out."""
    if half_year.rows and borne_by == "listing":
        amount = AMOUNT[cost_base]
        sums, counted = reduction.months_and_costs(half_year.rows, period, months, amount,
                                                   len(half_year.centres_frame))
        there = half_year.rows.sums.within((period.start, period.end))
        rows, ore = (int((there[name] - there[f"outside_{name}"]).sum()) for name in ("rows", amount))
        return sums, None, _left_out(0, 0, rows - counted, ore - int(sums["ore"].sum()))
    t, borne, others, others_ore, total = _rows_of_months_and_costs(
        half_year, _listed_once(half_year), period, months, cost_base, borne_by)
    t = t.group_by("person", "centre", "band").agg(
        parts=t.parts.sum().cast("int32"), ore=t.ore.sum(), rows=t.rows.sum().cast("int32"))
    sums = arrays(t)
    counted = int(sums.pop("rows").sum())
    key = (sums["person"].astype(np.int64) * len(half_year.centres_frame) + sums["centre"]) * len(BAND_FROM)
    order = np.argsort(key + sums["band"])
    for name in sums:
        sums[name] = sums[name][order]
    return sums, borne, _left_out(others, others_ore, total["rows"] - others - counted,
                                  total["ore"] - others_ore - int(sums["ore"].sum()))


def _left_out(others: int, others_ore: int, unlisted: int, unlisted_ore: int) -> dict[str, int]:
    return {"dispensings_of_other_prescribers": others, "cost_of_other_prescribers_sek": round(others_ore / 100),
            "dispensings_without_listed_month": unlisted, "cost_without_listed_month_sek": round(unlisted_ore / 100)}


def _rows_of_months_and_costs(half_year: HalfYear, listed: Table, period: Period, months: str, cost_base: str,
                              borne_by: str) -> tuple[Table, np.ndarray | None, int, int, dict[str, int]]:
    """Rows to be added up: parts of a month with no cost, costs with no month; then SEK borne by each centre, rows and
    öre of others' prescriptions, and all rows and öre there are.
    """
    base = _base_rows(half_year, period, cost_base, months)
    matched = base.join(listed, [base.person_id == listed.person_id, base.at >= listed.start, base.at < listed.end])
    total = first_row(base.aggregate(rows=base.count(), ore=base.ore.sum().fill_null(0)))
    borne, others, others_ore = None, 0, 0
    if borne_by == "prescriber":
        borne, others, others_ore = _borne(half_year, matched)
        matched = matched.semi_join(half_year.centres, matched.prescriber_centre_id == half_year.centres.centre_id)
    costs = matched.select("person", "centre", band=_band(matched.at, matched.birth_month), parts=_whole(0), ore="ore",
                           rows=_whole(1))
    return _months(listed, period, months).union(costs), borne, others, others_ore, total


def _listed_once(half_year: HalfYear) -> Table:
    if "listed" not in half_year.flags_read:
        half_year.flags_read["listed"] = kept(_listed(half_year))
    return half_year.flags_read["listed"]


def _listed(half_year: HalfYear) -> Table:
    """Stretches [start, end) in which a person who is born and alive is listed: person, centre, birth_month too."""
    import ibis

    numbers = ibis.memtable(pd.DataFrame({"centre_id": half_year.centres_frame["centre_id"],
                                          "centre": np.arange(len(half_year.centres_frame), dtype=np.int32)}))
    t = half_year.listings.join(half_year.persons, "person_id").join(numbers, "centre_id")
    t = t.select("person_id", "person", "centre", "birth_month", start=ibis.greatest(t.start_date, t.birth_month),
                 end=ibis.least(t.end_date.fill_null(OPEN_END), t.death_date.fill_null(OPEN_END)))
    return t.filter(t.start < t.end)


def _months(listed: Table, period: Period, how: str) -> Table:
    """Parts of listed months of each stretch in the period, by age band, with no cost yet."""
    t = _firsts(listed, period) if how == "snapshot" else _days(listed, period)
    return t.select("person", "centre", "band", "parts", ore=_whole(0), rows=_whole(0))


def _firsts(listed: Table, period: Period) -> Table:
    """A month for every 1st: counted from where the stretch and the band begin to where one of them ends."""
    import ibis

    def number(day: Column) -> Column:
        return day.year() * 12 + day.month()

    def next_first(day: Column) -> Column:
        return number(day) + (day.day() > 1).ifelse(1, 0)

    low, high = (day.year * 12 + day.month for day in (period.start, period.end))
    t = listed.select("person", "centre", born=number(listed.birth_month),
                      low=ibis.greatest(next_first(listed.start), low), high=ibis.least(next_first(listed.end), high))
    t = t.filter(t.low < t.high)
    t = t.mutate(band=((t.low - t.born) // BAND_MONTHS).cast("int32"))
    found = []
    for later in range(-(-period.n_months // BAND_MONTHS) + 1):
        band = t.band + later
        begins = t.born + band * BAND_MONTHS
        firsts = ibis.least(t.high, begins + BAND_MONTHS) - ibis.greatest(t.low, begins)
        found.append(t.filter(firsts > 0).select(
            "person", "centre", band=ibis.least(band, len(BAND_FROM) - 1).cast("int32"),
            parts=firsts.cast("int64") * MONTH_PARTS))
    return ibis.union(*found)


def _days(listed: Table, period: Period) -> Table:
    """Listed days ÷ days of the month, for every month of the period."""
    import ibis

    frame = pd.DataFrame({"month": period.months, "following": [add_months(m, 1) for m in period.months]})
    frame["parts_per_day"] = [MONTH_PARTS // (b - a).days for a, b in zip(frame.month, frame.following, strict=True)]
    t = listed.cross_join(ibis.memtable(frame, schema={"month": "date", "following": "date", "parts_per_day": "int64"}))
    t = t.filter(t.start < t.following, t.month < t.end)
    days = ibis.least(t.end, t.following).delta(ibis.greatest(t.start, t.month), unit="day")
    return t.select("person", "centre", band=_band(t.month, t.birth_month), parts=days * t.parts_per_day)


def _base_rows(half_year: HalfYear, period: Period, cost_base: str, months: str) -> Table:
    """Dispensings of base drugs in the period: öre, and the day ``at`` that decides whose they are."""
    t = half_year.dispensings
    t = t.filter(t.date >= period.start, t.date < period.end, t.in_base)
    amount = t.cost if cost_base == "benefit_cost" else t.gross_price
    return t.select("person_id", "prescriber_centre_id", at=t.date.truncate("M") if months == "snapshot" else t.date,
                    ore=_ore(amount))


def _borne(half_year: HalfYear, matched: Table) -> tuple[np.ndarray, int, int]:
    """SEK each centre prescribed, shape (K,), and the rows and öre that others prescribed."""
    by = matched.group_by("prescriber_centre_id").agg(rows=matched.count(), ore=matched.ore.sum())
    by = _frame(by).set_index("prescriber_centre_id")
    ids = half_year.centres_frame["centre_id"]
    others = by[~by.index.isin(ids)].sum()
    return by["ore"].reindex(ids).fillna(0).to_numpy(float) / 100, int(others["rows"]), int(others["ore"])


def _listed_throughout(half_year: HalfYear, window: Period) -> np.ndarray:
    """Numbers of the persons listed on every day of the window."""
    import ibis

    if half_year.rows:
        listed, days = half_year.rows.listed, (day_number(window.start), day_number(window.end))
        return np.flatnonzero(np.bincount(listed.person, listed.days(days)) == days[1] - days[0])
    listed = _listed_once(half_year)
    t = listed.filter(listed.start < window.end, listed.end > window.start)
    days = ibis.least(t.end, window.end).delta(ibis.greatest(t.start, window.start), unit="day")
    t = t.group_by("person").agg(days=days.sum())
    return arrays(t.filter(t.days == (window.end - window.start).days).select("person"))["person"]


# Traits


def _traits(half_year: HalfYear, period: Period, lookback: Period, conditions: ConditionSet, cost_base: str
            ) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """Groups by what no model sees, bool per person, and SEK in the look-back per month listed then, nan for nobody's.

    ``drugs:5+``: so many codes with packages left in the look-back when corrections are deducted;
    ``dose_dispensed:yes``: any dose-dispensing in it, the nearest the data come to a nursing home; ``moved:yes``:
    listed at two centres or more in the year before the period; ``history:short``: not listed every day of it. The
    cost is what the look-back's base drugs came to in the cost base; None where the look-back does not end before the
    period begins.
    """
    n, year = _persons(half_year), period.before(HISTORY_MONTHS)
    if half_year.rows:
        seen = _look_back(half_year, (lookback.start, lookback.end), conditions, cost_base)
        drugs, dosed, ore = seen.drugs, seen.dosed, seen.ore
        listed_days, days, moved = reduction.stays(half_year.rows.listed, lookback, year, n)
    else:
        drugs, dosed, ore = _of_all(_bought(half_year, lookback, cost_base), n)
        listed_days, days, moved = _of_all(_stay(_listed_once(half_year), lookback, year), n)
    with np.errstate(divide="ignore", invalid="ignore"):
        per_day = np.where(listed_days > 0, ore / 100 / listed_days, np.nan)
    days_a_month = (lookback.end - lookback.start).days / lookback.n_months
    return {
        f"drugs:{MANY_DRUGS}+": drugs >= MANY_DRUGS, "dose_dispensed:yes": dosed > 0,
        "moved:yes": moved > 0, "history:short": days < (year.end - year.start).days,
    }, per_day * days_a_month if lookback.end <= period.start else None


def _of_all(table: Table, n: int) -> list[np.ndarray]:
    """The table's columns but the person, int64, shape (n,): 0 of those who are not in it."""
    columns = arrays(table)
    person = columns.pop("person")
    found = [np.zeros(n, dtype=np.int64) for _ in columns]
    for of_all, column in zip(found, columns.values(), strict=True):
        of_all[person] = column
    return found


def _bought(half_year: HalfYear, lookback: Period, cost_base: str) -> Table:
    """Per person: number of drugs, whether any was dose-dispensed, öre of base drugs."""
    t = half_year.dispensings
    t = t.filter(t.date >= lookback.start, t.date < lookback.end)
    amount = t.cost if cost_base == "benefit_cost" else t.gross_price
    t = t.group_by("person_id", "atc").agg(
        packages=_thousandths(t.packages).sum(), dosed=(t.dose_dispensed & (t.packages > 0)).ifelse(1, 0).max(),
        ore=t.in_base.ifelse(_ore(amount), 0).sum())
    t = t.group_by("person_id").agg(
        drugs=((t.packages > 0) & t.atc.notnull()).ifelse(1, 0).sum(), dosed=t.dosed.max(), ore=t.ore.sum())
    return t.join(half_year.persons, "person_id").select("person", "drugs", "dosed", "ore")


def _stay(listed: Table, lookback: Period, year: Period) -> Table:
    """Per person: days listed in the look-back; and in the year before the period, and whether at several centres."""
    import ibis

    def days(window: Period) -> Column:
        inside = ibis.least(listed.end, window.end).delta(ibis.greatest(listed.start, window.start), unit="day")
        return ibis.greatest(inside, 0)

    t = listed.mutate(lookback_days=days(lookback), days=days(year))
    there = (t.days > 0).ifelse(t.centre, None)
    return t.group_by("person").agg(lookback_days=t.lookback_days.sum(), days=t.days.sum(),
                                    moved=(there.min() < there.max()).ifelse(1, 0))


# Conditions


def _flags(half_year: HalfYear, window: tuple[date, date], conditions: ConditionSet, rule: Rule) -> np.ndarray:
    """Flags as bits, uint8, shape (persons in the order of their number, ⌈conditions/8⌉), see :class:`PackedFlags`.

    They are read once and then fixed: periods of one half-year share them.
    """
    if half_year.rows and (window, conditions, rule) not in half_year.flags_read:
        _look_back(half_year, window, conditions)
    if (window, conditions, rule) in half_year.flags_read:
        return half_year.flags_read[window, conditions, rule]
    held = arrays(_held(half_year, window, conditions, rule))
    bits = np.zeros((_persons(half_year), -(-len(conditions.names) // 8)), dtype=np.uint8)
    for number, c in enumerate(_columns(conditions)):
        if c >= 0:  # one condition at a time: a person then stands there once
            bits[held["person"][held["condition"] == number], c // 8] |= np.uint8(128 >> c % 8)
    half_year.flags_read[window, conditions, rule] = bits
    return bits


def _look_back(half_year: HalfYear, window: tuple[date, date], conditions: ConditionSet,
               cost_base: str = "benefit_cost") -> reduction.LookBack:
    """All that a window of rows by person tells; its flags and its codes' users are kept."""
    assert half_year.rows
    found = reduction.look_back(half_year.rows, window, conditions, list(half_year.codes["atc"]), AMOUNT[cost_base])
    half_year.flags_read.update({(window, conditions, rule): bits for rule, bits in found.flags.items()})
    half_year.flags_read["users", window] = found.users
    return found


def _columns(conditions: ConditionSet) -> np.ndarray:
    """Column of ``conditions.names`` by number of the condition; −1 for one that is never reported."""
    column = {name: i for i, name in enumerate(conditions.names)}
    return np.array([column.get(c.name, -1) for c in conditions.conditions], dtype=np.int64)


def _numbers(conditions: ConditionSet) -> dict[str, int]:
    return {c.name: i for i, c in enumerate(conditions.conditions)}


def _held(half_year: HalfYear, window: tuple[date, date], conditions: ConditionSet, rule: Rule) -> Table:
    """Number of the person × number of the condition, for every flag."""
    held = _resolve(_found(_marks_under(half_year, window, conditions, rule), conditions, rule), conditions)
    return held.join(half_year.persons, "person_id").select("person", "condition")


def _marks_under(half_year: HalfYear, window: tuple[date, date], conditions: ConditionSet, rule: Rule) -> Table:
    """:func:`_marks` as a rule reads the list: of conditions that it narrows, which are few, they are found anew."""
    marks = _marks_once(half_year, window, conditions)
    narrowed = {i for i, c in enumerate(conditions.conditions) if c.exclude_listed}
    if rule == "dispensed" or not narrowed:
        return marks
    strict = replace(conditions, conditions=tuple(
        c if i in narrowed else replace(c, include=()) for i, c in enumerate(conditions.under(rule).conditions)))
    return marks.filter(marks.condition.notin(sorted(narrowed))).union(_marks_once(half_year, window, strict))


def _marks_once(half_year: HalfYear, window: tuple[date, date], conditions: ConditionSet) -> Table:
    """:func:`_marks` of a window, found once for all rules; conditions are numbered as in ``conditions.conditions``."""
    import ibis

    marks = half_year.flags_read.get((window, conditions))
    if marks is None:
        number = {c.name: i for i, c in enumerate(conditions.conditions)}
        expanded = conditions.expand(half_year.codes["atc"])
        expanded = expanded.assign(condition=[number[name] for name in expanded["condition"]])
        codes = ibis.memtable(expanded, schema={"atc": "string", "condition": "int32"})
        many = any((c.min_dates or 0) > 2 for c in conditions.conditions)
        marks = half_year.flags_read[window, conditions] = kept(
            _marks(half_year, window, codes, many))
    return marks


def read_marks(half_year: HalfYear, window: tuple[date, date], conditions: ConditionSet) -> dict[str, np.ndarray]:
    """Who was dispensed the codes of which reported condition in ``window`` [from, to), whatever thresholds say.

    Returns
    -------
    dict of arrays, one entry per person and condition with a counted date
        person: number of the person in ``half_year.persons``; condition: column of ``conditions.names``; first, last:
        first and last counted date, datetime64[D]; ddd: net DDD.
    """
    marks = _marks_once(half_year, window, conditions).join(half_year.persons, "person_id")
    found = arrays(marks.select("person", "condition", "first", "last", "ddd").order_by("person", "condition"))
    condition = _columns(conditions)[found["condition"]]
    told = condition >= 0
    return {"person": found["person"][told].astype(np.int64), "condition": condition[told],
            "first": found["first"][told], "last": found["last"][told], "ddd": found["ddd"][told] / 1000}


def _marks(half_year: HalfYear, window: tuple[date, date], codes: Table, count_dates: bool) -> Table:
    """Person × marker: first and last counted date, number of dates (2 for more where that will do), net DDD and
    packages in thousandths.

    A date counts where the net packages of person, code and date are positive; dose-dispensing counts once per
    person, code and calendar month. Only dates with a correction need netting: they are few, and set aside first.
    """
    t = half_year.dispensings
    t = t.filter(t.date >= window[0], t.date < window[1]).semi_join(codes, "atc")
    t = t.select("person_id", "atc", "date", "dose_dispensed", packages=_thousandths(t.packages),
                 ddd=_thousandths(t.ddd))
    key = ["person_id", "atc", "date"]
    corrected = kept(t.filter(t.packages <= 0).select(key).distinct())
    net = kept(_net(t.semi_join(corrected, key)))
    dosed = _net(t.filter(t.dose_dispensed).anti_join(corrected, key)).union(
        net.filter(net.loose == 0, net.packages > 0))
    dosed = kept(dosed.group_by("person_id", "atc", month=dosed.date.truncate("M")).agg(
        date=dosed.date.min(), packages=dosed.packages.sum(), ddd=dosed.ddd.sum()).drop("month"))
    names = ["person_id", "atc", "date", "packages", "ddd"]
    single = net.filter((net.loose == 1) | (net.packages <= 0))
    single = single.mutate(date=(single.packages > 0).ifelse(single.date, None))
    rows = t.filter(~t.dose_dispensed).anti_join(corrected, key).select(names)
    rows = rows.union(single.select(names)).union(dosed.select(names)).join(codes, "atc")
    marks = rows.group_by("person_id", "condition").agg(
        first=rows.date.min(), last=rows.date.max(), packages=rows.packages.sum(), ddd=rows.ddd.sum(),
        **({"dates": rows.date.nunique()} if count_dates else {}))
    if not count_dates:
        marks = marks.mutate(dates=(marks.first < marks.last).ifelse(2, 1))
    return marks.filter(marks.first.notnull())


def _net(rows: Table) -> Table:
    """Sums per person, code and date; ``loose`` is 0 where all that was bought was dose-dispensed, else 1."""
    loose = ~rows.dose_dispensed & (rows.packages > 0)
    return rows.group_by("person_id", "atc", "date").agg(
        loose=loose.ifelse(1, 0).max(), packages=rows.packages.sum(), ddd=rows.ddd.sum())


def _found(marks: Table, conditions: ConditionSet, rule: Rule) -> Table:
    """Person × condition as its own codes say, before other conditions have a say."""
    import ibis

    if rule == "dispensed":
        return marks.select("person_id", "condition")
    limits = ibis.memtable(pd.DataFrame({
        "condition": np.arange(len(conditions.conditions), dtype=np.int32),
        "min_dates": [c.min_dates or 0 for c in conditions.conditions],
        "min_days_apart": [c.min_days_apart or 0 for c in conditions.conditions],
        "min_ddd": [least(c.min_ddd) for c in conditions.conditions],
        "min_packages": [least(c.min_packages) for c in conditions.conditions]}))
    t = marks.join(limits, "condition")
    return t.filter(t.dates >= t.min_dates, t.last.delta(t.first, unit="day") >= t.min_days_apart,
                    t.ddd >= t.min_ddd, t.packages >= t.min_packages).select("person_id", "condition")


def _resolve(found: Table, conditions: ConditionSet) -> Table:
    """What remains when conditions require others, are made of others, and then yield to others."""
    number = {c.name: i for i, c in enumerate(conditions.conditions)}
    for level in _requiring(conditions):
        needs = _pairs([(number[c.name], number[r]) for c in level for r in c.requires])
        met = found.join(needs, found.condition == needs.other).group_by("person_id", condition="because").agg(
            n=lambda t: t.other.count())
        wanted = _pairs([(number[c.name], len(c.requires)) for c in level])
        met = met.join(wanted, [met.condition == wanted.because, met.n == wanted.other])
        met = met.select("person_id", "condition")
        own = met.filter(met.condition.isin([number[c.name] for c in level if c.include] or [-1]))
        made = met.filter(met.condition.isin([number[c.name] for c in level if not c.include] or [-1]))
        bare = found.filter(found.condition.notin([number[c.name] for c in level]))
        found = bare.union(found.semi_join(own, ["person_id", "condition"])).union(made)
    yields = [(number[c.name], number[y]) for c in conditions.conditions for y in c.yields_to]
    if not yields:
        return found
    table = _pairs(yields)
    gone = found.join(table, found.condition == table.other).select("person_id", condition="because")
    return found.anti_join(gone, ["person_id", "condition"])


def _requiring(conditions: ConditionSet) -> list[list[Condition]]:
    """Conditions that require others, in levels: each requires only what earlier levels have settled."""
    waiting = {c.name: c for c in conditions.conditions if c.requires}
    levels = []
    while waiting:
        level = [c for c in waiting.values() if not waiting.keys() & set(c.requires)]
        if not level:
            raise ValueError(f"conditions require each other in a circle: {', '.join(waiting)}")
        levels.append(level)
        waiting = {name: c for name, c in waiting.items() if c not in level}
    return levels


def _pairs(pairs: list[tuple[int, int]]) -> Table:
    import ibis

    return ibis.memtable(pd.DataFrame(pairs, columns=["because", "other"], dtype=np.int32))


def read_flags(half_year: HalfYear, window: tuple[date, date], conditions: ConditionSet, rule: Rule) -> pd.DataFrame:
    """Flags of everyone in persons from the dispensings in ``window`` [from, to).

    Returns
    -------
    DataFrame
        ``person_id`` (sorted) and one bool column per reported condition, named as the condition is.
    """
    persons = _frame(half_year.persons.order_by("person").select("person_id"))
    held = PackedFlags({rule: _flags(half_year, window, conditions, rule)}, len(conditions.names))[rule]
    return pd.concat([persons, pd.DataFrame(held, columns=list(conditions.names))], axis=1)


def dispensings_outside(half_year: HalfYear, window: tuple[date, date]) -> int:
    """Number of dispensings before or after ``window`` [from, to)."""
    if half_year.rows and _whole_months(window):
        sums = half_year.rows.sums
        return int(sums.of["rows"].sum() - sums.within(window)["rows"].sum())
    t = half_year.dispensings
    return _rows(t.filter((t.date < window[0]) | (t.date >= window[1])))


def _whole_months(window: tuple[date, date]) -> bool:
    return window[0].day == window[1].day == 1


def code_summary(half_year: HalfYear, window: tuple[date, date]) -> pd.DataFrame:
    """What was dispensed of each code in ``window`` [from, to), corrections deducted.

    Returns
    -------
    DataFrame
        atc (sorted), rows, packages, ddd, cost_sek, gross_sek (SEK, nan where any is unknown), base_rows,
        positive_rows (rows with packages above 0), persons (who were dispensed it).
    """
    if half_year.rows and _whole_months(window):
        return _code_summary(half_year, half_year.rows, window)
    t = half_year.dispensings
    t = t.filter(t.date >= window[0], t.date < window[1], t.atc.notnull())
    sums = _frame(t.group_by("atc").agg(
        rows=t.count(), packages=_thousandths(t.packages).sum(), ddd=_thousandths(t.ddd).sum(),
        cost_sek=_ore(t.cost).sum(), gross_sek=_ore(t.gross_price).sum(),
        gross_unknown=t.gross_price.isnull().ifelse(1, 0).sum(), base_rows=t.in_base.ifelse(1, 0).sum(),
        positive_rows=(t.packages > 0).ifelse(1, 0).sum(), persons=t.person_id.nunique()).order_by("atc"))
    sums[["packages", "ddd"]] = sums[["packages", "ddd"]] / 1000
    sums[["cost_sek", "gross_sek"]] = sums[["cost_sek", "gross_sek"]].astype(float) / 100
    return sums.assign(gross_sek=sums["gross_sek"].where(sums["gross_unknown"] == 0)).drop(columns="gross_unknown")


def _code_summary(half_year: HalfYear, rows: Rows, window: tuple[date, date]) -> pd.DataFrame:
    users = half_year.flags_read.get(("users", window))
    s = {name: per_code[:-1] for name, per_code in rows.sums.within(window).items()}
    sums = half_year.codes[["atc"]].assign(
        rows=s["rows"], packages=s["packages"] / 1000, ddd=s["ddd"] / 1000, cost_sek=s["cost"] / 100,
        gross_sek=np.where(s["no_gross"] == 0, s["gross"] / 100, np.nan), base_rows=s["rows"] - s["outside_rows"],
        positive_rows=s["rows"] - s["not_bought"],
        persons=reduction.users(rows, window) if users is None else users)
    return sums[sums["rows"] > 0].reset_index(drop=True)


def centre_use(half_year: HalfYear, period: Period, *, months: Literal["snapshot", "days"] = "snapshot",
               cost_base: Literal["benefit_cost", "gross_price"] = "benefit_cost",
               borne_by: Literal["listing", "prescriber"] = "listing") -> pd.DataFrame:
    """Base drugs of each centre's listed persons in ``period``, by code: what its cost is made of.

    Settings as for :func:`build_cohort`; by ``prescriber`` what the centre prescribed to anybody listed.

    Returns
    -------
    DataFrame
        centre_id, atc (sorted by both), ddd, cost (SEK in the cost base) and persons. Rows without a code are left
        out.
    """
    if half_year.rows and borne_by == "listing":
        K = len(half_year.centres_frame)
        use = reduction.use_of_codes(half_year.rows, period, months, AMOUNT[cost_base], K)
        centre, code = np.nonzero(use["rows"])
        return pd.DataFrame({
            "centre_id": half_year.centres_frame["centre_id"].to_numpy()[centre],
            "atc": half_year.codes["atc"].array[code], "ddd": use["ddd"][centre, code] / 1000,
            "cost": use["ore"][centre, code] / 100, "persons": use["persons"][centre, code]})
    t = half_year.dispensings
    t = t.filter(t.date >= period.start, t.date < period.end, t.in_base, t.atc.notnull())
    amount = t.cost if cost_base == "benefit_cost" else t.gross_price
    t = t.select("person_id", "prescriber_centre_id", "atc", ddd=_thousandths(t.ddd), ore=_ore(amount),
                 at=t.date.truncate("M") if months == "snapshot" else t.date)
    listed = _listed_once(half_year)
    t = t.join(listed, [t.person_id == listed.person_id, t.at >= listed.start, t.at < listed.end])
    ids = half_year.centres_frame["centre_id"]
    key = "centre" if borne_by == "listing" else "prescriber_centre_id"
    sums = _frame(t.group_by(key, "atc").agg(ddd=t.ddd.sum(), ore=t.ore.sum(), persons=t.person_id.nunique()))
    sums["centre_id"] = ids.to_numpy()[sums["centre"]] if key == "centre" else sums[key]
    sums = sums[sums["centre_id"].isin(ids)].sort_values(["centre_id", "atc"], ignore_index=True)
    return sums[["centre_id", "atc"]].assign(
        ddd=sums["ddd"].astype(float) / 1000, cost=sums["ore"].astype(float) / 100, persons=sums["persons"])
