"""One run put into one language: the building blocks of its page, the top of it, and its sections in reading order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from lakemedelsmodell.report import checklist as after_guidelines
from lakemedelsmodell.report import comparison, decision, drawing, goals, origin, persons, play, reform, spread
from lakemedelsmodell.report import tables as amounts
from lakemedelsmodell.report import worlds as other_worlds
from lakemedelsmodell.report.blocks import Column, Figure, Row, Section, Table
from lakemedelsmodell.report.interactive import has_page
from lakemedelsmodell.report.numbers import DASH, known
from lakemedelsmodell.report.phrases import Phrases

WIDE, NARROW = 7.4, 3.7
"""Widths of figures in inches: a page, a telephone."""

Draw = Callable[[Any], object]

SECTIONS: tuple[Callable[[Page], Section | None], ...] = (
    decision.verdict_section, comparison.compared, origin.data, goals.goals,
    spread.chance, spread.centres, reform.winners, persons.groups, persons.neutral,
    amounts.examples, amounts.amounts, comparison.beside, comparison.measures,
    reform.phase_in, reform.repricing, play.play, other_worlds.worlds,
    origin.basis, origin.questions, origin.calibration, origin.settings, origin.glossary,
)


class Page(Phrases):
    """Puts one run into one language."""

    # Blocks

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

    # The page

    def head(self) -> dict[str, Any]:
        """Title, banner, warnings and the words of the page itself."""
        t, kind, period = self.text, self.contents.kind, self.period(self.results.part("period"))
        plain = period == DASH or kind == "cohort"
        title = self.results.at("run", "scenario_title", self.lang) if kind == "simulation" else None
        return {
            "title": t("page.title"), "kicker": t("page.kicker"),
            "subtitle": t("page.subtitle_plain") if plain else t("page.subtitle", period=period),
            "scenario": t("page.scenario", title=title) if title else "",
            "banner_head": t(f"banner.{kind}.head"), "banner": t(f"banner.{kind}.text"),
            "warnings_head": t("page.warnings"), "warnings": self.warnings(),
            "contents_head": t("page.contents"), "skip": t("page.skip"), "gaps": t("measures.gaps"),
            "interactive": t("page.interactive", file=f"page.{self.lang}.html") if has_page(self.contents) else "",
            "scroll": partial(t.plain, "page.scroll"),
            "made": t("page.made", version=self.results.at("run", "versions", "lakemedelsmodell") or ""),
        }

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

    def answer(self) -> dict[str, Any]:
        """The summary on one page."""
        return decision.answer(self)

    def sections(self) -> list[Section]:
        """Every section that has something to say, and where the items of two reporting guidelines are met."""
        found = [section for of in SECTIONS if (section := of(self)) is not None]
        return [*found, after_guidelines.checklist(self, [s.ident for s in found])]
