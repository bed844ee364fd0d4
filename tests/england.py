"""Recipes that make real data into totals files, as ``evaluate --totals`` reads them; English, in ../shared/real.

Practices: cost is prescription items in 2018 (no practice's total cost was found), months are 12 × the mean list of
2018. The list by age and sex is that of 1 March 2018, scaled to those months. The index is ASTRO-PU 2013, items. The
flags are the QOF prevalences of six cardiovascular registers in 2023/24 × months, and the covariate is the index of
multiple deprivation 2015. LVSD is left out: it is a part of heart failure. A practice is in when nothing of this is
missing, it issued 1 to 40 items per patient and its list is at least 3 000: what is left out are mostly care homes,
universities and practices that open or close, a few of which would set the SD by themselves.

Areas: items and lists of the practices with 1 to 40 items per patient added up to the 191 clinical commissioning
groups, with their QOF prevalences of the same year. Bands of 15 years, since 191 areas cannot set forty amounts.
"""

from pathlib import Path

import numpy as np
import pandas as pd

REGISTERS = ("AF", "CHD", "HF", "HYP", "PAD", "STIA")
ITEMS_PER_PATIENT = (1, 40)
SEX = {"m": "M", "f": "K"}


def practices(shared: Path, *, smallest: int = 3000) -> pd.DataFrame:
    """One row per practice, 6 registers, deprivation and ASTRO-PU."""
    folder = shared / "real" / "england_gp_2018"
    listed, cells = _lists(folder)
    registers = [f"Prevalence_{r}" for r in REGISTERS]
    raw = listed.merge(pd.read_csv(folder / "gp_qof_cvd_prevalence_2023_24.csv"), on="practice")
    raw = raw.dropna(subset=["imd2015", *registers])
    raw = raw[raw["list_size_2018"] >= smallest]
    months, by_cell = _months(raw, cells)
    units = np.array([_astro_pu(shared)[sex, age] for sex, age in cells])
    flags = {f"flag_{r.lower()}": raw[c] / 100 * months for r, c in zip(REGISTERS, registers, strict=True)}
    ages = [f"age_sex_{sex}_{age}_{'up' if age == 95 else age + 4}" for sex, age in cells]
    return pd.DataFrame({
        "centre_id": raw["practice"], "months": months, "cost": raw["items_2018"],
        **dict(zip(ages, by_cell.T, strict=True)),
        "index_astro_pu": by_cell @ units, **flags, "covariate_deprivation": raw["imd2015"]})


def areas(shared: Path, *, years: int = 15) -> pd.DataFrame:
    """One row per area, 20 registers (all but CVD-PP, whose base is ages 30 to 74)."""
    listed, cells = _lists(shared / "real" / "england_gp_2018")
    sums = listed.groupby("pct")[[*_columns(cells), "items_2018", "list_size_2018"]].sum().reset_index()
    qof = pd.read_csv(shared / "real" / "qof_ccg_2018_19" / "qof_prevalence_ccg_2018_19.csv")
    raw = sums.merge(qof, left_on="pct", right_on="ccg")
    months, by_cell = _months(raw, cells)
    wide = pd.DataFrame(by_cell, columns=[f"age_sex_{sex}_{age // years * years}" for sex, age in cells])
    registers = [c for c in qof if c.startswith("prev_") and c != "prev_CVD-PP"]
    flags = {f"flag_{c.removeprefix('prev_').lower()}": raw[c] / 100 * months for c in registers}
    return pd.DataFrame({"centre_id": raw["ccg"], "months": months, "cost": raw["items_2018"],
                         **wide.T.groupby(level=0, sort=False).sum().T, **flags})


def _lists(folder: Path) -> tuple[pd.DataFrame, list[tuple[str, int]]]:
    """Practices with list, items and factors, and the (sex, first age) of the forty list columns."""
    lists = pd.read_csv(folder / "gp_list_age_sex_2018_03.csv")
    cells = [(SEX[c[0]], int(c[2:].split("_")[0].rstrip("+"))) for c in lists.columns[1:]]
    lists.columns = ["practice", *_columns(cells)]
    listed = lists.merge(pd.read_csv(folder / "gp_items_2018_factors.csv"), on="practice")
    return listed[(listed["items_2018"] / listed["list_size_2018"]).between(*ITEMS_PER_PATIENT)], cells


def _columns(cells: list[tuple[str, int]]) -> list[str]:
    return [f"{sex}{age}" for sex, age in cells]


def _months(raw: pd.DataFrame, cells: list[tuple[str, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Listed months (K,), and by cell (K, 40), scaled to the mean list of the year."""
    months = 12 * raw["list_size_2018"].to_numpy()
    heads = raw[_columns(cells)].to_numpy(float)
    return months, heads / heads.sum(axis=1, keepdims=True) * months[:, None]


def _astro_pu(shared: Path) -> dict[tuple[str, int], float]:
    """ASTRO-PU 2013 (items) of a sex and the first age of a five-year band."""
    table = pd.read_csv(shared / "real" / "astro_pu" / "astro_pu_2013.csv")
    starts = table["age_band"].str.extract(r"(\d+)")[0].astype(int).to_numpy()
    ages = range(0, 100, 5)
    row = np.searchsorted(starts, ages, side="right") - 1
    return {(sex, age): table[column].iloc[r] for sex, column in (("M", "items_male"), ("K", "items_female"))
            for age, r in zip(ages, row, strict=True)}
