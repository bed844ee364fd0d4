"""A cohort of one's own: a reduced table, one row per person × centre, from a file."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd

from lakemedelsmodell.data.cohort import Cohort
from lakemedelsmodell.data.columns import Column, columns
from lakemedelsmodell.data.files import odd_names, open_file
from lakemedelsmodell.data.tables import new_border
from lakemedelsmodell.errors import SHOWN, DataError, Problem, UserError
from lakemedelsmodell.facts import BAND_FROM

COLUMNS = (columns("person_id! person, centre_id! text, age! number, sex! sex, months! number, cost! number, "
                   "weight number, fit_cost number"))
FLAG = "flag_"

REMEDIES = {
    "age": ("is no age", "Write completed years, 0 to 130."),
    "months": ("is no number of listed months", "Write how many months the person was listed, 0 or more."),
    "cost": ("is no cost of one person", "Write the cost in SEK of these months."),
    "weight": ("is no weight", "Write 0 or more, a million at most."),
    "fit_cost": ("is no cost of one person", "Write the cost to fit on in SEK."),
    "person_id": ("the person is there twice at the same centre", "Add the rows up: one for each person and centre."),
}


def read_cohort(path: str | Path) -> Cohort:
    """Read a reduced table: person_id, centre_id, age, sex, months, cost, [weight], [fit_cost] and ``flag_*``.

    The flags stand under the rule ``dispensed``; the cohort has no period. Rows without months or
    weight are counted and left out.

    Raises
    ------
    UserError
        The file does not exist.
    DataError
        With every problem found.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path} does not exist. Name a CSV or Parquet file with one row per person and centre.")
    border = new_border()
    source = open_file(path, "cohort", border)
    names = [name.strip().lower() for name, *_ in border.sql(f"DESCRIBE SELECT * FROM {source.scan}")]
    flags = list(dict.fromkeys(name for name in names if name.startswith(FLAG)))
    border.form += odd_names(path.name, flags)
    border.raise_problems()
    border.tables = {"cohort": COLUMNS + tuple(Column(name, "bool", needed=True, filled=True) for name in flags)}
    with border.damage_told():
        border.read("cohort", source)
        border.raise_problems()
        border.check_table("cohort")
        border.raise_problems()
        there = ["row_", *(c.name for c in COLUMNS if c.name in border.has["cohort"]), *flags]
        frame = border.connection.table("cohort_placed").select(there).order_by("row_").to_pandas()
    _validate(frame, path.name)
    counted = frame["months"] * frame.get("weight", 1) > 0
    if not counted.any():
        raise DataError(Problem(path.name, "nobody has any", "Write how many months each person was listed.",
                                column="months"))
    left_out = int((~counted).sum())
    return _cohort(frame[counted], flags, {"rows_without_months": left_out} if left_out else {})


def _validate(frame: pd.DataFrame, file: str) -> None:
    """Ranges and uniqueness, all at once (eagerly: pandera passes lazy frames unseen)."""
    import pandera.pandas as pa

    finite, cost = pa.Check(np.isfinite, ignore_na=False), pa.Check(lambda x: x.abs() <= 1e10, ignore_na=False)
    kinds = {"age": pa.Column(float, pa.Check.in_range(0, 130)),
             "months": pa.Column(float, [pa.Check.ge(0), finite]), "cost": pa.Column(float, cost),
             "weight": pa.Column(float, pa.Check.in_range(0, 1e6), required=False),
             "fit_cost": pa.Column(float, cost, required=False)}
    try:
        pa.DataFrameSchema(kinds, unique=["person_id", "centre_id"], report_duplicates="exclude_first").validate(
            frame, lazy=True)
    except pa.errors.SchemaErrors as errors:
        cases = errors.failure_cases.assign(column=lambda f: f["column"].where(f["column"].isin(REMEDIES), "person_id"))
        found = sorted({(str(c.column), int(c.index)) for c in cases.itertuples(index=False)})
        problems = []
        for column, group in groupby(found, key=lambda f: f[0]):
            rows = [row for _, row in group]
            problems += [Problem(file, *REMEDIES[column], int(frame["row_"].iloc[row]), column,
                                 str(frame[column].iloc[row]), len(rows) if i == 0 else 1)
                         for i, row in enumerate(rows[:SHOWN])]
        raise DataError(problems) from None


def _cohort(frame: pd.DataFrame, flags: list[str], counts: dict[str, int]) -> Cohort:
    band = np.minimum(frame["age"] // 5, len(BAND_FROM) - 1).astype(np.uint8)
    frame = frame.assign(band=band).sort_values(["person_id", "centre_id", "band"], ignore_index=True)
    centre, centre_ids = pd.factorize(frame["centre_id"], sort=True)
    held = frame[flags].to_numpy(dtype=bool).reshape(len(frame), len(flags))
    optional = {name: frame[name].to_numpy(float) for name in ("weight", "fit_cost") if name in frame}
    return Cohort(
        centres=pd.DataFrame({"centre_id": centre_ids, "name": centre_ids}), period=None,
        person=pd.factorize(frame["person_id"], sort=True)[0].astype(np.int64), centre=centre.astype(np.int32),
        sex=(frame["sex"] == "M").to_numpy(np.uint8), band=frame["band"].to_numpy(),
        months=frame["months"].to_numpy(float), cost=frame["cost"].to_numpy(float),
        conditions=tuple(name.removeprefix(FLAG) for name in flags), flags={"dispensed": held}, counts=counts,
        **optional)
