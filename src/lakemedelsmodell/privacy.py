"""Whether a folder may be handed on: what in it is of persons, and which cells describe fewer than five of them."""

from __future__ import annotations

import codecs
import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from lakemedelsmodell.errors import DataError, Problem, UserError, names_somebody
from lakemedelsmodell.folders import MANIFEST, file_hashes, is_run_folder
from lakemedelsmodell.measures.groups import FEWEST_PERSONS

OF_PERSONS = ("data", "truth")
"""Folders in which commands keep rows of persons."""
PERSON_COLUMNS = frozenset({"person_id", "lopnr", "personnummer", "birth_month", "birth_date", "birth_year"})
COUNTS = frozenset({"persons", "users"})
"""Columns and keys that count persons."""
OF_AUDIT = "observed"
"""What audit.csv calls its counts of persons."""
TABLES = frozenset({".csv", ".txt", ".tsv"})


def check_anonymity(folder: Path) -> list[Problem]:
    """Everything in a folder that speaks against handing it on; empty where nothing was found.

    Looks at rows of persons (by folder and by column, Parquet and workbooks included), at counts of one to four
    persons in tables and JSON, and in every text and name for what could be a personal number. What it cannot look
    into speaks against, unless the manifest beside it tells that this package wrote it. It knows what this package
    writes; of files of other origin it cannot say that they are safe.

    Raises UserError where there is no such folder.
    """
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}.")
    return [problem for path in sorted(p for p in folder.rglob("*") if p.is_symlink() or not p.is_dir())
            for problem in _of_file(path, path.relative_to(folder))]


def _of_file(path: Path, name: Path) -> Iterator[Problem]:
    file, suffix = name.as_posix(), path.suffix.lower()
    if names_somebody(file):
        yield Problem(file, "its name holds what could be a personal number", "Rename it.")
    if path.is_symlink() or not path.is_file():
        yield Problem(file, "is no file of its own, but a link or a device", "Leave it out.")
    elif name.parts[0] in OF_PERSONS and len(name.parts) > 1:
        yield Problem(file, f"{name.parts[0]}/ holds rows of persons", "Leave the folder out.")
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
    elif (text := _text(path)) is not None:
        yield from _of_text(file, text)
    elif not _of_this_package(path):
        yield Problem(file, "cannot be looked into, and may hold rows of persons", "Leave the file out.")


def _text(path: Path) -> str | None:
    """What a file says in an encoding that tables come in; None where it is no text."""
    raw = path.read_bytes()
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return raw.decode("utf-16", "replace")
    if b"\0" in raw:
        return None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace") if path.suffix.lower() in TABLES else None


def _of_this_package(path: Path) -> bool:
    """Whether the manifest beside a file says that a command wrote it, these very bytes: a PDF or a picture."""
    try:
        outputs = json.loads((path.parent / MANIFEST).read_text(encoding="utf-8"))["outputs"]
        return is_run_folder(path.parent) and outputs[path.name] == file_hashes(path)[path.name]
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _of_columns(file: str, columns: Iterable[str]) -> Iterator[Problem]:
    if found := sorted(PERSON_COLUMNS & {column.strip().lower() for column in columns}):
        yield Problem(file, f"has a row for each person (column {', '.join(found)})", "Leave the file out.")


def _of_table(file: str, path: Path) -> Iterator[Problem]:
    text = _text(path)
    if text is None:
        yield Problem(file, "cannot be read as text", "Leave the file out.")
        return
    first = text.partition("\n")[0]
    rows = csv.reader(text.splitlines(), delimiter=max(",;\t|", key=first.count))
    try:
        yield from _of_rows(file, next(rows, []), rows)
    except csv.Error:
        yield Problem(file, "cannot be read as a table", "Leave the file out.")
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
        name, rows = f"{file}/{sheet.title}", list(sheet.iter_rows(values_only=True))
        while len(rows) > 1 and sum(cell is not None for cell in rows[0]) < 2:  # a heading above the table
            del rows[0]
        yield from _of_rows(name, rows[0] if rows else (), rows[1:])
        yield from _of_text(name, "\n".join(" ".join(str(cell) for cell in row if cell is not None) for row in rows))


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
