"""The dispensings of files as whole numbers, by person, code and day: read once, and then asked everything.

Rows lie in blocks of persons, each in a scratch file, so that memory holds a few blocks however many persons there are.
``data.reduction`` asks them what ``data.flags`` asks of a database; a property test holds the two equal.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from lakemedelsmodell.data.stretches import Stretches
from lakemedelsmodell.data.threads import of_each

DAY_ZERO = date(1950, 1, 1)
"""No dispensing is earlier, nor 65 536 days later; see ``checks.CHECKS``."""
DAYS = 1 << 16
MONTH = (np.datetime64(DAY_ZERO) + np.arange(DAYS)).astype("datetime64[M]").astype(np.int64)
"""Calendar months since January 1970, by day."""
FIRST = np.flatnonzero(np.diff(MONTH, prepend=MONTH[0] - 1))[MONTH - MONTH[0]]
"""The first day of its month, by day."""

MANY_PIECES = 64
"""Rows that lie in order already are written as they come; others are put in order of blocks first."""
PLACE = 16
BLOCK = 1 << PLACE
"""Persons whose rows lie in one file."""
PERSON, CODE = 40, 16
"""Where the person's place in the block and the code begin among the bits of a key; the day lies below."""
AMOUNTS = {name: np.dtype(np.int32) for name in ("packages", "ddd", "cost", "gross")}
"""Thousandths of packages and DDD, öre."""
CODES = (1 << PERSON - CODE) - 1
"""The code's bits, once the day's are shifted away; no code has a larger number."""
COLUMNS = {"key": np.dtype(np.int64)} | AMOUNTS | {"bits": np.dtype(np.uint8)}
DOSED, IN_BASE, BOUGHT, NO_GROSS, NO_DDD = 1, 2, 4, 8, 16
"""Bits of a row: dose-dispensed, cost counts, packages above 0, gross price unknown, DDD unknown."""


def day_number(day: date) -> int:
    """Days since :data:`DAY_ZERO`, within what a row's day can be."""
    return min(max((day - DAY_ZERO).days, 0), DAYS - 1)


def month_number(day: date) -> int:
    """Calendar months since January 1970."""
    return (day.year - 1970) * 12 + day.month - 1


def begins(key: np.ndarray) -> np.ndarray:
    """Places where another value than before begins."""
    return np.flatnonzero(np.concatenate([np.ones(min(len(key), 1), dtype=bool), key[1:] != key[:-1]]))


@dataclass(frozen=True, eq=False)
class Block:
    """The rows of persons ``first``, ``first`` + 1 …, ``persons`` of whom are in the table of persons.

    Of others, who are numbered after them, nothing but their codes is ever asked.
    """

    path: Path
    rows: int
    first: int
    persons: int

    def read(self, *names: str, days: tuple[int, int] | None = None) -> list[np.ndarray]:
        """Columns, sorted by key; of ``days`` [from, to) alone where given, which needs the key among them."""
        columns: dict[str, np.ndarray] = {}
        at = 0
        for name, dtype in COLUMNS.items():
            if name in names:
                columns[name] = np.fromfile(self.path, dtype, self.rows, offset=at)
            at += dtype.itemsize * self.rows
        if days:
            day = columns["key"] & DAYS - 1
            keep = np.flatnonzero((day >= days[0]) & (day < days[1]))
            columns = {name: column[keep] for name, column in columns.items()}
        return [columns[name] for name in names]


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums of rows per code and calendar month, int64, each of shape (codes + 1, months); last are rows without a code.

    Unknown prices and DDD are taken for 0, and counted in ``no_gross`` and ``no_ddd``; ``not_bought`` counts rows
    without packages above 0; those that begin with ``outside`` are of rows whose cost does not count.
    """

    first_month: int
    of: Mapping[str, np.ndarray]

    def within(self, window: tuple[date, date]) -> Mapping[str, np.ndarray]:
        """Per code, of the whole months [from, to)."""
        a, b = (max(month_number(day) - self.first_month, 0) for day in window)
        return {name: table[:, a:b].sum(axis=1) for name, table in self.of.items()}


@dataclass(frozen=True, eq=False)
class Rows:
    """All blocks, the sums over them, and the file of where persons are listed while they are born and alive."""

    blocks: Sequence[Block]
    sums: Sums
    n_codes: int
    stretches: Path

    @cached_property
    def listed(self) -> Stretches:
        return Stretches.read(self.stretches)

    def let_go(self) -> None:
        """Give back the memory of ``listed``, which is read again when it is asked for."""
        vars(self).pop("listed", None)


class Writer:
    """Takes rows in any order; hands them over in blocks.

    ``persons`` is how many there are in the table of persons, ``months`` the first and last calendar month of a row.
    """

    def __init__(self, scratch: Path, persons: int, n_codes: int, months: tuple[int, int]) -> None:
        self.scratch, self.persons, self.n_codes = scratch, persons, n_codes
        self.first_month, self.n_months = months[0], months[1] - months[0] + 1
        self.files: dict[int, BinaryIO] = {}
        self.pieces: defaultdict[int, list[int]] = defaultdict(list)
        self.open_files = ExitStack()
        self.sums: defaultdict[str, Any] = defaultdict(int)

    def add(self, person: np.ndarray, code: np.ndarray, day: np.ndarray, amounts: Mapping[str, np.ndarray],
            bits: np.ndarray) -> None:
        """Rows by number of the person (−1 for nobody, whose rows count in the sums alone), code and day.

        ``amounts``: by name as in :data:`AMOUNTS`.
        """
        self._sum_up(code, day, amounts, bits)
        block = person >> PLACE
        columns = {"key": (person & BLOCK - 1).astype(np.int64) << PERSON | code.astype(np.int64) << CODE | day,
                   **amounts, "bits": bits}
        if np.count_nonzero(block[1:] != block[:-1]) > MANY_PIECES:
            order = np.argsort(block, kind="stable")
            block, columns = block[order], {name: column[order] for name, column in columns.items()}
        at = begins(block)
        for a, b in zip(at, [*at[1:], len(block)], strict=True):
            if block[a] >= 0:
                self._write(int(block[a]), [columns[name][a:b] for name in COLUMNS])

    def _sum_up(self, code: np.ndarray, day: np.ndarray, amounts: Mapping[str, np.ndarray], bits: np.ndarray) -> None:
        cell = code.astype(np.int64) * self.n_months + (MONTH[day] - self.first_month)

        def add(name: str, column: str = "rows", rows: np.ndarray | slice = slice(None)) -> None:
            amount = amounts[column][rows] if column in amounts else None
            found = np.bincount(cell[rows], amount, (self.n_codes + 1) * self.n_months)
            self.sums[name] = self.sums[name] + found.astype(np.int64)  # whole numbers far below 2⁵³

        for name in ("rows", *AMOUNTS):
            add(name, name)
        outside = np.flatnonzero(bits & IN_BASE == 0)  # as the other rows that are looked for, few
        for name in ("rows", "cost", "gross"):
            add(f"outside_{name}", name, outside)
        for name, bit in (("no_gross", NO_GROSS), ("no_ddd", NO_DDD)):
            add(name, rows=np.flatnonzero(bits & bit))
        add("not_bought", rows=np.flatnonzero(bits & BOUGHT == 0))

    def _write(self, block: int, columns: Sequence[np.ndarray]) -> None:
        if block not in self.files:
            self.files[block] = self.open_files.enter_context((self.scratch / f"rows_{block}").open("wb"))
        for column in columns:
            self.files[block].write(column.data)
        if len(columns):
            self.pieces[block].append(len(columns[0]))

    def blocks(self) -> Sequence[Block]:
        """Every block, sorted; also those of persons without rows."""
        for number in range(-(-self.persons // BLOCK)):
            self._write(number, ())
        self.open_files.close()
        return of_each(self._sorted, sorted(self.files), BLOCK)

    def total(self) -> Sums:
        """What all rows come to, also nobody's."""
        shape = self.n_codes + 1, self.n_months
        return Sums(self.first_month, {name: table.reshape(shape) for name, table in self.sums.items()})

    def _sorted(self, number: int) -> Block:
        path, at = self.scratch / f"rows_{number}", 0
        pieces: dict[str, list[np.ndarray]] = {name: [] for name in COLUMNS}
        written = np.fromfile(path, dtype=np.uint8)
        for n in self.pieces[number]:
            for name, dtype in COLUMNS.items():
                pieces[name].append(written[at:at + n * dtype.itemsize].view(dtype))
                at += n * dtype.itemsize
        columns = {name: np.concatenate([np.zeros(0, COLUMNS[name]), *parts]) for name, parts in pieces.items()}
        order = np.argsort(columns["key"])
        with path.open("r+b") as file:  # as many bytes as there are
            for column in columns.values():
                file.write(column[order].data)
        first = number * BLOCK
        return Block(path, len(order), first, min(max(self.persons - first, 0), BLOCK))
