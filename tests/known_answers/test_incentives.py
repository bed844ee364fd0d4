"""One starter pack against what its flag pays, by hand."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from cohorts import table
from half_years import half_year
from lakemedelsmodell import facts
from lakemedelsmodell.amounts import AmountTable
from lakemedelsmodell.conditions import Condition, ConditionSet, condition_set
from lakemedelsmodell.data.flags import build_cohort
from lakemedelsmodell.data.periods import Period
from lakemedelsmodell.measures.incentives import starter_packs
from lakemedelsmodell.settlement import settle

ALPHA, PHI = 0.7, 0.9
STAIRCASE = facts.FeeStaircase(date(2025, 7, 1), ((2000, 1.0), (3634, 0.75), (5143, 0.25), (7117, 0.1)), 3800, "", "")

CONDITIONS = ConditionSet("toy", (
    Condition("diabetes", include=("A10B",), exclude=("A10BJ",), min_dates=2, min_days_apart=45),
    Condition("lungs", include=("R03",), min_ddd=90),
    Condition("lungs_large_pack", include=("R03",), min_ddd=30),
    Condition("marker", include=("C03",), marker_only=True),
    Condition("both", requires=("diabetes", "lungs")),
    Condition("with_diabetes", include=("R03",), requires=("diabetes",)),
    Condition("rare", include=("Z",)),
))


def codes(**changes) -> pd.DataFrame:
    """Per code: gross price of a pack and its DDD. A10BJ02 is cheapest but does not count; A10BK has few rows."""
    frame = pd.DataFrame(
        [("A10BA02", 60.0, 50), ("A10BH01", 3000.0, 28), ("A10BJ02", 10.0, 30), ("A10BK01", 20.0, 28),
         ("R03AC02", 80.0, 30)],
        columns=["atc", "price", "ddd"])
    frame["packages"] = 1000.0
    frame["ddd"] *= frame["packages"]
    frame["gross_sek"] = frame.pop("price") * frame["packages"]
    frame["cost_sek"] = frame["gross_sek"] / 2
    frame["rows"] = frame["base_rows"] = 1000
    frame["positive_rows"] = [1000, 1000, 1000, 19, 1000]
    return frame.assign(**changes)


def packs(frame=None, staircase=STAIRCASE, months=6.0):
    names = CONDITIONS.names
    tables = {
        "age_sex": table(100, model="age_sex"),
        "chronic": table(100, [50.0, 40.0, 40.0, 90.0, 60.0, 10.0], model="chronic", conditions=names),
        "chronic_defended": AmountTable("chronic_defended", table(100).cells, names,
                                        np.array([50.0, 40.0, 40.0, 90.0, 60.0, 10.0]), rule="listed"),
    }
    found = starter_packs(CONDITIONS, codes() if frame is None else frame, tables, dict.fromkeys(tables, PHI), ALPHA,
                          months=months, staircase=staircase)
    return found.set_index(["condition", "model"])


def test_one_row_per_condition_and_model():
    assert list(packs().index) == [(c, m) for c in CONDITIONS.names for m in ("age_sex", "chronic", "chronic_defended")]


def test_a_cheap_pack_flags_for_half_a_year():
    row = packs().loc["diabetes", "chronic"]
    assert (row["atc"], row["pack_price_sek"]) == ("A10BA02", 60)
    assert row["cost_if_ceiling_reached_sek"] == pytest.approx(0.7 * 60)
    assert row["cost_first_purchase_sek"] == 0  # below 2 000 SEK the patient pays the whole pack
    assert row["flag_pays_sek"] == pytest.approx(0.9 * 50 * 6)
    assert row["gain_sek"] == pytest.approx(270 - 42)
    assert row["gain_first_purchase_sek"] == pytest.approx(270)
    assert row["return_per_krona"] == pytest.approx(270 / 42)
    assert row["break_even_ddd"] == pytest.approx(270 / (42 / 50))


def test_a_dear_first_pack_is_shared_by_the_staircase():
    row = packs(codes().query("atc == 'A10BH01'")).loc["diabetes", "chronic"]
    assert row["cost_if_ceiling_reached_sek"] == pytest.approx(0.7 * 3000)
    assert row["cost_first_purchase_sek"] == pytest.approx(0.7 * (3000 - (2000 + 0.75 * 1000)))


def test_a_drug_that_is_free_to_the_patient_costs_the_centre_from_the_first_pack():
    frame = codes()
    frame.loc[0, "cost_sek"] = frame.loc[0, "gross_sek"]
    row = packs(frame).loc["diabetes", "chronic"]
    assert row["cost_first_purchase_sek"] == row["cost_if_ceiling_reached_sek"] == pytest.approx(42)


def test_today_a_pack_only_costs():
    row = packs().loc["diabetes", "age_sex"]
    assert row["flag_pays_sek"] == 0
    assert row["gain_sek"] == pytest.approx(-42)
    assert row["return_per_krona"] == 0
    assert np.isnan(row["break_even_ddd"])


def test_thresholds_stop_the_single_pack_and_only_where_they_bind():
    found = packs()["flag_pays_sek"].unstack("model")
    assert found.loc["diabetes", "chronic_defended"] == 0  # two dates
    assert found.loc["lungs", "chronic_defended"] == 0  # 30 DDD of 90
    assert found.loc["lungs_large_pack", "chronic_defended"] == pytest.approx(0.9 * 40 * 6)  # 30 of 30
    assert packs().loc[("diabetes", "chronic_defended"), "break_even_ddd"] == pytest.approx(270 / (42 / 50))


def test_a_condition_that_requires_others_is_not_set_by_one_pack():
    row = packs().loc["both", "chronic"]
    assert pd.isna(row["atc"])
    assert np.isnan(row["flag_pays_sek"])
    row = packs().loc["with_diabetes", "chronic"]
    assert (row["atc"], row["flag_pays_sek"]) == ("R03AC02", 0)


def test_what_is_not_in_the_data_is_unknown_not_zero():
    row = packs().loc["rare", "chronic"]
    assert pd.isna(row["atc"])
    assert row[["pack_price_sek", "cost_if_ceiling_reached_sek", "flag_pays_sek", "gain_sek"]].isna().all()


def test_a_drug_outside_the_base_costs_the_centre_nothing():
    frame = codes()
    frame.loc[frame["atc"] == "A10BH01", "base_rows"] = 0
    row = packs(frame).loc["diabetes", "chronic"]
    assert (row["atc"], row["cost_if_ceiling_reached_sek"]) == ("A10BH01", 0)
    assert np.isnan(row["return_per_krona"])


def test_without_gross_prices_the_first_purchase_is_unknown():
    row = packs(codes(gross_sek=np.nan)).loc["diabetes", "chronic"]
    assert row["pack_price_sek"] == 30
    assert row["cost_if_ceiling_reached_sek"] == pytest.approx(21)
    assert np.isnan(row["cost_first_purchase_sek"])
    paid_gross = packs(codes(gross_sek=np.nan), staircase=None).loc["diabetes", "chronic"]
    assert paid_gross["cost_first_purchase_sek"] == pytest.approx(21)


def test_pay_is_in_proportion_to_the_months():
    np.testing.assert_allclose(packs(months=12)["flag_pays_sek"].dropna(), 2 * packs()["flag_pays_sek"].dropna())


def test_every_condition_of_the_headline_set_has_its_row():
    wide = condition_set("skane_wide")
    chronic = table(100, np.full(len(wide.names), 25.0), model="chronic", conditions=wide.names)
    found = starter_packs(wide, codes(), {"chronic": chronic}, {"chronic": 1.0}, ALPHA, staircase=STAIRCASE)
    assert list(found["condition"]) == list(wide.names)


def test_a_switch_of_drug_within_a_group_changes_no_reimbursement():
    """ΔR = 0, so that the centre keeps α times what a cheaper choice saves: Π = 1."""
    alone = ConditionSet("toy", (Condition("diabetes", include=("A10B",)),))
    paid, amounts, budget = {}, table(100, [50.0], conditions=alone.names), 900.0
    for atc, cost in (("A10BA02", 60.0), ("A10BH01", 400.0)):
        data = half_year([("1", "2025-10-01", atc, 1, 50, cost), ("1", "2026-02-01", atc, 1, 50, cost)])
        paid[atc] = settle(amounts, build_cohort(data, Period.half_year(2026, 1), alone), ALPHA, budget)
    cheap, dear = paid["A10BA02"], paid["A10BH01"]
    assert cheap.unscaled_sek[0] == 6 * 150
    np.testing.assert_array_equal(cheap.reimbursement_ore, dear.reimbursement_ore)
    assert (cheap.net_sek - dear.net_sek)[0] == pytest.approx(ALPHA * (400 - 60))
