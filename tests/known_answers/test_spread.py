"""Spread between centres: the known answers of the method, most of them by simulation.

Fixed seeds; tolerance four Monte-Carlo standard errors.
"""

from dataclasses import replace

import numpy as np
import pytest

from cohorts import cohort, table
from lakemedelsmodell.measures import compare
from lakemedelsmodell.measures.spread import spread
from lakemedelsmodell.models import AgeSex, ChronicConditions, Flat
from lakemedelsmodell.settlement import settle

ALPHA = 0.7


def lists(K: int, n: int) -> np.ndarray:
    """Centre of each person: K lists of n."""
    return np.repeat(np.arange(K), n)


def bernoulli_world(rng, K, n, *, a=50.0, b=300.0, p=0.2, sigma=120.0, tau=0.0):
    """Cost a + bz + noise, z a flag of probability p, lists composed at random; tau is a centre's own style."""
    z = rng.random(K * n) < p
    cost = a + b * z + rng.normal(0, sigma, K * n) + np.repeat(rng.normal(0, tau, K), n)
    return cohort(lists(K, n), cost, flags=z, months=1.0)


def variance_error(K: int) -> float:
    """Relative Monte-Carlo standard error of a variance over K centres with normal nets."""
    return np.sqrt(2 / (K - 1))


# By hand ------------------------------------------------------------------------------------------------------------


def test_by_hand():
    n = np.array([-4.0, -1.0, 0.0, 1.0, 9.0])
    found = spread(n, np.array([10.0, 10, 10, 10, 10]), 50.0)
    assert found.sd == found.weighted_sd == pytest.approx(np.sqrt((25 + 4 + 1 + 0 + 64) / 4))
    assert found.mad == pytest.approx(1.4826 * 1.0)
    assert found.p90_p10 == pytest.approx((1 + 0.6 * 8) - (-4 + 0.4 * 3))
    assert found.share_positive == 0.4  # a net of exactly 0 is not positive
    assert (found.within_2pct, found.within_5pct) == (0.6, 0.6)  # ±1 (on the edge) and ±2.5
    assert (found.min, found.max, found.mean_abs) == (-4, 9, 3)
    assert spread(np.array([2.5, 3.0]), np.ones(2), 50.0).within_5pct == 0.5  # the edge is within


def test_weights_are_listed_months():
    found = spread(np.array([0.0, 4.0]), np.array([30.0, 10.0]), 1.0)
    assert found.weighted_sd == pytest.approx(np.sqrt((0.75 * 1 + 0.25 * 9) * 2))


def test_a_centre_without_months_is_left_out_and_one_centre_has_no_spread():
    found = spread(np.array([1.0, 3.0, np.nan]), np.array([5.0, 5.0, 0.0]), 10.0)
    assert found.sd == pytest.approx(np.sqrt(2))
    alone = spread(np.array([0.0]), np.array([5.0]), 10.0)
    assert np.isnan(alone.sd)
    assert np.isnan(alone.weighted_sd)
    assert alone.max == 0


def test_other_units():
    found = spread(np.array([-1.0, 1.0, 3.0]), np.ones(3), 50.0)
    half_year, percent = found.scaled(6), found.scaled(100 / found.own_cost)
    assert half_year.sd == pytest.approx(6 * found.sd)
    assert percent.max == pytest.approx(6.0)
    assert percent.share_positive == found.share_positive
    assert "own_cost" not in found.measures()


# Known answers ------------------------------------------------------------------------------------------------------


def test_two_groups_on_random_lists():
    """Var(n⁰) = α²(b²p(1−p)+σ²)/n under one amount for all, Var(n¹) = α²σ²/n under the true flags."""
    K, n = 4000, 60
    data = bernoulli_world(np.random.default_rng(1), K, n)
    found = compare([Flat().fit(data, ALPHA), ChronicConditions().fit(data, ALPHA)], data, ALPHA)
    expected = {"flat": ALPHA**2 * (300**2 * 0.2 * 0.8 + 120**2) / n, "chronic": ALPHA**2 * 120**2 / n}
    for model, variance in expected.items():
        assert found.spreads[model].sd ** 2 == pytest.approx(variance, rel=4 * variance_error(K))


def test_random_lists_favour_the_finer_model_by_what_its_fit_explains():
    """SD ratio √((1−R²₁)/(1−R²₀)), with heavy-tailed costs and several flags."""
    rng = np.random.default_rng(2)
    K, n = 3000, 80
    z = rng.random((K * n, 3)) < [0.3, 0.1, 0.05]
    band = rng.integers(0, 21, K * n)
    cost = rng.gamma(0.4, 100 + 10 * band + z @ [100, 300, 900], K * n)
    data = cohort(lists(K, n), cost, flags=z, months=1.0, band=band)
    found = compare([AgeSex().fit(data, ALPHA), ChronicConditions().fit(data, ALPHA)], data, ALPHA)
    (contrast,) = found.contrasts
    r2 = {model: fit.r2 for model, fit in found.fits.items()}
    assert r2["chronic"] > r2["age_sex"] + 0.1
    assert contrast.random_list_ratio == pytest.approx(np.sqrt((1 - r2["chronic"]) / (1 - r2["age_sex"])))
    # Heavy tails make Δ noisier than the normal reference; the bootstrap interval knows.
    error = (contrast.ci_high - contrast.ci_low) / (2 * 1.96)
    assert contrast.log_sd_ratio == pytest.approx(np.log(contrast.random_list_ratio), abs=4 * error)
    assert error < 0.02


def test_irrelevant_flags_leave_the_spread_alone():
    rng = np.random.default_rng(3)
    K, n = 300, 400
    cost = rng.gamma(0.5, 200, K * n) + np.repeat(rng.normal(0, 10, K), n)
    data = cohort(lists(K, n), cost, flags=rng.random((K * n, 10)) < 0.1, months=1.0)
    (contrast,) = compare([AgeSex().fit(data, ALPHA), ChronicConditions().fit(data, ALPHA)], data, ALPHA).contrasts
    assert contrast.sd_ratio == pytest.approx(1, abs=0.01)
    assert abs(contrast.log_sd_ratio) < 4 * contrast.se_check


def test_perfect_flags_and_no_style_leave_the_noise_floor():
    """F² = mean over centres of α² Σv_i / M_k², with the true residual variances and lists of unequal length."""
    rng = np.random.default_rng(4)
    K = 3000
    centre = np.repeat(np.arange(K), rng.integers(30, 120, K))
    z = rng.random((len(centre), 2)) < rng.beta(2, 5, (K, 2))[centre]  # need differs between centres
    v = 50**2 * (1 + 3 * z[:, 0] + 8 * z[:, 1])
    months = rng.integers(1, 7, len(centre)).astype(float)
    cost = months * (80 + z @ [200, 500]) + rng.normal(0, np.sqrt(v))
    data = cohort(centre, cost, flags=z, months=months)
    found = compare([Flat().fit(data, ALPHA), ChronicConditions().fit(data, ALPHA)], data, ALPHA)
    M = np.bincount(centre, months)
    floor = np.mean(ALPHA**2 * np.bincount(centre, v) / M**2)
    n = found.settlements["chronic"].net_per_month
    error = np.std((n - n.mean()) ** 2) / np.sqrt(K)
    assert found.spreads["chronic"].sd ** 2 == pytest.approx(floor, abs=4 * error)
    assert found.spreads["flat"].sd > 5 * np.sqrt(floor)


def test_style_that_makes_no_flags_passes_through_whole():
    """Style only, exogenous flags: π = Cov(n, −αs)/Var(αs) = 1, also where lists differ in need."""
    rng = np.random.default_rng(5)
    K, n = 400, 300
    style = rng.normal(0, 12, K)
    z = rng.random(K * n) < np.repeat(rng.beta(4, 12, K), n)
    cost = 60 + 250 * z + np.repeat(style, n) + rng.normal(0, 80, K * n)
    data = cohort(lists(K, n), cost, flags=z, months=1.0)
    net = settle(ChronicConditions().fit(data, ALPHA), data, ALPHA).net_per_month
    slope, rest = np.polyfit(-ALPHA * style, net, 1)
    residual = net - slope * -ALPHA * style - rest
    error = residual.std(ddof=2) / (ALPHA * style.std() * np.sqrt(K))
    assert slope == pytest.approx(1, abs=4 * error)
    assert error < 0.03


def test_persons_resampled_would_count_chance_twice():
    """τ² + 2σ²/n: why persons are never bootstrapped for a spread."""
    rng = np.random.default_rng(6)
    K, n, tau, sigma = 3000, 40, 10.0, 60.0
    data = bernoulli_world(rng, K, n, b=0.0, sigma=sigma, tau=tau)
    drawn = (lists(K, n) * n) + rng.integers(0, n, K * n)
    for again, variance in ((data, tau**2 + sigma**2 / n), (data.rows(drawn), tau**2 + 2 * sigma**2 / n)):
        found = settle(table(100), again, ALPHA).net_per_month.var(ddof=1)
        assert found == pytest.approx(ALPHA**2 * variance, rel=4 * variance_error(K))


def test_the_halves_of_a_list_share_the_true_spread_only():
    """Persons split in halves: covariance of the halves' nets = α²τ²."""
    rng = np.random.default_rng(7)
    K, n, tau, sigma = 3000, 40, 10.0, 60.0
    data = bernoulli_world(rng, K, n, b=0.0, sigma=sigma, tau=tau)
    first = np.tile(np.arange(n) < n // 2, K)
    one, two = (settle(table(100), data.rows(half), ALPHA).net_per_month for half in (first, ~first))
    product = (one - one.mean()) * (two - two.mean())
    assert np.cov(one, two)[0, 1] == pytest.approx(ALPHA**2 * tau**2, abs=4 * product.std() / np.sqrt(K))


def test_a_higher_level_moves_who_wins_and_not_the_spread():
    """A 10 % surplus leaves the SD ratio alone but moves the share of positive centres."""
    data = bernoulli_world(np.random.default_rng(8), 200, 2000, tau=3.0)
    tables = [Flat().fit(data, ALPHA), ChronicConditions().fit(data, ALPHA)]
    even, surplus = (compare(tables, data, ALPHA, level * ALPHA * data.cost.sum()) for level in (1.0, 1.1))
    assert surplus.contrasts[0].sd_ratio == pytest.approx(even.contrasts[0].sd_ratio, rel=0.03)
    assert surplus.spreads["flat"].share_positive > even.spreads["flat"].share_positive + 0.3


def test_all_costs_times_c_leave_ratios_and_multiply_spreads():
    data = bernoulli_world(np.random.default_rng(9), 50, 40)
    models = Flat(), ChronicConditions()
    before, after = (compare([m.fit(d, ALPHA) for m in models], d, ALPHA)
                     for d in (data, replace(data, cost=data.cost * 3)))
    assert after.spreads["chronic"].sd == pytest.approx(3 * before.spreads["chronic"].sd, rel=1e-3)
    assert after.contrasts[0].log_sd_ratio == pytest.approx(before.contrasts[0].log_sd_ratio, abs=1e-3)
    assert after.fits["chronic"].r2 == pytest.approx(before.fits["chronic"].r2)
    assert after.fits["chronic"].cpm == pytest.approx(before.fits["chronic"].cpm)


def test_two_centres_are_a_spread():
    found = spread(np.array([0.0, 4.0]), np.array([100.0, 100.0]), 50.0)
    assert (found.sd, found.weighted_sd) == (pytest.approx(8**0.5), pytest.approx(8**0.5))
    assert (found.mad, found.p90_p10) == (pytest.approx(1.4826 * 2), pytest.approx(3.2))


def test_the_median_deviation_is_from_the_median():
    assert spread(np.array([3.0, 4.0, 9.0]), np.ones(3), 50.0).mad == pytest.approx(1.4826)


def test_one_centre_has_no_spread():
    found = spread(np.array([3.0]), np.array([10.0]), 50.0)
    assert np.isnan([found.sd, found.weighted_sd, found.mad, found.p90_p10]).all()
    assert (found.min, found.max, found.mean_abs) == (3, 3, 3)
