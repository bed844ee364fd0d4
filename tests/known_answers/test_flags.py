"""Condition flags on a few rows each: what counts, what does not, and when."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from half_years import half_year
from lakemedelsmodell.conditions import Condition, ConditionSet
from lakemedelsmodell.data import flag_kernel
from lakemedelsmodell.data.flags import read_flags
from lakemedelsmodell.data.purchases import read_purchases
from lakemedelsmodell.data.tables import HalfYear

YEAR = (date(2025, 1, 1), date(2026, 1, 1))


def conditions(*members: Condition) -> ConditionSet:
    return ConditionSet("test", members)


def read_by_arrays(year: HalfYear, conditions: ConditionSet, rule: str) -> np.ndarray:
    """As worlds that are drawn are asked: from purchases, corrections deducted."""
    bought = read_purchases(year)
    first = (YEAR[0] - date(1970, 1, 1)).days
    bought = bought.rows((bought.day >= first) & (bought.day < first + 365))
    index = flag_kernel.CodeIndex.of(conditions, [*year.codes["atc"], ""])
    return flag_kernel.flags(
        conditions, index, [rule], 1, bought.person, bought.code, bought.day, bought.month, bought.milli_ddd,
        bought.milli_packages / 1000, bought.dose_dispensed)[rule]


def flagged(rows, members, rule="listed", **columns) -> set[str]:
    """Names of the conditions person 1 holds, asked all three ways there are; rows are (date, atc, packages[, ddd])."""
    dispensings = [("1", on, atc, packages, ddd[0] if ddd else 100.0, 10.0 if packages > 0 else 0.0)
                   for on, atc, packages, *ddd in rows]
    year, asked = half_year(dispensings, **columns), conditions(*members)
    assert year.rows
    of_rows, of_tables = (read_flags(of, YEAR, asked, rule).iloc[:, 1:].to_numpy()
                          for of in (year, replace(year, rows=None, flags_read={})))
    held = read_by_arrays(year, asked, rule)
    assert of_rows.tolist() == of_tables.tolist() == held.tolist()
    return {name for name, holds in zip(asked.names, held[0], strict=True) if holds}


DIABETES = Condition("diabetes", include=("A10B",), exclude=("A10BK",))
TWICE = Condition("diabetes", include=("A10B",), min_dates=2)
APART = Condition("diabetes", include=("A10B",), min_dates=2, min_days_apart=45)


def test_a_prefix_counts_and_its_exclusion_does_not():
    assert flagged([("2025-03-01", "A10BA02", 1)], [DIABETES]) == {"diabetes"}
    assert flagged([("2025-03-01", "A10BK01", 1)], [DIABETES]) == set()
    assert flagged([("2025-03-01", "C10AA01", 1)], [DIABETES]) == set()


def test_what_the_defended_rule_leaves_out_counts_under_the_other_alone():
    base = Condition("diabetes", include=("A10B",), exclude_listed=("A10BJ",), min_dates=2)
    other = Condition("any", include=("A",), min_dates=2)
    mixed = [("2025-03-01", "A10BJ02", 1), ("2025-05-01", "A10BA02", 1)]
    assert flagged(mixed, [base, other]) == {"any"}
    assert flagged(mixed[:1], [base, other], rule="dispensed") == {"diabetes", "any"}
    assert flagged([*mixed, ("2025-06-01", "A10BA02", 1)], [base, other]) == {"diabetes", "any"}


def test_the_window_holds_its_first_day_and_not_its_last():
    assert flagged([("2025-01-01", "A10BA02", 1)], [DIABETES]) == {"diabetes"}
    assert flagged([("2025-12-31", "A10BA02", 1)], [DIABETES]) == {"diabetes"}
    assert flagged([("2026-01-01", "A10BA02", 1)], [DIABETES]) == set()
    assert flagged([("2024-12-31", "A10BA02", 1)], [DIABETES]) == set()


def test_everyone_in_persons_gets_a_row():
    persons = [("1", "K", "1960-05", None), ("2", "M", "1950-01", "2025-02-01"), ("10", "M", "2025-06", None)]
    flags = read_flags(half_year([("1", "2025-03-01", "A10BA02", 1, 30, 10.0)], persons=persons), YEAR,
                       conditions(DIABETES), "dispensed")
    assert list(flags["person_id"]) == [1, 2, 10]
    assert list(flags["diabetes"]) == [True, False, False]
    assert flags["diabetes"].dtype == bool


def test_a_code_may_count_for_several_conditions():
    both = [DIABETES, Condition("metformin", include=("A10BA02",))]
    assert flagged([("2025-03-01", "A10BA02", 1)], both) == {"diabetes", "metformin"}


def test_thresholds_hold_only_under_the_listed_rule():
    once = [("2025-03-01", "A10BA02", 1)]
    assert flagged(once, [TWICE], rule="dispensed") == {"diabetes"}
    assert flagged(once, [TWICE], rule="listed") == set()


def test_two_dates_are_two_dates_whatever_the_code():
    assert flagged([("2025-03-01", "A10BA02", 1), ("2025-03-02", "A10BB01", 1)], [TWICE]) == {"diabetes"}
    assert flagged([("2025-03-02", "A10BA02", 1), ("2025-03-03", "A10BB01", 1)], [TWICE]) == {"diabetes"}
    assert flagged([("2025-03-01", "A10BA02", 1), ("2025-03-01", "A10BB01", 1)], [TWICE]) == set()
    assert flagged([("2025-03-01", "A10BA02", 1), ("2025-03-01", "A10BA02", 1)], [TWICE]) == set()


def test_three_dates_are_counted_too():
    thrice = Condition("diabetes", include=("A10B",), min_dates=3)
    two = [("2025-03-01", "A10BA02", 1), ("2025-08-01", "A10BA02", 1)]
    assert flagged(two, [thrice]) == set()
    assert flagged([*two, ("2025-05-01", "A10BB01", 1)], [thrice]) == {"diabetes"}
    assert flagged([(f"2025-03-0{d}", "A10BA02", 1) for d in (1, 2, 3)], [thrice]) == {"diabetes"}


@pytest.mark.parametrize(("second", "held"), [("2025-04-14", False), ("2025-04-15", True)])
def test_days_apart_are_last_minus_first(second, held):
    assert (flagged([("2025-03-01", "A10BA02", 1), (second, "A10BA02", 1)], [APART]) == {"diabetes"}) is held


@pytest.mark.parametrize(("ddd", "held"), [(179.999, False), (180, True)])
def test_ddd_are_summed_over_all_rows(ddd, held):
    condition = Condition("diabetes", include=("A10B",), min_ddd=180)
    rows = [("2025-03-01", "A10BA02", 1, 100.0), ("2025-04-01", "A10BB01", 1, ddd - 100.0)]
    assert (flagged(rows, [condition]) == {"diabetes"}) is held


def test_packages_are_summed_over_all_rows():
    condition = Condition("cancer", include=("L01",), min_packages=3)
    assert flagged([("2025-03-01", "L01BA01", 1), ("2025-03-01", "L01BA01", 2)], [condition]) == {"cancer"}
    assert flagged([("2025-03-01", "L01BA01", 3), ("2025-04-01", "L01BA01", -1)], [condition]) == set()


def test_a_purchase_corrected_the_same_day_never_was():
    gone = [("2025-03-01", "A10BA02", 2), ("2025-03-01", "A10BA02", -2)]
    assert flagged(gone, [DIABETES], rule="dispensed") == set()
    assert flagged([*gone, ("2025-05-01", "A10BA02", 1)], [TWICE]) == set()
    assert flagged([("2025-03-01", "A10BA02", 2), ("2025-03-01", "A10BA02", -1)], [DIABETES]) == {"diabetes"}


def test_a_purchase_corrected_in_part_keeps_its_own_date():
    rows = [(f"2025-03-{d}", "A10BA02", n) for d in ("01", "15") for n in (2, -1)]
    assert flagged(rows, [TWICE]) == {"diabetes"}
    assert flagged(rows, [TWICE], dose_dispensed=True) == set()


@pytest.mark.parametrize("dosed", [False, True])
def test_a_thousandth_of_a_package_left_is_a_purchase(dosed):
    left = [("2025-03-01", "A10BA02", 1.001), ("2025-03-01", "A10BA02", -1)]
    assert flagged(left, [DIABETES], dose_dispensed=dosed) == {"diabetes"}


def test_a_correction_takes_only_its_own_code_and_date():
    rows = [("2025-03-01", "A10BA02", 1), ("2025-03-01", "A10BB01", -1), ("2025-03-02", "A10BA02", -1)]
    assert flagged(rows, [DIABETES], rule="dispensed") == {"diabetes"}


def test_a_leftover_correction_lowers_ddd_but_makes_no_date():
    condition = Condition("diabetes", include=("A10B",), min_dates=1, min_ddd=150)
    bought = [("2025-03-01", "A10BA02", 2, 200.0)]
    assert flagged(bought, [condition]) == {"diabetes"}
    assert flagged([*bought, ("2025-06-01", "A10BA02", -1, -100.0)], [condition]) == set()
    assert flagged([("2025-03-01", "A10BA02", 1), ("2025-06-01", "A10BA02", -1)], [TWICE]) == set()
    assert flagged([("2025-06-01", "A10BA02", -1, 500.0)], [condition]) == set()


def test_dose_dispensing_is_one_date_a_month_its_first():
    fortnightly = [(f"2025-03-{d:02d}", "A10BA02", 1) for d in (1, 15, 29)]
    assert flagged(fortnightly, [TWICE]) == {"diabetes"}
    assert flagged(fortnightly, [TWICE], dose_dispensed=True) == set()
    into_april = [*fortnightly, ("2025-04-14", "A10BA02", 1), ("2025-04-28", "A10BA02", 1)]
    assert flagged(into_april, [TWICE], dose_dispensed=True) == {"diabetes"}
    assert flagged(into_april, [APART], dose_dispensed=True) == set()  # 1 March to 14 April is 44 days
    assert flagged(into_april, [APART]) == {"diabetes"}


def test_dose_dispensing_counts_by_code():
    rows = [("2025-03-01", "A10BA02", 1), ("2025-03-15", "A10BB01", 1)]
    assert flagged(rows, [TWICE], dose_dispensed=True) == {"diabetes"}


def test_doses_are_told_apart_by_person_code_and_month_however_many_there_are():
    person, code, month = (np.repeat(of.ravel(), 2) for of in np.indices((40, 40, 40)))
    counted = flag_kernel.counted_dates(person, code, month, *np.ones((2, len(person)), dtype=bool))
    assert counted.reshape(-1, 2).tolist() == [[True, False]] * 40**3


def test_a_corrected_dose_moves_the_month_s_date():
    rows = [("2025-03-01", "A10BA02", 1), ("2025-03-01", "A10BA02", -1), ("2025-03-15", "A10BA02", 1),
            ("2025-04-20", "A10BA02", 1)]
    apart = Condition("diabetes", include=("A10B",), min_days_apart=37)
    enough = Condition("diabetes", include=("A10B",), min_days_apart=36)
    assert flagged(rows, [apart], dose_dispensed=True) == set()
    assert flagged(rows, [enough], dose_dispensed=True) == {"diabetes"}
    assert flagged(rows[1:], [enough], dose_dispensed=[False, True, True]) == {"diabetes"}


HYPERTENSION = Condition("hypertension", include=("C09",), marker_only=True)
RENAL = Condition("renal", include=("V03",), requires=("diabetes", "hypertension"))
COMBINED = Condition("diabetes_with_hypertension", requires=("diabetes", "hypertension"))
YIELDING = Condition("diabetes", include=("A10B",), yields_to=("diabetes_with_hypertension",))
ROWS = {"diabetes": ("2025-03-01", "A10BA02", 1), "hypertension": ("2025-03-01", "C09AA01", 1),
        "renal": ("2025-03-01", "V03AE01", 1)}


@pytest.mark.parametrize("rule", ["dispensed", "listed"])
def test_required_conditions_must_all_be_there(rule):
    members = [DIABETES, HYPERTENSION, RENAL]
    assert flagged(ROWS.values(), members, rule) == {"diabetes", "renal"}
    assert flagged([ROWS["diabetes"], ROWS["renal"]], members, rule) == {"diabetes"}
    assert flagged([ROWS["diabetes"], ROWS["hypertension"]], members, rule) == {"diabetes"}


@pytest.mark.parametrize("rule", ["dispensed", "listed"])
def test_a_condition_made_of_others_takes_the_place_of_one(rule):
    members = [HYPERTENSION, YIELDING, COMBINED]
    assert flagged([ROWS["diabetes"], ROWS["hypertension"]], members, rule) == {"diabetes_with_hypertension"}
    assert flagged([ROWS["diabetes"]], members, rule) == {"diabetes"}
    assert flagged([ROWS["hypertension"]], members, rule) == set()


def test_requirements_build_on_each_other_in_any_order():
    top = Condition("top", requires=("diabetes_with_hypertension", "renal"))
    members = [top, RENAL, COMBINED, HYPERTENSION, DIABETES]
    assert flagged(ROWS.values(), members) == {"top", "renal", "diabetes_with_hypertension", "diabetes"}
    assert flagged([ROWS["diabetes"], ROWS["hypertension"]], members) == {"diabetes_with_hypertension", "diabetes"}


def test_what_yields_is_looked_at_before_anything_has_yielded():
    chain = [Condition("low", include=("A",), yields_to=("middle",)),
             Condition("middle", include=("B",), yields_to=("high",)), Condition("high", include=("C",))]
    rows = [("2025-03-01", atc, 1) for atc in ("A10BA02", "B01AF02", "C09AA01")]
    assert flagged(rows, chain) == {"high"}
    assert flagged(rows[:2], chain) == {"middle"}
    needs = Condition("needs", include=("D",), requires=("low",))
    assert flagged([*rows, ("2025-03-01", "D05BB02", 1)], [*chain, needs]) == {"high", "needs"}


def test_a_missing_or_odd_code_makes_no_flag_and_loses_nobody():
    year = half_year([("1", "2025-03-01", None, 1, 30, 10.0), ("1", "2025-03-01", "RUBBISH", 1, 30, 10.0)])
    for of in (year, replace(year, rows=None)):
        assert list(read_flags(of, YEAR, conditions(DIABETES), "dispensed")["diabetes"]) == [False]
    assert year.counts == {"atc_malformed_or_unknown": 1, "atc_missing": 1}
