"""Workbooks: one sheet per table, typed cells, frozen headers; the same content gives the same bytes."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

_WIDEST = 60
"""Characters of the widest column."""
_HEADED = 24
"""Characters after which a header takes another line."""
_PAGE = 260
"""Characters that can be read on the width of a printed page; wider tables go on over several."""
_LINE = 15
"""Points of one line of text."""
_SAMPLE = 200
"""Rows looked at for the width of a column."""
_CLOSE = 10
"""Columns of numbers that all lie below this, such as shares and ratios, show three decimals, others two."""


@dataclass(frozen=True, eq=False)
class Book:
    """A workbook being written."""

    workbook: Any
    head: Any
    text: Any
    whole: Any
    number: Any
    close: Any

    def sheet(self, name: str, heads: Sequence[str] | Sequence[Sequence[str]], rows: Iterable[Sequence[Any]]) -> None:
        """A sheet with one or more frozen header rows; numbers stay numbers, unknown ones stay empty."""
        sheet = self.workbook.add_worksheet(name)
        above: list[Any] = [heads] if heads and isinstance(heads[0], str) else list(heads)
        table = [list(row) for row in rows]
        wide = [_width([head[c] for head in above], [row[c] for row in table[:_SAMPLE]]) for c in range(len(above[0]))]
        forms = [self._form([row[c] for row in table]) for c in range(len(above[0]))]
        for r, row in enumerate([*above, *table]):
            for c, value in enumerate(row):
                if r < len(above):
                    sheet.write_string(r, c, value, self.head)
                else:
                    self._write(sheet, r, c, value, forms[c])
            lines = max(_lines(value, width) for value, width in zip(row, wide, strict=True))
            if lines > 1:
                sheet.set_row(r, lines * _LINE)
        for c, width in enumerate(wide):
            sheet.set_column(c, c, width)
        sheet.freeze_panes(len(above), 1)
        sheet.set_landscape()
        sheet.set_paper(9)  # A4
        if sum(wide) <= _PAGE:
            sheet.fit_to_pages(1, 0)
        sheet.repeat_rows(0, len(above) - 1)
        sheet.repeat_columns(0)
        if table:
            sheet.autofilter(len(above) - 1, 0, len(above) - 1 + len(table), len(above[0]) - 1)

    def _form(self, column: Sequence[Any]) -> Any:
        """How the numbers of a column look that are not whole; where all are small its whole ones look so too."""
        numbers = [abs(v) for v in column if isinstance(v, (int, float)) and math.isfinite(v)]
        return self.close if max(numbers, default=_CLOSE) < _CLOSE else self.number

    def _write(self, sheet: Any, row: int, column: int, value: Any, form: Any) -> None:
        if value is None or (isinstance(value, float) and not math.isfinite(value)):
            return
        if isinstance(value, bool):
            sheet.write_boolean(row, column, value)
        elif isinstance(value, (int, float)):
            whole = float(value).is_integer() and (form is not self.close or isinstance(value, int))
            sheet.write_number(row, column, value, self.whole if whole else form)
        else:
            # write_string: what begins with = + - @ is shown, never computed.
            sheet.write_string(row, column, str(value), self.text)


def _width(heads: Sequence[str], column: Sequence[Any]) -> int:
    """Characters a column takes: its longest value, or a header broken into lines."""
    values = [f"{v:,.2f}" if isinstance(v, float) else str(v) for v in column if v is not None]
    return min(max(*map(len, values), *(min(len(head), _HEADED) for head in heads), 0) + 2, _WIDEST)


def _lines(value: Any, width: int) -> int:
    """Lines that a value takes in a column of so many characters."""
    return len(textwrap.wrap(value, width - 1)) if isinstance(value, str) and len(value) >= width else 1


@contextmanager
def new_workbook(path: Path) -> Iterator[Book]:
    """A workbook that is on disk when the block ends."""
    import xlsxwriter

    book = xlsxwriter.Workbook(path, {"nan_inf_to_errors": False})
    book.set_properties({"created": datetime(2000, 1, 1)})  # the same content, the same bytes
    with book:
        yield Book(book, book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"}),
                   book.add_format({"text_wrap": True, "valign": "top"}),
                   *(book.add_format({"num_format": form, "valign": "top"}) for form in ("#,##0", "#,##0.00", "0.000")))
