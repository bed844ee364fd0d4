"""A first word on manipulation, in closed form: what one starter pack costs a centre and what its flag pays.

The trigger yield of the method without effort: φ b L against α ΔB, where ΔB is what the region pays for one
pack of the cheapest drug that qualifies. A centre's own share of the budget (R_k/B, well below a per cent for
most) is left out, so the yield is overstated by that share.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lakemedelsmodell.amounts import AmountTable
from lakemedelsmodell.conditions import Condition, ConditionSet
from lakemedelsmodell.facts import FeeStaircase

MIN_ROWS = 20
"""A code needs this many purchases in the data before its pack counts as one that a centre could choose."""


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
    packs = {name: _cheapest(conditions[name], codes) for name in conditions.names}
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
            pays = held_pays if _one_pack_flags(conditions[name], table.rule, pack.ddd) else 0.0
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


def _cheapest(condition: Condition, codes: pd.DataFrame) -> _Pack:
    """The pack that costs the centre least among the condition's codes."""
    usable = codes[(codes["positive_rows"] >= MIN_ROWS) & (codes["packages"] > 0) & codes["atc"].map(condition.matches)]
    priced = usable["gross_sek"].fillna(usable["cost_sek"]) / usable["packages"]
    ddd, base_share = usable["ddd"] / usable["packages"], usable["base_rows"] / usable["rows"]
    free = usable["cost_sek"] >= 0.999 * usable["gross_sek"]  # öre are rounded
    packs = [_Pack(*pack) for pack in zip(usable["atc"], priced, ddd, base_share, free, strict=True) if pack[1] > 0]
    return min(packs, key=lambda p: (p.price * p.base_share, p.price, p.atc), default=_Pack())


def _one_pack_flags(condition: Condition, rule: str | None, ddd: float) -> bool:
    """Whether one pack on one day makes an unflagged person carry the condition."""
    if condition.requires:
        return False
    alone = (condition.min_dates or 1) == 1 and not condition.min_days_apart and (condition.min_packages or 1) <= 1
    return rule == "dispensed" or (alone and (condition.min_ddd is None or ddd >= condition.min_ddd))
