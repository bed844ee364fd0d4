"""What may not be shown, because fewer than five persons stand behind it or could be told from a total.

Every total is taken as known. What is hidden of its parts therefore never is one part alone: beside those of too few
persons one of enough persons is hidden too, and nobody can tell what of their sum is whose.

A payment must be shown and add up to the öre, and so what is hidden of it is known as a sum: there parts are merged,
:data:`FEWEST_AMOUNTS` of them at least.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lakemedelsmodell.data.cohort import Cohort
from lakemedelsmodell.measures.groups import FEWEST_PERSONS
from lakemedelsmodell.settlement import pooled_cost

if TYPE_CHECKING:
    from lakemedelsmodell.measures.comparison import Comparison

FEWEST_AMOUNTS = 5
"""What is merged of a centre's payment is at least so many amounts. Several models' rows give several equations in the
same months: with fewer amounts they could be solved for one of them."""


NAMES = ("centre_id", "name", "model")
"""Columns of centres.csv that tell nothing of a centre's persons."""
MONTHS_OF_FEW = 12 * FEWEST_PERSONS
"""Listed months below which fewer than five persons may stand, were they listed a whole year."""


def is_few(persons: np.ndarray) -> np.ndarray:
    """Where there are one to four persons, bool."""
    return (persons > 0) & (persons < FEWEST_PERSONS)


def hidden(persons: np.ndarray) -> np.ndarray:
    """Which parts of a known total are hidden, bool: those of one to four persons, and with them the next smallest.

    A part of nobody is shown.
    """
    few = is_few(persons)
    if few.any() and (enough := persons >= FEWEST_PERSONS).any():
        few[np.where(enough, persons, np.iinfo(np.int64).max).argmin()] = True
    return few


def hidden_by_months(months: np.ndarray) -> np.ndarray:
    """:func:`hidden` where persons were never counted: what has fewer than :data:`MONTHS_OF_FEW` listed months."""
    return hidden(months * (FEWEST_PERSONS / MONTHS_OF_FEW))


def merged(persons: np.ndarray, least: int = FEWEST_AMOUNTS, also: np.ndarray | None = None) -> np.ndarray:
    """Which entries of a table (K, J) of persons are merged within their row, bool (K, J).

    In a row with an entry of one to four persons, and in those of ``also`` (K,): all such entries, and then the
    smallest of the others until there is one of them and ``least`` entries in all (or nothing is left). And so many
    more that in no column fewer than five persons are merged: the column's sum, less what is shown, would tell of them.
    """
    few = is_few(persons)
    rows = few.any(axis=1) if also is None else few.any(axis=1) | also
    found = few
    while True:
        wanted = np.where(rows, np.maximum(few.sum(axis=1) + 1, least), 0)
        left = np.where((persons > 0) & ~found, persons, np.iinfo(np.int64).max)
        rank = np.argsort(np.argsort(left, axis=1, kind="stable"), axis=1, kind="stable")
        short = np.maximum(wanted - found.sum(axis=1), 0)
        found = found | ((rank < short[:, None]) & (persons > 0) & ~found)
        open_ = (persons > 0) & ~found
        columns = np.flatnonzero(is_few(np.where(found, persons, 0).sum(axis=0)) & open_.any(axis=0))
        if not len(columns):
            return found
        for j in columns:
            found[np.where(open_[:, j], persons[:, j], np.iinfo(np.int64).max).argmin(), j] = True
        rows = found.any(axis=1)


def hidden_groups(names: Sequence[str], persons: np.ndarray, everyone: int) -> np.ndarray:
    """Which named groups of persons are hidden, bool.

    Groups of one family (``age:60-64``, ``age:65-69``) share out everyone; so do a group and all those not in it.
    """
    families = np.array([name.partition(":")[0] for name in names])
    rest = everyone - persons
    found = is_few(persons) | is_few(rest)
    for family in np.unique(families):
        found[families == family] |= hidden(persons[families == family])
    return found


def persons_by_centre(cohort: Cohort, rows: np.ndarray | slice | None = None) -> np.ndarray:
    """Distinct persons listed at each centre, shape (K,); among rows given as a mask or ascending, or all (None)."""
    if rows is None:
        return cohort.once("persons by centre", lambda: persons_by_centre(cohort, slice(None)))
    person, centre = cohort.person[rows], cohort.centre[rows]
    first = (np.diff(person, prepend=-1) != 0) | (np.diff(centre, prepend=-1) != 0)  # a person's rows lie together
    return np.bincount(centre[first], minlength=cohort.n_centres)


def hidden_centres(comparison: Comparison, cohort: Cohort) -> tuple[np.ndarray, Mapping[str, np.ndarray]]:
    """Centres of which nothing is shown, and by model those of which its payment is not shown, bool, shape (K,).

    What a centre gets for age and sex follows from its list, which is shown. Where a pool pays for one to four persons
    the rest of the payment would be what these cost.
    """
    small = hidden(persons_by_centre(cohort))
    by_model = {}
    for name in comparison.models:
        table, paid = comparison.tables.get(name), small
        if table is not None and table.pool_threshold is not None:
            paid = small | hidden(_persons_pooled(cohort, table.pool_threshold))
        by_model[name] = paid
    return small, by_model


def _persons_pooled(cohort: Cohort, threshold: float) -> np.ndarray:
    """Distinct persons at each centre for whom a pool pays, shape (K,), found once."""
    return cohort.once(f"persons by centre above {threshold}",
                       lambda: persons_by_centre(cohort, pooled_cost(cohort, threshold) > 0))


def emptied(frame: pd.DataFrame, rows: np.ndarray, keep: Sequence[str]) -> pd.DataFrame:
    """The frame with nothing but the columns of ``keep`` told in the rows of a mask; a truth value may be unknown."""
    frame = frame.astype(dict.fromkeys(frame.select_dtypes(bool), object))
    frame.loc[rows, [c for c in frame if c not in keep]] = None
    return frame


def without_extremes(measures: dict[str, float], net: np.ndarray, not_shown: np.ndarray) -> dict[str, float]:
    """A spread's lowest and highest of the centres that may be shown; its other measures are of all."""
    if not not_shown.any():
        return measures
    shown = net[~not_shown & ~np.isnan(net)]
    return measures | {"min": shown.min(initial=np.inf), "max": shown.max(initial=-np.inf)}
