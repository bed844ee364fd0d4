"""Finding and opening the files of a half-year: Parquet, CSV in any common dress, and workbooks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lakemedelsmodell.data.checks import Border, Source
from lakemedelsmodell.data.columns import TABLES, literal
from lakemedelsmodell.data.tables import HalfYear, admit, new_border
from lakemedelsmodell.errors import DataError, Problem, UserError

OPTIONAL = {"base_drugs"}


def read_half_year(folder: str | Path, *, progress: Callable[[str], Any] | None = None) -> HalfYear:
    """Read and check the tables in ``folder``: centres, persons, listings, dispensings and, where there, base_drugs.

    Parameters
    ----------
    progress : callable, optional
        Called with a few words as the work goes on.

    Raises
    ------
    UserError
        The folder does not exist.
    DataError
        With every problem found: the first 20 of a kind, and how many there are.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder. Name the folder that holds centres, persons, listings and dispensings.")
    border = new_border(progress)
    sources = {}
    for table in TABLES:
        path = folder / f"{table}.parquet"
        if path.exists():
            sources[table] = parquet(path)
    return admit(border, sources)


def parquet(path: Path) -> Source:
    """One Parquet file, or a folder of parts in the order of their names."""
    parts = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    files = "[" + ", ".join(literal(str(p)) for p in parts) + "]"
    label = literal(path.name) if parts == [path] else literal(path.name + "/") + " || parse_filename(filename)"
    return Source(path.name, f"read_parquet({files})",
                  f"(SELECT * EXCLUDE (filename, file_row_number), {label} AS file_, file_row_number + 1 AS row_ "
                  f"FROM read_parquet({files}, filename = true, file_row_number = true))")
