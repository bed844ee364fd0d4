"""Dated published values and starting values, each with its unit, source and confidence."""

from __future__ import annotations

BAND_FROM: tuple[int, ...] = tuple(range(0, 101, 5))
"""First age of each of the 21 five-year bands; the last is 100 and older."""

BAND_LABELS: tuple[str, ...] = (*(f"{a:02d}-{a + 4:02d}" for a in BAND_FROM[:-1]), ">100")
"""As the region prints them."""

SEXES: tuple[str, str] = ("K", "M")
"""Women (kvinnor) and men (män), in the order of every array's sex axis."""

N_CELLS = len(BAND_FROM) * len(SEXES)
