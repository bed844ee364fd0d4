"""A half-year's four tables, read and checked, as lazy Ibis tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

import pandas as pd

from lakemedelsmodell.data.checks import Border, Source
from lakemedelsmodell.data.columns import TABLES
from lakemedelsmodell.data.engines import connect, put_aside
from lakemedelsmodell.data.periods import Period
from lakemedelsmodell.data.rows import Rows
from lakemedelsmodell.data.scan import scan

if TYPE_CHECKING:
    import pyarrow as pa
    from ibis.backends.duckdb import Backend
    from ibis.expr.types import Table

KINDS: Mapping[str, str] = {
    "atc_malformed_or_unknown": "dispensings with a malformed or unknown ATC code",
    "atc_missing": "dispensings without an ATC code",
    "atc_normalised": "dispensings whose ATC code was put right (case, blanks, dots)",
    "atc_withdrawn": "dispensings with an ATC code that has been moved since, read as written",
    "correction_with_positive_cost": "corrections that cost more than nothing",
    "correction_without_purchase": "corrections without a purchase of that person, code and date",
    "ddd_unknown": "dispensings without DDD",
    "dispensings_after_death": "dispensings on or after the day the person died",
    "dispensings_before_birth": "dispensings before the month the person was born",
    "dispensings_of_unlisted_person": "dispensings of a person nobody lists",
    "dispensings_outside_listing": "dispensings of a listed person outside every listing",
    "dispensings_outside_window": "dispensings outside the period and its look-back",
    "dispensings_without_listed_month": "dispensings of base drugs in the period without a listed month, left out",
    "cost_without_listed_month_sek": "SEK of base drugs in the period without a listed month, left out",
    "dispensings_without_packages": "dispensings of 0 packages",
    "dispensings_of_other_prescribers": "dispensings prescribed outside the centres, left out",
    "cost_of_other_prescribers_sek": "SEK prescribed outside the centres, left out",
    "duplicate_rows": "dispensings identical to another row",
    "listings_after_death": "listings that begin on or after the day the person died",
    "listings_before_birth": "listings that begin before the month the person was born; they count from it",
    "listings_without_days": "listings that end on the day they start",
    "gross_price_unknown": "dispensings without a gross price",
    "rows_without_months": "rows of a cohort without listed months or weight, left out",
    "persons_without_history": "listed persons not listed through the whole look-back",
}
"""What is counted and shown, by kind; nothing of it is fatal."""


@dataclass(frozen=True, eq=False)
class HalfYear:
    """Centres, persons, listings and dispensings, checked; the rows stay where they lie.

    Attributes
    ----------
    connection
        The Ibis backend the tables belong to.
    centres, persons, listings, dispensings : Ibis tables
        Canonical columns: dates as dates, ``birth_month`` as the first of the month, ``sex`` K or M,
        ``person`` the number of a person in the order of person_id, money in SEK, ``ddd`` of the row,
        ``in_base`` whether the row's cost counts. An unknown value is null.
    base_drugs : Ibis table or None
    centres_frame : DataFrame, K rows
        ``centre_id`` (sorted), name and, where known, operator, cni, rural.
    codes : DataFrame
        ``atc`` (sorted, distinct) and ``rows``.
    found : tuple of str
        What was detected and assumed on the way in, in sentences.
    counts : mapping
        Rows that are odd but not fatal, by the kinds of :data:`KINDS`; kinds with none are absent.
    content_hash : str
        Depends on the rows only, not on their order, files or formats.
    months_seen : tuple of date
        The firsts of the months that have dispensings.
    first_day, last_day : date
        First and last date of a dispensing.
    has : mapping of table name -> set of str
        The columns that hold something.
    rows : Rows or None
        The dispensings of files as whole numbers; None of a database, whose rows stay there.
    """

    connection: Backend
    centres: Table
    persons: Table
    listings: Table
    dispensings: Table
    base_drugs: Table | None
    centres_frame: pd.DataFrame
    codes: pd.DataFrame
    found: tuple[str, ...]
    counts: Mapping[str, int]
    content_hash: str
    months_seen: tuple[date, ...]
    first_day: date
    last_day: date
    has: Mapping[str, set[str]]
    rows: Rows | None = None
    held: Any = field(default=None, repr=False)
    flags_read: dict[Any, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def from_frames(cls, centres: Any, persons: Any, listings: Any, dispensings: Any, base_drugs: Any = None, *,
                    progress: Callable[[str], Any] | None = None) -> HalfYear:
        """A half-year from pandas or pyarrow tables in memory, checked like files.

        Raises
        ------
        DataError
            With every problem found; rows are counted from 1.
        """
        import pyarrow as pa

        frames = {"centres": centres, "persons": persons, "listings": listings, "dispensings": dispensings,
                  "base_drugs": base_drugs}
        tables: dict[str, pa.Table] = {
            name: frame if isinstance(frame, pa.Table) else pa.Table.from_pandas(frame, preserve_index=False)
            for name, frame in frames.items() if frame is not None}
        border = new_border(progress)
        sources = {}
        for name, table in tables.items():
            border.connection.con.register(f"{name}_frame", table)
            sources[name] = Source(name, f"{name}_frame",
                                   f"(SELECT *, '{name}' AS file_, row_number() OVER () AS row_ FROM {name}_frame)")
        return admit(border, sources, held=tables)

    def months_lacking(self, end: date) -> list[date]:
        """The firsts of months before ``end`` that have no dispensings, though an earlier month has."""
        months = Period(self.months_seen[0], end).months if end > self.months_seen[0] else ()
        return [m for m in months if m not in self.months_seen]

    def let_go(self) -> None:
        """Give back the memory of what was found and is kept for later questions; those find it anew."""
        self.flags_read.clear()
        if self.rows:
            self.rows.let_go()
        put_aside(self.dispensings)

    def __repr__(self) -> str:
        odd = "".join(f"\n  {n:,} {KINDS[kind]}" for kind, n in sorted(self.counts.items()))
        return (f"Half-year data {self.first_day} to {self.last_day}: {len(self.centres_frame):,} centres, "
                f"{self.codes['rows'].sum():,} dispensings with a code, {len(self.codes):,} codes{odd}")

    def _repr_html_(self) -> str:
        what, *odd = repr(self).split("\n")
        return f"<p>{what}</p>" + (f"<ul>{''.join(f'<li>{line}</li>' for line in odd)}</ul>" if odd else "")


def new_border(progress: Callable[[str], Any] | None = None) -> Border:
    """An empty database ready to take tables in."""
    connection, scratch = connect()
    return Border(connection, scratch, progress=progress)


def admit(border: Border, sources: Mapping[str, Source], held: Any = None) -> HalfYear:
    """Read and check all tables; the half-year, or a DataError with every problem found."""
    with border.damage_told():
        for table in TABLES:
            if table in sources:
                border.read(table, sources[table])
        border.refuse_names_of_nothing()
        if border.form:
            border.raise_problems()
        unread = list(border.problems)
        if not border.sound():  # whoever has to mend something is told all of it
            border.form, border.problems = [], unread
            border.check_all()
        border.hand_over()
        scanned = scan(border)
        if scanned is None:
            border.check_table("dispensings")
            border.raise_problems()
        assert scanned
        content_hash = border.digest(scanned.hashes)
    content, table = scanned.content, border.connection.table
    centres = table("centres").order_by("centre_id").to_pandas()
    return HalfYear(
        connection=border.connection, centres=table("centres"), persons=table("persons"), listings=table("listings"),
        dispensings=table("dispensings"), base_drugs=table("base_drugs") if "base_drugs" in border.files else None,
        centres_frame=centres[["centre_id", "name", *(c for c in ("operator", "cni", "rural")
                                                      if c in border.has["centres"])]],
        codes=content.codes, found=tuple(border.found), counts=dict(sorted(border.counts.items())),
        content_hash=content_hash,
        months_seen=content.months, first_day=content.first, last_day=content.last, has=border.has,
        rows=scanned.rows, held=held)


def default_period(half_year: HalfYear) -> tuple[Period, bool]:
    """The last calendar half-year whose final month has dispensings, else the last one begun; and whether its first or
    last month has none."""
    whole = [m for m in half_year.months_seen if m.month in (6, 12)]
    period = Period.half_year_of(whole[-1] if whole else half_year.last_day)
    return period, not whole or half_year.months_seen[0] > period.start
