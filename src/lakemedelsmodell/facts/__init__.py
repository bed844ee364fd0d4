"""Dated published values and starting values, each with its unit, source and confidence.

Every table is a CSV beside this file, described in ``sources.toml``; every row a reader returns carries ``valid_from``,
``source`` and ``confidence``. Units of the columns: :func:`about`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from lakemedelsmodell.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from lakemedelsmodell.facts.tables import About, DrugGroup, Marker

BAND_FROM: tuple[int, ...] = tuple(range(0, 101, 5))
"""First age of each of the 21 five-year bands; the last is 100 and older."""

BAND_LABELS: tuple[str, ...] = ("0-04", *(f"{a:02d}-{a + 4:02d}" for a in BAND_FROM[1:-1]), ">100")
"""As the region prints them."""

SEXES: tuple[str, str] = ("K", "M")
"""Women (kvinnor) and men (män), in the order of every array's sex axis."""

N_CELLS = len(BAND_FROM) * len(SEXES)


def about(table: str) -> About:
    """Title of the packaged table ``table``, the unit of its numbers by column (a profile's by its prefix), and date,
    source and confidence where they hold for the whole table.
    """
    from lakemedelsmodell.facts import tables

    return tables.about()[table]


@cache
def _frame(table: str) -> pd.DataFrame:
    import pandas as pd

    from lakemedelsmodell.facts import tables

    rows = [row.model_dump() for row in tables.read_rows(table, tables.ROW_MODELS[table])]
    for row in rows:
        for name in [name for name in row if name in tables.PROFILES]:
            cells = row.pop(name) or (np.nan,) * len(tables.PROFILE_CELLS)
            row |= {f"{name}_{cell}": value for cell, value in zip(tables.PROFILE_CELLS, cells, strict=True)}
    return pd.DataFrame(rows)


def read(table: str) -> pd.DataFrame:
    """The packaged table ``table`` as a frame of its own, one row per line, unknown = missing."""
    return _frame(table).copy()


def profile(frame: pd.DataFrame, name: str) -> np.ndarray:
    """Columns ``name``_K_0-9 … ``name``_M_90+ of a fact table, float64, shape (rows, 2 sexes, 10 ten-year bands)."""
    from lakemedelsmodell.facts import tables

    columns = [f"{name}_{cell}" for cell in tables.PROFILE_CELLS]
    return frame[columns].to_numpy(dtype=np.float64).reshape(len(frame), len(SEXES), len(tables.PROFILE_BANDS))


def published_years() -> tuple[int, ...]:
    """Years whose age and sex table is packaged."""
    return tuple(sorted(set(_frame("age_sex_table")["year"])))


def published_year(day: date) -> int:
    """Year of the table that holds on ``day``: its own year's, or the nearest packaged one."""
    return min(max(day.year, published_years()[0]), published_years()[-1])


def age_sex_table(year: int) -> pd.DataFrame:
    """The published amounts of ``year``, SEK per listed month, 21 age bands × 2 sexes.

    Columns year, sex, age_from, age_to (missing for 100 and older), age_band, sek_per_month, cost_responsibility,
    valid_from, unit, source, confidence; 42 rows by age, then sex. UserError for a year that is not packaged.
    """
    if year not in published_years():
        known = ", ".join(map(str, published_years()))
        raise UserError(f"There is no published table for {year}. Choose one of {known}.")
    frame = read("age_sex_table").query("year == @year").sort_values(["age_from", "sex"], ignore_index=True)
    frame["age_to"] = frame["age_to"].astype("Int64")
    frame["age_band"] = np.array(BAND_LABELS)[frame["age_from"] // 5]
    frame["unit"] = about("age_sex_table").units["sek_per_month"]
    return frame[["year", "sex", "age_from", "age_to", "age_band", "sek_per_month", "cost_responsibility",
                  "valid_from", "unit", "source", "confidence"]]


def cost_responsibility(day: date) -> float:
    """Share of its patients' drug cost a centre carries on ``day``; the first known share holds before its date too."""
    known = _frame("cost_responsibility")
    before = known.loc[known["valid_from"] <= day, "cost_responsibility"]
    return float(before.iloc[-1] if len(before) else known["cost_responsibility"].iloc[0])


@dataclass(frozen=True)
class FeeStaircase:
    """What a patient pays of the gross cost of her drugs within one 12-month period of her own.

    Attributes
    ----------
    valid_from : date
        Holds for periods that began on this day or later, until the next staircase.
    steps : tuple of (up_to_gross_sek, patient_share)
        Share of each krona of gross cost up to that sum in the period. The last share goes on until ``cap_sek`` is
        paid: the printed end of the last step and the cap agree to within two kronor, and the cap decides.
    cap_sek : int
        Most a patient pays in a period, SEK.
    source, confidence : str
    """

    valid_from: date
    steps: tuple[tuple[int, float], ...]
    cap_sek: int
    source: str
    confidence: str

    def __post_init__(self) -> None:
        shares = [share for _, share in self.steps]
        if shares != sorted(shares, reverse=True):
            raise ValueError(f"the patient's share must fall from step to step, not {shares}")

    def patient_fee(self, cumulative_gross: np.ndarray | float) -> np.ndarray:
        """SEK the patient has paid when gross cost in the period has reached ``cumulative_gross`` SEK; same shape."""
        gross = np.asarray(cumulative_gross, dtype=np.float64)
        ends = [up_to for up_to, _ in self.steps[:-1]]
        parts = [share * (np.minimum(gross, high) - np.minimum(gross, low))
                 for low, high, (_, share) in zip([0, *ends], [*ends, np.inf], self.steps, strict=True)]
        return np.minimum(np.sum(parts, axis=0), self.cap_sek)


@cache
def fee_staircases() -> tuple[FeeStaircase, ...]:
    """The staircases of the packaged law, by the day a patient's period began, oldest first."""
    from lakemedelsmodell.facts import tables

    rows = tables.read_rows("fee_staircases", tables.FeeStep)
    by_date = [list(steps) for _, steps in groupby(rows, key=lambda row: row.valid_from)]
    return tuple(FeeStaircase(
        valid_from=first.valid_from, cap_sek=first.cap_sek, source=first.source, confidence=first.confidence,
        steps=tuple((s.up_to_gross_sek, s.patient_share_percent / 100) for s in (first, *rest)),
    ) for first, *rest in by_date)


def listed_population() -> pd.DataFrame:
    """Population and listed persons of Skåne, 31 December 2024, by five-year band and sex; 42 rows."""
    return read("listed_population")


def drug_groups() -> tuple[DrugGroup, ...]:
    """The 44 drug groups that together hold all drugs, the last of them everything else."""
    from lakemedelsmodell.facts import tables

    return tables.read_rows("drug_groups", tables.DrugGroup)


def markers() -> tuple[Marker, ...]:
    """The drug groups that serve as conditions, with labels, theme and thresholds."""
    from lakemedelsmodell.facts import tables

    return tables.read_rows("markers", tables.Marker)


def substances() -> pd.DataFrame:
    """264 level-5 ATC codes: share of their drug group's DDD and fills, prices, packs, whether in the base."""
    return read("substances")


def diseases() -> pd.DataFrame:
    """45 latent diseases; prevalence by :func:`profile` of ``prev_per_1000``."""
    return read("diseases")


def disease_drugs() -> pd.DataFrame:
    """Drug groups by disease: ``p_treat`` × profile ``mod``; disease ``background``: profile ``bg_per_1000``."""
    return read("disease_drugs")


def cost_calibration() -> pd.DataFrame:
    """Gross cost per user and year of each drug group, before (``old_cost``) and after (``new_cost``) calibration."""
    return read("cost_calibration")


def age_cost_factors() -> pd.DataFrame:
    """Factor on every gross cost at six ages, log-linear between and constant beyond them."""
    return read("age_cost_factors")
