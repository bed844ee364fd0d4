"""The border: raw tables become canonical ones, and everything wrong with them is said at once.

The checks are SQL over whole columns rather than a schema library's row checks: they must pass
24 million dispensings in seconds, name file and row, and never bring the rows into Python.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lakemedelsmodell.data.columns import (
    ATC_FORM,
    EXPECTED,
    SQL_TYPE,
    STAND_INS,
    TABLES,
    Column,
    Kind,
    as_text,
    literal,
    parsed,
    plain,
    quote,
)
from lakemedelsmodell.errors import DataError, Problem

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

SHOWN = 20
"""Examples shown of each kind of problem."""


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
    decimal_comma : bool
    notes : tuple of str
        What was detected, in sentences.
    """

    file: str
    scan: str
    place: str
    renamed: Mapping[str, str] = field(default_factory=dict)
    decimal_comma: bool = False
    notes: tuple[str, ...] = ()


@dataclass
class Border:
    """The tables on their way in; collects problems and counts, then hands over or raises."""

    connection: Backend
    scratch: Path
    progress: Callable[[str], Any] | None = None
    problems: list[Problem] = field(default_factory=list)
    found: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    has: dict[str, set[str]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    person: str = "BIGINT"

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        """All rows of a query; the connection is then free for the next."""
        return self.connection.raw_sql(query).fetchall()

    def say(self, what: str) -> None:
        if self.progress:
            self.progress(what)

    def raise_problems(self) -> None:
        if self.problems:
            raise DataError(self.problems)

    # Reading

    def read(self, table: str, source: Source) -> None:
        """Make the view or table ``table`` with canonical columns and types out of ``source``."""
        self.say(f"reading {source.file}")
        self.files[table] = source.file
        self.found += [f"{source.file}: {note}" for note in source.notes]
        types = {name: kind for name, kind, *_ in self.sql(f"DESCRIBE SELECT * FROM {source.scan}")}
        own = self._match(table, source, types)
        if table == "persons" and "person_id" in own:
            self._choose_person_type(source, own["person_id"][0], types)
        read, unread = [], []
        self.has[table] = set()
        for column in TABLES[table]:
            name, kind = own.get(column.name, (None, column.kind))
            to = SQL_TYPE.get(kind, self.person)
            if name is None:
                if column.needed:
                    self._missing(table, source, column, types)
                read.append(f"NULL::{to} AS {column.name}")
                continue
            x, sql_type = quote(name), types[name].split("(")[0] if types[name].startswith("ENUM") else types[name]
            if not column.needed and not self._any(source, x):
                read.append(f"NULL::{to} AS {column.name}")
                continue
            self.has[table].add(column.name)
            text = as_text(x, sql_type, kind)
            value = parsed(text, sql_type, kind, decimal_comma=source.decimal_comma, person=self.person)
            if value is None:
                clean = kind in ("atc", "text") and sql_type == "VARCHAR" and self._clean(source, x, kind)
                if kind == "atc" and not clean:
                    self.count("atc_normalised", self.sql(
                        f"SELECT count(*) FROM {source.scan} WHERE {x}::VARCHAR <> {text}")[0][0])
                value = plain(x, sql_type, kind, person=self.person, clean=clean)
            else:
                unread.append((column.name, kind, f"CASE WHEN ({value}) IS NULL THEN {text} END"))
            if column.name == "ddd" and self._per_package(own["ddd"], source):
                self.found.append(f"{source.file}: {name} is DDD per package; DDD of a row = packages × {name}")
                value = f"({value}) * packages"
            read.append(f"{value} AS {column.name}")
        self._make(table, source, read, unread)
        for column, kind, _ in unread:
            problem, remedy = EXPECTED[kind]
            self.check(table, f"unread_{column} IS NOT NULL", problem, remedy, column, f"unread_{column}")

    def _match(self, table: str, source: Source, types: Mapping[str, str]) -> dict[str, tuple[str, Kind]]:
        """Canonical column -> (own name, kind) of the columns there; the others are named as ignored."""
        kinds: dict[str, tuple[str, Kind]] = {}
        for column in TABLES[table]:
            kinds[column.name] = (column.name, column.kind)
            kinds |= {name: (column.name, kind) for name, kind in STAND_INS.get(column.name, ())}
        own: dict[str, tuple[str, Kind]] = {}
        ignored, mapped = [], []
        for name in types:
            known = source.renamed.get(name, name.strip().lower())
            if known not in kinds or kinds[known][0] in own:
                ignored.append(name)
                continue
            own[kinds[known][0]] = (name, kinds[known][1])
            if known != name:
                mapped.append(f"{name} as {known}")
        for name in source.renamed.keys() - types.keys():
            self.problems.append(Problem("columns.toml", f"{source.file} has no such column", "Correct or remove the "
                                         f"line; the columns are {', '.join(types)}", column=name))
        if mapped:
            self.found.append(f"{source.file}: read {', '.join(mapped)}")
        if ignored:
            self.found.append(f"{source.file}: ignored {', '.join(ignored)}")
        if own.get("birth_month", ("", ""))[1] == "year":
            self.found.append(f"{source.file}: only years of birth; everyone counts as born in July")
        return own

    def _per_package(self, own: tuple[str, Kind], source: Source) -> bool:
        return own[0].lower() == "forpddd" or "ddd_per_package" in (own[0].lower(), source.renamed.get(own[0]))

    def _choose_person_type(self, source: Source, name: str, types: Mapping[str, str]) -> None:
        """Whole numbers where every person_id is written as one, else text, whatever the file's own type."""
        x = as_text(quote(name), types[name], "person")
        odd = self.sql(f"SELECT count(*) FROM {source.scan} WHERE NOT regexp_full_match({x}, '0|[1-9][0-9]{{0,17}}')")
        self.person = "VARCHAR" if odd[0][0] else "BIGINT"

    def _missing(self, table: str, source: Source, column: Column, types: Mapping[str, str]) -> None:
        others = " or ".join([column.name, *(name for name, _ in STAND_INS.get(column.name, ()))])
        self.problems.append(Problem(
            source.file, "the column is missing",
            f"Add {others}, or map your own name onto it in columns.toml under [{table}]; the columns are "
            f"{', '.join(types)}", column=column.name))

    def _any(self, source: Source, x: str) -> bool:
        return bool(self.sql(f"SELECT 1 FROM {source.scan} WHERE {x} IS NOT NULL LIMIT 1"))

    def _clean(self, source: Source, x: str, kind: Kind) -> bool:
        """Whether no value needs trimming, so that the column can be read as it is."""
        distinct = self.sql(f"SELECT DISTINCT {x} FROM {source.scan} WHERE {x} IS NOT NULL")
        if kind == "text":
            return all(value == value.strip(" \t\r\n\u00a0") != "" for value, in distinct)
        return all(value == value.upper() and value.isalnum() for value, in distinct)

    def _make(self, table: str, source: Source, read: list[str], unread: list[tuple[str, Kind, str]]) -> None:
        """Small tables are kept; dispensings stay where they lie, or in a scratch Parquet when they need reading."""
        columns = ", ".join([*read, *(f"{text} AS unread_{name}" for name, _, text in unread)])
        if table != "dispensings":
            self.sql(f"CREATE TABLE {table}_read AS SELECT {columns}, file_, row_ FROM {source.place}")
            self.sql(f"CREATE VIEW {table}_placed AS SELECT * FROM {table}_read")
        elif unread:
            target = literal(str(self.scratch / f"{table}.parquet"))
            self.sql(f"COPY (SELECT {columns}, file_, row_ FROM {source.place}) TO {target} (FORMAT parquet)")
            self.sql(f"CREATE VIEW {table}_read AS SELECT * FROM read_parquet({target})")
            self.sql(f"CREATE VIEW {table}_placed AS SELECT * FROM {table}_read")
        else:
            self.sql(f"CREATE VIEW {table}_read AS SELECT {columns} FROM {source.scan}")
            self.sql(f"CREATE VIEW {table}_placed AS SELECT {columns}, file_, row_ FROM {source.place}")

    # Checks

    def check(self, table: str, wrong: str, problem: str, remedy: str, column: str | None = None,
              value: str | None = None, relation: str | None = None) -> None:
        """Add a problem for the rows of ``table`` where ``wrong`` holds: the first with the count, then examples."""
        self.checks(table, [(wrong, problem, remedy, column, value)], relation)

    def checks(self, table: str, what: list[tuple[str, str, str, str | None, str | None]],
               relation: str | None = None) -> None:
        """Several checks in one pass over the rows, a second only over what is wrong."""
        counts = ", ".join(f"count(*) FILTER (WHERE {wrong})" for wrong, *_ in what)
        totals = self.sql(f"SELECT {counts} FROM {relation or table + '_read'}")[0]
        for n, (wrong, problem, remedy, column, value) in zip(totals, what, strict=True):
            if not n:
                continue
            rows = self.sql(f"SELECT file_, row_, ({value or 'NULL'})::VARCHAR FROM {relation or table + '_placed'} "
                            f"WHERE {wrong} ORDER BY file_, row_ LIMIT {SHOWN}")
            self.problems += [Problem(file, problem, remedy, row, column, shown, count=n if first == 0 else 1)
                              for first, (file, row, shown) in enumerate(rows)]

    def check_table(self, table: str) -> None:
        """What can be wrong inside one table."""
        own = {c.name for c in TABLES[table] if c.name in self.has[table]}
        empty = [(f"{c.name} IS NULL" + (f" AND unread_{c.name} IS NULL" if self._was_parsed(table, c.name) else ""),
                  "the value is missing", "Fill it in, or remove the row", c.name, None)
                 for c in TABLES[table] if c.filled and c.name in own]
        special = {
            "dispensings": [
                ("cost < 0 AND packages > 0", "a purchase with negative cost",
                 "A correction has negative packages too; else write the cost without the sign", "cost", "cost"),
                ("date NOT BETWEEN DATE '1950-01-01' AND DATE '2100-12-31'", "cannot be the date of a dispensing",
                 "Correct the date", "date", "date"),
                *((f"isinf({c})", "is no finite number", "Correct the value", c, c)
                  for c in ("packages", "ddd", "cost", "gross_price") if c in own),
                *([("in_base IS NULL", "the value is missing", "Say true or false in every row, or leave the "
                    "column out", "in_base", None)] if "in_base" in own else []),
            ],
            "persons": [
                ("birth_month NOT BETWEEN DATE '1880-01-01' AND DATE '2100-12-31'", "cannot be a month of birth",
                 "Correct the date", "birth_month", "strftime(birth_month, '%Y-%m')"),
            ],
            "listings": [("end_date < start_date", "the listing ends before it starts",
                          "Correct one of the dates; end_date is the first day no longer listed", "end_date", "end_date")],
            "base_drugs": [("to_date < from_date", "ends before it starts", "Correct one of the dates", "to_date",
                            "to_date")],
        }
        if not self.sql(f"SELECT 1 FROM {table}_read LIMIT 1"):
            self.problems.append(Problem(self.files[table], "the table is empty", "Put at least one row into it"))
            return
        if what := empty + special.get(table, []):
            self.checks(table, what)

    def _was_parsed(self, table: str, column: str) -> bool:
        return f"unread_{column}" in self.connection.table(f"{table}_read").columns

    def check_keys(self) -> None:
        """What can be wrong between tables, and twice over."""
        for table, key, noun in (("centres", "centre_id", "centre"), ("persons", "person_id", "person")):
            self.check(table, "again", f"the {noun} is there twice", f"Keep one row for each {noun}", key, key,
                       f"(SELECT *, row_number() OVER (PARTITION BY {key} ORDER BY file_, row_) > 1 "
                       f"AND {key} IS NOT NULL AS again FROM {table}_placed)")
        self.check("listings", "centre_id NOT IN (SELECT centre_id FROM centres_read WHERE centre_id IS NOT NULL)",
                   "the centre is not in centres", f"Add it to {self.files['centres']}, or correct it", "centre_id",
                   "centre_id")
        self.check("listings", "person_id NOT IN (SELECT person_id FROM persons_read WHERE person_id IS NOT NULL)",
                   "the person is not in persons", f"Add the person to {self.files['persons']}: age and sex are needed",
                   "person_id", "person_id")
        self.check("listings", "overlapping", "the listing overlaps another of the same person",
                   "End the earlier listing on the day the later one starts", "start_date", "start_date",
                   "(SELECT *, coalesce(start_date < max(coalesce(end_date, DATE '9999-12-31')) OVER (PARTITION BY "
                   "person_id ORDER BY start_date, end_date, centre_id, row_ ROWS BETWEEN UNBOUNDED PRECEDING AND 1 "
                   "PRECEDING), false) AS overlapping FROM listings_placed "
                   "WHERE end_date IS NULL OR start_date < end_date)")

    # Handing over

    def canonical(self) -> None:
        """The tables under their own names, without the columns of the border."""
        for table in self.files:
            names = ", ".join(c.name for c in TABLES[table])
            source = f"{table}_read"
            if table == "persons":
                self.sql(f"CREATE TABLE persons AS SELECT (row_number() OVER (ORDER BY person_id) - 1)::INTEGER AS person, "
                         f"{names} FROM {source} ORDER BY person")
            elif table == "dispensings":
                self._base_drugs()
                base = "coalesce(in_base, true)" if "base_drugs" not in self.files or "in_base" in self.has[table] else \
                    ("EXISTS (SELECT 1 FROM base_codes b WHERE b.atc = d.atc AND d.date >= b.from_date "
                     "AND d.date < b.to_date)")
                self.sql(f"CREATE VIEW dispensings AS SELECT * REPLACE (coalesce(dose_dispensed, false) AS dose_dispensed, "
                         f"{base} AS in_base) FROM (SELECT {names} FROM {source}) d")
            else:
                self.sql(f"CREATE VIEW {table} AS SELECT {names} FROM {source}")

    def _base_drugs(self) -> None:
        own = "in_base" in self.has["dispensings"]
        if "base_drugs" in self.files:
            # on the distinct codes, so that the rows are matched by equality
            self.sql("CREATE TABLE base_codes AS SELECT DISTINCT c.atc, coalesce(b.from_date, DATE '0001-01-01') AS "
                     "from_date, coalesce(b.to_date, DATE '9999-12-31') AS to_date FROM (SELECT DISTINCT atc FROM "
                     "dispensings_read) c JOIN base_drugs_read b ON starts_with(c.atc, b.atc)")
            self.found.append("base drugs: rows with in_base; base_drugs is not used" if own else
                              "base drugs: codes in base_drugs at the date of the dispensing")
        else:
            self.found.append("base drugs: rows with in_base" if own else
                              "base drugs: neither in_base nor base_drugs is there, so every row counts as one")

    def count(self, kind: str, n: int) -> None:
        if n:
            self.counts[kind] = int(n)

    def count_rows(self) -> tuple[str, pd.DataFrame]:
        """Count what is odd but not fatal; the hash of the content and the codes with their rows."""
        self.say("checking dispensings")
        codes = pd.DataFrame(self.sql("SELECT atc, count(*) FROM dispensings GROUP BY atc ORDER BY atc"),
                             columns=["atc", "rows"])
        good = codes["atc"].str.fullmatch(ATC_FORM).fillna(False).astype(bool)
        self.count("atc_missing", codes.loc[codes["atc"].isna(), "rows"].sum())
        self.count("atc_malformed_or_unknown", codes.loc[~good & codes["atc"].notna(), "rows"].sum())
        listed = self.sql(
            "SELECT count(*) FROM (SELECT person_id, date FROM dispensings) d JOIN listings l "
            "ON d.person_id = l.person_id AND d.date >= l.start_date AND d.date < coalesce(l.end_date, DATE '9999-12-31')")[0][0]
        nobody = self.sql("SELECT count(*) FROM (SELECT person_id FROM dispensings) d ANTI JOIN listings USING (person_id)")[0][0]
        total = int(codes["rows"].sum())
        self.count("dispensings_of_unlisted_person", nobody)
        self.count("dispensings_outside_listing", total - nobody - listed)
        self.count("correction_without_purchase", self.sql(
            "SELECT count(*) FROM (SELECT sum(packages) AS net FROM dispensings d SEMI JOIN (SELECT DISTINCT person_id, "
            "atc, date FROM dispensings WHERE packages < 0) USING (person_id, atc, date) "
            "GROUP BY person_id, atc, date) WHERE net < 0")[0][0])
        self.count("ddd_unknown", self.sql("SELECT count(*) FROM dispensings WHERE ddd IS NULL")[0][0])
        if "gross_price" in self.has["dispensings"]:
            self.count("gross_price_unknown",
                       self.sql("SELECT count(*) FROM dispensings WHERE gross_price IS NULL")[0][0])
        digest, twice = self._digest()
        self.count("duplicate_rows", twice)
        return digest, codes[codes["atc"].notna()].reset_index(drop=True)

    def _digest(self) -> tuple[str, int]:
        """A hash of all tables that depends on no order or file, and the number of repeated dispensings.

        Sorted row hashes give both at once; a float is hashed in thousandths, so that 1 and 1.0 agree.
        """
        total, twice = hashlib.sha256(), 0
        for table in self.files:
            hashed = ", ".join(f"round({c.name} * 1000)::BIGINT" if c.kind == "number" else
                               f"{c.name}::VARCHAR" if c.kind == "person" and table != "dispensings" else c.name
                               for c in TABLES[table])
            rows = self.connection.raw_sql(f"SELECT hash({hashed}) AS h FROM {table}").fetchnumpy()["h"]
            rows = np.sort(np.asarray(rows))
            if table == "dispensings":
                twice = int(np.count_nonzero(rows[1:] == rows[:-1]))
            total.update(table.encode() + rows.astype("<u8").tobytes())
        return total.hexdigest(), twice
