"""One look at every dispensing: what is wrong or odd, what it comes to, and its rows as whole numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lakemedelsmodell.data.checks import BORN, NOTICED, Border, Content, Hashes, duckdb_errors
from lakemedelsmodell.data.rows import (
    AMOUNTS,
    BLOCK,
    BOUGHT,
    CODE,
    CODES,
    DAY_ZERO,
    DAYS,
    DOSED,
    IN_BASE,
    NO_DDD,
    NO_GROSS,
    PERSON,
    Block,
    Rows,
    Writer,
    day_number,
    month_number,
)
from lakemedelsmodell.data.stretches import Stretches
from lakemedelsmodell.data.threads import of_each
from lakemedelsmodell.errors import DataError, Problem

if TYPE_CHECKING:
    import pyarrow as pa

BATCH = 1 << 20
LARGEST = np.iinfo(np.int32).max
"""What rows hold: 21 million SEK, two million DDD."""
OPEN_END = date(9999, 12, 31)
EVER = 1 << 30
BITS = {"dose_dispensed": DOSED, "in_base": IN_BASE, "packages > 0": BOUGHT, "gross_price IS NULL": NO_GROSS,
        "ddd IS NULL": NO_DDD}
"""Bits of a row, by SQL."""
WRONG = 1 << 8
ODD = {kind: WRONG << i for i, kind in enumerate(NOTICED["dispensings"], 1)}
"""Bits of what is wrong or noticed, above the row's own; one number comes cheaper than a column for each."""


@dataclass(frozen=True, eq=False)
class Scanned:
    """What one look told; ``rows`` is None where an amount is too large for them."""

    rows: Rows | None
    content: Content
    hashes: Hashes


def scan(border: Border) -> Scanned | None:
    """Read all dispensings once and count what is odd about them; None where there are none, or something is wrong.

    The tables must have been handed over.
    """
    border.say("looking through the dispensings")
    n, first, last = border.sql("SELECT count(*), min(date), max(date) FROM dispensings")[0]
    if first is None or first < DAY_ZERO or (last - DAY_ZERO).days >= DAYS:
        return None
    codes = sorted(atc for atc, in border.sql("SELECT DISTINCT atc FROM dispensings WHERE atc IS NOT NULL"))
    if len(codes) > CODES:
        raise DataError(Problem(border.files["dispensings"], f"{len(codes):,} different ATC codes",
                                "Check which column is read as atc.", column="atc"))
    n_persons = border.sql("SELECT count(*) FROM persons")[0][0]
    hashes = Hashes(border.scratch, "dispensings", n)
    writer = Writer(border.scratch, n_persons, len(codes), (month_number(first), month_number(last)))
    noticed = dict.fromkeys(NOTICED["dispensings"], 0)
    strangers: dict[Any, int] = {}
    fits = True
    for batch in _batches(border, codes):
        columns = {name: batch[name].to_numpy(zero_copy_only=False)
                   for name in batch.schema.names if name != "stranger"}
        bits = columns["bits"]
        if (told := np.bitwise_or.reduce(bits)) & WRONG:
            return None
        for kind, bit in ODD.items():
            if told & bit:
                noticed[kind] += int(np.count_nonzero(bits & bit))
        fits = fits and all(columns[name].min() >= -LARGEST and columns[name].max() <= LARGEST for name in AMOUNTS)
        hashes.add(columns["hash"])
        writer.add(_with_strangers(columns["person"], batch["stranger"], strangers, n_persons), columns["code"],
                   columns["day"], {name: columns[name].astype(np.int32) for name in AMOUNTS},
                   bits.astype(np.uint8))
    for kind, found in noticed.items():
        border.count(kind, found)
    lives = Lives.of(border)
    stretches = border.scratch / "stretches.npy"
    lives.listed().write(stretches)
    rows = Rows(writer.blocks(), writer.total(), len(codes), stretches)
    _count_unexplained(border, rows, lives, n, n_persons, (day_number(first), day_number(last)))
    return Scanned(rows if fits else None, _content(border, rows, codes, (first, last)), hashes)


def _batches(border: Border, codes: list[str]) -> Iterator[pa.RecordBatch]:
    """The rows as whole numbers, in any order."""
    import pyarrow as pa

    def whole(amount: str, parts: int) -> str:
        return f"coalesce(try_cast(round({amount} * {parts}) AS BIGINT), 0)"

    wrong = " OR ".join(f"({c.wrong})" for c in border.checks("dispensings"))
    bits = [*BITS.items(), (wrong, WRONG), *((is_so, ODD[kind]) for kind, is_so in NOTICED["dispensings"].items())]
    told = " | ".join(f"CASE WHEN {is_so} THEN {bit}::USMALLINT ELSE 0::USMALLINT END" for is_so, bit in bits)
    border.connection.con.register("code_numbers", pa.table({"atc": pa.array(codes, pa.string()), "code": np.arange(
        len(codes), dtype=np.int32)}))
    query = (
        f"SELECT {border.row_hash('dispensings')} AS hash, coalesce(person, -1) AS person, "
        f"CASE WHEN person IS NULL THEN person_id END AS stranger, coalesce(code, {len(codes)}) AS code, "
        f"(date - DATE '{DAY_ZERO}')::INTEGER AS day, {whole('packages', 1000)} AS packages, "
        f"{whole('ddd', 1000)} AS ddd, {whole('cost', 100)} AS cost, {whole('gross_price', 100)} AS gross, "
        f"({told}) AS bits "
        "FROM dispensings_checked LEFT JOIN (SELECT person_id, person FROM persons) USING (person_id) "
        "LEFT JOIN code_numbers USING (atc)")
    border.sql("SET preserve_insertion_order = false")
    try:
        yield from border.connection.con.sql(query).to_arrow_reader(BATCH)
    except pa.ArrowException as error:
        raise duckdb_errors()(str(error)) from None
    finally:
        border.sql("SET preserve_insertion_order = true")


def _with_strangers(person: np.ndarray, ids: pa.Array, known: dict[Any, int], n_persons: int) -> np.ndarray:
    """Those who are not in persons numbered after those who are; who has no id keeps −1."""
    if ids.null_count == len(ids):
        return person
    found = ids.drop_null().dictionary_encode()
    number = [known.setdefault(one, n_persons + len(known)) for one in found.dictionary.to_pylist()]
    person = person.copy()
    person[ids.is_valid().to_numpy(zero_copy_only=False)] = np.array(number)[found.indices.to_numpy()]
    return person


def _content(border: Border, rows: Rows, codes: list[str], days: tuple[date, date]) -> Content:
    code, month = np.nonzero(rows.sums.of["rows"])
    first, last = days
    return border.summed(pd.DataFrame({
        "atc": np.array([*codes, None], dtype=object)[code],
        "month": [date(1970 + n // 12, n % 12 + 1, 1) for n in (rows.sums.first_month + month).tolist()],
        "first": first, "last": last, **{name: rows.sums.of[column][code, month] for name, column in (
            ("rows", "rows"), ("ddd_unknown", "no_ddd"), ("gross_price_unknown", "no_gross"))}}))


@dataclass(frozen=True, eq=False)
class Lives:
    """Listings as they stand: numbers of person and centre; first day, end, birth and death in days since ``DAY_ZERO``.

    Who was born and died when is told of those who are listed; of others nothing is asked.
    """

    person: np.ndarray
    centre: np.ndarray
    born: np.ndarray
    birth_month: np.ndarray
    died: np.ndarray
    start: np.ndarray
    end: np.ndarray

    @classmethod
    def of(cls, border: Border) -> Lives:
        days = {"born": f"{BORN}::DATE", "birth_month": "birth_month",
                "died": f"coalesce(death_date, DATE '{OPEN_END}')", "start_day": "start_date",
                "end_day": f"coalesce(end_date, DATE '{OPEN_END}')"}
        found = border.connection.con.sql(
            "SELECT person, centre, " + ", ".join(f"({day} - DATE '{DAY_ZERO}')::INTEGER AS {name}"
                                                  for name, day in days.items())
            + " FROM listings JOIN persons USING (person_id) JOIN (SELECT centre_id, (row_number() OVER (ORDER BY "
            "centre_id) - 1)::INTEGER AS centre FROM centres) USING (centre_id)").fetchnumpy()
        return cls(*found.values())

    def listed(self) -> Stretches:
        """Stretches in which a person who is born and alive is listed, see ``flags._listed``."""
        month = (np.datetime64(DAY_ZERO) + self.birth_month).astype("datetime64[M]").astype(np.int32)
        return Stretches.of(self.person, self.centre, month, np.maximum(self.start, self.birth_month),
                            np.minimum(self.end, self.died))


def _count_unexplained(border: Border, rows: Rows, lives: Lives, n_rows: int, n_persons: int,
                       days: tuple[int, int]) -> None:
    """Count dispensings nobody's listing explains, and corrections no purchase explains."""
    border.count("listings_before_birth", int(np.count_nonzero(lives.start < lives.born)))
    border.count("listings_after_death", int(np.count_nonzero(lives.start >= lives.died)))
    listed = Stretches.of(lives.person, lives.centre, lives.born, lives.start, lives.end)
    somebody, born, died = np.zeros(n_persons, dtype=bool), np.full(n_persons, -EVER), np.full(n_persons, EVER)
    somebody[lives.person], born[lives.person], died[lives.person] = True, lives.born, lives.died
    plain = np.zeros(n_persons, dtype=bool)  # listed and alive throughout, so that every day of theirs is explained
    plain[listed.person[(listed.start <= days[0]) & (listed.end > days[1])]] = True
    plain &= (born <= days[0]) & (died > days[1])

    def of_block(block: Block) -> np.ndarray:
        key, packages = block.read("key", "packages")
        corrected = np.unique(key[(packages < 0) & (key >> CODE & CODES < rows.n_codes)])
        a, b = (np.searchsorted(key, corrected, side) for side in ("left", "right"))
        left = np.concatenate([[0], np.cumsum(packages, dtype=np.int64)])
        mine = slice(block.first, block.first + block.persons)
        key = key[:np.searchsorted(key, block.persons << PERSON)]
        others = key[~plain[mine][key >> PERSON]]
        person, day = others >> PERSON, others & DAYS - 1
        return np.array([
            np.count_nonzero(somebody[mine][person]) + len(key) - len(others),
            np.count_nonzero(listed.persons(block.first, block.persons).at(person, day) >= 0) + len(key) - len(others),
            np.count_nonzero(day < born[mine][person]), np.count_nonzero(day >= died[mine][person]),
            np.count_nonzero(left[b] < left[a])])

    explained, inside, unborn, dead, unexplained = np.sum(of_each(of_block, rows.blocks, BLOCK), axis=0).tolist()
    border.count("dispensings_of_unlisted_person", n_rows - explained)
    border.count("dispensings_outside_listing", explained - inside)
    border.count("dispensings_before_birth", unborn)
    border.count("dispensings_after_death", dead)
    border.count("correction_without_purchase", unexplained)
