"""The pieces of results.json, and the frames of the CSV files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from lakemedelsmodell import facts
from lakemedelsmodell.amounts import AmountTable
from lakemedelsmodell.conditions import ConditionSet
from lakemedelsmodell.data.cohort import Cohort
from lakemedelsmodell.data.periods import Period
from lakemedelsmodell.evaluation.chance import Chance, centre_columns
from lakemedelsmodell.evaluation.plan import ORACLE, TAKEN_APART, TODAY
from lakemedelsmodell.measures.comparison import Comparison
from lakemedelsmodell.measures.contributions import contributions
from lakemedelsmodell.measures.disclosure import (
    NAMES,
    emptied,
    hidden,
    hidden_centres,
    hidden_groups,
    persons_by_centre,
    without_extremes,
)
from lakemedelsmodell.measures.groups import FEWEST_PERSONS, neutrality
from lakemedelsmodell.measures.incentives import starter_packs
from lakemedelsmodell.measures.noise import noise_floor
from lakemedelsmodell.measures.redistribution import redistribution
from lakemedelsmodell.measures.style_index import StyleIndex, style_index
from lakemedelsmodell.measures.true_spread import pitman_morgan
from lakemedelsmodell.measures.truth import against_truth, ideal_net, pass_through
from lakemedelsmodell.models.named_groups import centre_groups
from lakemedelsmodell.verdict import ManipulationFinding, judge_results, read_rule

OF_THE_LIST = (*NAMES, "listed_months", "cost_sek", "own_cost_sek")
"""Columns of centres.csv that no payment changes."""
EXAMPLES = {
    "Johan": (60, "M", ()),
    "Anders": (60, "M", ("diabetes_oral", "ihd_antiplatelet", "doak", "inflammatorisk", "cancer_hormon")),
}
"""The region's two worked examples (information meeting 7 May 2026): the conditions stand for what the
meeting named: diabetes, cardiovascular disease, anticoagulation, inflammatory disease and cancer."""


def period_dict(period: Period) -> dict[str, str]:
    return {"start": period.start.isoformat(), "end": period.end.isoformat(), "label": str(period)}


def totals_dict(cohort: Cohort, comparison: Comparison, alpha: float) -> dict[str, Any]:
    settlement = next(iter(comparison.settlements.values()))
    return {
        "centres": int((settlement.months > 0).sum()), "persons": cohort.n_persons,
        "listed_months": float(settlement.months.sum()), "cost_sek": float(settlement.cost_sek.sum()),
        "budget_sek": settlement.budget_ore / 100, "cost_responsibility": alpha, "left_out": counts(cohort.counts),
    }


def counts(found: Mapping[str, float]) -> dict[str, float | None]:
    """Counts by kind; those of one to four are unknown, as are sums in kronor beside which such a count stands."""
    few = {kind for kind, n in found.items() if 0 < n < FEWEST_PERSONS and not kind.endswith("_sek")}
    beside = {kind.replace("dispensings_", "cost_", 1) + "_sek" for kind in few}
    return {kind: None if kind in few | beside else n for kind, n in found.items()}


def _persons(comparison: Comparison, cohort: Cohort) -> dict[str, dict[str, Any]]:
    """Who is paid too little under each model: groups, deciles of predicted cost, public against private.

    Groups of too few persons are there by name, with nothing known of them.
    """
    def shown(rows: pd.DataFrame, family: str = "") -> pd.DataFrame:
        told = rows.astype(object)
        names = [f"{family}{name}" for name in rows.index]
        told.loc[hidden_groups(names, rows["persons"].to_numpy(), cohort.n_persons)] = None
        return told

    centres, kinds = cohort.centres, _shown_kinds(cohort)
    operator = np.full(len(centres), None)
    for run_by in ("public", "private"):
        operator[kinds.get(f"operator:{run_by}", [])] = run_by
    today = comparison.settlements.get(TODAY)
    found = {}
    for model, rows in comparison.groups.groupby("model"):
        settled = comparison.settlements[model]
        change = settled.net_sek - today.net_sek if today else np.full(len(centres), np.nan)
        groups = rows.set_index("group")[["ratio", "ci_low", "ci_high", "persons", "under_compensation_sek",
                                          "under_ci_low", "under_ci_high"]]
        deciles = comparison.calibrations[model].groups.rename(columns={"group": "decile"}).set_index("decile")
        found[model] = {
            "predictive_ratios": shown(groups).to_dict("index"),
            "calibration": shown(deciles, "decile:").reset_index().to_dict("records"),
            "neutrality": {"net": asdict(neutrality(settled.net_sek, settled.months, operator)),
                           "change_from_today": asdict(neutrality(change, settled.months, operator))},
        }
    return found


def models_dict(comparison: Comparison, roles: Mapping[str, str], cohort: Cohort,
                more: Sequence[Mapping[str, Mapping[str, Any]]] = ()) -> dict[str, Any]:
    """Everything known of each model; ``more`` holds, by model, what only some runs can tell."""
    persons, moved = _persons(comparison, cohort), _redistribution(comparison, cohort)
    _, not_shown = hidden_centres(comparison, cohort)
    found = {}
    for name, settlement in comparison.settlements.items():
        columns = ["kind", "name", "sex", "age_from", "sek_per_month"]
        table = comparison.tables.get(name)
        amounts = table.to_frame()[columns] if table else pd.DataFrame(columns=columns)
        found[name] = {
            "role": roles[name], "payable": table is not None, "phi": settlement.phi,
            "unscaled": {"reimbursement_sek": float(settlement.unscaled_sek.sum()),
                         "spread": without_extremes(comparison.unscaled_spreads[name].measures(),
                                                    settlement.unscaled_net_per_month, not_shown[name])},
            "amounts": amounts.astype(object).where(amounts.notna(), None).to_dict("records"),
            "fit": asdict(comparison.fits[name]),
            "payment_fit": asdict(comparison.payment_fits[name]),
            "spread": without_extremes(comparison.spreads[name].measures(), settlement.net_per_month, not_shown[name]),
            "noise_floor": None, "true_sd": None, "reliability": None, "true_spread_p_value": None,
            "true_spread_reduction": None, "spread_parts": [], "funnel": None, "persistence": None, "split_half": None,
            # Only a truth can tell these.
            "excess_sd": None, "pass_through": None, "pass_through_low": None, "pass_through_high": None,
            "rmse_to_ideal": None,
            "redistribution": moved.get(name), **persons[name],
        }
        for of_models in more:
            found[name] |= of_models.get(name, {})
    return found


def _shown_kinds(cohort: Cohort) -> dict[str, np.ndarray]:
    """Masks of the kinds of centre that at least five persons are listed at, as there are at all others."""
    listed = persons_by_centre(cohort)
    kinds = {name: mask for name, mask in centre_groups(cohort) if mask.any()}
    few = hidden_groups(list(kinds), np.array([listed[mask].sum() for mask in kinds.values()]), int(listed.sum()))
    return {name: mask for (name, mask), left_out in zip(kinds.items(), few, strict=True) if not left_out}


def _redistribution(comparison: Comparison, cohort: Cohort) -> dict[str, dict[str, Any]]:
    """What changes from today's model to each other: for the centres, for kinds of centre and for groups of persons."""
    if TODAY not in comparison.settlements:
        return {}
    kinds = _shown_kinds(cohort)
    at_hand = comparison.groups.set_index(["model", "group"])[["persons", "listed_months", "under_compensation_sek"]]
    today = at_hand.loc[TODAY]
    today = today[~hidden_groups(list(today.index), today["persons"].to_numpy(), cohort.n_persons)]
    under = at_hand["under_compensation_sek"].unstack("group")
    _, not_shown = hidden_centres(comparison, cohort)
    found = {}
    for name, settlement in comparison.settlements.items():
        if name == TODAY:
            continue
        moved = redistribution(settlement, comparison.settlements[TODAY])
        change = moved.centres.set_index("centre_id").reindex(settlement.centre_ids)
        change_sek = change["change_sek"].to_numpy()
        by_kind = []
        for kind, mask in kinds.items():
            gained, months = change_sek[mask].sum(), settlement.months[mask].sum()
            by_kind.append({"group": kind, "centres": int((mask & (settlement.months > 0)).sum()),
                            "gaining": int((change_sek[mask] > 0).sum()), "change_sek": gained,
                            "change_sek_per_listed_month": gained / months if months > 0 else None})
        per_month = under.loc[name, today.index].to_numpy() - today["under_compensation_sek"].to_numpy()
        by_group = pd.DataFrame({
            "group": today.index, "persons": today["persons"].to_numpy(),
            "change_sek": per_month * today["listed_months"].to_numpy(),
            "change_sek_per_listed_month": per_month})
        lost = change["change_sek_per_listed_month"][~(not_shown[name] | not_shown[TODAY])]
        found[name] = {
            "against": TODAY, "sek": moved.sek, "share_of_budget": moved.share_of_budget, "gaining": moved.gaining,
            "losing": moved.losing, "changing_sign": moved.changing_sign, "largest_loss": lost.min(),
            "largest_gain": lost.max(), "by_kind_of_centre": by_kind,
            "by_group_of_persons": by_group.to_dict("records"),
        }
    return found


def truth_results(comparison: Comparison, style: np.ndarray) -> dict[str, dict[str, float]]:
    """Per model, what a simulation's truth says; ``style`` s_k in SEK per listed month before α, shape (K,)."""
    found = {}
    for name, settlement in comparison.settlements.items():
        truth = against_truth(settlement, style, comparison.settlements[ORACLE])
        found[name] = {"excess_sd": truth.excess_sd, "pass_through": truth.pass_through.slope,
                       "pass_through_low": truth.pass_through.ci_low, "pass_through_high": truth.pass_through.ci_high,
                       "rmse_to_ideal": truth.rmse_to_ideal}
    return found


def truth_dict(expected: np.ndarray, style: np.ndarray, cohort: Cohort, alpha: float) -> dict[str, float]:
    """The spread that should remain, of centres' own prescribing, and that which must, of chance about true need."""
    ideal = ideal_net(style, np.bincount(cohort.centre, cohort.exposure, cohort.n_centres), alpha)
    listed = ideal[~np.isnan(ideal)]
    shown = ideal[~np.isnan(ideal) & ~hidden(persons_by_centre(cohort))]
    floor = noise_floor(cohort, expected, alpha, permutations=0)
    return {"noise_floor": floor.floor, "ideal_sd": float(listed.std(ddof=1)) if len(listed) > 1 else np.nan,
            "ideal_min": shown.min(initial=np.inf), "ideal_max": shown.max(initial=-np.inf)}


def contrasts_list(comparison: Comparison, style: np.ndarray | None = None) -> list[dict[str, Any]]:
    """Each contrast, with the exact test of equal spread and, where a truth is known, the change of pass-through."""
    found = []
    for c in comparison.contrasts:
        model, against = (comparison.settlements[name] for name in (c.model, c.against))
        change = None
        if style is not None:
            ideal = ideal_net(style, model.months, model.cost_responsibility)
            change = pass_through(model.net_per_month - against.net_per_month, ideal)
        found.append(asdict(c) | {
            "pitman_morgan": asdict(pitman_morgan(model.net_per_month, against.net_per_month)),
            "pass_through_change": change.slope if change else None,
            "pass_through_change_low": change.ci_low if change else None,
            "pass_through_change_high": change.ci_high if change else None})
    return found


def verdict_dict(results: Mapping[str, Any], world: str, manipulation: ManipulationFinding | None = None
                 ) -> dict[str, Any]:
    """The verdict rule applied to this run; a clause that only many draws or a played manipulation can tell is open."""
    found = judge_results(read_rule(), results, world=world, manipulation=manipulation).to_dict()
    del found["world"]
    return found


def style_dict(use: pd.DataFrame, conditions: ConditionSet, comparison: Comparison, cohort: Cohort
               ) -> dict[str, Any] | None:
    """Price style within the conditions: per group and centre, and how much of it each model's net bears.

    Who uses several drugs of a group is counted but once: as many persons as its commonest drug has are told of.
    """
    pairs = conditions.expand(use["atc"].unique())
    by_condition = pairs[pairs["condition"].isin(conditions.names)].merge(use, on="atc")
    if by_condition.empty:
        return None
    index: StyleIndex = style_index(by_condition)
    counted = index.centres.dropna(subset=["index"])["index"]
    small = pd.Series(hidden(persons_by_centre(cohort)), index=cohort.centre_ids)
    users = by_condition.groupby("centre_id")["persons"].max()
    told = ~index.centres["centre_id"].map(small) & ~hidden(index.centres["centre_id"].map(users).to_numpy())
    shown = index.centres[told.to_numpy()]
    of_group = by_condition.groupby(["condition", "atc"])["persons"].sum().groupby("condition").max()
    groups = index.groups.astype(object)
    groups.loc[hidden(groups["condition"].map(of_group).to_numpy(dtype=np.int64)),
               ["ddd", "cost_sek", "recommended_share", "recommended_price"]] = None
    return {
        "share_of_cost": index.share_of_cost,
        "spread": {"sd": counted.std(), "p10": counted.quantile(0.1), "p90": counted.quantile(0.9),
                   "min": shown["index"].min(), "max": shown["index"].max()},
        "on_net": {name: asdict(index.on_net(settlement)) for name, settlement in comparison.settlements.items()},
        "groups": groups.to_dict("records"),
        "centres": shown[["centre_id", "index", "excess_sek"]].to_dict("records"),
    }


def beside_results(period: Period, cohort: Cohort, comparison: Comparison) -> dict[str, Any]:
    _, not_shown = hidden_centres(comparison, cohort)
    alpha = next(iter(comparison.settlements.values())).cost_responsibility
    return {
        "period": period_dict(period), "totals": totals_dict(cohort, comparison, alpha),
        "models": {name: {"phi": comparison.settlements[name].phi, "spread": without_extremes(
            comparison.spreads[name].measures(), comparison.settlements[name].net_per_month, not_shown[name])}
                   for name in comparison.models},
        "contrasts": [asdict(c) for c in comparison.contrasts],
    }


def incentives_list(conditions: ConditionSet, codes: pd.DataFrame, tables: Mapping[str, AmountTable],
                comparison: Comparison, alpha: float, period: Period) -> list[dict[str, Any]]:
    packs = starter_packs(conditions, codes, tables, {m: s.phi for m, s in comparison.settlements.items()}, alpha,
                          months=6, staircase=_staircase(period.start))
    return packs.astype(object).where(packs.notna(), None).to_dict("records")


def _staircase(day: date) -> facts.FeeStaircase:
    """The staircase of a patient's period that begins on ``day``."""
    return [s for s in facts.fee_staircases() if s.valid_from <= day][-1]


def conditions_list(conditions: ConditionSet, cohort: Cohort) -> list[dict[str, Any]]:
    persons = cohort.persons_holding("dispensed")
    number = {c: int(n) if n >= FEWEST_PERSONS else None for c, n in zip(cohort.conditions, persons, strict=True)}
    return [{
        "name": c.name, "label_sv": c.label("sv"), "label_en": c.label("en"), "theme": c.theme, "atc": list(c.include),
        "exclude": list(c.exclude),
        "rule_sv": conditions.describe(c.name, "sv"), "rule_en": conditions.describe(c.name, "en"),
        "persons": number.get(c.name), "source": c.source,
    } for c in conditions.conditions]


def examples_list(tables: Mapping[str, AmountTable]) -> list[dict[str, Any]]:
    """The worked examples, under every model whose table alone says what a person brings."""
    tables = {name: t for name, t in tables.items()
              if t.pool_threshold is None and t.per_cni is None and t.kind == "condition"}
    found = []
    for who, (age, sex, held) in EXAMPLES.items():
        by_model = {}
        for name, table in tables.items():
            if set(held) - set(table.conditions) and table.conditions:
                continue  # a list of one's own without these conditions
            sv, en = table.explain(age, sex, held, "sv"), table.explain(age, sex, held, "en")
            by_model[name] = {"total": en.total, "parts": [
                {"name": a.name, "label_sv": b.label, "label_en": a.label, "sek": a.sek}
                for a, b in zip(en.parts, sv.parts, strict=True)]}
        found.append({"who": who, "age": age, "sex": sex, "conditions": list(held), "models": by_model})
    return found


def coverage_frame(conditions: ConditionSet, codes: pd.DataFrame) -> pd.DataFrame:
    """Codes and list entries that do not meet; codes that fewer than five persons were dispensed are not named."""
    found = conditions.coverage(codes[["atc", "rows", "cost_sek"]]).to_frame()
    few = codes.loc[codes["persons"] < FEWEST_PERSONS, "atc"]
    found = found[~(found["atc"].isin(few) & found["rows"].notna())]
    return found.assign(cost_sek=found["cost_sek"].round(2)).reset_index(drop=True)


def coverage_dict(conditions: ConditionSet, codes: pd.DataFrame) -> dict[str, Any]:
    coverage = conditions.coverage(codes[["atc", "rows", "cost_sek"]])
    behind = codes.loc[codes["atc"].isin(coverage.unmatched["atc"]), "persons"].max()
    known = codes["cost_sek"].sum() and not behind < FEWEST_PERSONS
    return {"codes": len(codes), "unmatched_codes": len(coverage.unmatched), "several_codes": len(coverage.several),
            "unused_entries": len(coverage.unused), "unmatched_share_of_cost":
            float(coverage.unmatched["cost_sek"].sum() / codes["cost_sek"].sum()) if known else None}


def centres_frame(comparison: Comparison, cohort: Cohort, chance: Chance | None = None) -> pd.DataFrame:
    """centres.csv: one row per centre and model, empty where fewer than five persons could be told of."""
    centres = cohort.centres
    frame = comparison.centres_frame()
    by_id = centres.set_index("centre_id")
    names = by_id["name"] if "name" in by_id else by_id.index.to_series()
    frame.insert(1, "name", frame["centre_id"].map(names))
    frame = frame if chance is None else frame.join(centre_columns(chance, comparison))
    small, not_shown = hidden_centres(comparison, cohort)
    of = pd.DataFrame({"centre_id": cohort.centre_ids, "small": small})
    rows = frame[["centre_id", "model"]].merge(of, on="centre_id", how="left")["small"].to_numpy()
    frame = emptied(frame, rows, NAMES)
    for name, hidden_here in not_shown.items():
        if (pooled := hidden_here & ~small).any():
            at = (frame["model"] == name) & frame["centre_id"].isin(cohort.centre_ids[pooled])
            frame = emptied(frame, at.to_numpy(), OF_THE_LIST)
    return frame


def contributions_frame(comparison: Comparison, tables: Mapping[str, AmountTable], paid: Cohort) -> pd.DataFrame:
    """contributions.csv: what each centre's reimbursement is made of, under the models of :data:`TAKEN_APART`.

    Nothing of a centre whose payment is not shown.
    """
    _, not_shown = hidden_centres(comparison, paid)
    frames = {name: contributions(comparison.settlements[name], tables[name], paid)
              for name in TAKEN_APART if name in tables}
    return pd.concat([frame[~frame["centre_id"].isin(paid.centre_ids[not_shown[name]])]
                      for name, frame in frames.items()], ignore_index=True)
