"""Settlement and estimation on generated cohorts."""

from dataclasses import replace

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cohorts import cohort, random_cohort, table
from lakemedelsmodell.data.periods import Period
from lakemedelsmodell.errors import UserError
from lakemedelsmodell.measures.table_life import cap_losses
from lakemedelsmodell.models import AgeSex, ChronicConditions, ChronicPool, Count, Flat, HighestOnly, out_of_fold
from lakemedelsmodell.models.least_squares import nonnegative_solution
from lakemedelsmodell.settlement import largest_remainder, pay_per_month, pooled_cost, settle

ALPHA = 0.7

cohorts = st.builds(random_cohort, st.integers(0, 10**6), n=st.integers(20, 300), n_centres=st.integers(1, 9),
                    n_flags=st.integers(0, 5), weighted=st.booleans())


@given(st.lists(st.floats(-1e8, 1e9, allow_subnormal=False), min_size=1, max_size=200), st.integers(0, 2 * 10**11))
def test_whole_numbers_sum_to_the_total_and_miss_by_less_than_one(shares, total):
    shares = np.array(shares)
    assume(shares.sum() > 1e-3 * np.abs(shares).sum())
    whole = largest_remainder(shares, total)
    assert whole.sum() == total
    assert (whole[shares >= 0] >= 0).all()
    # Besides the rounding there is the floating error of a share of 2·10¹¹.
    assert (np.abs(whole - shares / shares.sum() * total) < 1 + 1e-3).all()


@given(cohorts, st.integers(1, 10**11))
def test_the_budget_is_shared_out_to_the_ore(data, ore):
    amounts = table(37, np.linspace(0, 90, len(data.conditions)))
    paid = settle(amounts, data, ALPHA, ore / 100)
    assert paid.reimbursement_ore.sum() == ore
    assert (np.abs(paid.reimbursement_ore - 100 * paid.phi * paid.unscaled_sek) < 1 + 1e-3).all()


@given(cohorts, st.randoms(use_true_random=False))
def test_nobody_is_paid_by_where_the_rows_stand(data, random):
    order = list(range(len(data.cost)))
    random.shuffle(order)
    amounts = table(37, np.linspace(0, 90, len(data.conditions)))
    one, other = settle(amounts, data, ALPHA), settle(amounts, data.rows(np.array(order)), ALPHA)
    np.testing.assert_allclose(one.unscaled_sek, other.unscaled_sek, rtol=1e-12)
    np.testing.assert_allclose(one.reimbursement_ore, other.reimbursement_ore, atol=1)


@given(cohorts)
def test_a_row_cut_in_two_is_paid_as_a_whole(data):
    """A mover between centres of the same owner: months, cost and pay add up."""
    halves = data.rows(np.repeat(np.arange(len(data.cost)), 2))
    halves = replace(halves, months=halves.months / 2, cost=halves.cost / 2)
    amounts = table(37, np.linspace(0, 90, len(data.conditions)))
    np.testing.assert_allclose(settle(amounts, halves, ALPHA).unscaled_sek, settle(amounts, data, ALPHA).unscaled_sek)
    for model in (Flat(), AgeSex(), ChronicConditions()):
        whole, cut = (model.fit(d, ALPHA).per_month(data.cell, data.flags["dispensed"]) for d in (data, halves))
        np.testing.assert_allclose(cut, whole, rtol=1e-7, atol=1e-7)


@given(cohorts)
def test_amounts_as_fitted_pay_back_what_was_spent(data):
    """Predictive ratio 1 over everyone, in every cell, and for every flag with an add-on."""
    for model in (Flat(), AgeSex(), ChronicConditions()):
        fitted = model.fit(data, 1.0)
        assume(data.cost.sum() > 0)
        paid = data.exposure * fitted.per_month(data.cell, data.flags["dispensed"])
        cost = data.cost if data.weight is None else data.cost * data.weight
        scale = cost.sum()
        np.testing.assert_allclose(paid.sum(), scale, rtol=1e-9)
        if model.name != "flat":
            by_cell = (np.bincount(data.cell, money) / scale for money in (paid, cost))
            np.testing.assert_allclose(*by_cell, atol=1e-9)
        for c in np.flatnonzero(fitted.paid_add_ons):
            on = data.flags["dispensed"][:, c]
            np.testing.assert_allclose(paid[on].sum() / scale, cost[on].sum() / scale, atol=1e-8)
        assert (fitted.paid_add_ons >= 0).all()


@given(st.integers(0, 10**6), st.integers(1, 8), st.booleans())
def test_no_other_non_negative_add_ons_do_better(seed, n, collinear):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(30, n)) * rng.uniform(0.3, 3, n)
    if collinear:
        X[:, -1] = X[:, 0]
    S, r = X.T @ X, X.T @ rng.normal(size=30)
    b = nonnegative_solution(S, r)
    gradient = (S @ b - r) / np.sqrt(np.diag(S))
    assert (b >= 0).all()
    assert (gradient > -1e-6).all()
    assert (np.abs(gradient[b > 0]) < 1e-6).all()


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(2, 9))
def test_out_of_fold_is_a_refit_without_the_fold(seed, n_centres):
    data = random_cohort(seed, n=200, n_centres=n_centres)
    model = ChronicConditions()
    per_row = out_of_fold(model, data, ALPHA).per_row
    for k in range(n_centres):
        mine = data.centre == k
        refit = model.fit(data.rows(~mine), ALPHA)
        unscaled = data.exposure[mine] @ per_row[mine]
        np.testing.assert_allclose(
            unscaled, data.exposure[mine] @ refit.per_month(data.cell[mine], data.flags["dispensed"][mine]), rtol=1e-7)


@given(st.integers(2, 30), st.integers(1, 40))
def test_identical_centres_have_no_spread(K, n):
    rng = np.random.default_rng(n)
    data = cohort(np.repeat(np.arange(K), n), np.tile(rng.gamma(1, 100, n), K), flags=np.tile(rng.random(n) < 0.5, K))
    nets = settle(ChronicConditions().fit(data, ALPHA), data, ALPHA).net_per_month
    assert np.ptp(nets) < 0.01  # an öre or two on 6 listed months


@given(cohorts, st.floats(1, 5000), st.randoms(use_true_random=False))
def test_a_pool_pays_back_no_more_than_cost_and_sums_to_the_budget(data, threshold, random):
    data = replace(data, period=Period.half_year(2026, 1))
    excess = pooled_cost(data, threshold)
    assert ((excess >= 0) & (excess <= data.cost + 1e-9)).all()
    person = np.bincount(data.person, data.cost)
    np.testing.assert_allclose(np.bincount(data.person, excess), (person - threshold).clip(min=0), atol=1e-6)
    order = list(range(len(data.cost)))
    random.shuffle(order)
    np.testing.assert_allclose(pooled_cost(data.rows(np.array(order)), threshold), excess[order], atol=1e-9)
    amounts = replace(table(37, np.linspace(0, 90, len(data.conditions))), pool_threshold=threshold)
    try:
        paid = settle(amounts, data, ALPHA)
    except UserError:
        assert excess.sum() >= 0.999 * data.cost.sum()  # nothing is left to share out
        return
    assert paid.reimbursement_ore.sum() == paid.budget_ore
    assert (np.abs(paid.reimbursement_sek - paid.pool_sek - paid.phi * (paid.unscaled_sek - paid.pool_sek))
            < 0.0101).all()


@given(cohorts)
def test_simpler_tables_as_fitted_pay_back_what_was_spent(data):
    data = replace(data, period=Period.half_year(2026, 1))
    cost = data.cost if data.weight is None else data.cost * data.weight
    for model in (HighestOnly(), Count(), ChronicPool(pool_threshold=500.0)):
        fitted = model.fit(data, 1.0)
        pooled = pooled_cost(data, 500.0) if fitted.pool_threshold else 0.0
        pooled = pooled if data.weight is None else pooled * data.weight
        paid = data.exposure * pay_per_month(fitted, data) + pooled
        if fitted.kind != "highest" or len(data.conditions) < 2:  # a ladder may not come to rest
            np.testing.assert_allclose(paid.sum(), cost.sum(), rtol=1e-7, atol=1e-6)


@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)), min_size=1, max_size=40), st.floats(0, 1e8))
def test_a_cap_on_loss_holds_and_moves_no_money_in_or_out(pairs, most):
    before, target = np.array(pairs).T
    target = largest_remainder(target + 1.0, int(before.sum()))
    got = cap_losses(before, target, np.full(len(before), most))
    assert abs(got.sum() - before.sum()) <= 1e-6 * max(before.sum(), 1)
    assert (got >= before - most - 1e-6).all()
    gain = target > before
    assert (got[gain] >= before[gain] - 1e-3).all()
    assert (got[gain] <= target[gain] + 1e-3).all()
