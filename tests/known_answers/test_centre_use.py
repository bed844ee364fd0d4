"""What a centre's cost is made of, by code: it sums to that cost, and new prices change it as they change the rows."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from cohorts import cohort
from half_years import half_year
from lakemedelsmodell.conditions import ConditionSet
from lakemedelsmodell.data.flags import build_cohort, centre_use
from lakemedelsmodell.data.new_prices import at_new_prices
from lakemedelsmodell.data.periods import Period
from lakemedelsmodell.measures.truth import Truth

pytestmark = pytest.mark.usefixtures("either_way")

H1 = Period.parse("2026H1")
NOBODY = ConditionSet("none", ())
ROWS = [("1", "2026-01-10", "B01AF02", 1, 90, 1000.0), ("1", "2026-04-20", "B01AF02", 1, 90, 900.0),
        ("1", "2026-04-21", "C10AA05", 1, 100, 30.0), ("2", "2026-02-02", "B01AF02", 1, 90, 500.0),
        ("2", "2026-02-20", "B01AF02", -1, -90, -500.0), ("2", "2026-03-03", "C10AA05", 2, 200, 60.0),
        ("3", "2026-03-03", "A10BA02", 1, 50, 70.0), ("2", "2025-12-31", "C10AA05", 1, 100, 30.0)]


@pytest.fixture
def region():
    """Person 1 moves from A to B in the middle of April; person 3 is never listed."""
    return half_year(
        ROWS, persons=[(p, "K", "1950-05", None) for p in "123"],
        listings=[("1", "A", "2020-01-01", "2026-04-15"), ("1", "B", "2026-04-15", None),
                  ("2", "B", "2020-01-01", None)],
        prescriber_centre_id=["B", "B", "A", "B", "B", "A", "A", "A"])


def told(frame) -> dict[tuple[str, str], tuple[float, float]]:
    return {(row.centre_id, row.atc): (row.ddd, row.cost) for row in frame.itertuples()}


def test_by_hand(region):
    # By snapshot April is A's, where person 1 was listed on the 1st; by days its dispensings are B's.
    assert told(centre_use(region, H1)) == {
        ("A", "B01AF02"): (180, 1900.0), ("A", "C10AA05"): (100, 30.0),
        ("B", "B01AF02"): (0, 0.0), ("B", "C10AA05"): (200, 60.0)}
    assert told(centre_use(region, H1, months="days")) == {
        ("A", "B01AF02"): (90, 1000.0), ("B", "B01AF02"): (90, 900.0), ("B", "C10AA05"): (300, 90.0)}
    assert told(centre_use(region, H1, borne_by="prescriber")) == {
        ("A", "C10AA05"): (300, 90.0), ("B", "B01AF02"): (180, 1900.0)}


def test_base_drugs_with_a_code_alone_and_by_days_from_the_day_of_the_move():
    days = ["2026-02-11", "2026-02-12"]  # of one of them the number is odd
    year = half_year(
        [(str(i), on, atc, 1, 30.0, cost) for i, on in enumerate(days)
         for atc, cost in (("A10BA02", 1.0), ("B01AF02", 10.0), (None, 100.0))],
        persons=[(str(i), "K", "1950-05", None) for i in range(2)], in_base=[True, False, True] * 2,
        listings=[of for i, on in enumerate(days) for of in ((str(i), "A", "2020-01-01", on), (str(i), "B", on, None))])
    assert told(centre_use(year, H1)) == {("A", "A10BA02"): (60, 2.0)}
    assert told(centre_use(year, H1, months="days")) == {("B", "A10BA02"): (60, 2.0)}


@pytest.mark.parametrize("months", ["snapshot", "days"])
@pytest.mark.parametrize("borne_by", ["listing", "prescriber"])
def test_it_sums_to_the_cost_the_centres_bear(region, months: str, borne_by: str):
    use = centre_use(region, H1, months=months, borne_by=borne_by)
    borne = build_cohort(region, H1, NOBODY, months=months, borne_by=borne_by).totals().cost

    assert use.groupby("centre_id")["cost"].sum().reindex(["A", "B"]).fillna(0).to_numpy() == pytest.approx(borne)


def test_new_prices_by_the_sums_are_new_prices_by_the_rows(region):
    use = centre_use(region, H1)
    spent = use[use["atc"] == "B01AF02"].set_index("centre_id")["cost"].reindex(["A", "B"]).fillna(0).to_numpy()
    before = build_cohort(region, H1, NOBODY).totals().cost
    after = build_cohort(at_new_prices(region, {"B01AF02": 0.2}, date(2026, 1, 1)), H1, NOBODY).totals().cost

    assert before - 0.8 * spent == pytest.approx(after)


def test_a_centres_style_is_the_mean_over_its_listed_months():
    people = cohort([0, 0, 1, 1], [1.0, 1, 1, 1], months=[6, 2, 3, 3], person=[0, 1, 1, 2], n_centres=3)
    truth = Truth(H1, np.zeros(3), np.array([4.0, 8.0, -2.0]))

    style = truth.style_of(people)

    assert style[:2] == pytest.approx([(6 * 4 + 2 * 8) / 8, (8 - 2) / 2])
    assert np.isnan(style[2])
    assert truth.covers(Period.parse("2026-01..2026-02"))
    assert not truth.covers(Period.parse("2025H2"))
