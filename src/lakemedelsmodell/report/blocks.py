"""What a page is made of: sections of words, tables and figures, which the template writes as accessible HTML.

Tables are written by hand and not with great-tables: that gives each table ten kilobytes of styles of its own, no
``<caption>``, no explanation under a row's name and no first column that stays when a phone scrolls.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lakemedelsmodell.report.numbers import DASH

if TYPE_CHECKING:
    from jinja2 import Environment


def templates() -> Environment:
    """The report's templates: all they are given is escaped, and what they are not given is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(loader=PackageLoader("lakemedelsmodell.report"), autoescape=True, undefined=StrictUndefined,
                       trim_blocks=True, lstrip_blocks=True)


@dataclass(frozen=True)
class Column:
    """``group`` spans the columns that share it; ``wide`` columns hold words, the others numbers."""

    head: str
    group: str = ""
    wide: bool = False


@dataclass(frozen=True)
class Row:
    """One row: its name, a line that explains it, its cells, each over ``span`` columns.

    Without cells it is the heading of the rows below.
    """

    head: str
    cells: tuple[str, ...] = ()
    note: str = ""
    total: bool = False
    span: int = 1


@dataclass(frozen=True)
class Table:
    """A table with a caption; ``stub`` heads the first column, ``notes`` stand below."""

    ident: str
    caption: str
    stub: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    @property
    def has_gaps(self) -> bool:
        return any(cell == DASH for row in self.rows for cell in row.cells)

    @property
    def groups(self) -> list[tuple[str, int]]:
        """(heading, number of columns) of neighbouring columns with the same group."""
        spans: list[tuple[str, int]] = []
        for column in self.columns:
            if spans and spans[-1][0] == column.group:
                spans[-1] = (column.group, spans[-1][1] + 1)
            else:
                spans.append((column.group, 1))
        return spans if any(name for name, _ in spans) else []


def columns(heads: Iterable[str], group: str = "") -> tuple[Column, ...]:
    return tuple(Column(str(head), group) for head in heads)


@dataclass(frozen=True)
class Figure:
    """One figure as SVG in two widths, with its message (``caption``) and what it shows in words (``alt``)."""

    ident: str
    wide: str
    narrow: str
    caption: str
    alt: str


@dataclass(frozen=True)
class Card:
    """A goal or a clause: its name, how it stands (``holds``, ``fails`` or ``open``) in words, and what tells."""

    head: str
    state: str
    tag: str
    items: tuple[Any, ...]


@dataclass(frozen=True)
class Section:
    """A heading with what stands under it; ``blocks`` are (kind, content) in reading order."""

    ident: str
    head: str
    blocks: list[tuple[str, Any]] = field(default_factory=list)

    def say(self, *texts: object) -> None:
        """Add paragraphs."""
        self.blocks.extend(("p", text) for text in texts)

    def add(self, kind: str, content: object) -> None:
        """Add a ``note``, ``h3``, ``list``, ``english`` list, ``glossary``, ``figure``, ``table`` or ``cards``."""
        self.blocks.append((kind, content))

    def fold(self, summary: object, *blocks: tuple[str, Any]) -> None:
        """Add blocks that a reader opens; on paper they are left out."""
        self.blocks.append(("details", (summary, blocks)))
