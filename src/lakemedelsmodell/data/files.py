"""Finding and opening the files of a half-year: Parquet, CSV in any common dress, and workbooks."""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import re
import tomllib
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, time
from pathlib import Path
from typing import Any

from lakemedelsmodell.data.checks import Border, Source, duckdb_errors
from lakemedelsmodell.data.columns import STAND_INS, TABLES, literal, numbered, quote
from lakemedelsmodell.data.tables import HalfYear, admit, new_border
from lakemedelsmodell.errors import SHOWN, DataError, Problem, UserError

OPTIONAL = {"base_drugs"}
TEXT_SUFFIXES = (".csv", ".txt", ".tsv")
SEPARATORS = {";": "semicolons", ",": "commas", "\t": "tabs", "|": "bars"}
BLOCK = 1 << 24

MAX_COLUMNS = 10_000
MAX_HEADER = 1 << 20
"""Bytes of a header; a file beyond this or with more columns holds something else than a table."""

MAX_UNPACKED, MAX_RATIO = 1 << 30, 200
"""Bytes that a workbook may unpack to, and how many times its size: real sheets come to some twenty times."""

MIXED = re.compile(rb"\xc3[\x84\x85\x96\xa4\xa5\xb6\x89\xa9]")
"""ÄÖÅäåöÉé in UTF-8: two signs that no Swedish text in Windows-1252 has side by side."""

LINES = {
    "UNQUOTED VALUE": ("a quote in the line is not closed, or stands inside a value",
                       "Put text in double quotes, and write a quote inside it twice."),
    "LINE SIZE OVER MAXIMUM": ("the line is longer than 2 MB", "Write one row a line, and close every quote."),
}
"""What is said of a line that cannot be split, by DuckDB's name for it; else that its values do not fit the header."""


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
    folder = tables_folder(folder)
    border = new_border(progress)
    renamed, promised = _own_names(folder / "columns.toml", border)
    _name_what_is_not_read(folder, border)
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


def tables_folder(folder: Path) -> Path:
    """Where the tables lie: the folder, or its ``data`` as of a run, whose own centres.csv says what came out."""
    if not (folder / "data").is_dir():
        return folder
    here = any(_candidates(folder, table) for table in ("persons", "listings", "dispensings"))
    return folder if here else folder / "data"


def _candidates(folder: Path, table: str) -> list[Path]:
    suffixes = (".parquet", ".xlsx", *TEXT_SUFFIXES)
    return sorted(p for p in folder.iterdir() if p.stem.lower() == table
                  and (any(p.rglob("*.parquet")) if p.is_dir() else p.suffix.lower() in suffixes))


def _name_what_is_not_read(folder: Path, border: Border) -> None:
    """A second copy or another year's file beside the tables should not be passed over in silence."""
    read = {path for table in TABLES for path in _candidates(folder, table)} | {folder / "columns.toml"}
    left = [p.name for p in sorted(folder.iterdir()) if p not in read and not p.name.startswith(".")
            and p.stem.lower().startswith(tuple(TABLES))]
    if left:
        border.note(folder.name, f"not read {', '.join(left)}")


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
    if not path.is_dir() and not path.stat().st_size:
        raise DataError(Problem(path.name, "the file is empty", "Put a header and at least one row into it."))
    if path.suffix.lower() in TEXT_SUFFIXES:
        return _delimited(path, table, border)
    return _workbook(path, None, table, border) if path.suffix.lower() == ".xlsx" else _parquet(path, border)


def odd_names(file: str, names: Iterable[str]) -> list[Problem]:
    """Problems of columns whose own names go on into results but are not made of letters, digits and _."""
    return [Problem(file, "the column's name has other signs than letters, digits and _", "Rename it.", column=name)
            for name in names if not re.fullmatch(r"\w{1,60}", name)]


def _sheet_of_one_workbook(folder: Path, table: str, border: Border) -> Source | None:
    for path in sorted(folder.glob("*.xlsx")):
        try:
            names = {name.strip().lower(): name for name in _book(path).sheetnames}
        except DataError:  # another table's broken workbook is named where that table is opened
            continue
        if table in names:
            return _workbook(path, names[table], table, border)
    if table in OPTIONAL:
        return None
    near = [p.name for p in sorted(folder.iterdir()) if p.stem.lower().startswith(table)]
    there = f"; {', '.join(near)} {'is' if len(near) == 1 else 'are'} none of these" if near else ""
    raise DataError(Problem(table, "the table is missing", f"Put {table}.csv, {table}.parquet or {table}.xlsx into "
                            f"{folder.name or 'the folder'}{there}."))


def _parquet(path: Path, border: Border) -> Source:
    """One Parquet file, or a folder of parts in the order of their names."""
    parts = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    columns: dict[str, frozenset[str]] = {}
    problems = []
    for part in parts:
        label = part.name if part == path else f"{path.name}/{part.name}"
        try:
            found = border.sql(f"DESCRIBE SELECT * FROM read_parquet({literal(str(part))})")
            columns[label] = frozenset(name.casefold() for name, *_ in found)
        except duckdb_errors():
            problems.append(Problem(label, "cannot be read as Parquet", "Write the file anew: it is empty, was not "
                                    "written to its end, or is something else."))
            continue
        if len(found) > MAX_COLUMNS:
            problems.append(_too_wide(label, len(found)))
    problems += [Problem(f"{path.name}/{again}", f"holds the same bytes as {first}", "Keep one of them in the folder.")
                 for first, again in _same_twice(parts)]
    source = _parts(parts, path.name)
    if not problems:
        try:
            border.sql(f"DESCRIBE SELECT * FROM {source.scan}")
        except duckdb_errors():
            problems.append(Problem(path.name, "the parts hold a column in types that do not go together",
                                    "Write all parts with the same types."))
    if problems:
        raise DataError(problems)
    return replace(source, parts=columns if len(parts) > 1 else {}, damageable=tuple(parts))


def _same_twice(parts: list[Path]) -> Iterator[tuple[str, str]]:
    """Pairs of parts with the same content, found among those of the same size."""
    sizes: dict[int, list[Path]] = defaultdict(list)
    seen: dict[bytes, str] = {}
    for part in parts:
        sizes[part.stat().st_size].append(part)
    for same in sizes.values():
        for part in same if len(same) > 1 else ():
            with part.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").digest()
            if digest in seen:
                yield seen[digest], part.name
            seen.setdefault(digest, part.name)


def _too_wide(file: str, columns: int | str) -> Problem:
    return Problem(file, f"the header holds {columns} columns", f"Keep the columns that are read; there may be "
                   f"{MAX_COLUMNS} at most.")


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
    readable, notes = _as_utf8(path, border.scratch)
    with readable.open(encoding="utf-8-sig", newline="") as file:
        header = file.readline(MAX_HEADER)
        skipped = bool(re.fullmatch(r"sep=.\s*", header))  # written for a spreadsheet
        header = file.readline(MAX_HEADER) if skipped else header
    separator = max(SEPARATORS, key=lambda s: sum(c == s for c in _unquoted(header)))
    names = _names(header, separator)
    if len(header) >= MAX_HEADER or len(names) > MAX_COLUMNS:
        raise DataError(_too_wide(path.name, f"more than {MAX_COLUMNS}"))
    columns = "{" + ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names) + "}"
    target = border.scratch / f"{table}_text.parquet"
    border.sql("DROP TABLE IF EXISTS reject_errors; DROP TABLE IF EXISTS reject_scans")
    try:
        border.sql(f"COPY (SELECT * FROM read_csv({literal(str(readable))}, all_varchar = true, header = true, "
                   f"skip = {int(skipped)}, delim = {literal(separator)}, quote = '\"', escape = '\"', "
                   f"auto_detect = false, columns = {columns}, null_padding = false, "
                   f"store_rejects = true, rejects_limit = 0)) TO {literal(str(target))} (FORMAT parquet)")
    except duckdb_errors() as error:
        if type(error).__name__ in ("IOException", "OutOfMemoryException"):  # of the machine, not of the file
            raise
        raise DataError(Problem(path.name, "cannot be read as CSV", "Write one row a line, and text that holds the "
                                "separator in double quotes.")) from None
    rejected = border.sql("SELECT line, arg_min(error_type::VARCHAR, error_type::VARCHAR) FROM reject_errors "
                          f"GROUP BY line ORDER BY line LIMIT {SHOWN}")
    count = border.sql("SELECT count(DISTINCT line) FROM reject_errors")[0][0]
    fits = ("the line has not as many values as the header", f"Separate values by {SEPARATORS[separator]}, and put "
            "text that holds one in double quotes.")
    border.form += [Problem(path.name, *LINES.get(kind, fits), line - 1 - skipped, count=count if i == 0 else 1)
                    for i, (line, kind) in enumerate(rejected)]
    source = _parts([target], path.name)
    notes = (f"{notes[0]}, separated by {SEPARATORS[separator]}", *notes[1:])
    empty = " AND ".join(f"{quote(name)} IS NULL" for name in names)
    if n := border.sql(f"SELECT count(*) FROM {source.scan} WHERE {empty}")[0][0]:  # spreadsheets leave them at the end
        source = replace(source, scan=f"(SELECT * FROM {source.scan} WHERE NOT ({empty}))",
                         place=f"(SELECT * FROM {source.place} WHERE NOT ({empty}))")
        notes = (*notes, f"{n:,} rows without a value passed over")
    return replace(source, comma_separated=separator == ",", whole=not rejected, notes=notes)


def _unquoted(line: str) -> Iterator[str]:
    inside = False
    for c in line:
        inside ^= c == '"'
        if not inside:
            yield c


def _names(header: str, separator: str) -> list[str]:
    """The names in a header; one without a name or with another's gets a number."""
    try:
        found = next(csv.reader([header.rstrip("\r\n")], delimiter=separator), [])
    except csv.Error:  # a field beyond what the csv module takes
        found = header.rstrip("\r\n").split(separator)
    return numbered(name.strip(" \t\r\n\u00a0\u200b\ufeff") or "column" for name in found)


def _as_utf8(path: Path, scratch: Path) -> tuple[Path, tuple[str, ...]]:
    """The file itself where it is UTF-8 with one kind of line ends, else a copy that is; and what was found."""
    with path.open("rb") as file:
        start = file.read(4)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _transcoded(path, scratch, "utf-16"), ("UTF-16",)
    encoding = "UTF-8 with BOM" if start.startswith(codecs.BOM_UTF8) else "UTF-8"
    ends = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8")(), translate=True)
    try:
        for _ in _decoded(path, ends):
            pass
    except UnicodeDecodeError:
        return _transcoded(path, scratch, "cp1252"), ("Windows-1252 (cp1252)",)
    if isinstance(ends.newlines, tuple):
        return _transcoded(path, scratch, "utf-8"), (encoding, "line ends of several kinds")
    return path, (encoding,)


def _transcoded(path: Path, scratch: Path, encoding: str) -> Path:
    """A copy in UTF-8 with plain line ends."""
    target = scratch / f"{path.stem}_utf8.csv"
    if encoding == "cp1252" and (row := _row_of(MIXED, path)) is not None:
        raise DataError(Problem(path.name, "the file is partly UTF-8 and partly Windows-1252 text",
                                "Save all of it as CSV UTF-8.", row or None))
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(encoding)(), translate=True)
    with target.open("w", encoding="utf-8", newline="") as out:
        try:
            for text in _decoded(path, decoder):
                out.write(text)
        except UnicodeDecodeError as error:
            out.flush()
            row = target.read_bytes().count(b"\n") + error.object[:error.start].count(b"\n")
            what = "the file is not all UTF-16 text" if encoding == "utf-16" else \
                "the file is neither UTF-8 nor Windows-1252 text"
            raise DataError(Problem(path.name, what, "Save it as CSV UTF-8.", row or None,
                                    value=f"byte {error.object[error.start]:#04x}")) from None
    return target


def _row_of(pattern: re.Pattern[bytes], path: Path) -> int | None:
    """The line of the first match, the header being 0."""
    before = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            if found := pattern.search(block):
                return before + block.count(b"\n", 0, found.start())
            before += block.count(b"\n")
    return None


def _decoded(path: Path, decoder: io.IncrementalNewlineDecoder) -> Iterator[str]:
    with path.open("rb") as file:
        final = False
        while not final:
            block = file.read(BLOCK)
            final = not block
            text = decoder.decode(block, final=final)
            if "\0" in text:
                raise DataError(Problem(path.name, "the file is not text", "Save it as CSV UTF-8."))
            yield text


# Workbooks


def _book(path: Path) -> Any:
    """An open workbook, values only, once it is known to unpack to a bearable size."""
    import openpyxl

    try:
        with zipfile.ZipFile(path) as packed:
            unpacked = sum(member.file_size for member in packed.infolist())
        if unpacked > MAX_UNPACKED or unpacked > BLOCK and unpacked > MAX_RATIO * path.stat().st_size:
            raise DataError(Problem(path.name, f"unpacks to {unpacked / 1e6:,.0f} MB, more than any table does",
                                    "Save the table as CSV or Parquet."))
        return openpyxl.load_workbook(path, read_only=True, data_only=True)
    except DataError:
        raise
    except Exception:  # whatever a broken archive or XML makes of it
        raise DataError(Problem(path.name, "cannot be read as a workbook", "Save it anew as .xlsx.")) from None


def _workbook(path: Path, sheet: str | None, table: str, border: Border) -> Source:
    """A sheet (the first where none is named) as text columns in a scratch Parquet; blank rows are passed over."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    label = f"{path.name}, sheet {sheet}" if sheet else path.name
    book = _book(path)
    try:
        page = book[sheet] if sheet else book.worksheets[0]
        first = list(next(page.iter_rows(max_row=1, values_only=True), ()))
        while first and first[-1] is None:
            first.pop()
        header = numbered(str(value).strip() if value is not None else f"column_{i}" for i, value in enumerate(first))
        rows = page.iter_rows(min_row=2, max_col=max(len(header), 1), values_only=True)
        filled = [(i, row) for i, row in enumerate(rows, 1) if any(value is not None for value in row)]
        columns = {name: pa.array([_cell(row[c]) if c < len(row) else None for _, row in filled], pa.string())
                   for c, name in enumerate(header)}
        formulas = list(_formulas(path, page.title, header, dict(filled)))
    except Exception:  # whatever broken XML makes of it
        raise DataError(Problem(label, "cannot be read as a workbook", "Save it anew as .xlsx.")) from None
    if not header:
        raise DataError(Problem(label, "the sheet's first row is empty", "Put the header there, and at least one row "
                                "below it."))
    border.form += [Problem(label, "a formula without a stored value", "Open and save the workbook in a spreadsheet, "
                            "or paste the formulas as values.", row, column, count=len(formulas) if i == 0 else 1)
                    for i, (row, column) in enumerate(formulas[:SHOWN])]
    target = border.scratch / f"{table}_text.parquet"
    pq.write_table(pa.table(columns | {"row_": pa.array([i for i, _ in filled], pa.int64())}), target)
    scan = f"read_parquet({literal(str(target))})"
    return Source(label, f"(SELECT * EXCLUDE row_ FROM {scan})", f"(SELECT *, {literal(label)} AS file_ FROM {scan})")


def _formulas(path: Path, sheet: str, header: list[str], values: dict[int, Any]) -> Iterator[tuple[int, str]]:
    """Row and column of formulas whose value was never stored: programs that compute nothing leave them so."""
    import openpyxl

    with zipfile.ZipFile(path) as packed:
        sheets = [name for name in packed.namelist() if name.startswith("xl/worksheets/")]
        if not any(re.search(rb"<f[ >/]", packed.read(name)) for name in sheets):
            return
    page = openpyxl.load_workbook(path, read_only=True)[sheet]
    for i, row in enumerate(page.iter_rows(min_row=2, max_col=len(header)), 1):
        for name, cell, value in zip(header, row, values.get(i, (None,) * len(row)), strict=False):
            if cell.data_type == "f" and value is None:
                yield i, name


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
    """The names of columns.toml, see :func:`own_names`."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig")) if path.exists() else {}
    except (ValueError, RecursionError) as error:
        border.form.append(Problem(path.name, f"is not TOML: {error}", 'Write lines such as lopnr = "person_id".'))
        content = {}
    return own_names(content, path.name, border)


def own_names(content: Mapping[str, Any], file: str, border: Border
              ) -> tuple[dict[str, dict[str, str]], dict[str, frozenset[str]]]:
    """Own column name -> canonical name per table, and which of them the table must have.

    ``lopnr = "person_id"`` under ``[dispensings]``, or above all tables for whichever has it; the other way round
    does too, since only one side is a name the table knows.
    """
    renamed: dict[str, dict[str, str]] = {table: {} for table in TABLES}
    common = {name: str(target) for name, target in content.items() if not isinstance(target, dict)}
    border.form += [Problem(file, "is no table", f"Use {', '.join(TABLES)}, with lines of columns below each.",
                            value=name) for name in content if (name in common) == (name in TABLES)]
    known = {table: {c.name for c in columns} | {alias for c in columns for alias, _ in STAND_INS.get(c.name, ())}
             for table, columns in TABLES.items()}
    sections = {table: section for table in TABLES if isinstance(section := content.get(table), dict)}
    promised = {}
    for place, section in (("any table", common), *sections.items()):
        names = known.get(place) or set().union(*known.values())
        border.form += [Problem(file, f"neither is a column of {place}", "Use one of "
                                f"{', '.join(sorted(names))}.", column=name, value=str(target))
                        for name, target in section.items()
                        if name not in TABLES and name not in names and str(target) not in names]
    border.names_from = file
    for table, names in known.items():
        section = {name: str(target) for name, target in sections.get(table, {}).items()}
        for name, target in {**common, **section}.items():
            own, canonical = (target, name) if name in names and target not in names else (name, target)
            if canonical in names:
                # the register's forpddd is DDD per package, whichever of the two it is called here
                renamed[table][own] = "ddd_per_package" if own.lower() == "forpddd" else canonical
                if name not in section:
                    border.nowhere[own] = renamed[table][own]
        promised[table] = frozenset({*section, *section.values()} & renamed[table].keys())
    return renamed, promised
