"""Which groups of persons get too little, and whether public and private, town and country are treated alike."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from markupsafe import Markup

from lakemedelsmodell.report import figures
from lakemedelsmodell.report.blocks import Figure, Row, Section, Table
from lakemedelsmodell.report.contents import BOTH, PROPOSAL, TODAY, Gaps
from lakemedelsmodell.report.drawing import Words
from lakemedelsmodell.report.numbers import known
from lakemedelsmodell.report.phrases import capital, small

if TYPE_CHECKING:
    from lakemedelsmodell.report.page import Page

PERSONS = ("drugs:5+", "dose_dispensed:yes", *(f"conditions:{k}" for k in ("0", "1", "2", "3", "4+")),
           "prior_cost:none", *(f"prior_cost:{k:02d}" for k in range(1, 11)), "prior_cost:unknown",
           "history:short", "moved:yes", "movers", "part_of_period")
CENTRES = ("cni:most_deprived_fifth", "operator:public", "operator:private", "rural:yes", "rural:no",
           *(f"list_size:{k}" for k in range(1, 5)))


def groups(page: Page) -> Section | None:
    """Table and picture of who is paid too little, public against private, and calibration by decile."""
    t = page.text
    found = {name: {key: page.results.part("models", model, "predictive_ratios", name) for key, model in BOTH}
             for name in (*PERSONS, *CENTRES)}
    told = [name for name, of in found.items() if all(known(x.at("under_compensation_sek")) for x in of.values())]
    if not told:
        return None
    section = page.section("groups")
    section.say(t("groups.intro"), _closer(page, [found[name] for name in told]))
    section.add("figure", _picture(page, {name: found[name] for name in told}))
    listed = [name for name, of in found.items() if of["today"]]
    section.fold(t("groups.fold"), ("table", _table(page, "table-groups", "groups.caption",
                                                    {name: found[name] for name in listed})))
    bands = {name: {key: page.results.part("models", model, "predictive_ratios", name) for key, model in BOTH}
             for name in page.results.part("models", TODAY, "predictive_ratios") if name.startswith("age:")}
    if bands:
        section.fold(t("groups.bands"), ("table", _table(page, "table-bands", "groups.caption_bands", bands)))
    _deciles(page, section)
    return section


def group_label(page: Page, name: str) -> str:
    """What readers call a group."""
    t = page.text
    family, _, member = name.partition(":")
    if family == "age":
        return member.replace("-", "–") if "-" in member else f"{member.removeprefix('>')}+"
    if family == "prior_cost" and member.isdigit():
        return t.plain("group.prior_cost", decile=int(member))
    if family == "conditions":
        known_as = {"0": "group.conditions_none", "1": "group.conditions_one"}
        key = "group.conditions_more" if member.endswith("+") else known_as.get(member, "group.conditions")
        return t.plain(key, count=member.rstrip("+"))
    if family == "list_size":
        return t.plain("group.list_size", quarter=member)
    return t.plain(f"group.{family}_{member}" if member and family != "drugs" else f"group.{family}")


def _closer(page: Page, found: Sequence[dict[str, Gaps]]) -> Markup:
    gaps = [{key: abs(x.at("under_compensation_sek")) for key, x in of.items()} for of in found]
    closer = sum(of["proposal"] < of["today"] for of in gaps)
    return page.text("groups.closer", closer=page.number.number(closer), all=page.number.number(len(gaps)))


def _picture(page: Page, found: dict[str, dict[str, Gaps]]) -> Figure:
    t = page.text
    words = Words(page.number.number, value=capital(t.plain("groups.axis")), today=t.plain("centres.today"),
                          proposal=t.plain("centres.proposal"))
    panels = []
    for title, family in (("persons", PERSONS), ("centres", CENTRES)):
        if names := [name for name in family if name in found]:
            ends = {key: [[found[name][key].at(k) for k in
                           ("under_compensation_sek", "under_ci_low", "under_ci_high")] for name in names]
                    for key, _ in BOTH}
            labels = [group_label(page, name) for name in names]
            panels.append((capital(t.plain(f"groups.panel_{title}")), labels, ends))
    draw = partial(figures.group_gaps, panels, words)
    rows = sum(len(labels) for _, labels, _ in panels)
    furthest = max(found, key=lambda name: abs(found[name]["today"].at("under_compensation_sek")))
    caption = t.plain("groups.figure_caption", group=small(group_label(page, furthest)), **{
        key: page.number.number(of.at("under_compensation_sek"), 0, sign=True) for key, of in found[furthest].items()})
    return page.figure("who-gets-too-little", caption, t.plain("groups.figure_alt"),
                       1.6 + 0.24 * rows, draw, 1.8 + 0.34 * rows)


def _table(page: Page, ident: str, caption: str, found: dict[str, dict[str, Gaps]]) -> Table:
    n = page.number

    def cells(of: dict[str, Gaps]) -> tuple[str, ...]:
        persons = of["today"].at("persons")
        shown = [cell for x in of.values() for cell in (
            n.number(x.at("ratio"), 2), n.number(x.at("under_compensation_sek"), 1, sign=True),
            page.range(*(n.number(x.at(k), 1, sign=True) for k in ("under_ci_low", "under_ci_high"))))]
        return ("<5" if persons is None else n.persons(persons), *shown)

    heads = [page.heads("groups.col_", "cover", "sek", "interval", group=page.text.plain(f"centres.{key}"))
             for key, _ in BOTH]
    return page.table(ident, caption, "groups.group", (*page.heads("groups.col_", "persons"), *heads[0], *heads[1]),
                      (Row(group_label(page, name), cells(of)) for name, of in found.items()),
                      (page.text("groups.note"),))


def _deciles(page: Page, section: Section) -> None:
    t = page.text
    found = {key: [x for x in page.results.parts("models", model, "calibration") if known(x.at("predicted"))]
             for key, model in BOTH}
    if not all(found.values()):
        return
    words = Words(page.number.number, value=capital(t.plain("deciles.axis")), rank=t.plain("deciles.rank"),
                          today=t.plain("centres.today"), proposal=t.plain("centres.proposal"))
    points = {key: [[x.at(k) for k in ("decile", "predicted", "actual", "ratio", "ci_low", "ci_high")] for x in of]
              for key, of in found.items()}
    draw = partial(figures.decile_gaps, points, words)
    section.add("h3", t("deciles.head"))
    section.say(t("deciles.intro"))
    gaps = {(key, x.at("decile")): x.at("predicted") - x.at("actual") for key, of in found.items() for x in of}
    model, decile = max(gaps, key=lambda at: abs(gaps[at]))
    caption = t.plain("deciles.caption", model=small(page.model(dict(BOTH)[model])), decile=int(decile),
                      gap=page.number.number(gaps[model, decile], 1, sign=True))
    section.add("figure", page.figure("deciles", caption, t.plain("deciles.alt"), 2.8,
                                      lambda f: draw(ax=f.subplots()), 3.2))


def neutral(page: Page) -> Section | None:
    """Public against private centres, and town against country."""
    t, n = page.text, page.number
    net = {key: page.results.part("models", model, "neutrality", "net") for key, model in BOTH}
    moved = page.results.part("models", PROPOSAL, "neutrality", "change_from_today")
    if not all(known(x.at(k)) for x in (*net.values(), moved) for k in ("difference_sek", "ci_low", "ci_high")):
        return None

    def words(found: Gaps) -> dict[str, str]:
        size = n.number(abs(found.at("difference_sek")), 2)
        ends = (n.number(found.at(k), 2, sign=True) for k in ("ci_low", "ci_high"))
        return {"size": size, "interval": page.range(*ends)}

    def holds_zero(found: Gaps) -> bool:
        return found.at("ci_low") <= 0 <= found.at("ci_high")

    section = page.section("neutral")
    said = [t("neutral.intro")]
    for key, found in net.items():
        way = "higher" if found.at("difference_sek") > 0 else "lower"
        said.append(t(f"neutral.{key}", way=t.plain(f"neutral.{way}"), **words(found)))
    section.say(Markup(" ").join(said))
    to = "public" if moved.at("difference_sek") > 0 else "private"
    section.say(Markup(" ").join((
        t("neutral.moved", to=t.plain(f"neutral.to_{to}"), **words(moved)),
        t("neutral.neither" if holds_zero(moved) else f"neutral.favours_{to}"))))
    _kinds(page, section)
    return section


def _kinds(page: Page, section: Section) -> None:
    """What changing model does to kinds of centre, the country among them."""
    t, n = page.text, page.number
    found = [x for x in page.results.parts("models", PROPOSAL, "redistribution", "by_kind_of_centre")
             if str(x.at("group")) in CENTRES and known(x.at("change_sek_per_listed_month"))]
    if not found:
        return
    found.sort(key=lambda x: CENTRES.index(str(x.at("group"))))
    if rural := next((x for x in found if x.at("group") == "rural:yes"), None):
        change = rural.at("change_sek_per_listed_month")
        section.say(t("neutral.rural", size=n.number(abs(change), 2), way=t.plain(
            "neutral.more" if change > 0 else "neutral.less"), gaining=n.number(rural.at("gaining")),
            centres=n.number(rural.at("centres"))))
    section.add("table", page.table(
        "table-kinds", "neutral.caption", "groups.group",
        page.heads("neutral.col_", "centres", "gaining", "sek", "month"),
        (Row(group_label(page, str(x.at("group"))),
             (n.number(x.at("centres")), n.number(x.at("gaining")), n.number(x.at("change_sek") / 1000, sign=True),
              n.number(x.at("change_sek_per_listed_month"), 2, sign=True))) for x in found), (t("neutral.note"),)))
