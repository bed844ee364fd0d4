"""Cohorts built straight from arrays, and amounts by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lakemedelsmodell.amounts import AmountTable
from lakemedelsmodell.data.cohort import Cohort
from lakemedelsmodell.facts import BAND_FROM, SEXES


def cohort(centre, cost, *, flags=None, months=6.0, band=12, sex=1, person=None, weight=None, fit_cost=None,
           n_centres=None, conditions=None) -> Cohort:
    """A cohort of len(cost) rows; scalars hold for every row. ``flags`` hold under both rules."""
    cost = np.asarray(cost, dtype=float)
    n = len(cost)
    centre = np.broadcast_to(np.asarray(centre, dtype=np.int32), n)
    flags = np.zeros((n, 0), dtype=bool) if flags is None else np.asarray(flags, dtype=bool).reshape(n, -1)
    K = int(centre.max()) + 1 if n_centres is None else n_centres
    return Cohort(
        centres=pd.DataFrame({"centre_id": [f"c{k:05d}" for k in range(K)]}), period=None,
        person=np.arange(n) if person is None else np.asarray(person), centre=centre,
        sex=np.broadcast_to(np.asarray(sex, dtype=np.uint8), n),
        band=np.broadcast_to(np.asarray(band, dtype=np.uint8), n),
        months=np.broadcast_to(np.asarray(months, dtype=float), n), cost=cost,
        conditions=tuple(f"condition{c}" for c in range(flags.shape[1])) if conditions is None else conditions,
        flags={"dispensed": flags, "listed": flags},
        weight=None if weight is None else np.asarray(weight, dtype=float),
        fit_cost=None if fit_cost is None else np.asarray(fit_cost, dtype=float),
    )


def random_cohort(seed: int, *, n: int = 400, n_centres: int = 7, n_flags: int = 4, weighted: bool = False) -> Cohort:
    """Every centre and many cells listed, uneven months, some movers, costs that the flags raise."""
    rng = np.random.default_rng(seed)
    flags = rng.random((n, n_flags)) < rng.uniform(0.05, 0.4, n_flags)
    months = rng.integers(1, 7, n).astype(float)
    cost = np.round(months * (rng.exponential(40, n) + flags @ np.linspace(-60, 200, n_flags)).clip(min=0), 2)
    return cohort(
        np.concatenate([np.arange(n_centres), rng.integers(0, n_centres, n - n_centres)]), cost,
        flags=flags, months=months, band=rng.integers(0, 21, n), sex=rng.integers(0, 2, n),
        person=np.sort(rng.integers(0, n * 3 // 4, n)),
        weight=rng.uniform(0.5, 3, n) if weighted else None)


def table(cell=100.0, add_ons=(), *, model="by hand", conditions=None) -> AmountTable:
    """The same amount in every cell (or a (21, 2) array), and add-ons under the rule ``dispensed``."""
    conditions = tuple(f"condition{c}" for c in range(len(add_ons))) if conditions is None else conditions
    return AmountTable(model, np.broadcast_to(np.asarray(cell, dtype=float), (len(BAND_FROM), len(SEXES))).copy(),
                       conditions, np.asarray(add_ons, dtype=float), rule="dispensed" if conditions else None)
