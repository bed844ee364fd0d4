"""How far apart the centres lie: what part of it is chance, and every centre under both models."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from markupsafe import Markup

from lakemedelsmodell.report import figures
from lakemedelsmodell.report.blocks import Figure, Row, Section, Table
from lakemedelsmodell.report.contents import BOTH, PROPOSAL, TODAY, CentreNet, Gaps
from lakemedelsmodell.report.drawing import Words
from lakemedelsmodell.report.numbers import DASH, known
from lakemedelsmodell.report.phrases import DECIDED, capital, verdict

if TYPE_CHECKING:
    from lakemedelsmodell.report.page import Page

PARTS = ("noise", "lists", "true")


def chance(page: Page) -> Section | None:
    """How much of the spread would be left if nobody differed."""
    t, n = page.text, page.number
    floor = page.results.at("models", TODAY, "noise_floor")
    sd = {key: page.spread(model) for key, model in BOTH}
    if not all(map(known, (floor, *sd.values()))):
        return None
    section = Section("chance", t.plain("chance.head"))
    said = [t("chance.floor", floor=n.number(floor, 2))]
    for key, observed in sd.items():
        words = {"sd": n.number(observed, 2)}
        said.append(t(f"chance.{key}", share=n.percent(floor / observed, 0), **words) if floor < observed
                    else t(f"chance.{key}_all", **words))
    section.say(t("chance.intro"), Markup(" ").join(said))
    noise = page.results.part("noise")
    if all(known(noise.at(k)) for k in ("low", "high")):
        section.say(t("chance.alone", low=n.number(noise.at("low"), 1), high=n.number(noise.at("high"), 1)))
    parts = {key: {str(p.at("part")): p for p in page.results.parts("models", model, "spread_parts")}
             for key, model in BOTH}
    if all(set(of) == set(PARTS) for of in parts.values()):
        section.add("figure", _parts_picture(page, parts))
        section.add("table", _parts(page, parts))
    reliability = {key: page.results.at("models", model, "reliability") for key, model in BOTH}
    if all(map(known, reliability.values())):
        section.say(t("chance.reliability", **{key: n.percent(x, 0) for key, x in reliability.items()}))
    section.say(t("chance.true"))
    _style(page, section)
    return section


def _style(page: Page, section: Section) -> None:
    """How much of a centre's own prescribing shows in its net, and how far nets lie from the ideal."""
    t, n = page.text, page.number
    ideal = page.results.at("truth", "ideal_sd")
    through = {key: page.results.part("models", model) for key, model in BOTH}
    measures = ("pass_through", "rmse_to_ideal")
    if not (known(ideal) and all(known(of.at(k)) for of in through.values() for k in measures)):
        return
    section.add("h3", t("chance.style_head"))
    section.say(t("chance.style", ideal=n.number(ideal, 1)))
    section.add("table", page.table(
        "table-style", "chance.style_caption", "measures.measure", page.heads("centres.col_", "today", "proposal"),
        (Row(t.plain("measures.pass_through"), tuple(n.number(of.at("pass_through"), 2) for of in through.values()),
             t.plain("measures.pass_through_note")),
         Row(t.plain("measures.col_interval"), tuple(
             page.range(*(n.number(of.at(f"pass_through_{end}"), 2) for end in ("low", "high")))
             for of in through.values())),
         Row(t.plain("measures.rmse_to_ideal"), tuple(n.number(of.at("rmse_to_ideal"), 2)
                                                      for of in through.values())))))


def _parts_picture(page: Page, parts: dict[str, dict[str, Gaps]]) -> Figure:
    t = page.text
    words = Words(page.number.number, value=t.plain("chance.axis"))
    values = {t.plain(f"chance.part_{part}"): [of[part].at("variance") for of in parts.values()] for part in PARTS}
    draw = partial(figures.spread_parts, [t.plain(f"centres.col_{key}") for key in parts], values, words)
    lasting = {key: page.number.number(of["true"].at("variance"), 1) for key, of in parts.items()}
    return page.figure("spread-parts", t.plain("chance.figure_caption", **lasting), t.plain("chance.figure_alt"), 2.2,
                       lambda f: draw(ax=f.subplots()), 2.4)


def _parts(page: Page, parts: dict[str, dict[str, Gaps]]) -> Table:
    t, n = page.text, page.number
    whole = {key: sum(p.at("variance") for p in of.values()) for key, of in parts.items()}
    rows = [Row(t.plain(f"chance.part_{part}"), tuple(
        cell for key, of in parts.items()
        for cell in (n.number(of[part].at("sd"), 2), n.percent(of[part].at("variance") / (whole[key] or 1), 0))),
        t.plain(f"chance.part_{part}_note")) for part in PARTS]
    heads = [page.heads("chance.col_", "sd", "share", group=t.plain(f"centres.col_{key}")) for key, _ in BOTH]
    return page.table("table-chance", "chance.caption", "chance.part", (*heads[0], *heads[1]), rows,
                      (t("chance.note"),))


def centres(page: Page) -> Section:
    t, section = page.text, page.section("centres")
    shown, hidden = page.contents.centres()
    section.say(t("centres.intro"))
    if len(shown) > 1:
        section.add("figure", _centre_picture(page, shown))
    else:
        section.say(t("centres.none"))
    if hidden:
        section.add("note", t("centres.hidden", count=page.number.number(hidden)))
    if len(shown) > 1:
        _funnel(page, section, shown)
        section.fold(t("centres.table"), ("table", _centre_table(page, shown)))
    return section


def _centre_picture(page: Page, shown: list[CentreNet]) -> Figure:
    t, n, count = page.text, page.number, page.number.number(len(shown))
    words = Words(n.number, rank=capital(t.plain("centres.rank")), value=t.plain("centres.axis"),
                          spread=t.plain("centres.pile"),
                          **{k: t.plain(f"centres.{k}") for k in ("today", "proposal", "band")})
    totals = ("cost_sek", "listed_months", "cost_responsibility")
    cost, months, alpha = (page.results.at("totals", k) for k in totals)
    within = 0.02 * alpha * cost / months if all(map(known, (cost, months, alpha))) and months else None
    sd = {k: n.number(page.spread(m), 2) for k, m in (("today", TODAY), ("proposal", PROPOSAL))}
    outcome = verdict(page.headline)
    told = outcome in DECIDED and DASH not in sd.values()
    caption = [t(f"centres.caption_{outcome}", **sd) if told else t("centres.caption_unknown"),
               t("centres.caption_sorted", count=count), *([t("centres.caption_within")] if within else [])]
    few = len(shown) <= figures.NAMED_CENTRES
    tall = 1.3 + 0.2 * len(shown) if few else None
    draw = partial(figures.centre_nets, [c.today for c in shown], [c.proposal for c in shown], words,
                   names=[c.name for c in shown], within=within)
    return page.figure(
        "all-centres", " ".join(caption), t.plain("centres.alt", count=count),
        tall or 4.4, lambda f: draw(lying=few, ax=f.subplots()),
        tall or 6.4, lambda f: draw(lying=True, ax=f.subplots()))


def _funnel(page: Page, section: Section, shown: list[CentreNet]) -> None:
    """Which centres lie further off than chance and the usual differences explain."""
    t, n, found = page.text, page.number, page.results.part("models", PROPOSAL, "funnel")
    seen = [c for c in shown if known(c.error)]
    if not seen or not all(known(found.at(k)) for k in ("target", "tau2", "outside")):
        return
    words = Words(n.number, value=t.plain("centres.axis"), rank=t.plain("funnel.axis"), band=t.plain("funnel.inner"),
                  spread=t.plain("funnel.outer"), today=t.plain("funnel.beyond"))
    draw = partial(figures.funnel, [c.proposal for c in seen], [c.error for c in seen], [c.outside for c in seen],
                   words, target=found.at("target"), tau2=found.at("tau2"))
    section.add("figure", page.figure(
        "funnel", t.plain("funnel.caption", outside=n.number(found.at("outside")), all=n.number(len(seen))),
        t.plain("funnel.alt"), 3.4, lambda f: draw(ax=f.subplots()), 3.8))


def _centre_table(page: Page, shown: list[CentreNet]) -> Table:
    t, n = page.text, page.number

    def cells(c: CentreNet) -> tuple[str, ...]:
        month = (c.today, c.proposal, c.proposal - c.today)
        total = (c.today_sek, c.proposal_sek, c.proposal_sek - c.today_sek)
        return (n.number(c.listed_months), *(n.number(x, 2, sign=True) for x in month),
                *(n.number(x / 1000, sign=True) for x in total))

    nets = ("today", "proposal", "difference")
    heads = [page.heads("centres.col_", *nets, group=t.plain(f"centres.group_{k}")) for k in ("month", "total")]
    return page.table("table-centres", "centres.table_caption", "centres.col_name",
                      (*page.heads("centres.col_", "months"), *heads[0], *heads[1]),
                      (Row(c.name, cells(c)) for c in shown))
