"""What no model sees of a person: drugs, dose-dispensing, moves, history and last year's cost, on a few rows each."""

import numpy as np
import pytest

from half_years import half_year
from lakemedelsmodell.conditions import ConditionSet
from lakemedelsmodell.data.flags import build_cohort
from lakemedelsmodell.data.periods import Period

pytestmark = pytest.mark.usefixtures("either_way")

NONE = ConditionSet("none", ())
H1 = Period.half_year(2026, 1)
CODES = ("A10BA02", "B01AC06", "C07AB02", "C10AA05", "N02BE01", "R03AC02")


def bought(person="1", on="2025-05-05", atc=CODES[0], packages=1, cost=0.0):
    return person, on, atc, packages, 30.0, cost


def person(number, birth="1960-05", died=None):
    return number, "K", birth, died


ONE = (person("1"),)


def traits(dispensings=(), *, period=H1, persons=ONE, **tables):
    """Per person: the groups it is in, and its prior cost."""
    year = half_year([bought(on="2026-03-03"), *dispensings], persons=persons, **tables)
    cohort = build_cohort(year, period, NONE, traits=True)
    first = {int(p): i for i, p in reversed(list(enumerate(cohort.person)))}
    return [({name for name, held in cohort.groups.items() if held[i]}, cohort.prior_cost[i])
            for _, i in sorted(first.items())]


def test_without_the_option_nothing_is_looked_up():
    cohort = build_cohort(half_year([bought()]), H1, NONE)
    assert cohort.groups == {} and cohort.prior_cost is None


def test_five_drugs_are_five_codes_and_not_five_packs():
    many = [bought(atc=code) for code in CODES[:5]]
    assert traits(many)[0][0] == {"drugs:5+"}
    assert traits(many[:4])[0][0] == set()
    assert traits([bought(on=f"2025-0{m}-05") for m in range(1, 7)])[0][0] == set()


def test_a_drug_brought_back_is_no_drug():
    many = [bought(atc=code) for code in CODES[:5]]
    assert traits([*many, bought(packages=-1, on="2025-05-20")])[0][0] == set()
    assert traits([*many, bought(packages=2), bought(packages=-1, on="2025-05-20")])[0][0] == {"drugs:5+"}


def test_a_thousandth_of_a_package_is_a_drug():
    many = [bought(atc=code) for code in CODES[:4]]
    assert traits([*many, bought(atc=CODES[4], packages=0.001)])[0][0] == {"drugs:5+"}


def test_drugs_are_each_persons_own_and_have_a_code():
    both = [bought(p, atc=code) for p, n in (("1", 4), ("2", 5)) for code in CODES[:n]]
    found = traits([*both, bought(atc=None)], persons=[person("1"), person("2")],
                   listings=[(p, "A", "2020-01-01", None) for p in "12"])
    assert [groups for groups, _ in found] == [set(), {"drugs:5+"}]


def test_drugs_outside_the_look_back_do_not_count():
    many = [bought(atc=code) for code in CODES[:4]]
    assert traits([*many, bought(atc=CODES[4], on="2025-01-01")])[0][0] == {"drugs:5+"}
    for outside in ("2024-12-31", "2026-01-01"):
        assert traits([*many, bought(atc=CODES[4], on=outside)])[0][0] == set()


def test_dose_dispensing_once_in_the_look_back_is_enough():
    rows = [bought(), bought(on="2025-08-01"), bought(on="2025-09-01", packages=-1)]
    assert traits(rows, dose_dispensed=[False, False, True, False])[0][0] == {"dose_dispensed:yes"}
    assert traits(rows, dose_dispensed=[True, False, False, True])[0][0] == set()  # 2026; a correction


@pytest.mark.parametrize(("listings", "groups"), [
    ([("1", "A", "2025-01-01", None)], set()),
    ([("1", "A", "2025-01-02", None)], {"history:short"}),
    ([("1", "A", "2020-01-01", "2025-07-01"), ("1", "B", "2025-07-01", None)], {"moved:yes"}),
    ([("1", "A", "2020-01-01", "2025-06-30"), ("1", "B", "2025-07-01", None)], {"moved:yes", "history:short"}),
    ([("1", "A", "2020-01-01", "2025-06-30"), ("1", "A", "2025-07-01", None)], {"history:short"}),
    ([("1", "A", "2020-01-01", "2025-01-01"), ("1", "B", "2025-01-01", None)], set()),
    ([("1", "A", "2020-01-01", "2026-01-01"), ("1", "B", "2026-01-01", None)], set()),  # moves in the period itself
])
def test_moves_and_history_are_those_of_the_year_before(listings, groups):
    assert traits(listings=listings)[0][0] == groups


def test_who_moved_is_told_apart_from_neighbours():
    listings = [("1", "A", "2020-01-01", None), ("2", "B", "2020-01-01", None), ("3", "B", "2020-01-01", "2025-07-01"),
                ("3", "A", "2025-07-01", None), ("4", "B", "2020-01-01", None)]
    found = traits(persons=[person(n) for n in "1234"], listings=listings)
    assert [groups for groups, _ in found] == [set(), set(), {"moved:yes"}, set()]


def test_a_child_born_in_the_year_before_has_a_short_history():
    assert traits(persons=(person("1", birth="2025-03"),))[0][0] == {"history:short"}
    assert traits(persons=(person("1", birth="2025-01"),))[0][0] == set()


def test_the_year_before_a_later_period_is_its_own():
    moved = [("1", "A", "2020-01-01", "2025-02-01"), ("1", "B", "2025-02-01", None)]
    assert traits(listings=moved)[0][0] == {"moved:yes"}
    assert traits(listings=moved, period=Period.parse("2026-03..2026-04"))[0][0] == set()


def test_prior_cost_is_per_month_listed_then_and_unknown_for_who_was_not():
    rows = [bought(cost=100), bought(on="2025-12-31", cost=20), bought(on="2026-01-01", cost=5),
            bought("2", cost=73), bought("3", on="2025-12-12", cost=9)]
    listings = [("1", "A", "2020-01-01", None), ("2", "A", "2025-01-01", "2025-03-15"), ("2", "B", "2025-10-20", None),
                ("3", "A", "2026-01-01", None)]
    found = traits(rows, persons=[person(n) for n in "123"], listings=listings)
    assert [cost for _, cost in found] == pytest.approx([10, 73 / (146 * 12 / 365), np.nan], nan_ok=True)


def test_prior_cost_is_of_base_drugs_in_the_cost_base_chosen():
    year = half_year([bought(cost=60), bought(cost=6), bought(on="2026-03-03")], in_base=[True, False, True],
                     gross_price=[120.0, 12.0, 0.0])
    for base, cost in (("benefit_cost", 5), ("gross_price", 10)):
        assert build_cohort(year, H1, NONE, cost_base=base, traits=True).prior_cost == pytest.approx([cost])


def test_a_look_back_inside_the_period_has_no_cost_before_it():
    cohort = build_cohort(half_year([bought(on="2026-03-03")]), H1, NONE, lookback=H1, traits=True)
    assert cohort.prior_cost is None and "drugs:5+" in cohort.groups
