"""The columns of the four tables, and how each kind of value is read, as DuckDB SQL."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, cast

from lakemedelsmodell.errors import form

Kind = Literal["person", "text", "date", "month", "year", "sex", "number", "bool", "atc"]


@dataclass(frozen=True)
class Column:
    """One column of a table as design and SQL know it.

    ``needed`` says that the table must have it, ``filled`` that no row may leave it empty.
    """

    name: str
    kind: Kind
    needed: bool = False
    filled: bool = False


def columns(text: str) -> tuple[Column, ...]:
    """Columns from "name kind, …"; ``name!`` must be there and be filled, ``name+`` must be there."""
    pairs = [pair.split() for pair in text.split(",")]
    return tuple(Column(name.rstrip("!+"), cast(Kind, kind), needed=name[-1] in "!+", filled=name[-1] == "!")
                 for name, kind in pairs)


TABLES: dict[str, tuple[Column, ...]] = {
    "centres": columns("centre_id! text, name+ text, operator text, cni number, rural bool"),
    "persons": columns("person_id! person, sex! sex, birth_month! month, death_date date"),
    "listings": columns("person_id! person, centre_id! text, start_date! date, end_date+ date"),
    "dispensings": columns("person_id+ person, date! date, atc+ atc, packages! number, ddd+ number, cost! number, "
                           "gross_price number, prescriber_centre_id text, dose_dispensed bool, in_base bool"),
    "base_drugs": columns("atc! atc, from_date+ date, to_date+ date"),
}
"""Tables and columns by their own names; all but ``base_drugs`` must be there."""

STAND_INS: dict[str, tuple[tuple[str, Kind], ...]] = {
    "birth_month": (("birth_date", "month"), ("birth_year", "year")),
    "ddd": (("ddd_per_package", "number"),),
}
"""Columns that may stand in for another: coarser or finer births, and the register's DDD per package."""

SQL_TYPE: dict[Kind, str] = {"text": "VARCHAR", "date": "DATE", "month": "DATE", "year": "DATE", "sex": "VARCHAR",
                             "number": "DOUBLE", "bool": "BOOLEAN", "atc": "VARCHAR"}

EXPECTED: dict[Kind, tuple[str, str]] = {
    "person": ("is not a person_id like the others", "Use the same form of person_id in every table."),
    "text": ("is not text", "Write text."),
    "date": ("is no date", "Write an existing date as YYYY-MM-DD or YYYYMMDD."),
    "month": ("is no month of birth", "Write YYYY-MM (or give birth_date as YYYY-MM-DD)."),
    "year": ("is no year of birth", "Write YYYY."),
    "sex": ("is no sex", "Write K or 2 for women, M or 1 for men."),
    "number": ("is no number", "Write digits with one decimal sign, the same in the whole file (12.5 or 12,5)."),
    "bool": ("is neither true nor false", "Write true/false, 1/0 or ja/nej."),
    "atc": ("is no ATC code", "Write an ATC code such as A10BA02."),
}
"""What is said of a value that cannot be read: the problem and its remedy."""

HINTS: dict[Kind, tuple[tuple[str, str], ...]] = {
    "date": (
        (r"[1-9]\d{4}(\.\d+)?", "This is a spreadsheet's day number: format the column as dates and save it anew."),
        (r"\d{6}", "Write the century too: YYYYMMDD."),
        (r"\d{1,2}[-/. ]\d{1,2}[-/. ]\d{2,4}.*", "Write the year first, as YYYY-MM-DD: day and month cannot be told "
                                                "apart."),
        (r"\d{4}-\d\d-\d\d[T ].*(Z|[+-]\d\d:?\d\d)", "Write the Swedish date without a time zone."),
    ),
    "number": (
        (r"[-+]?[\d\s]*\d[.,]\d{3}[.,]\d.*", "Leave out what separates thousands."),
        (r"[-+]?\d{1,3}(['’´]\d{3})+([.,]\d+)?", "Leave out what separates thousands."),
        (r"#.+", "This is a spreadsheet's error: mend its formula."),
        (r".*(kr|SEK|:-)\.?", "Write the number alone, in SEK."),
        (r"\([\d\s.,]+\)|[\d\s.,]+-", "Write the minus sign first."),
    ),
}
"""What a value that cannot be read probably is, tried in order: its form and a better remedy."""


def remedy(kind: Kind, value: str | None) -> str:
    """What to do about a value that cannot be read as ``kind``."""
    likely = (say for pattern, say in HINTS.get(kind, ()) if re.fullmatch(pattern, value or ""))
    return next(likely, EXPECTED[kind][1])


RESERVED = ("file_", "row_", "filename", "file_row_number")
"""Names under which the place of a row is kept while a table is read."""

WITHDRAWN: Mapping[str, str] = {"N03AX12": "N02BF01", "N03AX16": "N02BF02", "L04AA13": "L04AK01"}
"""Codes that old files hold and WHO has moved since (gabapentin, pregabalin, leflunomide), and where to."""

BLANK = r"[\s\x{00A0}\x{202F}\x{2007}]+"
UNSEEN = r"[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+"
"""Signs that are not seen but obeyed: by terminals, and where text turns its direction or breaks off."""
GROUPED = rf"[+\x{{2212}}-]?[0-9]{{1,3}}({BLANK}[0-9]{{3}})+([.,][0-9]*)?"
"""A number with blanks between thousands, and nowhere else."""

_TIME = "([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)?)?"
_MISSING = "('', 'NA', 'NaN', 'nan', 'NULL', 'null', '.')"
INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "HUGEINT"}
ATC_FORM = "[ABCDGHJLMNPRSV][0-9]{2}[A-Z]{2}[0-9]{2}"
"""A full code: anatomical group, two digits, two letters, two digits."""


def quote(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def numbered(names: Iterable[str]) -> list[str]:
    """Column names told apart: the second "cost" becomes "cost (2)"; reserved names count as taken."""
    seen = Counter(RESERVED)
    found = []
    for name in names:
        seen[name.casefold()] += 1
        n = seen[name.casefold()]
        found.append(name if n == 1 else f"{name} ({n})")
    return found


def without_number(name: str) -> str:
    """The name as the file has it, see :func:`numbered`."""
    return re.sub(r" \(\d+\)$", "", name)


def in_words(names: Iterable[str], most: int = 30) -> str:
    """Column names for a message. What may be a value, as where the header is missing, is shown by its form only."""
    names = [without_number(n) for n in names]
    shown = [n if n[:1].isalpha() and len(n) <= 40 and sum(map(str.isdigit, n)) <= 4 else form(n[:40]) for n in names]
    return ", ".join(shown[:most]) + (f" and {len(shown) - most} more" if len(shown) > most else "")


def as_text(x: str, sql_type: str, kind: Kind, *, grouped: bool = False) -> str:
    """The value as read, as text without blanks around it; NULL where nothing is written.

    Where numbers are ``grouped``, blanks between thousands go too (also the no-break kinds).
    """
    if sql_type in ("DOUBLE", "FLOAT"):  # 20260105.0 is a date kept as a float
        x = (f"CASE WHEN {x} = trunc({x}) AND abs({x}) < 1e15 THEN try_cast({x} AS BIGINT)::VARCHAR "
             f"WHEN NOT isnan({x}) THEN {x}::VARCHAR END")
    elif sql_type != "VARCHAR":
        x = f"{x}::VARCHAR"
    if kind == "atc":
        return f"nullif(upper(regexp_replace({x}, '[.]|{BLANK}', '', 'g')), '')"
    x = f"trim({x}, ' \t\r\n\u00a0\u202f\ufeff')"
    if kind == "number" and sql_type == "VARCHAR":
        x = f"replace({x}, '\u2212', '-')"
        if grouped:
            x = (f"CASE WHEN regexp_full_match({x}, '{GROUPED}') THEN regexp_replace({x}, '{BLANK}', '', 'g') "
                 f"ELSE {x} END")
    if kind == "text":
        return f"nullif({x}, '')"
    return f"CASE WHEN {x} NOT IN {_MISSING} THEN {x} END"


def parsed(x: str, sql_type: str, kind: Kind, *, decimal_comma: bool = False, person: str = "BIGINT") -> str | None:
    """SQL that reads the text ``x`` (from :func:`as_text`) as ``kind``, NULL where that cannot be done.

    None where a column of ``sql_type`` cannot fail to be read, see :func:`plain`.
    """
    day = (f"CASE WHEN regexp_full_match({x}, '[0-9]{{8}}') "
           f"THEN try_cast({x}[1:4] || '-' || {x}[5:6] || '-' || {x}[7:8] AS DATE) "
           f"WHEN regexp_full_match({x}, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}{_TIME}') "
           f"THEN try_cast({x}[1:10] AS DATE) "
           f"WHEN regexp_full_match({x}, '[0-9]{{4}}[-/.][0-9]{{1,2}}[-/.][0-9]{{1,2}}') "
           f"THEN try_cast(translate({x}, '/.', '--') AS DATE) END")
    match kind:
        case "text":
            return None
        case "person":
            return f"CASE WHEN regexp_full_match({x}, '[0-9]{{1,18}}') THEN try_cast({x} AS BIGINT) END" \
                if person == "BIGINT" and sql_type not in INTEGERS else None
        case "date":
            return None if sql_type == "DATE" or sql_type.startswith("TIMESTAMP") else day
        case "month":
            return None if sql_type == "DATE" or sql_type.startswith("TIMESTAMP") else \
                (f"CASE WHEN regexp_full_match({x}, '[0-9]{{4}}-[0-9]{{2}}') THEN try_cast({x} || '-01' AS DATE) "
                 f"WHEN regexp_full_match({x}, '[0-9]{{6}}') "
                 f"THEN try_cast({x}[1:4] || '-' || {x}[5:6] || '-01' AS DATE) "
                 f"ELSE date_trunc('month', {day})::DATE END")
        case "year":  # the middle of the year errs least
            return f"CASE WHEN regexp_full_match({x}, '[0-9]{{4}}') THEN try_cast({x} || '-07-01' AS DATE) END"
        case "sex":
            return f"CASE WHEN upper({x}) IN ('K', '2') THEN 'K' WHEN upper({x}) IN ('M', '1') THEN 'M' END"
        case "number":
            if sql_type in INTEGERS or sql_type in ("DOUBLE", "FLOAT", '"NULL"') or sql_type.startswith("DECIMAL"):
                return None
            form = r"[+-]?([0-9]+[,]?[0-9]*|[,][0-9]+)" if decimal_comma else \
                r"[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?"
            value = f"replace({x}, ',', '.')" if decimal_comma else x
            return f"CASE WHEN regexp_full_match({x}, '{form}') THEN try_cast({value} AS DOUBLE) END"
        case "bool":
            return None if sql_type == "BOOLEAN" else \
                (f"CASE WHEN lower({x}) IN ('true', '1', 'ja', 'yes') THEN true "
                 f"WHEN lower({x}) IN ('false', '0', 'nej', 'no') THEN false END")
        case "atc":
            return None
    raise AssertionError(kind)


def plain(x: str, sql_type: str, kind: Kind, *, person: str = "BIGINT", clean: bool = False) -> str:
    """SQL for a column that :func:`parsed` says cannot fail; ``clean`` ATC codes are taken as they are."""
    match kind:
        case "person":
            return f"{x}::{person}" if sql_type in INTEGERS else as_text(x, sql_type, "text")
        case "date" | "month":
            if sql_type == "TIMESTAMP WITH TIME ZONE":  # midnight in Sweden is another day in UTC
                x = f"({x} AT TIME ZONE 'Europe/Stockholm')"
            return f"date_trunc('month', {x})::DATE" if kind == "month" else x if sql_type == "DATE" else f"{x}::DATE"
        case "number":
            floats = sql_type in ("DOUBLE", "FLOAT")
            return f"CASE WHEN NOT isnan({x}) THEN {x}::DOUBLE END" if floats else f"{x}::DOUBLE"
        case "atc":
            return f"{x}::VARCHAR" if clean else as_text(x, sql_type, "atc")
        case "text":
            seen = f"nullif(trim(regexp_replace({as_text(x, sql_type, 'text')}, '{UNSEEN}', ' ', 'g')), '')"
            return f"{x}::VARCHAR" if clean else seen
    return x
