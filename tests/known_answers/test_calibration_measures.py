"""Calibration by decile, fit of the payment itself, redistribution, and the price-style index."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from chance_worlds import ALPHA, gamma_world, knowing, within_4_errors
from cohorts import cohort, random_cohort, table
from lakemedelsmodell.measures.calibration import calibration, equal_groups, payment_system_fit
from lakemedelsmodell.measures.fit import fit_measures
from lakemedelsmodell.measures.redistribution import redistributed_sek, redistribution
from lakemedelsmodell.measures.style_index import recommended_codes, style_index
from lakemedelsmodell.models import AgeSex, ChronicConditions
from lakemedelsmodell.settlement import settle

# calibration

def test_deciles_by_hand():
    world = cohort(0, [6.0, 12, 30, 60], months=6.0)
    found = calibration(world, np.array([1.0, 3, 4, 12]), groups=2).to_frame()
    assert found["group"].tolist() == [1, 2]
    assert found["persons"].tolist() == [2, 2]
    assert found["predicted"].tolist() == [2, 8]
    assert found["actual"].tolist() == [1.5, 7.5]
    assert found["ratio"].tolist() == pytest.approx([24 / 18, 96 / 90])
    # Persons' (expected − ratio·cost): 6 − 8 and 18 − 16, over the group's cost of 18.
    assert found["ci_high"][0] == pytest.approx(24 / 18 + 1.96 * np.sqrt(8) / 18)


def test_equal_predictions_share_a_group():
    assert equal_groups(np.array([5.0, 1, 5, 1, 5]), np.ones(5), 10).tolist() == [7, 2, 7, 2, 7]
    assert np.bincount(equal_groups(np.random.default_rng(51).random(1000), np.ones(1000), 10)).tolist() == [100] * 10


def test_a_prediction_twice_too_far_apart_has_slope_one_half():
    rng = np.random.default_rng(52)
    need = rng.uniform(50, 150, 2000)
    world = cohort(0, 6 * need)
    assert calibration(world, need).slope == pytest.approx(1)
    assert calibration(world, 100 + 2 * (need - 100)).slope == pytest.approx(0.5)
    assert np.isnan(calibration(world, np.full(2000, 100.0)).slope)


def test_fitted_amounts_are_calibrated():
    """Least squares on the same cohort: slope 1, and predictive ratio 1 where a group is one cell."""
    world = random_cohort(53)
    world = replace(world, person=np.arange(len(world.cost)))  # a stay is a row, as least squares has it
    fitted = AgeSex().fit(world, ALPHA).per_month(world.cell) / ALPHA
    assert calibration(world, fitted).slope == pytest.approx(1)
    two = cohort(0, world.cost, months=world.months, band=np.where(world.band < 10, 3, 15))
    by_band = calibration(two, AgeSex().fit(two, ALPHA).per_month(two.cell) / ALPHA).to_frame()
    assert by_band["ratio"].tolist() == pytest.approx([1, 1])


def test_the_interval_of_a_decile_holds_1_as_often_as_it_says():
    inside = []
    for seed in range(150):
        world = gamma_world(np.random.default_rng([54, seed]), centres=10, persons=300)
        found = calibration(world, knowing(world)[0]).to_frame()
        inside.append(((found["ci_low"] <= 1) & (found["ci_high"] >= 1)).to_numpy())
    assert np.mean(inside) == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / np.size(inside)))


def test_rows_of_a_person_are_one_person_in_a_decile():
    world = cohort([0, 0, 0], [6.0, 6, 30], person=[0, 0, 1], months=[3.0, 3, 6])
    found = calibration(world, np.array([1.0, 3, 4])).to_frame()
    assert found["persons"].tolist() == [1, 1]
    assert found["predicted"].tolist() == [2, 4]


# payment-system fit

def test_paying_what_it_costs_fits_perfectly():
    world = random_cohort(55)
    found = payment_system_fit(world, ALPHA * world.cost, ALPHA)
    assert (found.r2, found.cpm) == (pytest.approx(1), pytest.approx(1))


def test_amounts_paid_as_they_stand_fit_as_predicted():
    world = random_cohort(56, weighted=True)
    amounts = ChronicConditions().fit(world, ALPHA)
    per_month = amounts.per_month(world.cell, world.flags["dispensed"])
    predicted = fit_measures(world.cost * world.weight, per_month / ALPHA, world.exposure)
    assert payment_system_fit(world, world.exposure * per_month, ALPHA) == predicted


def test_a_pool_for_high_costs_raises_the_fit_of_the_payment():
    world = gamma_world(np.random.default_rng(57), centres=10)
    predicted = knowing(world)[0]
    above = (world.cost - 2000).clip(min=0)
    amounts = ALPHA * world.months * predicted * (1 - above.sum() / (world.months @ predicted))
    plain, pooled = (payment_system_fit(world, paid, ALPHA) for paid in (ALPHA * world.months * predicted,
                                                                        amounts + ALPHA * above))
    assert pooled.r2 > plain.r2 + 0.2
    assert pooled.cpm > plain.cpm


# redistribution

def two_settlements():
    """Three centres of 100 months; under the second model the ill count double."""
    world = cohort([0, 1, 2], [1000.0, 1000, 1000], months=100.0, flags=[[True], [False], [False]])
    return settle(table(10.0), world, 1.0), settle(table(10.0, [10.0]), world, 1.0)


def test_redistribution_by_hand():
    before, after = two_settlements()
    found = redistribution(after, before)
    assert found.centres["centre_id"].tolist() == ["c00001", "c00002", "c00000"]
    assert found.centres["change_sek"].tolist() == [-250, -250, 500]
    assert found.centres["change_sek_per_listed_month"].tolist() == [-2.5, -2.5, 5]
    assert found.centres["change_percent"].tolist() == [-25, -25, 50]
    assert (found.sek, found.share_of_budget, found.gaining, found.losing) == (500, pytest.approx(1 / 6), 1, 2)
    assert found.changing_sign == 0
    assert "MSEK change hands" in found._repr_html_()


def test_who_moves_by_label():
    before, after = two_settlements()
    operator = pd.Series({"c00000": "public", "c00001": "public", "c00002": "private"})
    found = redistribution(after, before).moved_by(operator)
    assert found["label"].tolist() == ["private", "public"]
    assert found["change_sek"].tolist() == [-250, 250]
    assert found["change_sek_per_listed_month"].tolist() == [-2.5, 1.25]
    assert (found["centres"].tolist(), found["gaining"].tolist()) == ([1, 2], [0, 1])


def test_redistribution_is_of_the_same_centres_and_money():
    before, after = two_settlements()
    other = cohort([0, 1], [1.0, 2.0])
    with pytest.raises(ValueError, match="not of the same centres"):
        redistribution(after, settle(table(1.0), other, 1.0))
    world = cohort([0, 1, 2], [1000.0, 1000, 1001], months=100.0)
    with pytest.raises(ValueError, match="different budgets"):
        redistribution(after, settle(table(1.0), world, 1.0))


# price style

def use(rows) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["centre_id", "condition", "atc", "ddd", "cost"])


LIPIDS = use([("a", "lipid", "good", 100.0, 100.0), ("b", "lipid", "good", 100.0, 100.0),
              ("b", "lipid", "dear", 100.0, 300.0)])


def test_style_index_by_hand():
    """b has half its DDDs of a drug three times as dear: what it spent is twice what it needed."""
    found = style_index(LIPIDS, {"good"}).to_frame().set_index("centre_id")
    assert found["index"].to_dict() == {"a": 1, "b": 2}
    assert found["excess_sek"].to_dict() == {"a": 0, "b": 200}


def test_volume_is_no_price_style():
    more = LIPIDS.assign(ddd=LIPIDS["ddd"] * 7, cost=LIPIDS["cost"] * 7)
    assert style_index(more, {"good"}).centres["index"].tolist() == [1, 2]


def test_a_group_without_a_recommended_choice_says_nothing():
    other = use([("b", "asthma", "only", 10.0, 400.0), ("c", "asthma", "only", 10.0, 100.0)])
    found = style_index(pd.concat([LIPIDS, other]), {"good"})
    assert found.centres["index"].fillna(-1).tolist() == [1, 2, -1]
    assert found.groups.set_index("condition")["used"].to_dict() == {"asthma": False, "lipid": True}
    assert found.share_of_cost == pytest.approx(0.5)


def test_groups_are_priced_each_by_its_own():
    """Two centres with unlike mixes of groups, both choosing the recommended drug only."""
    mixed = use([("a", "lipid", "good", 90.0, 90.0), ("a", "doak", "fine", 10.0, 200.0),
                 ("b", "lipid", "good", 10.0, 10.0), ("b", "doak", "fine", 90.0, 1800.0)])
    assert style_index(mixed, {"good", "fine"}).centres["index"].tolist() == pytest.approx([1, 1])


def test_a_net_that_bears_price_style_has_slope_1():
    rng = np.random.default_rng(58)
    K = 12
    dear = rng.uniform(0, 60, K)
    ids = [f"c{k:05d}" for k in range(K)]
    rows = use([(c, "lipid", "good", 100.0, 100.0) for c in ids]
               + [(c, "lipid", "dear", d, 3 * d) for c, d in zip(ids, dear, strict=True)])
    cost = rows.groupby("centre_id")["cost"].sum().to_numpy() + 500 - dear  # everybody needs 600 of recommended drugs
    settled = settle(table(10.0), cohort(np.arange(K), cost), 1.0)
    found = style_index(rows, {"good"}).on_net(settled)
    assert found.slope == pytest.approx(1, abs=1e-4)  # payments are whole öre
    assert found.r2 == pytest.approx(1)


def test_recommended_codes_of_the_region():
    codes = recommended_codes()
    assert "C10AA05" in codes  # atorvastatin
    assert 20 < len(codes) < 264


def test_chance_helper_rejects_what_is_off():
    """The judge of the stochastic tests can say no."""
    drawn = np.random.default_rng(59).normal(1, 1, 400)
    assert within_4_errors(drawn, 1)
    assert not within_4_errors(drawn, 1.3)


def test_what_changes_hands_is_half_of_all_changes():
    world = cohort([0, 1, 2], [100.0, 100, 100], band=[0, 1, 2], months=1.0)
    cells = np.full((21, 2), 1.0)
    one, other = table(cells), table(cells * np.arange(1, 22)[:, None])
    settled = [settle(t, world, 1.0) for t in (one, other)]
    assert [s.reimbursement_sek.tolist() for s in settled] == [[100, 100, 100], [50, 100, 150]]
    assert redistributed_sek(*settled) == redistributed_sek(*settled[::-1]) == 50
