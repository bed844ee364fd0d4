"""The life of the tables: new prices, a phase-in, and how far the amounts move from one half-year to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from lakemedelsmodell.amounts import AmountTable, cost_shares, reprice, side_by_side
from lakemedelsmodell.conditions import ConditionSet
from lakemedelsmodell.data.cohort import Cohort
from lakemedelsmodell.data.threads import of_each
from lakemedelsmodell.evaluation.few import set_by_enough, set_by_few
from lakemedelsmodell.evaluation.plan import (
    CAP_SHARE,
    NEW_PRICES,
    PHASE_IN_FROM,
    PROPOSAL,
    TODAY,
    WITH_INTERVALS,
)
from lakemedelsmodell.measures.amount_intervals import amount_intervals
from lakemedelsmodell.measures.disclosure import hidden, persons_by_centre
from lakemedelsmodell.measures.groups import FEWEST_PERSONS
from lakemedelsmodell.measures.table_life import LONGEST_PHASE_IN, phase_in, repricing_effect
from lakemedelsmodell.models import AgeSex, ChronicConditions, credibility, style_contamination


def repricing(tables: Mapping[str, AmountTable], conditions: ConditionSet, use: pd.DataFrame, codes: pd.DataFrame,
              paid: Cohort, add_on_costs: Mapping[str, dict[str, float] | None], alpha: float) -> list[dict[str, Any]]:
    """What each price change of :data:`NEW_PRICES` does to the centres under today's model and the proposal.

    Parameters
    ----------
    use : cost by centre and code in the paid period (:func:`~lakemedelsmodell.data.flags.centre_use`)
    codes : cost by code in the period the amounts were set on (:func:`~lakemedelsmodell.data.flags.code_summary`)
    add_on_costs : model → :func:`add_on_cost` in that period
    """
    found = []
    for code, (index, why) in NEW_PRICES.items():
        of_code = use[use["atc"] == code].set_index("centre_id").reindex(paid.centre_ids)
        spent = of_code["cost"].fillna(0.0).to_numpy()
        users = of_code["persons"].fillna(0).to_numpy(dtype=np.int64)
        if not spent.sum() > 0 or users.sum() < FEWEST_PERSONS:
            continue
        shown = ~hidden(users) & ~hidden(persons_by_centre(paid))
        by_model = {}
        for name in (TODAY, PROPOSAL):
            if (table := tables.get(name)) is None:
                continue
            before = paid.totals(table.rule)
            after = replace(before, cost=before.cost - (1 - index) * spent)
            repriced = reprice(table, {code: index}, cost_shares(codes, conditions, add_on_costs[name]))
            effect = repricing_effect(table, repriced, before, after, alpha)
            told = effect[effect["centre_id"].isin(paid.centre_ids[shown])]
            changed = np.flatnonzero(table.paid_add_ons != repriced.paid_add_ons)
            by_model[name] = {
                "add_ons": [{"name": table.conditions[c], "before": table.add_ons[c], "after": repriced.add_ons[c]}
                            for c in changed],
                **{f"{measure}_{when}": value for when in ("without", "with") for measure, value in {
                    "sd": effect[f"net_{when}"].std(), "moved_sek": effect[f"gain_{when}"].abs().sum() / 2,
                    "largest_loss": (told[f"gain_{when}"] / told["listed_months"]).min(),
                    "largest_gain": (told[f"gain_{when}"] / told["listed_months"]).max()}.items()},
                "sd_before": effect["net_before"].std(),
            }
            if name == PROPOSAL:
                rows = told[["centre_id", "gain_without", "gain_with"]].rename(
                    columns={"gain_without": "gain_without_sek", "gain_with": "gain_with_sek"})
                by_model[name]["centres"] = rows.to_dict("records")
        found.append({"atc": code, "price_index": index, "why_sv": why["sv"], "why_en": why["en"],
                      "cost_before_sek": float(paid.cost.sum()), "cost_saved_sek": float((1 - index) * spent.sum()),
                      "models": by_model})
    return found


def add_on_cost(table: AmountTable, fitted: Cohort, alpha: float) -> dict[str, float] | None:
    """SEK each add-on stands for on the fit period: b/α × flagged months."""
    if not table.conditions:
        return None
    months = fitted.totals(table.rule).flagged_months.sum(axis=0)
    exact = (table.unrounded or table).paid_add_ons
    return dict(zip(table.conditions, (exact / alpha * months).tolist(), strict=True))


def phasing_in(tables: Mapping[str, AmountTable], paid: Cohort, alpha: float, own_cost: float,
               budget_sek: float | None) -> dict[str, Any] | None:
    """From the published table to the proposal in one to five years, with and without a cap on loss.

    ``own_cost`` is αC̄, SEK per listed month; the cap is :data:`CAP_SHARE` of it a year. The largest loss and gain are
    those of the centres that may be shown.
    """
    if PHASE_IN_FROM not in tables or PROPOSAL not in tables:
        return None
    cap = round(CAP_SHARE * own_cost, 2)
    totals, shown = paid.totals("dispensed"), ~hidden(persons_by_centre(paid))
    rows = []
    for years in range(1, LONGEST_PHASE_IN + 1):
        for most in (None, cap):
            way = phase_in(tables[PHASE_IN_FROM], tables[PROPOSAL], totals, alpha, years=years, cap=most,
                           budget_sek=budget_sek)
            for year, (change, held) in enumerate(zip(way.yearly_change, way.held_up, strict=True), 1):
                listed, told = (change[~np.isnan(change) & some] for some in (True, shown))
                rows.append({"years": years, "cap": most, "year": year, "mean_abs_change": float(np.abs(listed).mean()),
                             "largest_loss": told.min(initial=np.inf), "largest_gain": told.max(initial=-np.inf),
                             "held_up": int(held.sum())})
    return {"from": PHASE_IN_FROM, "to": PROPOSAL, "cap": cap, "rows": rows}


def stability(tables: Mapping[str, AmountTable], paid: Cohort, alpha: float) -> dict[str, dict[str, Any]]:
    """The amounts as set on the half-year before (first) beside those the paid half-year itself would set (second)."""
    found = {}
    for model in (AgeSex(), *([ChronicConditions()] if paid.conditions else [])):
        if (table := tables.get(model.name)) is None:
            continue
        rows = side_by_side(table.unrounded or table, set_by_enough(model.fit(paid, alpha), paid))
        both = rows.dropna(subset=["first", "second"])
        found[model.name] = {
            "correlation": float(np.corrcoef(both["first"], both["second"])[0, 1]) if len(both) > 1 else None,
            "median_abs_change": float(both["change"].abs().median()),
            "largest_abs_change": float(both["change"].abs().max()), "amounts": _records(rows)}
    return found


def intervals(as_fitted: Mapping[str, AmountTable | None], tables: Mapping[str, AmountTable], phi: Mapping[str, float],
              fitted: Cohort, paid: Cohort, alpha: float) -> dict[str, list[dict[str, Any]]]:
    """How sure the amounts are that :data:`WITH_INTERVALS` pay; unknown for those too few persons have set.

    ``as_fitted``: the tables as estimated, not rounded and with every amount its own; ``phi``: what closes each to the
    budget.
    """
    from threadpoolctl import threadpool_limits

    def of_model(name: str) -> list[dict[str, Any]]:
        exact = as_fitted[name]
        assert exact is not None
        rows = amount_intervals(tables[name], exact, fitted, paid, alpha, phi[name])
        told = rows.astype(object)
        told.loc[set_by_few(rows, tables[name], fitted),
                 [c for c in rows if c.endswith(("_error", "_low", "_high"))]] = None
        return _records(told)

    known = [name for name in WITH_INTERVALS if as_fitted.get(name) is not None]
    with threadpool_limits(1):  # of all threads at once
        return dict(zip(known, of_each(of_model, known, len(fitted.cost)), strict=True))


def trust_in_add_ons(fitted: Cohort) -> list[dict[str, Any]]:
    """Credibility of each add-on, of the cost (before α) it was set on; of too few persons only the name."""
    if not fitted.conditions:
        return []
    found = credibility(fitted, "dispensed")
    told = found.astype(object)
    told.loc[found["persons"] < FEWEST_PERSONS, [c for c in told if c not in ("condition", "thin")]] = None
    return _records(told)


def style_in_amounts(table: AmountTable | None, fitted: Cohort, alpha: float) -> list[dict[str, Any]]:
    """The proposal's amounts, and what they come to beside one dummy per centre."""
    if table is None or not table.conditions:
        return []
    rows = style_contamination(table, fitted, alpha)
    return _records(rows[~set_by_few(rows, table, fitted)])


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    frame = frame.astype(object)
    return frame.where(frame.notna(), None).to_dict("records")
