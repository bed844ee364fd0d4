"""Play: what strategies bring under a design, paired with the untouched twin.

A centre's reimbursement in a half-year is R_k = φ' U_k + pool. U is what the amounts come to; with a fixed budget B
φ' = B/ΣU, so that one gamer's dR_k = φ b (1 − R_k/B) dF for dF more flagged months, and identical centres that all play
alike gain nothing and lose α of the extra cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from lakemedelsmodell.manipulation.board import Board, Outcome
from lakemedelsmodell.manipulation.region import Terms
from lakemedelsmodell.manipulation.strategies import Strategy
from lakemedelsmodell.models.least_squares import normal_equations

PlayedBy = Literal["one", "tenth", "all"]
PLAYED_BY: tuple[PlayedBy, ...] = ("one", "tenth", "all")
EFFORTS = (0.0, 0.1, 0.5, 1.0)


@dataclass(frozen=True)
class Gain:
    """What one strategy at one effort brings under one design. SEK are per playing centre, over the life of the act.

    Attributes
    ----------
    strategy, model, design, effort, played_by
        ``one``: each of the players alone; ``tenth``: all players at once; ``all``: every centre as the players do.
    centres : number of centres that play at a time
    persons : persons treated per centre
    half_years : for how many half-years one act pays, Σ_h ΔU_h / max_h ΔU_h: two where a look-back of twelve months
        counts it in full twice, less where it fades; one where nothing is paid
    gain_sek : reimbursement gained less α × the extra cost it bears and the work
    gain_per_listed_month : the same per listed month of those half-years
    gain_in_noise_floors : that over the noise floor
    reimbursement_sek, own_cost_sek : the two parts of the gain
    others_lose_sek : what centres that do not play lose, and what the pool they share in takes over
    dead_weight_sek : extra gross cost that treats nobody; nan where drugs are withheld, whose harm is not known
    patients_pay_sek : extra fees
    return_per_krona : reimbursement gained per krona of own cost; nan where there is no such cost
    """

    strategy: str
    number: int
    model: str
    design: str
    effort: float
    played_by: PlayedBy
    centres: int
    persons: float
    half_years: float
    gain_sek: float
    gain_per_listed_month: float
    gain_in_noise_floors: float
    reimbursement_sek: float
    own_cost_sek: float
    others_lose_sek: float
    dead_weight_sek: float
    patients_pay_sek: float
    return_per_krona: float
    amounts: str = "frozen"


def closing_factor(terms: Terms, half_year: int, unscaled: float) -> float:
    """φ' when the region's amounts come to ``unscaled`` SEK: it falls when they come to more than the cap allows."""
    phi = terms.phi[half_year]
    if terms.design.growth_cap is None:
        return phi
    left = (terms.budget[half_year] - float(terms.pool[half_year].sum())) * (1 + terms.design.growth_cap)
    # A fixed budget is shared out whole; one that may grow follows its amounts until it has.
    return left / unscaled if terms.design.growth_cap == 0 else min(phi, left / unscaled)


def play(board: Board, terms: Terms, strategy: Strategy, outcome: Outcome | None, efforts: Iterable[float],
         noise_floor: float) -> Iterator[Gain]:
    """One strategy's gains by effort and by how many play it; the rows have been replayed already."""
    sides: tuple[PlayedBy, ...] = ("all",) if strategy.all_only else PLAYED_BY
    for effort in efforts:
        treated = None if outcome is None else _treated(board, terms, strategy, outcome, effort)
        for played_by in sides:
            yield _gain(board, terms, strategy, treated, effort, played_by, noise_floor)
        if outcome is not None and outcome.person is not None and terms.design.cap is None and terms.conditions.names:
            frozen = _gain(board, terms, strategy, treated, effort, "all", noise_floor)
            yield _refitted(board, terms, strategy, outcome, frozen, noise_floor)


@dataclass(frozen=True, eq=False)
class _Treated:
    """What an outcome comes to for each of S players at some effort, SEK before cost responsibility and φ.

    ``pays`` is (S, H), ``number`` how many are treated, ``persons`` the mean.
    """

    outcome: Outcome
    persons: float
    cost: np.ndarray
    own_cost: np.ndarray
    pooled: np.ndarray
    gross: np.ndarray
    patients: np.ndarray
    pays: np.ndarray
    number: np.ndarray


def _treated(board: Board, terms: Terms, strategy: Strategy, outcome: Outcome, effort: float) -> _Treated:
    S = len(board.players)
    treated = np.full(len(outcome.key), effort) if outcome.divisible else (
        board.drawn(strategy.name, outcome.key) < effort).astype(float)
    share = treated * (1 - terms.design.review * strategy.reviewed)
    on = np.flatnonzero(share)
    player, share = outcome.player[on], share[on]

    def by_player(values: np.ndarray) -> np.ndarray:
        return np.bincount(player, values[on] * share, S)

    return _Treated(outcome, float(treated.sum() / S), by_player(outcome.cost), by_player(outcome.own_cost),
                    by_player(outcome.cost - outcome.own_cost), by_player(outcome.gross), by_player(outcome.patients),
                    np.stack([by_player(pay) for pay in outcome.pay.T], axis=1), np.bincount(player, share, S))


def _gain(board: Board, terms: Terms, strategy: Strategy, treated: _Treated | None, effort: float,
          played_by: PlayedBy, noise_floor: float) -> Gain:
    S = len(board.players)
    lasts = 1.0 if treated is None else lasting(treated.outcome.pay)
    open_ = int((board.centre_months[:, 1] > 0).sum())
    n = {"one": 1, "tenth": S, "all": open_}[played_by]
    listed = float(board.centre_months[board.players, 1].mean()) * lasts
    if treated is None:
        return Gain(strategy.name, strategy.number, terms.design.model, terms.design.name, effort, played_by, n,
                    persons=0.0, half_years=lasts, gain_sek=0.0, gain_per_listed_month=0.0, gain_in_noise_floors=0.0,
                    reimbursement_sek=0.0, own_cost_sek=0.0, others_lose_sek=0.0, dead_weight_sek=0.0,
                    patients_pay_sek=0.0, return_per_krona=np.nan)

    outcome, alpha = treated.outcome, board.region.alpha
    moves = outcome.moved
    # When all play, the pool is theirs to fill.
    own = alpha * (treated.cost if played_by == "all" else treated.own_cost)
    pooled = alpha * treated.pooled
    work = strategy.work_sek * treated.number
    got, taken = np.zeros(S), np.zeros(S)
    for h, cohort in enumerate(outcome.cohort):
        gained, lost = reimbursed(board, terms, cohort, treated.pays[:, h], played_by, moves)
        got, taken = got + gained, taken + lost
    if moves and played_by == "all":  # each gains what it loses to others
        got, own = np.zeros(S), np.zeros(S)
    gain = got - own - work
    others = {"one": gain + work if moves else taken + pooled,
              "tenth": gain + work if moves else (taken + pooled.sum()) / S,
              "all": np.zeros(S)}[played_by]
    waste = np.zeros(S) if moves else treated.gross
    spent = float((own + work).mean())
    each = float(gain.mean())
    return Gain(
        strategy.name, strategy.number, terms.design.model, terms.design.name, effort, played_by, n,
        persons=treated.persons, half_years=lasts, gain_sek=each, gain_per_listed_month=each / listed,
        gain_in_noise_floors=each / listed / noise_floor if noise_floor > 0 else np.nan,
        reimbursement_sek=float(got.mean()), own_cost_sek=spent, others_lose_sek=float(others.mean()),
        dead_weight_sek=np.nan if strategy.withholds and effort > 0 else float(waste.mean()),
        patients_pay_sek=float(treated.patients.mean()),
        return_per_krona=float(got.mean()) / spent if spent > 0 else np.nan)


def _refitted(board: Board, terms: Terms, strategy: Strategy, outcome: Outcome, frozen: Gain, noise_floor: float
              ) -> Gain:
    """The same when all play and the amounts are fitted anew on what they did: the paid half-year's ΔR alone."""
    treated = board.drawn(strategy.name, outcome.key) < frozen.effort
    cells, add_ons = re_estimated(board, terms, outcome, treated)
    assert outcome.person is not None
    months = board.months[outcome.person, 1]
    more = np.bincount(outcome.player, (outcome.more_flags @ add_ons) * months * treated,
                       len(board.players))
    unscaled = terms.columns @ np.concatenate([cells, add_ons])
    listed = board.centre_months[:, 1]
    total = float(unscaled.sum()) + float(more.sum()) * float(listed.sum() / listed[board.players].sum())
    shared = terms.budget[1] - float(terms.pool[1].sum())
    got = shared * (unscaled[board.players] + more) / total - terms.phi[1] * terms.unscaled[1][board.players]
    each = float(got.mean()) * (1.0 if frozen.effort else 0.0) - frozen.own_cost_sek
    per_month = each / (float(listed[board.players].mean()) * frozen.half_years)
    return replace(frozen, amounts="re-estimated", gain_sek=each, gain_per_listed_month=per_month,
                   gain_in_noise_floors=per_month / noise_floor if noise_floor > 0 else np.nan,
                   reimbursement_sek=each + frozen.own_cost_sek,
                   return_per_krona=(each + frozen.own_cost_sek) / frozen.own_cost_sek
                   if frozen.own_cost_sek > 0 else np.nan)


def re_estimated(board: Board, terms: Terms, outcome: Outcome, treated: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Amounts per cell, shape (42,), and condition, shape (C,), fitted on a region where all centres treat as the
    players do; SEK per listed month, not rounded. Cost in the fit half-year is the untouched twin's: acts lie before.
    """
    assert outcome.person is not None
    who = outcome.person[treated]
    listed = board.centre_months[:, 0]
    weight = float(listed.sum() / listed[board.players].sum())
    before, after = outcome.flags[-2:][0]
    if not len(who):
        return _paid(terms, *terms.untouched)
    cost = board.borne_cost(terms.design.pool_threshold)[who, 0]
    xtx, xty = terms.sums.xtx[0].copy(), terms.sums.xty[0].copy()
    for sign, flags in ((-1, before), (1, after)):
        part = normal_equations(board.cell[who], flags[treated], board.months[who, 0], cost)
        xtx += sign * weight * part.xtx[0]
        xty += sign * weight * part.xty[0]
    return _paid(terms, *terms.solved(xtx, xty))


def _paid(terms: Terms, cells: np.ndarray, add_ons: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return terms.alpha * np.nan_to_num(cells), terms.alpha * add_ons


def lasting(pay: np.ndarray) -> float:
    """Σ/max over half-years of what all acts bring, shape (n, H): what an act brings is spread over this many."""
    by_half_year = pay.sum(axis=0).clip(min=0)
    return float(by_half_year.sum() / by_half_year.max()) if by_half_year.max() > 0 else 1.0


def reimbursed(board: Board, terms: Terms, half_year: int, pays: np.ndarray, played_by: PlayedBy, moved: bool
               ) -> tuple[np.ndarray, np.ndarray]:
    """ΔR of each player, SEK, and what centres that do not play lose: to each alone, or (the same number) to all.

    ``pays``: ΔU of each player, SEK before φ, shape (S,). Where persons move, the others' ΔU is its negative.
    """
    phi, before = terms.phi[half_year], terms.unscaled[half_year]
    mine, region = before[board.players], float(before.sum())
    if moved:
        gained = phi * pays
        return gained, gained
    if played_by == "one":
        closing = np.array([closing_factor(terms, half_year, region + float(p)) for p in pays])
        return closing * (mine + pays) - phi * mine, (phi - closing) * (region - mine)
    months = board.centre_months[:, half_year]
    scaled_up = float(months.sum() / months[board.players].sum()) if played_by == "all" else 1.0
    factor = closing_factor(terms, half_year, region + scaled_up * float(pays.sum()))
    gained = factor * (mine + pays) - phi * mine
    return gained, np.full(len(pays), (phi - factor) * (region - float(mine.sum())))
