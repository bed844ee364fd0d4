"""Who moves: what changes for the centres when one model takes the place of another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lakemedelsmodell.settlement import Settlement


@dataclass(frozen=True, eq=False)
class Redistribution:
    """What changes for the centres when one model takes the place of another.

    Attributes
    ----------
    model, against : str
    sek : float
        ½ Σ|R¹_k − R⁰_k|, SEK over the period: the money that changes hands.
    share_of_budget : float
    gaining, losing : int
        Centres.
    changing_sign : int
        Centres whose net goes from plus to minus or back.
    centres : DataFrame, one row per centre, largest loss first
        centre_id, listed_months, net_against_sek, net_sek, change_sek (of reimbursement, model less against),
        change_sek_per_listed_month, change_percent (of the reimbursement before), changes_sign.
    """

    model: str
    against: str
    sek: float
    share_of_budget: float
    gaining: int
    losing: int
    changing_sign: int
    centres: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        return self.centres

    def moved_by(self, labels: pd.Series) -> pd.DataFrame:
        """Who moves: sums over centres by a label such as operator, rural or fifth of care need.

        ``labels`` is indexed by centre_id. One row per label: label, centres, gaining, listed_months, change_sek,
        change_sek_per_listed_month. Centres without a label are left out.
        """
        frame = self.centres.assign(label=self.centres["centre_id"].map(labels), gaining=self.centres["change_sek"] > 0)
        found = frame.groupby("label", sort=True, observed=True).agg(
            centres=("centre_id", "size"), gaining=("gaining", "sum"), listed_months=("listed_months", "sum"),
            change_sek=("change_sek", "sum")).reset_index()
        return found.assign(change_sek_per_listed_month=found["change_sek"] / found["listed_months"])

    def _repr_html_(self) -> str:
        return (f"<p>{self.model} instead of {self.against}: {self.sek / 1e6:,.2f} MSEK change hands "
                f"({self.share_of_budget:.2%} of the budget); {self.gaining} centres gain, {self.losing} lose, "
                f"{self.changing_sign} change sign.</p>"
                + self.centres.to_html(index=False, float_format=lambda v: f"{v:,.2f}", max_rows=12))


def redistributed_sek(model: Settlement, against: Settlement) -> float:
    """½ Σ|R¹_k − R⁰_k|, SEK over the period: each krona is one centre's loss and another's gain."""
    return float(np.abs(model.reimbursement_ore - against.reimbursement_ore).sum()) / 2 / 100


def redistribution(model: Settlement, against: Settlement) -> Redistribution:
    """Set two settlements of the same centres on the same budget against each other."""
    if not np.array_equal(model.centre_ids, against.centre_ids):
        raise ValueError("the two settlements are not of the same centres")
    if model.budget_ore != against.budget_ore:
        raise ValueError("the two settlements share out different budgets")
    change_ore = model.reimbursement_ore - against.reimbursement_ore
    change, before = change_ore / 100, against.reimbursement_sek
    sign = np.sign(model.net_sek) * np.sign(against.net_sek) < 0
    with np.errstate(divide="ignore", invalid="ignore"):
        frame = pd.DataFrame({
            "centre_id": model.centre_ids, "listed_months": model.months, "net_against_sek": against.net_sek,
            "net_sek": model.net_sek, "change_sek": change, "change_sek_per_listed_month": change / model.months,
            "change_percent": 100 * change / before, "changes_sign": sign,
        })
    moved = redistributed_sek(model, against)
    return Redistribution(
        model.model, against.model, sek=moved, share_of_budget=moved / (model.budget_ore / 100),
        gaining=int((change > 0).sum()), losing=int((change < 0).sum()), changing_sign=int(sign.sum()),
        centres=frame.sort_values(["change_sek", "centre_id"], ignore_index=True),
    )
