"""Fit against robustness: each design's distance to the ideal net beside the most that any strategy brings under it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from lakemedelsmodell.manipulation.designs import PROPOSAL
from lakemedelsmodell.manipulation.region import Terms

EFFORT = 0.1
"""Effort at which designs are held against each other: one in ten of those eligible. [chosen before any frontier]"""
MAY_LOSE = 0.25
"""Share of the proposal's gain in fit over today that a defended version may give up, pool held against pool. [the
share chosen before any frontier, like against like after the first ones]"""

RULE = ("Recommended is, of the designs that no other beats both in fit and in worst gain and that keep at least "
        f"{1 - MAY_LOSE:.0%} of what the proposal gains in fit over today (all with the design's pool, where it has "
        "one), the one with the highest robustness; fit is RMSE to the ideal net where a truth is known, else "
        "out-of-period R². Worst gain: the largest gain per listed "
        f"month of any strategy that one centre plays on {EFFORT:.0%} of those eligible.")


def robustness(worst: float, reference: float) -> float:
    """Rob = 1 − max g⁺/max g⁺ of the undefended: 1 where the reference is 0, below 0 for a design that invites play."""
    return 1.0 if reference <= 0 else 1 - max(worst, 0.0) / reference


def dominated(loss: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """Which points another point beats in one and equals or beats in the other, bool, shape (n,)."""
    no_worse = (loss[None, :] <= loss[:, None]) & (gain[None, :] <= gain[:, None])
    better = (loss[None, :] < loss[:, None]) | (gain[None, :] < gain[:, None])
    return np.asarray((no_worse & better).any(axis=1))


def frontier(terms: Sequence[Terms], gains: pd.DataFrame, prescribing: Sequence[str],
             like: Mapping[float | None, tuple[Terms, Terms]]) -> pd.DataFrame:
    """One row per design.

    Parameters
    ----------
    terms : of the designs
    gains : strategy, design, amounts, effort, played_by, gain_per_listed_month
    prescribing : strategies that act on dispensings, whose worst gain is told apart from those that act on lists
    like : pool threshold of a design → today and the proposal with the same pool: what its fit is held against

    Returns
    -------
    DataFrame
        design, model, says, conditions, r2, sd, rmse_to_ideal (nan where no truth is known), worst_gain (SEK per
        listed month, at least 0), worst_strategy, worst_prescribing_gain, worst_prescribing_strategy, robustness,
        prescribing_robustness, fit_kept (share of the proposal's gain in fit over today, all with the design's pool;
        nan where the proposal gains nothing), dominated, recommended.
    """
    played = gains[(gains["played_by"] == "one") & (gains["effort"] == EFFORT) & (gains["amounts"] == "frozen")]
    rows = []
    for t in terms:
        of = played[played["design"] == t.design.name]
        rows.append({"design": t.design.name, "model": t.design.model, "says": t.design.says,
                     "conditions": int((t.add_ons > 0).sum()), "r2": t.r2, "sd": t.sd,
                     "rmse_to_ideal": t.rmse_to_ideal, **_worst(of, ""),
                     **_worst(of[of["strategy"].isin(prescribing)], "prescribing_")})
    table = pd.DataFrame(rows).set_index("design")
    known = table["rmse_to_ideal"].notna().all()
    loss = table["rmse_to_ideal"] if known else 1 - table["r2"]
    for kind in ("", "prescribing_"):
        reference = table.loc[PROPOSAL, f"worst_{kind}gain"]
        table[f"{kind}robustness"] = [robustness(w, reference) for w in table[f"worst_{kind}gain"]]
    table["fit_kept"] = [_kept(loss[t.design.name], *(u.rmse_to_ideal if known else 1 - u.r2
                                                      for u in like[t.design.pool_threshold])) for t in terms]
    return by_rule(table.reset_index())


def by_rule(table: pd.DataFrame, may_lose: float = MAY_LOSE) -> pd.DataFrame:
    """The table with what :data:`RULE` says of each design: ``dominated`` and ``recommended``.

    Needs the columns model, r2, rmse_to_ideal, worst_gain, robustness and fit_kept of :func:`frontier`.
    """
    loss = table["rmse_to_ideal"] if table["rmse_to_ideal"].notna().all() else 1 - table["r2"]
    table = table.assign(dominated=dominated(loss.to_numpy(), table["worst_gain"].to_numpy()))
    fits = ~table["dominated"] & (table["fit_kept"] >= 1 - may_lose) & (table["model"] == "chronic_defended")
    best = table[fits].sort_values(["robustness", "fit_kept"], ascending=False).index[:1]
    return table.assign(recommended=table.index.isin(best))


def _kept(loss: float, today: float, proposal: float) -> float:
    return (today - loss) / (today - proposal) if proposal < today else np.nan


def _worst(played: pd.DataFrame, kind: str) -> dict[str, object]:
    if not len(played) or played["gain_per_listed_month"].max() <= 0:
        return {f"worst_{kind}gain": 0.0, f"worst_{kind}strategy": None}
    row = played.loc[played["gain_per_listed_month"].idxmax()]
    return {f"worst_{kind}gain": float(row["gain_per_listed_month"]), f"worst_{kind}strategy": row["strategy"]}
