"""Price style on real data: does a centre choose the recommended drug within a group, and does its net show it?

Style as such cannot be seen outside a simulation, but one margin of it can: what the same DDDs of a group would have
cost at the region's price of the group's recommended drugs (Skånelistan). The choice within a group is what a payment
model must leave to the centre, so the net should bear it krona for krona.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lakemedelsmodell import facts
from lakemedelsmodell.measures.truth import PassThrough, ideal_net, pass_through
from lakemedelsmodell.settlement import Settlement


def recommended_codes() -> frozenset[str]:
    """ATC codes recommended in Skåne, in any group."""
    known = facts.substances()
    return frozenset(known.loc[known["recommended"].astype(bool), "atc"])


@dataclass(frozen=True, eq=False)
class StyleIndex:
    """Actual over recommended cost of the same DDDs, per centre.

    Attributes
    ----------
    centres : DataFrame, one row per centre, sorted by centre_id
        centre_id, ddd, cost_sek, recommended_cost_sek, index (cost over recommended cost; 1 when every DDD is of
        recommended drugs at the region's price; nan without any), excess_sek (cost less recommended cost).
    groups : DataFrame, one row per group
        condition, ddd, cost_sek, recommended_share (of DDD), recommended_price (SEK per DDD), used. Not used: groups
        where nobody in the region chose a recommended drug.
    share_of_cost : float
        Share of the frame's cost that lies in groups used.
    """

    centres: pd.DataFrame
    groups: pd.DataFrame
    share_of_cost: float

    def to_frame(self) -> pd.DataFrame:
        return self.centres

    def on_net(self, settlement: Settlement) -> PassThrough:
        """Regression of nets on −α × excess cost per listed month about its mean: 1 when price style is borne in full.

        A slope away from 1 may also be volume or need that goes with price style: unlike in a simulation, nothing here
        holds those fixed.
        """
        excess = self.centres.set_index("centre_id")["excess_sek"].reindex(settlement.centre_ids)
        with np.errstate(divide="ignore", invalid="ignore"):
            per_month = excess.to_numpy(dtype=np.float64) / settlement.months
        months = np.where(np.isnan(per_month), 0, settlement.months)
        return pass_through(settlement.net_per_month, ideal_net(per_month, months, settlement.cost_responsibility))

    def _repr_html_(self) -> str:
        return (self.centres.to_html(index=False, float_format=lambda v: f"{v:,.3f}", max_rows=12)
                + f"<p>{self.share_of_cost:.0%} of the cost lies in groups with a recommended choice.</p>")


def style_index(use: pd.DataFrame, recommended: Collection[str] | None = None) -> StyleIndex:
    """Price-style index per centre.

    Parameters
    ----------
    use : columns centre_id, condition, atc, ddd, cost (SEK, gross or as borne): what the centre's listed persons were
        dispensed, one row or more per centre, condition and code. A code in several conditions counts in each.
    recommended : ATC codes; None = :func:`recommended_codes`
    """
    chosen = use["atc"].isin(recommended_codes() if recommended is None else set(recommended))
    marked = use.assign(good_ddd=use["ddd"].where(chosen, 0.0), good_cost=use["cost"].where(chosen, 0.0))
    groups = marked.groupby("condition", sort=True)[["ddd", "cost", "good_ddd", "good_cost"]].sum()
    usable = (groups["good_ddd"] > 0) & (groups["good_cost"] > 0)
    groups["price"] = (groups["good_cost"] / groups["good_ddd"]).where(usable)
    marked["fair"] = marked["ddd"] * marked["condition"].map(groups["price"])
    priced = marked[marked["condition"].map(usable)]
    centres = pd.DataFrame(index=pd.Index(sorted(use["centre_id"].unique()), name="centre_id"))
    centres[["ddd", "cost_sek", "recommended_cost_sek"]] = priced.groupby("centre_id")[["ddd", "cost", "fair"]].sum()
    fair = centres["recommended_cost_sek"]
    centres["index"] = (centres["cost_sek"] / fair).where(fair > 0)
    centres["excess_sek"] = centres["cost_sek"] - fair
    total = use["cost"].sum()
    return StyleIndex(
        centres.reset_index(),
        pd.DataFrame({
            "condition": groups.index, "ddd": groups["ddd"].to_numpy(), "cost_sek": groups["cost"].to_numpy(),
            "recommended_share": (groups["good_ddd"] / groups["ddd"]).to_numpy(),
            "recommended_price": groups["price"].to_numpy(), "used": usable.to_numpy(),
        }),
        share_of_cost=float(priced["cost"].sum() / total) if total > 0 else np.nan,
    )
