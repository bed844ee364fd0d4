"""What fewer than five persons stand behind is merged, so that a payment can be shown and still adds up to the öre.

What a centre is paid must be known to the öre, and so the part that is merged is known too. It therefore always holds
at least :data:`FEWEST_AMOUNTS` components, one of them with persons enough, and no sum over the centres gives away what
a single centre's row hides.
"""

from __future__ import annotations

import numpy as np

from lakemedelsmodell.measures.contributions import FEWEST_AMOUNTS
from lakemedelsmodell.measures.groups import FEWEST_PERSONS


def merged(persons: np.ndarray, least: int = FEWEST_AMOUNTS) -> np.ndarray:
    """Which entries of a table (K, J) of persons are merged within their row, bool (K, J).

    In a row with an entry of one to four persons: all such entries, and then the smallest of the others until there is
    one of them and ``least`` entries in all (or nothing is left). And so many more that in no column fewer than five
    persons are merged: the column's sum, less what is shown, would tell of them.
    """
    hidden = _in_rows(persons, _few(persons), least)
    while True:
        behind = np.where(hidden, persons, 0).sum(axis=0)
        columns = np.flatnonzero((behind > 0) & (behind < FEWEST_PERSONS))
        open_ = (persons > 0) & ~hidden
        columns = columns[open_[:, columns].any(axis=0)]
        if not len(columns):
            return hidden
        for j in columns:
            hidden[np.where(open_[:, j], persons[:, j], np.iinfo(np.int64).max).argmin(), j] = True
        hidden = _in_rows(persons, hidden, least)


def _few(persons: np.ndarray) -> np.ndarray:
    return (persons > 0) & (persons < FEWEST_PERSONS)


def _in_rows(persons: np.ndarray, hidden: np.ndarray, least: int) -> np.ndarray:
    """``hidden`` and the smallest other entries of its rows."""
    wanted = np.where(hidden.any(axis=1), np.maximum(_few(persons).sum(axis=1) + 1, least), 0)
    short = np.maximum(wanted - hidden.sum(axis=1), 0)
    rank = np.argsort(np.argsort(np.where((persons > 0) & ~hidden, persons, np.iinfo(np.int64).max), axis=1,
                                 kind="stable"), axis=1, kind="stable")
    return hidden | ((rank < short[:, None]) & (persons > 0) & ~hidden)
