"""Settlement: amounts × cohort → what each centre gets, pays and is left with.

Notation of the method: reimbursement R_k = φ Σ e x'β, net N_k = R_k − α C_k, and the net per listed
month n_k = N_k / Σ e. One factor φ per model closes ΣR to the budget; centres are settled in whole
öre by largest remainder, so that the payments sum to the budget exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lakemedelsmodell.amounts import AmountTable
from lakemedelsmodell.data.cohort import CentreTotals, Cohort
from lakemedelsmodell.errors import UserError
from lakemedelsmodell.facts import BAND_LABELS, SEXES


def largest_remainder(shares: np.ndarray, total: int) -> np.ndarray:
    """Whole numbers that sum to ``total`` and lie less than one from the proportional shares.

    ``shares`` are non-negative and not all 0. Ties go to the earlier entry. (Hamilton's method.)
    """
    shares = np.asarray(shares, dtype=np.float64)
    if not (shares >= 0).all() or shares.sum() <= 0:
        raise ValueError("shares must be non-negative and not all zero")
    exact = shares / shares.sum() * total
    whole = np.floor(exact).astype(np.int64)
    left = total - int(whole.sum())
    order = np.argsort(-(exact - whole), kind="stable")
    if left < 0:  # floating error in a huge total: take back from the smallest remainders
        whole[order[left:]] -= 1
    else:
        whole[order[:left]] += 1
    return whole


def unscaled_reimbursement(amounts: AmountTable, totals: CentreTotals) -> np.ndarray:
    """R_k = Σ e x'β before φ, SEK, shape (K,). A condition whose add-on was never set pays nothing.

    Raises UserError when someone is listed in a cell for which no amount is known, or when the amounts
    pay for other conditions than the totals have.
    """
    if amounts.conditions and amounts.conditions != totals.conditions:
        raise UserError(f"The amounts of {amounts.model} pay for {', '.join(amounts.conditions)}, but the cohort has "
                        f"{', '.join(totals.conditions)}. Use amounts and flags of the same condition list.")
    cells = amounts.cells.reshape(-1)
    missing = np.isnan(cells) & (totals.months_by_cell.sum(axis=0) > 0)
    if missing.any():
        band, sex = divmod(int(np.flatnonzero(missing)[0]), len(SEXES))
        raise UserError(f"The amounts of {amounts.model} lack {missing.sum()} cells where persons are listed, first "
                        f"{BAND_LABELS[band]} {SEXES[sex]}. Add the amounts.")
    pay = (totals.months_by_cell * np.nan_to_num(cells)).sum(axis=1)
    if amounts.conditions:
        pay = pay + (totals.flagged_months * amounts.paid_add_ons).sum(axis=1)
    return pay


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
        Reimbursement before φ and öre, SEK.
    cost_sek : float64, shape (K,)
        Whole cost of the centre's patients, SEK.
    cost_responsibility : float
        α, the share of cost a centre carries.
    phi : float
        Budget over unscaled reimbursement.
    budget_ore : int
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

    def _repr_html_(self) -> str:
        return self.to_frame().to_html(index=False, float_format=lambda v: f"{v:,.2f}", max_rows=20)


def cost_budget_ore(totals: CentreTotals, cost_responsibility: float) -> int:
    """The headline budget in öre: α × the paid period's cost."""
    return round(cost_responsibility * float(totals.cost.sum()) * 100)


def settle(amounts: AmountTable, cohort: Cohort | CentreTotals, cost_responsibility: float,
           budget_sek: float | None = None) -> Settlement:
    """Pay every centre by ``amounts`` and close the sum to the budget.

    Parameters
    ----------
    amounts : AmountTable
    cohort : Cohort or CentreTotals of the paid period
    cost_responsibility : α in (0, 1]
    budget_sek : SEK to share out; None = α × the period's cost (the headline budget)
    """
    totals = cohort.totals(amounts.rule) if isinstance(cohort, Cohort) else cohort
    unscaled = unscaled_reimbursement(amounts, totals)
    return close_to_budget(amounts.model, totals, unscaled, cost_responsibility, budget_sek)


def close_to_budget(model: str, totals: CentreTotals, unscaled_sek: np.ndarray, cost_responsibility: float,
                    budget_sek: float | None = None) -> Settlement:
    """Scale what the centres would get (SEK, shape (K,)) by one φ to the budget, in whole öre.

    Raises UserError for a budget of nothing or less, or where a centre would get less than nothing.
    """
    budget = cost_budget_ore(totals, cost_responsibility) if budget_sek is None else round(budget_sek * 100)
    if budget <= 0:
        raise UserError(f"A budget of {budget / 100:.2f} SEK cannot be shared out. Is there any cost in the period?")
    if (unscaled_sek < 0).any() or unscaled_sek.sum() <= 0:
        raise UserError(f"The amounts of {model} come to nothing or less for a centre, so they cannot share out a "
                        "budget. Are there negative costs, or very few persons?")
    return Settlement(
        model=model, centre_ids=totals.centre_ids, months=totals.months,
        reimbursement_ore=largest_remainder(unscaled_sek, budget), unscaled_sek=unscaled_sek,
        cost_sek=totals.cost, cost_responsibility=cost_responsibility,
        phi=budget / 100 / float(unscaled_sek.sum()), budget_ore=budget,
    )
