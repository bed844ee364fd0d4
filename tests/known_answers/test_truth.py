"""Against a simulation's truth: style comes through, misfit does not."""

import numpy as np
import pytest
import statsmodels.api as sm

from chance_worlds import ALPHA, ILL, WELL, gamma_floor, gamma_world, within_4_errors
from cohorts import table
from lakemedelsmodell.measures.truth import (
    against_truth,
    excess_sd,
    ideal_net,
    pass_through,
    true_spread_reduction,
)
from lakemedelsmodell.models import ChronicConditions, Flat
from lakemedelsmodell.settlement import settle

STYLE_SD = 8.0


@pytest.fixture(scope="module")
def styled_worlds():
    """Style is added to every cost and has nothing to do with who is ill; amounts are fitted on the styled costs."""
    found = []
    for seed in range(60):
        rng = np.random.default_rng([41, seed])
        style = rng.normal(0, STYLE_SD, 40)
        world = gamma_world(rng, style=style)
        oracle = settle(table(ALPHA * WELL, [ALPHA * (ILL - WELL)], model="oracle"), world, ALPHA)
        models = {model.name: settle(model.fit(world, ALPHA), world, ALPHA) for model in (Flat(), ChronicConditions())}
        found.append({"floor": gamma_floor(world)} | {name: against_truth(settled, style, oracle)
                                                       for name, settled in {"oracle": oracle, **models}.items()})
    return found


@pytest.mark.parametrize("model", ["flat", "chronic", "oracle"])
def test_style_that_has_nothing_to_do_with_flags_comes_through_whole(styled_worlds, model):
    assert within_4_errors([world[model].pass_through.slope for world in styled_worlds], 1)


def test_the_interval_of_pass_through_holds_1_as_often_as_it_says(styled_worlds):
    inside = [w["chronic"].pass_through.ci_low <= 1 <= w["chronic"].pass_through.ci_high for w in styled_worlds]
    assert abs(np.mean(inside) - 0.95) <= 4 * np.sqrt(0.95 * 0.05 / len(inside))


def test_the_oracle_is_off_its_ideal_by_chance_alone(styled_worlds):
    """RMSE² = F², but for the mean that the budget takes away."""
    assert within_4_errors([w["oracle"].rmse_to_ideal**2 / w["floor"] for w in styled_worlds], 1)
    assert all(w["oracle"].excess_sd == 0 for w in styled_worlds)


def test_paying_for_need_brings_centres_nearer_their_ideal(styled_worlds):
    for measure in ("rmse_to_ideal", "excess_sd"):
        values = {m: np.mean([getattr(w[m], measure) for w in styled_worlds]) for m in ("flat", "chronic", "oracle")}
        assert values["flat"] > 2 * values["chronic"]


def test_a_model_that_pays_for_style_lets_less_through():
    """Amounts that follow a share γ of style leave the centre 1−γ of it: the spread falls, the ideal is missed."""
    style = np.random.default_rng(42).normal(0, 10, 30)
    months = np.full(30, 1000.0)
    ideal = ideal_net(style, months, ALPHA)
    paid_for = pass_through(0.6 * ideal, ideal)
    assert (paid_for.slope, paid_for.r2) == (pytest.approx(0.6), pytest.approx(1))
    assert paid_for.ci_high - paid_for.ci_low < 1e-9
    assert pass_through(0.6 * ideal - ideal, ideal).slope == pytest.approx(-0.4)  # paired: the difference of slopes


def test_pass_through_as_statsmodels_has_it():
    rng = np.random.default_rng(43)
    ideal = rng.normal(0, 3, 35)
    net = 2 + 0.8 * ideal + rng.normal(0, 1 + np.abs(ideal))
    judge = sm.OLS(net, sm.add_constant(ideal)).fit(cov_type="HC3", use_t=True)
    found = pass_through(net, ideal)
    assert found.slope == pytest.approx(judge.params[1])
    assert found.standard_error == pytest.approx(judge.bse[1])
    assert [found.ci_low, found.ci_high] == pytest.approx(judge.conf_int()[1].tolist())
    assert found.r2 == pytest.approx(judge.rsquared)


def test_the_ideal_is_counted_from_average_practice():
    months = np.array([100.0, 300.0, 0.0])
    ideal = ideal_net(np.array([8.0, 0.0, 5.0]), months, 0.5)
    assert ideal[:2].tolist() == [-3, 1]  # the list-weighted mean style is 2
    assert np.isnan(ideal[2])
    assert np.allclose(ideal_net(np.array([18.0, 10.0, 15.0]), months, 0.5), ideal, equal_nan=True)


def test_without_style_there_is_nothing_to_let_through():
    assert np.isnan(pass_through(np.array([1.0, -1, 0]), np.zeros(3)).slope)
    assert np.isnan(pass_through(np.array([1.0, -1]), np.array([1.0, -1])).slope)


def test_excess_spread():
    assert excess_sd(np.array([-5.0, 0, 5]), np.array([-3.0, 0, 3])) == pytest.approx(4)
    assert excess_sd(np.array([-3.0, 0, 3]), np.array([-5.0, 0, 5])) == 0
    assert excess_sd(np.array([-5.0, 0, 5, np.nan]), np.array([-3.0, 0, 3, 1])) == pytest.approx(4)
    assert np.isnan(excess_sd(np.array([1.0]), np.array([1.0])))


def test_true_spread_reduction():
    assert true_spread_reduction(1.0, 4.0) == 0.75
    assert true_spread_reduction(5.0, 4.0) == -0.25
    assert np.isnan(true_spread_reduction(1.0, 0.0))
    assert np.isnan(true_spread_reduction(1.0, np.nan))


def test_tidy_and_of_the_same_centres():
    rng = np.random.default_rng(44)
    world, other = gamma_world(rng, centres=5), gamma_world(rng, centres=6)
    oracle, model = settle(table(1.0), other, ALPHA), settle(table(1.0), world, ALPHA)
    with pytest.raises(ValueError, match="not of the same centres"):
        against_truth(model, np.zeros(5), oracle)
    frame = against_truth(model, rng.normal(0, 1, 5), model).to_frame().set_index("measure")["value"]
    assert frame["excess_sd"] == 0
    assert {"rmse_to_ideal", "pass_through_slope", "pass_through_ci_low"} <= set(frame.index)
