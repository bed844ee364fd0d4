"""Centre totals from a file: one row per centre, for a region that cannot hand out persons.

Columns
-------
centre_id, months, cost
    Listed months and SEK of the centre's listed persons.
name (optional)
age_sex_*
    Listed months in that age and sex; together they add up to ``months``. Named ``age_sex_K_60_64``,
    ``age_sex_M_95_up`` (bands of five years or several of them) the amounts are those of an amount
    table; any other name does for estimation.
flag_*
    Listed months of persons who carry the condition.
index_*
    A fixed index summed over listed months: weighted units such as ASTRO-PU, or what a published table pays.
covariate_*
    A value of the centre itself, not a sum: its care-need index, 1 for a rural centre.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd

from lakemedelsmodell.data.columns import Column
from lakemedelsmodell.data.files import TEXT_SUFFIXES, odd_names, open_file
from lakemedelsmodell.data.tables import new_border
from lakemedelsmodell.errors import SHOWN, DataError, Problem, UserError

KINDS = ("age_sex", "flag", "index", "covariate")
"""Kinds of design columns; a column is called kind_name."""

NEEDED = (Column("centre_id", "text", needed=True, filled=True), Column("months", "number", needed=True, filled=True),
          Column("cost", "number", needed=True, filled=True), Column("name", "text"))

SUM_TOLERANCE = 1e-3
"""How far the age and sex columns of a centre may be from its months, as a share of them (rounding)."""


@dataclass(frozen=True, eq=False)
class Totals:
    """Sums of K centres, sorted by centre_id; every centre has listed months.

    Attributes
    ----------
    centres : DataFrame, K rows
        ``centre_id`` and ``name``.
    months : float64, shape (K,)
        Listed months.
    cost : float64, shape (K,)
        SEK, whole amount (before cost responsibility).
    names : mapping from each of :data:`KINDS` to its column names without the kind, length p
    columns : mapping from each of :data:`KINDS` to float64, shape (K, p)
        Sums over listed months; for ``covariate`` the centre's own value.
    counts : mapping
        What was left out, by kind.
    found : tuple of str
        What was detected in the file, in sentences.
    """

    centres: pd.DataFrame
    months: np.ndarray
    cost: np.ndarray
    names: Mapping[str, tuple[str, ...]]
    columns: Mapping[str, np.ndarray]
    counts: Mapping[str, int] = field(default_factory=dict)
    found: tuple[str, ...] = ()

    @property
    def centre_ids(self) -> np.ndarray:
        return self.centres["centre_id"].to_numpy()

    def sums(self, kind: str) -> np.ndarray:
        """Design columns of a kind as sums over listed months, shape (K, p)."""
        return self.columns[kind] * self.months[:, None] if kind == "covariate" else self.columns[kind]

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, *, file: str = "totals", found: tuple[str, ...] = ()) -> Totals:
        """Check a frame with the columns of the module; centres without listed months are counted and left out.

        ``file`` is how errors name it; rows are counted from 1, or as the column ``row_`` says.

        Raises
        ------
        DataError
            With every problem found.
        """
        frame = frame.rename(columns=lambda name: str(name).strip().lower()).reset_index(drop=True)
        if problems := list(_missing(frame, file)) or list(_wrong(frame, file)):
            raise DataError(problems)
        listed = (frame["months"] > 0).to_numpy()
        frame = frame[listed].assign(centre_id=frame["centre_id"].astype(str))
        frame = frame.sort_values("centre_id", ignore_index=True)
        name = frame["name"].fillna(frame["centre_id"]) if "name" in frame else frame["centre_id"]
        of_kind = {kind: design_columns(frame, kind) for kind in KINDS}
        return cls(
            centres=pd.DataFrame({"centre_id": frame["centre_id"], "name": name}),
            months=frame["months"].to_numpy(float), cost=frame["cost"].to_numpy(float),
            names={kind: tuple(c.removeprefix(f"{kind}_") for c in columns) for kind, columns in of_kind.items()},
            columns={kind: frame[columns].to_numpy(float).reshape(len(frame), len(columns))
                     for kind, columns in of_kind.items()},
            counts={"centres_without_months": int((~listed).sum())} if not listed.all() else {}, found=found)

    def _repr_html_(self) -> str:
        columns = "; ".join(f"{len(names)} {kind}_*" for kind, names in self.names.items() if names)
        return (f"<b>Totals</b> of {len(self.months):,} centres: {self.months.sum():,.0f} listed months, "
                f"{self.cost.sum() / 1e6:,.1f} MSEK, columns {escape(columns) or 'none'}")


def design_columns(frame: pd.DataFrame, kind: str) -> list[str]:
    """The columns of a kind, in the order of the file."""
    return [name for name in frame.columns if name.startswith(f"{kind}_")]


def read_totals(path: str | Path) -> Totals:
    """Read centre totals from CSV (also with ``;`` and decimal comma), Parquet or XLSX.

    Raises
    ------
    UserError
        The file does not exist.
    DataError
        With every problem found: the first 20 of a kind, and how many there are.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path} does not exist. Name a CSV, Parquet or XLSX file with one row per centre.")
    if path.suffix.lower() not in (*TEXT_SUFFIXES, ".parquet", ".xlsx"):
        raise UserError(f"{path} must end in .csv, .parquet or .xlsx.")
    border = new_border()
    source = open_file(path, "totals", border)
    border.raise_problems()
    names = [name.strip().lower() for name, *_ in border.sql(f"DESCRIBE SELECT * FROM {source.scan}")]
    numbers = list(dict.fromkeys(name for kind in KINDS for name in names if name.startswith(f"{kind}_")))
    border.form += odd_names(path.name, numbers)
    border.raise_problems()
    border.tables = {"totals": NEEDED + tuple(Column(name, "number", needed=True, filled=True) for name in numbers)}
    with border.damage_told():
        border.read("totals", source)
        border.raise_problems()
        border.check_table("totals")
        border.raise_problems()
        columns = ["row_", *(c.name for c in NEEDED if c.name in border.has["totals"]), *numbers]
        frame = border.connection.table("totals_placed").select(columns).order_by("row_").to_pandas()
    found = [said for said in border.found if not said.startswith(f"{path.name}: read ")]  # upper case made lower
    return Totals.from_frame(frame, file=path.name, found=tuple(found))


def _missing(frame: pd.DataFrame, file: str) -> Iterator[Problem]:
    for column in NEEDED:
        if column.needed and column.name not in frame:
            yield Problem(file, "the column is missing",
                          f"Add {column.name}; the columns are {', '.join(frame.columns)}.", column=column.name)
    for name in frame.columns[frame.columns.duplicated()].unique():
        yield Problem(file, "the column is there twice", "Keep one of them.", column=name)
    for name in frame.columns:
        if (name in ("months", "cost") or name.startswith(tuple(f"{kind}_" for kind in KINDS))) and not (
                pd.api.types.is_numeric_dtype(frame[name])):
            yield Problem(file, "the column does not hold numbers", "Write numbers only.", column=name)
    if frame.empty:
        yield Problem(file, "the table is empty", "Put at least one row into it.")


def _wrong(frame: pd.DataFrame, file: str) -> Iterator[Problem]:
    """What cannot be true of a centre: each check is a mask over the rows."""
    months = frame["months"]
    row = frame["row_"] if "row_" in frame else pd.Series(np.arange(1, len(frame) + 1))

    def say(wrong: pd.Series, column: str, values: pd.Series, problem: str, remedy: str) -> Iterator[Problem]:
        rows = np.flatnonzero(wrong.to_numpy())
        for i, k in enumerate(rows[:SHOWN]):
            value = values.iloc[k]
            yield Problem(file, problem, remedy, int(row.iloc[k]), column,
                          None if pd.isna(value) else f"{value:.12g}" if isinstance(value, float) else str(value),
                          len(rows) if i == 0 else 1)

    centre_id = frame["centre_id"]
    yield from say(centre_id.isna(), "centre_id", centre_id, "the value is missing", "Fill it in.")
    yield from say(centre_id.duplicated() & centre_id.notna(), "centre_id", centre_id, "the centre is there twice",
                   "Add the rows up: one for each centre.")
    by_kind = {kind: design_columns(frame, kind) for kind in KINDS}
    for column in ("months", "cost", *(c for columns in by_kind.values() for c in columns)):
        x = frame[column]
        yield from say(x.isna() | np.isinf(x.astype(float)), column, x, "is no finite number",
                       "Fill in the centre's sum.")
        if column not in by_kind["covariate"]:
            yield from say(x < 0, column, x, "a sum over a centre's persons cannot be below 0",
                           "Correct it, or leave the centre out.")
    for column in by_kind["flag"]:
        yield from say(frame[column] > months * (1 + SUM_TOLERANCE), column, frame[column],
                       "more flagged months than listed months",
                       "Write the listed months of persons with the condition, not persons or dispensings.")
    if len(frame) > 3:
        others = [(2 * frame[c] - frame[c].sum()).abs() <= SUM_TOLERANCE * frame[c] for c in ("months", "cost")]
        yield from say(others[0] & others[1] & (months > 0), "centre_id", centre_id, "holds what all other rows hold "
                       "together", "Leave the row of sums out.")
    if by_kind["age_sex"]:
        total = frame[by_kind["age_sex"]].sum(axis=1).astype(float)
        yield from say((total - months).abs() > SUM_TOLERANCE * months, "age_sex_*", total,
                       "the age and sex columns do not add up to months",
                       "Write the listed months in each age and sex; everyone belongs to exactly one column.")
