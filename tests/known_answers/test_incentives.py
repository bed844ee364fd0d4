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
from lakemedelsmodell.manipulation.trigger_cost import Histories, incentives
from lakemedelsmodell.measures.incentives import (
    Series,
    Tried,
    _days,
    cross_group_switches,
    flags_with,
    qualifying_series,
    starter_packs,
    triggers,
    within_group_switches,
)
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


# Triggers, switches, power


LADDER = ConditionSet("ladder", (
    Condition("low", include=("R03A",), yields_to=("high",)),
    Condition("high", include=("R03B",)),
    Condition("needs_high", include=("C03",), requires=("high",)),
))


def flags(*names: str, of=LADDER) -> np.ndarray:
    return np.array([[name in names for name in of.names]])


def test_one_condition_more_moves_the_flags_as_the_ladder_says():
    np.testing.assert_array_equal(flags_with(LADDER, flags(), "low"), flags("low"))
    np.testing.assert_array_equal(flags_with(LADDER, flags("high"), "low"), flags("high"))
    np.testing.assert_array_equal(flags_with(LADDER, flags("low"), "high"), flags("high"))
    np.testing.assert_array_equal(flags_with(LADDER, flags(), "needs_high"), flags())
    np.testing.assert_array_equal(flags_with(LADDER, flags("high"), "needs_high"), flags("high", "needs_high"))


def tried(region=(0.0, 60.0), held=((), ()), packs=1, condition="low", ddd=30.0, centre=(0, 1)):
    series = Series(condition, "dispensed", "R03AC02", 80.0, ddd, 1.0, packs, tuple(range(packs)), False)
    return Tried(series, np.zeros(len(region), dtype=np.int64), np.concatenate([flags(*names) for names in held]),
                 np.array(region), 80.0 - np.array(region), np.array(centre), 10)


def yields(one, table=None, effort=0.0, share=(0.0, 0.0)):
    ladder = table or AmountTable("chronic", np.full((21, 2), 100.0), LADDER.names, np.array([50.0, 90.0, 70.0]),
                                  rule="dispensed")
    return triggers(LADDER, {"dispensed": [one]}, {"chronic": ladder}, {"chronic": PHI},
                    {"chronic": np.array(share)}, ALPHA, effort_sek=effort).iloc[0]


def test_trigger_yield_by_hand():
    """φ b L (1 − R_k/B) against αΔB + effort, the persons' mean."""
    row = yields(tried(), effort=9.0, share=(0.0, 0.1))
    assert row["pays_sek"] == pytest.approx(0.9 * 50 * 12 * (1 + 0.9) / 2)
    assert row["region_sek"] == 30
    assert row["centre_sek"] == pytest.approx(0.7 * 30 + 9)
    assert row["gain_sek"] == pytest.approx(513 - 30)
    assert row["return_per_krona"] == pytest.approx(513 / 30)
    assert row["power_new_flag"] == pytest.approx(1 - 513 / 21)
    assert row["share_paid_by_patient"] == 0.5
    assert row["break_even_ddd"] == pytest.approx(513 / (21 / 30))


def test_who_holds_the_higher_step_brings_nothing():
    assert yields(tried(held=((), ("high",))))["pays_sek"] == pytest.approx(0.9 * 50 * 12 / 2)
    assert yields(tried(held=(("high",), ("high",))))["pays_sek"] == 0


def test_highest_only_and_counts_pay_what_they_would():
    highest = AmountTable("highest_only", np.full((21, 2), 100.0), LADDER.names, np.array([50.0, 40.0, 30.0]),
                          rule="dispensed", kind="highest")
    assert yields(tried(held=((), ("needs_high",))), highest)["pays_sek"] == pytest.approx(0.9 * 12 * (50 + 20) / 2)


def test_free_of_cost_pays_without_end():
    row = yields(tried(region=(0.0, 0.0)))
    assert row["return_per_krona"] == row["break_even_ddd"] == np.inf
    assert row["power_new_flag"] == -np.inf


def test_unknown_gross_prices_leave_the_cost_unknown_not_0():
    row = yields(tried(region=(np.nan, np.nan)))
    assert row["pays_sek"] > 0
    assert row[["region_sek", "centre_sek", "gain_sek", "return_per_krona", "break_even_ddd"]].isna().all()


def test_the_cheapest_series_meets_every_threshold():
    """diabetes: two dates 45 days apart; lungs: 90 DDD of packs of 30, at most 90 on one date; rare: nothing to buy."""
    dispensed, listed = ({s.condition: s for s in qualifying_series(CONDITIONS, codes(), rule)}
                         for rule in ("dispensed", "listed"))
    assert (dispensed["diabetes"].atc, dispensed["diabetes"].days) == ("A10BA02", (0,))
    assert listed["diabetes"].days == (0, 45)
    assert (listed["lungs"].packs, listed["lungs"].days) == (3, (0, 0, 0))
    assert listed["lungs_large_pack"].packs == 1
    assert listed["rare"].atc is None
    assert listed["lungs"].gross_sek == pytest.approx(240)


@pytest.mark.parametrize("name", condition_set("skane_wide").names)
@pytest.mark.parametrize("pack", [20.0, 28.0, 98.0, 400.0])
def test_a_series_would_raise_the_flag(name, pack):
    """What `_days` says is enough meets the dates, the days apart, the DDD and 90 DDD per fill of the rule."""
    condition = condition_set("skane_wide")[name]
    days = _days(condition, pack)
    dates = sorted(set(days))
    assert len(dates) >= condition.min_dates
    assert dates[-1] - dates[0] >= condition.min_days_apart
    assert len(days) * pack >= condition.min_ddd
    if pack <= 90:
        assert all(days.count(day) * pack <= 90 + pack for day in dates)


def test_every_switch_within_a_group_is_neutral_unless_the_code_counts_elsewhere():
    alone = ConditionSet("alone", (Condition("diabetes", include=("A10B",)), Condition("lungs", include=("R03",))))
    double = ConditionSet("double", (Condition("diabetes", include=("A10B",)), Condition("glp1", include=("A10BJ",))))
    for conditions, neutral in ((alone, True), (double, False)):
        chronic = table(100, [50.0, 80.0], conditions=conditions.names)
        within = within_group_switches(conditions, codes(), {"chronic": chronic}, {"chronic": PHI})
        pair = within[(within["from_atc"] == "A10BA02") & (within["to_atc"] == "A10BJ02")].iloc[0]
        assert (within["reimbursement_sek"] == 0).all() == neutral
        assert pair["reimbursement_sek"] == pytest.approx(0 if neutral else 0.9 * 12 * 80)
        assert (pair["power"] == 1) == neutral


def test_the_headline_set_is_neutral_within_every_group_exactly():
    wide = condition_set("skane_wide")
    found = pd.DataFrame({"atc": sorted(facts.substances()["atc"].unique())})
    tables = {m: AmountTable(m, np.full((21, 2), 100.0), wide.names, np.linspace(10, 300, len(wide.names)), rule=rule,
                             kind=kind)
              for m, rule, kind in (("chronic", "dispensed", "condition"), ("chronic_defended", "listed", "condition"),
                                    ("highest_only", "dispensed", "highest"))}
    within = within_group_switches(wide, found, tables, dict.fromkeys(tables, PHI))
    assert len(within) > 500
    assert (within["reimbursement_sek"] == 0).all()
    assert (within["power"] == 1).all()


def test_cross_group_switches_by_hand():
    matrix = cross_group_switches(("a", "b"), np.array([300.0, 500.0]), np.array([2.0, 3.0]), np.array([100.0, 400.0]),
                                  ALPHA)
    assert matrix.loc["a", "b"] == pytest.approx((500 - 300) - 0.7 * (3 - 2) * 100)
    assert matrix.loc["b", "a"] == pytest.approx((300 - 500) - 0.7 * (2 - 3) * 400)
    assert matrix.loc["a", "a"] == matrix.loc["b", "b"] == 0


def bought(*rows, persons=1) -> Histories:
    """Purchases (person, day, SEK) of numbered persons, all charged for, all of base drugs."""
    who, day, sek = (np.array(column) for column in zip(*sorted(rows), strict=True))
    people = np.arange(persons)
    return Histories(people, np.searchsorted(who, people), np.searchsorted(who, people, side="right"), day,
                     sek.astype(np.int64) * 100, np.zeros(len(day), dtype=bool), np.ones(len(day), dtype=bool))


def one_pack(price: float, base_share=1.0) -> Series:
    return Series("low", "dispensed", "R03AC02", price, 30.0, base_share, 1, (0,), False)


def given(history, series, persons=(0,), first=(19500,), young=(False,)):
    return [x.tolist() for x in history.added(np.array(persons), series, np.array(first), np.array(young), STAIRCASE)]


def test_the_staircase_is_run_again():
    """A first pack below 2 000 SEK costs the region nothing; at the cap all of it; midway it moves the later rows."""
    small = bought((0, 19400, 100))
    assert given(small, one_pack(300.0)) == [[0.0], [300.0]]
    at_cap = bought((0, 19400, 9000))
    assert given(at_cap, one_pack(300.0)) == [[300.0], [0.0]]
    later = bought((0, 19400, 100), (0, 19600, 1800))  # 1 900 without: all paid by the patient; 2 200 with
    assert given(later, one_pack(300.0)) == [[50.0], [250.0]]
    assert given(later, one_pack(300.0, base_share=0.0))[0] == [50.0]  # not borne itself, but it lifts what is


def test_a_child_gets_it_free():
    assert given(bought((0, 19400, 100)), one_pack(300.0), young=(True,)) == [[300.0], [0.0]]


def test_persons_do_not_touch_each_other():
    two = bought((0, 19400, 100), (1, 19400, 9000), persons=2)
    assert given(two, one_pack(300.0), (1, 0, 1), (19500,) * 3, (False,) * 3)[0] == [300.0, 0.0, 300.0]


def test_incentives_of_a_small_half_year():
    """Everything at once: one unflagged person, what the pack costs and pays, and the frames and the picture."""
    alone = ConditionSet("toy", (Condition("diabetes", include=("A10B",)), Condition("lungs", include=("R03",))))
    persons = tuple((str(i), "K", "1960-05", None) for i in range(1, 31))
    listed = tuple((str(i), "A" if i % 2 else "B", "2020-01-01", None) for i in range(1, 31))
    rows = [(str(i), f"2025-0{1 + i % 9}-01", "A10BA02", 1, 50, 0.0) for i in range(1, 26)]
    rows += [(str(i), "2026-02-01", "R03AC02", 1, 30, 10.0) for i in range(1, 31)]
    data = half_year(rows, persons=persons, listings=listed, gross_price=[60.0] * 25 + [80.0] * 30)
    period = Period.half_year(2026, 1)
    cohort = build_cohort(data, period, alone)
    chronic = table(100, [50.0, 40.0], conditions=alone.names)
    paid = {"chronic": settle(chronic, cohort, ALPHA, 9000.0)}
    found = incentives(data, cohort, period.before(12), alone, {"chronic": chronic}, paid)
    row = found.to_frame().set_index("condition").loc["diabetes"]
    phi, share = paid["chronic"].phi, paid["chronic"].reimbursement_ore / paid["chronic"].budget_ore
    own = [share[(i + 1) % 2] for i in range(26, 31)]  # of the five without diabetes
    assert row["persons"] == 5
    assert row["pays_sek"] == pytest.approx(phi * 50 * 12 * (1 - np.mean(own)))
    assert (row["region_sek"], row["patient_sek"], row["return_per_krona"]) == (0, 60, np.inf)
    assert row["power_more_ddd"] == 1
    assert found.neutral()
    assert np.isnan(found.to_frame().set_index("condition").loc["lungs", "pays_sek"])  # nothing dispensed in 2025
    assert "chronic" in found.plot().get_xlabel()
    assert "<table" in found._repr_html_()
