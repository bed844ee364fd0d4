"""The amount table: kronor per listed month, the one thing every payable model ends as."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

import numpy as np


@dataclass(frozen=True)
class AmountTable:
    """Kronor per listed month: one amount per age band × sex, one add-on per condition.

    Attributes
    ----------
    model : str
        Name of the model that set it (``age_sex_published``, ``chronic`` …).
    cells : float64, shape (21, 2)
        SEK per listed month by age band and sex (column 0 = K, 1 = M); nan where nobody was there to
        set it (unknown is never 0).
    conditions : tuple of str, length C
    add_ons : float64, shape (C,)
        SEK per listed month added for each condition held.
    rule : str or None
        The flag rule the add-ons go with ("dispensed" or "listed"); None without add-ons.
    condition_set : str or None
    valid_from : date or None
    source : str
        What the amounts were set from: the region's document, or the period fitted on.
    """

    model: str
    cells: np.ndarray
    conditions: tuple[str, ...] = ()
    add_ons: np.ndarray = field(default_factory=lambda: np.zeros(0))
    rule: str | None = None
    condition_set: str | None = None
    valid_from: date | None = None
    source: str = ""
