"""Play against its twin: known answers of the fixed budget, flags and fees replayed, designs, the frontier."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from half_years import half_year
from lakemedelsmodell.conditions import condition_set
from lakemedelsmodell.data.flags import read_flags
from lakemedelsmodell.data.periods import Period
from lakemedelsmodell.data.purchases import read_purchases
from lakemedelsmodell.errors import DataError, UserError
from lakemedelsmodell.facts import fee_staircases
from lakemedelsmodell.folders import written_folder
from lakemedelsmodell.manipulation.designs import Design, read_designs
from lakemedelsmodell.manipulation.fees import fee_state, replayed_cost
from lakemedelsmodell.manipulation.figures import frontier_figure, gains_figure
from lakemedelsmodell.manipulation.folder import write_manipulation
from lakemedelsmodell.manipulation.frontier import EFFORT, dominated, robustness
from lakemedelsmodell.manipulation.play import closing_factor, lasting, play, re_estimated, reimbursed
from lakemedelsmodell.manipulation.region import Region, paid_columns
from lakemedelsmodell.manipulation.results import COLUMNS, manipulate
from lakemedelsmodell.manipulation.strategies import STRATEGIES, CheapestDrug, SplitPrescription, StarterPack
from lakemedelsmodell.models.least_squares import bounded, cells_and_add_ons, normal_equations
from lakemedelsmodell.palette import FAINT_COLOUR, INK, OTHER_COLOUR, PROPOSAL_COLOUR, TODAY_COLOUR
from lakemedelsmodell.simulation.fees import region_cost
from small_region import OLD, PATIENTS, board_of, played, small_region

PROPOSAL = Design(name="proposal")
SOME = (Design(name="today", conditions=False), PROPOSAL, Design(name="list_rules", listed=True),
        Design(name="no_profit", max_return=1))


@pytest.fixture(scope="module")
def board():
    return board_of(small_region())


@pytest.fixture(scope="module")
def found():
    return manipulate(small_region(), designs=SOME)


def test_one_gamer_at_a_fixed_budget(board):
    """method.md: dR_k = φ b (1 − R_k/B) dF."""
    terms = board.region.terms(PROPOSAL)
    b, flagged_months = terms.amount("doak"), 0.01
    gained, lost = reimbursed(board, terms, 1, np.full(2, b * flagged_months), "one", False)
    share = terms.phi[1] * terms.unscaled[1][board.players] / terms.budget[1]
    assert gained == pytest.approx(terms.phi[1] * b * (1 - share) * flagged_months, rel=1e-4)
    assert lost == pytest.approx(gained)


def test_identical_centres_that_all_play_gain_nothing_and_bear_the_cost(board):
    gain = played(board, PROPOSAL, CheapestDrug(), by="all")
    assert gain.reimbursement_sek == pytest.approx(0, abs=1e-6)
    assert gain.own_cost_sek > 0
    assert gain.gain_sek == pytest.approx(-gain.own_cost_sek)


def test_amounts_fitted_on_play_fall_and_identical_centres_still_gain_nothing(board):
    terms = board.region.terms(PROPOSAL)
    outcome = CheapestDrug().outcome(board, terms)
    cells, add_ons = re_estimated(board, terms, outcome, np.zeros(len(outcome.key), dtype=bool))
    assert add_ons == pytest.approx(terms.add_ons, abs=0.51)  # nobody treated: the same but for whole kronor
    assert cells[terms.cells > 0] == pytest.approx(terms.cells[terms.cells > 0], abs=0.51)
    fallen = re_estimated(board, terms, outcome, np.ones(len(outcome.key), dtype=bool))[1]
    raised = (outcome.flags[-1][1].sum(axis=0) > outcome.flags[-1][0].sum(axis=0))
    assert (fallen[raised] < 0.5 * terms.add_ons[raised]).all()
    gains = [g for g in play(board, terms, CheapestDrug(), outcome, [0.0, 1.0], 1.0) if g.amounts == "re-estimated"]
    assert [g.played_by for g in gains] == ["all", "all"] and gains[0].gain_sek == 0
    assert gains[1].reimbursement_sek == pytest.approx(0, abs=1e-6)
    assert gains[1].gain_sek == pytest.approx(-gains[1].own_cost_sek)


def test_no_effort_no_gain(found):
    nothing = found.gains[found.gains["effort"] == 0]
    assert len(nothing) and set(nothing["strategy"]) == {s.name for s in STRATEGIES}
    sek = nothing[["persons", "gain_sek", "gain_per_listed_month", "reimbursement_sek", "own_cost_sek",
                   "others_lose_sek", "dead_weight_sek", "patients_pay_sek"]]
    assert (sek == 0).all(axis=None)


def test_a_starter_pack_by_hand(board):
    """Those who carry nothing get one pack: twelve months of b at a φ that thins, for α × its price each."""
    terms = board.region.terms(PROPOSAL)
    gain = played(board, PROPOSAL, StarterPack())
    assert gain.persons == 113 and gain.dead_weight_sek == gain.own_cost_sek / board.region.alpha
    atc, b = max((("A10AC01", terms.amount("diabetes_insulin")), ("B01AF02", terms.amount("doak")),
                  ("A10BA02", terms.amount("diabetes_oral")), ("N03AX09", terms.amount("epilepsi"))),
                 key=lambda p: 12 * terms.phi[1] * p[1]
                 - board.region.alpha * board.region.catalogue.price[board.region.codes.index(p[0])])
    price = board.region.catalogue.price[board.region.codes.index(atc)]
    assert gain.own_cost_sek == pytest.approx(113 * board.region.alpha * price)
    by_hand = 0.0
    for h in (0, 1):
        before, more = terms.unscaled[h][0], 113 * 6 * b
        by_hand += terms.budget[h] * ((before + more) / (terms.unscaled[h].sum() + more)
                                      - before / terms.unscaled[h].sum())
    assert gain.reimbursement_sek == pytest.approx(by_hand)
    assert gain.others_lose_sek == pytest.approx(by_hand)
    assert gain.half_years == pytest.approx(2)
    assert gain.gain_per_listed_month == pytest.approx(gain.gain_sek / (board.centre_months[0, 1] * 2))


def test_a_splitter_gains_nothing_where_ddd_are_asked_too(board):
    count = Design(name="two_dates", min_dates=2, min_days_apart=45)
    both = Design(name="both", min_dates=2, min_days_apart=45, min_ddd=180)
    assert played(board, count, SplitPrescription()).gain_sek > 0
    assert played(board, both, SplitPrescription()).reimbursement_sek == 0


def test_effort_is_a_share_of_the_eligible_and_nested(board):
    some, all_ = (played(board, PROPOSAL, CheapestDrug(), effort) for effort in (0.1, 0.2))
    assert 0 < some.persons < all_.persons
    assert 0 < some.gain_sek < all_.gain_sek


@pytest.mark.parametrize("rule", ["dispensed", "listed"])
def test_flags_of_the_region_are_those_of_the_tables(rule):
    """Corrections, dose-dispensing and several codes of one condition on one day."""
    rng = np.random.default_rng(3)
    days = pd.date_range("2024-07-01", "2026-06-30").date
    codes = np.array(["A10BA02", "A10BB12", "R03AC02", "R03BB04", "B01AF02", "J01CE02", "A10BX16"])
    n = 3000
    rows = [(f"{p:03d}", days[d], codes[c], int(k), float(x), 10.0) for p, d, c, k, x in zip(
        rng.integers(0, 60, n), rng.integers(0, len(days), n), rng.integers(0, 7, n),
        rng.choice([1, 1, 1, 2, -1], n), rng.choice([10, 30, 60], n), strict=True)]
    rows = [(*r[:4], r[4] if r[3] > 0 else -r[4], r[5] if r[3] > 0 else -r[5]) for r in rows]
    people = [f"{p:03d}" for p in range(60)]
    data = half_year(rows, persons=[(p, "K", "1960-05", None) for p in people],
                     listings=[(p, "A", "2020-01-01", None) for p in people], dose_dispensed=rng.random(n) < 0.3)
    region = Region.of(data)
    design = Design(name="x", listed=rule == "listed", base_only=rule == "listed")
    conditions = design.conditions_of(region.listed, region.codes)
    from lakemedelsmodell.data.flag_kernel import CodeIndex, flags

    index = CodeIndex.of(conditions, region.codes)
    held = region.held(design, conditions, region.marks(conditions, index), region.persons, region.starts[1])
    window = region.plan.lookback
    expected = read_flags(data, (window.start, window.end), condition_set("skane_wide"), rule).iloc[:, 1:].to_numpy()
    assert 0 < expected.sum() < expected.size
    assert (held == expected).all()
    bought = read_purchases(data)
    first = (window.start - pd.Timestamp("1970-01-01").date()).days
    inside = bought.rows((bought.day >= first) & (bought.day < first + 365))
    index = CodeIndex.of(region.listed, region.codes)
    by_kernel = flags(region.listed, index, [rule], region.persons, inside.person, inside.code, inside.day,
                      inside.month, inside.milli_ddd, inside.milli_packages / 1000, inside.dose_dispensed)[rule]
    assert (by_kernel == expected).all()


def test_where_fee_periods_stand_is_found_from_the_fees():
    """A year of purchases is cut off in front: the rest of the fees tell where the period stood."""
    rng = np.random.default_rng(1)
    person = np.repeat(np.arange(50), 36)
    day = np.sort(rng.integers(19_600, 20_600, (50, 36)), axis=1).ravel()
    gross = rng.integers(5_000, 90_000, len(day))
    free = np.zeros(len(day), dtype=bool)
    cost = region_cost(person, day, gross, free, fee_staircases())
    seen = day >= 19_905
    from lakemedelsmodell.data.purchases import Purchases

    n = int(seen.sum())
    rows = Purchases(person[seen], np.zeros(n, int), day[seen], np.ones(n, int), np.ones(n, int), free[seen],
                     gross[seen], cost[seen], ~free[seen])
    state = fee_state(rows, free[seen], fee_staircases(), 50)
    assert state.share_found > 0.9
    replayed = replayed_cost(rows, free[seen], fee_staircases(), state)
    assert (np.abs(replayed - rows.cost_ore) <= 2).mean() > 0.9
    assert replayed.sum() == pytest.approx(rows.cost_ore.sum(), rel=0.01)


def test_patients_pay_what_the_region_does_not():
    """A first pack below 2 000 SEK is the patient's; only for the two past their ceiling does the region pay."""
    board = board_of(_with_fees())
    gain = played(board, PROPOSAL, StarterPack(), 0.2)
    assert 0.9 * gain.dead_weight_sek < gain.patients_pay_sek <= gain.dead_weight_sek
    assert gain.own_cost_sek == pytest.approx(board.region.alpha * (gain.dead_weight_sek - gain.patients_pay_sek))
    assert gain.gain_sek > 0


def _with_fees():
    """The small region where the patients pay every krona of the cheap drugs: gross prices as cost, cost by fees."""
    frame = small_region().dispensings.order_by("person_id", "date").to_pandas()
    gross = frame["cost"].to_numpy()
    person = pd.factorize(frame["person_id"])[0]
    day = pd.to_datetime(frame["date"]).to_numpy().astype("datetime64[D]").astype(int)
    cost = region_cost(person, day, np.rint(gross * 100).astype(np.int64), np.zeros(len(gross), bool),
                       fee_staircases()) / 100
    rows = list(zip(frame["person_id"], pd.to_datetime(frame["date"]).dt.date, frame["atc"], frame["packages"],
                    frame["ddd"], cost, strict=True))
    people = [(f"{c}_{kind}_{i:02d}", c, kind) for c in "AB" for kind, k, *_ in PATIENTS for i in range(k)]
    return half_year(rows, persons=[(p, "K", "1930-05" if kind in OLD else "1960-05", None) for p, _, kind in people],
                     listings=[(p, c, "2020-01-01", None) for p, c, _ in people], gross_price=gross)


def test_add_ons_are_held_below_their_bounds():
    rng = np.random.default_rng(0)
    cell, held = rng.integers(0, 4, 500), rng.random((500, 3)) < 0.3
    cost = 20 + held @ [50.0, 80.0, 5.0] + rng.normal(0, 5, 500)
    sums = normal_equations(cell, held, np.ones(500), cost)
    free = cells_and_add_ons(sums.xtx[0], sums.xty[0])
    same = bounded(sums.xtx[0], sums.xty[0], np.full(3, np.inf))
    assert same[1] == pytest.approx(free[1]) and same[0] == pytest.approx(free[0], nan_ok=True)
    upper = np.array([np.inf, 30.0, np.inf])
    cells, add_ons = bounded(sums.xtx[0], sums.xty[0], upper)
    from scipy.optimize import lsq_linear

    design = np.column_stack([cell[:, None] == np.arange(4), held]).astype(float)
    by_scipy = lsq_linear(design, cost, bounds=([-np.inf] * 4 + [0] * 3, [np.inf] * 4 + list(upper))).x
    assert add_ons == pytest.approx(by_scipy[4:], rel=1e-6) and cells[:4] == pytest.approx(by_scipy[:4], rel=1e-6)


def test_no_group_brings_more_than_it_may(board):
    for over_max in ("drop", "cap"):
        terms = board.region.terms(Design(name="most", max_return=1, over_max=over_max))
        for name in terms.conditions.names:
            bundle = board.region.bundle(terms.conditions, name)
            if bundle is not None and terms.amount(name) > 0:
                brings = terms.phi[1] * terms.amount(name) * board.region.months_paid(terms, name, bundle)
                assert brings <= board.region.alpha * bundle.sek + 12 * 1.5  # whole kronor


def test_what_fades_lasts_less():
    assert lasting(np.array([[10.0, 10.0]])) == 2
    assert lasting(np.array([[10.0, 5.0]])) == 1.5
    assert lasting(np.array([[0.0, 0.0]])) == 1


def test_robustness_and_dominance():
    assert robustness(5, 20) == 0.75 and robustness(30, 20) == -0.5 and robustness(3, 0) == 1
    assert robustness(-4, 20) == 1
    loss, gain = np.array([1.0, 2.0, 2.0, 1.5]), np.array([9.0, 3.0, 4.0, 9.0])
    assert dominated(loss, gain).tolist() == [False, False, True, True]


def test_the_frontier_holds_designs_against_the_proposal(found):
    table = found.frontier.set_index("design")
    assert table.loc["proposal", "robustness"] == 0 and table.loc["proposal", "fit_kept"] == 1
    worst = found.gains.query("design == 'list_rules' and played_by == 'one' and effort == @EFFORT")
    assert EFFORT in found.told["efforts"]
    assert table.loc["list_rules", "worst_gain"] == worst["gain_per_listed_month"].max()
    assert table["recommended"].sum() <= 1
    finding = found.finding("no_profit")
    assert finding.non_dominated == (not table.loc["no_profit", "dominated"])
    assert finding.worst_gain == table.loc["no_profit", "worst_gain"]
    assert np.isnan(finding.rmse_change)  # no truth is known of a region's own data
    with pytest.raises(UserError, match="was not played"):
        found.finding("dreamt")


def test_the_folder_is_whole_and_the_same_bytes_again(found, tmp_path):
    for name in ("a", "b"):
        with written_folder(tmp_path / name) as stage:
            write_manipulation(found, stage)
    files = {"manipulation.json", "manipulation.csv", "frontier.csv", "frontier.svg", "gains.svg", "manifest.json"}
    assert {p.name for p in (tmp_path / "a").iterdir()} == files
    for name in files - {"manifest.json"}:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
    table = pd.read_csv(tmp_path / "a" / "manipulation.csv")
    assert tuple(table.columns) == COLUMNS
    told = json.loads((tmp_path / "a" / "manipulation.json").read_text())
    assert told["schema"] == 1 and len(told["gains"]) == len(table)
    assert "whole price" in told["assumed"][-1]  # gross prices are not known here


def test_designs_are_read_and_what_is_wrong_is_named(tmp_path):
    packaged = read_designs()
    assert [d.name for d in packaged[:2]] == ["today", "proposal"]
    assert packaged[0].model == "age_sex" and packaged[1].model == "chronic"
    assert {d.model for d in packaged[2:]} == {"chronic_defended", "age_sex_pool"}
    own = tmp_path / "own.toml"
    own.write_text('[[design]]\nname = "mine"\nmin_dtes = 2\n')
    with pytest.raises(DataError, match="min_dtes"):
        read_designs(own)
    own.write_text('[[design]]\nname = "mine"\nladders = [["diabetes_glp2", "diabetes_oral"]]\n')
    left = manipulate(small_region(), designs=read_designs(own), strategies=(StarterPack(),), efforts=(0,)).left_out
    assert "Did you mean diabetes_glp1" in left["mine"]


def test_ladders_merges_and_thresholds_shape_the_list():
    listed = condition_set("skane_wide")
    design = Design(name="x", min_dates=3, min_ddd=200, ladders=(("doak", "warfarin_heparin"),),
                    merges={"sugar": ("diabetes_oral", "diabetes_insulin")})
    shaped = design.conditions_of(listed, [])
    assert "sugar" in shaped.names and "diabetes_oral" not in shaped.names
    assert shaped["sugar"].matches("A10AC01") and shaped["sugar"].matches("A10BA02")
    assert shaped["warfarin_heparin"].yields_to == ("doak",) and shaped["astma"].yields_to == ("kol",)
    assert {(c.min_dates, c.min_ddd, c.min_days_apart) for c in shaped.conditions} == {(3, 200, None)}
    assert design.rule == "listed" and Design(name="y").rule == "dispensed"


def test_the_call_says_what_is_wrong(tmp_path):
    from lakemedelsmodell.cli.manipulation import manipulate as call

    rest = {"designs": None, "settings": None, "scale": 0.01, "seed": None, "out": tmp_path / "out"}
    for data, strategies, effort, said in (("skane_2026h1", "dumb", None, "no strategy"),
                                           ("skane_2026h1", None, "much", "no list of numbers"),
                                           ("atlantis", None, None, "atlantis")):
        with pytest.raises(UserError, match=said):
            call(data=data, strategies=strategies, effort=effort, **rest)
    assert not (tmp_path / "out").exists()


def test_efforts_are_shares():
    with pytest.raises(UserError, match="no share of those eligible"):
        manipulate(small_region(), efforts=(2,))


def test_a_period_without_history_is_played_too():
    """With a year of data amounts are fitted on the paid period: an act pays in one half-year."""
    frame = small_region().dispensings.to_pandas()
    frame = frame[pd.to_datetime(frame["date"]) >= "2025-06-01"]
    rows = list(zip(frame["person_id"], pd.to_datetime(frame["date"]).dt.date, frame["atc"], frame["packages"],
                    frame["ddd"], frame["cost"], strict=True))
    people = sorted(set(frame["person_id"]))
    data = half_year(rows, persons=[(p, "K", "1960-05", None) for p in people],
                     listings=[(p, str(p)[0], "2020-01-01", None) for p in people])
    found = manipulate(data, designs=SOME[:2], strategies=(StarterPack(),), efforts=(1,))
    assert "concurrent" in found.told["variants"] and found.told["period"] == str(Period.half_year(2026, 1))


def test_manipulate_from_the_command_line(tmp_path):
    from typer.testing import CliRunner

    from lakemedelsmodell.cli import app

    own = tmp_path / "own.toml"
    own.write_text('[[design]]\nname = "base_cut_pooled"\nlisted = true\nbase_only = true\nmax_return = 2\n'
                   'over_max = "cap"\npool_threshold = 10000\n')
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["manipulate", "skane_2026h1", "--scale", "0.01", "--strategies", "1,dump",
                                    "--effort", "0.1", "--designs", str(own), "--out", str(out)])
    assert done.exit_code == 0, done.output
    told = json.loads((out / "manipulation.json").read_text())
    clause, frontier = told["clause"], pd.read_csv(out / "frontier.csv").set_index("design")
    assert list(frontier.index) == ["today", "proposal", "base_cut_pooled"]
    assert clause["model"] == "chronic_defended"
    assert clause["non_dominated"] == (not frontier.loc["base_cut_pooled", "dominated"])
    assert clause["worst_gain"] == pytest.approx(frontier.loc["base_cut_pooled", "worst_gain"], abs=1e-6)
    said = "is not dominated" if clause["non_dominated"] else "is dominated"
    assert f"chronic_defended {said}" in done.output and "pay more than they cost to trigger" in done.output
    triggers = pd.read_csv(out / "incentives.csv")
    assert set(triggers["model"]) == {"chronic", "chronic_defended"}
    assert len(triggers) == len(told["incentives"]) == 2 * 21
    cheap = triggers.query("condition == 'lipid'").set_index("model")
    assert cheap.loc["chronic", "gain_sek"] > cheap.loc["chronic_defended", "gain_sek"]
    assert (out / "incentives_chronic.svg").is_file()


def test_pictures_of_play_tell_today_the_proposal_and_the_chosen_apart():
    frontier = pd.DataFrame(
        [("today", 9.0, 1.0, False, False), ("proposal", 3.0, 50.0, False, False), ("pool", 4.0, 9.0, False, False),
         ("cut", 5.0, 5.0, True, False), ("full_year", 6.0, 60.0, False, True)],
        columns=["design", "rmse_to_ideal", "worst_gain", "recommended", "dominated"])
    axes = frontier_figure(frontier)
    points = dict(zip(map(tuple, axes.collections[0].get_offsets()), map(to_hex, axes.collections[0].get_facecolors()),
                      strict=True))
    assert points == {(9, 1): TODAY_COLOUR, (3, 50): PROPOSAL_COLOUR, (4, 9): OTHER_COLOUR, (5, 5): INK,
                      (6, 60): FAINT_COLOUR}

    gains = pd.DataFrame([{"effort": EFFORT, "design": design, "amounts": "frozen", "played_by": "one",
                           "number": number, "strategy": strategy, "gain_per_listed_month": number + gain}
                          for number, strategy in ((2, "starter_pack"), (1, "cheapest_drug"))
                          for design, gain in (("today", 0.0), ("proposal", 30.0))])
    axes = gains_figure(gains, ["today", "proposal"])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cheapest drug", "starter pack"]
    today, proposal = axes.containers
    assert [bar.get_width() for bar in (*today, *proposal)] == [1, 2, 31, 32]
    assert {(to_hex(bar.get_facecolor()), to_hex(bar.get_edgecolor())) for bar in today} == {("#ffffff", TODAY_COLOUR)}
    assert {to_hex(bar.get_facecolor()) for bar in proposal} == {PROPOSAL_COLOUR}


def test_of_a_person_s_flags_as_many_are_paid_as_the_cap_says_dearest_first():
    held = np.array([[1, 1, 1], [0, 1, 1], [0, 0, 0]], dtype=bool)
    add_ons = np.array([10.0, 30.0, 20.0])
    assert paid_columns(held, add_ons, None).tolist() == held.astype(float).tolist()
    assert paid_columns(held, add_ons, 1).tolist() == [[0, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert (paid_columns(held, add_ons, 2) @ add_ons).tolist() == [50, 50, 0]


@pytest.mark.parametrize(("growth", "unscaled", "closing"), [
    (0.0, 200.0, 0.4), (0.0, 50.0, 1.6),  # a fixed budget is shared out whole
    (None, 200.0, 0.9), (0.5, 120.0, 0.9), (0.5, 200.0, 0.6)])  # one that may grow follows its amounts until it has
def test_what_closes_to_a_budget_of_100_of_which_a_pool_takes_20(growth, unscaled, closing):
    terms = SimpleNamespace(phi=(0.9,), budget=(100.0,), pool=(np.array([5.0, 15.0]),),
                            design=Design(name="d", growth_cap=growth))
    assert closing_factor(terms, 0, unscaled) == pytest.approx(closing)
