"""What results say of themselves where they are looked at: in a notebook, and in a plain prompt."""

from datetime import date

import pytest

import lakemedelsmodell as lm
from half_years import half_year


@pytest.fixture(scope="module")
def things():
    year = half_year([("1", "2025-03-01", "A10BA02", 1, 90, 100), ("1", "2026-03-01", "A10BA02", 1, 90, 1100),
                      ("2", "2026-02-01", "B01AF02", 1, 90, 500), ("2", "2026-03-01", "B01AF01", -1, -90, -100)],
                     persons=[("1", "K", "1960-05", None), ("2", "M", "1970-01", None)],
                     listings=[("1", "A", "2020-01-01", None), ("2", "B", "2020-01-01", None)])
    cohort = lm.build_cohort(year, lm.Period(date(2026, 1, 1), date(2026, 7, 1)), lm.condition_set("skane_wide"))
    comparison = lm.compare({"flat": lm.Flat().fit(cohort, 0.7), "age_sex": lm.published_table(2026)},
                            cohort, 0.7)
    return [year, cohort, cohort.totals(), cohort.totals("dispensed"), comparison, *comparison.settlements.values(),
            *comparison.spreads.values(), *comparison.contrasts, *comparison.tables.values(),
            lm.published_table(2026).explain(60, "M"), lm.condition_set("skane_wide"),
            lm.load_scenario("skane_2026h1"), lm.simulate(scale=0.001, centres=3)]


def test_each_shows_itself_in_a_notebook_and_in_a_few_lines_of_text(things):
    for thing in things:
        said = repr(thing)
        assert thing._repr_html_()
        assert 0 < len(said.splitlines()) < 60 and max(map(len, said.splitlines())) < 160
        assert not [inside for inside in ("array(", " object at ", "dtype", "DatabaseTable") if inside in said]


def test_what_they_say(things):
    year, cohort, totals, flagged = map(repr, things[:4])
    assert year == ("Half-year data 2025-03-01 to 2026-03-01: 2 centres, 4 dispensings with a code, 3 codes\n"
                    "  1 corrections without a purchase of that person, code and date")
    assert cohort == "Cohort 2026-01..2026-06: 2 persons, 2 centres, 12 listed months, 0.0 MSEK, 21 conditions"
    assert totals == "Sums of 2 centres: 12 listed months, 0.0 MSEK"
    assert flagged == "Sums of 2 centres: 12 listed months, 0.0 MSEK, 21 conditions"


def test_names_of_the_package_are_its_own():
    assert dir(lm) == lm.__all__
