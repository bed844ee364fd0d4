"""How hard the models are to manipulate: what playing came to, the frontier of designs, and one pack on paper."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from markupsafe import Markup

from lakemedelsmodell.report import figures
from lakemedelsmodell.report.blocks import Row, Section, Table, columns
from lakemedelsmodell.report.contents import DEFENDED, PROPOSAL, Gaps
from lakemedelsmodell.report.drawing import Words
from lakemedelsmodell.report.numbers import DASH, known
from lakemedelsmodell.report.phrases import capital

if TYPE_CHECKING:
    from lakemedelsmodell.report.page import Page

TODAY_DESIGN, PROPOSAL_DESIGN = "today", "proposal"
"""What ``manipulate`` calls today's model and the proposal."""

EFFORT = 0.1
"""Share of those eligible who are treated at the effort designs are held against each other at."""


def play(page: Page) -> Section | None:
    """What manipulation brings, as played and on paper."""
    packs = _packs(page)
    if page.contents.kind == "cohort" or not (packs or page.contents.manipulation):
        return None
    section = page.section("play")
    if page.contents.manipulation:
        _played(page, section)
    else:
        section.say(page.text("play.intro"))
        section.add("note", page.text("play.unplayed"))
    if packs:
        _starter(page, section, packs)
    return section


def worst_gains(page: Page) -> Markup | None:
    """The worst gain under today's model, the proposal and the design the rule chooses; None where nobody played."""
    t, n, played = page.text, page.number, page.contents.manipulation
    of = {str(d.at("design")): d for d in played.parts("frontier")}
    ends = {key: of.get(key, Gaps(None)).at("worst_gain") for key in (TODAY_DESIGN, PROPOSAL_DESIGN)}
    if not all(map(known, ends.values())):
        return None
    strategy = _strategy(page, of[PROPOSAL_DESIGN].at("worst_strategy"))
    said = [t("play.worst", strategy=strategy, **{key: n.number(x, 1) for key, x in ends.items()})]
    best = of.get(str(played.at("recommended")))
    if best and known(best.at("worst_gain")):
        said.append(t("play.chosen", design=_design(page, best), gain=n.number(best.at("worst_gain"), 1),
                      kept=n.percent(best.at("fit_kept"), 0)))
    else:
        said.append(t("play.none_chosen"))
    return Markup(" ").join(said)


def profitable_packs(page: Page) -> tuple[int, int]:
    """(groups whose marker pays more than one pack costs the centre, groups where both are known)."""
    gains = [_gain(p) for p in _packs(page) if known(_gain(p))]
    return sum(gain > 0 for gain in gains), len(gains)


def _packs(page: Page) -> list[Gaps]:
    return [p for p in page.results.parts("incentives") if p.at("model") == PROPOSAL and known(p.at("flag_pays_sek"))
            and not page.contents.too_few(str(p.at("condition")))]


def _gain(pack: Gaps) -> float:
    cost = pack.at("cost_if_ceiling_reached_sek")
    return pack.at("flag_pays_sek") - cost if known(cost) else math.nan


def _design(page: Page, of: Gaps) -> str:
    return capital(page.text.name("designs", str(of.at("design"))))


def _strategy(page: Page, name: object) -> str:
    return page.text.name("strategies", str(name)) if name else DASH


def _played(page: Page, section: Section) -> None:
    t, n, played = page.text, page.number, page.contents.manipulation
    section.say(t("play.intro"))
    if worst := worst_gains(page):
        section.say(worst)
    section.add("note", t("play.told", players=n.number(played.at("players")), centres=n.number(played.at("centres")),
                          persons=n.number(played.at("players_persons")), floor=n.number(played.at("noise_floor"), 1)))
    designs = [d for d in played.parts("frontier") if known(d.at("worst_gain"))]
    measure = "rmse_to_ideal" if designs and all(known(d.at("rmse_to_ideal")) for d in designs) else "misfit"

    def loss(design: Gaps) -> float:
        of = design.at("rmse_to_ideal") if measure == "rmse_to_ideal" else design.at("r2")
        return math.nan if not known(of) else of if measure == "rmse_to_ideal" else 1 - of

    seen = [d for d in designs if known(loss(d))]
    if len(seen) > 1:
        words = Words(n.number, value=t.plain(f"play.axis_{measure}"), rank=t.plain("play.axis_gain"))
        draw = partial(figures.frontier, [loss(d) for d in seen], [d.at("worst_gain") for d in seen],
                       [_design(page, d) for d in seen], [_look(d) for d in seen], words)
        section.add("figure", page.figure("frontier", t.plain("play.frontier_caption"), t.plain("play.frontier_alt"),
                                          4.2, lambda f: draw(ax=f.subplots()), 4.6))
    beaten = [d for d in designs if _look(d) == "beaten"]
    if standing := [d for d in designs if d not in beaten]:
        section.add("table", _designs(page, "table-frontier", "play.frontier_table", standing))
    if beaten:
        section.fold(t("play.beaten", count=n.number(len(beaten))),
                     ("table", _designs(page, "table-beaten", "play.beaten_table", beaten)))
    _by_strategy(page, section)
    if assumed := [str(x) for x in played.at("assumed") or []]:
        section.fold(t("play.assumed"), ("english", assumed))


def _designs(page: Page, ident: str, caption: str, designs: list[Gaps]) -> Table:
    t, n = page.text, page.number
    return page.table(
        ident, caption, "play.design",
        (*page.heads("play.col_", "fit_kept", "worst"), *page.heads("play.col_", "by", wide=True),
         *page.heads("play.col_", "robustness", "state")),
        (Row(_design(page, d), (
            n.percent(d.at("fit_kept"), 0), n.number(d.at("worst_gain"), 1),
            capital(_strategy(page, d.at("worst_strategy"))),
            n.percent(d.at("robustness"), 0), t.plain(f"play.state_{_look(d)}"))) for d in designs),
        (t("play.frontier_note"), t("play.beaten_note")))


def _look(design: Gaps) -> str:
    name = str(design.at("design"))
    if name in (TODAY_DESIGN, PROPOSAL_DESIGN):
        return name
    return "chosen" if design.at("recommended") else "beaten" if design.at("dominated") else "other"


def _by_strategy(page: Page, section: Section) -> None:
    """Each strategy's gain for one centre at the frontier's effort under the designs that matter."""
    t, n, played = page.text, page.number, page.contents.manipulation
    designs = [TODAY_DESIGN, PROPOSAL_DESIGN, *([str(played.at("recommended"))] if played.at("recommended") else [])]
    # Everyone's play has no single player: it is told of every centre.
    found = {(str(g.at("strategy")), str(g.at("design"))): g.at("gain_per_listed_month") for g in played.parts("gains")
             if g.at("effort") == EFFORT and (g.at("played_by") == "one" or g.at("strategy") == "everyone")}
    names = list(dict.fromkeys(str(s.at("name")) for s in played.parts("strategies")))
    rows = [Row(capital(_strategy(page, name)), tuple(n.number(found.get((name, d)), 1, sign=True) for d in designs))
            for name in names if any((name, d) in found for d in designs)]
    if rows:
        heads = columns(t.name("designs", d) for d in designs)
        section.add("table", page.table("table-strategies", "play.strategies_caption", "play.strategy", heads, rows,
                                        (t("play.strategies_note"),)))


def _starter(page: Page, section: Section, packs: list[Gaps]) -> None:
    t, n, incentives = page.text, page.number, page.results.parts("incentives")
    packs = sorted(packs, key=lambda p: (math.isnan(_gain(p)), -_gain(p), str(p.at("condition"))))
    priced = [p for p in packs if known(_gain(p))]
    winning = sum(_gain(p) > 0 for p in priced)
    section.add("h3", t("starter.head"))
    section.say(t("starter.intro"), t("starter.summary" if winning else "starter.summary_none",
                                      gain=n.number(winning), all=n.number(len(priced))))
    defended = [x for p in incentives if p.at("model") == DEFENDED and known(x := p.at("flag_pays_sek"))]
    if defended:
        still = sum(x > 0 for x in defended)
        section.say(t("starter.defended_some", count=n.number(still)) if still else t("starter.defended_zero"))
    if priced:
        words = Words(n.number, value=t.plain("starter.axis"), today=t.plain("starter.cost"),
                              proposal=t.plain("starter.pays"))
        draw = partial(figures.starter_packs, [page.condition(p.at("condition")) for p in priced],
                       [p.at("cost_if_ceiling_reached_sek") for p in priced],
                       [p.at("flag_pays_sek") for p in priced], words)
        section.add("figure", page.figure(
            "starter-packs", t.plain("starter.figure_caption"), t.plain("starter.figure_alt"),
            1.1 + 0.2 * len(priced), lambda f: draw(ax=f.subplots())))
    sums = ("pack_price_sek", "cost_first_purchase_sek", "cost_if_ceiling_reached_sek", "flag_pays_sek")
    section.fold(t("starter.table"), ("table", page.table(
        "table-starter", "starter.caption", "amounts.condition",
        (*page.heads("starter.col_", "atc", wide=True),
         *page.heads("starter.col_", "price", "first", "ceiling", "pays", "gain", "return")),
        (Row(page.condition(p.at("condition")), (
            str(p.at("atc") or DASH), *(n.number(p.at(k)) for k in sums), n.number(_gain(p), sign=True),
            n.number(p.at("return_per_krona"), 1))) for p in packs), (t("starter.note"),))))
