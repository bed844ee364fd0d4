"""What must hold of the measures of chance and truth in any cohort."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cohorts import random_cohort, table
from lakemedelsmodell.measures.calibration import calibration, equal_groups
from lakemedelsmodell.measures.noise import noise_floor
from lakemedelsmodell.measures.redistribution import redistribution
from lakemedelsmodell.measures.stays import _bounds_passed, risk_strata, stays
from lakemedelsmodell.measures.true_spread import dersimonian_laird, pitman_morgan, split_half, true_spread
from lakemedelsmodell.measures.truth import pass_through
from lakemedelsmodell.models import ChronicConditions
from lakemedelsmodell.settlement import settle

ALPHA = 0.7
seeds = st.integers(0, 10_000)
nets = hnp.arrays(np.float64, 12, elements=st.floats(-100, 100).map(lambda v: round(v, 3)))
few = settings(max_examples=25, deadline=None)


def predicted_by_chronic(world) -> np.ndarray:
    return ChronicConditions().fit(world, ALPHA).per_month(world.cell, world.flags["dispensed"]) / ALPHA


@given(seeds, st.booleans(), st.floats(0.1, 20))
@few
def test_money_in_another_unit_scales_the_floor(seed, weighted, factor):
    world = random_cohort(seed, weighted=weighted)
    predicted = predicted_by_chronic(world)
    one = noise_floor(world, predicted, ALPHA, permutations=5)
    other = noise_floor(replace(world, cost=factor * world.cost), factor * predicted, ALPHA, permutations=5)
    assert other.squared_residuals == pytest.approx(factor * one.squared_residuals)
    share = noise_floor(world, predicted, 1.0, permutations=5)
    assert share.to_frame()["noise_floor"].to_numpy() == pytest.approx(one.to_frame()["noise_floor"].to_numpy() / ALPHA)


@given(seeds, st.booleans())
@few
def test_the_order_of_rows_does_not_matter(seed, weighted):
    world = random_cohort(seed, weighted=weighted)
    predicted = predicted_by_chronic(world)
    order = np.random.default_rng(seed).permutation(len(world.cost))
    shuffled = world.rows(order)
    one = noise_floor(world, predicted, ALPHA, permutations=5)
    other = noise_floor(shuffled, predicted[order], ALPHA, permutations=5)
    assert other.to_frame()["noise_floor"].to_numpy() == pytest.approx(one.to_frame()["noise_floor"].to_numpy())
    halves = [split_half(w, ALPHA * p, ALPHA, splits=3).covariance
              for w, p in ((world, predicted), (shuffled, predicted[order]))]
    assert halves[1] == pytest.approx(halves[0])


@given(hnp.arrays(np.float64, st.integers(1, 60), elements=st.floats(-1e6, 1e6).map(lambda v: round(v, 6))),
       hnp.arrays(np.float64, 30, elements=st.floats(-2e6, 2e6)), st.sampled_from([1e-6, 1e-3, 1.0]))
@settings(deadline=None)
def test_a_look_at_a_grid_passes_the_bounds_a_search_does(bounds, values, close):
    bounds = np.unique(np.concatenate([bounds, bounds[:1] + close * np.arange(5)]))  # some in the same cell
    values = np.concatenate([values, bounds, np.nextafter(bounds, np.inf), np.nextafter(bounds, -np.inf), [np.nan]])
    for told in (bounds, bounds[:1], np.array([np.nan])):
        assert np.array_equal(_bounds_passed(told, values), np.searchsorted(told, values, side="right"))


@given(seeds, st.booleans())
@few
def test_stays_add_up_to_the_cohort(seed, weighted):
    world = random_cohort(seed, weighted=weighted)
    here, totals = stays(world), world.totals()
    cost = world.cost if world.weight is None else world.cost * world.weight
    assert here.by_centre(here.sum(cost)) == pytest.approx(totals.cost)
    assert here.months == pytest.approx(totals.months)
    assert len({*zip(here.person.tolist(), here.centre.tolist(), strict=True)}) == len(here.person)


@given(hnp.arrays(np.float64, st.integers(1, 300), elements=st.floats(-10, 1000)), st.integers(2, 60))
@few
def test_every_stay_is_in_a_stratum_and_none_is_small(predicted, smallest):
    listed = np.where(np.arange(len(predicted)) % 7, 6.0, 2.0)
    stratum = risk_strata(predicted, listed, smallest=smallest)
    sizes = np.bincount(stratum)
    assert sizes.min() >= min(smallest, len(predicted))
    groups = equal_groups(predicted, listed, 10)
    assert groups.min() >= 0 and groups.max() <= 9
    assert (np.diff(groups[np.argsort(predicted, kind="stable")]) >= 0).all()


@given(nets, hnp.arrays(np.float64, 12, elements=st.floats(0.1, 50)), st.floats(-50, 50), st.floats(0.1, 10))
def test_dersimonian_laird_moves_and_scales_with_the_nets(net, variance, shift, factor):
    one, other = dersimonian_laird(net, variance), dersimonian_laird(shift + factor * net, factor**2 * variance)
    assert other.q == pytest.approx(one.q, rel=1e-6, abs=1e-6)
    assert other.tau2 == pytest.approx(factor**2 * one.tau2, rel=1e-6, abs=1e-6 * factor**2)
    assert other.shrunken == pytest.approx(shift + factor * one.shrunken, rel=1e-6, abs=1e-6)
    assert ((one.reliability >= 0) & (one.reliability < 1)).all()


@given(nets, nets)
def test_pitman_morgan_does_not_care_which_model_comes_first(n1, n0):
    one, other = pitman_morgan(n1, n0), pitman_morgan(n0, n1)
    assert other.p_value == pytest.approx(one.p_value, nan_ok=True, abs=1e-7)
    assert 1 / other.sd_ratio == pytest.approx(one.sd_ratio, nan_ok=True)
    assert 1 / other.ci_low == pytest.approx(one.ci_high, nan_ok=True, rel=1e-5)


@given(nets, nets, nets)
def test_the_difference_of_two_pass_throughs_is_that_of_the_difference(n1, n0, ideal):
    apart = pass_through(n1 - n0, ideal).slope
    assert apart == pytest.approx(pass_through(n1, ideal).slope - pass_through(n0, ideal).slope, nan_ok=True, abs=1e-6)


@given(seeds, st.booleans())
@few
def test_deciles_and_redistribution_add_up(seed, weighted):
    world = random_cohort(seed, weighted=weighted)
    fitted = ChronicConditions().fit(world, ALPHA)
    groups = calibration(world, predicted_by_chronic(world)).to_frame()
    cost = world.cost if world.weight is None else world.cost * world.weight
    assert groups["listed_months"].sum() == pytest.approx(world.exposure.sum())
    assert (groups["actual"] * groups["listed_months"]).sum() == pytest.approx(cost.sum())
    moved = redistribution(settle(fitted, world, ALPHA), settle(table(100.0), world, ALPHA))
    assert moved.centres["change_sek"].sum() == pytest.approx(0, abs=1e-6)
    assert moved.sek == pytest.approx(moved.centres["change_sek"].clip(lower=0).sum())


@given(seeds)
@few
def test_true_spread_is_no_wider_than_its_parts_allow(seed):
    world = random_cohort(seed)
    fitted = ChronicConditions().fit(world, ALPHA)
    settled = settle(fitted, world, ALPHA)
    found = true_spread(settled, world, settled.phi * fitted.per_month(world.cell, world.flags["dispensed"]))
    counted = ~np.isnan(found.variance)
    assert found.tau2 >= 0
    assert np.abs(found.shrunken - found.mean)[counted] == pytest.approx(
        (np.abs(found.net - found.mean) * found.reliability)[counted])
