"""Contrasts between models: Δ = ln(SD₁/SD₀), its interval and its companions; the comparison as a whole."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from cohorts import cohort, random_cohort, table
from lakemedelsmodell.errors import UserError
from lakemedelsmodell.measures import compare
from lakemedelsmodell.measures.contrasts import bca_interval, contrast, log_sd_ratio
from lakemedelsmodell.models import AgeSex, ChronicConditions, ChronicDefended, Flat, out_of_fold
from lakemedelsmodell.palette import PROPOSAL_COLOUR, TODAY_COLOUR
from lakemedelsmodell.settlement import settle

ALPHA = 0.7


def nets(rng, K, ratio, rho, replicates=1):
    """Pairs of normal nets with SD ratio and correlation as given, shape (replicates, K) each."""
    n0, free = rng.normal(0, 1, (2, replicates, K))
    return ratio * (rho * n0 + np.sqrt(1 - rho**2) * free), n0


@pytest.mark.parametrize("rho", [0.0, 0.6, 0.95])
def test_standard_error_of_delta(rho):
    """SE(Δ) ≈ √((1−ρ²)/(K−1)), over 4 000 worlds of normal nets."""
    K, worlds = 180, 4000
    delta = log_sd_ratio(*nets(np.random.default_rng(1), K, 0.7, rho, worlds))
    # K−1 is the large-sample form: 1/K is allowed besides the Monte-Carlo error.
    assert delta.std(ddof=1) == pytest.approx(np.sqrt((1 - rho**2) / (K - 1)), rel=4 / np.sqrt(2 * worlds) + 1 / K)
    assert delta.mean() == pytest.approx(np.log(0.7), abs=4 * delta.std() / np.sqrt(worlds) + 1e-3)


def test_the_interval_covers_delta_as_often_as_it_says():
    rng = np.random.default_rng(2)
    covered = 0
    worlds = 400
    for n1, n0 in zip(*nets(rng, 60, 0.7, 0.8, worlds), strict=True):
        low, high = bca_interval(n1, n0, resamples=500, seed=3)
        covered += low <= np.log(0.7) <= high
    # BCa with 60 centres falls a point or two short of its 95 %.
    assert covered / worlds == pytest.approx(0.95, abs=4 * np.sqrt(0.05 * 0.95 / worlds) + 0.015)


@pytest.mark.parametrize(("K", "skewed"), [(90, False), (8, True)])
def test_the_interval_is_that_of_scipy(K, skewed):
    """With few and skewed nets the median of these resamples lies off Δ, so that the bias correction shows."""
    rng = np.random.default_rng(4)
    (n1,), (n0,) = nets(rng, K, 0.8, 0.7)
    if skewed:
        n1 = np.exp(n1)
    ours = bca_interval(n1, n0, resamples=100_000, seed=5)
    theirs = stats.bootstrap((n1, n0), lambda a, b, axis=-1: 0.5 * np.log(a.var(axis=axis) / b.var(axis=axis)),
                             paired=True, vectorized=True, n_resamples=100_000, method="BCa",
                             rng=np.random.default_rng(6))
    width = ours[1] - ours[0]
    np.testing.assert_allclose(ours, theirs.confidence_interval, atol=0.012 * width)


def test_the_same_seed_gives_the_same_interval_and_another_another():
    (n1,), (n0,) = nets(np.random.default_rng(8), 40, 0.8, 0.7)
    assert bca_interval(n1, n0, seed=1) == bca_interval(n1, n0, seed=1) != bca_interval(n1, n0, seed=2)


def test_swapping_the_models_mirrors_the_contrast():
    (n1,), (n0,) = nets(np.random.default_rng(9), 40, 0.8, 0.7)
    low, high = bca_interval(n1, n0)
    np.testing.assert_allclose(bca_interval(n0, n1), (-high, -low), atol=0.01)


@pytest.mark.parametrize(("n1", "n0"), [
    ([1.0, 2.0], [1.0, 3.0]), ([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]), ([1.0, 2.0, 3.0], [0.0, 0.0, 0.0])])
def test_what_cannot_be_known_is_nan(n1, n0):
    assert np.isnan(bca_interval(np.array(n1), np.array(n0))).all()


def test_a_model_against_itself_differs_by_nothing():
    data = random_cohort(1)
    paid = settle(table(40, [30.0, 0.0, 12.5, 80.0]), data, ALPHA)
    same = contrast(paid, paid, 0.1, 0.1)
    assert (same.log_sd_ratio, same.ci_low, same.ci_high, same.sd_ratio, same.random_list_ratio) == (0, 0, 0, 1, 1)
    assert (same.redistribution_sek, same.centres_changing_sign) == (0, 0)
    assert same.spearman == pytest.approx(1)
    assert same.se_check == pytest.approx(0, abs=1e-7)


def test_by_hand():
    """Three equal lists; amounts that pay by flags against one amount for all, budget 90."""
    data = cohort([0, 1, 2], [50.0, 40.0, 10.0], flags=[[1], [0], [0]], months=1.0)
    found = contrast(settle(table(1, [2.0]), data, 1.0, 90.0), settle(table(1), data, 1.0, 90.0), 0.75, 0.0)
    # Flat: 30 each, net −20, −10, 20. By flags: 54, 18, 18, net 4, −22, 8.
    new, old = np.array([4.0, -22, 8]), np.array([-20.0, -10, 20])
    assert found.sd_ratio == pytest.approx(new.std() / old.std())
    assert found.redistribution_sek == pytest.approx((24 + 12 + 12) / 2)
    assert found.centres_changing_sign == 1
    assert found.correlation == pytest.approx(np.corrcoef(new, old)[0, 1])
    assert found.se_check == pytest.approx(np.sqrt((1 - found.correlation**2) / 2))
    assert found.spearman == pytest.approx(stats.spearmanr(new, old)[0])
    assert found.random_list_ratio == pytest.approx(0.5)


def test_settlements_of_other_centres_are_not_contrasted():
    one, other = (settle(table(), random_cohort(2, n_centres=K), ALPHA) for K in (4, 5))
    with pytest.raises(ValueError, match="same centres"):
        contrast(one, other, 0, 0)


# The comparison -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data():
    return random_cohort(20, n=2000, n_centres=12)


@pytest.fixture(scope="module")
def comparison(data):
    return compare({m.name: m.fit(data, ALPHA).rounded() for m in (Flat(), AgeSex(), ChronicConditions(),
                                                                    ChronicDefended())}, data, ALPHA)


def test_every_model_pays_the_same_money(comparison, data):
    budgets = {s.reimbursement_ore.sum() for s in comparison.settlements.values()}
    assert budgets == {round(ALPHA * data.cost.sum() * 100)}


def test_the_headline_contrast_comes_first(comparison):
    pairs = [(c.model, c.against) for c in comparison.contrasts]
    assert pairs == [("chronic", "age_sex"), ("chronic_defended", "age_sex")]


def test_models_of_ones_own_are_set_against_the_first(data):
    found = compare([table(40, model="a"), table(41, [1.0, 2, 3, 4], model="b")], data, ALPHA)
    assert [(c.model, c.against) for c in found.contrasts] == [("b", "a")]
    with pytest.raises(UserError, match="There are: a"):
        compare([table(40, model="a")], data, ALPHA, contrasts=[("a", "nothing")])


def test_fit_is_that_of_the_unrounded_amounts(comparison, data):
    plain = compare([ChronicConditions().fit(data, ALPHA)], data, ALPHA)
    assert comparison.fits["chronic"] == plain.fits["chronic"]
    assert comparison.settlements["chronic"].phi != plain.settlements["chronic"].phi


def test_out_of_fold_every_centre_is_paid_by_the_others_amounts(data):
    payer = out_of_fold(ChronicConditions(), data, ALPHA)
    found = compare([payer, out_of_fold(Flat(), data, ALPHA)], data, ALPHA, contrasts=[("chronic", "flat")])
    mine = data.centre == 3
    without = ChronicConditions().fit(data.rows(~mine), ALPHA)
    unscaled = data.exposure[mine] @ without.per_month(data.cell[mine], data.flags["dispensed"][mine])
    assert found.settlements["chronic"].unscaled_sek[3] == pytest.approx(unscaled)
    assert found.tables["chronic"] is payer.table
    in_sample = compare([ChronicConditions().fit(data, ALPHA)], data, ALPHA)
    assert found.fits["chronic"].r2 < in_sample.fits["chronic"].r2


def test_fit_cost_is_what_fit_is_measured_against_and_cost_is_what_is_settled(data):
    capped = replace(data, fit_cost=np.minimum(data.cost, 300))
    models = [AgeSex(), ChronicConditions()]
    found = compare([m.fit(capped, ALPHA) for m in models], capped, ALPHA)
    alone = replace(data, cost=capped.fit_cost)
    assert found.fits == compare([m.fit(alone, ALPHA) for m in models], alone, ALPHA).fits
    assert found.settlements["chronic"].cost_sek.sum() == pytest.approx(data.cost.sum())


def test_predictive_ratios_average_to_one_and_find_who_is_paid_too_little(comparison, data):
    groups = comparison.groups
    bands = groups[groups["group"].str.startswith("age:")]
    for model, rows in bands.groupby("model"):
        assert np.average(rows["ratio"], weights=_own_cost_by_band(data)) == pytest.approx(1), model
    dear = groups.set_index(["model", "group"])["ratio"].unstack("model").loc["condition:condition3"]
    assert dear["age_sex"] < 0.8 < dear["chronic"] < 1.1
    at = groups.set_index(["model", "group"]).loc[("age_sex", "condition:condition3")]
    assert at["ci_low"] < at["ratio"] < at["ci_high"] < 1
    assert at["persons"] == len(np.unique(data.person[data.flags["dispensed"][:, 3]]))
    assert at["under_compensation_sek"] < 0


def _own_cost_by_band(data):
    return np.bincount(data.band, data.cost, 21)


def test_the_interval_of_a_predictive_ratio_covers_it():
    """120 worlds of 40 centres with a style of their own; the true ratio of the flag's group is 1."""
    hits, worlds = 0, 120
    for seed in range(worlds):
        rng = np.random.default_rng(seed)
        centre, z = np.repeat(np.arange(40), 50), rng.random(2000) < 0.3
        cost = (100 + 100 * z) * np.repeat(rng.lognormal(-0.02, 0.2, 40), 50) * rng.gamma(2, 0.5, 2000)
        budget = 100 * 2000 + 100 * z.sum()
        found = compare([table(100, [100.0])], cohort(centre, cost, flags=z, months=1.0), 1.0, budget)
        row = found.groups.set_index("group").loc["condition:condition0"]
        hits += row["ci_low"] <= 1 <= row["ci_high"]
    assert hits / worlds == pytest.approx(0.95, abs=4 * np.sqrt(0.05 * 0.95 / worlds))


def test_a_comparison_shows_itself(comparison, data):
    tidy = comparison.to_frame()
    assert set(tidy["model"]) == set(comparison.models)
    assert tidy["value"].notna().all()
    assert len(comparison.centres_frame()) == 4 * data.n_centres
    assert "randomly composed lists" in comparison._repr_html_()
    axes = comparison.plot()
    today, proposal = axes.lines[1:]
    assert (today.get_label(), proposal.get_label()) == ("age_sex", "chronic")
    assert (today.get_color(), today.get_markerfacecolor()) == (TODAY_COLOUR, "none")  # hollow, as in the report
    assert proposal.get_color() == PROPOSAL_COLOUR
    assert comparison.contrasts_frame().shape[0] == 2
