"""The building blocks of a report's sections: one run put into one language."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from lakemedelsmodell.report import drawing
from lakemedelsmodell.report.blocks import Column, Figure, Row, Section, Table
from lakemedelsmodell.report.numbers import known
from lakemedelsmodell.report.phrases import Phrases

WIDE, NARROW = 7.4, 3.7
"""Widths of figures in inches: a page, a telephone."""

Draw = Callable[[Any], object]


class Page(Phrases):
    """Puts one run into one language."""

    def section(self, ident: str) -> Section:
        """An empty section, headed by the text ``ident``.head."""
        return Section(ident, self.text.plain(f"{ident}.head"))

    def heads(self, family: str, *keys: str, group: str = "", wide: bool = False) -> tuple[Column, ...]:
        """Columns headed by the texts ``family`` + key."""
        return tuple(Column(self.text.plain(family + key), group, wide) for key in keys)

    def table(self, ident: str, caption: str, stub: str, heads: tuple[Column, ...], rows: Iterable[Row],
              notes: tuple[str, ...] = (), **values: object) -> Table:
        """A table; ``caption`` and ``stub`` are keys of texts, ``values`` fill the caption."""
        return Table(ident, self.text.plain(caption, **values), self.text.plain(stub), heads, tuple(rows), notes)

    def figure(self, ident: str, caption: str, alt: str, height: float, wide: Draw, narrow_height: float | None = None,
               narrow: Draw | None = None) -> Figure:
        """A figure for a page and for a telephone; heights in inches."""
        name = f"{ident}-{self.lang}"
        return Figure(ident, drawing.drawn(wide, (WIDE, height), f"{name}-w"),
                      drawing.drawn(narrow or wide, (NARROW, narrow_height or height), f"{name}-n"), caption, alt)

    def warnings(self) -> list[tuple[str, str]]:
        """(language, text) of every warning; those of a kind the texts do not know stand as the run said them."""
        scale, said = self.results.at("run", "scale"), list[tuple[str, str]]()
        if known(scale) and scale < 1:
            share = self.number.percent(scale, 0 if scale >= 0.01 else 1)
            said.append((self.lang, self.text.plain("page.scaled", share=share)))
        kinds = self.results.at("warning_kinds") or []
        for number, warning in enumerate(map(str, self.results.at("warnings") or [])):
            kind = kinds[number] if number < len(kinds) else {}
            key, values = f"warnings.{kind.get('kind')}", kind.get("values") or {}
            if key in self.text:
                said.append((self.lang, self.text.plain(key, **{k: self.model(v) for k, v in values.items()})))
            else:
                said.append(("en", warning))
        return said
