"""The fee staircase per person's own 12-month period: published points, and a plain reading of the rule as judge."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakemedelsmodell.facts import FeeStaircase, fee_staircases
from lakemedelsmodell.simulation.fees import PERIOD_DAYS, region_cost, staircase_fee


def epoch(day: date) -> int:
    return (day - date(1970, 1, 1)).days


def one_person(*purchases: tuple[date, float]) -> np.ndarray:
    """SEK the region pays of each (day, gross SEK) of one person."""
    days, gross = zip(*purchases, strict=True)
    n = len(purchases)
    paid = region_cost(np.zeros(n, int), np.array([epoch(d) for d in days]),
                       np.array([round(g * 100) for g in gross]), np.zeros(n, bool), fee_staircases())
    return paid / 100


@pytest.mark.parametrize(("began", "gross", "patient_pays"), [
    (date(2024, 1, 1), 1425, 1425),
    (date(2024, 12, 31), 2720, 2072.50),  # Läkemedelsboken, Högkostnadsskyddet, figure 1: 2 072 kr
    (date(2024, 12, 31), 5054, 2656),
    (date(2024, 12, 31), 6994, 2850),     # E-hälsomyndigheten: at 6 994 kr the patient has paid 2 850 kr
    (date(2024, 12, 31), 50_000, 2850),
    (date(2025, 1, 1), 1450, 1450),
    (date(2025, 6, 30), 7117, 2900),
    (date(2025, 7, 1), 2000, 2000),
    (date(2025, 7, 1), 3634, 3225.50),
    (date(2025, 7, 1), 5143, 3602.75),
    (date(2026, 6, 30), 9999, 3800),
])
def test_a_patient_pays_what_the_staircase_of_her_first_purchase_says(began, gross, patient_pays):
    assert gross - one_person((began, gross))[0] == pytest.approx(patient_pays, abs=0.16)


def test_a_period_keeps_the_staircase_it_began_under():
    first, later = one_person((date(2025, 6, 30), 1450), (date(2025, 7, 1), 1318))
    assert (first, later) == (0, 659)


def test_a_new_period_begins_at_the_first_purchase_after_the_last_one_ended():
    start = date(2024, 8, 1)
    assert one_person((start, 50_000), (date(2025, 7, 31), 100))[1] == 100
    assert one_person((start, 50_000), (date(2025, 8, 1), 100))[1] == 0
    thirteen_months_later, a_year_after_that = date(2025, 9, 1), date(2026, 9, 1)
    assert one_person((start, 1), (thirteen_months_later, 50_000), (date(2026, 8, 31), 100))[2] == 100
    assert one_person((start, 1), (thirteen_months_later, 50_000), (a_year_after_that, 100))[2] == 0


def test_free_of_charge_is_paid_by_the_region_and_does_not_count():
    paid = region_cost(np.zeros(3, int), np.array([20000, 20400, 20401]), np.array([500_000, 90_000, 900_000]),
                       np.array([True, False, True]), fee_staircases())
    assert paid.tolist() == [500_000, 0, 900_000]


def test_a_period_already_begun_goes_on():
    """Opened in the autumn of 2024 with 2 000 SEK: the next 720 cost half, after its end all of it."""
    opening_end = epoch(date(2025, 9, 1))
    paid = region_cost(np.zeros(2, int), np.array([opening_end - 1, opening_end]), np.array([72_000, 72_000]),
                       np.zeros(2, bool), fee_staircases(), np.array([opening_end]), np.array([200_000]))
    assert paid.tolist() == [36_000, 0]


def test_rows_out_of_order_and_negative_costs_are_refused():
    one = np.ones(2, np.int64)
    for person, day, gross in [([1, 0], [1, 1], one), ([0, 0], [2, 1], one), ([0, 0], [1, 2], -one)]:
        with pytest.raises(ValueError, match="sorted|negative"):
            region_cost(np.array(person), np.array(day), gross, np.zeros(2, bool), fee_staircases())


def test_nothing_dispensed_costs_nothing():
    none = np.zeros(0, np.int64)
    assert region_cost(none, none, none, none.astype(bool), fee_staircases()).shape == (0,)


def plain_reading(rows, staircases, opening):
    """Row by row, as the law reads: (person, day, gross öre, free), with ``opening`` = {person: (end, gross öre)}."""
    region, end, began, spent = [], {}, {}, {}
    for p, (until, gross) in opening.items():
        end[p], began[p], spent[p] = until, until - PERIOD_DAYS, gross
    for p, day, gross, free in rows:
        if free:
            region.append(gross)
            continue
        if p not in end or day >= end[p]:
            end[p], began[p], spent[p] = day + PERIOD_DAYS, day, 0
        holds = [s for s in staircases if epoch(s.valid_from) <= began[p]] or staircases[:1]
        before, after = (staircase_fee(holds[-1], np.array(g)) for g in (spent[p], spent[p] + gross))
        spent[p] += gross
        region.append(gross - int(after - before))
    return region


FIRST_DAY = epoch(date(2024, 7, 1))
ROWS = st.lists(st.tuples(st.integers(0, 5), st.integers(FIRST_DAY, FIRST_DAY + 1200), st.integers(0, 300_000),
                          st.sampled_from([False, False, False, True])), max_size=60)
OPENINGS = st.lists(st.tuples(st.integers(FIRST_DAY - 100, FIRST_DAY + 400), st.integers(0, 900_000)),
                    min_size=6, max_size=6)


@given(ROWS, OPENINGS | st.none())
def test_the_kernel_agrees_with_a_plain_reading_of_the_rule(rows, openings):
    rows = sorted(rows, key=lambda r: r[:2])
    person, day, gross, free = (np.array([r[i] for r in rows], dtype=int) for i in range(4))
    ends, carried = (None, None) if openings is None else (np.array(v) for v in zip(*openings, strict=True))
    paid = region_cost(person, day, gross, free.astype(bool), fee_staircases(), ends, carried)
    assert paid.tolist() == plain_reading(rows, fee_staircases(), dict(enumerate(openings or ())))


@given(st.lists(st.integers(0, 400_000), min_size=1, max_size=20), st.sampled_from(fee_staircases()))
def test_fees_of_a_period_sum_to_the_staircase_of_its_gross_cost(gross, staircase):
    day = np.full(len(gross), epoch(staircase.valid_from))
    paid = region_cost(np.zeros(len(gross), int), day, np.array(gross), np.zeros(len(gross), bool), fee_staircases())
    total = np.array(sum(gross))
    assert total - paid.sum() == staircase_fee(staircase, total)
    assert staircase_fee(staircase, total) / 100 == pytest.approx(staircase.patient_fee(total / 100), abs=0.00501)


def test_shares_that_rise_with_the_sum_are_no_staircase():
    oldest = fee_staircases()[0]
    with pytest.raises(ValueError, match="fall"):
        replace(oldest, steps=((100, 0.5), (200, 1.0)))


def test_staircases_are_the_published_ones():
    assert [(s.valid_from, s.cap_sek) for s in fee_staircases()] == [
        (date(2024, 1, 1), 2850), (date(2025, 1, 1), 2900), (date(2025, 7, 1), 3800)]
    assert all(isinstance(s, FeeStaircase) and s.source and s.confidence for s in fee_staircases())
