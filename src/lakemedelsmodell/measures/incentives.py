"""What a model pays for, before anyone behaves: power of three shocks, switches, and what a flag costs to trigger.

Power Π = 1 − ΔR/(αΔC) (after Geruso & McGuire 2016): the share of a further krona of drugs that the centre bears
itself. A switch of drug within a group and more DDD for a flagged person must have Π = 1; a new person crossing the
flag has Π < 1, and where Π < 0 the flag pays more than it costs to trigger. :func:`starter_packs` is the first word in
closed form, without the others' fees; :func:`triggers` takes ΔB from the persons that a pack could be given to.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lakemedelsmodell.amounts import AmountTable
from lakemedelsmodell.conditions import Condition, ConditionSet
from lakemedelsmodell.facts import FeeStaircase
from lakemedelsmodell.measures.qualifying import FREE_FROM, MIN_ROWS
from lakemedelsmodell.palette import PROPOSAL_COLOUR, TODAY_COLOUR

if TYPE_CHECKING:
    from matplotlib.axes import Axes

@dataclass(frozen=True)
class _Pack:
    """One pack of a code: SEK gross, its DDD, how much of its rows is in the base (0 to 1), free to the patient."""

    atc: str | None = None
    price: float = np.nan
    ddd: float = np.nan
    base_share: float = np.nan
    free: bool = False


def starter_packs(conditions: ConditionSet, codes: pd.DataFrame, tables: Mapping[str, AmountTable],
                  phi: Mapping[str, float], cost_responsibility: float, *, months: float = 6,
                  staircase: FeeStaircase | None = None) -> pd.DataFrame:
    """Per condition and model: one pack of the cheapest qualifying drug against what the flag pays.

    Parameters
    ----------
    conditions : the condition set of the models' add-ons
    codes : per ATC code in the data: atc, packages, ddd, cost_sek, gross_sek (nan if unknown), rows, base_rows,
        positive_rows
    tables : model → AmountTable
    phi : model → factor that closes to the budget
    cost_responsibility : α in (0, 1]
    months : listed months the flag is paid for
    staircase : the patient's fees; None when the region pays the gross price

    Returns
    -------
    DataFrame, one row per condition and model
        atc: the code whose pack costs the centre least; pack_price_sek (gross, or what the region paid where the
        gross price is unknown); cost_if_ceiling_reached_sek: the centre's cost for a person who pays no more fees
        this year; cost_first_purchase_sek: for a person who has bought nothing else (nan when the gross price is
        unknown; a code that never cost a patient anything, as insulin, is free here too); flag_pays_sek: φ b L, 0
        where one pack does not raise the flag or the model has no add-on; gain_sek, gain_first_purchase_sek: pay less
        either cost; return_per_krona: pay over cost with the ceiling reached (nan when that is 0); break_even_ddd:
        DDD at which drug cost equals φ b L.
    """
    packs = {name: min(_packs(conditions[name], codes), default=_Pack(),
                       key=lambda p: (p.price * p.base_share, p.price, p.atc)) for name in conditions.names}
    gross_known = codes["gross_sek"].notna().all()
    rows = []
    for name, pack in packs.items():
        borne = cost_responsibility * pack.base_share
        at_ceiling = borne * pack.price
        fee = float(staircase.patient_fee(pack.price)) if staircase and not pack.free else 0.0
        first = borne * (pack.price - fee) if gross_known or not staircase else np.nan
        for model, table in tables.items():
            add_on = float(table.paid_add_ons[table.conditions.index(name)]) if name in table.conditions else 0.0
            held_pays = phi[model] * add_on * months
            counts = _one_pack_flags(conditions.under(table.rule)[name], table.rule, pack)
            pays = held_pays if counts else 0.0
            per_ddd = at_ceiling / pack.ddd if pack.ddd > 0 else np.nan
            rows.append({
                "condition": name, "model": model, "atc": pack.atc, "pack_price_sek": pack.price,
                "cost_if_ceiling_reached_sek": at_ceiling, "cost_first_purchase_sek": first,
                "flag_pays_sek": pays if pack.atc else np.nan, "gain_sek": pays - at_ceiling,
                "gain_first_purchase_sek": pays - first,
                "return_per_krona": pays / at_ceiling if at_ceiling > 0 else np.nan,
                "break_even_ddd": held_pays / per_ddd if add_on and per_ddd > 0 else np.nan,
            })
    return pd.DataFrame(rows)


def _packs(condition: Condition, codes: pd.DataFrame) -> list[_Pack]:
    """What one pack is of each of the condition's codes that a centre could choose."""
    usable = codes[(codes["positive_rows"] >= MIN_ROWS) & (codes["packages"] > 0) & codes["atc"].map(condition.matches)]
    priced = usable["gross_sek"].fillna(usable["cost_sek"]) / usable["packages"]
    ddd, base_share = usable["ddd"] / usable["packages"], usable["base_rows"] / usable["rows"]
    free = usable["cost_sek"] >= FREE_FROM * usable["gross_sek"]
    return [_Pack(*pack) for pack in zip(usable["atc"], priced, ddd, base_share, free, strict=True) if pack[1] > 0]


def _one_pack_flags(condition: Condition, rule: str | None, pack: _Pack) -> bool:
    """Whether one pack on one day makes an unflagged person carry the condition."""
    if condition.requires or pack.atc is None or not condition.matches(pack.atc):
        return False
    alone = (condition.min_dates or 1) == 1 and not condition.min_days_apart and (condition.min_packages or 1) <= 1
    return rule == "dispensed" or (alone and (condition.min_ddd is None or pack.ddd >= condition.min_ddd))


# What a flag costs to trigger -----------------------------------------------------------------------------------------

LONGEST_FILL = 90
"""At most so many DDD on one date: a fill may not last longer."""


@dataclass(frozen=True)
class Series:
    """The cheapest dispensings that make an unflagged person carry a condition under one rule.

    Attributes
    ----------
    condition, rule : str
    atc : str or None
        The code chosen; None where none in the data will do.
    price, ddd, base_share : float
        Of one pack: SEK gross, DDD, how much of its rows is in the base (0 to 1).
    packs : int
    days : tuple of int
        Day of each pack, counted from the first.
    free : bool
        Free of charge to the patient.
    """

    condition: str
    rule: str
    atc: str | None
    price: float
    ddd: float
    base_share: float
    packs: int
    days: tuple[int, ...]
    free: bool

    @property
    def gross_sek(self) -> float:
        return self.packs * self.price


def qualifying_series(conditions: ConditionSet, codes: pd.DataFrame, rule: str) -> list[Series]:
    """Per condition: how to trigger it at the least cost to the centre when the patient pays no more fees.

    Parameters
    ----------
    conditions : ConditionSet
    codes : as for :func:`starter_packs`
    rule : ``dispensed`` (one pack) or ``listed`` (all thresholds)
    """
    return [_cheapest_series(conditions.under(rule)[name], codes, rule) for name in conditions.names]


def _cheapest_series(condition: Condition, codes: pd.DataFrame, rule: str) -> Series:
    found = []
    for pack in _packs(condition, codes):
        days = (0,) if rule == "dispensed" else _days(condition, pack.ddd)
        if days is not None:
            found.append(Series(condition.name, rule, pack.atc, pack.price, pack.ddd, pack.base_share, len(days), days,
                                pack.free))
    nothing = Series(condition.name, rule, None, np.nan, np.nan, np.nan, 0, (), False)
    return min(found, key=lambda s: (s.gross_sek * s.base_share, s.gross_sek, s.atc), default=nothing)


def _days(condition: Condition, ddd: float) -> tuple[int, ...] | None:
    """Days of the packs of ``ddd`` that meet all thresholds, as close together as may be; None where DDD never will."""
    if condition.min_ddd and not ddd > 0:
        return None
    packs = max(condition.min_dates or 1, math.ceil(condition.min_packages or 1),
                math.ceil((condition.min_ddd or 0) / ddd - 1e-9) if condition.min_ddd else 1)
    dates = max(condition.min_dates or 1, 2 if condition.min_days_apart else 1,
                math.ceil(packs * ddd / LONGEST_FILL - 1e-9) if condition.min_ddd else 1)
    packs = max(packs, dates)
    apart = max(condition.min_days_apart or 0, (dates - 1) * (LONGEST_FILL if dates > 2 else 1))
    step = apart / (dates - 1) if dates > 1 else 0
    return tuple(sorted(math.ceil(step * (i % dates)) for i in range(packs)))


def flags_with(conditions: ConditionSet, flags: np.ndarray, name: str) -> np.ndarray:
    """Flags when one condition more is found in everyone: what it requires must be there, ladders apply.

    ``flags`` is bool, shape (n, ``conditions.names``), as they were read; so is the result. A condition that others are
    made of does not make them here.
    """
    column = {other: i for i, other in enumerate(conditions.names)}
    holds = np.ones(len(flags), dtype=bool)
    for other in conditions[name].requires:
        holds &= flags[:, column[other]] if other in column else False
    for other in conditions[name].yields_to:
        if other in column:
            holds &= ~flags[:, column[other]]
    after = flags.copy()
    after[:, column[name]] |= holds
    for lower in conditions.conditions:
        if name in lower.yields_to and lower.name in column:
            after[:, column[lower.name]] &= ~after[:, column[name]]
    return after


def pay_change(table: AmountTable, cell: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Change in what the table pays per listed month when flags change, SEK before φ, shape (n,)."""
    return table.per_month(cell, after) - table.per_month(cell, before)


@dataclass(frozen=True, eq=False)
class Tried:
    """One series given to a sample of persons who could be given it.

    Attributes
    ----------
    series : Series
    cell : int64, shape (n,)
    flags : bool, shape (n, C)
        Under the series' rule, as read.
    region_sek : float64, shape (n,)
        ΔB: change in the region's cost of base drugs over all the person's rows, the fee staircase run again; nan where
        gross prices are not known.
    patient_sek : float64, shape (n,)
        Change in what the person pays.
    centre : int64, shape (n,)
        Row of the centre that lists the person.
    eligible : int
        Unflagged persons of the cells where anyone is flagged, from whom the sample is drawn.
    """

    series: Series
    cell: np.ndarray
    flags: np.ndarray
    region_sek: np.ndarray
    patient_sek: np.ndarray
    centre: np.ndarray
    eligible: int


def triggers(conditions: ConditionSet, tried: Mapping[str, list[Tried]], tables: Mapping[str, AmountTable],
             phi: Mapping[str, float], budget_share: Mapping[str, np.ndarray], cost_responsibility: float, *,
             months: float = 12, effort_sek: float = 0.0) -> pd.DataFrame:
    """Trigger yield G = φ b L (1 − R_k/B) − αΔB − effort and its return per krona, per model and condition.

    Parameters
    ----------
    conditions : of the models' add-ons
    tried : rule → one :class:`Tried` per condition
    tables, phi : per model
    budget_share : model → R_k/B per centre, shape (K,): what the centre pays itself of its own gain
    cost_responsibility : α in (0, 1]
    months : L, listed months that one series pays for. A dispensing lies in the look-backs of two half-years, so 12.
    effort_sek : what it costs the centre besides drugs, SEK per person

    Returns
    -------
    DataFrame: model, condition, rule, atc, packs, gross_sek, persons (eligible), region_sek (mean ΔB), region_se_sek
    (its standard error over the sample), patient_sek, centre_sek (αΔB + effort), pays_sek (mean φ Δpay L (1 − R_k/B);
    ladders, highest-only and counts as the person's other flags have them), gain_sek, return_per_krona (inf where
    nothing is borne), power_new_flag (Π of the shock), share_paid_by_patient (of persons for whom ΔB is 0),
    break_even_ddd (DDD at which αΔB would eat the pay up; inf where more DDD cost the region nothing). Models without
    add-ons have the rule ``dispensed``.
    """
    rows = []
    for model, table in tables.items():
        for one in tried[table.rule or "dispensed"]:
            s = one.series
            row = {"model": model, "condition": s.condition, "rule": s.rule, "atc": s.atc, "packs": s.packs or np.nan,
                   "gross_sek": s.gross_sek if s.atc else np.nan, "persons": one.eligible}
            if s.atc is None or not len(one.cell):
                rows.append(row)
                continue
            added = pay_change(table, one.cell, one.flags, flags_with(conditions, one.flags, s.condition))
            pays = float((phi[model] * added * months * (1 - budget_share[model][one.centre])).mean())
            region = float(one.region_sek.mean())
            bears = cost_responsibility * region
            spent = bears + effort_sek
            rows.append(row | {
                "region_sek": region, "region_se_sek": _standard_error(one.region_sek),
                "patient_sek": float(one.patient_sek.mean()), "centre_sek": spent,
                "pays_sek": pays, "gain_sek": pays - spent, "return_per_krona": _ratio(pays, spent),
                "power_new_flag": 1 - _ratio(pays, bears),
                "share_paid_by_patient": float((one.region_sek < 0.005).mean()) if region == region else np.nan,
                "break_even_ddd": _ratio(pays, bears / (s.packs * s.ddd)) if s.ddd > 0 else np.nan,
            })
    columns = ["model", "condition", "rule", "atc", "packs", "gross_sek", "persons", "region_sek", "region_se_sek",
               "patient_sek", "centre_sek", "pays_sek", "gain_sek", "return_per_krona", "power_new_flag",
               "share_paid_by_patient", "break_even_ddd"]
    return pd.DataFrame(rows, columns=columns)


def _standard_error(x: np.ndarray) -> float:
    return float(x.std(ddof=1) / np.sqrt(len(x))) if len(x) > 1 else np.nan


def _ratio(above: float, below: float) -> float:
    """above/below; infinite where something is had for nothing, nan for nothing of nothing or unknown."""
    if below > 0 or np.isnan(below):
        return above / below
    return math.copysign(np.inf, above) if above else np.nan


# Switches -------------------------------------------------------------------------------------------------------------


def within_group_switches(conditions: ConditionSet, codes: pd.DataFrame, tables: Mapping[str, AmountTable],
                          phi: Mapping[str, float], months: float = 12) -> pd.DataFrame:
    """ΔR of every switch between two codes of one group, as the model's rule reads it, DDD and dates unchanged.

    Returns
    -------
    DataFrame, one row per model and ordered pair of codes in the data: model, condition, from_atc, to_atc,
    reimbursement_sek (ΔR over ``months``: φ × months × the add-ons of groups left and entered; exactly 0, and Π = 1,
    unless a code belongs to another group too) and power (Π per krona of gross cost saved or spent is 1 − ΔR/(αΔC): 1
    where ΔR is 0, else nan, for it depends on the prices).
    """
    rows = []
    none = np.zeros(1, dtype=np.int64)
    for model, table in tables.items():
        read = conditions.under(table.rule)
        atcs = [a for a in codes["atc"] if any(read[name].matches(a) for name in read.names)]
        member = np.array([[read[name].matches(a) for name in read.names] for a in atcs]).reshape(len(atcs), -1)
        paid = {flags.tobytes(): float(table.per_month(none, flags[None])[0]) for flags in np.unique(member, axis=0)}
        for c, name in enumerate(read.names):
            inside = np.flatnonzero(member[:, c])
            for i in inside:
                for j in inside:
                    if i != j:
                        change = paid[member[j].tobytes()] - paid[member[i].tobytes()]
                        rows.append((model, name, atcs[i], atcs[j], phi[model] * months * change,
                                     1.0 if change == 0 else np.nan))
    return pd.DataFrame(rows, columns=["model", "condition", "from_atc", "to_atc", "reimbursement_sek", "power"])


def cross_group_switches(names: tuple[str, ...], pays_sek: np.ndarray, price_per_ddd: np.ndarray, ddd: np.ndarray,
                         cost_responsibility: float) -> pd.DataFrame:
    """What a centre gains by moving a person's DDD from group c to c′: (b_c′ − b_c)L − α(p_c′ − p_c)q.

    Parameters
    ----------
    names : groups, length C
    pays_sek : φ b L, SEK per person, shape (C,)
    price_per_ddd : p, what the region pays, SEK per DDD, shape (C,)
    ddd : q, DDD of a user of the group that is left, shape (C,)
    cost_responsibility : α

    Returns
    -------
    DataFrame from (rows) × to (columns), SEK per person; 0 on the diagonal, nan where a price or amount is unknown.
    """
    p = cost_responsibility * np.asarray(price_per_ddd, dtype=float)
    gain = np.subtract.outer(-np.asarray(pays_sek), -np.asarray(pays_sek)) * 1.0
    gain = gain + (p[:, None] - p[None, :]) * np.asarray(ddd, dtype=float)[:, None]
    return pd.DataFrame(gain, index=pd.Index(names, name="from"), columns=pd.Index(names, name="to"))


# All of it ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Incentives:
    """What each model pays for, model by model and group by group, before anyone behaves.

    Attributes
    ----------
    triggers : DataFrame
        As :func:`triggers`.
    within : DataFrame
        As :func:`within_group_switches`.
    across : mapping from model to DataFrame
        As :func:`cross_group_switches`.
    cost_responsibility : float
    """

    triggers: pd.DataFrame
    within: pd.DataFrame
    across: Mapping[str, pd.DataFrame]
    cost_responsibility: float

    def to_frame(self) -> pd.DataFrame:
        """One row per model and condition: the triggers with the power of the other two shocks.

        ``power_price_switch`` (1 where every switch within the group changes nothing, nan where one does),
        ``power_more_ddd`` (1: what a flagged person is paid for does not depend on DDD) and ``power_at_threshold`` (Π
        of the pack that lifts a person over the rule's thresholds, nan where one pack is all it takes).
        """
        key = ["model", "condition"]
        switch = self.within.groupby(key)["power"].agg(lambda p: p.min(skipna=False)).rename("power_price_switch")
        found = self.triggers.merge(switch.reset_index(), on=key, how="left")
        pack = self.cost_responsibility * found["region_sek"] / found["packs"]
        last = 1 - found["pays_sek"] / pack.where(pack > 0)
        return found.assign(power_more_ddd=np.where(found["atc"].notna(), 1.0, np.nan),
                            power_at_threshold=last.where(found["packs"] > 1))

    def neutral(self) -> bool:
        """Whether no switch within any group changes the reimbursement under any model."""
        return bool((self.within["reimbursement_sek"] == 0).all())

    def plot(self, model: str = "chronic", *, labels: Mapping[str, str] | None = None, ax: Axes | None = None) -> Axes:
        """Which groups pay more than they cost to trigger: a line from what the centre bears to what the flag pays."""
        import matplotlib.pyplot as plt

        shown = self.triggers[self.triggers["model"] == model].dropna(subset=["gain_sek"]).sort_values("gain_sek")
        axes: Axes = plt.subplots(figsize=(7.4, 1.2 + 0.22 * len(shown)), layout="constrained")[1] if ax is None else ax
        place = np.arange(len(shown))
        cost, pays = shown["centre_sek"].to_numpy(), shown["pays_sek"].to_numpy()
        axes.hlines(place, cost, pays, color=np.where(pays > cost, PROPOSAL_COLOUR, TODAY_COLOUR), lw=1.6, alpha=0.55)
        axes.scatter(cost, place, s=34, facecolors="white", edgecolors=TODAY_COLOUR, linewidths=1.3, zorder=3,
                     label="the centre bears")
        axes.scatter(pays, place, s=34, color=PROPOSAL_COLOUR, marker="D", zorder=3, label="the flag pays")
        axes.set_yticks(place, [(labels or {}).get(name, name) for name in shown["condition"]])
        axes.set(xlabel=f"SEK per person triggered ({model})", xscale="symlog")
        axes.set_xlim(0, 2 * max(1.0, np.nanmax([*cost, *pays], initial=0.0)))
        axes.grid(True, axis="x", color="#d5dbe1")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)
        return axes

    def _repr_html_(self) -> str:
        best = self.triggers.sort_values("gain_sek", ascending=False)
        return best.to_html(index=False, max_rows=20, float_format=lambda v: f"{v:,.2f}")
