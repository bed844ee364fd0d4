"""Whether a folder may be handed on: what in it is of persons, and which cells describe fewer than five of them."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from lakemedelsmodell.errors import DataError, Problem, UserError, names_somebody
from lakemedelsmodell.measures.groups import FEWEST_PERSONS

OF_PERSONS = ("data", "truth")
"""Folders in which commands keep rows of persons."""
PERSON_COLUMNS = frozenset({"person_id", "lopnr", "personnummer", "birth_month", "birth_date", "birth_year"})
COUNTS = frozenset({"persons", "users"})
"""Columns and keys that count persons."""
OF_AUDIT = "observed"
"""What audit.csv calls its counts of persons."""
TABLES = frozenset({".csv", ".txt", ".tsv"})
UNREADABLE = frozenset({".duckdb", ".db", ".ddb", ".pkl", ".pickle", ".feather", ".arrow"})
AS_TEXT = frozenset({".html", ".svg", ".md", ".log", ".toml"})


def check_anonymity(folder: Path) -> list[Problem]:
    """Everything in a folder that speaks against handing it on; empty where nothing was found.

    Looks at rows of persons (by folder and by column, Parquet and workbooks included), at counts of one to four
    persons in tables and JSON, and in every text for what could be a personal number. It knows what this package
    writes; of files of other origin it cannot say that they are safe.

    Raises UserError where there is no such folder.
    """
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}.")
    return [problem for path in sorted(p for p in folder.rglob("*") if p.is_file())
            for problem in _of_file(path, path.relative_to(folder))]


def _of_file(path: Path, name: Path) -> Iterator[Problem]:
    file, suffix = name.as_posix(), path.suffix.lower()
    if name.parts[0] in OF_PERSONS and len(name.parts) > 1:
        yield Problem(file, f"{name.parts[0]}/ holds rows of persons", "Leave the folder out.")
    elif suffix in UNREADABLE:
        yield Problem(file, "may hold rows of persons and cannot be looked into", "Leave the file out.")
    elif suffix == ".parquet":
        import pyarrow.parquet as pq

        try:
            columns = pq.read_schema(path).names
        except (OSError, ValueError):
            yield Problem(file, "cannot be read", "Leave the file out.")
            return
        yield from _of_columns(file, columns)
    elif suffix in TABLES:
        yield from _of_table(file, path)
    elif suffix == ".json":
        yield from _of_json(file, path)
    elif suffix == ".xlsx":
        yield from _of_workbook(file, path)
    elif suffix in AS_TEXT:
        yield from _of_text(file, path.read_text(encoding="utf-8", errors="replace"))


def _of_columns(file: str, columns: Iterable[str]) -> Iterator[Problem]:
    if found := sorted(PERSON_COLUMNS & {column.strip().lower() for column in columns}):
        yield Problem(file, f"has a row for each person (column {', '.join(found)})", "Leave the file out.")


def _of_table(file: str, path: Path) -> Iterator[Problem]:
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    first = text.partition("\n")[0]
    rows = csv.reader(text.splitlines(), delimiter=max(",;\t", key=first.count))
    yield from _of_rows(file, next(rows, []), rows)
    yield from _of_text(file, text)


def _of_rows(file: str, head: Sequence[Any], rows: Iterable[Sequence[Any]]) -> Iterator[Problem]:
    columns = [str(column or "") for column in head]
    yield from _of_columns(file, columns)
    counted = [i for i, column in enumerate(columns)
               if column in COUNTS or column == OF_AUDIT and Path(file).stem == "audit"]
    few = [(number, i) for number, row in enumerate(rows, 1) for i in counted if i < len(row) and _too_few(row[i])]
    if few:
        number, i = few[0]
        yield Problem(file, f"tells of fewer than {FEWEST_PERSONS} persons", "Leave the file out.", number, columns[i],
                      count=len(few))


def _of_json(file: str, path: Path) -> Iterator[Problem]:
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        found = list(_small(json.loads(text)))
    except (ValueError, RecursionError):
        yield Problem(file, "cannot be read as JSON", "Leave the file out.")
        return
    if found:
        yield Problem(file, f"tells of fewer than {FEWEST_PERSONS} persons", "Leave the file out.", None, found[0],
                      count=len(found))
    yield from _of_text(file, text)


def _small(value: Any, place: str = "") -> Iterator[str]:
    """Places of counts of one to four persons."""
    if isinstance(value, dict):
        for key, of in value.items():
            inside = f"{place}.{key}" if place else key
            if (key in COUNTS or place.endswith("left_out")) and not key.endswith("_sek") and _too_few(of):
                yield inside
            else:
                yield from _small(of, inside)
    elif isinstance(value, list):
        for i, of in enumerate(value):
            yield from _small(of, f"{place}[{i}]")


def _of_workbook(file: str, path: Path) -> Iterator[Problem]:
    from lakemedelsmodell.data.files import _book

    try:
        book = _book(path)
    except DataError as error:
        yield from error.problems
        return
    for sheet in book.worksheets:
        rows = sheet.iter_rows(values_only=True)
        yield from _of_rows(f"{file}/{sheet.title}", next(rows, ()), rows)


def _of_text(file: str, text: str) -> Iterator[Problem]:
    hits = [number for number, line in enumerate(text.splitlines(), 1) if names_somebody(line)]
    if hits:
        yield Problem(file, "has what could be a personal number", "Look at the line, and leave it out.", hits[0],
                      count=len(hits))


def _too_few(value: Any) -> bool:
    try:
        return 0 < float(value) < FEWEST_PERSONS
    except (TypeError, ValueError):
        return False
