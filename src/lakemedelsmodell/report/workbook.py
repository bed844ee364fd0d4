"""Workbooks: one sheet per table, typed cells, frozen headers; the same content gives the same bytes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

_WIDEST = 60
"""Characters of the widest column."""
_SAMPLE = 200
"""Rows looked at for the width of a column."""


@dataclass(frozen=True, eq=False)
class Book:
    """A workbook being written."""

    workbook: Any
    head: Any
    wrap: Any
    whole: Any
    number: Any

    def sheet(self, name: str, heads: Sequence[str] | Sequence[Sequence[str]], rows: Iterable[Sequence[Any]]) -> None:
        """A sheet with one or more frozen header rows; numbers stay numbers, unknown ones stay empty."""
        sheet = self.workbook.add_worksheet(name)
        above = [heads] if heads and isinstance(heads[0], str) else list(heads)
        table = [list(row) for row in rows]
        for r, row in enumerate(above):
            for c, text in enumerate(row):
                sheet.write_string(r, c, text, self.head)
        for r, row in enumerate(table, start=len(above)):
            for c, value in enumerate(row):
                self._write(sheet, r, c, value)
        for c, column in enumerate(zip(*above, *table[:_SAMPLE], strict=True)):
            longest = max((len(f"{v:.2f}" if isinstance(v, float) else str(v)) for v in column if v is not None),
                          default=0)
            sheet.set_column(c, c, min(longest + 2, _WIDEST))
        sheet.freeze_panes(len(above), 1)
        if table:
            sheet.autofilter(len(above) - 1, 0, len(above) - 1 + len(table), len(above[0]) - 1)

    def _write(self, sheet: Any, row: int, column: int, value: Any) -> None:
        if value is None or (isinstance(value, float) and not math.isfinite(value)):
            return
        if isinstance(value, bool):
            sheet.write_boolean(row, column, value)
        elif isinstance(value, (int, float)):
            sheet.write_number(row, column, value, self.whole if float(value).is_integer() else self.number)
        else:
            # write_string: what begins with = + - @ is shown, never computed.
            sheet.write_string(row, column, str(value), self.wrap if len(str(value)) > _WIDEST else None)


@contextmanager
def new_workbook(path: Path) -> Iterator[Book]:
    """A workbook that is on disk when the block ends."""
    import xlsxwriter

    book = xlsxwriter.Workbook(path, {"nan_inf_to_errors": False})
    book.set_properties({"created": datetime(2000, 1, 1)})  # the same content, the same bytes
    with book:
        yield Book(book, book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"}),
                   book.add_format({"text_wrap": True, "valign": "top"}), book.add_format({"num_format": "#,##0"}),
                   book.add_format({"num_format": "#,##0.00##"}))
