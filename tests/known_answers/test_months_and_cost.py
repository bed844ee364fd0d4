"""Listed months, costs and age bands on a few rows each; who is left out is counted."""

from datetime import date

import numpy as np
import pytest

from half_years import CENTRES, half_year
from lakemedelsmodell.conditions import Condition, ConditionSet
from lakemedelsmodell.data.flags import build_cohort, centre_sums, code_summary, dispensings_outside
from lakemedelsmodell.data.periods import Period
from lakemedelsmodell.data.tables import default_period
from lakemedelsmodell.errors import DataError

pytestmark = pytest.mark.usefixtures("either_way")

NONE = ConditionSet("none", ())
H1 = Period.half_year(2026, 1)
FIRST = Period.parse("2026-01..2026-02")


def bought(on: str, cost: float = 100.0, person: str = "1", packages: int = 1):
    return (person, on, "A10BA02", packages, 30.0, cost)


def rows(year, period=H1, **settings) -> dict:
    """(centre, band) -> (months, cost) of person 1."""
    cohort = build_cohort(year, period, NONE, **settings)
    return {(cohort.centre_ids[k], int(b)): (m, c) for p, k, b, m, c in
            zip(cohort.person, cohort.centre, cohort.band, cohort.months, cohort.cost, strict=True) if p == 0}


def test_a_stayer_has_every_month_and_every_krona():
    year = half_year([bought("2026-01-01"), bought("2026-06-30", 50.5), bought("2025-12-31"), bought("2026-07-01")])
    assert rows(year) == {("A", 13): (6.0, 150.5)}
    assert rows(year, FIRST) == {("A", 13): (2.0, 100.0)}


MOVED = [("1", "A", "2020-01-01", "2026-02-11"), ("1", "B", "2026-02-11", None)]


def test_snapshot_gives_the_whole_month_and_its_cost_to_the_centre_of_the_first():
    year = half_year([bought("2026-02-10", 10), bought("2026-02-20", 20), bought("2026-03-01", 40)], listings=MOVED)
    assert rows(year) == {("A", 13): (2.0, 30.0), ("B", 13): (4.0, 40.0)}


def test_days_divide_the_month_and_give_cost_by_date():
    year = half_year([bought("2026-02-10", 10), bought("2026-02-11", 20), bought("2026-03-01", 40)], listings=MOVED)
    assert rows(year, months="days") == {("A", 13): (1 + 10 / 28, 10.0), ("B", 13): (4 + 18 / 28, 60.0)}


def test_a_mover_s_months_sum_to_the_whole_exactly():
    listings = [("1", "AB"[i % 2], f"2026-{1 + i // 4:02d}-{1 + 7 * (i % 4):02d}",
                 f"2026-{1 + (i + 1) // 4:02d}-{1 + 7 * ((i + 1) % 4):02d}") for i in range(24)]
    months = [m for m, _ in rows(half_year([bought("2026-01-05")], listings=listings), months="days").values()]
    assert sum(months) == 6.0


def test_the_end_of_a_listing_is_the_first_day_outside():
    year = half_year([bought("2026-01-31", 1), bought("2026-02-01", 2)],
                     listings=[("1", "A", "2020-01-01", "2026-02-01")])
    assert rows(year) == rows(year, months="days") == {("A", 13): (1.0, 1.0)}


def test_who_leaves_on_the_first_day_or_comes_on_the_day_after_the_last_has_no_row_there():
    listings = [("1", "A", "2020-01-01", "2026-01-01"), ("1", "B", "2026-01-01", "2026-03-01"),
                ("1", "A", "2026-03-01", None)]
    year = half_year([bought("2026-01-01", 1)], listings=listings)
    assert rows(year, FIRST) == rows(year, FIRST, months="days") == {("B", 13): (2.0, 1.0)}


def test_a_death_ends_the_months():
    person = [("1", "K", "1960-05", "2026-02-15")]
    year = half_year([bought("2026-02-14", 1), bought("2026-02-20", 2)], persons=person)
    assert rows(year) == {("A", 13): (2.0, 3.0)}
    assert rows(year, months="days") == {("A", 13): (1 + 14 / 28, 1.0)}
    died_on_the_first = [("1", "K", "1960-05", "2026-02-01")]
    assert rows(half_year([bought("2026-01-05")], persons=died_on_the_first)) == {("A", 13): (1.0, 100.0)}


def test_months_before_birth_do_not_count():
    person = [("1", "M", "2026-03", None)]
    year = half_year([bought("2026-02-14", 1), bought("2026-03-20", 2)], persons=person)
    assert rows(year) == {("A", 0): (4.0, 2.0)}
    born_in_the_month = half_year([bought("2026-04-01", 2)], persons=person,
                                  listings=[("1", "A", "2026-03-10", None)])
    assert rows(born_in_the_month) == {("A", 0): (3.0, 2.0)}
    assert rows(born_in_the_month, months="days") == {("A", 0): ((3 * 31 + 22) / 31, 2.0)}


@pytest.mark.parametrize(("birth", "bands"), [
    ("1961-04", {12: (3.0, 100.0), 13: (3.0, 1.0)}),  # 65 from 1 April on
    ("1961-01", {13: (6.0, 101.0)}),
    ("1961-07", {12: (6.0, 101.0)}),
    ("1921-03", {20: (6.0, 101.0)}),
    ("1900-03", {20: (6.0, 101.0)}),
    ("2020-02", {1: (6.0, 101.0)}),
    ("2021-02", {0: (1.0, 100.0), 1: (5.0, 1.0)}),
])
def test_age_is_in_completed_years_on_the_first_of_each_month(birth, bands):
    year = half_year([bought("2026-01-31", 100), bought("2026-04-01", 1)], persons=[("1", "K", birth, None)])
    assert rows(year) == rows(year, months="days") == {("A", band): is_ for band, is_ in bands.items()}


def test_everyone_listed_has_a_row_with_or_without_dispensings():
    persons = [("1", "K", "1960-05", None), ("2", "M", "1970-01", None), ("3", "M", "1980-01", None)]
    listings = [("1", "A", "2020-01-01", None), ("2", "B", "2020-01-01", None), ("3", "B", "2020-01-01", "2025-12-01")]
    cohort = build_cohort(half_year([bought("2026-01-05")], persons=persons, listings=listings), H1, NONE)
    assert list(cohort.person) == [0, 1]
    assert list(cohort.centre) == [0, 1]
    assert list(cohort.sex) == [0, 1]
    assert list(cohort.cost) == [100.0, 0.0]
    assert cohort.flags["dispensed"].shape == (2, 0)


def test_cost_without_a_listed_month_is_counted_and_left_out():
    persons = [("1", "K", "1960-05", None), ("2", "M", "1970-01", None)]
    listings = [("1", "A", "2026-01-15", "2026-03-15")]
    year = half_year([bought("2026-01-20", 1), bought("2026-02-20", 2), bought("2026-03-20", 4),
                      bought("2026-05-20", 8), bought("2026-02-01", 16, person="2"),
                      bought("2026-02-01", 32, person="9")],
                     persons=persons, listings=listings)
    assert year.counts == {"dispensings_of_unlisted_person": 2, "dispensings_outside_listing": 2}
    snapshot = build_cohort(year, H1, NONE)
    assert (list(snapshot.months), list(snapshot.cost)) == ([2.0], [6.0])
    assert snapshot.counts["dispensings_without_listed_month"] == 4
    assert snapshot.counts["cost_without_listed_month_sek"] == 1 + 8 + 16 + 32
    days = build_cohort(year, H1, NONE, months="days")
    assert list(days.cost) == [3.0]
    assert days.counts["cost_without_listed_month_sek"] == 4 + 8 + 16 + 32


def test_rows_outside_the_months_used_are_counted():
    year = half_year([bought("2024-12-31"), bought("2025-01-01"), bought("2026-06-30"), bought("2026-07-01")])
    assert dispensings_outside(year, (date(2025, 1, 1), date(2026, 7, 1))) == 2
    assert dispensings_outside(year, (date(2025, 1, 2), date(2026, 7, 1))) == 3
    assert dispensings_outside(year, (date(2025, 1, 1), date(2026, 6, 30))) == 3


def test_newcomers_are_counted():
    persons = [(str(i), "K", "1960-05", None) for i in (1, 2, 3)] + [("4", "M", "2025-02", None)]
    listings = [("1", "A", "2020-01-01", "2025-06-01"), ("1", "B", "2025-06-01", None), ("2", "A", "2025-01-02", None),
                ("3", "A", "2020-01-01", "2025-06-01"), ("3", "A", "2025-06-02", None), ("4", "A", "2025-02-03", None)]
    cohort = build_cohort(half_year([bought("2026-01-05")], persons=persons, listings=listings), H1, NONE)
    assert cohort.counts["persons_without_history"] == 3


def test_a_correction_lowers_the_cost():
    year = half_year([bought("2026-01-05", 100), bought("2026-02-05", -40, packages=-1)])
    assert rows(year) == {("A", 13): (6.0, 60.0)}
    assert year.counts == {"correction_without_purchase": 1}


# The base


def test_without_a_list_of_base_drugs_every_row_counts_and_that_is_said():
    year = half_year([bought("2026-01-05")])
    assert "every row counts" in " ".join(year.found)


def test_only_rows_in_the_base_are_cost_but_all_rows_flag():
    year = half_year([bought("2025-03-05", 1), bought("2026-01-05", 2), bought("2026-01-06", 4)],
                     in_base=[False, False, True])
    diabetes = ConditionSet("test", (Condition("diabetes", include=("A10",)),))
    cohort = build_cohort(year, H1, diabetes)
    assert list(cohort.cost) == [4.0]
    assert cohort.flags["dispensed"].all()


def test_base_drugs_by_code_and_date():
    base = [("A10BA", "2026-02-01", "2026-03-01"), ("A10", "2026-02-15", "2026-04-01"), ("C", None, None)]
    days = ["2026-01-31", "2026-02-01", "2026-02-20", "2026-03-31", "2026-04-01"]
    year = half_year([bought(d, 2.0**i) for i, d in enumerate(days)], base_drugs=base)
    assert rows(year) == {("A", 13): (6.0, 2.0 + 4.0 + 8.0)}


# Who bears the cost, and which


def test_a_centre_bears_what_it_prescribed():
    year = half_year([bought("2026-01-05", 1), bought("2026-01-06", 2), bought("2026-01-07", 4),
                      bought("2026-01-08", 8)], prescriber_centre_id=["A", "B", "hospital", None])
    cohort = build_cohort(year, H1, NONE, borne_by="prescriber")
    assert list(cohort.borne_cost) == [1.0, 2.0]
    assert list(cohort.cost) == [3.0]
    assert list(cohort.totals().cost) == [1.0, 2.0]
    assert cohort.counts["dispensings_of_other_prescribers"] == 2
    assert cohort.counts["cost_of_other_prescribers_sek"] == 12
    assert "dispensings_without_listed_month" not in cohort.counts


def test_sums_per_centre_by_hand():
    persons = [("1", "K", "1961-04", None), ("2", "M", "1920-01", None), ("3", "M", "1980-01", None)]
    two = ConditionSet("two", (
        Condition("asthma", include=("R03",)), Condition("hidden", include=("C",), marker_only=True),
        Condition("diabetes", include=("A10",), min_dates=2)))
    year = half_year([bought("2025-12-31"), bought("2026-02-10", 0.25), bought("2026-06-30", 4), bought("2025-07-05"),
                      bought("2026-01-05", 16, person="3"), bought("2025-07-05", person="2")],
                     persons=persons, listings=[*MOVED, ("2", "B", "2020-01-01", None)], centres=[*CENTRES, ("C", "C")],
                     prescriber_centre_id=["A", "C", "hospital", "A", "A", "A"])
    sums = centre_sums(year, H1, two, lookback=H1.before(12), rule="listed").set_index("centre_id")
    assert {name: list(column) for name, column in sums.items() if name != "name" and any(column)} == {
        "months": [2, 10, 0], "cost": [0.25, 4, 0], "age_sex_K_60_64": [2, 1, 0], "age_sex_K_65_69": [0, 3, 0],
        "age_sex_M_100_up": [0, 6, 0], "flag_diabetes": [2, 4, 0]}
    assert {"flag_asthma", "age_sex_M_0_4"} < set(sums) and "flag_hidden" not in sums and list(sums["name"])[2] == "C"
    assert list(centre_sums(year, H1, two, lookback=H1.before(12))["flag_diabetes"]) == [2, 10, 0]
    borne = centre_sums(year, H1, two, lookback=H1.before(12), borne_by="prescriber", months="days")
    assert list(borne["cost"]) == [0, 0, 0.25]
    assert list(borne["months"]) == pytest.approx([1 + 10 / 28, 10 + 18 / 28, 0])


def test_gross_price_may_be_the_cost():
    year = half_year([bought("2026-01-05", 1), bought("2026-01-06", 2)], gross_price=[10.0, 20.25])
    assert rows(year, cost_base="gross_price") == {("A", 13): (6.0, 30.25)}


def test_settings_the_data_cannot_serve_are_told():
    year = half_year([bought("2026-01-05", 1), bought("2026-01-06", 2)], gross_price=[10.0, None])
    with pytest.raises(DataError, match="gross_price"):
        build_cohort(year, H1, NONE, cost_base="gross_price")
    with pytest.raises(DataError, match="prescriber_centre_id"):
        build_cohort(year, H1, NONE, borne_by="prescriber")


# Flags of a paid period


def test_flags_are_read_before_the_half_year_and_follow_the_person():
    diabetes = ConditionSet("test", (Condition("diabetes", include=("A10",)),))
    persons = [("1", "K", "1960-05", None), ("2", "K", "1960-05", None), ("3", "K", "1960-05", None)]
    listings = [*MOVED, ("2", "A", "2020-01-01", None), ("3", "A", "2020-01-01", None)]
    year = half_year([bought("2025-12-31"), bought("2026-01-01", person="2"), bought("2024-12-31", person="3")],
                     persons=persons, listings=listings)
    cohort = build_cohort(year, Period.parse("2026-03..2026-04"), diabetes)
    assert list(zip(cohort.person, cohort.flags["dispensed"][:, 0], strict=True)) == [(0, True), (1, False), (2, False)]
    both = build_cohort(year, H1, diabetes)
    assert list(zip(both.person, both.centre, both.flags["dispensed"][:, 0], strict=True))[:2] == [
        (0, 0, True), (0, 1, True)]
    given = build_cohort(year, H1, diabetes, lookback=Period.half_year(2024, 2))
    assert list(given.flags["listed"][:, 0]) == [False, False, False, True]


@pytest.mark.parametrize(("last", "period", "partial"), [
    ("2026-06-01", H1, False), ("2025-12-31", Period.half_year(2025, 2), False),
    ("2026-02-11", Period.half_year(2025, 2), False)])
def test_the_default_period_is_the_last_whole_half_year(last, period, partial):
    assert default_period(half_year([bought("2025-07-05"), bought("2025-12-05"), bought(last)])) == (period, partial)


def test_a_half_year_whose_first_months_are_not_there_is_partial():
    assert default_period(half_year([bought("2026-02-01"), bought("2026-06-05")])) == (H1, True)


def test_with_no_half_year_complete_the_one_begun_is_partial():
    assert default_period(half_year([bought("2026-01-05"), bought("2026-02-05")])) == (H1, True)


def test_codes_are_summed_up():
    year = half_year([("1", "2025-01-01", "A10BA02", 2, 60.0, 10.5), ("1", "2025-02-01", "A10BA02", -1, -30.0, -5.25),
                      ("1", "2025-02-01", "C10AA01", 1, None, 3.0), ("1", "2026-01-01", "C10AA01", 1, 30.0, 3.0)],
                     gross_price=[20.0, -10.0, None, 5.0], in_base=[True, True, False, True])
    summary = code_summary(year, (date(2025, 1, 1), date(2026, 1, 1))).set_index("atc")
    assert list(summary.loc["A10BA02", ["rows", "packages", "ddd", "cost_sek", "gross_sek", "base_rows",
                                        "positive_rows"]]) == [2, 1.0, 30.0, 5.25, 10.0, 2, 1]
    assert summary.loc["C10AA01", "rows"] == 1
    assert np.isnan(summary.loc["C10AA01", "gross_sek"])
