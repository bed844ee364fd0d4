"""Warnings where a result should not be relied on, each from the least data that calls for it."""

from __future__ import annotations

import functools
from dataclasses import replace
from datetime import date
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from cohorts import cohort, random_cohort, table
from lakemedelsmodell.amounts import AmountTable
from lakemedelsmodell.data.periods import Period
from lakemedelsmodell.data.tables import HalfYear
from lakemedelsmodell.evaluation import make_plan
from lakemedelsmodell.evaluation.safety import of_amounts, of_comparison, of_data, variance_inflation
from lakemedelsmodell.measures.comparison import compare
from lakemedelsmodell.models import AgeSex, ChronicConditions

PLAN = make_plan(Period.parse("2026H1"), False, date(2024, 7, 1), 12)


def kinds(warnings) -> list[str]:
    return [w.kind for w in warnings]


def seen(last_day: date, rows: int = 1000, months=range(1, 7), **counts: int):
    """What the warnings look at of a half-year whose months of 2026 those before ``last_day`` are."""
    half_year = SimpleNamespace(months_seen=tuple(date(2026, m, 1) for m in months if m <= last_day.month),
                                last_day=last_day, codes=pd.DataFrame({"rows": [rows]}), counts=counts)
    half_year.months_lacking = functools.partial(HalfYear.months_lacking, half_year)
    return half_year


def paid(people, *tables, budget=None):
    return compare(list(tables) or [table(100.0)], people, 0.7, budget, contrasts=(), resamples=100)


@pytest.mark.parametrize("last_day, warns", [
    (date(2026, 6, 30), False), (date(2026, 6, 24), False), (date(2026, 6, 23), True), (date(2026, 6, 15), True),
    (date(2026, 5, 31), False), (date(2026, 5, 10), True)])
def test_half_a_month_of_data(last_day: date, warns: bool):
    found = of_data(seen(last_day), PLAN)

    assert kinds(found) == (["partial_month"] if warns else [])
    assert not warns or last_day.isoformat() in str(found[0])


@pytest.mark.parametrize("rows, missing, warns", [(1_048_575, 0, True), (1_048_570, 5, True), (65_535, 0, True),
                                                  (1_048_576, 0, False), (500_000, 0, False)])
def test_an_export_that_ends_where_a_spreadsheet_does(rows, missing, warns):
    found = of_data(seen(date(2026, 6, 30), rows, atc_missing=missing), PLAN)

    assert kinds(found) == (["spreadsheet_rows"] if warns else [])


@pytest.mark.parametrize("months, said", [
    ([1, 2, 3, 4, 5, 6], None), ([2, 3, 4, 5, 6], None), ([1, 2, 4, 6], "2026-03, 2026-05"),
    ([1, 2, 3, 4, 5], None), ([6], None)])
def test_a_month_without_any_dispensing_after_one_that_has_some(months, said):
    found = of_data(seen(date(2026, 6, 30), months=months), PLAN)

    assert [str(w) for w in found if w.kind == "missing_months"] == (
        [f"No dispensings at all in {said}, though there are some before. Is a file missing?"] if said else [])


@pytest.mark.parametrize("count, kind", [("ddd_unknown", "ddd_unknown"),
                                         ("dispensings_of_unlisted_person", "strangers")])
@pytest.mark.parametrize("rows, warns", [(100, False), (101, True), (0, False)])
def test_doses_that_are_not_known_and_persons_nobody_lists(count, kind, rows, warns):
    found = of_data(seen(date(2026, 6, 30), **{count: rows}), PLAN)

    assert kinds(found) == ([kind] if warns else [])


@pytest.mark.parametrize("persons, cost, warns", [(100, 0.0, True), (99, 0.0, False), (100, 0.01, False)])
def test_a_centre_with_a_hundred_persons_and_no_cost(persons, cost, warns):
    lists = np.repeat(np.arange(10), [persons, *[200] * 9])

    found = of_comparison(paid(cohort(lists, np.where(lists == 0, cost, 60.0))))

    assert kinds(found) == (["silent_centres"] if warns else [])


def test_one_centre_with_half_the_list_and_too_few_centres():
    lists = np.repeat(np.arange(11), [50, *[5] * 10])
    assert kinds(of_comparison(paid(cohort(lists, np.full(100, 60.0))))) == ["dominant_centre"]
    even = np.repeat(np.arange(10), 10)
    assert kinds(of_comparison(paid(cohort(even, np.full(100, 60.0))))) == []
    assert kinds(of_comparison(paid(cohort(even[:90], np.full(90, 60.0))))) == ["few_centres"]
    assert "empty_centres" in kinds(of_comparison(paid(cohort(even, np.full(100, 60.0), n_centres=12))))


def test_a_centre_that_would_pay_in():
    people = cohort(np.repeat(np.arange(10), 10), np.full(100, 60.0), band=np.repeat([0, 12], [10, 90]))
    cells = np.full((21, 2), 100.0)
    cells[0] = -5
    found = of_comparison(paid(people, table(100.0), AmountTable("odd", cells)))
    assert kinds(found) == ["centres_below_zero"]
    assert str(found[0]).endswith("under odd, so that it would pay in instead of being paid; at most 1 do.")


@pytest.mark.parametrize("share, said", [(1.0, []), (1.09, []), (0.91, []), (1.12, ["budget_far_from_cost"]),
                                         (0.85, ["budget_far_from_cost"])])
def test_a_budget_further_than_a_tenth_from_the_cost(share: float, said: list[str]):
    people = cohort(np.repeat(np.arange(10), 10), np.full(100, 60.0))

    found = of_comparison(paid(people, budget=share * 0.7 * people.cost.sum()))

    assert kinds(found) == said
    assert not said or ("above" if share > 1 else "below") in str(found[0])


@pytest.mark.parametrize("persons, warns", [(499, True), (500, False)])
def test_a_condition_with_fewer_than_500_persons(persons: int, warns: bool):
    # Each person has two rows: persons are counted, not rows.
    held = np.arange(2000) < 2 * persons
    people = cohort(np.arange(2000) % 2, np.full(2000, 60.0), flags=held, person=np.arange(2000) // 2)

    found = of_amounts(paid(people).tables, people)

    assert ("thin_conditions" in kinds(found)) == warns


def test_conditions_that_cannot_be_told_apart():
    rng = np.random.default_rng(1)
    first, second = rng.random((2, 4000)) < 0.3
    twin = first ^ (rng.random(4000) < 0.005)
    people = cohort(np.arange(4000) % 10, np.full(4000, 60.0), flags=np.column_stack([first, second, twin]),
                    band=np.arange(4000) % 21)

    inflation = variance_inflation(people, "dispensed")
    found = [w for w in of_amounts(paid(people).tables, people) if w.kind == "collinear_conditions"]

    assert inflation[1] == pytest.approx(1, abs=0.02)
    assert inflation[0] == pytest.approx(inflation[2], rel=0.1) and inflation[0] > 30
    assert found[0].values["conditions_en"] == "condition0, condition2"


def test_variance_inflation_is_that_of_regression_by_hand():
    people = random_cohort(3, n=500, n_flags=3)
    flags, cells = people.flags["dispensed"].astype(float), np.eye(42)[people.cell]
    root = np.sqrt(people.exposure)[:, None]
    for c in range(3):
        others = np.hstack([cells, np.delete(flags, c, axis=1)])
        within = flags[:, [c]] - cells @ np.linalg.lstsq(root * cells, root * flags[:, [c]], rcond=None)[0]
        left = flags[:, [c]] - others @ np.linalg.lstsq(root * others, root * flags[:, [c]], rcond=None)[0]
        by_hand = ((root * within) ** 2).sum() / ((root * left) ** 2).sum()
        assert variance_inflation(people, "dispensed")[c] == pytest.approx(by_hand)


def test_an_add_on_held_at_0_and_an_age_below_0():
    band = np.repeat([0, 5], 300)
    sick, lucky = np.tile([True, False], 300), np.arange(600) % 3 == 0
    cost = 6.0 * np.where((band == 5) & sick, 200.0, 0.0) + np.where(lucky, 0.0, 30.0)
    people = cohort(np.arange(600) % 10, cost, flags=np.column_stack([sick, lucky]), band=band)
    fit = ChronicConditions().fit(people, 0.7).rounded()

    found = {w.kind: w for w in of_amounts(paid(people, AgeSex().fit(people, 0.7), fit).tables, people)}

    assert found["amounts_at_zero"].values["conditions_sv"] == "condition1"
    assert found["negative_amounts"].values["cells"] == int((fit.cells < 0).sum()) > 0
    assert "held at 0 for condition1" in str(found["amounts_at_zero"])


@pytest.mark.parametrize("sek, said", [(-362.0, "−362"), (-11.0, "−11"), (-362.4, "−362"), (-3.25, "−3.2"),
                                       (-0.01, "−0.1")])
def test_the_lowest_amount_is_told_as_kronor(sek: float, said: str):
    people = cohort(np.arange(40) % 10, np.full(40, 60.0))
    cells = np.full((21, 2), 60.0)
    cells[3, 0] = sek
    found = {w.kind: w for w in of_amounts(paid(people, table(cells, model="age_sex"),
                                                table(cells, model="chronic")).tables, people)}

    assert found["negative_amounts"].values["lowest"] == said


def test_a_positive_add_on_that_rounds_to_0_is_not_at_the_bound():
    people = cohort(np.arange(40) % 10, np.full(40, 60.0), flags=np.arange(40) % 2 == 0)
    exact = table(60.0, [0.3], model="chronic")
    rounded = replace(exact, add_ons=np.zeros(1), unrounded=exact)

    assert "amounts_at_zero" not in kinds(of_amounts(paid(people, rounded).tables, people))
