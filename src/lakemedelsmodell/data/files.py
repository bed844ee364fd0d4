"""Finding and opening the files of a half-year: Parquet, CSV in any common dress, and workbooks."""

from __future__ import annotations

import codecs
import csv
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, time
from pathlib import Path
from typing import Any

from lakemedelsmodell.data.checks import SHOWN, Border, Source
from lakemedelsmodell.data.columns import STAND_INS, TABLES, literal, quote
from lakemedelsmodell.data.tables import HalfYear, admit, new_border
from lakemedelsmodell.errors import DataError, Problem, UserError

OPTIONAL = {"base_drugs"}
TEXT_SUFFIXES = (".csv", ".txt", ".tsv")
SEPARATORS = {";": "semicolons", ",": "commas", "\t": "tabs", "|": "bars"}
BLOCK = 1 << 24


def read_half_year(folder: str | Path, *, progress: Callable[[str], Any] | None = None) -> HalfYear:
    """Read and check the tables in ``folder``: centres, persons, listings, dispensings and, where there, base_drugs.

    Each is a CSV, a Parquet file or folder of parts, or a workbook (or a sheet of its name in one workbook);
    ``columns.toml`` maps names of one's own onto the columns. The folder of a run will do for its ``data``.

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
        raise UserError(f"{folder} is no folder. Name the one that holds centres, persons, listings and dispensings.")
    if not any(_candidates(folder, table) for table in TABLES) and (folder / "data").is_dir():
        folder = folder / "data"
    border = new_border(progress)
    renamed, promised = _own_names(folder / "columns.toml", border)
    sources = {}
    for table in TABLES:
        try:
            source = _open(folder, table, border)
        except DataError as error:
            border.form += error.problems
            continue
        if source:
            sources[table] = replace(source, renamed=renamed[table], promised=promised[table])
    return admit(border, sources)


def _candidates(folder: Path, table: str) -> list[Path]:
    suffixes = (".parquet", ".xlsx", *TEXT_SUFFIXES)
    return sorted(p for p in folder.iterdir() if p.stem.lower() == table
                  and (p.suffix.lower() in suffixes or p.is_dir() and any(p.rglob("*.parquet"))))


def _open(folder: Path, table: str, border: Border) -> Source | None:
    paths = _candidates(folder, table)
    if len(paths) > 1:
        raise DataError(Problem(table, f"is there more than once: {', '.join(p.name for p in paths)}",
                                "Keep one of them in the folder."))
    if not paths:
        return _sheet_of_one_workbook(folder, table, border)
    return open_file(paths[0], table, border)


def open_file(path: Path, table: str, border: Border) -> Source:
    """One table from a CSV, a workbook's first sheet, a Parquet file or a folder of Parquet parts."""
    if path.suffix.lower() in TEXT_SUFFIXES:
        return _delimited(path, table, border)
    return _workbook(path, None, table, border) if path.suffix.lower() == ".xlsx" else _parquet(path, border)


def _sheet_of_one_workbook(folder: Path, table: str, border: Border) -> Source | None:
    import openpyxl

    for path in sorted(folder.glob("*.xlsx")):
        try:
            names = {name.strip().lower(): name for name in openpyxl.load_workbook(path, read_only=True).sheetnames}
        except Exception:  # another table's broken workbook is named where that table is opened
            continue
        if table in names:
            return _workbook(path, names[table], table, border)
    if table in OPTIONAL:
        return None
    raise DataError(Problem(table, "the table is missing", f"Put {table}.csv, {table}.parquet or {table}.xlsx into "
                            f"{folder.name or 'the folder'}."))


def _parquet(path: Path, border: Border) -> Source:
    """One Parquet file, or a folder of parts in the order of their names."""
    parts = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    source = _parts(parts, path.name)
    try:
        border.sql(f"DESCRIBE SELECT * FROM {source.scan}")
    except Exception as error:
        raise DataError(Problem(path.name, "cannot be read as Parquet", "Write the file anew; all parts must have the "
                                "same columns.", value=str(error).splitlines()[0][:120])) from None
    return source


def _parts(parts: list[Path], name: str) -> Source:
    files = "[" + ", ".join(literal(str(p)) for p in parts) + "]"
    label, options = literal(name), ""
    if len(parts) > 1:  # a column may be all null, and so without a type, in some parts
        label, options = literal(name + "/") + " || parse_filename(filename)", ", union_by_name = true"
    return Source(name, f"read_parquet({files}{options})",
                  f"(SELECT * EXCLUDE (filename, file_row_number), {label} AS file_, file_row_number + 1 AS row_ "
                  f"FROM read_parquet({files}{options}, filename = true, file_row_number = true))")


# CSV


def _delimited(path: Path, table: str, border: Border) -> Source:
    """A CSV as text columns in a scratch Parquet, so that it is split once only."""
    if not path.stat().st_size:
        raise DataError(Problem(path.name, "the file is empty", "Put a header and at least one row into it."))
    readable, encoding = _as_utf8(path, border.scratch)
    with readable.open(encoding="utf-8-sig", newline="") as file:
        header = file.readline()
    separator = max(SEPARATORS, key=lambda s: sum(c == s for c in _unquoted(header)))
    target = border.scratch / f"{table}_text.parquet"
    border.sql("DROP TABLE IF EXISTS reject_errors; DROP TABLE IF EXISTS reject_scans")
    try:
        border.sql(f"COPY (SELECT * FROM read_csv({literal(str(readable))}, all_varchar = true, header = true, "
                   f"delim = {literal(separator)}, quote = '\"', escape = '\"', auto_detect = false, "
                   f"columns = {_as_columns(header, separator)}, null_padding = false, "
                   f"store_rejects = true, rejects_limit = 0)) TO {literal(str(target))} (FORMAT parquet)")
    except Exception as error:
        raise DataError(Problem(path.name, "cannot be read as CSV", "Write one row a line, and text that holds the "
                                "separator in double quotes.", value=str(error).splitlines()[0][:120])) from None
    rejected = border.sql("SELECT DISTINCT line, csv_line FROM reject_errors ORDER BY line")
    border.form += [
        Problem(path.name, "the line has not as many values as the header",
                f"Separate values by {SEPARATORS[separator]}, and put text that holds one in double quotes.", line - 1,
                value=text[:80], count=len(rejected) if first == 0 else 1)
        for first, (line, text) in enumerate(rejected[:SHOWN])]
    return replace(_parts([target], path.name), comma_separated=separator == ",", whole=not rejected,
                   notes=(f"{encoding}, separated by {SEPARATORS[separator]}",))


def _unquoted(line: str) -> Iterator[str]:
    inside = False
    for c in line:
        inside ^= c == '"'
        if not inside:
            yield c


def _as_columns(header: str, separator: str) -> str:
    """The header as DuckDB's struct of column types, all text; names given twice get a number."""
    names: list[str] = []
    for name in next(csv.reader([header.rstrip("\r\n")], delimiter=separator)):
        name = name.strip() or "column"
        names.append(name if name not in names else f"{name}_{len(names) + 1}")
    return "{" + ", ".join(f"{quote(name)}: 'VARCHAR'" for name in names) + "}"


def _as_utf8(path: Path, scratch: Path) -> tuple[Path, str]:
    """The file itself where it is UTF-8, else a copy of it that is, and the name of its encoding."""
    with path.open("rb") as file:
        start = file.read(4)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _transcoded(path, scratch, "utf-16"), "UTF-16"
    try:
        for _ in _decoded(path, "utf-8"):
            pass
    except UnicodeDecodeError:
        return _transcoded(path, scratch, "cp1252"), "Windows-1252 (cp1252)"
    return path, "UTF-8 with BOM" if start.startswith(codecs.BOM_UTF8) else "UTF-8"


def _transcoded(path: Path, scratch: Path, encoding: str) -> Path:
    target = scratch / f"{path.stem}_utf8.csv"
    with target.open("w", encoding="utf-8", newline="") as out:
        try:
            for text in _decoded(path, encoding):
                out.write(text)
        except UnicodeDecodeError as error:
            out.flush()
            row = target.read_bytes().count(b"\n") + error.object[:error.start].count(b"\n")
            raise DataError(Problem(path.name, "the file is neither UTF-8 nor Windows-1252 text",
                                    "Save it as CSV UTF-8.", row or None,
                                    value=f"byte {error.object[error.start]:#04x}")) from None
    return target


def _decoded(path: Path, encoding: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            if encoding != "utf-16" and 0 in block:
                raise DataError(Problem(path.name, "the file is not text", "Save it as CSV UTF-8."))
            yield decoder.decode(block)
        yield decoder.decode(b"", final=True)


# Workbooks


def _workbook(path: Path, sheet: str | None, table: str, border: Border) -> Source:
    """A sheet (the first where none is named) as text columns in a scratch Parquet; blank rows are passed over."""
    import openpyxl
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except Exception:
        raise DataError(Problem(path.name, "cannot be read as a workbook", "Save it anew as .xlsx.")) from None
    rows = (book[sheet] if sheet else book.worksheets[0]).iter_rows(values_only=True)
    header = [str(value).strip() if value is not None else f"column_{i}" for i, value in enumerate(next(rows, ()))]
    if not header:
        raise DataError(Problem(path.name, "the sheet is empty", "Put a header and at least one row into it."))
    numbered = [(i, row) for i, row in enumerate(rows, 1) if any(value is not None for value in row)]
    columns = {name: pa.array([_cell(row[c]) for _, row in numbered], pa.string()) for c, name in enumerate(header)}
    target = border.scratch / f"{table}_text.parquet"
    pq.write_table(pa.table(columns | {"row_": pa.array([i for i, _ in numbered], pa.int64())}), target)
    scan = f"read_parquet({literal(str(target))})"
    label = f"{path.name}, sheet {sheet}" if sheet else path.name
    return Source(label, f"(SELECT * EXCLUDE row_ FROM {scan})", f"(SELECT *, {literal(label)} AS file_ FROM {scan})")


def _cell(value: Any) -> str | None:
    """A cell as text, as it would stand in an international CSV."""
    match value:
        case None:
            return None
        case bool():
            return str(value).lower()
        case datetime() if value.time() == time():
            return value.date().isoformat()
        case float() if value.is_integer():
            return str(int(value))
    return str(value)


# Names of one's own


def _own_names(path: Path, border: Border) -> tuple[dict[str, dict[str, str]], dict[str, frozenset[str]]]:
    """Own column name -> canonical name per table from columns.toml, and which of them the table must have.

    ``lopnr = "person_id"`` under ``[dispensings]``, or above all tables for whichever has it; the other way round
    does too, since only one side is a name the table knows.
    """
    renamed: dict[str, dict[str, str]] = {table: {} for table in TABLES}
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig")) if path.exists() else {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        border.form.append(Problem(path.name, f"is not TOML: {error}", 'Write lines such as lopnr = "person_id".'))
        content = {}
    common = {name: target for name, target in content.items() if not isinstance(target, dict)}
    border.form += [Problem(path.name, "is no table", f"Use {', '.join(TABLES)}.", value=name)
                    for name in content if name not in common and name not in TABLES]
    promised = {}
    for table, columns in TABLES.items():
        known = {c.name for c in columns} | {alias for c in columns for alias, _ in STAND_INS.get(c.name, ())}
        section = content.get(table, {})
        for name, target in {**common, **section}.items():
            own, canonical = (target, name) if name in known and target not in known else (name, target)
            if canonical in known:
                # the register's forpddd is DDD per package, whichever of the two it is called here
                renamed[table][own] = "ddd_per_package" if own.lower() == "forpddd" else canonical
            elif name in section:
                border.form.append(Problem(path.name, f"neither is a column of {table}", "Use one of "
                                           f"{', '.join(sorted(known))}.", column=name, value=str(target)))
        promised[table] = frozenset({*section, *map(str, section.values())} & renamed[table].keys())
    return renamed, promised
