"""The payment's SQL gives what ``pay`` gives, to the öre, on every engine that is here and on half-years drawn."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

from half_years import half_year
from lakemedelsmodell.amounts import COUNTS, AmountTable
from lakemedelsmodell.conditions import Condition, ConditionSet
from lakemedelsmodell.data.periods import add_months
from lakemedelsmodell.data.tables import HalfYear
from lakemedelsmodell.payment import pay, payment_sql
from sql_engines import TABLES, assert_same, on_duckdb, on_postgres, on_spark

MONTH = date(2026, 2, 1)
PERSONS = [str(i) for i in range(1, 16)]
CODES = ["A10BA02", "a10bb01", "A10 BK01", "C09.AA01", " L01BA01 ", "J01CE02", "X", None]
CONDITIONS = ConditionSet("drawn", (
    Condition("oral", include=("A10B",), exclude=("A10BK",), exclude_listed=("A10BB",), min_dates=2, min_days_apart=45,
              min_ddd=90, yields_to=("both",)),
    Condition("sglt2", include=("A10BK01",), min_packages=2, yields_to=("oral",)),
    Condition("pressure", include=("C09",), min_dates=3, marker_only=True),
    Condition("both", requires=("oral", "pressure")),
    Condition("cancer", include=("L01BA01", "J01"), requires=("both",)),
    Condition("any", include=("A", "C", "L"), min_ddd=200, yields_to=("sglt2",)),
))
TWICE = ConditionSet("twice", (Condition("oral", include=("A10B",), min_dates=2, yields_to=("all",)),
                               Condition("all", include=("A", "C", "L"), min_packages=1)))


@st.composite
def half_years(draw) -> HalfYear:
    """People who are born, die, move and are listed in parts of the month, with refills, corrections and doses."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    persons, listings = [], []
    for p in PERSONS:
        birth = add_months(date(1920, 1, 1), int(rng.choice([rng.integers(0, 1270), rng.integers(1260, 1280)])))
        death = date(2026, 1, 1) + timedelta(int(rng.integers(-20, 90))) if rng.random() < 0.3 else None
        death = death if death is None or death >= birth else None
        persons.append((p, "KM"[rng.integers(2)], f"{birth:%Y-%m}", death))
        cuts = np.sort(rng.integers(-40, 120, 2 * rng.integers(1, 4)))
        for a, b in zip(cuts[::2], cuts[1::2], strict=True):
            end = None if b > 80 else date(2026, 1, 1) + timedelta(int(b))
            listings.append((p, "AB"[rng.integers(2)], date(2026, 1, 1) + timedelta(int(a)), end))
            if end is None:
                break
    some_days = rng.integers(0, 380, draw(st.integers(1, 25)))
    rows, dosed = [], []
    for i in range(150):
        packages = float(rng.choice([1, 1, 2, 3, 0.5, -1, -2, 0]))
        # A purchase in every month of the look-back, so that the script has nothing to complain of.
        on = date(2025, i + 1, 5) if i < 12 else date(2024, 12, 20) + timedelta(int(rng.choice(some_days)))
        code = "A10BA02" if i < 12 else CODES[rng.integers(len(CODES))]
        rows.append((PERSONS[rng.integers(len(PERSONS))], on, code, packages,
                     float(np.sign(packages)) * float(rng.choice([0, 28.125, 30, 100])), max(packages, 0.0)))
        dosed.append(bool(rng.random() < 0.3))
    return half_year(rows, persons=persons, listings=listings, dose_dispensed=dosed,
                     centres=[("A", "Centre A"), ("B", "Centre B"), ("C", "Nobody's")])


@st.composite
def tables(draw) -> tuple[AmountTable, ConditionSet]:
    """Amounts of every kind, some below 0, some not set, some alike."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    conditions = draw(st.sampled_from([CONDITIONS, TWICE]))
    kind = draw(st.sampled_from(["condition", "condition", "highest", "count"]))
    names = COUNTS if kind == "count" else conditions.names
    add_ons = rng.choice([0.0, 7, 7, 120.5, 999, -13 if kind == "condition" else 40, np.nan], len(names))
    table = AmountTable("drawn", rng.integers(-5, 900, (21, 2)).astype(float), names, add_ons, kind=kind,
                        rule=draw(st.sampled_from(["dispensed", "listed"])))
    return table, conditions


def raw(half_year: HalfYear) -> dict:
    """The tables as they came, before anything was read into types."""
    return {name: half_year.held[name] for name in TABLES}


drawn = given(year=half_years(), amounts=tables(), months=st.sampled_from(["snapshot", "days"]))


@settings(max_examples=8, derandomize=True)
@drawn
def test_on_duckdb_and_t_sql_translated_back_to_it(year, amounts, months):
    table, conditions = amounts
    payment = pay(year, table, MONTH, conditions=conditions, months=months)
    assert_same(on_duckdb(raw(year), payment_sql(table, MONTH, "duckdb", conditions, months)), payment)
    t_sql = payment_sql(table, MONTH, "tsql", conditions, months)
    translated = [s for s in sqlglot.transpile(t_sql, read="tsql", write="duckdb") if s]
    assert_same(on_duckdb(raw(year), *translated), payment)


@settings(max_examples=4, derandomize=True)
@drawn
def test_on_postgres(postgres_url, year, amounts, months):
    table, conditions = amounts
    payment = pay(year, table, MONTH, conditions=conditions, months=months)
    script = payment_sql(table, MONTH, "postgres", conditions, months)
    assert_same(on_postgres(postgres_url, raw(year), script), payment)


@pytest.mark.slow
@settings(max_examples=3, derandomize=True)
@drawn
def test_on_spark(spark, year, amounts, months):
    table, conditions = amounts
    payment = pay(year, table, MONTH, conditions=conditions, months=months)
    assert_same(on_spark(spark, raw(year), payment_sql(table, MONTH, "spark", conditions, months)), payment)


BOOLEAN = (exp.Predicate, exp.Connector, exp.Not, exp.Boolean)


@settings(max_examples=5, derandomize=True)
@given(amounts=tables(), months=st.sampled_from(["snapshot", "days"]))
def test_t_sql_has_no_boolean_among_what_it_selects(amounts, months):
    """SQL Server has none, and a translation to DuckDB would not show it."""
    table, conditions = amounts
    for statement in sqlglot.parse(payment_sql(table, MONTH, "tsql", conditions, months), read="tsql"):
        for select in [] if statement is None else statement.find_all(exp.Select):
            for selected in select.expressions:
                assert not isinstance(selected.unalias(), BOOLEAN), selected.sql("tsql")


def test_the_check_for_booleans_sees_one():
    selected = sqlglot.parse_one("SELECT MIN(d) < MAX(d) AS two FROM t", read="tsql").expressions[0]
    assert isinstance(selected.unalias(), BOOLEAN)
