"""Where the report meets the items of two reporting guidelines, in words of our own.

TRIPOD+AI (Collins et al., BMJ 2024;385:e078378) for prediction models, ADEMP (Morris, White & Crowther, Statistics in
Medicine 2019;38:2074) for simulation studies.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from markupsafe import Markup

from lakemedelsmodell.report.blocks import Row, Section
from lakemedelsmodell.report.numbers import DASH

if TYPE_CHECKING:
    from lakemedelsmodell.report.page import Page


def checklist(page: Page, present: Collection[str]) -> Section:
    """Each item with a link to the section that meets it, or why none does.

    An item of the texts is (number, what it asks, sections by their ids, remark); of the sections those in ``present``
    are linked to.
    """
    t, section = page.text, page.section("checklist")
    section.say(t("checklist.intro"))
    heads = {s: t.plain(f"{s}.head") if f"{s}.head" in t else s for s in present}
    guidelines = ("tripod", "ademp") if page.contents.kind == "simulation" else ("tripod",)
    for guideline in guidelines:
        rows = [Row(f"{number} {asks}".strip(), (_where(page, where.split(), heads, remark),))
                for number, asks, where, remark in t.listed(f"checklist.{guideline}")]
        section.add("table", page.table(f"table-{guideline}", f"checklist.{guideline}_caption", "checklist.item",
                                        page.heads("checklist.", "where", wide=True), rows))
    return section


def _where(page: Page, sections: list[str], heads: dict[str, str], remark: str) -> Markup:
    links = [Markup('<a href="#{}">{}</a>').format(s, heads.get(s, page.text.plain(f"{s}.head")))
             for s in sections if s in heads or s == "answer"]
    if sections and not links:
        remark = remark or page.text.plain("checklist.absent")
    return Markup(". ").join([Markup(", ").join(links)] * bool(links) + [Markup("{}").format(remark)] * bool(remark)) \
        or Markup(DASH)
