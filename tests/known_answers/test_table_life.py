"""The life of a table: re-pricing, blending and phasing in, stability of amounts."""

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from cohorts import cohort, random_cohort, table
from half_years import half_year
from lakemedelsmodell.amounts import AmountTable, blend, cost_shares, published_table, reprice, side_by_side
from lakemedelsmodell.conditions import Condition, ConditionSet
from lakemedelsmodell.data.flags import build_cohort
from lakemedelsmodell.data.new_prices import at_new_prices
from lakemedelsmodell.data.periods import Period
from lakemedelsmodell.errors import UserError
from lakemedelsmodell.facts import BAND_LABELS
from lakemedelsmodell.measures.table_life import cap_losses, phase_in, repricing_effect
from lakemedelsmodell.models import AgeSex, ChronicConditions
from lakemedelsmodell.settlement import settle

ALPHA = 0.7
APIXABAN = "B01AF02"
SHARES = pd.DataFrame([("condition0", APIXABAN, 0.75), ("condition0", "B01AF01", 0.25), ("condition1", APIXABAN, 0.1),
                       ("condition2", "A10BA02", 1.0)], columns=["condition", "atc", "share"])


# Re-pricing


def test_repricing_by_hand():
    """Apixaban falls to 0.2: 200 × (1 − 0.75·0.8) = 80; 50 × (1 − 0.1·0.8) = 46, the rest of it is other drugs."""
    was = table(published_table(2026).cells, [200.0, 50.0, 30.0, np.nan])
    now = reprice(was, {" b01af02 ": 0.2}, SHARES)
    np.testing.assert_allclose(now.add_ons, [80, 46, 30, np.nan])
    np.testing.assert_array_equal(now.cells, was.cells)
    assert now.source.endswith("re-priced: condition0 × 0.400, condition1 × 0.920")


def test_prices_that_rise_and_fall_are_weighted_by_cost():
    now = reprice(table(1, [200.0, 0.0, 30.0]), {APIXABAN: 0.2, "B01AF01": 3.0, "A10BA02": 1.5, "N02BE01": 0.1}, SHARES)
    np.testing.assert_allclose(now.add_ons, [200 * (0.75 * 0.2 + 0.25 * 3), 0, 45])
    assert now.source.endswith("no condition uses N02BE01")


def test_a_code_that_no_condition_uses_changes_nothing_and_is_said():
    was = table(published_table(2026).cells, [200.0, 50.0, 30.0, 10.0])
    now = reprice(was, {"A02BC01": 0.5}, SHARES)
    np.testing.assert_array_equal(now.add_ons, was.add_ons)
    assert now.source.endswith("no condition uses A02BC01")


def test_a_rounded_table_is_repriced_from_its_unrounded_amounts():
    exact = table(10.4, [99.5, 50.4, 30.3])
    now = reprice(exact.rounded(), {APIXABAN: 0.5}, SHARES)
    np.testing.assert_array_equal(now.add_ons, [62, 48, 30])  # 99.5 · 0.625 = 62.19; 50.4 · 0.95 = 47.88
    np.testing.assert_allclose(now.unrounded.add_ons, [62.1875, 47.88, 30.3])


@pytest.mark.parametrize("index", [-0.1, float("nan"), float("inf")])
def test_an_index_that_is_no_price_is_refused(index):
    with pytest.raises(UserError, match="price index of B01AF02"):
        reprice(table(1, [200.0]), {APIXABAN: index}, SHARES)


def test_the_number_of_conditions_has_no_price():
    counted = AmountTable("count", table().cells, ("1", "2", "3", "4+"), np.ones(4), rule="dispensed", kind="count")
    with pytest.raises(UserError, match="number of conditions"):
        reprice(counted, {APIXABAN: 0.2}, SHARES)


CONDITIONS = ConditionSet("two", (Condition("doak", include=("B01AF",)), Condition("lipid", include=("C10",)),
                                  Condition("marker", include=("B01",), marker_only=True)))


def test_cost_shares_by_hand():
    codes = pd.DataFrame({"atc": [APIXABAN, "B01AF01", "C10AA05", "N02BE01"], "cost_sek": [300.0, 100.0, 40.0, 900.0]})
    shares = cost_shares(codes, CONDITIONS).set_index(["condition", "atc"])["share"]
    assert shares.to_dict() == {("doak", APIXABAN): 0.75, ("doak", "B01AF01"): 0.25, ("lipid", "C10AA05"): 1.0}
    # The add-on for doak pays for 600 SEK, a third of it other drugs; that for lipid for less than its own drugs cost.
    of_add_on = cost_shares(codes, CONDITIONS, {"doak": 600.0, "lipid": 10.0}).set_index(["condition", "atc"])["share"]
    assert of_add_on.to_dict() == {("doak", APIXABAN): 0.5, ("doak", "B01AF01"): 1 / 6, ("lipid", "C10AA05"): 1.0}


def test_at_new_prices_only_the_code_and_only_since():
    rows = [("1", "2025-10-01", APIXABAN, 1, 30.0, 400.0), ("1", "2026-02-01", APIXABAN, 1, 30.0, 400.0),
            ("1", "2026-02-01", "C10AA05", 1, 90.0, 50.0)]
    data = half_year(rows)
    cheap = at_new_prices(data, {APIXABAN: 0.2}, date(2026, 1, 1))
    paid, late = Period.half_year(2026, 1), Period.half_year(2025, 2)
    assert build_cohort(data, paid, CONDITIONS).cost.sum() == 450
    assert build_cohort(cheap, paid, CONDITIONS).cost.sum() == 80 + 50
    assert build_cohort(cheap, late, CONDITIONS).cost.sum() == 400
    np.testing.assert_array_equal(build_cohort(cheap, paid, CONDITIONS).flags["dispensed"],
                                  build_cohort(data, paid, CONDITIONS).flags["dispensed"])
    assert cheap.content_hash != data.content_hash
    with pytest.raises(UserError, match="Nothing of A01AA01"):
        at_new_prices(data, {"A01AA01": 0.5}, date(2026, 1, 1))


def test_without_new_amounts_the_centre_with_many_on_the_drug_gains():
    """Flagged persons cost 100 a month more, all of it the drug; half the persons at centre 0 hold it, a tenth at 1."""
    flags = np.repeat([1, 0, 1, 0], [50, 50, 10, 90])[:, None].astype(bool)
    was = cohort(np.repeat([0, 1], 100), 6 * (100 + 100.0 * flags[:, 0]), flags=flags)
    now = replace(was, cost=6 * (100 + 20.0 * flags[:, 0]))
    exact = ChronicConditions().fit(was, ALPHA)
    new = reprice(exact, {APIXABAN: 0.2}, pd.DataFrame({"condition": ["condition0"], "atc": APIXABAN, "share": [1.0]}))
    found = repricing_effect(exact, new, was, now, ALPHA)
    np.testing.assert_allclose(found["net_before"], 0, atol=0.01)
    np.testing.assert_allclose(found["gain_with"], 0, atol=0.01)
    # Budget 0.7 · 6 · 21 200; the old amounts share it as 150 : 110.
    budget = ALPHA * 6 * (100 * 110 + 100 * 102)
    gain = budget * 150 / 260 - ALPHA * 6 * 100 * 110
    np.testing.assert_allclose(found["gain_without"], [gain, -gain], atol=0.01)
    assert gain > 0


# Blends and phase-in


def test_a_blend_is_a_weighted_mean_of_amounts():
    old, new = table(100.0, model="old"), table(60.0, [200.0, np.nan], model="new")
    mixed = blend(old, new, 0.25)
    np.testing.assert_allclose(mixed.cells, 90)
    np.testing.assert_allclose(mixed.add_ons, [50, np.nan])
    assert (mixed.model, mixed.rule, mixed.source) == ("old_to_new", "dispensed", "75 % old, 25 % new")
    np.testing.assert_allclose(blend(new, old, 0.25).add_ons, [150, np.nan])


def test_a_blend_of_care_need_and_of_pools():
    cni = replace(table(10), per_cni=8.0)
    assert blend(table(10), cni, 0.25).per_cni == 2
    assert blend(cni, cni, 0.25).per_cni == 8
    assert blend(table(10), table(10), 0.25).per_cni is None
    pool = replace(table(10), pool_threshold=1e4)
    assert blend(pool, replace(table(20), pool_threshold=1e4), 0.5).pool_threshold == 1e4
    with pytest.raises(UserError, match="different pools"):
        blend(table(10), pool, 0.5)


@pytest.mark.parametrize("other", [{"rule": "listed"}, {"kind": "highest"}, {"condition_set": "mine"}])
def test_add_ons_by_other_rules_are_not_blended(other):
    one = table(10, [5.0])
    with pytest.raises(UserError, match="cannot be blended"):
        blend(one, replace(one, **other), 0.5)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_is_between_nothing_and_all(share):
    with pytest.raises(UserError, match="between 0 and 1"):
        blend(table(), table(), share)


def test_capped_losses_by_hand():
    """Losses of 30 and 5 with a cap of 10: 20 to find; gains of 25 and 10 shrink to 3/7."""
    before = np.array([100, 100, 100, 100])
    got = cap_losses(before, np.array([70, 95, 125, 110]), np.full(4, 10.0))
    np.testing.assert_allclose(got, [90, 95, 100 + 25 * 3 / 7, 100 + 10 * 3 / 7])


@pytest.fixture(scope="module")
def two_tables():
    data = random_cohort(21, n=2000, n_centres=9)
    return AgeSex().fit(data, ALPHA), ChronicConditions().fit(data, ALPHA), data


@pytest.mark.parametrize("years", [1, 3, 5])
def test_a_phase_in_starts_at_the_old_and_ends_at_the_new(two_tables, years):
    old, new, data = two_tables
    found = phase_in(old, new, data, ALPHA, years=years)
    np.testing.assert_array_equal(found.reimbursement_ore[0], settle(old, data, ALPHA).reimbursement_ore)
    np.testing.assert_array_equal(found.reimbursement_ore[-1], settle(new, data, ALPHA).reimbursement_ore)
    assert len(found.tables) == years
    # Both tables share out the same money at φ = 1, so the steps are equal.
    np.testing.assert_allclose(found.yearly_change, np.broadcast_to(
        (found.net_per_month[-1] - found.net_per_month[0]) / years, (years, 9)), atol=0.01)


@pytest.mark.parametrize("cap", [0.0, 0.5, 1.0])
def test_nobody_loses_more_than_the_cap_on_the_same_budget(two_tables, cap):
    old, new, data = two_tables
    free, found = (phase_in(old, new, data, ALPHA, years=3, cap=c) for c in (None, cap))
    assert free.yearly_change.min() < -1.5
    assert (found.reimbursement_ore.sum(axis=1) == found.old.budget_ore).all()
    np.testing.assert_allclose(found.yearly_change[found.held_up], -cap, atol=1e-4)
    assert found.yearly_change.min() >= -cap - 1e-4
    assert found.held_up.any()
    frame = found.to_frame()
    assert list(frame["year"].unique()) == [1, 2, 3]
    np.testing.assert_allclose(frame["change_sek_per_listed_month"], found.yearly_change.ravel())
    assert "largest_loss" in found._repr_html_()
    assert found.plot().get_xlabel() == "Year"


@pytest.mark.parametrize(("wrong", "said"), [({"years": 0}, "between 1 and 5"), ({"years": 6}, "between 1 and 5"),
                                             ({"cap": -1.0}, "below 0")])
def test_a_phase_in_that_makes_no_sense_is_refused(two_tables, wrong, said):
    with pytest.raises(UserError, match=said):
        phase_in(*two_tables, ALPHA, **wrong)


# Stability


def test_two_tables_side_by_side():
    one, two = table(10.0, [5.0, np.nan]), table(12.0, [4.0, 3.0])
    found = side_by_side(one, two)
    assert len(found) == 44
    assert (found["change"][:42] == 2).all()
    np.testing.assert_allclose(found["change_percent"][:42], 20)
    add_ons = found[found["kind"] == "condition"].set_index("name")
    assert add_ons.loc["condition0", "change"] == -1
    assert np.isnan(add_ons.loc["condition1", "change"])
    assert found.loc[0, ["name", "sex", "age_from"]].tolist() == [BAND_LABELS[0], "K", 0]
    more = side_by_side(one, table(12.0, [4.0, 3.0, 7.0]))
    assert more.set_index("name").loc["condition2", "second"] == 7
    assert np.isnan(more.set_index("name").loc["condition2", "first"])
