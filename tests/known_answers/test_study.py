"""Studies: the fast route is the long one, style is what a twin says, replicates are kept, the rule is applied."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import swiss
from lakemedelsmodell.conditions import Condition, ConditionSet, condition_set, read_condition_list
from lakemedelsmodell.data.flag_kernel import resolved
from lakemedelsmodell.data.flags import build_cohort, code_summary
from lakemedelsmodell.data.periods import Period
from lakemedelsmodell.data.tables import HalfYear
from lakemedelsmodell.errors import DataError, UserError
from lakemedelsmodell.evaluation import make_plan
from lakemedelsmodell.settlement import Prediction, settle
from lakemedelsmodell.simulation import load_scenario, simulate
from lakemedelsmodell.study import (
    ManipulationFinding,
    Replicate,
    judge,
    judge_results,
    packaged_grid,
    read_grid,
    read_rule,
    replicate,
    run_grid,
    studies,
    study,
    study_run,
)
from lakemedelsmodell.study.cohorts import world_cohorts
from lakemedelsmodell.study.grid import MEASURES, Dimension, Grid, GridResult, _mapped, changed, design, sign_change
from lakemedelsmodell.study.replicate import HEADLINE, atc_level_2, pass_through_at_need, payable
from lakemedelsmodell.study.studies import judge_replicates
from lakemedelsmodell.verdict import half_width

STYLELESS = {"price_sd": 0, "volume_sd": 0, "initiation_sd": 0, "initiation_group_sd": 0}
TINY = 0.01


@pytest.fixture(scope="module")
def skane():
    return load_scenario("skane_2026h1")


@pytest.fixture(scope="module")
def plan(skane):
    return make_plan(Period.parse("2026-01..2026-06"), False, skane.window.start, 12)


@pytest.fixture
def short(skane):
    return skane.but(population={"centres": 24})


# --- the fast route -------------------------------------------------------------------------------------------------

THRICE = ConditionSet("thrice", (
    Condition("hypertension", include=("C02", "C03", "C07", "C08", "C09"), min_dates=3, min_packages=4),
    Condition("diabetes", include=("A10",), exclude=("A10BK",), min_ddd=100.5, min_days_apart=60),
    Condition("both", requires=("hypertension", "diabetes")),
    Condition("lipid", include=("C10",), yields_to=("diabetes",)),
    Condition("pain", include=("N02",), marker_only=True),
    Condition("sleep", include=("N05", "N02A"), requires=("pain",)),
))


@pytest.mark.parametrize("conditions", [condition_set("skane_wide"), THRICE, atc_level_2()], ids=lambda c: c.name)
def test_cohorts_straight_from_blocks_are_those_of_the_tables(skane, plan, conditions):
    scenario = skane.but(departures={"uncoded_share": 0.1}, prescribing={"dose_dispensed_share": 0.06})
    simulation = simulate(scenario, scale=0.03, centres=25)
    direct = world_cohorts(simulation.world, plan, conditions)
    half_year = HalfYear.from_frames(**simulation.tables())
    for mine, period, lookback in ((direct.fitted, plan.fit_period, plan.fit_lookback),
                                   (direct.paid, plan.period, plan.lookback)):
        judge_says = build_cohort(half_year, period, conditions, lookback=lookback, traits=True)
        assert mine.conditions == judge_says.conditions
        assert mine.centre_ids.tolist() == judge_says.centre_ids.tolist()
        for column in ("person", "centre", "sex", "band", "months", "cost"):
            np.testing.assert_array_equal(getattr(mine, column), getattr(judge_says, column), err_msg=column)
        for rule, flags in judge_says.flags.items():
            assert flags.any()
            np.testing.assert_array_equal(mine.flags[rule], flags, err_msg=rule)
        np.testing.assert_array_equal(mine.prior_cost, judge_says.prior_cost)
        assert np.isnan(judge_says.prior_cost).any()
    assert list(direct.paid.groups) == list(judge_says.groups)
    for name, held in judge_says.groups.items():
        assert held.any()
        np.testing.assert_array_equal(direct.paid.groups[name], held, err_msg=name)
    sums = code_summary(half_year, (plan.lookback.start, plan.lookback.end))
    pd.testing.assert_frame_equal(direct.codes, sums[list(direct.codes)], check_dtype=False)


def test_conditions_require_and_yield_as_found():
    found = np.array([[1, 1, 0, 1, 1, 0], [1, 0, 0, 1, 0, 1], [0, 0, 0, 1, 1, 1]], dtype=bool)
    held = resolved(found, THRICE)
    assert held.tolist() == [[True, True, True, False, True, False], [True, False, False, True, False, False],
                             [False, False, False, True, True, True]]


def test_a_condition_yields_to_one_that_itself_yields():
    chain = ConditionSet("chain", (Condition("a", include=("A",), yields_to=("b",)),
                                   Condition("b", include=("B",), yields_to=("c",)), Condition("c", include=("C",))))
    chain = replace(chain, conditions=chain.conditions[::-1])
    assert resolved(np.ones((1, 3), dtype=bool), chain).tolist() == [[True, False, False]]
    assert resolved(np.array([[False, True, True]]), chain).tolist() == [[False, True, False]]


def test_the_result_is_the_same_with_any_number_of_threads(skane):
    one, two = (replicate(skane, 1, TINY, centres=20, others=(), workers=n) for n in (1, 2))
    assert json.dumps(one.measures) == json.dumps(two.measures)
    assert one.groups == two.groups


# --- competitors and groups -----------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def whole(skane):
    return replicate(skane, 1, 0.03)


def test_a_replicate_has_every_model_and_every_group(whole):
    assert set(whole.measures) == {
        "flat", "age_sex_published", "age_sex", "age_sex_cni", "age_sex_pool_10k", "age_sex_pool", "age_sex_pool_50k",
        "chronic", "chronic_defended", "chronic_newcomers", "chronic_nonnegative", "chronic_pool", "highest_only",
        "count", "boosting", "chronic_atc2", "oracle", "region"}
    assert not whole.left_out
    assert {"drugs:5+", "dose_dispensed:yes", "moved:yes", "history:short", "prior_cost:none", "prior_cost:10",
            "cni:most_deprived_fifth", "operator:public", "operator:private", "rural:yes", "list_size:1",
            "list_size:4"} <= set(whole.groups)
    # What no amounts can undo: who was dear last year is paid too little, though less so when illness is paid for.
    dear = whole.groups["prior_cost:10"]
    assert dear["age_sex"] < dear["chronic"] < 0
    # Nothing told of those who came lately, unless they have an amount of their own.
    new = whole.groups["prior_cost:unknown"]
    assert new["need.chronic"] < new["need.chronic_newcomers"] < -0.5 * new["need.chronic"]
    r2 = {model: of["r2"] for model, of in whole.measures.items() if "r2" in of}
    assert r2["flat"] < r2["age_sex"] < r2["count"] < r2["chronic"] < r2["oracle"]
    assert r2["boosting"] > r2["age_sex"]


def test_without_competitors_the_headline_is_the_same(skane, whole):
    few = replicate(skane, 1, 0.03, competitors=False)
    assert set(few.measures) == {*HEADLINE, "chronic_atc2", "oracle", "region"}
    for model in (*HEADLINE, "chronic_atc2", "oracle", "region"):
        for measure, value in few.measures[model].items():
            assert value == pytest.approx(whole.measures[model][measure], nan_ok=True), (model, measure)


def test_a_model_that_takes_from_a_centre_is_left_out_and_counted(short, skane, plan):
    paid = world_cohorts(simulate(skane, scale=TINY, centres=20).world, plan, ConditionSet("none", ())).paid
    fair = Prediction("age_sex", np.full(len(paid.cost), 50.0))
    taking = Prediction("age_sex_cni", np.where(paid.centre == 3, -1.0, 50.0))
    settlements, left_out = payable({"age_sex": fair, "age_sex_cni": taking}, paid, 0.7)
    assert list(settlements) == ["age_sex"]
    assert left_out == {"age_sex_cni": "The amounts of age_sex_cni come to less than nothing for a centre."}
    needed, _ = payable({"age_sex": replace(taking, model="age_sex")}, paid, 0.7)
    assert (needed["age_sex"].reimbursement_ore < 0).tolist() == [k == 3 for k in range(20)]
    with pytest.raises(UserError, match="nothing or less in all"):
        payable({"age_sex": Prediction("age_sex", np.full(len(paid.cost), -1.0))}, paid, 0.7)

    done = study([short], replicates=2, scale=TINY, workers=1)
    first, second = done.replicates[short.name]
    del second.measures["age_sex_cni"]
    second.left_out["age_sex_cni"] = left_out["age_sex_cni"]
    frame = done.to_frame().set_index(["model", "measure"])
    assert frame.loc[("age_sex_cni", "sd"), "replicates"] == 1
    assert frame.loc[("age_sex_cni", "sd"), "value"] == first.measures["age_sex_cni"]["sd"]
    assert frame.loc[("age_sex", "sd"), "replicates"] == 2
    assert done.to_dict()["worlds"][short.name]["left_out"] == {"age_sex_cni": 1}
    assert "left out: age_sex_cni in 1 of 2 draws" in str(done)


# --- style and need -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("style", [{"volume_sd": 0.12}, {"initiation_sd": 0.3}])
def test_style_is_what_a_twin_without_style_would_not_cost(skane, plan, style):
    """Same random numbers, so that cost differs where practice does; over centres by the expected cost of the style."""
    none = ConditionSet("none", ())

    def drawn(**of):
        found = world_cohorts(simulate(skane.but(style={**STYLELESS, **of}), scale=0.06).world, plan, none)
        months = np.bincount(found.paid.centre, found.paid.months)
        return found.style, np.bincount(found.paid.centre, found.paid.cost) / months

    s, cost = drawn(**style)
    unstyled, twin = drawn()
    assert (unstyled == 0).all()
    difference = cost - twin
    slope, _ = np.polyfit(s, difference, 1)
    left = difference - np.polyval(np.polyfit(s, difference, 1), s)
    error = left.std(ddof=2) / (s.std() * np.sqrt(len(s)))
    # The truth takes a year's cost to be gamma-distributed when it works out fees, which is good to some per cent.
    assert abs(slope - 1) <= 0.06 + 4 * error
    assert error < 0.08


def test_pass_through_at_need_sees_through_need_that_goes_with_style():
    rng = np.random.default_rng(7)
    ideal = rng.normal(0, 3, 400)
    need = -0.8 * ideal + rng.normal(0, 2, 400)
    assert pass_through_at_need(0.7 * ideal - need, ideal, need) == pytest.approx(0.7)
    assert np.isnan(pass_through_at_need(need, np.zeros(400), need))


def test_volume_style_comes_through_whole_and_treatment_style_does_not(skane):
    """Flags follow who is treated, never how much each gets."""
    found = {}
    for name, style in {"volume": {"volume_sd": 0.10}, "treatment": {"initiation_sd": 0.25}}.items():
        measures = replicate(skane.but(style={**STYLELESS, **style}), 1, 0.06, others=()).measures
        found[name] = {m: measures[m]["pass_through_at_need"] for m in ("age_sex", "chronic")}
    assert found["volume"]["chronic"] > 0.85
    assert found["treatment"]["chronic"] < found["treatment"]["age_sex"] - 0.3


# --- lists not built from the reference table -----------------------------------------------------------------------

def test_therapeutic_subgroups_say_the_same_as_the_chosen_list(skane):
    measures = replicate(skane, 1, 0.05).measures
    chosen, other = (measures[m]["log_sd_ratio.age_sex"] for m in ("chronic", "chronic_atc2"))
    assert other < -0.1
    assert np.sign(chosen) == np.sign(other)


@pytest.fixture
def swiss_list(shared, tmp_path):
    swiss.write(shared, tmp_path / "swiss.csv")
    return replace(read_condition_list(tmp_path / "swiss.csv"), name="swiss")


def test_the_swiss_list_says_the_same(skane, swiss_list):
    measures = replicate(skane, 1, 0.05, conditions=swiss_list, others=()).measures
    assert measures["chronic"]["log_sd_ratio.age_sex"] < -0.05
    assert measures["chronic_defended"]["log_sd_ratio.age_sex"] < -0.05


@pytest.mark.parametrize("cv", [0.0, 0.05, 0.10, 0.15])
def test_lists_not_made_for_the_reference_table_narrow_the_spread_at_any_variation_of_illness(skane, swiss_list, cv):
    world = skane.but(departures={"prevalence_cv": cv})
    measures = replicate(world, 1, 0.03, others=(atc_level_2(), swiss_list), competitors=False).measures
    deltas = [measures[model]["log_sd_ratio.age_sex"] for model in ("chronic", "chronic_atc2", "chronic_swiss")]
    assert max(deltas) < -0.05
    # They tell less of cost than the list that the reference table was made with, and so leave more of the spread.
    assert measures["chronic"]["r2"] > max(measures[f"chronic_{name}"]["r2"] for name in ("atc2", "swiss"))


# --- studies --------------------------------------------------------------------------------------------------------

def test_a_finished_replicate_is_not_drawn_again(short, tmp_path, monkeypatch):
    first = study([short], replicates=2, scale=TINY, kept=tmp_path, workers=1)
    drawn = []

    def count(scenario, seed, *args, **kwargs):
        drawn.append(seed)
        return replicate(scenario, seed, *args, **kwargs)

    monkeypatch.setattr(studies, "replicate", count)
    again = study([short], replicates=3, scale=TINY, kept=tmp_path, workers=1)
    assert drawn == [3]
    for a, b in zip(first.replicates[short.name], again.replicates[short.name], strict=False):
        assert json.dumps(a.measures) == json.dumps(b.measures)
    other_scale = study([short], replicates=1, scale=2 * TINY, kept=tmp_path, workers=1)
    assert drawn == [3, 1]
    damaged = next(tmp_path.glob("*-1-*.json"))
    damaged.write_text("{", encoding="utf-8")
    study([short], replicates=1, scale=TINY, kept=tmp_path, workers=1)
    study([short], replicates=1, scale=2 * TINY, kept=tmp_path, workers=1)
    assert drawn == [3, 1, 1]
    assert other_scale.replicates[short.name][0].scale == 2 * TINY


def test_processes_draw_what_threads_draw(short):
    one, two = (study([short], replicates=2, scale=TINY, workers=n) for n in (1, 2))
    assert one.to_frame().equals(two.to_frame())


def test_a_study_knows_its_simulation_error(short):
    frame = study([short], replicates=3, scale=TINY).to_frame().set_index(["model", "measure"])
    values = [replicate(short, seed, TINY).measures["chronic"]["sd"] for seed in (1, 2, 3)]
    row = frame.loc["chronic", "sd"]
    assert row["value"] == pytest.approx(np.mean(values))
    assert row["mcse"] == pytest.approx(np.std(values, ddof=1) / np.sqrt(3))
    assert study([short], replicates=1, scale=TINY).to_frame()["mcse"].isna().all()


def test_what_a_study_cannot_be_is_said(short):
    with pytest.raises(UserError, match="given twice"):
        study([short, short], replicates=1, scale=TINY)
    with pytest.raises(UserError, match="1 or more"):
        study([short], replicates=0)
    with pytest.raises(UserError, match="--grid"):
        study_run([])


# --- the verdict ----------------------------------------------------------------------------------------------------

def made_up(high=-0.1, pool_high=-0.1, change=0.0, change_low=-0.02, chronic=1.0, age_sex=5.0, persons=5000.0):
    measures = {"chronic": {"log_sd_ratio.age_sex": -0.2, "ci_high.age_sex": high,
                            "pass_through_change.age_sex": change, "pass_through_change_low.age_sex": change_low},
                "chronic_pool": {"log_sd_ratio.age_sex_pool": -0.2, "ci_high.age_sex_pool": pool_high}}
    group = {"persons": persons, "chronic": chronic, "age_sex": age_sex, "need.chronic": 0.0, "need.age_sex": 0.0}
    return Replicate("made_up", 1, 1.0, measures, {"condition:doak": group}, {})


@pytest.mark.parametrize(("clause", "holds", "made"), [
    (None, True, made_up()),
    ("spread.chronic", False, made_up(high=0.01)),
    ("spread.chronic", None, made_up(high=np.nan)),
    ("spread.chronic_pool", False, made_up(pool_high=0.01)),
    ("pass_through", False, made_up(change=-0.2, change_low=-0.25)),
    ("pass_through", None, made_up(change=-0.04, change_low=-0.10)),
    ("pass_through", None, made_up(change=np.nan, change_low=np.nan)),
    ("groups", False, made_up(chronic=-16.0)),
    ("groups", True, made_up(chronic=-14.0)),
    ("groups", None, made_up(chronic=-16.0, persons=10.0)),
])
def test_each_clause_decides(clause, holds, made):
    verdict = judge_replicates(read_rule(), [made])
    outcomes = {c.name: c.holds for c in verdict.clauses}
    manipulation = outcomes.pop("manipulation")
    assert manipulation is None  # until it has been played
    if clause is None:
        assert set(outcomes.values()) == {True}
    else:
        assert outcomes.pop(clause) is holds
        assert set(outcomes.values()) == {True}
    assert verdict.decision == ("against" if holds is False else "undecided")
    assert str(verdict).count("\n") == len(verdict.clauses)


def test_a_clause_tells_its_unit_and_its_group_apart():
    clauses = {c.name: c for c in judge_replicates(read_rule(), [made_up(chronic=-16.0)]).clauses}
    worst = clauses["groups"]
    assert (worst.number, worst.threshold, worst.unit) == (pytest.approx(11), 10, "SEK per listed month")
    assert worst.detail == f"{worst.group} from its {worst.further_from}"
    assert worst.further_from in ("cost", "need")
    assert {name: c.unit for name, c in clauses.items() if name != "groups"} == {
        "spread.chronic": "ln of SD ratio", "spread.chronic_pool": "ln of SD ratio",
        "pass_through": "share of own style", "manipulation": "SEK per listed month"}
    nobody = {c.name: c for c in judge_replicates(read_rule(), [made_up(persons=10.0)]).clauses}["groups"]
    assert (nobody.group, nobody.further_from) == (None, None)


def test_more_replicates_tell_pass_through_better():
    rule = read_rule()
    unsure = [made_up(change=x, change_low=-0.5) for x in (-0.06, 0.05)]
    for replicates, outcome in ((unsure, None), (unsure * 40, True)):
        assert {c.name: c.holds for c in judge_replicates(rule, replicates).clauses}["pass_through"] is outcome


def test_a_group_too_far_off_on_the_mean_of_few_draws_alone_is_not_yet_known():
    rule = read_rule()
    unsure = [made_up(chronic=x) for x in (-10.0, -28.0)]  # 14 further off on average, give or take 100
    for replicates, outcome in ((unsure, None), (unsure * 40, False), ([made_up(chronic=-14.0)] * 2, True)):
        groups = {c.name: c for c in judge_replicates(rule, replicates).clauses}["groups"]
        assert groups.holds is outcome
        assert (groups.number <= 10) is (outcome is True)
        assert groups.detail.endswith("more replicates would tell") is (outcome is None)


@pytest.mark.parametrize(("non_dominated", "decision"), [(True, "for"), (False, "against")])
def test_played_manipulation_settles_the_last_clause(non_dominated, decision):
    made = made_up()
    played = ManipulationFinding("chronic_defended", non_dominated, worst_gain=1.25, rmse_change=0.4)
    verdict = judge(read_rule(), [made.measures], [made.groups], world="made_up", manipulation=played)
    assert verdict.decision == decision
    assert "SEK per listed month: +1.250 (RMSE to the ideal net +0.400)" in str(verdict)
    other = replace(played, model="chronic")  # the rule asks for the defended version
    assert judge(read_rule(), [made.measures], [made.groups], world="made_up",
                 manipulation=other).decision == "undecided"


def test_one_half_year_is_judged_but_for_what_only_a_truth_knows():
    def results(chronic_high, off):
        contrasts = [{"model": m, "against": a, "log_sd_ratio": -0.2, "ci_low": -0.3, "ci_high": high}
                     for m, a, high in (("chronic", "age_sex", chronic_high), ("chronic_pool", "age_sex_pool", -0.1))]
        paid = {"chronic": off, "age_sex": 2.0}
        return {"contrasts": contrasts, "models": {
            model: {"predictive_ratios": {"drugs:5+": {"persons": 4000, "under_compensation_sek": sek},
                                          "tiny": {"persons": None, "under_compensation_sek": None}}}
            for model, sek in paid.items()}}

    verdict = judge_results(read_rule(), results(-0.05, -5.0), world="2026H1")
    assert verdict.decision == "undecided"
    assert {c.name: c.holds for c in verdict.clauses} == {
        "spread.chronic": True, "spread.chronic_pool": True, "pass_through": None, "groups": True, "manipulation": None}
    assert "only a simulation knows it" in str(verdict)
    assert judge_results(read_rule(), results(0.05, -5.0), world="2026H1").decision == "against"
    worse = judge_results(read_rule(), results(-0.05, -15.0), world="2026H1")
    assert {c.name: c.number for c in worse.clauses if c.holds is False} == {"groups": pytest.approx(13.0)}


def test_a_clause_says_in_how_many_draws_its_models_were_paid():
    made, without = made_up(), replace(made_up(), measures={"chronic": made_up().measures["chronic"]})
    said = str(judge_replicates(read_rule(), [made, without, made]))
    assert "Δ -0.200, 2 of 3 draws" in said


def test_a_rule_of_one_s_own(tmp_path):
    own = tmp_path / "own.toml"
    text = (read_rule_text()).replace("margin = -0.05", "margin = -0.9")
    own.write_text(text, encoding="utf-8")
    assert read_rule(own).pass_through.margin == -0.9
    own.write_text(text.replace("\n[groups]\n", "\n[groups]\nshare = 1\n"), encoding="utf-8")
    with pytest.raises(DataError, match="groups.share"):
        read_rule(own)
    with pytest.raises(UserError, match="no rule"):
        read_rule(tmp_path / "absent.toml")


def read_rule_text():
    from importlib import resources

    return resources.files("lakemedelsmodell.simulations").joinpath("verdict.toml").read_text(encoding="utf-8")


# --- grids ----------------------------------------------------------------------------------------------------------

def test_a_latin_hypercube_has_one_point_in_every_slice():
    grid = read_grid()
    points = [p["values"] for p in design(grid) if p["design"] == "latin_hypercube"]
    assert len(points) == grid.points
    for d in grid.dimension:
        slices = [(p[d.name] - d.low) / (d.high - d.low) * grid.points for p in points]
        assert sorted(map(int, slices)) == list(range(grid.points))
    assert {p["varied"] for p in design(grid)} == {"", *(d.name for d in grid.dimension)}


def test_every_dimension_of_the_packaged_grid_changes_the_world(skane):
    for d in read_grid().dimension:
        scenario, size = changed(skane, [d], {d.name: d.high})
        assert scenario != skane or size != 1


def test_list_size_is_that_of_the_lists(skane):
    d = Dimension(name="list_size", path="list_size", low=2000, high=20000)
    scenario, size = changed(skane, [d], {"list_size": 4000})
    persons = simulate(scenario, scale=size).world.centres.persons
    assert persons.sum() / len(persons) == pytest.approx(4000, rel=1e-3)


def test_a_dimension_that_is_none_is_said(skane):
    for path in ("style.volume", "nowhere.at_all", "seed"):
        with pytest.raises(UserError, match="no parameter"):
            changed(skane, [Dimension(name="x", path=path, low=0, high=1)], {"x": 0.5})
    with pytest.raises(UserError, match="Change its range"):
        changed(skane, [Dimension(name="x", path="style.volume_sd", low=-1, high=1)], {"x": -0.5})


@pytest.mark.parametrize(("y", "at"), [
    ([-1, 1], 0.5), ([-1, -3], np.nan), ([0, 1], 0.0), ([1, 0], 1.0), ([3, -1], 0.75)])
def test_the_sign_changes_between_levels(y, at):
    assert sign_change(np.array([0.0, 1.0]), np.array(y, dtype=float)) == pytest.approx(at, nan_ok=True)


def test_a_grid_maps_where_the_sign_flips(tmp_path):
    grid = Grid.model_validate({"world": "skane_2026h1", "points": 6, "levels": 2, "centres": 30, "dimension": [
        {"name": "volume", "path": "style.volume_sd", "low": 0.0, "high": 0.3},
        {"name": "moves", "path": "population.move_per_1000", "as": "factor", "low": 0.5, "high": 2.0}]})
    found = run_grid(grid, scale=TINY, kept=tmp_path)
    assert len(found.table) == 6 + 4
    flips = found.flips().set_index(["measure", "dimension"])
    assert flips.loc[("log_sd_ratio", "volume"), "at_low"] < flips.loc[("log_sd_ratio", "volume"), "at_high"]
    assert np.isfinite(flips["effect"]).all()
    assert len(found.plot().axes) == 3 * 2
    assert len(found.plot_map().axes) == 3
    line = found.along("volume")
    assert line["volume"].tolist() == [0.0, 0.3]
    assert line["log_sd_ratio_mcse"].isna().all()  # one replicate each
    with pytest.raises(UserError, match="volume"):
        found.along("volumes")
    assert run_grid(grid, scale=TINY, kept=tmp_path).table.equals(found.table)
    assert flips["flips_from"].isna().all()


def of_draws(*draws):
    """A grid of one dimension in the levels 0, 1 and 2, with what each draw measured there."""
    grid = Grid.model_validate({"world": "skane_2026h1", "points": 0, "levels": 3, "replicates": len(draws),
                                "dimension": [{"name": "tail", "path": "prescribing.tail", "low": 0, "high": 2}]})

    def drawn(value):
        measures = {}
        for model, measure, _ in MEASURES.values():
            measures.setdefault(model, {})[measure] = value
        return replace(made_up(), measures=measures)

    rows = [{"design": "one_at_a_time", "varied": "tail", "tail": float(level), "replicates": len(draws), "scale": 1.0,
             **_mapped([drawn(values[level]) for values in draws])} for level in range(3)]
    return GridResult(grid, pd.DataFrame(rows))


def hatched(result):
    fills = [c for c in result.plot_map(["rmse_change"]).axes[0].collections if c.get_hatch()]
    return [path for fill in fills for path in fill.get_paths() if len(path.vertices)]


def test_draws_that_disagree_widen_where_the_sign_flips():
    sure, unsure = of_draws([-1, 0.5, 2], [-1, 0.5, 2]), of_draws([-1.5, -0.5, 2], [-0.5, 1.5, 2], [-1, 0.5, 2])
    one = sure.flips().set_index("measure").loc["rmse_change"]
    assert (one["flips_at"], one["flips_from"], one["flips_to"]) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert (one["negative_low"], one["negative_high"], one["se_low"]) == (1, 0, 0)
    found = unsure.flips().set_index("measure").loc["rmse_change"]
    assert found["flips_at"] == pytest.approx(2 / 3)
    assert unsure.along("tail")["rmse_change_negative"].tolist() == pytest.approx([1, 1 / 3, 0])
    # Mean ± t(2) × SD/√3: −1 ± 1.24, 0.5 ± 2.48 and 2 ± 0, so that the upper end is above 0 all the way.
    assert np.isnan(found["flips_from"])
    assert found["flips_to"] == pytest.approx(1 + 1.984 / (1.984 + 2), abs=0.01)
    assert hatched(unsure) and not hatched(sure)


def test_the_shipped_grid_s_results_are_of_its_points():
    found, grid = packaged_grid(), read_grid()
    points = design(grid)
    assert found.table["design"].tolist() == [p["design"] for p in points]
    for d in grid.dimension:
        np.testing.assert_allclose(found.table[d.name], [p["values"].get(d.name, np.nan) for p in points], rtol=1e-5)
    flips = found.flips().set_index(["measure", "dimension"])
    assert (flips["effect_se"] > 0).all()
    # The headline holds at any variation of illness between centres, and by lists nobody chose for their weights.
    line = found.along("prevalence_cv")
    assert line["prevalence_cv"].tolist() == [0.0, 0.05, 0.10, 0.15, 0.30]
    for measure in ("log_sd_ratio", "log_sd_ratio_atc2", "log_sd_ratio_pool"):
        assert (line[measure] < 0).all()


# --- the model's own money ------------------------------------------------------------------------------------------

def test_every_model_shares_out_the_same_money(skane, plan):
    drawn = world_cohorts(simulate(skane, scale=TINY, centres=20).world, plan, condition_set("skane_wide"))
    from lakemedelsmodell.models import AgeSex, ChronicConditions

    budgets = {settle(m.fit(drawn.fitted, 0.7).rounded(), drawn.paid, 0.7).reimbursement_ore.sum()
               for m in (AgeSex(), ChronicConditions())}
    assert len(budgets) == 1


def test_half_of_an_interval_of_a_mean_by_hand():
    """Of 1, 2 and 3: SD 1, standard error 1/√3, Student's t with 2 degrees of freedom 4.3027."""
    assert half_width(np.array([1.0, 2.0, 3.0])) == pytest.approx(4.3027 / np.sqrt(3), abs=1e-4)
