"""Half-years and other stretches of whole calendar months; all windows are [start, end)."""

from __future__ import annotations

import math
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import date

from lakemedelsmodell.errors import UserError

MONTH_PARTS = math.lcm(28, 29, 30, 31)
"""Parts of a month, so that listed days ÷ days of the month are whole numbers."""

BAND_MONTHS = 5 * 12
HALF_YEAR = 6
"""Months."""


def add_months(day: date, months: int) -> date:
    """The first of the month that lies ``months`` after the month of ``day``."""
    index = day.year * 12 + day.month - 1 + months
    return date(index // 12, index % 12 + 1, 1)


@dataclass(frozen=True, order=True)
class Period:
    """Whole calendar months, [start, end); both are firsts of months."""

    start: date
    end: date

    def __post_init__(self) -> None:
        if self.start.day != 1 or self.end.day != 1 or self.end <= self.start:
            raise ValueError(f"a period is whole months, first to first, not {self.start}..{self.end}")

    @classmethod
    def half_year(cls, year: int, half: int) -> Period:
        """``half_year(2026, 1)`` is January to June 2026."""
        start = date(year, 1 if half == 1 else 7, 1)
        return cls(start, add_months(start, HALF_YEAR))

    @classmethod
    def half_year_of(cls, day: date) -> Period:
        """The calendar half-year that holds ``day``."""
        return cls.half_year(day.year, 1 if day.month <= 6 else 2)

    @classmethod
    def calendar_year(cls, year: int) -> Period:
        return cls(date(year, 1, 1), date(year + 1, 1, 1))

    @classmethod
    def parse(cls, text: str) -> Period:
        """``2026-01..2026-02`` (both months included), ``2026H1`` or ``2026``."""
        with suppress(ValueError):  # years that no date has
            if m := re.fullmatch(r"(\d{4})-(\d\d)\.\.(\d{4})-(\d\d)", text.strip()):
                y0, m0, y1, m1 = map(int, m.groups())
                if 1 <= m0 <= 12 and 1 <= m1 <= 12 and (y0, m0) <= (y1, m1):
                    return cls(date(y0, m0, 1), add_months(date(y1, m1, 1), 1))
            elif m := re.fullmatch(r"(\d{4})[Hh]([12])", text.strip()):
                return cls.half_year(int(m[1]), int(m[2]))
            elif m := re.fullmatch(r"\d{4}", text.strip()):
                return cls.calendar_year(int(text))
        raise UserError(f"{text!r} is not a period. Write it as 2026-01..2026-06 (both months included) or 2026H1.")

    @property
    def months(self) -> tuple[date, ...]:
        """The first day of every month in the period."""
        return tuple(add_months(self.start, i) for i in range(self.n_months))

    @property
    def n_months(self) -> int:
        return (self.end.year - self.start.year) * 12 + self.end.month - self.start.month

    def before(self, months: int) -> Period:
        """The ``months`` months that end where this period starts (a look-back)."""
        return Period(add_months(self.start, -months), self.start)

    @property
    def previous_half_year(self) -> Period:
        """The half-year before the half-year that holds this period's start."""
        return Period.half_year_of(add_months(Period.half_year_of(self.start).start, -6))

    def __str__(self) -> str:
        last = add_months(self.end, -1)
        return f"{self.start:%Y-%m}..{last:%Y-%m}"
