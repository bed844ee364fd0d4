"""Each shipped world does what it is there for, and a departure departs in nothing else."""

import runpy
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from lakemedelsmodell.simulation import load_scenario, simulate
from lakemedelsmodell.simulation.scenario import shipped_scenarios
from lakemedelsmodell.study import packaged_measures, packaged_worlds, study
from lakemedelsmodell.study.expected import SIZES, expected, read_expected

MUST_NOT_WIN = {
    "no_chronic_effect", "style_creates_flags", "high_cost_outside_groups", "untreated_need", "milder_where_common",
    "price_drift", "flags_misclassified",
}
STUDIED = sorted(MUST_NOT_WIN | {"random_lists"})
SMALL = 0.03
PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def skane():
    return load_scenario("skane_2026h1")


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Draws that several tests look at."""
    return tmp_path_factory.mktemp("replicates")


@pytest.fixture(scope="module")
def studied(kept):
    worlds = [load_scenario(name) for name in ("random_lists", "no_chronic_effect", "style_creates_flags")]
    return study(worlds, replicates=6, scale=SMALL, kept=kept)


def mean_and_error(studied, world, model, measure):
    row = studied.to_frame().set_index(["world", "model", "measure"]).loc[(world, model, measure)]
    return row["value"], row["mcse"]


# --- what each world is for -----------------------------------------------------------------------------------------

def test_every_world_ships_with_what_is_expected_of_it():
    assert set(shipped_scenarios()) == {*STUDIED, "skane_2026h1"}
    for world in STUDIED:
        rows = read_expected(world)
        assert {(scale, n) for scale, n in zip(rows["scale"], rows["replicates"], strict=True)} == set(SIZES)
        assert load_scenario(world).name == world
        text = resources.files("lakemedelsmodell.simulations").joinpath(f"{world}.toml").read_text(encoding="utf-8")
        assert "# Expected verdict: " in text


def test_the_proposal_wins_in_no_world_where_it_must_not():
    for world in MUST_NOT_WIN:
        rows = read_expected(world)
        assert (rows.loc[rows["measure"] == "decision", "value"] == -1).all(), world


def test_the_shipped_results_judge_every_world_clause_by_clause():
    worlds = packaged_worlds()
    assert set(worlds["world"]) == {*STUDIED, "skane_2026h1"}
    assert (worlds.groupby("world")["clause"].apply(list).map(tuple).nunique()) == 1
    assert (worlds["replicates"] >= 8).all()
    lost = set(worlds.loc[worlds["decision"] == "against", "world"])
    assert lost >= MUST_NOT_WIN
    failed = worlds[worlds["holds"].map(lambda holds: holds is False)]
    assert set(failed["world"]) == lost  # none is rejected without a clause that says why
    large = {world: rows.loc[(rows["scale"] == 0.1) & (rows["model"] == "verdict")].set_index("measure")["value"]
             for world in STUDIED for rows in [read_expected(world)]}
    for row in worlds[worlds["world"] != "skane_2026h1"].itertuples():
        held = large[row.world][row.clause]
        assert row.holds == (None if np.isnan(held) else bool(held)), (row.world, row.clause)
    measures = packaged_measures().set_index(["world", "model", "measure"])
    assert {"age_sex_cni", "boosting", "chronic_nonnegative"} <= set(measures.index.get_level_values("model"))
    assert (measures.loc[(slice(None), "age_sex", "sd"), "mcse"] > 0).all()


def test_the_page_of_the_worlds_shows_the_shipped_results():
    made = runpy.run_path(str(PROJECT / "reports" / "refresh_worlds.py"))
    page = (PROJECT / "docs" / "worlds.md").read_text(encoding="utf-8")
    for name, of in made["TABLES"].items():
        assert made["marked"](name, of()) in page, "run reports/refresh_worlds.py --page"


def test_random_lists_narrow_the_spread_by_what_the_r2_says(studied):
    """SD ratio √((1−R²₁)/(1−R²₀)), and nothing beyond."""
    beyond, error = mean_and_error(studied, "random_lists", "chronic", "beyond_random.age_sex")
    assert abs(beyond) <= 4 * error
    assert error < 0.05
    ratio, _ = mean_and_error(studied, "random_lists", "chronic", "log_sd_ratio.age_sex")
    assert ratio < -0.15
    assert studied.verdicts["random_lists"].decision == "undecided"


def test_without_a_chronic_effect_the_sd_ratio_is_1(studied):
    ratio, error = mean_and_error(studied, "no_chronic_effect", "chronic", "log_sd_ratio.age_sex")
    assert abs(ratio) <= 4 * error + 0.001  # amounts estimated on few persons are noise of their own
    assert studied.verdicts["no_chronic_effect"].decision == "against"


def test_style_that_creates_flags_narrows_the_spread_and_misses_the_ideal(studied):
    world = "style_creates_flags"
    ratio, error = mean_and_error(studied, world, "chronic", "log_sd_ratio.age_sex")
    assert ratio + 4 * error < 0
    change, error = mean_and_error(studied, world, "chronic", "pass_through_change.age_sex")
    assert change + 4 * error < -0.05
    # Chance, which flags take away, weighs more on short lists; the ideal is missed beyond it.
    tau = {m: mean_and_error(studied, world, m, "pass_through")[0] for m in ("age_sex", "chronic", "oracle")}
    assert tau["chronic"] < 0.5 < 0.8 < tau["age_sex"]
    clauses = {c.name: c.holds for c in studied.verdicts[world].clauses}
    assert clauses["spread.chronic"] is True
    assert clauses["pass_through"] is False
    assert studied.verdicts[world].decision == "against"


@pytest.mark.slow
def test_style_that_creates_flags_takes_centres_further_from_their_ideal():
    found = study([load_scenario("style_creates_flags")], replicates=8, scale=0.15)
    change, error = mean_and_error(found, "style_creates_flags", "chronic", "rmse_change.age_sex")
    assert change - 4 * error > 0


@pytest.mark.slow
def test_the_default_world_s_style_does_not_all_pass_through(skane):
    """Amounts by condition pay for a part of how readily a centre treats; and newcomers without history lose."""
    found = study([skane], replicates=40, scale=0.05)
    change, error = mean_and_error(found, skane.name, "chronic", "pass_through_change.age_sex")
    assert -0.4 < change < -0.05 - 2 * error
    assert {c.name: c.holds for c in found.verdicts[skane.name].clauses} == {
        "spread.chronic": True, "spread.chronic_pool": True, "pass_through": False, "groups": False,
        "manipulation": None}


@pytest.mark.parametrize("world", STUDIED)
def test_a_world_gives_what_is_expected(world, kept):
    hold(world, *SIZES[0], kept)


@pytest.mark.slow
@pytest.mark.parametrize("world", STUDIED)
def test_a_larger_world_gives_what_is_expected(world):
    hold(world, *SIZES[1])


def hold(world, scale, replicates, kept=None):
    rows = read_expected(world).query("scale == @scale").set_index(["model", "measure"])
    drawn = expected(world, scale, replicates, kept=kept).set_index(["model", "measure"])
    assert list(rows.index) == list(drawn.index)
    both_unknown = rows["value"].isna() & drawn["value"].astype(float).isna()
    off = (drawn["value"].astype(float) - rows["value"]).abs() > rows["tolerance"]
    assert not off.any(), drawn[off].join(rows["value"], rsuffix="_expected")
    assert (both_unknown | (rows["value"].notna() & drawn["value"].notna())).all()


# --- departures -----------------------------------------------------------------------------------------------------

def latent_cv(world):
    """List-weighted CV over centres of the prevalence of each disease at equal age and sex."""
    from lakemedelsmodell.simulation import illness
    from lakemedelsmodell.simulation.population import single_age_population

    people = single_age_population()
    weight = world.centres.weight
    cases = np.stack([(illness.centre_prevalence(world.illness, shift, world.shift_variance) * people).sum(axis=(1, 2))
                      for shift in world.shift])
    mean = np.average(cases, axis=0, weights=weight)
    return np.sqrt(np.average((cases / mean - 1) ** 2, axis=0, weights=weight))


@pytest.mark.parametrize("cv", [0.0, 0.05, 0.15])
def test_the_cv_of_prevalence_is_what_is_asked_for(skane, cv):
    world = simulate(skane.but(departures={"prevalence_cv": cv}), scale=0.01).world
    np.testing.assert_allclose(latent_cv(world), cv, rtol=0.12, atol=1e-9)


def used(scenario, **kwargs):
    tables = simulate(scenario, scale=0.02, centres=20, **kwargs).tables()
    return {name: table.to_pandas() for name, table in tables.items()}


def test_no_departure_leaves_the_same_bytes(skane):
    alike = skane.but(departures={"uncoded_log_odds_sd": 1.0, "milder_where_common": 0.0})
    for name, table in used(skane).items():
        assert table.equals(used(alike)[name])


def test_uncoded_courses_lose_their_code_and_nothing_else(skane):
    usual, lost = (used(s)["dispensings"] for s in (
        skane, skane.but(departures={"uncoded_share": 0.3, "uncoded_log_odds_sd": 0.5})))
    assert usual.drop(columns="atc").equals(lost.drop(columns="atc"))
    assert 0.2 < lost["atc"].isna().mean() < 0.4
    kept = lost["atc"].notna()
    assert (lost["atc"].astype(str)[kept] == usual["atc"].astype(str)[kept]).all()


def test_untreated_need_thins_dispensings_where_deprivation_is(skane):
    world = simulate(skane, scale=0.02, centres=20).world
    usual, untreated = (used(s) for s in (skane, skane.but(departures={"untreated_by_deprivation": 0.6})))

    def fills(tables):
        home = tables["dispensings"]["person_id"] // 100_000 - 1
        return np.bincount(home, minlength=20)

    change = fills(untreated) / fills(usual)
    assert np.corrcoef(change, world.centres.deprivation[:20])[0, 1] < -0.9


def test_disease_is_milder_where_common_and_the_region_s_is_as_it_was(skane):
    world = simulate(skane.but(departures={"milder_where_common": 1.0}), scale=0.02).world
    np.testing.assert_allclose(np.average(world.severity, axis=0, weights=world.centres.weight), 1)
    g, d = world.illness.groups.index("kol"), world.illness.diseases.index("copd")
    assert np.corrcoef(np.log(world.severity[:, g]), world.shift[:, d])[0, 1] < -0.95
    assert (simulate(skane, scale=0.02).world.severity == 1).all()


def test_more_drugs_are_used_and_cost_as_told(skane):
    drug = {"drug_group": "more", "atc": "V03AX99", "per_1000": [100] * 10, "gross_sek_per_year": 10_000,
            "fills_per_year": 6, "persistence": 0.9, "intensity_cv": 0.5, "free": True}
    tables = used(skane.but(departures={"more_drugs": [drug], "groups_in_base": False}))
    rows = tables["dispensings"]
    rows = rows.assign(atc=rows["atc"].astype(str))
    more = rows[rows["atc"] == "V03AX99"]
    assert (rows["in_base"] == (rows["atc"] == "V03AX99")).all()
    assert (more["cost"] == more["gross_price"]).all()
    share = more["person_id"].nunique() / 2 / tables["persons"]["person_id"].nunique()  # users of two years
    assert 0.045 < share < 0.07
    per_year = more["gross_price"].sum() / 2 / (0.0985 * tables["persons"]["person_id"].nunique())
    assert 7_500 < per_year < 12_500
