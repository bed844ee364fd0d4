"""The report whole: the top of the page, and its sections in reading order."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from lakemedelsmodell.report import checklist as after_guidelines
from lakemedelsmodell.report import comparison, decision, goals, origin, persons, play, reform, spread
from lakemedelsmodell.report import tables as amounts
from lakemedelsmodell.report import worlds as other_worlds
from lakemedelsmodell.report.blocks import Section
from lakemedelsmodell.report.interactive import has_page
from lakemedelsmodell.report.numbers import DASH
from lakemedelsmodell.report.page import Page

SECTIONS: tuple[Callable[[Page], Section | None], ...] = (
    decision.verdict_section, comparison.compared, origin.data, goals.goals,
    spread.chance, spread.centres, reform.winners, persons.groups, persons.neutral,
    amounts.examples, amounts.amounts, comparison.beside, comparison.measures,
    reform.phase_in, reform.repricing, play.play, other_worlds.worlds,
    origin.basis, origin.questions, origin.calibration, origin.settings, origin.glossary,
)


def head(page: Page) -> dict[str, Any]:
    """Title, banner, warnings and the words of the page itself."""
    t, kind, period = page.text, page.contents.kind, page.period(page.results.part("period"))
    plain = period == DASH or kind == "cohort"
    title = page.results.at("run", "scenario_title", page.lang) if kind == "simulation" else None
    return {
        "title": t("page.title"), "kicker": t("page.kicker"),
        "subtitle": t("page.subtitle_plain") if plain else t("page.subtitle", period=period),
        "scenario": t("page.scenario", title=title) if title else "",
        "banner_head": t(f"banner.{kind}.head"), "banner": t(f"banner.{kind}.text"),
        "warnings_head": t("page.warnings"), "warnings": page.warnings(),
        "contents_head": t("page.contents"), "skip": t("page.skip"), "gaps": t("measures.gaps"),
        "interactive": t("page.interactive", file=f"page.{page.lang}.html") if has_page(page.contents) else "",
        "scroll": partial(t.plain, "page.scroll"),
        "made": t("page.made", version=page.results.at("run", "versions", "lakemedelsmodell") or ""),
    }


def sections(page: Page) -> list[Section]:
    """Every section that has something to say, and where the items of two reporting guidelines are met."""
    found = [section for of in SECTIONS if (section := of(page)) is not None]
    return [*found, after_guidelines.checklist(page, [s.ident for s in found])]
