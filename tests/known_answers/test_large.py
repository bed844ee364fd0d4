"""Data too large to be laid out at once are worked on by stretches: the same to the last bit, and flags are bits."""

import weakref
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from cohorts import random_cohort
from half_years import half_year
from lakemedelsmodell.conditions import condition_set
from lakemedelsmodell.data import checks
from lakemedelsmodell.data.cohort import PackedFlags
from lakemedelsmodell.data.flags import build_cohort
from lakemedelsmodell.data.periods import Period
from lakemedelsmodell.data.tables import default_period
from lakemedelsmodell.data.threads import AT_ONCE, in_turn, of_each
from lakemedelsmodell.evaluation import Settings, analysis, evaluate
from lakemedelsmodell.measures import comparison as comparisons
from lakemedelsmodell.measures.comparison import compare
from lakemedelsmodell.models import AgeSex, AgeSexPool, Boosting, ChronicConditions, fit_models
from small_region import small_region


def test_packed_flags_are_the_flags():
    plain = np.random.default_rng(1).random((50, 19)) < 0.3
    packed = PackedFlags({"dispensed": np.packbits(plain, axis=1)}, 19)
    np.testing.assert_array_equal(packed["dispensed"], plain)
    assert packed["dispensed"].dtype == bool and list(packed) == ["dispensed"] and len(packed) == 1
    np.testing.assert_array_equal(packed.rows(plain[:, 0])["dispensed"], plain[plain[:, 0]])


@pytest.mark.parametrize("n_flags", [1, 8, 19, 40])
def test_a_cohort_of_packed_flags_gives_what_plain_ones_give(n_flags):
    plain = random_cohort(2, n=300, n_flags=n_flags)
    packed = replace(plain, flags=PackedFlags(
        {rule: np.packbits(held, axis=1) for rule, held in plain.flags.items()}, n_flags))
    for rule, held in plain.flags.items():
        for c, rows in enumerate(packed.holders(rule)):
            np.testing.assert_array_equal(rows, np.flatnonzero(held[:, c]))
        profiles = packed.profiles(rule)
        np.testing.assert_array_equal(profiles.flags[profiles.of_row], held)
        np.testing.assert_array_equal(profiles.cell[profiles.of_row], plain.cell)
        assert len(profiles.cell) == len(np.unique(np.column_stack([plain.cell, held]), axis=0))
        np.testing.assert_array_equal(packed.totals(rule).flagged_months, plain.totals(rule).flagged_months)
        np.testing.assert_array_equal(packed.rows(np.arange(9)).flags[rule], held[:9])
    pd.testing.assert_frame_equal(packed.to_frame(), plain.to_frame())


@pytest.mark.parametrize("weighted", [False, True])
def test_a_comparison_by_stretches_is_the_same_to_the_last_bit(weighted, monkeypatch):
    data = random_cohort(3, n=800, n_centres=12, weighted=weighted)
    payers, _ = fit_models([AgeSex(), ChronicConditions(), AgeSexPool(300.0), Boosting()], data, data, 0.7)
    whole = compare(payers, data, 0.7, outside_groups=True, deciles=True)
    monkeypatch.setattr(comparisons, "KEPT", 0)
    apart = compare(payers, data.rows(np.arange(800)), 0.7, outside_groups=True, deciles=True)
    assert isinstance(whole.paid_per_month, dict) and isinstance(apart.paid_per_month, comparisons.PaidPerMonth)
    assert list(apart.paid_per_month) == list(whole.paid_per_month) and len(apart.paid_per_month) == 4
    for model, paid in whole.paid_per_month.items():
        assert apart.paid_per_month[model].tobytes() == paid.tobytes()
    pd.testing.assert_frame_equal(apart.groups, whole.groups, check_exact=True)
    pd.testing.assert_frame_equal(apart.to_frame(), whole.to_frame(), check_exact=True)


def test_a_hash_of_contents_by_stretches_is_the_same(monkeypatch):
    rows = [("1", f"2025-{1 + i % 12:02}-{1 + i % 28:02}", "A10BA02", 1, 30.0, float(i % 40)) for i in range(900)]
    whole = half_year(rows)
    monkeypatch.setattr(checks, "SORTED_AT_ONCE", 20)
    apart = half_year(rows[::-1])
    assert apart.content_hash == whole.content_hash
    assert apart.counts["duplicate_rows"] == whole.counts["duplicate_rows"] > 0
    assert half_year(rows[1:]).content_hash != whole.content_hash


@pytest.mark.parametrize("rows", [0, 1, AT_ONCE // 2, AT_ONCE, AT_ONCE * 5])
def test_long_columns_are_worked_on_one_by_one_in_the_same_order(rows):
    assert list(of_each(lambda x: x * x, range(7), rows)) == [x * x for x in range(7)]


@pytest.mark.parametrize("n", [0, 1, 50])
def test_few_are_computed_ahead_of_the_one_that_is_looked_at(n):
    begun = []
    for i, found in enumerate(in_turn(lambda x: begun.append(x) or x * x, range(n))):
        assert found == i * i and len(begun) <= i + 6
    assert sorted(begun) == list(range(n))


def test_what_a_half_year_lets_go_is_found_anew():
    data, conditions = small_region(), condition_set("skane_narrow")
    period = default_period(data)[0]
    before = build_cohort(data, period, conditions, traits=True)
    assert data.flags_read and "listed" in vars(data.rows)
    data.let_go()
    assert not data.flags_read and "listed" not in vars(data.rows)
    pd.testing.assert_frame_equal(build_cohort(data, period, conditions, traits=True).to_frame(), before.to_frame())


def test_what_duckdb_puts_aside_is_let_go_and_there_when_it_is_asked():
    data = half_year([("1", "2025-03-01", "A10BA02", 1, 30.0, 40.0)])
    backend = data.dispensings.get_backend()
    backend.raw_sql("CREATE TABLE large AS SELECT hash(range) AS code FROM range(40_000_000)")

    def told(query: str) -> int:
        return backend.raw_sql(query).fetchone()[0]

    in_memory, contents = "SELECT sum(memory_usage_bytes) FROM duckdb_memory()", "SELECT bit_xor(code) FROM large"
    before, found = told(in_memory), told(contents)
    data.let_go()
    assert before > 250 * 2**20 > told(in_memory)
    assert told(contents) == found


def test_the_fit_period_s_persons_are_let_go_before_the_centres_are_measured(monkeypatch):
    built, alive = [], []

    def build(*arguments, build=analysis.build_cohort, **keywords):
        cohort = build(*arguments, **keywords)
        built.append(weakref.ref(cohort))
        return cohort

    def compare(payers, cohort, *arguments, compare=analysis.compare, **keywords):
        alive.append([ref().period.start.month for ref in built if ref() is not None])
        return compare(payers, cohort, *arguments, **keywords)

    january = Period(date(2026, 1, 1), date(2026, 2, 1))  # nobody is dispensed anything in February
    monkeypatch.setattr(analysis, "period_beside", lambda period: january)
    monkeypatch.setattr(analysis, "build_cohort", build)
    monkeypatch.setattr(analysis, "compare", compare)
    evaluate(small_region(), Settings(resamples=100))
    assert len(built) == 3 and [len(months) for months in alive] == [2, 1]  # beside another period, and alone


def test_a_comparison_without_groups_of_persons_settles_and_fits_alike():
    data = random_cohort(4, n=500, n_centres=11)
    payers, _ = fit_models([AgeSex(), ChronicConditions()], data, data, 0.7)
    plain, bare = (compare(payers, data, 0.7, by_group=by_group) for by_group in (True, False))
    assert len(plain.groups) and not len(bare.groups)
    pd.testing.assert_frame_equal(bare.to_frame(), plain.to_frame(), check_exact=True)
    assert bare.contrasts == plain.contrasts
    for model, paid in plain.paid_per_month.items():
        assert bare.paid_per_month[model].tobytes() == paid.tobytes()
