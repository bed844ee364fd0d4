"""The high-cost pool: paid as cost falls, from the same budget."""

from dataclasses import replace

import numpy as np
import pytest

from cohorts import cohort, random_cohort, table
from lakemedelsmodell.amounts import read_amounts, write_amounts
from lakemedelsmodell.data.periods import Period
from lakemedelsmodell.errors import DataError, UserError
from lakemedelsmodell.measures import compare
from lakemedelsmodell.models import AgeSex, AgeSexPool, ChronicConditions, ChronicPool, out_of_fold
from lakemedelsmodell.settlement import pooled_cost, settle

ALPHA = 0.7


def half_year(data):
    return replace(data, period=Period.half_year(2026, 1))


def by_hand():
    """Two at centre 0, one at centre 1; a mover whose 2 × 600 SEK are 200 above a threshold of 1 000."""
    return half_year(cohort([0, 0, 1, 1], [300.0, 600.0, 600.0, 100.0], months=[6, 3, 3, 6], person=[0, 1, 1, 2]))


def pooled(threshold, cell=10.0, add_ons=()):
    return replace(table(cell, add_ons), pool_threshold=threshold)


def test_settled_by_hand():
    paid = settle(pooled(1000.0), by_hand(), ALPHA)
    # Budget 0.7 · 1 600 = 1 120; pool 0.7 · 200 = 140, half at each centre; amounts come to 90 each.
    np.testing.assert_allclose(paid.pool_sek, [70, 70])
    assert paid.phi == pytest.approx((1120 - 140) / 180)
    np.testing.assert_array_equal(paid.reimbursement_ore, [56_000, 56_000])
    np.testing.assert_allclose(paid.unscaled_sek, [160, 160])
    np.testing.assert_allclose(paid.unscaled_net_per_month, [(160 - 630) / 9, (160 - 490) / 9])


def test_a_movers_excess_goes_pro_rata_to_cost():
    data = half_year(cohort([0, 1], [900.0, 300.0], months=[3, 3], person=[0, 0]))
    np.testing.assert_allclose(pooled_cost(data, 1000.0), [150, 50])


def test_a_row_of_corrections_takes_nothing_from_the_pool():
    data = half_year(cohort([0, 1], [1300.0, -100.0], months=[3, 3], person=[0, 0]))
    np.testing.assert_allclose(pooled_cost(data, 1000.0), [200, 0])


@pytest.mark.parametrize(("period", "excess"), [("2026-01..2026-06", 200), ("2026-01..2026-02", 1200 - 1000 / 3),
                                                ("2026", 0)])
def test_the_threshold_is_scaled_to_the_months_of_the_period(period, excess):
    data = replace(cohort(0, [1200.0], months=2), period=Period.parse(period))
    np.testing.assert_allclose(pooled_cost(data, 1000.0), [excess])


def test_without_a_period_its_length_is_the_longest_that_anyone_is_listed():
    data = cohort([0, 1, 0], [900.0, 900.0, 0.0], months=[6, 6, 4], person=[0, 0, 1])
    np.testing.assert_allclose(pooled_cost(data, 500.0), [400, 400, 0])


@pytest.mark.parametrize("budget", [None, 90_000.0, 123_456.78])
def test_the_sum_is_the_budget_to_the_ore(budget):
    data = half_year(random_cohort(3))
    paid = settle(pooled(400.0, 40, [30.0, 0.0, 12.5, 80.0]), data, ALPHA, budget)
    assert paid.pool_sek.sum() > 0
    assert paid.reimbursement_ore.sum() == paid.budget_ore


def test_weights_count_a_row_as_many_times():
    plain = by_hand()
    data = replace(plain, weight=np.full(4, 3.0))
    np.testing.assert_allclose(settle(pooled(1000.0), data, ALPHA).pool_sek,
                               3 * settle(pooled(1000.0), plain, ALPHA).pool_sek)


def test_a_threshold_nobody_reaches_changes_nothing():
    data = half_year(random_cohort(4))
    for plain, pool in ((AgeSex(), AgeSexPool(1e12)), (ChronicConditions(), ChronicPool(pool_threshold=1e12))):
        one, two = plain.fit(data, ALPHA), pool.fit(data, ALPHA)
        np.testing.assert_allclose(two.cells, one.cells)
        np.testing.assert_allclose(two.add_ons, one.add_ons, atol=1e-9)
        np.testing.assert_allclose(settle(two, data, ALPHA).net_sek, settle(one, data, ALPHA).net_sek, atol=0.01)


def test_amounts_are_set_on_cost_below_the_threshold():
    data = half_year(cohort(0, [300.0, 1500.0, 900.0], band=[3, 3, 3]))
    assert AgeSexPool(1000.0).fit(data, 1.0).cells[3, 1] == pytest.approx((300 + 1000 + 900) / 18)
    flagged = half_year(cohort(0, [300.0, 1500.0], flags=[[0], [1]]))
    assert ChronicPool(pool_threshold=1000.0).fit(flagged, 1.0).add_ons[0] == pytest.approx(700 / 6)


def test_a_pool_of_everything_is_paid_as_cost_falls():
    """T → 0: each centre gets α of its own cost, and nobody wins or loses."""
    data = half_year(random_cohort(5))
    data = replace(data, cost=data.cost + 1.0)
    paid = settle(pooled(1e-3), data, ALPHA)
    np.testing.assert_allclose(paid.net_per_month, 0, atol=0.02)


def test_fit_and_groups_see_what_the_pool_pays():
    data = half_year(cohort(0, [300.0, 1500.0, 700.0, 500.0], n_centres=1))
    payer = replace(AgeSexPool(1000.0).fit(data, ALPHA), model="p")
    found = compare([payer, AgeSex().fit(data, ALPHA)], data, ALPHA, contrasts=[])
    # Ĉ per person: mean of min(C, T) is 625, plus 500 for the one above.
    errors = np.array([300 - 625, 1500 - 1125, 700 - 625, 500 - 625.0])
    deviations = np.array([300, 1500, 700, 500]) - 750
    assert found.fits["p"].r2 == pytest.approx(1 - (errors**2).sum() / (deviations**2).sum())
    row = found.groups.query("model == 'p' and group == 'age:60-64'").iloc[0]
    assert row["ratio"] == pytest.approx(1)


def test_a_pool_that_takes_the_whole_budget_is_refused():
    with pytest.raises(UserError, match="nothing is left for its amounts"):
        settle(pooled(1.0), by_hand(), ALPHA, budget_sek=500.0)


def test_sums_per_centre_cannot_tell_a_pool():
    with pytest.raises(UserError, match="Give the cohort of persons"):
        settle(pooled(1000.0), by_hand().totals(), ALPHA)


def test_out_of_fold_keeps_the_pool():
    data = half_year(random_cohort(6))
    payer = out_of_fold(ChronicPool(pool_threshold=300.0), data, ALPHA)
    paid = settle(payer, data, ALPHA)
    assert paid.reimbursement_ore.sum() == paid.budget_ore
    np.testing.assert_allclose(paid.pool_sek, ALPHA * np.bincount(data.centre, pooled_cost(data, 300.0)))


def test_names_tell_thresholds_apart():
    assert [AgeSexPool(t).name for t in (10_000.0, 25_000.0, 50_000.0)] == [
        "age_sex_pool_10k", "age_sex_pool", "age_sex_pool_50k"]
    assert [ChronicPool().name, ChronicPool("listed").name] == ["chronic_pool", "chronic_defended_pool"]


@pytest.mark.parametrize("threshold", [25_000.0, 10_000.0, 50_000.0, 33_333.33])
def test_the_threshold_is_read_back_as_written(tmp_path, threshold):
    written = pooled(threshold, 40, [12.5])
    write_amounts([table(3.0, model="other"), written], tmp_path / "amounts.csv")
    read = read_amounts(tmp_path / "amounts.csv", "by hand")
    assert read.pool_threshold == threshold
    assert read.kind == "condition"
    np.testing.assert_array_equal(read.add_ons, [12.5])
    assert read_amounts(tmp_path / "amounts.csv", "other").pool_threshold is None


def test_two_thresholds_or_none_are_refused(tmp_path):
    frame = pooled(25_000.0).to_frame()
    frame.loc[len(frame)] = frame.iloc[-1]
    frame.to_csv(tmp_path / "twice.csv", index=False)
    with pytest.raises(DataError, match="not the one amount of kind pool"):
        read_amounts(tmp_path / "twice.csv", "by hand")
    pooled(0.0).to_frame().to_csv(tmp_path / "zero.csv", index=False)
    with pytest.raises(DataError, match="a pool's is above 0"):
        read_amounts(tmp_path / "zero.csv", "by hand")


def test_the_pool_is_told_to_the_person():
    said = str(pooled(25_000.0).explain(60, "M"))
    assert "Cost above 25,000 SEK per person and half-year is paid from a common pool." in said
    assert pooled(25_000.0).explain(60, "M").total == 10
