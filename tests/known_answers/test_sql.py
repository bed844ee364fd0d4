"""The payment's SQL at the edges of the flag rule: one person and one centre for each, so that every edge shows."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
import sqlglot

from half_years import half_year
from lakemedelsmodell.amounts import AmountTable
from lakemedelsmodell.conditions import Condition, ConditionSet
from lakemedelsmodell.errors import UserError
from lakemedelsmodell.payment import DIALECTS, pay, payment_sql
from sql_engines import TABLES, assert_same, on_duckdb, unreadable

JUNE = date(2026, 6, 1)
SET = ConditionSet("edges", (
    Condition("dose", include=("A10",), min_dates=2, min_days_apart=45, min_ddd=90, min_packages=2),
    Condition("thrice", include=("C09",), exclude=("C09DX",), min_dates=3, yields_to=("both",)),
    Condition("marker", include=("B01",), marker_only=True), Condition("both", requires=("dose", "marker")),
    Condition("deeper", include=("L01",), requires=("both",))))
TABLE = AmountTable("edges", np.full((21, 2), 1.0), SET.names, np.array([10.0, 100.0, 1000.0, 10000.0]), rule="listed")

D = True  # dose-dispensed
PERSONS = {
    "exactly enough": [("03-01", "A10BA02", 1, 45), ("04-15", "A10BB01", 1, 45)],
    "a day too near": [("03-01", "A10BA02", 1, 45), ("04-14", "A10BB01", 1, 45)],
    "a thousandth too little": [("03-01", "A10BA02", 1, 45), ("04-15", "A10BB01", 1, 44.999)],
    "a package too few": [("03-01", "A10BA02", 0.5, 45), ("04-15", "A10BB01", 1, 45)],
    "untidy codes": [("03-01", "a10 ba02", 1, 45), ("04-15", "A10.BB01", 1, 45)],
    "one date of two is undone": [("03-01", "A10BA02", 1, 45), ("04-15", "A10BA02", 2, 90),
                                  ("04-15", "A10BA02", -2, -45)],
    "undone in part": [("03-01", "A10BA02", 1, 45), ("04-15", "A10BA02", 3, 90), ("04-15", "A10BA02", -2, -45)],
    "doses of a month are one date": [("03-01", "C09AA01", 1, 9, D), ("03-15", "C09AA01", 1, 9, D),
                                      ("04-02", "C09AA01", 1, 9, D)],
    "doses of three months": [(f"0{m}-07", "C09AA01", 1, 9, D) for m in (3, 4, 5)],
    "a dose beside a pack": [("03-01", "C09AA01", 1, 9), ("03-01", "C09AA01", 1, 9, D), ("03-15", "C09AA01", 1, 9, D),
                             ("04-02", "C09AA01", 1, 9)],
    "a dose beside a pack, corrected": [("03-01", "C09AA01", 2, 9), ("03-01", "C09AA01", 1, 9, D),
                                        ("03-01", "C09AA01", -1, 9), ("03-15", "C09AA01", 1, 9, D),
                                        ("04-02", "C09AA01", 1, 9)],
    "doses by code": [("03-01", "C09AA01", 1, 9, D), ("03-15", "C09CA01", 1, 9, D), ("03-20", "C09DX04", 1, 9)],
    "required and yielding": [("03-01", "A10BA02", 1, 45), ("04-15", "A10BB01", 1, 45), ("03-01", "B01AC06", 1, 9),
                              *[(f"0{m}-07", "C09AA01", 1, 9) for m in (3, 4, 5)], ("06-01", "L01BA01", 1, 9)],
    "outside the year": [("03-01", "A10BA02", 1, 45)],
}


@pytest.fixture(scope="module")
def year():
    rows = [(str(i), date.fromisoformat(f"2025-{on}"), code, packages, float(ddd), 0.0, bool(dosed))
            for i, bought in enumerate(PERSONS.values(), 1) for on, code, packages, ddd, *dosed in bought]
    last = str(len(PERSONS))
    rows += [(last, on, "A10BA02", 1.0, 90.0, 0.0, False) for on in (date(2024, 12, 31), date(2026, 1, 1))]
    rows += [(last, date(2025, m, 28), "B01AC06", 1.0, 1.0, 0.0, False) for m in range(1, 13)]
    centres = [(f"{i:02d}", name) for i, name in enumerate(PERSONS, 1)]
    return half_year([row[:6] for row in rows], dose_dispensed=[row[6] for row in rows], centres=centres,
                     persons=[(str(int(c)), "K", "1960-05", None) for c, _ in centres],
                     listings=[(str(int(c)), c, "2020-01-01", None) for c, _ in centres])


def test_what_each_edge_is_paid(year):
    payment = pay(year, TABLE, JUNE, conditions=SET)
    ore = dict(zip(PERSONS, (payment.centre_ore // 100).tolist(), strict=True))
    assert ore == {
        "exactly enough": 11, "a day too near": 1, "a thousandth too little": 1, "a package too few": 1,
        "untidy codes": 11, "one date of two is undone": 1, "undone in part": 11, "doses of a month are one date": 1,
        "doses of three months": 101, "a dose beside a pack": 1, "a dose beside a pack, corrected": 101,
        "doses by code": 1, "required and yielding": 11011, "outside the year": 1}


@pytest.mark.parametrize("rule", ["listed", "dispensed"])
def test_the_script_draws_every_edge_alike(year, rule):
    table = replace(TABLE, rule=rule)
    tables = {name: year.held[name] for name in TABLES}
    payment = pay(year, table, JUNE, conditions=SET)
    assert_same(on_duckdb(tables, payment_sql(table, JUNE, "duckdb", SET)), payment)
    t_sql = sqlglot.transpile(payment_sql(table, JUNE, "tsql", SET), read="tsql", write="duckdb")
    assert_same(on_duckdb(tables, *filter(None, t_sql)), payment)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_is_read_as_such(dialect):
    script = payment_sql(TABLE, JUNE, dialect, SET, "days")
    assert sqlglot.parse(script, read=dialect)
    assert script == payment_sql(TABLE, JUNE, dialect, SET, "days")
    assert max(map(len, script.splitlines())) <= 130
    for table in ("persons", "listings", "centres", "dispensings"):  # one place to put a name of one's own
        assert script.count(f"FROM {table}\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("months", ["snapshot", "days"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_grammar_of_other_makers_reads_every_dialect(dialect, months):
    script = payment_sql(TABLE, JUNE, dialect, SET, months)
    written_as = {"spark": "sparksql"}.get(dialect, dialect)
    assert not unreadable(script, written_as)
    assert unreadable(script.replace("FROM centres", "FROM FROM centres"), written_as)


def test_an_unknown_dialect_is_named():
    with pytest.raises(UserError, match="no dialect 'mysql'"):
        payment_sql(TABLE, JUNE, "mysql", SET)
