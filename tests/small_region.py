"""Two identical centres with a handful of patients of every kind, to play on by hand."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np

from half_years import half_year
from lakemedelsmodell.data.tables import HalfYear
from lakemedelsmodell.manipulation.board import Board
from lakemedelsmodell.manipulation.designs import Design
from lakemedelsmodell.manipulation.play import Gain, play
from lakemedelsmodell.manipulation.region import Region, Terms
from lakemedelsmodell.manipulation.strategies import Strategy

START, END = date(2024, 7, 1), date(2026, 6, 30)

PATIENTS = [  # kind, persons per centre, ATC, SEK and DDD a fill, first day, last day, days between fills
    ("oral", 14, "A10BA02", 100, 90, START, END, 90),
    ("other_oral", 6, "A10BB12", 130, 90, START, END, 90),
    ("insulin", 6, "A10AC01", 600, 90, START, END, 90),
    ("doac", 6, "B01AF02", 1500, 90, START, END, 90),
    ("epilepsy", 6, "N03AX09", 400, 90, START, END, 90),
    ("pain", 3, "N03AX16", 300, 90, START, END, 90),
    ("once", 3, "B01AF02", 1500, 90, date(2025, 3, 3), date(2025, 3, 3), 90),
    ("begins", 3, "A10AC01", 600, 90, date(2025, 7, 10), END, 90),
    ("stopped", 3, "A10BA02", 100, 90, START, date(2024, 12, 20), 60),
    ("dear", 2, "A16AX10", 30_000, 90, START, END, 90),
    ("well", 90, None, 0, 0, START, END, 0),
    ("old_well", 18, None, 0, 0, START, END, 0),
]
OLD = ("dear", "old_well")


def small_region(**columns) -> HalfYear:
    """The data; without gross prices the region pays every krona, so that costs can be told by hand."""
    persons, listings, rows = [], [], []
    for centre in ("A", "B"):
        for kind, number, atc, sek, ddd, first, last, every in PATIENTS:
            for i in range(number):
                person = f"{centre}_{kind}_{i:02d}"
                persons.append((person, "K", "1930-05" if kind in OLD else "1960-05", None))
                listings.append((person, centre, "2020-01-01", None))
                day = first + timedelta(days=2 * i)
                while atc and day <= max(last, first + timedelta(days=2 * i)):
                    rows.append((person, day, atc, 1, ddd, sek))
                    day += timedelta(days=every)
    return half_year(rows, persons=persons, listings=listings, **columns)


def board_of(data: HalfYear) -> Board:
    return Board(Region.of(data))


def played(board: Board, design: Design, strategy: Strategy, effort: float = 1.0, by: str = "one") -> Gain:
    """One strategy's gain under one design. With two centres a gamer dilutes its own budget: keep the effort low."""
    terms: Terms = board.region.terms(design)
    found = play(board, terms, strategy, strategy.outcome(board, terms), [effort], noise_floor=1.0)
    return next(g for g in found if g.played_by == by)


def kinds(board: Board) -> np.ndarray:
    """What kind of patient each of the board's persons is."""
    ids = board.region.half_year.persons.order_by("person").to_pandas()["person_id"]
    return np.array([str(ids[p])[2:-3] for p in board.person])


DESIGNS = '''
[[design]]
name = "today"
conditions = false
[[design]]
name = "proposal"
[[design]]
name = "low_pool"
listed = true
pool_threshold = 10000
'''
"""Three designs as a file of them."""
