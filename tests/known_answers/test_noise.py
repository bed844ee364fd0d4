"""The noise floor: three estimators, one closed form."""

from dataclasses import replace

import numpy as np
import pytest

from chance_worlds import ALPHA, gamma_floor, gamma_world, knowing, normal_world, within_4_errors
from cohorts import cohort
from lakemedelsmodell.measures.noise import noise_floor, own_variance, permuted_variances
from lakemedelsmodell.measures.stays import chance_variance, risk_strata, stays

ESTIMATORS = ("analytic", "squared_residuals", "permutation")


def floors(found) -> np.ndarray:
    return np.array([getattr(found, name) for name in ESTIMATORS]) ** 2


@pytest.fixture(scope="module")
def perfect_worlds():
    """Per world: variance of the nets under perfect flags, F² by formula, and what noise_floor finds."""
    rows = []
    for seed in range(60):
        world = gamma_world(np.random.default_rng([11, seed]))
        predicted, settled, _ = knowing(world)
        rows.append((settled.net_per_month.var(ddof=1), gamma_floor(world), noise_floor(world, predicted, ALPHA)))
    return rows


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_with_perfect_flags_and_no_style_the_spread_is_the_noise_floor(perfect_worlds, estimator):
    assert within_4_errors([spread - getattr(found, estimator) ** 2 for spread, _, found in perfect_worlds], 0)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_each_estimator_finds_the_closed_form(perfect_worlds, estimator):
    assert within_4_errors([getattr(found, estimator) ** 2 / known for _, known, found in perfect_worlds], 1)


def test_chance_alone_keeps_the_spread_within_its_range(perfect_worlds):
    inside = [found.low <= np.sqrt(spread) <= found.high for spread, _, found in perfect_worlds]
    assert abs(np.mean(inside) - 0.95) <= 4 * np.sqrt(0.95 * 0.05 / len(inside))


def test_two_group_toy_has_the_floor_of_its_noise():
    """Var(n) = α²σ²/n when cost is a + bz + noise and z is paid for."""
    sigma, persons = 50.0, 80
    found = []
    for seed in range(40):
        rng = np.random.default_rng([12, seed])
        world = normal_world(rng, centres=30, persons=persons, sigma=sigma, p=0.3, b=200.0)
        predicted = 1000 + 200.0 * world.flags["dispensed"][:, 0]
        found.append(floors(noise_floor(world, predicted, ALPHA)))
    known = ALPHA**2 * sigma**2 / persons
    assert all(within_4_errors(one, known) for one in np.array(found).T)


def test_permutation_has_the_mean_of_dealing_without_replacement():
    """Centres of unlike size and risk: the expected variance follows from the covariances of a random deal."""
    rng = np.random.default_rng(13)
    centre = np.repeat(np.arange(6), [5, 40, 20, 60, 10, 25])
    world = cohort(centre, rng.exponential(100, len(centre)), months=1.0)
    here, stratum = stays(world), rng.integers(0, 3, len(centre))
    residual = rng.exponential(10, len(centre)) * (1 + stratum)
    months, K = here.months, 6
    covariance = np.zeros((K, K))
    for h in range(3):
        share = np.bincount(centre[stratum == h], minlength=K)
        of_sums = np.diag(share) - np.outer(share, share) / share.sum()
        covariance += residual[stratum == h].var(ddof=1) * of_sums / np.outer(months, months)
    expected = (np.trace(covariance) - covariance.sum() / K) / (K - 1)
    # Turns of one shuffle share its luck, so the standard error comes from many shuffles.
    drawn = [permuted_variances(here, residual, stratum, 4, seed).mean() for seed in range(2000)]
    assert within_4_errors(drawn, expected)


def test_style_is_no_chance():
    rng = np.random.default_rng(14)
    world = gamma_world(rng, centres=8)
    here, residual = stays(world), rng.normal(0, 100, len(world.cost))
    styled = residual + here.exposure * rng.normal(0, 50, 8)[here.centre]
    assert np.allclose(own_variance(here, styled), own_variance(here, residual))


def test_rows_of_a_person_are_one_stay():
    """A birthday cuts a person in two rows; her luck is not two persons' luck."""
    rng = np.random.default_rng(15)
    world = gamma_world(rng, centres=10)
    predicted = knowing(world)[0]
    n = len(world.cost)
    cut = rng.uniform(0.2, 0.8, n)
    halves = cohort(np.repeat(world.centre, 2), (np.outer(world.cost, [1, 1]) * np.c_[cut, 1 - cut]).ravel(),
                    months=(world.months[:, None] * np.c_[cut, 1 - cut]).ravel(), person=np.repeat(np.arange(n), 2))
    whole, parts = noise_floor(world, predicted, ALPHA), noise_floor(halves, np.repeat(predicted, 2), ALPHA)
    assert np.allclose(floors(parts), floors(whole))


def test_twice_the_persons_halve_the_variance():
    world = gamma_world(np.random.default_rng(16), centres=10, persons=200)
    predicted = knowing(world)[0]
    twice = cohort(np.repeat(world.centre, 2), np.repeat(world.cost, 2), months=np.repeat(world.months, 2))
    one, two = noise_floor(world, predicted, ALPHA), noise_floor(twice, np.repeat(predicted, 2), ALPHA)
    assert two.analytic**2 == pytest.approx(one.analytic**2 / 2, rel=0.01)
    assert two.squared_residuals**2 == pytest.approx(one.squared_residuals**2 / 2, rel=0.01)


def test_a_mover_has_a_stay_at_each_centre():
    world = cohort([0, 1, 1, 0, 1], [10, 20, 30, 40, 50], person=[0, 0, 0, 1, 2], months=[2, 1, 3, 6, 6])
    here = stays(world)
    assert here.person.tolist() == [0, 0, 1, 2]
    assert here.centre.tolist() == [0, 1, 0, 1]
    assert here.listed.tolist() == [2, 4, 6, 6]
    assert here.sum(world.cost).tolist() == [10, 50, 40, 50]
    assert here.months.tolist() == [8, 10]


def test_a_weight_multiplies_cost_and_months_and_squares_in_variance():
    """Everybody weighs 3: nets per month and so the floor are as without weights."""
    world = gamma_world(np.random.default_rng(17), centres=10)
    heavy = cohort(world.centre, world.cost, months=world.months, weight=np.full(len(world.cost), 3.0))
    predicted = knowing(world)[0]
    assert np.allclose(floors(noise_floor(heavy, predicted, ALPHA)), floors(noise_floor(world, predicted, ALPHA)))


def test_unlike_weights_widen_the_floor():
    """F² = α²σ² Σw²/(Σw)² with one month each."""
    sigma, weight = 50.0, np.tile([1.0, 4.0, 0.2, 0.2], 30 * 20)
    found = []
    for seed in range(40):
        world = normal_world(np.random.default_rng([21, seed]), centres=30, persons=80, sigma=sigma)
        weighted = replace(world, weight=weight)
        found.append(floors(noise_floor(weighted, np.full(len(weight), 1000.0), ALPHA)))
    known = ALPHA**2 * sigma**2 * (weight[:80] ** 2).sum() / weight[:80].sum() ** 2
    assert all(within_4_errors(one, known) for one in np.array(found).T)


def test_strata_keep_ties_together_and_hold_equal_cost():
    rng = np.random.default_rng(18)
    predicted, listed = rng.gamma(0.5, 100, 20_000), np.full(20_000, 6.0)
    stratum = risk_strata(predicted, listed, strata=20)
    cost = np.bincount(stratum, predicted) / predicted.sum()
    assert len(cost) == 20
    assert np.abs(cost - 0.05).max() < 0.01
    coarse = risk_strata(np.repeat([10.0, 20.0, 30.0], 100), np.full(300, 6.0))
    assert coarse.tolist() == np.repeat([0, 1, 2], 100).tolist()


def test_strata_part_the_short_stays_and_are_never_small():
    rng = np.random.default_rng(19)
    predicted, listed = rng.gamma(0.5, 100, 5_000), np.where(rng.random(5_000) < 0.1, 3.0, 6.0)
    stratum = risk_strata(predicted, listed, strata=10)
    mixed = [len(set(listed[stratum == s])) > 1 for s in range(stratum.max() + 1)]
    assert sum(mixed) <= 1
    assert np.bincount(stratum).min() >= 30
    assert risk_strata(predicted[:20], listed[:20]).tolist() == [0] * 20


def test_what_cannot_be_known_is_nan():
    """A centre of one person has no variance of its own; two centres are needed for a spread."""
    lone = noise_floor(cohort([0, 1, 1, 1], [1.0, 2, 3, 5]), np.ones(4), ALPHA)
    assert np.isnan([lone.floor, lone.squared_residuals, lone.permutation, lone.disagreement]).all()
    assert np.isnan(lone.variance[0])
    assert lone.variance[1] > 0
    three = noise_floor(cohort([0, 1, 1, 2, 2], [1.0, 2, 3, 5, 9]), np.ones(5), ALPHA)
    assert three.squared_residuals == pytest.approx(noise_floor(cohort([0, 0, 1, 1], [2.0, 3, 5, 9]), np.ones(4), ALPHA)
                                                    .squared_residuals)
    assert three.permutation > 0
    here = stays(cohort([0, 0, 2, 2], [1.0, 2, 3, 5], n_centres=3))
    assert np.isnan(chance_variance(here, np.array([1.0, 2, 3, 5]), np.zeros(4, dtype=int))[1])


def test_same_seed_same_floor():
    world = gamma_world(np.random.default_rng(20), centres=10)
    predicted = knowing(world)[0]
    one, again = (noise_floor(world, predicted, ALPHA) for _ in range(2))
    assert one.to_frame().equals(again.to_frame())
    assert noise_floor(world, predicted, ALPHA, seed=1).permutation != one.permutation
