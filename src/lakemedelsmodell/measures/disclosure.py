"""What may not be shown, because fewer than five persons stand behind it or could be told from a total.

Every total is taken as known. What is hidden of its parts therefore never is one part alone: beside those of too few
persons one of enough persons is hidden too, and nobody can tell what of their sum is whose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lakemedelsmodell.data.cohort import Cohort
from lakemedelsmodell.measures.comparison import Comparison
from lakemedelsmodell.measures.groups import FEWEST_PERSONS
from lakemedelsmodell.settlement import pooled_cost


def hidden(persons: np.ndarray) -> np.ndarray:
    """Which parts of a known total are hidden, bool: those of one to four persons, and with them the next smallest.

    A part of nobody is shown.
    """
    few: np.ndarray = (persons > 0) & (persons < FEWEST_PERSONS)
    if few.any() and (enough := persons >= FEWEST_PERSONS).any():
        few[np.where(enough, persons, np.iinfo(np.int64).max).argmin()] = True
    return few


def hidden_groups(names: Sequence[str], persons: np.ndarray, everyone: int) -> np.ndarray:
    """Which named groups of persons are hidden, bool.

    Groups of one family (``age:60-64``, ``age:65-69``) share out everyone; so do a group and all those not in it.
    """
    families = np.array([name.partition(":")[0] for name in names])
    rest = everyone - persons
    found: np.ndarray = ((persons > 0) & (persons < FEWEST_PERSONS)) | ((rest > 0) & (rest < FEWEST_PERSONS))
    for family in np.unique(families):
        found[families == family] |= hidden(persons[families == family])
    return found


def persons_by_centre(cohort: Cohort, rows: np.ndarray | None = None) -> np.ndarray:
    """Distinct persons listed at each centre, among rows given as a mask, shape (K,)."""
    person, centre = (cohort.person, cohort.centre) if rows is None else (cohort.person[rows], cohort.centre[rows])
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
            paid = small | hidden(persons_by_centre(cohort, pooled_cost(cohort, table.pool_threshold) > 0))
        by_model[name] = paid
    return small, by_model
