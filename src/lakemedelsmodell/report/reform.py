"""What a change of model does: who wins and loses, how it can be phased in, what new prices do to it."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from markupsafe import Markup

from lakemedelsmodell.report import figures
from lakemedelsmodell.report.blocks import Row, Section, Table
from lakemedelsmodell.report.contents import PROPOSAL, TODAY, Gaps
from lakemedelsmodell.report.drawing import Words
from lakemedelsmodell.report.numbers import known
from lakemedelsmodell.report.persons import group_label
from lakemedelsmodell.report.phrases import capital

if TYPE_CHECKING:
    from lakemedelsmodell.report.page import Page


def winners(page: Page) -> Section | None:
    """How much money moves, between which centres and between which persons."""
    t, n, moved = page.text, page.number, page.results.part("models", PROPOSAL, "redistribution")
    ends = ("sek", "share_of_budget", "gaining", "losing", "changing_sign", "largest_loss", "largest_gain")
    if not all(known(moved.at(k)) for k in ends):
        return None
    section = page.section("winners")
    section.say(t("winners.intro", sek=n.millions(moved.at("sek")), share=n.percent(moved.at("share_of_budget")),
                  gaining=n.number(moved.at("gaining")), losing=n.number(moved.at("losing")),
                  sign=n.number(moved.at("changing_sign"))),
                t("winners.ends", loss=n.number(abs(moved.at("largest_loss")), 1),
                  gain=n.number(moved.at("largest_gain"), 1)))
    shown, _ = page.contents.centres()
    if len(shown) > 1:
        words = Words(n.number, value=t.plain("centres.axis"), today=t.plain("centres.col_today"),
                      proposal=t.plain("centres.col_proposal"), band=t.plain("winners.gains"),
                      spread=t.plain("winners.loses"))
        draw = partial(figures.slopes, [c.today for c in shown], [c.proposal for c in shown], words)
        closer = sum(abs(c.proposal) < abs(c.today) for c in shown)
        caption = t.plain("winners.caption", closer=n.number(closer), all=n.number(len(shown)))
        section.add("figure", page.figure("before-after", caption, t.plain("winners.alt"), 4.2,
                                          lambda f: draw(ax=f.subplots())))
    section.say(t("winners.not_need"))
    persons = [x for x in moved.parts("by_group_of_persons") if known(x.at("change_sek"))]
    number = [x for x in persons if str(x.at("group")).startswith("conditions:")]
    conditions = sorted((x for x in persons if str(x.at("group")).startswith("condition:")),
                        key=lambda x: -x.at("change_sek"))
    if number:
        section.add("table", _persons(page, "table-winners", "winners.number_caption", number))
    if conditions:
        section.fold(t("winners.fold"),
                     ("table", _persons(page, "table-winning-conditions", "winners.condition_caption", conditions)))
    return section


def _persons(page: Page, ident: str, caption: str, groups: list[Gaps]) -> Table:
    n = page.number

    def label(group: str) -> str:
        family, _, member = group.partition(":")
        return page.condition(member) if family == "condition" else group_label(page, group)

    return page.table(ident, caption, "groups.group", page.heads("winners.col_", "persons", "sek", "month"),
                      (Row(label(str(x.at("group"))), (
                          n.persons(x.at("persons")), n.millions(x.at("change_sek"), sign=True),
                          n.number(x.at("change_sek_per_listed_month"), 1, sign=True))) for x in groups),
                      (page.text("winners.note"),))


def phase_in(page: Page) -> Section | None:
    """What the change does to the centre that loses most in a year, over one to five years."""
    t, n, found = page.text, page.number, page.results.part("phase_in")
    rows = [r for r in found.parts("rows") if all(known(r.at(k)) for k in ("years", "year", "largest_loss"))]
    if not rows:
        return None
    section = page.section("phase_in")
    worst = {(years, capped): min((r for r in rows if r.at("years") == years and known(r.at("cap")) == capped),
                                  key=lambda r: r.at("largest_loss"), default=Gaps(None))
             for years in sorted({int(r.at("years")) for r in rows}) for capped in (False, True)}
    years = sorted({y for y, _ in worst})
    section.say(t("phase_in.intro", cap=n.number(found.at("cap"), 2)))
    first, last = (worst[y, False].at("largest_loss") for y in (years[0], years[-1]))
    if known(first) and known(last) and len(years) > 1:
        section.say(t("phase_in.summary", first=n.number(abs(first), 1), years=n.number(years[-1]),
                      last=n.number(abs(last), 1)))
    words = Words(n.number, value=capital(t.plain("phase_in.axis")), rank=t.plain("phase_in.years_axis"),
                  today=t.plain("phase_in.capped"), proposal=t.plain("phase_in.free"))
    free, capped = ([math.nan if (x := worst[y, c].at("largest_loss")) is None else x for y in years]
                    for c in (False, True))
    draw = partial(figures.phase_in, years, free, capped, words)
    section.add("figure", page.figure("phase-in", t.plain("phase_in.figure_caption"), t.plain("phase_in.alt"), 2.8,
                                      lambda f: draw(ax=f.subplots()), 3.0))
    section.add("table", page.table(
        "table-phase-in", "phase_in.caption", "phase_in.col_years",
        (*page.heads("phase_in.col_", "change", "loss", "gain", group=t.plain("phase_in.free")),
         *page.heads("phase_in.col_", "change", "gain", "held", group=t.plain("phase_in.capped"))),
        (Row(n.number(y), (*(n.number(worst[y, False].at(k), 1, sign=k != "mean_abs_change") for k in
                             ("mean_abs_change", "largest_loss", "largest_gain")),
                           *(n.number(worst[y, True].at(k), 1, sign=k != "mean_abs_change") for k in
                             ("mean_abs_change", "largest_gain")), n.number(worst[y, True].at("held_up"))))
         for y in years), (t("phase_in.note"),)))
    return section


def repricing(page: Page) -> Section | None:
    """What a new price does to the centres when the amounts stand, and when they follow."""
    t, n = page.text, page.number
    found = [x for x in page.results.parts("repricing") if x.part("models", PROPOSAL)]
    if not found:
        return None
    section = page.section("repricing")
    section.say(t("repricing.intro"))
    for number, change in enumerate(found, start=1):
        code, of = str(change.at("atc")), change.part("models", PROPOSAL)
        section.add("h3", Markup("{} ({})").format(capital(str(change.at(f"why_{page.lang}") or code)), code))
        section.say(t("repricing.saved", saved=n.millions(change.at("cost_saved_sek")),
                      cost=n.millions(change.at("cost_before_sek"))))
        for add_on in of.parts("add_ons"):
            section.say(t("repricing.add_on", condition=page.condition(add_on.at("name")),
                          before=n.whole_or(add_on.at("before"), 1), after=n.whole_or(add_on.at("after"), 1)))
        if all(known(of.at(f"moved_sek_{when}")) for when in ("without", "with")):
            section.say(t("repricing.summary", without=n.millions(of.at("moved_sek_without")),
                          with_new=n.millions(of.at("moved_sek_with"))))
        columns = [(TODAY, "without"), (PROPOSAL, "without"), (PROPOSAL, "with")]
        heads = page.heads("repricing.col_", *(f"{m}_{when}" for m, when in columns))
        measures = (("sd", 2), ("moved_sek", 0), ("largest_loss", 1), ("largest_gain", 1))
        section.add("table", page.table(
            f"table-repricing-{number}", "repricing.caption", "measures.measure", heads,
            (Row(t.plain(f"repricing.{key}"), tuple(
                n.millions(x) if key == "moved_sek" else n.number(x, places, sign=key.startswith("largest"))
                for m, when in columns for x in [change.at("models", m, f"{key}_{when}")]))
             for key, places in measures)))
    section.add("note", t("repricing.note"))
    return section
