"""Funnels, tails and false discoveries by hand; what planted manipulation does to them."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import nbinom, norm, poisson

from lakemedelsmodell.manipulation.detection import (
    Funnel,
    detectable,
    false_discovery,
    funnel,
    funnel_z,
    overdispersion,
    power,
    proportion,
    same_level,
    standardised,
    upper_tail,
    usual,
)

RNG = np.random.default_rng


def test_z_is_the_formula():
    z = funnel_z(np.array([130.0]), np.array([100.0]), np.array([80.0]), 0.1)
    assert z[0] == pytest.approx(30 / np.sqrt(80 + 0.01 * 100**2))
    assert np.isnan(funnel_z(np.zeros(1), np.zeros(1), np.zeros(1), 0.1)[0])


def test_bunching_z_is_that_of_a_share():
    expected, chance = proportion(np.array([400.0]), 0.1)
    z = funnel_z(np.array([60.0]), expected, chance, 0.0)
    assert z[0] == pytest.approx((60 - 400 * 0.1) / np.sqrt(400 * 0.1 * 0.9))


def test_standardised_by_hand():
    """Cell 0: 2 of 4 have it, cell 1: 1 of 2. Centre 0 lists three of cell 0, centre 1 one of cell 0 and two of 1."""
    centre, cell = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 0, 0, 0, 1, 1])
    had = np.array([True, True, False, False, True, False])
    observed, expected, chance, n = standardised(centre, cell, had, 2, 2)
    np.testing.assert_allclose(observed, [2, 1])
    np.testing.assert_allclose(expected, [1.5, 1.5])
    np.testing.assert_allclose(chance, [0.75, 0.75])
    np.testing.assert_allclose(n, [3, 3])
    assert expected.sum() == observed.sum()


@pytest.mark.parametrize("psi", [0.0, 0.15, 0.4])
def test_overdispersion_finds_the_spread_between_centres(psi):
    rng = RNG(1)
    expected = rng.uniform(50, 400, 2000)
    observed = rng.poisson(expected * np.maximum(1 + psi * rng.standard_normal(2000), 0)).astype(float)
    found = overdispersion(observed, expected, expected)
    total = np.sqrt(1 / np.median(expected) + psi**2) * (1 + 1 / np.sqrt(2 * 0.8 * 2000))  # raised by a standard error
    assert found == pytest.approx(np.sqrt(total**2 - 1 / np.median(expected)), abs=0.02)


def test_a_tenth_that_manipulate_hardly_widen_the_limits_and_all_do_not():
    rng = RNG(2)
    expected = np.full(500, 100.0)
    observed = rng.poisson(100 * (1 + 0.15 * rng.standard_normal(500))).astype(float)
    alone = overdispersion(observed, expected, expected)
    tenth = np.where(np.arange(500) < 50, 3 * observed, observed)
    assert overdispersion(tenth, expected, expected) < 1.5 * alone
    assert overdispersion(2 * observed, expected, expected) == pytest.approx(2 * alone, rel=0.25)  # shared by all
    assert np.std(tenth / expected) > 4 * alone  # what a plain SD would say


def test_overdispersion_is_unknown_of_few_centres():
    assert np.isnan(overdispersion(np.full(9, 20.0), np.full(9, 20.0), np.full(9, 20.0)))
    assert np.isnan(overdispersion(np.full(50, 4.0), np.full(50, 4.9), np.full(50, 4.9)))


def test_overdispersion_is_not_told_by_the_manipulators_alone():
    """Where a few centres' own doing makes them expect five or more, they do not say what is usual."""
    expected = np.where(np.arange(60) < 12, 20.0, 2.0)
    observed = expected.copy()
    observed[:12] *= np.linspace(0.2, 3, 12)
    assert np.isnan(overdispersion(observed, expected, expected))
    assert overdispersion(observed[:12], expected[:12], expected[:12]) > 0.3


def test_tail_is_exact_for_counts():
    p = upper_tail(np.array([7.0, 30.0, 3.0, 2.0]), np.array([3.0, 20.0, 3.0, 0.0]), np.array([2.0, 60.0, 3.0, 0.0]))
    assert p[0] == pytest.approx(poisson.sf(6, 3))  # less than Poisson variance: cautious
    assert p[1] == pytest.approx(nbinom.sf(29, 10, 20 / 60))
    assert p[2] == pytest.approx(poisson.sf(2, 3))
    assert np.isnan(p[3])
    assert p[1] > norm.sf(9.5 / np.sqrt(60))  # the normal's tail is too thin


def test_detectable_is_where_the_tail_reaches_p():
    for expected, variance in ((3.0, 3.0), (20.0, 60.0)):
        at = detectable(expected, variance, 1e-4)
        below, there = upper_tail(np.array([at - 1, at]), np.full(2, expected), np.full(2, variance))
        assert there <= 1e-4 < below


def test_false_discovery_is_benjamini_hochberg():
    p = np.array([[0.01, np.nan], [0.02, 0.5]])
    q = false_discovery(p)
    np.testing.assert_allclose(q[[0, 1, 1], [0, 0, 1]], [0.03, 0.03, 0.5])
    assert np.isnan(q[0, 1])
    assert np.isnan(false_discovery(np.full(3, np.nan))).all()


def test_cells_that_expect_less_than_one_are_not_tested_whatever_is_seen():
    f = Funnel("change", ("a",), np.array([[9.0]]), np.array([[0.9]]), np.array([[0.9]]), np.array([[50.0]]),
               np.zeros(1))
    assert np.isnan(f.p).all()


def test_null_worlds_are_left_alone():
    """Overdispersed counts, no manipulation: at 5 % false discoveries some 5 % of worlds name a centre, not more."""
    rng, named, worlds = RNG(3), 0, 200
    for _ in range(worlds):
        expected = rng.uniform(1, 60, (180, 10))
        chance_rate = rng.gamma(1 / 0.12**2, 0.12**2, expected.shape)
        observed = rng.poisson(expected * chance_rate).astype(float)
        f = usual(funnel("change", tuple("abcdefghij"), observed, expected, expected, expected * 50))
        named += bool((false_discovery(f.p) <= 0.05).any())
    assert named / worlds <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / worlds)


def test_usual_is_not_set_by_those_who_stand_out():
    rng = RNG(4)
    expected = np.full((100, 1), 40.0)
    honest = rng.poisson(expected).astype(float)
    mixed = np.where(np.arange(100)[:, None] < 10, 4 * honest, honest)
    region = expected * (mixed.sum() / expected.sum())  # what a standardisation over all centres gives
    first = funnel("change", ("a",), mixed, region, region, region * 20)
    again = usual(first)
    honest_mean = again.expected[10:].mean() / honest[10:].mean()
    assert first.expected[10:].mean() / honest[10:].mean() > 1.2
    assert honest_mean == pytest.approx(1, abs=0.02)
    assert (again.z[:10] > first.z[:10]).all()


def test_own_earlier_level_is_allowed_for_and_sums_stay():
    expected, before = np.array([10.0, 10.0]), np.array([99.0, 99.0])
    adjusted = same_level(expected, np.array([199.0, 99.0]), before)
    np.testing.assert_allclose(adjusted, np.array([200 / 300, 100 / 300]) * 20)
    assert same_level(np.zeros(2), before, before).sum() == 0


def test_power_counts_centres_and_false_cells():
    planted = np.zeros((4, 3), dtype=bool)
    planted[:2, 1] = True
    found = np.zeros_like(planted)
    found[0, 1] = found[3, 2] = True
    assert power(found, planted) == {"centres_planted": 2, "centres_found": 1, "power": 0.5, "cells_found": 2,
                                     "cells_false": 1, "false_share": 0.5}
    assert np.isnan(power(found, np.zeros_like(planted))["power"])
    assert power(np.zeros_like(found), planted)["false_share"] == 0


def test_funnel_shows_itself():
    expected = np.linspace(5, 50, 24).reshape(12, 2)
    f = funnel("change", ("a", "b"), expected + 2, expected, expected, expected * 10)
    assert isinstance(f.to_frame(), pd.DataFrame)
    assert len(f.to_frame()) == 24
    assert "<table" in f._repr_html_()
    assert "b" in f.plot("b").get_title()
