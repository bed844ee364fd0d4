"""Settlement: amounts × cohort → what each centre gets, pays and is left with.

Notation of the method: reimbursement R_k = φ Σ e x'β, net N_k = R_k − α C_k, and the net per listed
month n_k = N_k / Σ e. One factor φ per model closes ΣR to the budget; centres are settled in whole
öre by largest remainder, so that the payments sum to the budget exactly. Under a model with a high-cost
pool R_k = φ Σ e x'β + α Σ (C − T)⁺: the pool is paid first, as cost falls, and φ shares out what is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd

from lakemedelsmodell.amounts import POOL_MONTHS, AmountTable
from lakemedelsmodell.data.cohort import CentreTotals, Cohort
from lakemedelsmodell.errors import UserError
from lakemedelsmodell.facts import BAND_LABELS, SEXES


def largest_remainder(shares: np.ndarray, total: int) -> np.ndarray:
    """Whole numbers that sum to ``total`` and lie less than one from the proportional shares.

    ``shares`` sum to more than 0; one below 0 gets less than nothing. Ties go to the earlier entry. (Hamilton's
    method.)
    """
    shares = np.asarray(shares, dtype=np.float64)
    if not shares.sum() > 0:
        raise ValueError("shares must sum to more than 0")
    exact = shares / shares.sum() * total
    whole = np.floor(exact).astype(np.int64)
    left = total - int(whole.sum())
    order = np.argsort(-(exact - whole), kind="stable")
    if left < 0:  # floating error in a huge total: take back from the smallest remainders
        whole[order[left:]] -= 1
    else:
        whole[order[:left]] += 1
    return whole


@dataclass(frozen=True, eq=False)
class Prediction:
    """What one model would pay the rows of one cohort, where no single table says it.

    Attributes
    ----------
    model : str
    per_row : float64, shape (n,)
        SEK per listed month (α × predicted cost), before φ and without any pool.
    table : AmountTable or None
        What would be published; None for a model that is compared but never paid.
    """

    model: str
    per_row: np.ndarray
    table: AmountTable | None = None


Payer = AmountTable | Prediction
"""Anything that a cohort can be paid by."""


def table_of(payer: Payer) -> AmountTable | None:
    """The amounts a payer would publish; None where there are none."""
    return payer if isinstance(payer, AmountTable) else payer.table


def pay_per_month(payer: Payer, cohort: Cohort) -> np.ndarray:
    """SEK per listed month that each row gets before φ and without any pool, shape (n,); nan where no amount is set.

    Raises UserError where amounts by the centre's care-need index meet a centre whose index is not known, or amounts by
    history a cohort that does not tell it.
    """
    if isinstance(payer, Prediction):
        return payer.per_row
    _check_conditions(payer, cohort.conditions)
    profiles = cohort.profiles(payer.rule)
    pay = payer.per_month(profiles.cell, profiles.flags)[profiles.of_row]
    if payer.per_cni is not None:
        pay = pay + (payer.per_cni * care_need(cohort))[cohort.centre]
    return pay if payer.per_newcomer is None else pay + payer.per_newcomer * newcomers(cohort)


def care_need(cohort: Cohort) -> np.ndarray:
    """Care-need index of each centre, shape (K,).

    Raises UserError where a centre that lists anybody has none.
    """
    lists = np.bincount(cohort.centre, minlength=cohort.n_centres) > 0
    found = cohort.centres["cni"].to_numpy(dtype=float) if "cni" in cohort.centres else np.full(len(lists), np.nan)
    if (lacking := lists & np.isnan(found)).any():
        raise UserError(f"The care-need index of {lacking.sum()} centres is not known, first "
                        f"{cohort.centre_ids[lacking][0]}. Give the column cni in centres.")
    return np.nan_to_num(found)


def newcomers(cohort: Cohort) -> np.ndarray:
    """Rows of persons who were listed nowhere in the look-back, newborns among them, bool, shape (n,).

    Raises UserError where the cohort does not tell.
    """
    if cohort.prior_cost is None:
        raise UserError("Who was listed before the period is not known. Give the listings of the look-back.")
    return np.isnan(cohort.prior_cost)


def pooled_cost(cohort: Cohort, threshold: float, cost: np.ndarray | None = None) -> np.ndarray:
    """(C − T)⁺ of each person over the period, SEK, shared among the person's rows pro rata to cost, shape (n,).

    Parameters
    ----------
    cohort : Cohort
    threshold : SEK per person and half-year; T is this × months / 6. Where the cohort names no period its length is
        the longest that anyone is listed. T is not cut for who is listed for less: bad luck is not shorter for them.
    cost : SEK per row, shape (n,); None = the cohort's cost
    """
    own = cost is None or cost is cohort.cost
    cost = cohort.cost if cost is None else cost
    excess = np.zeros(len(cost))
    if own and f"pooled above {threshold}" in cohort.found:
        rows, above = cohort.found[f"pooled above {threshold}"]
        excess[rows] = above
        return excess
    length = cohort.period.n_months if cohort.period else np.bincount(cohort.person, cohort.months).max()
    limit = threshold * length / POOL_MONTHS
    spent = np.bincount(cohort.person, cost)
    rows = np.flatnonzero((spent > limit)[cohort.person])
    person, cost = cohort.person[rows], cost[rows].clip(min=0)  # a row of corrections brought nothing above T
    excess[rows] = (spent[person] - limit) * cost / np.bincount(person, cost)[person] if len(rows) else 0.0
    if own:
        cohort.found[f"pooled above {threshold}"] = rows, excess[rows]  # few are that dear
    return excess


def _check_conditions(amounts: AmountTable, conditions: tuple[str, ...]) -> None:
    if amounts.conditions and amounts.kind != "count" and amounts.conditions != conditions:
        raise UserError(f"The amounts of {amounts.model} pay for {', '.join(amounts.conditions)}, but the cohort has "
                        f"{', '.join(conditions)}. Use amounts and flags of the same condition list.")


def unscaled_reimbursement(amounts: AmountTable, totals: CentreTotals) -> np.ndarray:
    """R_k = Σ e x'β before φ, SEK, shape (K,). A condition whose add-on was never set pays nothing.

    Raises UserError when someone is listed in a cell for which no amount is known, when the amounts pay for other
    conditions than the totals have, or for what sums per centre cannot tell: the highest or the number of a person's
    conditions, care need, history and pools.
    """
    if not _is_sum(amounts):
        raise UserError(f"{amounts.model} cannot be paid from sums per centre. Give the cohort of persons.")
    _check_conditions(amounts, totals.conditions)
    _check_cells(amounts, totals)
    cells = amounts.cells.reshape(-1)
    pay = (totals.months_by_cell * np.nan_to_num(cells)).sum(axis=1)
    if amounts.conditions:
        pay = pay + (totals.flagged_months * amounts.paid_add_ons).sum(axis=1)
    return pay


def adds_up(amounts: AmountTable) -> bool:
    """Whether a centre's pay, but for a pool, follows from its sums of the design columns."""
    by_sums = amounts.kind == "condition" or not amounts.conditions
    return by_sums and amounts.per_cni is None and amounts.per_newcomer is None


def _is_sum(amounts: AmountTable) -> bool:
    """Whether all of a centre's pay does."""
    return adds_up(amounts) and amounts.pool_threshold is None


def _check_cells(amounts: AmountTable, totals: CentreTotals) -> None:
    missing = np.isnan(amounts.cells.reshape(-1)) & (totals.months_by_cell.sum(axis=0) > 0)
    if missing.any():
        band, sex = divmod(int(np.flatnonzero(missing)[0]), len(SEXES))
        raise UserError(f"The amounts of {amounts.model} lack {missing.sum()} cells where persons are listed, first "
                        f"{BAND_LABELS[band]} {SEXES[sex]}. Add the amounts.")


@dataclass(frozen=True)
class Settlement:
    """What each of K centres gets and pays under one model.

    Attributes
    ----------
    model : str
    centre_ids : shape (K,)
    months : float64, shape (K,)
        Listed months.
    reimbursement_ore : int64, shape (K,)
        Öre; sums to ``budget_ore``.
    unscaled_sek : float64, shape (K,)
        Reimbursement before φ and öre, pool included, SEK.
    cost_sek : float64, shape (K,)
        Whole cost of the centre's patients, SEK.
    cost_responsibility : float
        α, the share of cost a centre carries.
    phi : float
        Budget over unscaled reimbursement; of what is not pooled, where there is a pool.
    budget_ore : int
    pool_sek : float64, shape (K,), or None
        The part of the reimbursement that comes from the pool, α Σ (C − T)⁺, SEK; None without a pool.
    """

    model: str
    centre_ids: np.ndarray
    months: np.ndarray
    reimbursement_ore: np.ndarray
    unscaled_sek: np.ndarray
    cost_sek: np.ndarray
    cost_responsibility: float
    phi: float
    budget_ore: int
    pool_sek: np.ndarray | None = None

    @property
    def reimbursement_sek(self) -> np.ndarray:
        return self.reimbursement_ore / 100

    @property
    def own_cost_sek(self) -> np.ndarray:
        """α C_k, SEK, shape (K,)."""
        return self.cost_responsibility * self.cost_sek

    @property
    def own_cost_per_month(self) -> float:
        """αC̄ over all centres, SEK per listed month."""
        return float(self.own_cost_sek.sum() / self.months.sum())

    @property
    def net_sek(self) -> np.ndarray:
        """Reimbursement less own cost, SEK, shape (K,)."""
        return self.reimbursement_sek - self.own_cost_sek

    @property
    def net_per_month(self) -> np.ndarray:
        """n_k, SEK per listed month, shape (K,); nan for a centre without listed months."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.months > 0, self.net_sek / self.months, np.nan)

    @property
    def unscaled_net_per_month(self) -> np.ndarray:
        """Net per listed month had the amounts been paid as they stand (φ = 1), SEK, shape (K,)."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.months > 0, (self.unscaled_sek - self.own_cost_sek) / self.months, np.nan)

    def to_frame(self) -> pd.DataFrame:
        """One row per centre, columns as in centres.csv (without the name)."""
        return pd.DataFrame({
            "centre_id": self.centre_ids, "model": self.model, "listed_months": self.months,
            "reimbursement_sek": self.reimbursement_sek, "cost_sek": self.cost_sek,
            "own_cost_sek": self.own_cost_sek, "net_sek": self.net_sek,
            "net_sek_per_listed_month": self.net_per_month,
        })

    def __repr__(self) -> str:
        return f"{self._said()}\n" + self.to_frame().drop(columns="model").to_string(
            index=False, float_format=lambda v: f"{v:,.2f}", max_rows=12)

    def _repr_html_(self) -> str:
        return f"<p>{escape(self._said())}</p>" + self.to_frame().to_html(
            index=False, float_format=lambda v: f"{v:,.2f}", max_rows=20)

    def _said(self) -> str:
        return (f"{self.model}: {self.budget_ore / 1e8:,.1f} MSEK to {len(self.centre_ids):,} centres, "
                f"φ = {self.phi:.4f}, cost responsibility {self.cost_responsibility:.0%}")


def cost_budget_ore(totals: CentreTotals, cost_responsibility: float) -> int:
    """The headline budget in öre: α × the paid period's cost."""
    return round(cost_responsibility * float(totals.cost.sum()) * 100)


def settle(payer: Payer, cohort: Cohort | CentreTotals, cost_responsibility: float,
           budget_sek: float | None = None) -> Settlement:
    """Pay every centre by a table or a prediction and close the sum to the budget.

    Parameters
    ----------
    payer : AmountTable or Prediction
    cohort : Cohort or CentreTotals of the paid period; sums are enough for a table whose amounts simply add up
    cost_responsibility : α in (0, 1]
    budget_sek : SEK to share out; None = α × the period's cost (the headline budget)

    A mover's pooled cost goes to the centres where the person was listed, pro rata to cost.

    Raises UserError as :func:`unscaled_reimbursement` and :func:`close_to_budget`.
    """
    if isinstance(cohort, CentreTotals):
        if isinstance(payer, Prediction):
            raise UserError(f"{payer.model} cannot be paid from sums per centre. Give the cohort of persons.")
        return close_to_budget(payer.model, cohort, unscaled_reimbursement(payer, cohort), cost_responsibility,
                               budget_sek)
    table = table_of(payer)
    return settle_rows(payer, cohort, cohort.totals(table.rule if table else None), cost_responsibility, budget_sek)


def settle_rows(payer: Payer, cohort: Cohort, totals: CentreTotals, cost_responsibility: float,
                budget_sek: float | None = None, per_month: np.ndarray | None = None) -> Settlement:
    """:func:`settle` where the cohort's totals under the payer's rule are at hand, and may be its
    :func:`pay_per_month`."""
    table = table_of(payer)
    pool = None
    if table and table.pool_threshold is not None:
        excess = cohort.weighted(pooled_cost(cohort, table.pool_threshold))
        pool = cost_responsibility * np.bincount(cohort.centre, excess, cohort.n_centres)
    if isinstance(payer, AmountTable) and _is_sum(payer):
        unscaled = unscaled_reimbursement(payer, totals)
    else:
        if isinstance(payer, AmountTable):
            _check_cells(payer, totals)
        per_month = pay_per_month(payer, cohort) if per_month is None else per_month
        unscaled = np.bincount(cohort.centre, cohort.exposure * per_month, cohort.n_centres)
    return close_to_budget(payer.model, totals, unscaled, cost_responsibility, budget_sek, pool)


def close_to_budget(model: str, totals: CentreTotals, unscaled_sek: np.ndarray, cost_responsibility: float,
                    budget_sek: float | None = None, pool_sek: np.ndarray | None = None) -> Settlement:
    """Scale what the centres would get (SEK, shape (K,)) by one φ to the budget less the pool, in whole öre.

    A centre whose amounts come to less than nothing pays in.

    Raises UserError for a budget of nothing or less, or no more than the pool, or where all amounts come to nothing or
    less.
    """
    budget = cost_budget_ore(totals, cost_responsibility) if budget_sek is None else round(budget_sek * 100)
    if budget <= 0:
        raise UserError(f"A budget of {budget / 100:.2f} SEK cannot be shared out. Is there any cost in the period, of "
                        "persons who are in listings under the same person_id? The command check counts the others.")
    if not unscaled_sek.sum() > 0:
        raise UserError(f"The amounts of {model} come to nothing or less in all, so they cannot share out a budget. "
                        "Are there negative costs, or very few persons?")
    pooled = 0.0 if pool_sek is None else float(pool_sek.sum())
    if (left := budget / 100 - pooled) <= 0:
        raise UserError(f"The pool of {model} takes {pooled:,.0f} SEK of a budget of {budget / 100:,.0f} SEK, so "
                        "nothing is left for its amounts. Raise the threshold or the budget.")
    phi = left / float(unscaled_sek.sum())
    shares = unscaled_sek if pool_sek is None else phi * unscaled_sek + pool_sek
    return Settlement(
        model=model, centre_ids=totals.centre_ids, months=totals.months,
        reimbursement_ore=largest_remainder(shares, budget),
        unscaled_sek=unscaled_sek if pool_sek is None else unscaled_sek + pool_sek,
        cost_sek=totals.cost, cost_responsibility=cost_responsibility, phi=phi, budget_ore=budget, pool_sek=pool_sek,
    )
