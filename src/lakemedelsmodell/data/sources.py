"""A half-year that stays in its database: the same checks as for files, asked of the server that holds the tables.

Columns with few distinct values (codes, dates written as text, sex, centres) are read here, by the very rules for
files, from those distinct values; everything else is counted there. Rows never leave: what comes back are counts,
distinct values that identify nobody, and in the end the cohort, or sums per centre.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

import pandas as pd

from lakemedelsmodell.data.checks import (
    BEGINS_WITH_BIRTH,
    CENTRE_NAMES_SOMEBODY,
    NAMES_SOMEBODY,
    PERSONAL_SHARE,
    Border,
    Check,
    Content,
    Source,
)
from lakemedelsmodell.data.columns import EXPECTED, TABLES, Column, Kind, as_text, parsed, plain
from lakemedelsmodell.data.engines import (
    TYPES,
    arrow,
    binary_text,
    first_row,
    open_engine,
    prepare,
    said_plainly,
    scan,
    table_names,
)
from lakemedelsmodell.data.files import OPTIONAL, own_names
from lakemedelsmodell.data.source_names import SourceNames
from lakemedelsmodell.data.tables import HalfYear, new_border
from lakemedelsmodell.errors import Problem, names_somebody

if TYPE_CHECKING:
    from ibis.backends import BaseBackend
    from ibis.expr.types import Column as Value
    from ibis.expr.types import Table

OPEN_END = date(9999, 12, 31)
MONTHS = [f"{month:02}" for month in range(1, 13)]
DAYS = [f"{day + more:02}" for more in (0, 60) for day in range(1, 32)]
"""Those of a personnummer, and of a samordningsnummer."""
WHOLE_NUMBER_DIGITS = 18
"""A person_id of more digits is text: it would not fit the integers of every engine."""


def open_source(url: str, names: SourceNames | None = None, *, progress: Callable[[str], Any] | None = None
                ) -> HalfYear:
    """Connect to a database and check the half-year in it, see :func:`read_source` and ``engines.open_engine``.

    Raises
    ------
    UserError
        What the engine needs is not installed, or the server cannot be reached or refuses.
    DataError
        With every problem found.
    """
    with said_plainly(url):
        return read_source(open_engine(url), names or SourceNames(), progress=progress)


def read_source(connection: BaseBackend, names: SourceNames | None = None, *,
                progress: Callable[[str], Any] | None = None) -> HalfYear:
    """A half-year on an Ibis connection of one's own; the account need only be able to read.

    Raises
    ------
    DataError
        With every problem found, by table and column: rows of a database have no number.
    """
    names = names or SourceNames()
    prepare(connection)
    reader = _Reader(connection, new_border(progress))
    renamed, promised = own_names(names.columns, "source.columns", reader.border)
    reader.border.form += [Problem("source.tables", "is no table", f"Use {', '.join(TABLES)}.", value=name)
                           for name in names.tables if name not in TABLES]
    for table in TABLES:
        reader.find(table, names.tables.get(table), renamed[table], promised[table])
    reader.border.refuse_names_of_nothing()
    reader.border.raise_problems()
    return reader.half_year()


def _frame(table: Table) -> pd.DataFrame:
    return arrow(table).to_pandas()


@dataclass
class _Reader:
    """The tables on their way in: raw as they lie, then canonical expressions; problems gather in the border."""

    connection: Any
    border: Border
    raw: dict[str, Table] = field(default_factory=dict)
    own: dict[str, dict[str, tuple[str, Kind]]] = field(default_factory=dict)
    tables: dict[str, Table] = field(default_factory=dict)
    renamed: dict[str, Mapping[str, str]] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    unread: dict[tuple[str, str], int] = field(default_factory=dict)

    # Finding

    def find(self, table: str, name: str | None, renamed: Mapping[str, str], promised: frozenset[str]) -> None:
        """The raw table and its columns by their canonical names."""
        import ibis.common.exceptions as ibis_errors

        *place, last = (name or table).split(".")
        try:
            self.raw[table] = raw = self.connection.table(last, database=tuple(place) if place[1:] else
                                                          place[0] if place else None)
        except ibis_errors.TableNotFound:
            if name is None and table in OPTIONAL:
                return
            there = table_names(self.connection, place[-1] if place else None)
            self.border.form.append(Problem(
                name or table, "the table is missing", f"Name the one that holds {table} under [source] in the "
                f'settings, as tables = {{ {table} = "…" }}; there are {", ".join(there[:20]) or "none"}.'))
            return
        source = Source(name or table, "", "", renamed, promised)
        self.border.files[table] = source.file
        self.renamed[table] = renamed
        self.own[table] = own = self.border.match(table, source, raw.columns)
        for column in TABLES[table]:
            if column.needed and column.name not in own:
                self.border.missing(table, source, column, raw.columns)

    def half_year(self) -> HalfYear:
        """All tables read and checked."""
        border = self.border
        self.choose_person_type()
        for table in self.raw:
            border.say(f"reading {border.files[table]}")
            self.read(table)
        if border.form:
            border.raise_problems()
        for table in self.raw:
            self.check_rows(table)
        self.refuse_personal_numbers()
        if not border.form:
            self.check_keys()
        border.raise_problems()
        centres = _frame(self.tables["centres"]).sort_values("centre_id", ignore_index=True)
        for column in ("centre_id", "name"):
            for value in filter(names_somebody, centres[column].dropna()):
                self.problem("centres", *CENTRE_NAMES_SOMEBODY, column, value, 1)
        border.raise_problems()
        self.hand_over()
        content = self.content()
        border.say("counting what is odd")
        self.count_rows()
        border.found.append(f"read where it lies, in {self.connection.name}; nothing was written there")
        t = self.tables
        return HalfYear(
            connection=self.connection, centres=t["centres"], persons=t["persons"], listings=t["listings"],
            dispensings=t["dispensings"], base_drugs=t.get("base_drugs"),
            centres_frame=centres[["centre_id", "name", *(c for c in ("operator", "cni", "rural")
                                                          if c in border.has["centres"])]],
            codes=content.codes, found=tuple(border.found), counts=dict(sorted(border.counts.items())),
            content_hash=self.fingerprint(content, centres), months_seen=content.months, first_day=content.first,
            last_day=content.last, has=border.has)

    # Reading

    def choose_person_type(self) -> None:
        """Whole numbers where every person_id is written as one, else text."""
        t = self.raw["persons"]
        x = t[self.own["persons"]["person_id"][0]]
        if x.type().is_string():
            x = _told(x)
            odd = x.notnull() & ~(_whole_number(x) & ((x == "0") | (x.substr(0, 1) != "0")))
            if first_row(t.aggregate(n=odd.ifelse(1, 0).sum()))["n"]:
                self.border.person = "VARCHAR"

    def read(self, table: str) -> None:
        """The table with canonical columns and types, still an expression."""
        raw, own, border = self.raw[table], self.own[table], self.border
        there = {c.name: own[c.name] for c in TABLES[table] if c.name in own}
        t = raw.select(**{name: raw[mine] for name, (mine, _) in there.items()})
        filled = first_row(t.aggregate(rows_=t.count(), **{name: t[name].count() for name in there}))
        self.rows[table] = int(filled["rows_"])
        if not self.rows[table]:
            border.form.append(Problem(border.files[table], "the table is empty", "Put at least one row into it."))
            return
        needed = {c.name for c in TABLES[table] if c.needed}
        border.has[table] = {name for name in there if name in needed or filled[name]}
        t = t.select(sorted(border.has[table], key=list(there).index))
        for name in t.columns:
            t = self.read_column(table, t, name, there[name][1])
        if "ddd" in border.has[table] and table == "dispensings":
            mine = own["ddd"][0]
            if "ddd_per_package" in (mine.lower(), self.renamed[table].get(mine)):
                border.note(border.files[table], f"{mine} is DDD per package; DDD of a row = packages × {mine}")
                t = t.mutate(ddd=t.ddd * t.packages)
        self.tables[table] = t.select(**{c.name: t[c.name] if c.name in t.columns else self.unknown(c)
                                         for c in TABLES[table]})

    def unknown(self, column: Column) -> Any:
        import ibis

        kind = ("int64" if self.border.person == "BIGINT" else "string") if column.kind == "person" else \
            TYPES[column.kind]
        return ibis.null(kind)

    def read_column(self, table: str, t: Table, name: str, kind: Kind) -> Table:
        """Values whose type says what they are stay as they lie; others are read from the distinct ones."""
        x = t[name]
        dtype = x.type()
        match kind:
            case "person":
                value = self.person(x)
                if dtype.is_string() and self.border.person == "BIGINT":
                    self.count_unread(table, t, name, kind, _told(x).notnull() & value.isnull())
                return t.mutate(**{name: value})
            case "number" if dtype.is_numeric():
                x = x.cast("float64")
                may_be_nan = dtype.is_floating() and self.connection.name != "mssql"  # there a float is a number
                return t.mutate(**{name: x.isnan().ifelse(None, x) if may_be_nan else x})
            case "number":
                self.border.form.append(Problem(
                    self.border.files[table], f"is {dtype} in the database, not a number", "Give the table as a view "
                    "that casts it.", column=name))
                return t
            case "date" if dtype.is_date() or dtype.is_timestamp():
                return t if dtype.is_date() else t.mutate(**{name: x.date()})
            case "month" if dtype.is_date() or dtype.is_timestamp():
                return t.mutate(**{name: x.truncate("M").cast("date")})
            case "bool" if dtype.is_boolean():
                return t
        return self.read_distinct(table, t, name, kind)

    def person(self, x: Value) -> Value:
        integer = not x.type().is_string()
        if self.border.person == "VARCHAR":
            return binary_text(_told(x.cast("int64").cast("string") if integer else x))
        if integer:
            return x.cast("int64")
        x = _told(x)
        return _whole_number(x).ifelse(x, None).cast("int64")

    def count_unread(self, table: str, t: Table, name: str, kind: Kind, wrong: Any) -> None:
        n = first_row(t.aggregate(n=wrong.ifelse(1, 0).sum()))["n"]
        if n:
            self.problem(table, *EXPECTED[kind], name, None, int(n))
        self.unread[table, name] = int(n or 0)

    def read_distinct(self, table: str, t: Table, name: str, kind: Kind) -> Table:
        """A column read by the rules for files from its distinct values, joined to the rows by equality."""
        import ibis
        import pyarrow as pa

        x = t[name]
        if x.type().is_string():
            x = binary_text(x.cast("string"))
        elif not x.type().is_integer():
            x = x.cast("int64") if x.type().is_numeric() else x.cast("string")
        t = t.mutate(**{name: x})
        values = arrow(t.group_by(raw_=t[name]).agg(rows_=t.count()).filter(lambda v: v.raw_.notnull()))
        border = self.border
        border.connection.con.register("distinct_values", pa.table(values))
        sql_type = "VARCHAR" if t[name].type().is_string() else "BIGINT"
        text = as_text("raw_", sql_type, kind)
        value = parsed("text_", sql_type, kind) or f"{plain('raw_', sql_type, kind)}"
        read = border.connection.con.sql(
            f"SELECT raw_, text_, {value} AS value_, rows_ FROM (SELECT *, {text} AS text_ FROM distinct_values) "
            "ORDER BY raw_").to_arrow_table()
        border.connection.con.unregister("distinct_values")
        frame = read.to_pandas(date_as_object=True)
        unread = frame[frame["value_"].isna() & frame["text_"].notna()]
        for i, (_, row) in enumerate(unread.iterrows()):
            if i < 20:
                self.problem(table, *EXPECTED[kind], name, str(row["text_"]), int(row["rows_"]))
        self.unread[table, name] = int(unread["rows_"].sum())
        if kind == "atc":
            border.count("atc_normalised", frame.loc[frame["value_"].notna() & (frame["raw_"] != frame["value_"]),
                                                     "rows_"].sum())
        if sql_type == "VARCHAR" and TYPES[kind] == "string" and (frame["raw_"] == frame["value_"]).all():
            return t
        known = frame[frame["value_"].notna()]
        lookup = ibis.memtable(known[["raw_", "value_"]].reset_index(drop=True),
                               schema={"raw_": t[name].type(), "value_": TYPES[kind]})
        joined = t.left_join(lookup, t[name] == lookup.raw_)
        return joined.select(**{c: joined.value_ if c == name else joined[c] for c in t.columns})

    def problem(self, table: str, problem: str, remedy: str, column: str | None, value: str | None, count: int) -> None:
        """A value is shown unless it names a person."""
        self.border.problems.append(Problem(self.border.files[table], problem, remedy, None, column, value, count))

    # What is fatal

    def check_rows(self, table: str) -> None:
        """What no row can be, and values that must be there."""
        t = self.tables[table]
        has = self.border.has[table]
        filled = [c.name for c in TABLES[table] if c.filled] + ["in_base"] * ("in_base" in has)
        checks = [Check(f"{name} IS NULL", "the value is missing", "Fill it in.", name) for name in filled]
        checks += self.border.impossible(table)
        found = scan(t, checks)
        for i, c in enumerate(checks):
            n = int(found[f"n{i}"]) - (self.unread.get((table, c.column), 0) if c.value == "NULL" else 0)
            if n:
                self.problem(table, c.problem, c.remedy, c.column, found[f"v{i}"], n)

    def refuse_personal_numbers(self) -> None:
        """A personnummer or samordningsnummer for a pseudonym; who is in other tables must be among persons."""
        persons = self.tables["persons"]
        ids = persons.select(x=persons.person_id.cast("string"), year=persons.birth_month.year().cast("string"))
        ids = ids.select(length=ids.x.length(), named=is_personal_number(ids.x).ifelse(1, 0),
                         born=begins_with_birth(ids.x, ids.year).ifelse(1, 0))
        ids = ids.filter(ids.length.between(10, 17))
        found = _frame(ids.group_by("length").agg(persons=ids.count(), named=ids.named.sum(), born=ids.born.sum()))
        for kind, said in (("named", NAMES_SOMEBODY), ("born", BEGINS_WITH_BIRTH)):
            if (found[kind] > PERSONAL_SHARE * found["persons"]).any():
                self.problem("persons", *said, "person_id", None, int(found[kind].sum()))
                break

    def check_keys(self) -> None:
        """What can be wrong between tables, and twice over."""
        import ibis

        for table, key, noun in (("centres", "centre_id", "centre"), ("persons", "person_id", "person")):
            t = self.tables[table]
            n = first_row(t.aggregate(n=t[key].count() - t[key].nunique()))["n"]
            if n:
                self.problem(table, f"the {noun} is there twice", f"Keep one row for each {noun}.", key, None, int(n))
        listings, persons, files = self.tables["listings"], self.tables["persons"], self.border.files
        known = set(_frame(self.tables["centres"].select("centre_id"))["centre_id"])
        centres = _frame(listings.group_by("centre_id").agg(n=listings.count()).order_by("centre_id"))
        for row in centres[~centres["centre_id"].isin(known)].dropna().itertuples():
            self.problem("listings", "the centre is not in centres", f"Add it to {files['centres']}, or correct it.",
                         "centre_id", row.centre_id, int(row.n))
        strangers = listings.filter(listings.person_id.notnull()).anti_join(persons, "person_id")
        if n := first_row(strangers.aggregate(n=strangers.count()))["n"]:
            self.problem("listings", "the person is not in persons",
                         f"Add it to {files['persons']}; sex and birth are needed.", "person_id", None, int(n))
        t = listings.mutate(end=listings.end_date.fill_null(OPEN_END))
        t = t.filter(t.start_date < t.end)
        earlier = ibis.window(group_by=t.person_id, order_by=[t.start_date, t.end, t.centre_id], preceding=(None, 1))
        t = t.mutate(until=t.end.max().over(earlier))
        if n := first_row(t.aggregate(n=(t.start_date < t.until).ifelse(1, 0).sum()))["n"]:
            self.problem("listings", "the listing overlaps another of the same person",
                         "End the earlier listing on the day the later one starts.", "start_date", None, int(n))

    # Handing over

    def hand_over(self) -> None:
        """Persons numbered, base drugs marked."""
        import ibis

        persons = self.tables["persons"]
        number = ibis.row_number().over(ibis.window(order_by=persons.person_id)).cast("int32")
        self.tables["persons"] = persons.select(person=number, **{c: persons[c] for c in persons.columns})
        t = self.tables["dispensings"]
        self.tables["dispensings"] = self.in_base(t.mutate(dose_dispensed=t.dose_dispensed.fill_null(False)))

    def in_base(self, t: Table) -> Table:
        import ibis

        found = self.border.found
        if "in_base" in self.border.has["dispensings"]:
            found.append("base drugs: rows with in_base"
                         + ("; base_drugs is not used" if "base_drugs" in self.tables else ""))
            return t
        if "base_drugs" not in self.tables:
            found.append("base drugs: neither in_base nor base_drugs is there, so every row counts as one")
            return t.mutate(in_base=ibis.literal(True))
        found.append("base drugs: codes in base_drugs at the date of the dispensing")
        codes = _frame(t.filter(t.atc.notnull()).select("atc").distinct())["atc"]
        windows = pd.DataFrame(_windows(codes, arrow(self.tables["base_drugs"]).to_pylist()),
                               columns=["code", "from_date", "to_date"])
        windows = ibis.memtable(windows, schema={"code": "string", "from_date": "date", "to_date": "date"})
        joined = t.left_join(windows, [t.atc == windows.code, t.date >= windows.from_date, t.date < windows.to_date])
        return joined.select(**{c: joined.code.notnull() if c == "in_base" else joined[c] for c in t.columns})

    # What is odd but not fatal

    def content(self) -> Content:
        """Codes and dates of the dispensings; missing values and odd codes are counted."""
        self.border.say("looking through the dispensings")
        t = self.tables["dispensings"]
        t = t.mutate(year=t.date.year(), month=t.date.month())
        seen = _frame(t.group_by("atc", "year", "month").agg(
            rows=t.count(), first=t.date.min(), last=t.date.max(), ddd_unknown=t.count() - t.ddd.count(),
            gross_price_unknown=t.count() - t.gross_price.count(), packages=_thousandths(t.packages).sum(),
            ddd=_thousandths(t.ddd).sum(), cost=_thousandths(t.cost).sum()))
        self.sums = seen.sort_values(["atc", "year", "month"], ignore_index=True)
        months = [date(y, m, 1) for y, m in zip(seen["year"], seen["month"], strict=True)]
        return self.border.summed(seen.assign(month=months))

    def count_rows(self) -> None:
        """Dispensings nobody's listing explains, corrections no purchase explains, and repeated rows."""
        t, listings, count = self.tables["dispensings"], self.tables["listings"], self.border.count
        somebody = first_row((s := t.semi_join(listings, "person_id")).aggregate(n=s.count()))["n"]
        inside = t.join(listings, [t.person_id == listings.person_id, t.date >= listings.start_date,
                                   t.date < listings.end_date.fill_null(OPEN_END)])
        listed = first_row(inside.aggregate(n=inside.count()))["n"]
        count("dispensings_of_unlisted_person", self.rows["dispensings"] - somebody)
        count("dispensings_outside_listing", somebody - listed)
        key = ["person_id", "atc", "date"]
        corrected = t.semi_join(t.filter(t.packages < 0).select(key).distinct(), key)
        net = corrected.group_by(key).agg(net=corrected.packages.sum()).filter(lambda n: n.net < 0)
        count("correction_without_purchase", first_row(net.aggregate(n=net.count()))["n"])
        same = t.mutate(**{c.name: _thousandths(t[c.name]) for c in TABLES["dispensings"] if c.kind == "number"})
        same = same.group_by(same.columns).agg(n=same.count())
        same = same.filter(same.n > 1)
        count("duplicate_rows", first_row(same.aggregate(n=(same.n - 1).sum()))["n"] or 0)

    def fingerprint(self, content: Content, centres: pd.DataFrame) -> str:
        """A hash of sums: rows do not leave. Any change of a row that changes a count or sum changes it."""
        persons, listings = self.tables["persons"], self.tables["listings"]
        born = _frame(persons.group_by("sex", "birth_month").agg(
            n=persons.count(), died=persons.death_date.count()).order_by("sex", "birth_month"))
        listings = listings.mutate(start=listings.start_date.year() * 12 + listings.start_date.month(),
                                   end=listings.end_date.year() * 12 + listings.end_date.month())
        stays = _frame(listings.group_by("centre_id", "start").agg(
            n=listings.count(), ended=listings.end.count(), end=listings.end.sum()).order_by("centre_id", "start"))
        total = hashlib.sha256()
        for frame in (centres, born, stays, self.sums):
            total.update(frame.to_csv(index=False).encode())
        return f"sums:{total.hexdigest()}"


def _told(x: Value) -> Value:
    """Text without blanks around it, null where nothing is written."""
    return x.cast("string").strip().nullif("")


def _whole_number(x: Value) -> Any:
    """Whether text is nothing but digits, few enough for an integer; without regular expressions, for SQL Server."""
    rest = x
    for digit in "0123456789":
        rest = rest.replace(digit, "")
    return (rest.length() == 0) & (x.length() >= 1) & (x.length() <= WHOLE_NUMBER_DIGITS)


def is_personal_number(x: Value) -> Any:
    """What ``checks.is_personal_number`` says, without regular expressions, for SQL Server."""
    import ibis

    n = x.length()
    short = n.isin([12, 13]).ifelse(x.substr(2), x)  # without the century
    digit = [ibis.literal("0123456789").find(short.substr(i, 1)) for i in range(11)]
    month, day = (10 * digit[i] + digit[i + 1] for i in (2, 4))
    dated = (n.isin([10, 11]) | x.substr(0, 2).isin(["18", "19", "20"])) & month.between(1, 12) & (
        day.between(1, 31) | day.between(61, 91))
    for d in digit[:6]:
        dated = dated & (d >= 0)
    luhn = sum((2 * d - (d > 4).ifelse(9, 0) for d in digit[:10:2]), sum(digit[1:10:2]))
    whole = _whole_number(x) & n.isin([10, 12]) & (luhn % 10 == 0)
    first = ibis.literal("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ").find(short.substr(7, 1))
    sign = short.substr(6, 1).isin(["-", "+", " ", "\u2013", "\u2212"])
    signed = n.isin([11, 13]) & sign & (first >= 0) & (digit[8] >= 0) & (
        digit[9] >= 0) & (digit[10] >= 0)
    return dated & (whole | signed)


def begins_with_birth(x: Value, year: Value) -> Any:
    """What ``checks.begins_with_birth`` says, of the year of birth as text."""
    def dated(first: int) -> Any:
        return x.substr(first, 2).isin(MONTHS) & x.substr(first + 2, 2).isin(DAYS)

    return ((x.substr(0, 4) == year) & dated(4)) | ((x.substr(0, 2) == year.substr(2, 2)) & dated(2))


def _thousandths(x: Value) -> Value:
    return (x * 1000).round().cast("int64")


def _windows(codes: pd.Series, drugs: list[dict[str, Any]]) -> list[tuple[str, date, date]]:
    """Per code the stretches in which any entry, a code or its beginning, has it in the base; none overlap."""
    found = []
    for code in codes:
        inside: list[tuple[date, date]] = []
        entries = [(d["from_date"] or date.min, d["to_date"] or OPEN_END) for d in drugs if code.startswith(d["atc"])]
        for start, end in sorted(entries):
            if inside and start <= inside[-1][1]:
                inside[-1] = inside[-1][0], max(inside[-1][1], end)
            else:
                inside.append((start, end))
        found += [(code, start, end) for start, end in inside]
    return found
