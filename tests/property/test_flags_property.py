"""Flags, months and costs against a plain reading of the rules in Python, on half-years that hypothesis draws."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from half_years import half_year
from lakemedelsmodell.conditions import Condition, ConditionSet
from lakemedelsmodell.data.flags import build_cohort, read_flags
from lakemedelsmodell.data.periods import Period, add_months
from lakemedelsmodell.data.tables import HalfYear

WINDOW = (date(2025, 1, 1), date(2026, 1, 1))
H1 = Period.half_year(2026, 1)
PERSONS = [str(i) for i in range(1, 13)]
CODES = ["A10BA02", "A10BB01", "A10BK01", "C09AA01", "L01BA01", "J01CE02"]
CONDITIONS = ConditionSet("drawn", (
    Condition("oral", include=("A10B",), exclude=("A10BK",), exclude_listed=("A10BB",), min_dates=2, min_days_apart=45,
              min_ddd=90, yields_to=("both",)),
    Condition("sglt2", include=("A10BK01",), min_packages=2, yields_to=("oral",)),
    Condition("pressure", include=("C09",), min_dates=3, marker_only=True),
    Condition("both", requires=("oral", "pressure")),
    Condition("cancer", include=("L01BA01", "J01"), requires=("both",)),
    Condition("any", include=("A", "C", "L"), min_ddd=200, yields_to=("sglt2",)),
))


# The judge


def judge(rows: list[dict], rule: str) -> set[str]:
    """The conditions one person holds by design.md, read line by line."""
    found = set()
    for c in CONDITIONS.conditions:
        left_out = (*c.exclude, *(c.exclude_listed if rule == "listed" else ()))
        own = [r for r in rows if r["atc"].startswith(c.include) and not r["atc"].startswith(left_out)]
        purchases = defaultdict(list)
        for r in own:
            purchases[r["atc"], r["date"]].append(r)
        bought = {key: part for key, part in purchases.items() if sum(r["packages"] for r in part) > 0}
        loose, dosed = ({key for key, part in bought.items() if any(r["packages"] > 0 and r["dosed"] == by_dose
                                                                    for r in part)} for by_dose in (False, True))
        dates = {d for _, d in loose} | {
            min(e for other, e in dosed if other == atc and (e.year, e.month) == (d.year, d.month)) for atc, d in dosed}
        enough = rule == "dispensed" or dates and (
            len(dates) >= (c.min_dates or 0) and (max(dates) - min(dates)).days >= (c.min_days_apart or 0)
            and sum(r["ddd"] for r in own) >= (c.min_ddd or 0)
            and sum(r["packages"] for r in own) >= (c.min_packages or 0))
        if (dates and enough if c.include else c.requires) and set(c.requires) <= found:  # these come first in the list
            found.add(c.name)
    return {c.name for c in CONDITIONS.conditions if c.name in found and not found & set(c.yields_to)
            and not c.marker_only}


@st.composite
def dispensings(draw, first=date(2024, 12, 20), days=380):
    """Up to two hundred rows with refills, corrections, doses and dates that meet."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    some_days = rng.integers(0, days, draw(st.integers(1, 25)))
    rows = []
    for _ in range(draw(st.integers(1, 200))):
        packages = int(rng.choice([1, 1, 2, 3, -1, -2, 0]))
        sign = -1 if packages < 0 else 1
        rows.append({"person": PERSONS[rng.integers(len(PERSONS))], "atc": CODES[rng.integers(len(CODES))],
                     "date": first + timedelta(int(rng.choice(some_days))), "packages": packages,
                     "ddd": sign * float(rng.choice([0, 28.125, 30, 100])),
                     "cost": sign * float(rng.integers(0, 50_000)) / 100, "dosed": bool(rng.random() < 0.3)})
    return rows


def as_half_year(rows: list[dict], listings=None, **more) -> HalfYear:
    more.setdefault("persons", [(p, "KM"[int(p) % 2], "1960-05", None) for p in PERSONS])
    return half_year([(r["person"], r["date"], r["atc"], r["packages"], r["ddd"], r["cost"]) for r in rows],
                     listings=listings or [(p, "A", "2020-01-01", None) for p in PERSONS],
                     dose_dispensed=[r["dosed"] for r in rows], **more)


@settings(max_examples=20, derandomize=True)
@given(rows=dispensings())
def test_flags_are_what_a_plain_reading_says(rows):
    year = as_half_year(rows)
    inside = [r for r in rows if WINDOW[0] <= r["date"] < WINDOW[1]]
    cohort = build_cohort(year, H1, CONDITIONS)  # where flags go with dates and amounts, for all rules at once
    for rule in ("dispensed", "listed"):
        flags = read_flags(year, WINDOW, CONDITIONS, rule).set_index("person_id")
        for person in PERSONS:
            held = judge([r for r in inside if r["person"] == person], rule)
            assert {c for c in CONDITIONS.names if flags.loc[int(person), c]} == held, (person, rule)
            row = np.flatnonzero(cohort.person == PERSONS.index(person))[0]
            assert {c for c, on in zip(CONDITIONS.names, cohort.flags[rule][row], strict=True) if on} == held


@settings(max_examples=4, derandomize=True)
@given(rows=dispensings(), order=st.randoms())
def test_nothing_depends_on_the_order_of_the_rows(rows, order):
    shuffled = order.sample(rows, len(rows))
    one, two = as_half_year(rows), as_half_year(shuffled)
    assert one.content_hash == two.content_hash
    assert one.counts == two.counts
    a, b = (build_cohort(year, Period.half_year(2025, 2), CONDITIONS, months="days") for year in (one, two))
    for name in ("person", "centre", "band", "months", "cost"):
        assert np.array_equal(getattr(a, name), getattr(b, name))
    for rule in a.flags:
        assert np.array_equal(a.flags[rule], b.flags[rule])


# Months and costs


@st.composite
def lives(draw):
    """Births, deaths and moves of everyone, from before the period to after it."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    persons, listings = [], []
    for p in PERSONS:
        birth = add_months(date(1920, 1, 1), int(rng.choice([rng.integers(0, 1270), rng.integers(1260, 1280)])))
        death = date(2026, 1, 1) + timedelta(int(rng.integers(-20, 200))) if rng.random() < 0.3 else None
        persons.append((p, "KM"[rng.integers(2)], f"{birth:%Y-%m}", death if death and death >= birth else None))
        cuts = np.sort(rng.integers(-40, 230, 2 * rng.integers(1, 4)))
        for a, b in zip(cuts[::2], cuts[1::2], strict=True):
            end = None if b > 215 else date(2026, 1, 1) + timedelta(int(b))
            listings.append((p, "AB"[rng.integers(2)], date(2026, 1, 1) + timedelta(int(a)), end))
            if end is None:
                break
    return persons, listings


def judge_rows(rows, persons, listings, how):
    """(person, centre, band) -> [months, cost], day by day and row by row."""
    born = {p: date.fromisoformat(b + "-01") for p, _, b, _ in persons}
    dead = {p: d or date.max for p, _, _, d in persons}

    def centre(person, on):
        return next((c for p, c, a, b in listings if p == person and a <= on < (b or date.max)
                     and born[p] <= on < dead[p]), None)

    def band(person, on):
        months = (on.year - born[person].year) * 12 + on.month - born[person].month
        return min(months // 12 // 5, 20)

    result = defaultdict(lambda: [0.0, 0.0])
    for p, *_ in persons:
        for first in H1.months:
            length = (add_months(first, 1) - first).days
            for on in [first] if how == "snapshot" else [first + timedelta(i) for i in range(length)]:
                if (k := centre(p, on)) is not None:
                    result[p, k, band(p, on)][0] += 1 if how == "snapshot" else 1 / length
    for r in rows:
        on = r["date"].replace(day=1) if how == "snapshot" else r["date"]
        if H1.start <= r["date"] < H1.end and (k := centre(r["person"], on)) is not None:
            result[r["person"], k, band(r["person"], on)][1] += r["cost"]
    return result


@pytest.mark.parametrize("how", ["snapshot", "days"])
@settings(max_examples=8, derandomize=True)
@given(life=lives(), rows=dispensings(first=date(2025, 12, 25), days=195))
def test_months_and_costs_are_what_a_plain_reading_says(how, life, rows):
    persons, listings = life
    cohort = build_cohort(as_half_year(rows, listings, persons=persons), H1, CONDITIONS, months=how)
    ours = {(PERSONS[p], "AB"[k], b): [m, c] for p, k, b, m, c in
            zip(cohort.person, cohort.centre, cohort.band, cohort.months, cohort.cost, strict=True)}
    theirs = judge_rows(rows, persons, listings, how)
    assert ours.keys() == theirs.keys()
    for key in ours:
        assert ours[key] == pytest.approx(theirs[key], abs=1e-9)
    unlisted = [r["cost"] for r in rows if H1.start <= r["date"] < H1.end]
    assert cohort.counts.get("cost_without_listed_month_sek", 0) == pytest.approx(
        sum(unlisted) - cohort.cost.sum(), abs=0.51)
