"""The border: raw tables become canonical ones, and everything wrong with them is said at once.

The checks are SQL over whole columns rather than a schema library's row checks: they must pass
24 million dispensings in seconds, name file and row, and never bring the rows into Python.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from lakemedelsmodell.data.columns import (
    ATC_FORM,
    BLANK,
    EXPECTED,
    INTEGERS,
    RESERVED,
    SQL_TYPE,
    STAND_INS,
    TABLES,
    WITHDRAWN,
    Column,
    Kind,
    as_text,
    in_words,
    literal,
    parsed,
    plain,
    quote,
    remedy,
    without_number,
)
from lakemedelsmodell.data.threads import in_turn
from lakemedelsmodell.errors import SHOWN, DataError, Problem, masked

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

@dataclass(frozen=True)
class Source:
    """A table as found, before anything is read into types.

    Attributes
    ----------
    file : str
        How errors name it.
    scan : str
        SQL relation with the columns as they stand.
    place : str
        SQL relation with the columns and ``file_`` and ``row_`` (data rows from 1), slower to read.
    renamed : mapping
        Own name -> canonical name, from columns.toml.
    promised : set of str
        Those of the own names that columns.toml says this very table has.
    comma_separated : bool
        A comma in a number would be ambiguous.
    whole : bool
        False where lines are missing that could not be split, so that rows cannot be numbered.
    notes : tuple of str
        What was detected, in sentences.
    parts : mapping
        Name of a Parquet part -> its columns in lower case, where there are several.
    damageable : tuple of Path
        Parquet files of the user's own, which may prove damaged only where a page is read.
    """

    file: str
    scan: str
    place: str
    renamed: Mapping[str, str] = field(default_factory=dict)
    promised: frozenset[str] = frozenset()
    comma_separated: bool = False
    whole: bool = True
    notes: tuple[str, ...] = ()
    parts: Mapping[str, frozenset[str]] = field(default_factory=dict)
    damageable: tuple[Path, ...] = ()


class Check(NamedTuple):
    """A condition (SQL) no row may meet, what to say of it, and the column and value (SQL) to show.

    ``kind`` is given where the value could not be read as such: what it looks like decides the remedy.
    """

    wrong: str
    problem: str
    remedy: str
    column: str
    value: str = "NULL"
    kind: Kind | None = None


BORN = "(CASE WHEN EXTRACT(month FROM birth_month) = 7 THEN birth_month - INTERVAL '6' MONTH ELSE birth_month END)"
"""SQL: the first day a person can have lived; July may stand for any month of the year, see ``birth_year``."""


def _at_most(column: str, bound: int, of: str) -> Check:
    return Check(f"abs({column}) > {bound}", f"cannot be the {of} of one dispensing",
                 f"Correct it; at most {bound:,} is taken for true.".replace(",", " "), column, column)


CHECKS: Mapping[str, tuple[Check, ...]] = {
    "centres": (
        Check("abs(cni) > 1e300", "is no finite number", "Correct the value, or leave it empty.", "cni", "cni"),
    ),
    "persons": (
        Check("birth_month NOT BETWEEN DATE '1880-01-01' AND DATE '2100-12-31'", "cannot be a month of birth",
              "Correct the date.", "birth_month", "birth_month"),
        Check(f"death_date < {BORN}",
              "the person died before being born", "Correct one of the dates.", "death_date", "death_date"),
    ),
    "listings": (
        Check("end_date < start_date", "the listing ends before it starts", "Correct one of the dates; end_date is the "
              "first day no longer listed.", "end_date", "end_date"),
    ),
    "dispensings": (
        Check("cost < 0 AND packages > 0", "a purchase with a negative cost", "Write the cost without the sign; a "
              "correction has negative packages too.", "cost", "cost"),
        Check("date NOT BETWEEN DATE '1950-01-01' AND DATE '2100-12-31'", "cannot be the date of a dispensing",
              "Correct the date.", "date", "date"),
        _at_most("packages", 1_000_000, "packages"), _at_most("ddd", 10_000_000, "DDD"),
        _at_most("cost", 100_000_000, "cost in SEK"), _at_most("gross_price", 100_000_000, "price in SEK"),
    ),
    "base_drugs": (
        Check("to_date < from_date", "ends before it starts", "Correct one of the dates; to_date is the first day no "
              "longer in the base.", "to_date", "to_date"),
    ),
}
"""What can be wrong in a row of a table whose values can be read."""

NOTICED: Mapping[str, Mapping[str, str]] = {
    "listings": {"listings_without_days": "end_date = start_date"},
    "dispensings": {
        "correction_with_positive_cost": "packages < 0 AND cost > 0",
        "dispensings_without_packages": "packages = 0",
    },
}
"""Rows (SQL) that are odd but not fatal, by table and kind; see ``tables.KINDS``."""

MONEY = ("cost", "gross_price")

SORTED_AT_ONCE = 1 << 22
"""Hashes of rows; a region has several times as many dispensings in two years."""

MONTH_DAY = "(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01]|6[1-9]|[78][0-9]|9[01])"
PERSONAL_NUMBER = f"({{0}}[0-9]{{{{2}}}}{MONTH_DAY}{{1}})"
SIGN = "[-+\u2013\u2212]"
CENTURY = "(18|19|20)?"
PERSONAL_SHARE = 0.2
"""Of person_ids of one length, the share with the form of personal numbers above which they are taken for such. Ids
that happen to begin like a date have the right check digit one time in ten; those of the American MEPS survey have both
in 5 % of cases."""
NAMES_SOMEBODY = ("is a personnummer or samordningsnummer",
                  "Replace it by a pseudonym in every table before the data are handed on.")
BEGINS_WITH_BIRTH = ("begins with the year of birth, a month and a day, as a personnummer does",
                     "Replace it by a pseudonym that tells nothing of the person, in every table.")
CENTRE_NAMES_SOMEBODY = ("holds what could be a personnummer", "Give the centre a name and an id that name no person.")
ROUNDED = Check("regexp_full_match(person_id, '[0-9][.,][0-9]+[eE][+]?[0-9]+')", "is a number that a spreadsheet has "
                "rounded, and so of several persons", "Format the column as text there, and save it anew.", "person_id",
                "person_id")


def is_personal_number(x: str) -> str:
    """SQL: a date, separator and four signs, or ten or twelve digits with a date and the right check digit."""
    with_sign = PERSONAL_NUMBER.format(CENTURY, "[-+ \u2013\u2212][0-9A-Z][0-9]{3}")
    digits = PERSONAL_NUMBER.format(CENTURY, "[0-9]{4}")
    last = f"right({x}, 10)"
    doubled = " + ".join(f"CASE WHEN {d} > 4 THEN 2 * {d} - 9 ELSE 2 * {d} END"
                         for d in (f"{last}[{i}]::INTEGER" for i in range(1, 11, 2)))
    others = " + ".join(f"{last}[{i}]::INTEGER" for i in range(2, 11, 2))
    return (f"(CASE WHEN regexp_full_match({x}, '{with_sign}') THEN true "
            f"WHEN regexp_full_match({x}, '{digits}') THEN ({doubled} + {others}) % 10 = 0 ELSE false END)")


def begins_with_birth(x: str, born: str) -> str:
    """SQL: the year of birth with its century or without, a month and a day, whatever follows; of random digits 7 in
    10 000 are so."""
    return "({})".format(" OR ".join(f"(starts_with({x}, strftime({born}, '{year}')) AND regexp_matches({x}[{after}:], "
                                     f"'^{MONTH_DAY}'))" for year, after in (("%Y", 5), ("%y", 3))))


def duckdb_errors() -> type[Exception]:
    """What DuckDB raises of its own; imported when needed."""
    import duckdb

    return duckdb.Error


class Content(NamedTuple):
    """What a look at the dispensings' codes and dates tells."""

    codes: pd.DataFrame
    months: tuple[date, ...]
    first: date
    last: date


@dataclass
class Border:
    """The tables on their way in; collects problems and counts, then hands over or raises.

    ``form`` holds the problems that leave nothing to look into further, such as a missing column; ``nowhere`` the names
    that ``names_from`` maps onto columns of any table and no table has had yet.
    """

    connection: Backend
    scratch: Path
    tables: Mapping[str, tuple[Column, ...]] = field(default_factory=lambda: TABLES)
    progress: Callable[[str], Any] | None = None
    form: list[Problem] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    found: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    has: dict[str, set[str]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    damageable: list[Path] = field(default_factory=list)
    names_from: str = "columns.toml"
    nowhere: dict[str, str] = field(default_factory=dict)
    person: str = "BIGINT"

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        """All rows of a query; the connection is then free for the next."""
        return self.connection.raw_sql(query).fetchall()

    def say(self, what: str) -> None:
        if self.progress:
            self.progress(what)

    def note(self, file: str, *sentences: str) -> None:
        self.found += [masked(f"{file}: {sentence}") for sentence in sentences]

    def count(self, kind: str, n: int) -> None:
        if n:
            self.counts[kind] = int(n)

    def raise_problems(self) -> None:
        if self.form or self.problems:
            raise DataError(self.form + self.problems)

    @contextmanager
    def damage_told(self) -> Iterator[None]:
        """A Parquet file that proves damaged where it is read becomes a DataError that names it."""
        try:
            yield
        except duckdb_errors() as error:
            if uneven := re.search(r'file "([^"]+)": failed to cast column "([^"]+)"', str(error)):
                raise DataError(Problem(Path(uneven[1]).name, "the column has another type than in another part",
                                        "Write all parts with the same types.", column=uneven[2])) from None
            damaged = [path for path in self.damageable if not self._whole(path)]
            if not damaged:
                raise
            raise DataError([Problem(path.name, "is damaged: some of its values cannot be unpacked",
                                     "Copy or write the file anew.") for path in damaged]) from None

    def _whole(self, path: Path) -> bool:
        try:
            self.sql(f"SELECT max(hash(COLUMNS(*))) FROM read_parquet({literal(str(path))})")
        except duckdb_errors():
            return False
        return True

    # Reading

    def read(self, table: str, source: Source) -> None:
        """Make the relation ``table``_read with canonical columns and types out of ``source``."""
        self.say(f"reading {source.file}")
        self.files[table] = source.file
        self.damageable += source.damageable
        self.note(source.file, *source.notes)
        types = {name: "VARCHAR" if kind.startswith("ENUM") else kind
                 for name, kind, *_ in self.sql(f"DESCRIBE SELECT * FROM {source.scan}")}
        if taken := sorted(set(RESERVED) & {name.casefold() for name in types}):
            self.form += [Problem(source.file, "the name is taken while the table is read", "Rename the column.",
                                  column=name) for name in taken]
            return
        own = self.match(table, source, types)
        if not own:
            names = [c.name for c in self.tables[table] if c.needed]
            self.form.append(Problem(source.file, "the first line names none of the columns", "Write a header, "
                                     f"{', '.join(names)}, or map names of your own onto them in columns.toml; it "
                                     f"reads {in_words(types)}."))
            return
        if table in ("persons", "cohort") and "person_id" in own:
            self._choose_person_type(source, own["person_id"][0], types)
        decimal_comma, grouped = self._number_form(source, own, types)
        self._say_date_forms(source, own, types)
        texts, values, unread = [], [], []
        self.has[table] = set()
        for column in self.tables[table]:
            name, kind = own.get(column.name, (None, column.kind))
            if name is None and column.needed:
                self.missing(table, source, column, types)
            if name is None or not column.needed and not self._any(source, quote(name)):
                values.append(f"NULL::{SQL_TYPE.get(kind, self.person)} AS {column.name}")
                continue
            self.has[table].add(column.name)
            x, sql_type, text = quote(name), types[name], f"text_{column.name}"
            value = parsed(text, sql_type, kind, decimal_comma=decimal_comma, person=self.person)
            if value is None:
                texts.append(f"{self._plain(source, x, sql_type, kind)} AS {text}")
                value = text
            else:
                texts.append(f"{as_text(x, sql_type, kind, grouped=grouped)} AS {text}")
                unread.append((column.name, kind))
            if column.name == "ddd" and "ddd_per_package" in (name.lower(), source.renamed.get(name)):
                self.note(source.file, f"{name} is DDD per package; DDD of a row = packages × {name}")
                value = f"({value}) * packages"
            values.append(f"{value} AS {column.name}")
        self._make(table, source, texts, values, [name for name, _ in unread])
        if source.whole:
            before = len(self.problems)
            self.check(table, [Check(f"unread_{name} IS NOT NULL", *EXPECTED[kind], name, f"unread_{name}", kind)
                               for name, kind in unread])
            if self.problems[before:] and (again := self._headers_again(source, own.values())):
                self.problems[before:] = again

    def match(self, table: str, source: Source, types: Collection[str]) -> dict[str, tuple[str, Kind]]:
        """Canonical column -> (own name, kind) of the columns there; the others are named as ignored."""
        kinds: dict[str, tuple[str, Kind]] = {}
        for column in self.tables[table]:
            kinds |= {name: (column.name, kind) for name, kind in
                      ((column.name, column.kind), *STAND_INS.get(column.name, ()))}
        own: dict[str, tuple[str, Kind]] = {}
        ignored, mapped = [], []
        for name in sorted(types, key=lambda name: name not in source.renamed):  # columns.toml comes first
            known = source.renamed.get(name, name.strip().lower())
            if (twice := source.renamed.get(without_number(name), without_number(known))) != known and twice in kinds:
                self.form.append(Problem(source.file, "the column is there twice", "Keep one of them.",
                                         column=without_number(name)))
            if known not in kinds or kinds[known][0] in own:
                ignored.append(name)
                continue
            own[kinds[known][0]] = (name, kinds[known][1])
            if known != name:
                mapped.append(f"{name} as {known}")
        named = {column for column, (name, _) in own.items() if name in source.renamed}  # of several names one will do
        self.form += [
            Problem(self.names_from, f"{source.file} has no such column", "Correct the name, or remove the line; the "
                    f"columns are {in_words(types)}.", column=name)
            for name in sorted(source.promised - set(types)) if kinds[source.renamed[name]][0] not in named]
        self.nowhere = {name: column for name, column in self.nowhere.items() if column not in
                        {source.renamed[mine] for mine, _ in own.values() if mine in source.renamed}}
        self.form += [
            Problem(part, "the part lacks a column that other parts have", "Write all parts with the same columns.",
                    column=name)
            for part, has in source.parts.items() for name, _ in own.values() if name.casefold() not in has]
        if mapped:
            self.note(source.file, f"read {', '.join(mapped)}")
        if ignored:
            self.note(source.file, f"ignored {in_words(sorted(ignored))}")
        if own.get("birth_month", ("", ""))[1] == "year":
            self.note(source.file, "only years of birth; everyone counts as born in July")
        return own

    def _choose_person_type(self, source: Source, name: str, types: Mapping[str, str]) -> None:
        """Whole numbers where every person_id is written as one, else text, whatever the file's own type."""
        if types[name] in INTEGERS:
            return
        x = as_text(quote(name), types[name], "person")
        if self.sql(f"SELECT 1 FROM {source.scan} WHERE NOT regexp_full_match({x}, '0|[1-9][0-9]{{0,17}}') LIMIT 1"):
            self.person = "VARCHAR"

    def _number_form(self, source: Source, own: Mapping[str, tuple[str, Kind]], types: Mapping[str, str]
                     ) -> tuple[bool, bool]:
        """Whether the numbers of the file have a decimal comma, and whether blanks group thousands; stated back."""
        texts = {column: quote(name) for column, (name, kind) in own.items()
                 if kind == "number" and types[name] == "VARCHAR"}

        def some(where: Callable[[str], str], columns: Iterable[str] = texts) -> bool:
            found = " OR ".join(f"({where(texts[column])})" for column in columns)
            return bool(found and self.sql(f"SELECT 1 FROM {source.scan} WHERE {found} LIMIT 1"))

        comma = not source.comma_separated and some(lambda x: f"contains({x}, ',')")
        grouped = some(lambda x: f"length({x}) > 4 AND regexp_matches({x}, '[0-9]{BLANK}[0-9]')")
        if comma:
            self.note(source.file, "decimal comma")
        if grouped:
            self.note(source.file, "blanks between thousands")
        sign = "," if comma else "."
        thousands = f"[+-]?[1-9][0-9]{{0,2}}([{sign}][0-9]{{3}})+"
        for column in texts:  # of money, where it would be a thousand times as much
            if column in MONEY and some(lambda x: f"contains({x}, '{sign}')", [column]) and not some(
                    lambda x: f"contains({x}, '{sign}') AND NOT regexp_full_match({x}, '{thousands}')", [column]):
                self.form.append(Problem(source.file, f"every {sign!r} stands before three digits and may separate "
                                         "thousands", "Write öre with two digits, and nothing between thousands.",
                                         column=column))
        return comma, grouped

    def _say_date_forms(self, source: Source, own: Mapping[str, tuple[str, Kind]], types: Mapping[str, str]) -> None:
        """State how dates are written where that is not YYYY-MM-DD; what cannot be read is told later."""
        dates = {name: types[name] for name, kind in own.values() if kind in ("date", "month")}
        forms = {"YYYYMMDD" if shape == "9" * 8 else f"YYYY{sign}MM{sign}DD"
                 for name in dates if dates[name] == "VARCHAR"
                 for shape, sign in self.sql(
                     "SELECT DISTINCT shape, shape[5] FROM (SELECT translate(x, '0123456789', '9999999999') AS shape "
                     f"FROM (SELECT DISTINCT {quote(name)} AS x FROM {source.scan})) "
                     "WHERE regexp_full_match(shape, '9{8}|9999([/]9{1,2}[/]|[.]9{1,2}[.])9{1,2}')")}
        if forms:
            self.note(source.file, f"dates as {', '.join(sorted(forms))}")
        if "TIMESTAMP WITH TIME ZONE" in dates.values():
            self.note(source.file, "times with a zone are taken as the date in Sweden")

    def _headers_again(self, source: Source, own: Iterable[tuple[str, Kind]]) -> list[Problem]:
        """Rows that repeat the header, which are told instead of what cannot be read in them."""
        same = " AND ".join(f"trim({quote(name)}::VARCHAR) = {literal(name)}" for name, _ in own)
        rows = self.sql(f"SELECT file_, row_, count(*) OVER () FROM {source.place} WHERE {same} ORDER BY file_, row_ "
                        f"LIMIT {SHOWN}")
        return [Problem(file, "is the header again, as where files were put together", "Remove it.", row,
                        count=n if i == 0 else 1) for i, (file, row, n) in enumerate(rows)]

    def refuse_names_of_nothing(self) -> None:
        """Names mapped onto columns of any table that no table has, where all tables could be looked into."""
        if not self.form:
            self.form += [Problem(self.names_from, "no table has such a column", "Correct the name, or remove the "
                                  "line.", column=name) for name in self.nowhere]

    def missing(self, table: str, source: Source, column: Column, types: Iterable[str]) -> None:
        """Say that a needed column is not there."""
        others = " or ".join([column.name, *(name for name, _ in STAND_INS.get(column.name, ()))])
        mapping = f", or map a name of your own onto it in columns.toml under [{table}]" if table in TABLES else ""
        self.form.append(Problem(source.file, "the column is missing", f"Add {others}{mapping}; the columns are "
                                 f"{in_words(types)}.", column=column.name))

    def _any(self, source: Source, x: str) -> bool:
        return bool(self.sql(f"SELECT 1 FROM {source.scan} WHERE {x} IS NOT NULL LIMIT 1"))

    def _plain(self, source: Source, x: str, sql_type: str, kind: Kind) -> str:
        """A column that cannot fail to be read; text is put right only where some of it needs that."""
        clean = False
        if kind in ("atc", "text") and sql_type == "VARCHAR":
            neat = (lambda v: v.strip() if v.isprintable() else "") if kind == "text" else (
                lambda v: "".join(filter(str.isalnum, v)).upper())
            clean = all(v and v == neat(v) for v, in self.sql(
                f"SELECT DISTINCT {x}::VARCHAR FROM {source.scan} WHERE {x} IS NOT NULL"))
        if kind == "atc" and not clean:
            self.count("atc_normalised", self.sql(
                f"SELECT count(*) FROM {source.scan} WHERE {x}::VARCHAR <> {as_text(x, sql_type, kind)}")[0][0])
        return plain(x, sql_type, kind, person=self.person, clean=clean)

    def _make(self, table: str, source: Source, texts: list[str], values: list[str], unread: list[str]) -> None:
        """Small tables are kept; dispensings stay where they lie, or in a scratch Parquet when they need reading."""
        def read(relation: str, *place: str) -> str:
            names = [c.name for c in self.tables[table]]
            failed = [(f"CASE WHEN {name} IS NULL THEN text_{name} END" if name in unread else "NULL")
                      + f" AS unread_{name}" for name in names]
            return (f"SELECT {', '.join([*names, *failed, *place])} FROM (SELECT *, {', '.join(values)} FROM "
                    f"(SELECT {', '.join([*texts, *place]) or '*'} FROM {relation}))")

        placed = read(source.place, "file_", "row_")
        if table != "dispensings":
            self.sql(f"CREATE TABLE {table}_placed AS {placed}")
        elif unread:
            target = literal(str(self.scratch / f"{table}.parquet"))
            self.sql(f"COPY ({placed}) TO {target} (FORMAT parquet)")
            self.sql(f"CREATE VIEW {table}_placed AS SELECT * FROM read_parquet({target})")
        else:
            self.sql(f"CREATE VIEW {table}_placed AS {placed}")
            self.sql(f"CREATE VIEW {table}_read AS {read(source.scan)}")
            return
        self.sql(f"CREATE VIEW {table}_read AS SELECT * EXCLUDE (file_, row_) FROM {table}_placed")

    # What is fatal

    def check(self, table: str, checks: list[Check], relation: str | None = None,
              noticed: Mapping[str, str] = MappingProxyType({})) -> None:
        """Add problems, and count what is ``noticed``: one pass over the rows, a second only over what is wrong.

        The first example of a kind carries the count.
        """
        if not checks:
            return
        wanted = [*(c.wrong for c in checks), *noticed.values()]
        totals = self.sql(f"SELECT {', '.join(f'count(*) FILTER (WHERE {w})' for w in wanted)} "
                          f"FROM {relation or table + '_read'}")[0]
        for kind, n in zip(noticed, totals[len(checks):], strict=True):
            self.count(kind, n)
        for n, c in zip(totals, checks, strict=False):
            if n:
                rows = self.sql(f"SELECT file_, row_, ({c.value})::VARCHAR FROM {relation or table + '_placed'} "
                                f"WHERE {c.wrong} ORDER BY file_, row_ LIMIT {SHOWN}")
                self.problems += [Problem(file, c.problem, remedy(c.kind, shown) if c.kind else c.remedy, row,
                                          c.column, shown, n if i == 0 else 1)
                                  for i, (file, row, shown) in enumerate(rows)]

    def check_all(self) -> None:
        """Everything that can be wrong, in the order of the tables; raises DataError with all of it."""
        for table in self.files:
            self.check_table(table)
        if not self.form:
            self.check_keys()
        self.raise_problems()

    def sound(self) -> bool:
        """Whether nothing is wrong yet, and nothing to be told without looking at every dispensing."""
        if self.problems:
            return False
        for table in self.files.keys() - {"dispensings"}:
            self.check_table(table)
        self.refuse_personal_numbers("dispensings")
        if not self.form:
            self.check_keys()
        return not (self.form or self.problems)

    def check_table(self, table: str) -> None:
        """What can be wrong inside one table."""
        if not self.sql(f"SELECT 1 FROM {table}_read LIMIT 1"):
            self.form.append(Problem(self.files[table], "the table is empty", "Put at least one row into it."))
            return
        self.check(table, self.checks(table), noticed=NOTICED.get(table, {}))
        self.refuse_personal_numbers(table)

    def checks(self, table: str) -> list[Check]:
        """What every row must have, and what none can be, whatever the other rows are."""
        has = self.has[table]
        filled = [c.name for c in self.tables[table] if c.filled] + ["in_base"] * ("in_base" in has)
        checks = [Check(f"{name} IS NULL AND unread_{name} IS NULL", "the value is missing", "Fill it in.", name)
                  for name in filled]
        if self.person == "VARCHAR" and "person_id" in has:
            checks.append(ROUNDED)
        if table in ("centres", "cohort", "totals"):
            named = PERSONAL_NUMBER.format(CENTURY, f"{SIGN}[0-9A-Z][0-9]{{3}}")
            checks += [Check(f"regexp_matches({column}, '(^|[^0-9]){named}($|[^0-9])')", *CENTRE_NAMES_SOMEBODY, column,
                             column) for column in ("centre_id", "name") if column in has]
        return checks + self.impossible(table)

    def impossible(self, table: str) -> list[Check]:
        """What no row of a table can be, whatever the other rows are."""
        return [c for c in CHECKS.get(table, ()) if c.column in self.has[table]]

    def refuse_personal_numbers(self, table: str) -> None:
        """A personnummer or samordningsnummer where a pseudonym belongs."""
        if "person_id" not in self.has[table]:
            return
        long = "person_id >= 1000000000" if self.person == "BIGINT" else "length(person_id) BETWEEN 10 AND 17"
        bare = "person_id::VARCHAR"
        if self.person != "BIGINT":  # what programs put around a number: an apostrophe, SE, blanks, a float's .0
            bare = f"regexp_replace(regexp_replace(person_id, '^(''|SE)|[.]0$', '', 'g'), ' ({SIGN}) ', '\\1')"
        kinds = [("person_id", is_personal_number("bare"), NAMES_SOMEBODY)]
        if table == "persons" and "birth_month" in self.has[table]:
            born = f"{long} AND {begins_with_birth('bare', 'birth_month')}"
            kinds.append(("person_id, birth_month", born, BEGINS_WITH_BIRTH))
        for columns, named, said in kinds:
            shares = self.sql(f"SELECT avg(({named})::INTEGER) FROM (SELECT *, {bare} AS bare FROM (SELECT DISTINCT "
                              f"{columns} FROM {table}_read WHERE {long})) GROUP BY length(bare)")
            if any(share > PERSONAL_SHARE for share, in shares):
                self.check(table, [Check(named, *said, "person_id", "person_id")],
                           f"(SELECT *, {bare} AS bare FROM {table}_placed)")
                break

    def check_keys(self) -> None:
        """What can be wrong between tables, and twice over."""
        for table, key, noun in (("centres", "centre_id", "centre"), ("persons", "person_id", "person")):
            if not self.sql(f"SELECT count({key}) > count(DISTINCT {key}) FROM {table}_read")[0][0]:
                continue
            again = Check("again", f"the {noun} is there twice", f"Keep one row for each {noun}.", key, key)
            self.check(table, [again],
                       f"(SELECT *, row_number() OVER (PARTITION BY {key} ORDER BY file_, row_) > 1 "
                       f"AND {key} IS NOT NULL AS again FROM {table}_placed)")
        self.check("listings", [
            Check("centre_id NOT IN (SELECT centre_id FROM centres_read WHERE centre_id IS NOT NULL)",
                  "the centre is not in centres", f"Add it to {self.files['centres']}, or correct it.", "centre_id",
                  "centre_id"),
            Check("person_id NOT IN (SELECT person_id FROM persons_read WHERE person_id IS NOT NULL)",
                  "the person is not in persons", f"Add it to {self.files['persons']}; sex and birth are needed.",
                  "person_id", "person_id")])
        self.check("listings", [
            Check("overlapping", "the listing overlaps another of the same person",
                  "End the earlier listing on the day the later one starts.", "start_date", "start_date")],
            "(SELECT *, start_date < max(coalesce(end_date, DATE '9999-12-31')) OVER (PARTITION BY person_id ORDER BY "
            "start_date, end_date, centre_id, file_, row_ ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) "
            "AS overlapping FROM listings_placed WHERE start_date < end_date OR end_date IS NULL "
            "AND unread_end_date IS NULL)")

    # Handing over

    def hand_over(self) -> None:
        """The tables under their own names, without the columns of the border; persons numbered."""
        for table in self.files:
            names = ", ".join(c.name for c in self.tables[table])
            if table == "persons":
                self.sql("CREATE TABLE persons AS SELECT (row_number() OVER (ORDER BY person_id) - 1)::INTEGER AS "
                         f"person, {names} FROM persons_read ORDER BY person")
            elif table == "dispensings":
                self.sql("CREATE VIEW dispensings_checked AS SELECT * REPLACE (coalesce(dose_dispensed, false) AS "
                         f"dose_dispensed, {self._in_base()} AS in_base) FROM {table}_read d")
                self.sql(f"CREATE VIEW dispensings AS SELECT {names} FROM dispensings_checked")
            else:
                self.sql(f"CREATE TABLE {table} AS SELECT {names} FROM {table}_read")
        for table in self.files.keys() - {"dispensings"}:  # their places were for messages
            self.sql(f"DROP VIEW {table}_read")
            self.sql(f"DROP TABLE {table}_placed")

    def _in_base(self) -> str:
        if "in_base" in self.has["dispensings"]:
            self.found.append("base drugs: rows with in_base"
                              + ("; base_drugs is not used" if "base_drugs" in self.files else ""))
            return "in_base"
        if "base_drugs" not in self.files:
            self.found.append("base drugs: neither in_base nor base_drugs is there, so every row counts as one")
            return "true"
        self.found.append("base drugs: codes in base_drugs at the date of the dispensing")
        # on the distinct codes, so that the rows are matched by equality
        self.sql("CREATE TABLE base_codes AS SELECT c.atc, coalesce(b.from_date, DATE '0001-01-01') AS from_date, "
                 "coalesce(b.to_date, DATE '9999-12-31') AS to_date FROM (SELECT DISTINCT atc FROM dispensings_read) c "
                 "JOIN base_drugs_read b ON starts_with(c.atc, b.atc)")
        return ("EXISTS (SELECT 1 FROM base_codes b WHERE b.atc = d.atc AND d.date >= b.from_date "
                "AND d.date < b.to_date)")

    # What is odd but not fatal

    def summed(self, seen: pd.DataFrame) -> Content:
        """The content from rows per code and month: first and last date, missing values."""
        codes = seen.astype({"atc": "str"}).groupby("atc", dropna=False)["rows"].sum().reset_index()
        good = codes["atc"].str.fullmatch(ATC_FORM).fillna(False).astype(bool)
        self.count("atc_missing", codes.loc[codes["atc"].isna(), "rows"].sum())
        self.count("atc_malformed_or_unknown", codes.loc[~good & codes["atc"].notna(), "rows"].sum())
        self.count("atc_withdrawn", codes.loc[codes["atc"].isin(WITHDRAWN), "rows"].sum())
        self.count("ddd_unknown", seen["ddd_unknown"].sum())
        if "gross_price" in self.has["dispensings"]:
            self.count("gross_price_unknown", seen["gross_price_unknown"].sum())
        return Content(codes.dropna().sort_values("atc", ignore_index=True),
                       tuple(sorted(seen["month"].unique())), seen["first"].min(), seen["last"].max())

    def digest(self, dispensings: Hashes) -> str:
        """A hash of all tables that depends on no order or file; repeated dispensings are counted on the way.

        Sorted row hashes give both; those of the dispensings are at hand.
        """
        total = hashlib.sha256()
        for table in self.files:
            total.update(table.encode())
            again = 0
            for rows in dispensings if table == "dispensings" else self._hashes(table):
                again += int(np.count_nonzero(rows[1:] == rows[:-1]))
                total.update(rows.data)
            if table == "dispensings":
                self.count("duplicate_rows", again)
        return total.hexdigest()

    def row_hash(self, table: str) -> str:
        """SQL: a hash of a row; numbers are hashed in thousandths, so that 1 and 1.0 agree."""
        columns = ", ".join(f"try_cast(round({c.name} * 1000) AS BIGINT)" if c.kind == "number" else c.name
                            for c in self.tables[table])
        return f"hash({columns})"

    def _hashes(self, table: str) -> Hashes:
        hashes = Hashes(self.scratch, table, self.sql(f"SELECT count(*) FROM {table}")[0][0])
        for batch in self.connection.con.sql(f"SELECT {self.row_hash(table)} FROM {table}").to_arrow_reader(1 << 20):
            hashes.add(batch.column(0).to_numpy())
        return hashes


class Hashes:
    """Numbers (uint64) taken in any order and given back sorted, in stretches of about :data:`SORTED_AT_ONCE`;
    equal ones lie in the same. ``n`` is how many there will be."""

    def __init__(self, scratch: Path, table: str, n: int) -> None:
        self.bits = (n // SORTED_AT_ONCE).bit_length()
        self.parts = [scratch / f"hashes_{table}_{i}" for i in range(1 << self.bits)]
        self.files = [part.open("wb") for part in self.parts]

    def add(self, rows: np.ndarray) -> None:
        rows = np.sort(rows)  # a batch fits the cache, and its stretches then lie together
        at = np.searchsorted(rows, np.arange(1, len(self.files), dtype=np.uint64) << np.uint64(64 - self.bits))
        for file, stretch in zip(self.files, np.split(rows, at), strict=True):
            file.write(stretch.data)

    def __iter__(self) -> Iterator[np.ndarray]:
        for file in self.files:
            file.close()
        yield from in_turn(self._sorted, self.parts)

    def _sorted(self, part: Path) -> np.ndarray:
        rows = np.fromfile(part, dtype=np.uint64)
        part.unlink()
        rows.sort()
        return rows
