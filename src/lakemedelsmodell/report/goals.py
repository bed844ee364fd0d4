"""The four goals of the region, each with what this run tells of it and what it leaves untold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from lakemedelsmodell.report.blocks import Section
from lakemedelsmodell.report.contents import BOTH, PROPOSAL, Gaps
from lakemedelsmodell.report.decision import clause_card
from lakemedelsmodell.report.interactive import has_page
from lakemedelsmodell.report.numbers import known
from lakemedelsmodell.report.play import profitable_packs, worst_gains

if TYPE_CHECKING:
    from lakemedelsmodell.report.page import Page


def goals(page: Page) -> Section | None:
    """Follows recommendations, understandable, implementable, hard to manipulate."""
    if page.contents.kind == "cohort":
        return None
    section = page.section("goals")
    section.say(page.text("goals.intro"))
    section.add("cards", [
        clause_card(page, "follow", "pass_through", _follow(page)),
        clause_card(page, "understand", "", _understand(page)),
        clause_card(page, "implement", "", _implement(page)),
        clause_card(page, "hard", "manipulation", _hard(page)),
    ])
    return section


def _gap(page: Page, goal: str) -> Markup:
    return Markup("<em>{}</em> {}").format(page.text("goals.gap"), page.text(f"goals.{goal}_gap"))


def _follow(page: Page) -> list[Markup]:
    t, n = page.text, page.number
    said = [t("goals.follow_switch")]

    def with_interval(of: Gaps, value: str, low: str, high: str) -> str:
        ends = page.range(n.number(of.at(low), 2), n.number(of.at(high), 2))
        return t.plain("goals.interval", value=n.number(of.at(value), 2), interval=ends)

    slopes = {key: page.results.part("price_style", "on_net", m) for key, m in BOTH}
    if all(known(of.at(k)) for of in slopes.values() for k in ("slope", "ci_low", "ci_high")):
        said.append(t("goals.follow_price", **{k: with_interval(of, "slope", "ci_low", "ci_high")
                                               for k, of in slopes.items()}))
    through = {key: page.results.part("models", m) for key, m in BOTH}
    keys = ("pass_through", "pass_through_low", "pass_through_high")
    if all(known(of.at(k)) for of in through.values() for k in keys):
        said.append(t("goals.follow_through", **{k: with_interval(of, *keys) for k, of in through.items()}))
    return [*said, _gap(page, "follow")]


def _understand(page: Page) -> list[Markup]:
    t, n = page.text, page.number
    said = [t("goals.understand_tables", cells=n.number(len(page.contents.cells(PROPOSAL))),
              add_ons=n.number(len(page.contents.add_ons(PROPOSAL))))]
    if has_page(page.contents):
        said.append(t("goals.understand_page", file=f"page.{page.lang}.html"))
    for warning in page.results.parts("warning_kinds"):
        if warning.at("kind") == "negative_amounts" and warning.at("values", "model") == PROPOSAL:
            said.append(t("goals.understand_negative", cells=n.number(warning.at("values", "cells")),
                          of=n.number(warning.at("values", "of"))))
    moved = page.results.part("stability", PROPOSAL)
    if known(moved.at("median_abs_change")) and known(moved.at("largest_abs_change")):
        said.append(t("goals.understand_stable", median=n.number(moved.at("median_abs_change"), 1),
                      largest=n.number(moved.at("largest_abs_change"))))
    return [*said, _gap(page, "understand")]


def _implement(page: Page) -> list[Markup]:
    t, n = page.text, page.number
    said = [t("goals.implement_data")]
    trust = page.results.parts("credibility")
    if trust:
        said.append(t("goals.implement_thin", thin=n.number(sum(c.at("thin") is True for c in trust)),
                      all=n.number(len(trust))))
    if known(new := page.results.at("totals", "left_out", "persons_without_history")):
        said.append(t("goals.implement_history", count=n.persons(new)))
    said.append(t("goals.implement_pay"))
    return [*said, _gap(page, "implement")]


def _hard(page: Page) -> list[Markup]:
    t, n = page.text, page.number
    said = [t("goals.hard_fixed")]
    gaining, priced = profitable_packs(page)
    if priced:
        said.append(t("starter.summary" if gaining else "starter.summary_none", gain=n.number(gaining),
                      all=n.number(priced)))
    if worst := worst_gains(page):
        said.append(worst)
    return [*said, _gap(page, "hard" if worst else "hard_unplayed")]
