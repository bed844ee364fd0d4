"""Every strategy gains somewhere, and the defence that is meant for it takes the gain away."""

from types import SimpleNamespace

import numpy as np
import pytest

from lakemedelsmodell.data.purchases import Purchases, no_purchases
from lakemedelsmodell.errors import UserError
from lakemedelsmodell.manipulation import strategies as s
from lakemedelsmodell.manipulation.board import Act
from lakemedelsmodell.manipulation.designs import Design
from small_region import board_of, kinds, played, small_region

PROPOSAL = Design(name="proposal")
TODAY = Design(name="today", conditions=False)
TWO_DATES = Design(name="two_dates", min_dates=2, min_days_apart=45)
LISTED = Design(name="listed", listed=True)
NO_PROFIT = Design(name="no_profit", max_return=1)


@pytest.fixture(scope="module")
def board():
    return board_of(small_region())


DEFENCES = [
    (s.CheapestDrug(), PROPOSAL, NO_PROFIT),
    (s.StarterPack(), PROPOSAL, TWO_DATES),
    (s.SplitPrescription(), TWO_DATES, Design(name="dates_and_ddd", min_dates=2, min_days_apart=45, min_ddd=180)),
    (s.TopUp(), LISTED, Design(name="half", listed=True, max_return=0.5, over_max="cap")),
    (s.TopUp(), LISTED, PROPOSAL),
    (s.Substitute(), PROPOSAL, Design(name="merged", merges={"diabetes": ("diabetes_insulin", "diabetes_oral")})),
    (s.StackGroups(), PROPOSAL, NO_PROFIT),
    (s.MultiUse(), PROPOSAL, Design(name="excluded", exclude_multi_use=True)),
    (s.ShiftToHospital(), Design(name="own", borne_by="prescriber"), PROPOSAL),
    (s.ListSwap(), PROPOSAL, Design(name="days", by_days="pay")),
    (s.Withhold(), PROPOSAL, Design(name="reviewed", review=1.0)),
    (s.Dump(), PROPOSAL, Design(name="reviewed", review=1.0)),
]


@pytest.mark.parametrize("strategy, open_to_it, defence", DEFENCES, ids=lambda v: v.name)
def test_gains_and_the_defence_takes_it_away(board, strategy, open_to_it, defence):
    effort = 0.2 if isinstance(strategy, (s.CheapestDrug, s.StarterPack)) else 1.0
    gained = played(board, open_to_it, strategy, effort).gain_sek
    left = played(board, defence, strategy, effort).gain_sek
    assert gained > 0
    assert left <= 1e-9, f"{strategy.name} still gains {left}"


def test_a_top_up_is_what_is_missing_and_no_more(board):
    """One pack of 90 DDD in March and 180 asked on two dates 45 days apart: another pack, three months later."""
    terms = board.region.terms(LISTED)
    act = s.TopUp().act(board, terms)
    assert set(kinds(board)[act.person]) == {"once"} and len(act.added) == 6
    assert (act.added.milli_ddd == 90_000).all() and (act.added.milli_packages == 1000).all()
    assert (act.added.day == board.region.act_days[1] - 30).all() and not len(act.removed)
    year = board.region.terms(Design(name="year", min_dates=3, min_days_apart=100, min_ddd=300))
    act = s.TopUp().act(board, year)
    of_one = act.added.rows(act.added.person == np.flatnonzero(kinds(board) == "once")[0])
    assert of_one.milli_ddd.tolist() == [90_000, 180_000]  # three packs more, on two dates
    assert (s.TopUp().outcome(board, year).flags[0][1].sum(axis=0) > 0).any()


def test_packs_are_spread_evenly_over_their_dates():
    pack = Purchases(person=np.array([3, 4]), code=np.array([1, 1]), day=np.array([5, 5]),
                     milli_ddd=np.array([90_000, 28_000]), milli_packages=np.array([1000, 2000]),
                     dose_dispensed=np.array([True, False]), gross_ore=np.array([5000, 3000]),
                     cost_ore=np.array([4000, 0]), in_base=np.array([True, True]))
    added = s.spread_over_days(pack, np.array([5, 1]), np.array([3, 1]), np.array([0, 77]), 100, 160)
    assert added.person.tolist() == [3, 3, 3, 4]
    assert added.day.tolist() == [100, 130, 160, 77]
    assert added.milli_packages.tolist() == [1000, 2000, 2000, 1000]
    assert added.milli_ddd.tolist() == [90_000, 180_000, 180_000, 14_000]
    assert added.gross_ore.tolist() == [5000, 10_000, 10_000, 1500]
    assert not added.dose_dispensed.any()


def test_timing_pays_six_months_early_and_one_when_flags_roll(board):
    early = played(board, PROPOSAL, s.TimedAtCutOff())
    rolling = played(board, Design(name="rolling", rolling=True), s.TimedAtCutOff())
    assert early.persons == 3  # those who begin ten days after the cut-off
    assert 0 < rolling.reimbursement_sek < 0.34 * early.reimbursement_sek


def test_keeping_flags_pays_where_a_refill_is_enough(board):
    kept = played(board, Design(name="open", growth_cap=None), s.KeepFlags())
    assert kept.gain_sek > 0 and kept.persons == 3
    full_year = Design(name="full_year", min_dates=3, min_days_apart=240, min_ddd=300, growth_cap=None)
    assert played(board, full_year, s.KeepFlags()).gain_sek < 0  # a few refills are not a year's treatment


def test_run_off_brings_what_keeping_pays_forward_and_does_not_take_it_away(board):
    by_half_year = [s.KeepFlags().outcome(board, board.region.terms(Design(name="kept", run_off=share))).pay.sum(axis=0)
                    for share in (1.0, 0.5)]
    assert by_half_year[0][0] == 0 < by_half_year[0][1]  # the flag held anyway in the first half-year
    assert by_half_year[1][0] > 0 and by_half_year[1].sum() > 0.9 * by_half_year[0].sum()


def test_skimming_the_healthy_pays_less_with_a_pool(board):
    """The well of the cell in which two persons are very dear bring its whole amount, unless the dear are pooled."""
    skimmed = played(board, TODAY, s.CreamSkim())
    assert skimmed.gain_sek > 0 and skimmed.others_lose_sek == skimmed.gain_sek
    pooled = Design(name="pool", conditions=False, pool_threshold=2_000)
    assert played(board, pooled, s.CreamSkim()).gain_sek < 0.3 * skimmed.gain_sek


def test_the_first_of_every_list_are_a_share_of_it_rounded_up():
    lists = SimpleNamespace(players=np.array([7, 3]), player=np.array([0, 1, 0, 0, 1]), key=np.arange(5))
    value = np.array([5.0, -1, 5, 9, -2])
    assert s.first_of_lists(lists, value, 0.5).tolist() == [0, 2, 4]  # 2 of 3, the first of equals; 1 of 2
    assert s.first_of_lists(lists, value, 0.0).tolist() == []


def test_what_a_person_brought_is_pay_less_the_share_of_cost_borne(board):
    terms = board.region.terms(TODAY)
    brought, pay = s.brought_last(board, terms), terms.cells[board.cell]
    assert brought == pytest.approx(terms.phi[0] * board.months[:, 0] * pay - board.region.alpha * board.cost[:, 0])
    pooled = s.brought_last(board, board.region.terms(Design(name="p", conditions=False, pool_threshold=1000)))
    assert pooled.min() > brought.min()  # who cost most is borne by all


def test_dumping_pays_less_with_a_pool(board):
    pooled = Design(name="pool", pool_threshold=10_000)
    assert played(board, pooled, s.Dump()).gain_sek < 0.3 * played(board, PROPOSAL, s.Dump()).gain_sek


def test_location_pays_by_what_is_left_of_true_spread(board):
    terms = board.region.terms(PROPOSAL)
    outcome = s.Location().outcome(board, terms)
    floor = board.region.noise_floor()
    misfit = 1.2816 * max(0.0, terms.sd**2 - floor**2) ** 0.5
    assert -board.region.alpha * outcome.cost == pytest.approx(
        misfit * 0.1 * board.centre_months[board.players, 1])
    less = board.region.terms(PROPOSAL)
    object.__setattr__(less, "sd", floor)  # all spread is chance: no place is better than another
    assert (s.Location().outcome(board, less).cost == 0).all()
    object.__setattr__(less, "sd", 2 * floor)
    assert (s.Location().outcome(board, less).cost < 0).all()


def test_everyone_games_an_open_budget_and_a_fixed_one_leaves_waste(board):
    open_ended = played(board, Design(name="open", growth_cap=None), s.EveryoneGames(), by="all")
    fixed = played(board, PROPOSAL, s.EveryoneGames(), by="all")
    assert open_ended.gain_sek > 0
    assert fixed.reimbursement_sek == pytest.approx(0, abs=1e-6)
    assert fixed.gain_sek == pytest.approx(-fixed.own_cost_sek)
    assert fixed.dead_weight_sek > 0 and fixed.others_lose_sek == 0


def test_list_swap_answers_pay_by_days_on_the_day_of_the_purchase(board):
    by_date, by_days = (Design(name="days", by_days=how) for how in ("pay", "pay and cost"))
    swapped = played(board, PROPOSAL, s.ListSwap()).gain_sek
    assert played(board, PROPOSAL, s.ListSwapAtPurchase()).gain_sek == 0
    assert played(board, by_date, s.ListSwapAtPurchase()).gain_sek > swapped
    assert 0 < played(board, by_days, s.ListSwapAtPurchase()).gain_sek < swapped / 25


def test_the_cheapest_drug_is_what_the_rule_asks_and_no_more(board):
    terms = board.region.terms(Design(name="asked", min_dates=2, min_days_apart=45, min_ddd=200))
    bundle = board.region.bundle(terms.conditions, "diabetes_oral")
    assert board.region.codes[bundle.code] == "A10BA02"
    assert bundle.days == (0, 45) and bundle.packs == (2, 1) and bundle.sek == pytest.approx(300)
    assert board.region.months_paid(terms, "diabetes_oral", bundle) == 12


def test_a_switch_within_a_group_changes_reimbursement_by_nothing(board):
    oral = np.flatnonzero(kinds(board) == "oral")
    places = board.rows_of(oral)
    was = board.rows.rows(places)
    other = board.region.codes.index("A10BB12")
    added = Purchases(**{**vars(was), "code": np.full(len(was), other), "gross_ore": was.gross_ore + 3000})
    for design in (PROPOSAL, Design(name="list", listed=True)):
        outcome = board.outcome(Act(oral, places, no_purchases().with_rows(added)), board.region.terms(design))
        assert (outcome.pay == 0).all()
        assert outcome.cost == pytest.approx(30 * np.bincount(np.searchsorted(oral, was.person)))


def test_strategies_are_found_by_name_and_number():
    assert [x.number for x in s.STRATEGIES if x.name not in ("list_swap_at_purchase", "top_up")] == list(range(1, 16))
    assert s.named(["3", "dump"]) == (s.SplitPrescription(), s.TopUp(), s.Dump())
    with pytest.raises(UserError, match="Did you mean dump"):
        s.named(["dumb"])
