"""Chance and systematic spread: DerSimonian–Laird, halves, periods, Pitman–Morgan, funnels."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.meta_analysis import combine_effects

from chance_worlds import ALPHA, gamma_world, knowing, normal_world, paid_flat, within_4_errors
from cohorts import cohort, table
from lakemedelsmodell.measures.noise import noise_floor
from lakemedelsmodell.measures.true_spread import (
    dersimonian_laird,
    funnel,
    persistence,
    pitman_morgan,
    split_half,
    spread_parts,
    true_spread,
)
from lakemedelsmodell.settlement import Settlement, settle

SIGMA, TAU, PERSONS, CENTRES = 60.0, 8.0, 40, 30


def settlement(net, months=None, ids=None) -> Settlement:
    """Centres with these nets per listed month."""
    net = np.asarray(net, dtype=float)
    months = np.full(len(net), 100.0) if months is None else np.asarray(months, dtype=float)
    ids = np.array([f"c{k}" for k in range(len(net))]) if ids is None else np.asarray(ids)
    paid = np.round(np.nan_to_num(net) * months * 100).astype(np.int64) + 10_000_000
    return Settlement("by hand", ids, months, paid, paid / 100, np.full(len(net), 100_000.0), 1.0, 1.0, int(paid.sum()))


# DerSimonian–Laird

def test_dersimonian_laird_by_hand():
    found = dersimonian_laird(np.array([0.0, 2, 4]), np.ones(3))
    assert (found.q, found.df, found.tau2) == (8, 2, 3)  # (8 − 2) / (3 − 3/3)
    assert found.reliability.tolist() == [0.75] * 3
    assert found.shrunken.tolist() == [0.5, 2, 3.5]
    assert found.p_value == pytest.approx(np.exp(-4))  # χ² on 2 df
    assert found.chance_sd == 1


def test_dersimonian_laird_as_statsmodels_has_it():
    rng = np.random.default_rng(21)
    net, variance = rng.normal(0, 3, 25), rng.uniform(0.5, 6, 25)
    found, judge = dersimonian_laird(net, variance), combine_effects(net, variance, method_re="dl")
    assert found.tau2 == pytest.approx(judge.tau2)
    assert found.q == pytest.approx(judge.q)
    assert found.mean == pytest.approx(judge.mean_effect_re)


def test_without_heterogeneity_q_is_k_minus_1():
    rng = np.random.default_rng(22)
    variance = rng.uniform(0.5, 6, 20)
    assert within_4_errors([dersimonian_laird(rng.normal(0, np.sqrt(variance)), variance).q for _ in range(4000)], 19)


def test_no_wider_than_chance_is_no_true_spread():
    found = dersimonian_laird(np.array([-0.1, 0, 0.1]), np.ones(3))
    assert (found.tau2, found.mean_reliability) == (0, 0)
    assert np.allclose(found.shrunken, 0)


def test_centres_that_cannot_be_known_are_left_out():
    whole = dersimonian_laird(np.array([0.0, 2, 4]), np.ones(3))
    more = dersimonian_laird(np.array([0.0, np.nan, 2, 4, 9]), np.array([1.0, 1, 1, 1, np.nan]))
    assert (more.tau2, more.q, more.mean_reliability) == (whole.tau2, whole.q, whole.mean_reliability)
    for found in (dersimonian_laird(np.array([1.0]), np.ones(1)), dersimonian_laird(np.array([1.0, 2]), np.zeros(2))):
        assert np.isnan([found.tau2, found.q, found.true_sd, found.mean_reliability]).all()


# persons: random lists, split halves, naive resampling

@pytest.fixture(scope="module")
def styled_worlds():
    """Per world with true spread ατ: SD² of the nets, that of persons resampled, τ² by two roads, mean s²."""
    rows = []
    for seed in range(120):
        rng = np.random.default_rng([23, seed])
        world = normal_world(rng, centres=CENTRES, persons=PERSONS, sigma=SIGMA, tau=TAU)
        settled, paid = paid_flat(world)
        resampled = np.arange(len(world.cost)) // PERSONS * PERSONS + rng.integers(0, PERSONS, len(world.cost))
        halves = split_half(world, paid, ALPHA, splits=4)
        rows.append({
            "spread": settled.net_per_month.var(ddof=1),
            "resampled": paid_flat(world.rows(resampled))[0].net_per_month.var(ddof=1),
            "tau2": true_spread(settled, world, paid).tau2, "halves": halves.covariance, "error": halves.standard_error,
            "chance": true_spread(settled, world, paid).chance_sd ** 2,
        })
    return pd.DataFrame(rows)


def test_spread_is_true_spread_and_chance(styled_worlds):
    assert within_4_errors(styled_worlds["spread"], ALPHA**2 * (TAU**2 + SIGMA**2 / PERSONS))


def test_dersimonian_laird_finds_the_true_spread(styled_worlds):
    assert (styled_worlds["tau2"] > 0).mean() > 0.98  # hardly cut off at 0, so its mean is that of the moment estimate
    # The pooled variance holds the centres' own differences too, a few per cent of τ² on lists of 40.
    inside = ALPHA**2 * TAU**2 * (1 - 1 / PERSONS)
    assert within_4_errors(styled_worlds["tau2"], inside)


def test_covariance_of_halves_is_the_true_spread(styled_worlds):
    assert within_4_errors(styled_worlds["halves"], ALPHA**2 * TAU**2)
    # Its stated standard error is that over worlds.
    assert styled_worlds["error"].mean() == pytest.approx(styled_worlds["halves"].std(), rel=0.3)


def test_persons_resampled_count_chance_twice(styled_worlds):
    """Why persons are never bootstrapped for a spread: τ² + 2σ²/n, here with (n−1)/n for the second draw."""
    twice = TAU**2 + SIGMA**2 / PERSONS * (2 - 1 / PERSONS)
    assert within_4_errors(styled_worlds["resampled"], ALPHA**2 * twice)


def test_random_lists_have_no_true_spread_under_either_model():
    """Two-group toy: s² is α²(b²p(1−p)+σ²)/n per head and α²σ²/n when the group is paid for; Q = K−1 in both."""
    p, b, sigma, n, K = 0.3, 100.0, 50.0, 60, 20
    rows = []
    for seed in range(100):
        world = normal_world(np.random.default_rng([24, seed]), centres=K, persons=n, sigma=sigma, p=p, b=b)
        flat, per_head = paid_flat(world)
        fine = settle(table(1000.0, [b]), world, ALPHA)
        per_person = fine.phi * (1000 + b * world.flags["dispensed"][:, 0])
        coarse, exact = true_spread(flat, world, per_head), true_spread(fine, world, per_person)
        rows.append((coarse.q, exact.q, coarse.chance_sd**2, exact.chance_sd**2))
    q0, q1, s0, s1 = np.array(rows).T
    assert within_4_errors(q0, K - 1)
    assert within_4_errors(q1, K - 1)
    assert within_4_errors(s0, ALPHA**2 * (b**2 * p * (1 - p) + sigma**2) / n)
    assert within_4_errors(s1, ALPHA**2 * sigma**2 / n)


def test_parts_of_a_spread():
    """Random lists paid per head: noise σ², lists b²p(1−p), nothing true."""
    p, b, sigma, n = 0.3, 100.0, 50.0, 400
    world = normal_world(np.random.default_rng(25), centres=100, persons=n, sigma=sigma, p=p, b=b)
    settled, paid = paid_flat(world)
    floor = noise_floor(world, 1000 + b * world.flags["dispensed"][:, 0], ALPHA)
    parts = spread_parts(true_spread(settled, world, paid), floor).set_index("part")["variance"]
    assert parts["noise"] == pytest.approx(ALPHA**2 * sigma**2 / n, rel=0.03)
    assert parts["lists"] == pytest.approx(ALPHA**2 * b**2 * p * (1 - p) / n, rel=0.06)
    assert parts["true"] < 0.5 * parts["lists"]


def test_halves_keep_a_person_whole():
    """Rows cut in two, the persons as they were: the same halves."""
    world = gamma_world(np.random.default_rng(26), centres=12)
    paid = knowing(world)[2]
    n = len(world.cost)
    cut = cohort(np.repeat(world.centre, 2), np.repeat(world.cost / 2, 2), months=np.repeat(world.months / 2, 2),
                 person=np.repeat(np.arange(n), 2))
    whole, parts = split_half(world, paid, ALPHA), split_half(cut, np.repeat(paid, 2), ALPHA)
    assert parts.covariance == pytest.approx(whole.covariance)
    assert np.isnan(split_half(cohort([0, 1], [1.0, 2.0]), np.ones(2), ALPHA).covariance)


# two periods, two models

def test_persistence_matches_centres_by_name():
    first = settlement([1, 2, 3, 7], ids=["a", "b", "c", "closed"])
    second = settlement([30, 10, 20, 5], ids=["c", "a", "b", "opened"])
    found = persistence(first, second)
    assert found.centres == 3
    assert (found.covariance, found.correlation) == (pytest.approx(10), pytest.approx(1))
    assert (found.sd_first, found.sd_second) == (pytest.approx(1), pytest.approx(10))
    assert np.isnan(persistence(first, settlement([1, 2], ids=["x", "y"])).correlation)


def test_persistence_of_a_lasting_style_is_its_variance():
    """The same centres, new persons in each half-year: the covariance is that of the lasting part."""
    rng, found = np.random.default_rng(27), []
    for _ in range(400):
        style = rng.normal(0, 3, 40)
        found.append(persistence(settlement(style + rng.normal(0, 4, 40)), settlement(style + rng.normal(0, 4, 40))))
    assert within_4_errors([f.covariance for f in found], 9)


def test_pitman_morgan_is_the_correlation_of_sum_and_difference():
    from scipy.stats import pearsonr

    rng = np.random.default_rng(28)
    n0 = rng.normal(0, 5, 40)
    n1 = 0.7 * n0 + rng.normal(0, 2, 40)
    found, judge = pitman_morgan(n1, n0), pearsonr(n1 + n0, n1 - n0)
    assert found.correlation == pytest.approx(judge.statistic)
    assert found.p_value == pytest.approx(judge.pvalue)
    assert found.sd_ratio == pytest.approx(n1.std() / n0.std())


def test_pitman_morgan_interval_holds_the_ratios_it_would_not_reject():
    rng = np.random.default_rng(29)
    n0 = rng.normal(0, 5, 30)
    n1 = 0.8 * n0 + rng.normal(0, 2, 30)
    found = pitman_morgan(n1, n0)
    assert found.ci_low < found.sd_ratio < found.ci_high
    for bound in (found.ci_low, found.ci_high):
        assert pitman_morgan(n1 / bound, n0).p_value == pytest.approx(0.05)


def test_pitman_morgan_of_equal_spreads_rejects_one_in_twenty():
    rng, found = np.random.default_rng(30), []
    for _ in range(2000):
        shared = rng.normal(0, 3, 20)
        found.append(pitman_morgan(shared + rng.normal(0, 2, 20), shared + rng.normal(0, 2, 20)).p_value < 0.05)
    assert within_4_errors(found, 0.05)


def test_pitman_morgan_at_its_edges():
    n = np.array([1.0, -2, 3, 0])
    same = pitman_morgan(n, n)
    assert (same.t, same.p_value, same.sd_ratio) == (0, 1, 1)
    assert pitman_morgan(n + 4, n).p_value == 1
    assert np.isnan(pitman_morgan(n[:2], n[:2]).p_value)
    assert np.isnan(pitman_morgan(n, np.zeros(4)).p_value)
    left_out = pitman_morgan(np.append(n**2, np.nan), np.append(n, 5.0))
    assert left_out == pitman_morgan(n**2, n)


# funnel plot

def test_funnel_without_winsorising_about_the_mean_is_dersimonian_laird():
    rng = np.random.default_rng(31)
    variance = rng.uniform(1, 5, 30)
    placed = settlement(rng.normal(0, 4, 30))
    known = dersimonian_laird(placed.net_per_month, variance)
    mean = float((placed.net_per_month / variance).sum() / (1 / variance).sum())
    assert funnel(placed, variance, target=mean, winsorised=0).tau2 == pytest.approx(known.tau2)


def test_funnel_by_hand():
    found = funnel(settlement([-1, 1, -1, 1]), np.ones(4), winsorised=0)
    assert (found.over_dispersion, found.tau2) == (1, pytest.approx(1 / 3))  # (4·1 − 3) / (4 − 1)
    row = found.to_frame().iloc[1]
    assert (row["z"], row["z_adjusted"]) == (pytest.approx(1), pytest.approx(np.sqrt(3 / 4)))
    assert row["high_95"] == pytest.approx(1.959964 * np.sqrt(4 / 3))
    assert row["low_998"] == pytest.approx(-3.090232 * np.sqrt(4 / 3))
    assert not found.centres["outside"].any()


def test_an_outlier_does_not_widen_the_funnel():
    """Winsorised, one centre far off leaves the limits nearly where they were, and lies outside them."""
    net = np.random.default_rng(32).normal(0, 2, 60)
    plain = funnel(settlement(net), np.ones(60))
    net[7] = 40
    off = funnel(settlement(net), np.ones(60))
    assert off.tau2 == pytest.approx(plain.tau2, rel=0.25)
    assert off.centres["outside"][7]
    assert funnel(settlement(net), np.ones(60), winsorised=0).tau2 > 5 * off.tau2


def test_without_over_dispersion_the_funnel_is_that_of_chance():
    found = funnel(settlement([0.5, -0.5, 0.2, -0.2]), np.ones(4))
    assert found.tau2 == 0
    assert np.allclose(found.centres["z"], found.centres["z_adjusted"])


def test_results_show_themselves():
    import matplotlib

    matplotlib.use("agg")
    world = gamma_world(np.random.default_rng(33), centres=6)
    predicted, settled, paid = knowing(world)
    found = true_spread(settled, world, paid)
    assert len(found.to_frame()) == 6
    assert "True SD" in found._repr_html_()
    assert "permutation" in noise_floor(world, predicted, ALPHA)._repr_html_()
    assert funnel(settled, found.variance).plot().get_ylabel() == "Net, SEK per listed month"
