"""Rows as whole numbers by person give what the expressions for databases find, on half-years that hypothesis draws."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from half_years import day, half_year
from lakemedelsmodell.data import flags, scan
from lakemedelsmodell.data import rows as by_person
from lakemedelsmodell.data.flags import build_cohort, centre_use, code_summary, dispensings_outside, read_flags
from lakemedelsmodell.data.periods import Period
from lakemedelsmodell.data.reduction import counted_dates
from lakemedelsmodell.data.rows import CODE, DAYS, MONTH, PERSON
from lakemedelsmodell.data.stretches import Stretches
from lakemedelsmodell.data.tables import HalfYear
from property.test_flags_property import CONDITIONS, H1, WINDOW, dispensings, lives

STRANGERS, NOBODY = ["77", "78"], None
UNEXPLAINED = ("dispensings_of", "dispensings_outside", "dispensings_before", "dispensings_after", "correction_without",
               "listings_before", "listings_after")


@pytest.fixture
def in_small_pieces(monkeypatch):
    """Blocks of four persons, handed over three rows at a time; two drugs are many."""
    monkeypatch.setattr(flags, "MANY_DRUGS", 2)
    monkeypatch.setattr(by_person, "PLACE", 2)
    monkeypatch.setattr(by_person, "BLOCK", 4)
    monkeypatch.setattr(by_person, "MANY_PIECES", 1)
    monkeypatch.setattr(scan, "BATCH", 3)


@st.composite
def tables(draw) -> tuple[list[dict], list[tuple], list[tuple]]:
    """Moves, deaths, corrections, fractions of packages, strangers, rows of nobody, without a code or outside the base.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    persons, listings = draw(lives())
    first = {p: i for i, (p, *_) in reversed(list(enumerate(listings)))}
    listings = [(p, c, date(2020, 1, 1) if first[p] == i and rng.random() < 0.5 else a, b)
                for i, (p, c, a, b) in enumerate(listings)]
    rows = draw(dispensings(first=date(2024, 12, 20), days=560))
    gross_known = rng.random() < 0.7
    for r in rows:
        r["person"] = rng.choice([r["person"]] * 8 + STRANGERS) if rng.random() > 0.05 else NOBODY
        r["atc"] = None if rng.random() < 0.05 else r["atc"]
        r["packages"] = float(rng.choice([r["packages"]] * 5 + [0.5, 0.0004]))
        r["ddd"] = None if rng.random() < 0.05 else r["ddd"]
        r["cost"] = 0.0 if r["cost"] < 0 < r["packages"] else r["cost"]
        r["in_base"] = bool(rng.random() < 0.8)
        r["gross_price"] = abs(r["cost"]) + 1 if gross_known or rng.random() < 0.5 else None
    return rows, persons, listings or [("1", "A", "2020-01-01", None)]


def as_half_year(rows: list[dict], persons: list[tuple], listings: list[tuple]) -> HalfYear:
    return half_year([(r["person"], r["date"], r["atc"], r["packages"], r["ddd"], r["cost"]) for r in rows],
                     persons=persons, listings=listings, dose_dispensed=[r["dosed"] for r in rows],
                     **{name: [r[name] for r in rows] for name in ("in_base", "gross_price")})


def asked(year: HalfYear) -> dict[str, object]:
    """Every answer there are two ways to, as text that shows each last digit and type."""
    found: dict[str, object] = {}
    gross_known = "gross_price" in year.has["dispensings"] and not year.counts.get("gross_price_unknown")
    bases = ["benefit_cost"] + ["gross_price"] * gross_known
    for months in ("snapshot", "days"):
        for base in bases:
            cohort = build_cohort(year, H1, CONDITIONS, months=months, cost_base=base, traits=True)
            arrays = {name: getattr(cohort, name) for name in (
                "person", "centre", "sex", "band", "months", "cost", "prior_cost")} | dict(cohort.groups) | {
                f"flags {rule}": bits for rule, bits in cohort.flags.bits.items()}
            found[f"{months} {base}"] = {name: (str(a.dtype), a.tobytes()) for name, a in arrays.items()} | {
                "counts": dict(cohort.counts)}
            found[f"use {months} {base}"] = text(centre_use(year, H1, months=months, cost_base=base))
    half = build_cohort(year, Period.half_year(2025, 2), CONDITIONS, rules=("listed",))
    found["fit"] = (half.cost.tobytes(), half.flags.bits["listed"].tobytes(), dict(half.counts))
    for rule in ("dispensed", "listed"):
        found[rule] = text(read_flags(year, (date(2025, 3, 7), date(2026, 2, 3)), CONDITIONS, rule))
    for window in (WINDOW, (date(2025, 7, 1), date(2026, 1, 1)), (date(2025, 7, 3), date(2026, 1, 9))):
        found[f"codes {window}"] = text(code_summary(year, window))
        found[f"outside {window}"] = dispensings_outside(year, window)
    return found


def text(frame: pd.DataFrame) -> str:
    return frame.to_csv() + str(frame.dtypes.astype(str).to_dict())


@settings(max_examples=5, derandomize=True, phases=[Phase.generate],
          suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large])
@given(drawn=tables())
def test_both_ways_give_the_same_to_the_last_bit(in_small_pieces, drawn):
    year = as_half_year(*drawn)
    assert year.rows and len(year.rows.blocks) >= 3
    ours, theirs = asked(year), asked(replace(year, rows=None, flags_read={}))
    for question, answer in theirs.items():
        assert ours[question] == answer, question


@settings(max_examples=60, derandomize=True)
@given(st.integers(0, 2**32))
def test_dates_that_count_are_those_of_a_plain_reading(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(0, 60))
    code, on = rng.integers(0, 2, n), rng.choice([3, 9, 30, 31, 32, 58, 59, 90], n)  # of January to April 1950
    key = np.sort(rng.integers(0, 2, n) << PERSON | code << CODE | on)
    packages, dosed = rng.choice([1000, 2000, 1, -1000, 0], n, p=[0.5, 0.15, 0.1, 0.2, 0.05]), rng.random(n) < 0.6
    expected = set()
    for drug in np.unique(key >> CODE):
        doses = defaultdict(list)
        for one in np.unique(key[key >> CODE == drug]):
            part, of_dose = packages[key == one], dosed[key == one]
            loose, left = (part[~of_dose] > 0).any(), part.sum() > 0
            corrected = (part <= 0).any()
            if loose and (left or not corrected):
                expected.add(one)
            if (left and not loose) if corrected else (part[of_dose] > 0).any():
                doses[MONTH[one & DAYS - 1]].append(one)
        expected |= {min(of_month) for of_month in doses.values()}
    assert set(key[counted_dates(key, packages, dosed)]) == expected


def counted(rows: list[dict], persons: list[tuple], listings: list[tuple]) -> dict[str, int]:
    """What nobody's listing or purchase explains, row by row; July may stand for any month of the year."""
    born = {p: date.fromisoformat(f"{b}-01") for p, _, b, _ in persons}
    born = {p: b.replace(month=1) if b.month == 7 else b for p, b in born.items()}
    died = {p: d or date.max for p, *_, d in persons}
    stays = defaultdict(list)
    for p, _, start, end in listings:
        stays[p].append((day(start), day(end) or date.max))
    net = defaultdict(list)
    for r in rows:
        if r["person"] and r["atc"]:
            net[r["person"], r["atc"], r["date"]].append(r["packages"])
    of_listed = [(r["person"], r["date"]) for r in rows if r["person"] in stays]
    found = {
        "dispensings_of_unlisted_person": len(rows) - len(of_listed),
        "dispensings_outside_listing": sum(not any(a <= on < b for a, b in stays[p]) for p, on in of_listed),
        "dispensings_before_birth": sum(on < born[p] for p, on in of_listed),
        "dispensings_after_death": sum(on >= died[p] for p, on in of_listed),
        "correction_without_purchase": sum(min(part) < 0 and sum(part) < 0 for part in net.values()),
        "listings_before_birth": sum(a < born[p] for p in stays for a, _ in stays[p]),
        "listings_after_death": sum(a >= died[p] for p in stays for a, _ in stays[p])}
    return {kind: n for kind, n in found.items() if n}


@settings(max_examples=10, derandomize=True, phases=[Phase.generate],
          suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large])
@given(drawn=tables())
def test_what_is_odd_is_counted_as_a_plain_reading_counts_it(in_small_pieces, drawn):
    year, expected = as_half_year(*drawn), counted(*drawn)
    assert {kind: n for kind, n in year.counts.items() if kind.startswith(UNEXPLAINED)} == expected


def test_who_comes_back_to_a_centre_is_one_person_there():
    year = half_year([("1", f"2026-0{month}-05", "A10BA02", 1, 30.0, 10.0) for month in (1, 3, 5)], listings=[
        ("1", "A", "2020-01-01", "2026-02-01"), ("1", "B", "2026-02-01", "2026-04-01"), ("1", "A", "2026-04-01", None)])
    assert year.rows
    use = centre_use(year, H1)
    assert use[["centre_id", "cost", "persons"]].to_numpy().tolist() == [["A", 20.0, 1], ["B", 10.0, 1]]


def test_a_stretch_without_a_day_hides_no_other():
    listed = Stretches.of(*(np.array(of) for of in ([0, 0], [3, 4], [0, 0], [5, 5], [9, 5])))
    assert listed.centre[listed.at(np.array([0]), np.array([6]))].tolist() == [3]
    assert listed.persons(1, 1).at(np.array([0]), np.array([6])).tolist() == [-1]
    assert listed.at(np.array([0, 0, 1]), np.array([4, 9, 6])).tolist() == [-1, -1, -1]


def test_stretches_of_some_persons_are_numbered_from_the_first_of_them():
    listed = Stretches.of(*(np.array(of) for of in ([0, 2, 2, 3], [5, 6, 7, 8], [0] * 4, [1, 1, 4, 1], [9, 3, 9, 9])))
    some = listed.persons(2, 2)
    assert some.person.tolist() == [0, 0, 1]
    assert some.centre[some.at(np.array([0, 0, 1]), np.array([2, 4, 8]))].tolist() == [6, 7, 8]


def test_users_of_a_code_are_persons_of_all_blocks_also_strangers_once_flags_are_read(in_small_pieces):
    who = {"A10BA02": "11256", "C09AA01": ["5", "77"], "L01BA01": "6"}
    year = half_year([(p, f"2025-0{i}-05", atc, 1, 30.0, 10.0) for atc, some in who.items()
                      for i, p in enumerate(some, 1)], persons=[(p, "K", "1960-05", None) for p in "123456"])
    assert len(year.rows.blocks) >= 2
    read_flags(year, WINDOW, CONDITIONS, "listed")
    assert dict(code_summary(year, WINDOW)[["atc", "persons"]].to_numpy()) == {"A10BA02": 4, "C09AA01": 2, "L01BA01": 1}


def test_months_and_costs_of_all_blocks_are_each_persons_own(in_small_pieces):
    people = [str(i) for i in range(1, 7)]
    year = half_year([(p, "2026-03-05", "A10BA02", 1, 30.0, float(p)) for p in people],
                     persons=[(p, "K", "1960-05", None) for p in people],
                     listings=[(p, "AB"[int(p) % 2], "2020-01-01", None) for p in people])
    assert len(year.rows.blocks) == 2
    cohort = build_cohort(year, H1, CONDITIONS)
    assert list(zip(cohort.person, cohort.centre, cohort.cost, strict=True)) == [
        (i, (i + 1) % 2, i + 1.0) for i in range(6)]


def test_amounts_too_large_for_rows_are_left_to_the_expressions():
    rows = [("1", "2025-03-01", "A10BA02", 1, 30.0, 10.0), ("1", "2026-03-01", "A10BA02", 1, 30.0, 21_000_000.0)]
    assert half_year(rows).rows
    dear = half_year([*rows, ("1", "2026-04-01", "A10BA02", 1, 30.0, 22_000_000.0)])
    assert dear.rows is None and build_cohort(dear, H1, CONDITIONS).cost.sum() == 43_000_000
