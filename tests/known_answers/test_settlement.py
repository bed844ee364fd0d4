"""Budget and settlement: the lines of the method's table of known answers."""

from dataclasses import replace

import numpy as np
import pytest

from cohorts import cohort, random_cohort, table
from lakemedelsmodell.amounts import published_table
from lakemedelsmodell.data.cohort import CentreTotals
from lakemedelsmodell.errors import UserError
from lakemedelsmodell.models import ChronicConditions
from lakemedelsmodell.settlement import (
    adds_up,
    close_to_budget,
    cost_budget_ore,
    largest_remainder,
    pay_per_month,
    pooled_cost,
    settle,
    unscaled_reimbursement,
)

ALPHA = 0.7
AMOUNTS = table(40, [30.0, 0.0, 12.5, 80.0])


def two_centres(**changes):
    return cohort([0, 0, 1], [100.0, 50.0, 60.0], flags=[[1], [0], [1]], months=[6, 3, 6], **changes)


def test_by_hand():
    paid = settle(table(10, [5.0]), two_centres(), ALPHA)
    # R before the budget: 6·15 + 3·10 = 120 and 6·15 = 90; budget 0.7 · 210 = 147.
    np.testing.assert_allclose(paid.unscaled_sek, [120, 90])
    assert paid.phi == pytest.approx(147 / 210)
    np.testing.assert_array_equal(paid.reimbursement_ore, [8400, 6300])
    np.testing.assert_allclose(paid.own_cost_sek, [105, 42])
    np.testing.assert_allclose(paid.net_sek, [-21, 21])
    np.testing.assert_allclose(paid.net_per_month, [-21 / 9, 21 / 6])
    np.testing.assert_allclose(paid.unscaled_net_per_month, [15 / 9, 48 / 6])
    assert paid.own_cost_per_month == pytest.approx(147 / 15)


@pytest.mark.parametrize("budget", [None, 1.0, 999.99, 1_264_000_000.01])
def test_payments_sum_to_the_budget_to_the_ore(budget):
    data = random_cohort(1)
    paid = settle(AMOUNTS, data, ALPHA, budget)
    assert paid.reimbursement_ore.sum() == paid.budget_ore
    assert paid.budget_ore == round((ALPHA * data.cost.sum() if budget is None else budget) * 100)


@pytest.mark.parametrize(("shares", "total", "whole"), [
    ([1, 1, 1], 100, [34, 33, 33]),  # a tie goes to the earlier
    ([1, 2, 3], 7, [1, 2, 4]),  # 1.17, 2.33, 3.5: the largest remainder gets the one left
    ([0, 5], 3, [0, 3]), ([-1, 3, 4], 60, [-10, 30, 40]), ([-1, 2, 2], 10, [-3, 7, 6]),
    ([0.1, 0.2, 0.7], 10, [1, 2, 7]), ([3.0], 12345, [12345])])
def test_largest_remainder_by_hand(shares, total, whole):
    np.testing.assert_array_equal(largest_remainder(np.array(shares), total), whole)


def test_what_is_left_goes_to_the_largest_remainders_not_to_the_largest_shares():
    """Known answer, Hamilton's method."""
    assert largest_remainder(np.array([5.1, 3.6, 1.3]), 10).tolist() == [5, 4, 1]
    assert largest_remainder(np.array([7.2, 1.4, 1.4]), 10).tolist() == [7, 2, 1]  # ties to the earlier


@pytest.mark.parametrize("shares", [[0, 0], [1, -1], [np.nan, 1]])
def test_shares_that_cannot_be_shared_by_are_refused(shares):
    with pytest.raises(ValueError, match="sum to more than 0"):
        largest_remainder(np.array(shares, dtype=float), 10)


def test_merging_two_centres_adds_their_payments():
    data = random_cohort(2)
    merged = replace(data, centre=np.where(data.centre == 3, 2, data.centre).astype(np.int32))
    apart, together = settle(AMOUNTS, data, ALPHA), settle(AMOUNTS, merged, ALPHA)
    assert abs(together.reimbursement_ore[2] - apart.reimbursement_ore[[2, 3]].sum()) <= 1
    np.testing.assert_allclose(together.net_sek[2], apart.net_sek[[2, 3]].sum(), atol=0.02)
    others = [0, 1, 4, 5, 6]
    np.testing.assert_allclose(together.reimbursement_ore[others], apart.reimbursement_ore[others], atol=1)


def test_an_empty_centre_gets_nothing_and_has_no_net():
    data = two_centres(n_centres=3)
    paid = settle(table(10, [5.0]), data, ALPHA)
    assert paid.reimbursement_ore[2] == 0
    assert np.isnan(paid.net_per_month[2])


def test_relabelled_centres_and_permuted_rows_are_paid_the_same():
    data = random_cohort(3)
    paid = settle(AMOUNTS, data, ALPHA)
    new_name = np.random.default_rng(0).permutation(data.n_centres)
    relabelled = settle(AMOUNTS, replace(data, centre=new_name[data.centre].astype(np.int32)), ALPHA)
    np.testing.assert_allclose(relabelled.reimbursement_ore[new_name], paid.reimbursement_ore, atol=1)
    shuffled = settle(AMOUNTS, data.rows(np.random.default_rng(1).permutation(len(data.cost))), ALPHA)
    np.testing.assert_array_equal(shuffled.reimbursement_ore, paid.reimbursement_ore)


def test_every_person_twice_leaves_net_per_month_as_it_was():
    data = random_cohort(4)
    twice = settle(AMOUNTS, data.rows(np.tile(np.arange(len(data.cost)), 2)), ALPHA)
    np.testing.assert_allclose(twice.net_per_month, settle(AMOUNTS, data, ALPHA).net_per_month, atol=1e-4)


def test_a_mover_is_paid_pro_rata_and_takes_the_flags_along():
    """One person, four months at centre 0 and two at centre 1, against the same person who stayed."""
    amounts = table(published_table(2026).cells, [57.0])
    stays = cohort([0, 1], [300.0, 60.0], flags=[[1], [0]], months=[6, 6], person=[0, 1])
    moves = cohort([0, 1, 1], [200.0, 100.0, 60.0], flags=[[1], [1], [0]], months=[4, 2, 6], person=[0, 0, 1])
    whole, parts = settle(amounts, stays, ALPHA), settle(amounts, moves, ALPHA)
    assert whole.unscaled_sek[0] == 6 * (121 + 57)
    np.testing.assert_allclose(parts.unscaled_sek - [0, whole.unscaled_sek[1]], [4 * (121 + 57), 2 * (121 + 57)])
    assert parts.reimbursement_ore.sum() == whole.reimbursement_ore.sum()
    assert parts.phi == pytest.approx(whole.phi)


@pytest.mark.parametrize("c", [0.01, 2.0, 11.3])
def test_all_costs_times_c_multiply_amounts_and_nets_by_c(c):
    data = random_cohort(5, n_centres=4)
    dearer = replace(data, cost=data.cost * c)
    before, after = (ChronicConditions().fit(d, ALPHA) for d in (data, dearer))
    np.testing.assert_allclose(after.cells, c * before.cells)
    np.testing.assert_allclose(after.add_ons, c * before.add_ons)
    nets, dearer_nets = settle(before, data, ALPHA).net_sek, settle(after, dearer, ALPHA).net_sek
    np.testing.assert_allclose(dearer_nets, c * nets, atol=0.01 * (1 + c))


def test_a_weight_counts_a_row_as_many_times():
    data = two_centres(weight=[2.0, 1.0, 3.0])
    repeated = two_centres().rows(np.array([0, 0, 1, 2, 2, 2]))
    np.testing.assert_array_equal(settle(table(10, [5.0]), data, ALPHA).reimbursement_ore,
                                  settle(table(10, [5.0]), repeated, ALPHA).reimbursement_ore)


def test_a_centre_that_gains_flagged_months_gains_as_the_formula_says():
    """One gamer, fixed budget: dR_k = φ b (1 − R_k/B) dF, the derivative taken numerically."""
    data, b, dF = random_cohort(6), 80.0, 1e-3
    totals = data.totals("dispensed")
    flagged = totals.flagged_months.copy()
    flagged[2, 3] += dF
    gaming = CentreTotals(totals.centre_ids, totals.months_by_cell, totals.conditions, flagged, totals.cost)
    budget = 1e12 / 100  # so large that öre do not hide the derivative
    before, after = settle(AMOUNTS, totals, ALPHA, budget), settle(AMOUNTS, gaming, ALPHA, budget)
    gain = (after.reimbursement_sek - before.reimbursement_sek)[2] / dF
    assert gain == pytest.approx(before.phi * b * (1 - before.reimbursement_sek[2] / budget), rel=1e-4)


def test_when_all_identical_centres_game_alike_nobody_gains():
    honest = cohort(np.repeat(np.arange(5), 40), np.full(200, 90.0), flags=np.tile(np.arange(40) < 4, 5))
    gaming = replace(honest, flags={"dispensed": np.tile(np.arange(40) < 9, 5)[:, None]}, cost=honest.cost + 7.0)
    amounts, budget = table(40, [55.0]), 12_000.0
    before, after = settle(amounts, honest, ALPHA, budget), settle(amounts, gaming, ALPHA, budget)
    np.testing.assert_array_equal(after.reimbursement_ore, before.reimbursement_ore)
    np.testing.assert_allclose(after.net_sek - before.net_sek, -ALPHA * 7.0 * 40)


def test_a_person_in_a_cell_without_amount_stops_the_payment():
    cells = published_table(2026).cells.copy()
    cells[12, 1] = np.nan
    with pytest.raises(UserError, match="lack 1 cells where persons are listed, first 60-64 M"):
        settle(table(cells), two_centres(), ALPHA)
    cells[12, 1], cells[0, 0] = 121.0, np.nan  # nobody is listed there: no matter
    assert settle(table(cells), two_centres(), ALPHA).phi > 0


def test_a_condition_without_an_amount_pays_nothing():
    unset, zero = (settle(table(40, [sek]), two_centres(), ALPHA) for sek in (np.nan, 0.0))
    np.testing.assert_array_equal(unset.reimbursement_ore, zero.reimbursement_ore)


def test_amounts_of_another_list_are_refused():
    with pytest.raises(UserError, match="same condition list"):
        settle(table(40, [1.0, 2.0]), two_centres(), ALPHA)


@pytest.mark.parametrize(("cell", "budget"), [(10, 0.0), (10, -5.0), (0, 100.0)])
def test_nothing_cannot_be_shared_out(cell, budget):
    with pytest.raises(UserError):
        settle(table(cell), two_centres(), ALPHA, budget)


def test_a_centre_whose_amounts_come_to_less_than_nothing_pays_in():
    totals = two_centres().totals("dispensed")
    paid = close_to_budget("age_sex", totals, np.array([120.0, -20.0]), ALPHA, 50.0)
    assert paid.reimbursement_ore.tolist() == [6000, -1000]
    assert paid.phi == 0.5
    with pytest.raises(UserError, match="come to nothing or less in all"):
        close_to_budget("age_sex", totals, np.array([20.0, -20.0]), ALPHA, 50.0)


def test_borne_cost_replaces_the_cost_of_the_listed():
    data = replace(two_centres(), borne_cost=np.array([0.0, 210.0]))
    np.testing.assert_allclose(settle(table(10), data, ALPHA).own_cost_sek, [0, 147])


def test_net_is_per_month_of_a_centre_of_one_month_and_of_none_where_nobody_is_listed():
    """A centre that lists nobody may bear what it prescribed."""
    data = replace(cohort([0, 1], [70.0, 30.0], months=[9, 1], n_centres=3), borne_cost=np.array([60.0, 20.0, 20.0]))
    paid = settle(table(10), data, ALPHA)
    np.testing.assert_allclose(paid.net_sek, [63 - 42, 7 - 14, -14])
    np.testing.assert_allclose(paid.net_per_month, [21 / 9, -7, np.nan])
    np.testing.assert_allclose(paid.unscaled_net_per_month, [(90 - 42) / 9, 10 - 14, np.nan])


def test_a_settlement_shows_itself():
    paid = settle(table(10, [5.0]), two_centres(), ALPHA)
    assert list(paid.to_frame().columns) == [
        "centre_id", "model", "listed_months", "reimbursement_sek", "cost_sek", "own_cost_sek", "net_sek",
        "net_sek_per_listed_month"]
    assert "c00001" in paid._repr_html_()


def test_the_headline_budget_is_cost_times_responsibility():
    assert cost_budget_ore(two_centres().totals(), 0.8) == 16_800


def test_a_total_beyond_what_floating_point_counts_is_shared_out_to_the_last():
    total = 2**54 + 3  # halves of it, as floating point, are one too much
    assert sorted(largest_remainder(np.ones(2), total).tolist()) == [2**53 + 1, 2**53 + 2]


def test_amounts_by_care_need_are_paid_by_the_index_and_asked_only_of_centres_that_list_somebody():
    people = cohort([0, 0, 1], [10.0, 20.0, 30.0], n_centres=3)
    people = replace(people, centres=people.centres.assign(cni=[0.5, 2.0, np.nan]))
    by_need = replace(table(100.0), per_cni=8.0)
    assert pay_per_month(by_need, people).tolist() == [104.0, 104.0, 116.0]
    with pytest.raises(UserError, match=r"of 1 centres is not known, first c00001"):
        pay_per_month(by_need, replace(people, centres=people.centres.assign(cni=[0.5, np.nan, 1.0])))


def test_what_is_pooled_of_another_cost_is_not_that_of_the_cohort_s_own():
    people = cohort([0, 1], [900.0, 500.0])
    assert pooled_cost(people, 600.0).tolist() == [300, 0]
    for other, above in (([700.0, 800.0], [100, 200]), ([600.0, 1000.0], [0, 400])):
        assert pooled_cost(people, 600.0, np.array(other)).tolist() == above
    assert pooled_cost(people, 600.0).tolist() == [300, 0]


def test_a_pool_that_takes_all_of_the_budget_leaves_nothing_to_share():
    totals = two_centres().totals("dispensed")
    with pytest.raises(UserError, match="takes 100 SEK of a budget of 100 SEK"):
        close_to_budget("age_sex", totals, np.array([120.0, 90.0]), ALPHA, 100.0, np.array([60.0, 40.0]))
    with pytest.raises(UserError, match="budget of 0.00 SEK"):
        close_to_budget("age_sex", totals, np.array([120.0, 90.0]), ALPHA, 0.0)


def test_what_is_no_sum_over_a_centre_is_not_paid_from_sums():
    totals = two_centres().totals("dispensed")
    assert unscaled_reimbursement(table(10, [5.0]), totals).tolist() == [120, 90]
    with pytest.raises(UserError, match="cannot be paid from sums per centre"):
        unscaled_reimbursement(replace(table(10, [5.0]), kind="highest"), totals)


def test_an_age_without_an_amount_is_refused_for_a_single_month():
    people, amounts = cohort([0, 1], [5.0, 5.0], months=1.0, band=[12, 3]), table(10.0)
    amounts.cells[20, 0] = np.nan  # nobody is so old
    assert settle(amounts, people, ALPHA).reimbursement_ore.tolist() == [350, 350]
    amounts.cells[12, 1] = np.nan
    with pytest.raises(UserError, match="lack 1 cells where persons are listed, first 60-64 M"):
        settle(amounts, people, ALPHA)


@pytest.mark.parametrize(("given", "adds"), [
    ({}, True), ({"pool_threshold": 1e4}, True), ({"kind": "highest"}, False), ({"per_cni": 1.0}, False),
    ({"per_newcomer": 1.0}, False), ({"kind": "highest", "conditions": (), "add_ons": np.zeros(0)}, True)])
def test_amounts_add_up_unless_a_person_s_others_or_more_than_sums_decide(given, adds):
    assert adds_up(replace(AMOUNTS, **given)) is adds
