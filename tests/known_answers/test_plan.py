"""Which months are paid, fitted on and looked back at, by how much history there is."""

from datetime import date

import pytest

from lakemedelsmodell.data.periods import Period
from lakemedelsmodell.errors import UserError
from lakemedelsmodell.evaluation import make_plan

H1 = Period.parse("2026H1")


def plan(first: date, period: Period = H1, lookback: int = 12):
    return make_plan(period, False, first, lookback)


def test_with_two_years_the_plan_is_the_designs():
    p = plan(date(2024, 7, 1))
    assert [str(x) for x in (p.fit_period, p.lookback, p.fit_lookback)] == [
        "2025-07..2025-12", "2025-01..2025-12", "2024-07..2025-06"]
    assert (p.variants, p.warnings) == ((), ())


def test_january_and_february_are_paid_by_the_flags_and_amounts_of_their_half_year():
    p = plan(date(2024, 7, 1), Period.parse("2026-01..2026-02"))
    assert [str(x) for x in (p.fit_period, p.lookback, p.fit_lookback)] == [
        "2025-07..2025-12", "2025-01..2025-12", "2024-07..2025-06"]
    later = plan(date(2024, 7, 1), Period.parse("2026-05..2026-06"))
    assert (later.lookback, later.fit_period) == (p.lookback, p.fit_period)


def test_with_less_history_both_look_backs_are_equally_short():
    p = plan(date(2024, 12, 1))
    assert [str(x) for x in (p.fit_period, p.lookback, p.fit_lookback)] == [
        "2025-07..2025-12", "2025-06..2025-12", "2024-12..2025-06"]
    assert p.variants == ("short look-back",)
    assert [w.kind for w in p.warnings] == ["short_lookback"]


def test_with_too_little_to_fit_on_the_half_year_before_it_is_fitted_on_itself():
    p = plan(date(2025, 3, 1))
    assert [str(x) for x in (p.fit_period, p.lookback, p.fit_lookback)] == [
        "2026-01..2026-06", "2025-03..2025-12", "2025-03..2025-12"]
    assert p.variants == ("concurrent", "short look-back")


def test_without_history_the_flags_too_are_those_of_the_period():
    p = plan(date(2026, 1, 1))
    assert (p.fit_period, p.lookback, p.fit_lookback) == (H1, H1, H1)
    assert p.variants == ("concurrent", "concurrent flags")


def test_a_shorter_look_back_that_was_asked_for_is_no_variant():
    p = plan(date(2024, 7, 1), lookback=3)
    assert (str(p.lookback), str(p.fit_lookback), p.variants) == ("2025-10..2025-12", "2025-04..2025-06", ())


@pytest.mark.parametrize("period, said", [("2025-06..2025-07", "spans two half-years"), ("2023H1", "no dispensings")])
def test_periods_that_cannot_be_paid_are_refused(period: str, said: str):
    with pytest.raises(UserError, match=said):
        plan(date(2024, 7, 1), Period.parse(period))
