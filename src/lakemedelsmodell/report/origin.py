"""Where the results come from: data, what cannot be known, questions, the simulated region, settings, words."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from lakemedelsmodell.report import figures
from lakemedelsmodell.report.blocks import Row, Section
from lakemedelsmodell.report.contents import Gaps
from lakemedelsmodell.report.drawing import Words
from lakemedelsmodell.report.numbers import DASH, known
from lakemedelsmodell.report.phrases import capital

if TYPE_CHECKING:
    from lakemedelsmodell.report.page import Page


def data(page: Page) -> Section:
    t, n, totals, section = page.text, page.number, page.results.part("totals"), page.section("data")
    facts = {
        "centres": n.number(totals.at("centres")), "persons": n.persons(totals.at("persons")),
        "listed_months": n.number(totals.at("listed_months")), "dispensings": n.number(totals.at("dispensings")),
        "cost": n.millions(totals.at("cost_sek")),
        "cost_responsibility": n.percent(totals.at("cost_responsibility"), 0),
        "budget": n.millions(totals.at("budget_sek")), "published": n.millions(totals.at("published_sek")),
    }
    section.say(Markup(" ").join(_summed_up(page, totals)))
    if page.contents.kind == "cohort":
        del facts["dispensings"], facts["published"]
    section.add("table", page.table("table-data", "data.caption", "data.what", page.heads("data.", "count"),
                                    (Row(t.plain(f"data.{k}"), (value,)) for k, value in facts.items())))
    for where, counts in (("left_out", totals.part("left_out")), ("coverage", page.results.part("coverage"))):
        rows = [Row(capital(t.name(where, kind)), (_count(page, kind, count),)) for kind, count in counts.items()
                if count is None or known(count)]
        if rows:
            ident = f"table-{where.replace('_', '-')}"
            heads = page.heads("data.", "number")
            section.add("table", page.table(ident, f"data.{where}_caption", "data.kind", heads, rows))
        elif where == "left_out":
            section.say(t("data.none_left_out"))
    if (found := page.results.at("found")) and page.contents.kind != "simulation":
        section.add("h3", t("data.found_head"))
        section.add("note", t("data.found_note"))
        section.add("english", [str(sentence) for sentence in found])
    return section


def _summed_up(page: Page, totals: Gaps) -> list[Markup]:
    """How many are in, how much of the cost is not, and how much of it no condition stands for."""
    t, n, cost = page.text, page.number, totals.at("cost_sek")
    lost = totals.at("left_out", "cost_without_listed_month_sek")
    share = page.results.at("coverage", "unmatched_share_of_cost")
    said = [t("data.intro", persons=n.persons(totals.at("persons")), centres=n.number(totals.at("centres")))]
    if known(lost) and known(cost) and cost + lost > 0:
        said.append(t("data.lost", lost=n.number(lost), share=n.percent(lost / (cost + lost), 2)))
    if known(share):
        said.append(t("data.outside", share=n.percent(share, 0)))
    return said


def _count(page: Page, kind: str, count: float | None) -> str:
    """A count of persons or rows, or a sum or share, as the name of the kind says."""
    if kind.endswith("_sek"):
        return page.number.number(count)
    return page.number.percent(count) if "share" in kind else page.number.persons(count)


def basis(page: Page) -> Section:
    t, kind, section = page.text, page.contents.kind, page.section("basis")
    simulated = kind == "simulation"
    told = {"simulated" if simulated else "real": ["simulated" if simulated else "real"]}
    if kind != "cohort":
        told |= {"assumed": ["assumed", *(["assumed_simulation"] if simulated else [])],
                 "unknown": ["unknown_simulation" if simulated else "unknown_files", "unknown"]}
    for head, keys in told.items():
        section.add("h3", t(f"basis.{head}_head"))
        section.add("list", [Markup(item) for key in keys for item in t.listed(f"basis.{key}")])
    return section


def questions(page: Page) -> Section | None:
    """What only the region can answer."""
    if page.contents.kind == "cohort":
        return None
    section = page.section("questions")
    section.say(page.text("questions.intro"))
    section.add("list", page.text.listed("questions.items"))
    return section


def calibration(page: Page) -> Section | None:
    t, n, found = page.text, page.number, page.contents.calibration
    if not found:
        return None
    section = page.section("calibration")
    section.say(t("calibration.intro"))
    folded: list[tuple[str, Any]] = []
    cells = found.parts("table")
    differing = [x for x in cells if x.at("equal") is False]
    if known(found.at("equal_cells")):
        key = "calibration.equal" if differing else "calibration.equal_all"
        section.say(t(key, equal=n.number(found.at("equal_cells")), all=n.number(len(cells))))
        if differing and known(within := found.at("within_3_se")):
            section.say(t("calibration.within", within=n.number(within), all=n.number(len(cells))))
    if differing:
        sexes = {"K": t.plain("amounts.women"), "M": t.plain("amounts.men")}
        folded.append(("table", page.table(
            "table-cells", "calibration.caption_table", "calibration.cell",
            page.heads("calibration.", "published", "derived", "se"),
            (Row(f"{sexes.get(str(x.at('sex')), x.at('sex'))}, {str(x.at('age_band')).replace('-', '–')}",
                 (n.whole_or(x.at("published"), 2), n.whole_or(x.at("derived"), 2), n.number(x.at("se"), 2)))
             for x in differing))))
    _prevalence(page, section, found)
    sizes = {k: n.number(found.at("list_sizes", k)) for k in ("mean", "median", "p10", "p90", "min", "max")}
    facts = {"total_cost": n.millions(found.at("total_cost_sek"), 0),
             "top1_share": n.percent(found.at("top1_share")),
             "list_mean": sizes["mean"], "list_median": sizes["median"],
             "list_middle": page.range(sizes["p10"], sizes["p90"]),
             "list_range": page.range(sizes["min"], sizes["max"])}
    section.add("table", page.table(
        "table-region", "calibration.caption_facts", "calibration.fact", page.heads("calibration.", "value"),
        (Row(t.plain(f"calibration.{k}"), (value,)) for k, value in facts.items())))
    variation = ("observed", "chance", "latent")
    varied = [x for x in found.parts("prevalence_cv") if not page.labels or str(x.at("condition")) in page.labels]
    if varied:
        folded.append(("table", page.table(
            "table-variation", "calibration.caption_cv", "calibration.group",
            page.heads("calibration.", *variation),
            (Row(page.condition(x.at("condition")), tuple(n.percent(x.at(k)) for k in variation)) for x in varied),
            (t("calibration.cv_note"),))))
    if changes := found.parts("changes"):
        folded.append(("table", page.table(
            "table-changes", "calibration.caption_changes", "calibration.group",
            (*page.heads("calibration.", "old", "new"), *page.heads("calibration.", "why", wide=True)),
            (Row(page.condition(x.at("group")),
                 (n.whole_or(x.at("old"), 2), n.whole_or(x.at("new"), 2),
                  Markup('<span lang="en">{}</span>').format(x.at("why") or DASH)))
             for x in changes))))
    if folded:
        section.fold(t("calibration.fold"), *folded)
    return section


def _prevalence(page: Page, section: Section, found: Gaps) -> None:
    t = page.text
    pairs = [pair for x in found.parts("prevalence")
             if all(map(known, pair := (x.at("reference"), x.at("simulated"))))]
    if not pairs:
        return
    words = Words(page.number.number, value=t.plain("calibration.axis_simulated"),
                          rank=t.plain("calibration.axis_reference"), band=t.plain("calibration.equality"))
    draw = partial(figures.calibration, [x for x, _ in pairs], [y for _, y in pairs], words)
    section.add("figure", page.figure(
        "prevalence", t.plain("calibration.figure_caption"), t.plain("calibration.figure_alt"),
        4.2, lambda f: draw(ax=f.subplots()), 3.7))


def settings(page: Page) -> Section:
    t, n, run, section = page.text, page.number, page.results.part("run"), page.section("settings")
    value = page.heads("settings.", "value", wide=True)
    if chosen := page.results.part("settings"):
        rows = [Row(capital(t.name("settings_names", k)), (_setting(page, k, v),)) for k, v in chosen.items()]
        section.add("table", page.table("table-settings", "settings.caption", "settings.setting", value, rows))
    periods = ("period", "fit_period", "lookback", "fit_lookback")
    origin: dict[str, Any] = {k: page.period(page.results.part(k)) for k in periods}
    origin |= {k: run.at(k) for k in ("scenario", "seed")}
    origin |= {"scale": n.whole_or(run.at("scale"), 3), "content_hash": run.at("content_hash"),
               "versions": ", ".join(f"{name} {version}" for name, version in run.part("versions").items())}
    section.add("table", page.table(
        "table-origin", "settings.origin_caption", "settings.setting", value,
        (Row(t.plain(f"settings.{k}"), (str(v),)) for k, v in origin.items() if v not in (None, "", DASH))))
    return section


def _setting(page: Page, key: str, found: object) -> str:
    if found is None:
        by_period = key in ("cost_responsibility", "published_year", "table_period", "period")
        return page.text.plain("settings.default") if by_period else DASH
    if isinstance(found, str):
        return page.text.plain(f"settings_values.{found}") if f"settings_values.{found}" in page.text else found
    if isinstance(found, float):
        return page.number.percent(found, 0) if key == "cost_responsibility" else page.number.whole_or(found, 2)
    return str(found)


def glossary(page: Page) -> Section:
    section = page.section("glossary")
    section.add("glossary", page.text.listed("glossary.entries"))
    return section
