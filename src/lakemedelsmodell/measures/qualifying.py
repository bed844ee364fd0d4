"""What it costs a centre to make somebody qualify for a condition, and amounts that leave no more than so much profit.

An amount that brings more than qualifying costs is bought rather than earned: "drop low-cost groups" (Lamers & van
Vliet 2003), here by degrees.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lakemedelsmodell.conditions import ConditionSet

if TYPE_CHECKING:
    import pandas as pd

MIN_ROWS = 20
"""A code needs this many purchases in the data before a centre could choose its pack."""
FREE_FROM = 0.999
"""Share of the gross price the region has paid where a code never cost a patient anything: öre are rounded."""
HALF_YEAR_DAYS = 183
MAX_RETURN = 2.0
"""Kronor that an amount of the defended version may bring per krona that qualifying costs the centre. Chosen from the
frontier by its rule (docs/manipulation.md)."""


@dataclass(frozen=True, eq=False)
class Catalogue:
    """What one pack of each code is, by the purchases of a period; nan for codes bought too seldom.

    Attributes
    ----------
    codes : tuple of str, length N
    price, ddd : float64, shape (N,)
        Gross SEK (what the region paid where gross prices are not known) and DDD per pack.
    in_base, free : bool, shape (N,)
        Whether most of its rows count as cost; whether it never cost a patient anything.
    """

    codes: tuple[str, ...]
    price: np.ndarray
    ddd: np.ndarray
    in_base: np.ndarray
    free: np.ndarray


@dataclass(frozen=True, eq=False)
class Bundle:
    """The least a centre must have dispensed so that somebody carries a condition: packs of one code on given days.

    ``days`` are counted from the first; ``packs`` is how many on each; ``sek`` the gross price of all.
    """

    code: int
    days: tuple[int, ...]
    packs: tuple[int, ...]
    sek: float


def catalogue(codes: Sequence[str], summary: pd.DataFrame) -> Catalogue:
    """One pack of each code, of sums by code as :func:`~lakemedelsmodell.data.flags.code_summary` gives them."""
    sums = summary.set_index("atc").reindex(list(codes))
    gross = sums["gross_sek"].fillna(sums["cost_sek"]) if sums["gross_sek"].notna().any() else sums["cost_sek"]
    sums = sums.where((sums["positive_rows"] >= MIN_ROWS) & (sums["packages"] > 0) & (gross > 0))
    return Catalogue(tuple(codes), (gross / sums["packages"]).to_numpy(float),
                     (sums["ddd"] / sums["packages"]).to_numpy(float),
                     (sums["base_rows"] / sums["rows"] >= 0.5).to_numpy(),
                     (sums["cost_sek"] >= FREE_FROM * gross).to_numpy())


def cheapest_bundle(conditions: ConditionSet, name: str, shelf: Catalogue) -> Bundle | None:
    """The cheapest way for a centre to qualify somebody by the thresholds of ``conditions``; None where no code will
    do."""
    c = conditions[name]
    if not c.include or c.requires:
        return None
    dates, apart = c.min_dates or 1, c.min_days_apart or 0
    dates = max(dates, 2 if apart else 1)
    days = tuple(round(j * max(apart, dates - 1) / max(dates - 1, 1)) for j in range(dates))
    best: tuple[tuple[float, float, str], Bundle] | None = None
    for code, atc in enumerate(shelf.codes):
        if not c.matches(atc) or not shelf.price[code] > 0:
            continue
        short = c.min_ddd or 0
        if short and not shelf.ddd[code] > 0:
            continue
        packs = max(dates, math.ceil(c.min_packages or 0), math.ceil(short / shelf.ddd[code]) if short else 0)
        each = tuple(packs // dates + (j < packs % dates) for j in range(dates))
        sek = packs * float(shelf.price[code])
        rank = (sek * bool(shelf.in_base[code]), sek, atc)
        if best is None or rank < best[0]:
            best = rank, Bundle(code, days, each, sek)
    return best[1] if best else None


def most_by_price(conditions: ConditionSet, shelf: Catalogue, max_return: float = MAX_RETURN) -> dict[str, float]:
    """The highest cost per listed month (SEK, before α) that an add-on may stand for, by condition.

    With it a flag brings at most ``max_return`` kronor per krona that qualifying costs the centre at the price list,
    for as long as a look-back of twelve months holds the flag: two half-years, or one where the thresholds cannot be
    met within half a year. A condition without a bundle has no bound, one whose bundle the centre does not pay gets 0.
    """
    most = {}
    listed = conditions.under("listed")
    for name in listed.names:
        bundle = cheapest_bundle(listed, name, shelf)
        if bundle is not None:
            months = 12 if bundle.days[-1] < HALF_YEAR_DAYS else 6
            most[name] = max_return * bundle.sek * bool(shelf.in_base[bundle.code]) / months
    return most
